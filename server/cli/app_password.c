/* letterlock app-password. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/date.h"
#include "server/core/utf8.h"
#include "server/cli/cli.h"
#include "server/login/app_password.h"

static int write_password(void *arg, const struct schema_app_password *p)
{
    char made[DATE_DAY_SIZE], scope[32] = "";
    date_write_day(p->created, made);
    for (size_t k = 0; app_password_scopes[k]; k++)
        if (p->scope & 1u << k) {
            strcat(scope, *scope ? "," : "");
            strcat(scope, app_password_scopes[k]);
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
        while (app_password_scopes[k] && (strlen(app_password_scopes[k]) != n || strncmp(app_password_scopes[k], s, n)))
            k++;
        if (!app_password_scopes[k])
            return cli_usage(c, "--scope takes imap, pop3, smtp and jmap, with commas between");
        bits |= (uint8_t)(1u << k);
        s += n + (s[n] == ',');
    }
    if (!bits)
        return cli_usage(c, "--scope is empty: imap, pop3, smtp and jmap, with commas between");
    *ret = bits;
    return EXIT_DONE;
}

struct fresh_password {
    uint8_t scope;
    char text[APP_PASSWORD_SIZE];
};

/* The request for a fresh password, of which the vault gets what it can be recognised by. */
static int add_password(const struct cli *c, struct instance *i, const struct schema_account *a, void *arg)
{
    struct fresh_password *f = arg;
    struct vault_request q = {.type = VAULT_APP_PASSWORD_ADD,
                              .account = a->id,
                              .password = {.scope = f->scope, .label = slice_str(c->opt[OPT_LABEL])}};
    if (app_password_make(view_keys(i->view), a, f->text, &q.password))
        return cli_fail(c, "out of memory");
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
