/* letterlock invite, session, factor: how accounts are signed in to over HTTP. */
#include "server/cli/signin.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/cli/cli.h"
#include "server/core/error.h"
#include "server/core/secmem.h"
#include "server/mail/date.h"

enum { DAY = 86400, INVITE_DAYS = 7, INVITE_DAYS_MAX = 365 };

static int read_number(const struct cli *c, const char *text, unsigned long max, const char *what, uint32_t *ret)
{
    char *end;
    const unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || !number || number > max)
        return cli_fail(c, "%s", what);
    *ret = (uint32_t)number;
    return EXIT_DONE;
}

/* ---- invitations ---- */

struct inviting {
    uint32_t days;
    bool reset;
};

static int read_registered(void *arg, struct view *v)
{
    struct signin s;
    int err = view_signin(v, *(const uint64_t *)arg, &s);
    secmem_wipe(&s, sizeof(s));
    return err;
}

/* One that is damaged can be replaced by a reset alone, as one that is there. */
static int may_invite(const struct cli *c, struct instance *i, const struct schema_account *a, bool reset)
{
    uint64_t account = a->id;
    int err = view_run(i->view, read_registered, &account);
    if (err != OK && err != ERR_NOT_FOUND && err != ERR_FORMAT && err != ERR_CRYPTO)
        return cli_fail(c, "the store cannot be read: %s", err_str(err));
    if (err != ERR_NOT_FOUND && !reset)
        return cli_fail(c,
                        "%s has a password already: its owner changes it. --reset lets them register another; keys "
                        "that are wrapped under the present one are lost then",
                        a->address);
    if (err != ERR_NOT_FOUND)
        cli_mind(c,
                 "whoever uses it signs in as %s from then on; keys that are wrapped under the present password "
                 "are lost",
                 a->address);
    return EXIT_DONE;
}

static int invite_about(const struct cli *c, struct instance *i, const struct schema_account *a, void *arg)
{
    const struct inviting *x = arg;
    struct vault_request q = {.type = VAULT_INVITE_PUT, .account = a->id};
    uint8_t token[INVITE_TOKEN_SIZE];
    char text[sodium_base64_ENCODED_LEN(INVITE_TOKEN_SIZE, sodium_base64_VARIANT_URLSAFE_NO_PADDING)];
    int rc = may_invite(c, i, a, x->reset);
    if (rc)
        return rc;
    randombytes_buf(token, sizeof(token));
    q.invite =
        (struct vault_invite){.until = (uint64_t)time(NULL) + (uint64_t)x->days * DAY, .uses = 1, .reset = x->reset};
    invitation_hash(view_keys(i->view), token, q.invite.hash);
    rc = instance_call(c, i, &q, -1, NULL);
    if (!rc)
        puts(sodium_bin2base64(text, sizeof(text), token, sizeof(token), sodium_base64_VARIANT_URLSAFE_NO_PADDING));
    sodium_memzero(token, sizeof(token));
    sodium_memzero(text, sizeof(text));
    return rc;
}

int command_invite(struct cli *c)
{
    struct inviting x = {.days = INVITE_DAYS, .reset = c->opt[OPT_RESET] != NULL};
    int rc = c->opt[OPT_DAYS] ? read_number(c, c->opt[OPT_DAYS], INVITE_DAYS_MAX, "--days takes 1 to 365", &x.days)
                              : EXIT_DONE;
    return rc ? rc : instance_with_account(c, INSTANCE_VIEW | INSTANCE_VAULT, invite_about, &x);
}

static int write_invitation(void *arg, int err, const struct invitation *i)
{
    char until[DATE_DAY_SIZE];
    if (err != OK)
        fprintf(arg, "(damaged: letterlock audit)\n");
    if (err != OK || i->until <= (uint64_t)time(NULL))
        return OK;
    date_write_day(i->until, until);
    fprintf(arg, "%-40s  until %s%s\n", i->address, until, i->reset ? "  reset" : "");
    return OK;
}

static int write_invitations(void *arg, struct view *v, FILE *out)
{
    (void)arg;
    return view_invitations_each(v, write_invitation, out);
}

int command_invite_list(struct cli *c)
{
    struct instance i;
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    rc = instance_print(c, &i, true, write_invitations, NULL);
    instance_close(&i);
    return rc;
}

int command_invite_revoke(struct cli *c)
{
    struct vault_request q = {.type = VAULT_INVITE_DEL};
    return instance_account_call(c, &q);
}

/* ---- sessions ---- */

static const struct {
    uint8_t bit;
    const char *name;
} hows[] = {{SESSION_PASSWORD, "password"},
            {SESSION_PHRASE, "phrase"},
            {SESSION_PASSKEY, "passkey"},
            {SESSION_TOTP, "totp"},
            {SESSION_CODE, "code"}};

