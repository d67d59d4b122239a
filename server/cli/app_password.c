/* letterlock app-password. */
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/date.h"
#include "server/core/utf8.h"
#include "server/cli/cli.h"

enum { PASSWORD_CHARS = 26 };

static const struct {
    const char *name;
    uint8_t bit;
} scopes[] = {{"imap", SCOPE_IMAP}, {"pop3", SCOPE_POP3}, {"smtp", SCOPE_SMTP}, {"jmap", SCOPE_HTTP}};
enum { NSCOPES = sizeof(scopes) / sizeof(scopes[0]) };

static int write_password(void *arg, const struct schema_app_password *p)
{
    char made[DATE_DAY_SIZE], scope[32] = "";
    date_write_day(p->created, made);
    for (size_t k = 0; k < NSCOPES; k++)
        if (p->scope & scopes[k].bit) {
            strcat(scope, *scope ? "," : "");
            strcat(scope, scopes[k].name);
        }
    fprintf(arg, "%4" PRIu32 "  %-24s %-14s  made %s\n", p->number, p->label, scope, made);
    return 0;
}

static int write_passwords(void *arg, struct view *v, FILE *out)
{
    return view_app_passwords_each(v, ((const struct schema_account *)arg)->id, write_password, out);
}

int command_app_password_list(struct cli *c)
{
    return instance_print_account(c, true, write_passwords);
}

static int parse_scope(const struct cli *c, uint8_t *ret)
{
    const char *s = c->opt[OPT_SCOPE];
    uint8_t bits = 0;
    if (!s) {
        *ret = SCOPE_IMAP | SCOPE_POP3 | SCOPE_SMTP; /* what mail programs speak */
        return EXIT_DONE;
    }
    while (*s) {
        size_t n = strcspn(s, ","), k = 0;
        while (k < NSCOPES && (strlen(scopes[k].name) != n || strncmp(scopes[k].name, s, n)))
            k++;
        if (k == NSCOPES)
            return cli_usage(c, "--scope takes imap, pop3, smtp and jmap, with commas between");
        bits |= scopes[k].bit;
        s += n + (s[n] == ',');
    }
    if (!bits)
        return cli_usage(c, "--scope is empty: imap, pop3, smtp and jmap, with commas between");
    *ret = bits;
    return EXIT_DONE;
}

/* 128 random bits in letters that no one misreads: 26 characters of base32. In this one form the keys below are made
 * of it; a login may write it with dashes, blanks and capitals. */
static void make_password(char out[PASSWORD_CHARS + 1])
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t raw[17] = {0};
    randombytes_buf(raw, 16);
    for (size_t k = 0; k < PASSWORD_CHARS; k++) {
        size_t bit = k * 5;
        unsigned v = ((unsigned)raw[bit / 8] << 8 | raw[bit / 8 + 1]) >> (11 - bit % 8) & 31;
        out[k] = alphabet[v];
    }
    out[PASSWORD_CHARS] = 0;
    sodium_memzero(raw, sizeof(raw));
}

/* SCRAM-SHA-256's two keys (RFC 5802 section 3), so that SASL mechanisms that need them can be offered without asking
 * for a new password. */
static void scram_keys(const struct schema_account *a, const char *password, uint8_t stored[32], uint8_t server[32])
{
    uint8_t salted[32], client[32];
    PKCS5_PBKDF2_HMAC(password, (int)strlen(password), a->auth_salt, sizeof(a->auth_salt), (int)a->auth_iterations,
                      EVP_sha256(), 32, salted);
    HMAC(EVP_sha256(), salted, 32, (const unsigned char *)"Client Key", 10, client, NULL);
    EVP_Digest(client, 32, stored, NULL, EVP_sha256(), NULL);
    HMAC(EVP_sha256(), salted, 32, (const unsigned char *)"Server Key", 10, server, NULL);
    sodium_memzero(salted, sizeof(salted));
    sodium_memzero(client, sizeof(client));
}

struct fresh_password {
    uint8_t scope;
    char text[PASSWORD_CHARS + 1];
};

/* The request for a fresh password, of which the vault gets what it can be recognised by. */
static int add_password(const struct cli *c, struct instance *i, const struct schema_account *a, void *arg)
{
    struct fresh_password *f = arg;
    struct vault_request q = {.type = VAULT_APP_PASSWORD_ADD,
                              .account = a->id,
                              .password = {.scope = f->scope, .label = slice_str(c->opt[OPT_LABEL])}};
    make_password(f->text);
    if (app_password_hash(view_keys(i->view), a->id, f->text, strlen(f->text), q.password.hash))
        return cli_fail(c, "out of memory");
    scram_keys(a, f->text, q.password.stored_key, q.password.server_key);
    int rc = instance_call(c, i, &q, -1, NULL);
    if (!rc)
        puts(f->text);
    sodium_memzero(&q, sizeof(q));
    return rc;
}

int command_app_password_add(struct cli *c)
{
    struct fresh_password f = {0};
    if (!c->opt[OPT_LABEL] || !*c->opt[OPT_LABEL])
        return cli_usage(c, "give --label TEXT, so that it can be told from others later");
    if (strlen(c->opt[OPT_LABEL]) >= LABEL_MAX)
        return cli_fail(c, "the label is too long: at most %d bytes", LABEL_MAX - 1);
    if (!utf8_printable(c->opt[OPT_LABEL], strlen(c->opt[OPT_LABEL])))
        return cli_fail(c, "the label has a control character in it, or is not UTF-8");
    int rc = parse_scope(c, &f.scope);
    if (!rc)
        rc = instance_with_account(c, INSTANCE_VIEW | INSTANCE_VAULT, add_password, &f);
    sodium_memzero(&f, sizeof(f));
    return rc;
}

int command_app_password_revoke(struct cli *c)
{
    char *end;
    unsigned long number = strtoul(c->arg[1], &end, 10);
    if (*end || !number || number > UINT32_MAX)
        return cli_fail(c, "NUMBER is what `letterlock app-password list` prints first");
    struct vault_request q = {.type = VAULT_APP_PASSWORD_REVOKE, .password.number = (uint32_t)number};
    return instance_account_call(c, &q);
}
