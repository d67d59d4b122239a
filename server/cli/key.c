/* letterlock key. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/pgp_packet.h"
#include "server/base/error.h"
#include "server/cli/cli.h"

struct revocation { uint64_t account; const struct pgp_verdict *verdict; bool held, others; };

static int see_key(void *arg, const struct schema_key *key)
{
    struct revocation *s = arg;
    const struct pgp_verdict *v = &key->verdict;
    if (v->primary_fpr_len == s->verdict->primary_fpr_len &&
        !memcmp(v->primary_fpr, s->verdict->primary_fpr, v->primary_fpr_len))
        s->held = true;
    else if (key->state == KEY_CURRENT)
        s->others = true;
    return 0;
}

static int see_keys(void *arg, struct view *v)
{
    struct revocation *s = arg;
    s->held = s->others = false;
    return view_keys_each(v, s->account, see_key, s);
}

/* A revoked certificate of the account's own: nothing more is sealed to it, even if it is the last. */
static int end_revoked(const struct cli *c, struct instance *i, uint64_t account, const struct pgp_verdict *verdict)
{
    struct revocation s = {.account = account, .verdict = verdict};
    int err = instance_snapshot(i, see_keys, &s);
    if (err)
        return cli_fail(c, "the store cannot be read: %s", err_str(err));
    if (!s.held)
        return cli_fail(c, "%s: it has been revoked, and %s has no such key: give a good one", c->arg[1], c->arg[0]);
    uint8_t payload[64];
    struct pack p;
    pack_init(&p, payload, sizeof payload);
    pack_u64(&p, account);
    pack_bytes(&p, verdict->primary_fpr, verdict->primary_fpr_len);
    int rc = instance_vault(c, i);
    if (!rc)
        rc = instance_call(c, i, VAULT_KEY_REVOKED, &p, -1, NULL);
    if (!rc)
        cli_mind(c, "%s: it has been revoked: mail is no longer sealed to it%s", c->arg[1],
                 s.others ? "" : ", and it was the last key: senders have to wait until key add gives a good one");
    return rc;
}

int command_key_add(struct cli *c)
{
    struct instance i;
    struct schema_account a;
    struct pgp_verdict verdict;
    uint8_t *cert = NULL;
    size_t len = 0;
    bool revoked = false;
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    rc = instance_account(c, &i, c->arg[0], &a);
    if (!rc)
        rc = cli_judge_file(c, &i, c->arg[1], &verdict, &cert, &len, &revoked);
    if (!rc && revoked)
        rc = end_revoked(c, &i, a.id, &verdict);
    else if (!rc)
        rc = instance_vault(c, &i);
    if (!rc && !revoked) {
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
        {PGP_RSA, "RSA"}, {PGP_RSA_ENCRYPT, "RSA"}, {PGP_RSA_SIGN, "RSA"}, {PGP_ELGAMAL, "ElGamal"},
        {PGP_DSA, "DSA"}, {PGP_ECDH, "ECDH"}, {PGP_ECDSA, "ECDSA"}, {PGP_EDDSA_LEGACY, "EdDSA"}, {PGP_X25519, "X25519"},
        {PGP_X448, "X448"},
        {PGP_ED25519, "Ed25519"}, {PGP_ED448, "Ed448"}};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        if (names[k].algo == algo)
            return names[k].name;
    return "?";
}

static int write_key(void *arg, const struct schema_key *key)
{
    char until[CLI_DAY_SIZE] = "never";
    bool over = key->verdict.enc_expires && key->verdict.enc_expires <= (uint64_t)time(NULL);
    if (key->verdict.enc_expires)
        cli_day(key->verdict.enc_expires, until);
    fprintf(arg, "%-8s ", key->state == KEY_CURRENT ? "current" : "retired");
    cli_print_fpr(arg, key->verdict.primary_fpr, key->verdict.primary_fpr_len);
    fprintf(arg, "  %s  %s %s  sealed by %s\n", algo_name(key->verdict.enc_algo), over ? "expired" : "expires", until,
            key->verdict.native ? "the native engine" : "gpg");
    return 0;
}

static int write_keys(void *arg, struct view *v, FILE *out)
{
    return view_keys_each(v, ((const struct schema_account *)arg)->id, write_key, out);
}

int command_key_list(struct cli *c)
{
    return instance_print_account(c, true, write_keys);
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