static int write_session(void *arg, const struct session *s)
{
    char since[DATE_DAY_SIZE], used[DATE_DAY_SIZE], until[DATE_DAY_SIZE], label[LABEL_MAX];
    if (s->until <= (uint64_t)time(NULL))
        return OK;
    date_write_day(s->since, since);
    date_write_day(s->used, used);
    date_write_day(s->until, until);
    memcpy(label, s->label, sizeof(label));
    cli_tame(label);
    fprintf(arg, "%4" PRIu32 "  %-24s  since %s  used %s  until %s  by", s->number, label, since, used, until);
    for (size_t k = 0; k < sizeof(hows) / sizeof(hows[0]); k++)
        if (s->how & hows[k].bit)
            fprintf(arg, " %s", hows[k].name);
    fputc('\n', arg);
    return OK;
}

static int write_sessions(void *arg, struct view *v, FILE *out)
{
    return view_sessions_each(v, ((const struct schema_account *)arg)->id, write_session, out);
}

int command_session_list(struct cli *c)
{
    return instance_print_account(c, true, write_sessions);
}

int command_session_end(struct cli *c)
{
    struct vault_request q = {.type = VAULT_SESSION_DEL, .session.which = SESSION_ALL};
    if ((c->nargs == 2) == (c->opt[OPT_ALL] != NULL))
        return cli_usage(c, "give NUMBER or --all");
    if (c->nargs == 2) {
        q.session.which = SESSION_ONE;
        int rc = read_number(c, c->arg[1], UINT32_MAX, "NUMBER is what `letterlock session list` prints first",
                             &q.session.number);
        if (rc)
            return rc;
    }
    return instance_account_call(c, &q);
}

/* ---- second factors ---- */

static const char *factor_name(uint8_t kind)
{
    switch (kind) {
    case FACTOR_TOTP: return "totp";
    case FACTOR_PASSKEY: return "passkey";
    case FACTOR_RECOVERY: return "codes";
    default: return "damaged";
    }
}

static int write_factor(void *arg, int err, const struct factor *f)
{
    char since[DATE_DAY_SIZE], label[LABEL_MAX];
    date_write_day(f->since, since);
    memcpy(label, f->label, sizeof(label));
    cli_tame(label);
    fprintf(arg, "%4" PRIu32 "  %-8s  %-24s  since %s", f->number, factor_name(err == OK ? f->kind : 0), label, since);
    if (err == OK && f->kind == FACTOR_RECOVERY)
        fprintf(arg, "  %u left", f->codes.n);
    fputc('\n', arg);
    return OK;
}

static int write_factors(void *arg, struct view *v, FILE *out)
{
    return view_factors_each(v, ((const struct schema_account *)arg)->id, write_factor, out);
}

int command_factor_list(struct cli *c)
{
    return instance_print_account(c, true, write_factors);
}

int command_factor_remove(struct cli *c)
{
    struct vault_request q = {.type = VAULT_FACTOR_DEL};
    int rc =
        read_number(c, c->arg[1], UINT32_MAX, "NUMBER is what `letterlock factor list` prints first", &q.factor.number);
    return rc ? rc : instance_account_call(c, &q);
}

/* ---- account show ---- */

struct counting {
    unsigned sessions, factors, wrapped;
    uint64_t now;
};

static int count_session(void *arg, const struct session *s)
{
    struct counting *n = arg;
    n->sessions += s->until > n->now;
    return OK;
}

static int count_factor(void *arg, int err, const struct factor *f)
{
    (void)err;
    (void)f;
    ((struct counting *)arg)->factors++;
    return OK;
}

static int count_wrapped(void *arg, const struct wrapped *w)
{
    (void)w;
    ((struct counting *)arg)->wrapped++;
    return OK;
}

int signin_print(struct view *v, uint64_t account, uint64_t now, FILE *out)
{
    struct counting n = {.now = now};
    struct signin s;
    char changed[DATE_DAY_SIZE];
    int err = view_signin(v, account, &s);
    if (err == ERR_NOT_FOUND)
        return OK;
    if (err == ERR_FORMAT || err == ERR_CRYPTO) {
        fprintf(out, "  sign-in  damaged: letterlock invite --reset lets its owner register anew\n");
        return OK;
    }
    if (err == OK)
        err = view_sessions_each(v, account, count_session, &n);
    if (err == OK)
        err = view_factors_each(v, account, count_factor, &n);
    if (err == OK)
        err = view_wrapped_each(v, account, count_wrapped, &n);
    if (err == OK) {
        date_write_day(s.changed, changed);
        fprintf(out, "  sign-in  a password of %s%s; sessions: %u, second factors: %u, wrapped keys: %u\n", changed,
                sodium_is_zero(s.phrase_key, sizeof(s.phrase_key)) ? "" : ", a recovery phrase", n.sessions, n.factors,
                n.wrapped);
    }
    secmem_wipe(&s, sizeof(s));
    return err;
}
