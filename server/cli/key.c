/* letterlock key and app-password. */
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/pgp_packet.h"
#include "server/base/error.h"
#include "server/cli/cli.h"

int command_key_add(struct cli *c)
{
    struct instance i;
    struct schema_account a;
    struct pgp_verdict verdict;
    uint8_t *cert = NULL;
    size_t len = 0;
    int rc = instance_open(c, INSTANCE_VIEW | INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    rc = instance_account(c, &i, c->arg[0], &a);
    if (!rc)
        rc = cli_judge(c, &i, c->arg[1], &verdict, &cert, &len);
    if (!rc) {
        uint8_t payload[256], packed[PGP_VERDICT_SIZE];
        struct pack p;
        pack_init(&p, payload, sizeof payload);
        pack_u64(&p, a.id);
        pgp_verdict_pack(&verdict, packed);
        pack_raw(&p, packed, sizeof packed);
        pack_u32(&p, (uint32_t)len);
        int fd = cli_memfd(cert, len);
        rc = fd < 0 ? cli_fail(c, "out of memory") : instance_call(c, &i, VAULT_KEY_ADD, &p, fd, NULL);
        if (fd >= 0)
            close(fd);
    }
    free(cert);
    instance_close(&i);
    return rc;
}

static const char *algo_name(uint8_t algo)
{
    static const struct { uint8_t algo; const char *name; } names[] = {
        {PGP_RSA, "RSA"}, {PGP_RSA_ENCRYPT, "RSA"}, {PGP_RSA_SIGN, "RSA"}, {PGP_ELGAMAL, "ElGamal"}, {PGP_DSA, "DSA"}, {PGP_ECDH, "ECDH"},
        {PGP_ECDSA, "ECDSA"}, {PGP_EDDSA_LEGACY, "EdDSA"}, {PGP_X25519, "X25519"}, {PGP_X448, "X448"},
        {PGP_ED25519, "Ed25519"}, {PGP_ED448, "Ed448"}};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        if (names[k].algo == algo)
            return names[k].name;
    return "?";
}

static void day(uint64_t t, char out[16])
{
    time_t s = (time_t)t;
    struct tm tm;
    gmtime_r(&s, &tm);
    strftime(out, 16, "%Y-%m-%d", &tm);
}

static int print_key_row(void *arg, const struct schema_key *key)
{
    char until[16] = "never";
    if (key->verdict.enc_expires)
        day(key->verdict.enc_expires, until);
    printf("%-8s ", key->state == KEY_CURRENT ? "current" : "retired");
    cli_print_fpr(key->verdict.primary_fpr, key->verdict.primary_fpr_len);
    printf("  %s  expires %s  sealed by %s\n", algo_name(key->verdict.enc_algo), until, key->verdict.native ? "the native engine" : "gpg");
    return 0;
}

static int print_keys(struct view *v, uint64_t account)
{
    return view_keys_each(v, account, print_key_row, NULL);
}

static int print_app_password(void *arg, const struct schema_app_password *p)
{
    char made[16];
    day(p->created, made);
    printf("%4" PRIu32 "  %-24s %s%s%s  made %s\n", p->number, p->label, p->scope & SCOPE_IMAP ? "imap " : "",
           p->scope & SCOPE_POP3 ? "pop3 " : "", p->scope & SCOPE_SMTP ? "smtp" : "", made);
    return 0;
}

static int print_app_passwords(struct view *v, uint64_t account)
{
    return view_app_passwords_each(v, account, print_app_password, NULL);
}

static int list_of_account(struct cli *c, int (*print)(struct view *v, uint64_t account))
{
    struct instance i;
    struct schema_account a;
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    rc = instance_account(c, &i, c->arg[0], &a);
    if (!rc) {
        if (view_begin(i.view) || print(i.view, a.id))
            rc = cli_fail(c, "the store cannot be read");
        view_end(i.view);
    }
    instance_close(&i);
    return rc;
}

int command_key_list(struct cli *c)
{
    return list_of_account(c, print_keys);
}

int command_app_password_list(struct cli *c)
{
    return list_of_account(c, print_app_passwords);
}

int command_key_retire(struct cli *c)
{
    uint8_t fpr[PGP_FPR_MAX];
    size_t len;
    if (sodium_hex2bin(fpr, sizeof fpr, c->arg[1], strlen(c->arg[1]), ": ", &len, NULL) || (len != 20 && len != 32))
        return cli_fail(c, "FPR is the certificate's whole fingerprint, as `letterlock key list` prints it");
    struct instance i;
    struct schema_account a;
    int rc = instance_open(c, INSTANCE_VIEW | INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    rc = instance_account(c, &i, c->arg[0], &a);
    if (!rc) {
        uint8_t payload[64];
        struct pack p;
        pack_init(&p, payload, sizeof payload);
        pack_u64(&p, a.id);
        pack_bytes(&p, fpr, len);
        rc = instance_call(c, &i, VAULT_KEY_RETIRE, &p, -1, NULL);
    }
    instance_close(&i);
    return rc;
}

static int parse_scope(const struct cli *c, uint8_t *ret)
{
    static const struct { const char *name; uint8_t bit; } scopes[] = {{"imap", SCOPE_IMAP}, {"pop3", SCOPE_POP3}, {"smtp", SCOPE_SMTP}};
    const char *s = c->opt[OPT_SCOPE];
    uint8_t bits = 0;
    if (!s) {
        *ret = SCOPE_IMAP | SCOPE_POP3 | SCOPE_SMTP;
        return EXIT_DONE;
    }
    while (*s) {
        size_t n = strcspn(s, ","), k = 0;
        while (k < 3 && (strlen(scopes[k].name) != n || strncmp(scopes[k].name, s, n)))
            k++;
        if (k == 3)
            return cli_fail(c, "--scope takes imap, pop3 and smtp, with commas between");
        bits |= scopes[k].bit;
        s += n + (s[n] == ',');
    }
    if (!bits)
        return cli_fail(c, "--scope is empty: imap, pop3 and smtp, with commas between");
    *ret = bits;
    return EXIT_DONE;
}

/* 128 random bits in letters that no one misreads: 26 characters of base32, in groups. */
static void make_password(char out[40])
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t raw[17] = {0};
    randombytes_buf(raw, 16);
    size_t o = 0;
    for (size_t k = 0; k < 26; k++) {
        size_t bit = k * 5;
        unsigned v = ((unsigned)raw[bit / 8] << 8 | raw[bit / 8 + 1]) >> (11 - bit % 8) & 31;
        if (k && k % 5 == 0 && k < 25)
            out[o++] = '-';
        out[o++] = alphabet[v];
    }
    out[o] = 0;
    sodium_memzero(raw, sizeof raw);
}

/* SCRAM-SHA-256's two keys (RFC 5802 section 3), so that SASL mechanisms that need them can be offered without asking for a new password. */
static void scram_keys(const struct schema_account *a, const char *password, uint8_t stored[32], uint8_t server[32])
{
    uint8_t salted[32], client[32];
    PKCS5_PBKDF2_HMAC(password, (int)strlen(password), a->auth_salt, sizeof a->auth_salt, (int)a->auth_iterations, EVP_sha256(), 32, salted);
    HMAC(EVP_sha256(), salted, 32, (const unsigned char *)"Client Key", 10, client, NULL);
    EVP_Digest(client, 32, stored, NULL, EVP_sha256(), NULL);
    HMAC(EVP_sha256(), salted, 32, (const unsigned char *)"Server Key", 10, server, NULL);
    sodium_memzero(salted, sizeof salted);
    sodium_memzero(client, sizeof client);
}

int command_app_password_add(struct cli *c)
{
    uint8_t scope = 0;
    if (!c->opt[OPT_LABEL] || !*c->opt[OPT_LABEL])
        return cli_fail(c, "give --label TEXT, so that it can be told from others later");
    if (strlen(c->opt[OPT_LABEL]) >= LABEL_MAX)
        return cli_fail(c, "the label is too long: at most %d bytes", LABEL_MAX - 1);
    int rc = parse_scope(c, &scope);
    if (rc)
        return rc;
    struct instance i;
    struct schema_account a;
    rc = instance_open(c, INSTANCE_VIEW | INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    rc = instance_account(c, &i, c->arg[0], &a);
    char password[40] = "";
    if (!rc) {
        uint8_t hash[RECORD_HASH_SIZE], stored[32], server[32], payload[512];
        struct pack p;
        make_password(password);
        if (app_password_hash(view_keys(i.view), a.id, password, strlen(password), hash))
            rc = cli_fail(c, "out of memory");
        scram_keys(&a, password, stored, server);
        pack_init(&p, payload, sizeof payload);
        pack_u64(&p, a.id);
        pack_raw(&p, hash, sizeof hash);
        pack_u8(&p, scope);
        pack_raw(&p, stored, 32);
        pack_raw(&p, server, 32);
        pack_str(&p, c->opt[OPT_LABEL]);
        if (!rc)
            rc = instance_call(c, &i, VAULT_APP_PASSWORD_ADD, &p, -1, NULL);
    }
    if (!rc)
        puts(password);
    sodium_memzero(password, sizeof password);
    instance_close(&i);
    return rc;
}

int command_app_password_revoke(struct cli *c)
{
    char *end;
    unsigned long number = strtoul(c->arg[1], &end, 10);
    if (*end || !number || number > UINT32_MAX)
        return cli_fail(c, "NUMBER is what `letterlock app-password list` prints first");
    struct instance i;
    struct schema_account a;
    int rc = instance_open(c, INSTANCE_VIEW | INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    rc = instance_account(c, &i, c->arg[0], &a);
    if (!rc) {
        uint8_t payload[16];
        struct pack p;
        pack_init(&p, payload, sizeof payload);
        pack_u64(&p, a.id);
        pack_u32(&p, (uint32_t)number);
        rc = instance_call(c, &i, VAULT_APP_PASSWORD_REVOKE, &p, -1, NULL);
    }
    instance_close(&i);
    return rc;
}
