/* letterlock account. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/format/protection.h"
#include "server/core/error.h"
#include "server/cli/cli.h"
#include "server/cli/forward.h"
#include "server/cli/key_facts.h"
#include "server/cli/publish.h"
#include "server/cli/sending.h"
#include "server/cli/signin.h"

#define DISPLAY "+display"
#define QUOTA_MAX (UINT64_C(1) << 50) /* the configuration's bound */

static const char *const seal_v2_names[] = {[SEAL_V2_AUTO] = "auto", [SEAL_V2_NEVER] = "never", NULL};
static const char *const yes_no_names[] = {"no", "yes", NULL};
static const char *const encrypt_names[] = {
    [ENCRYPT_NEVER] = "never", [ENCRYPT_OPPORTUNISTIC] = "opportunistic", [ENCRYPT_ALWAYS] = "always", NULL};

/* --policy and --quota; absent ones give the value that means "keep" or the default handed in. */
static int read_policy(const struct cli *c, const char *fallback, uint8_t *ret)
{
    const char *name = c->opt[OPT_POLICY] ? c->opt[OPT_POLICY] : fallback;
    char word[16] = "";
    enum header_policy p;
    size_t len = strlen(name), suffix = strlen(DISPLAY);
    bool display = len > suffix && !strcmp(name + len - suffix, DISPLAY);
    if (display)
        len -= suffix;
    if (len < sizeof(word))
        memcpy(word, name, len);
    if (header_policy_parse(word, &p))
        return cli_usage(c, "no policy is called %s: shy, baseline or hidden, with " DISPLAY " or without", name);
    *ret = (uint8_t)((uint8_t)p | (display ? POLICY_DISPLAY : 0));
    return EXIT_DONE;
}

/* Digits, then perhaps K, M, G or T, then perhaps B. */
static int read_quota(const struct cli *c, uint64_t fallback, uint64_t *ret)
{
    static const char units[] = "KMGT";
    const char *s = c->opt[OPT_QUOTA];
    uint64_t v = 0;
    if (!s) {
        *ret = fallback;
        return EXIT_DONE;
    }
    bool ok = *s >= '0' && *s <= '9';
    for (; ok && *s >= '0' && *s <= '9'; s++) {
        v = v * 10 + (uint64_t)(*s - '0');
        ok = v <= QUOTA_MAX;
    }
    const char *unit = ok && *s ? strchr(units, *s) : NULL;
    for (const char *u = units; unit && ok && u <= unit; u++) {
        ok = v <= QUOTA_MAX / 1024;
        v *= 1024;
    }
    s += unit != NULL;
    s += unit != NULL && *s == 'B';
    if (!ok || *s)
        return cli_usage(c, "--quota takes bytes up to 1024T, or a number with K, M, G or T behind it; 0 is no limit");
    *ret = v;
    return EXIT_DONE;
}

/* The pair is made only for an address that can be had: what is then still refused leaves no secret key behind. */
static int read_address(void *arg, struct view *v)
{
    const char *address = arg;
    struct schema_address taken;
    int err = view_address(v, address, &taken);
    if (err != ERR_NOT_FOUND)
        return err ? err : ERR_EXISTS;
    return view_domain_known(v, strchr(address, '@') + 1);
}

static int check_address(const struct cli *c, struct instance *i, char *address)
{
    int err = view_run(i->view, read_address, address);
    if (err == ERR_EXISTS)
        return cli_fail(c, "%s is taken; letterlock account list and alias list show by whom", address);
    if (err == ERR_NOT_FOUND)
        return cli_fail(c, "%s is not in one of this server's domains; letterlock domain add adds one", address);
    return err ? cli_fail(c, "the store cannot be read: %s", err_str(err)) : EXIT_DONE;
}

static int get_certificate(const struct cli *c, struct instance *i, const char *address, struct pgp_verdict *ret,
                           uint8_t **ret_cert, size_t *ret_len)
{
    if (c->opt[OPT_KEY])
        return cli_judge_file(c, i, c->opt[OPT_KEY], ret, ret_cert, ret_len, NULL);
    uint8_t *fresh;
    size_t len;
    int rc = cli_new_key(c, address, c->opt[OPT_NEW_KEY], &fresh, &len);
    if (rc)
        return rc;
    rc = cli_judge(c, i, "the new certificate", fresh, len, ret, ret_cert, ret_len, NULL);
    free(fresh);
    if (rc)
        unlink(c->opt[OPT_NEW_KEY]);
    return rc;
}

struct fresh_account {
    char address[ADDRESS_MAX];
    uint8_t policy;
    uint64_t quota;
    struct pgp_verdict verdict;
    uint8_t *cert;
    size_t cert_len;
};

static int add_account_with(const struct cli *c, struct instance *i, const struct fresh_account *a)
{
    const struct vault_request q = {.type = VAULT_ACCOUNT_ADD,
                                    .new = {.address = slice_str(a->address),
                                            .policy = a->policy,
                                            .quota = a->quota,
                                            .trial = c->opt[OPT_NEW_KEY] != NULL,
                                            .publish = i->config.publish_default,
                                            .autocrypt = i->config.autocrypt_default,
                                            .verdict = a->verdict,
                                            .cert_len = (uint32_t)a->cert_len}};
    return instance_call_cert(c, i, &q, a->cert, a->cert_len);
}

static int publish_new(const struct cli *c, struct instance *i, const char *address)
{
    struct schema_account a;
    int rc = instance_account(c, i, address, &a);
    return rc ? rc : publish_account(c, i, a.id, PUBLISH_KEY);
}

int command_account_add(struct cli *c)
{
    if (!c->opt[OPT_KEY] == !c->opt[OPT_NEW_KEY])
        return cli_usage(c, "give --key CERT.asc (the reader's certificate) or --new-key SECRET.asc (a pair for "
                            "trials)");
    if (c->opt[OPT_PASSPHRASE_FILE] && !c->opt[OPT_NEW_KEY])
        return cli_usage(c, "--passphrase-file goes with --new-key");
    struct instance i;
    struct fresh_account a = {.cert = NULL};
    size_t at, plus;
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    rc = read_policy(c, i.config.policy_default, &a.policy);
    if (!rc)
        rc = read_quota(c, i.config.quota_default, &a.quota);
    if (!rc && address_normalize(c->arg[0], strlen(c->arg[0]), a.address, &at, &plus))
        rc = cli_fail(c, "%s is not a mail address", c->arg[0]);
    if (!rc)
        rc = check_address(c, &i, a.address);
    if (!rc)
        rc = get_certificate(c, &i, a.address, &a.verdict, &a.cert, &a.cert_len);
    if (!rc) {
        rc = instance_vault(c, &i);
        if (!rc)
            rc = add_account_with(c, &i, &a);
        if (rc && c->opt[OPT_NEW_KEY])
            unlink(c->opt[OPT_NEW_KEY]);
    }
    if (!rc) {
        printf("%s  key ", a.address);
        cli_print_fpr(stdout, a.verdict.primary_fpr, a.verdict.primary_fpr_len);
        printf("%s\n", c->opt[OPT_NEW_KEY] ? "  (made here, for trials)" : "");
        rc = publish_new(c, &i, a.address);
    }
    free(a.cert);
    instance_close(&i);
    return rc;
}

struct account_row {
    uint64_t id;
    char address[ADDRESS_MAX];
};
struct account_rows {
    struct account_row *rows;
    size_t n, cap;
};

static int collect_account(void *arg, uint64_t account, const char *address)
{
    struct account_rows *r = arg;
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 64;
        void *rows = realloc(r->rows, cap * sizeof(*r->rows));
        if (!rows)
            return ERR_MEMORY;
        r->rows = rows;
        r->cap = cap;
    }
    r->rows[r->n].id = account;
    snprintf(r->rows[r->n++].address, ADDRESS_MAX, "%s", address);
    return 0;
}

static int read_accounts(void *arg, struct view *v)
{
    ((struct account_rows *)arg)->n = 0;
    return view_accounts_each(v, collect_account, arg);
}

static int by_address(const void *a, const void *b)
{
    return strcmp(((const struct account_row *)a)->address, ((const struct account_row *)b)->address);
}

struct listed {
    const struct account_row *row;
    bool plaintext; /* forward_plaintext */
};

static int print_listed(void *arg, struct view *v, FILE *out)
{
    const struct listed *l = arg;
    struct schema_account a;
    struct schema_usage u;
    int err = view_usage(v, l->row->id, &u), held = view_held(v, l->row->id);
    if (!err && held != ERR_NOT_FOUND)
        err = held;
    if (!err)
        err = view_account(v, l->row->id, &a);
    if (err)
        return err;
    fprintf(out, "%-40s %8" PRIu64 " messages %12" PRIu64 " bytes%s", l->row->address, u.messages, u.bytes,
            held == OK ? "  held: it sends nothing" : "");
    err = forward_print_short(v, &a, l->plaintext, out);
    fputc('\n', out);
    return err;
}

int command_account_list(struct cli *c)
{
    struct instance i;
    struct account_rows r = {0};
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    int err = view_run(i.view, read_accounts, &r);
    if (err)
        rc = cli_fail(c, "the store cannot be read: %s", err_str(err));
    if (r.n)
        qsort(r.rows, r.n, sizeof(*r.rows), by_address);
    for (size_t k = 0; k < r.n && !rc; k++) {
        struct listed l = {&r.rows[k], i.config.forward_plaintext};
        rc = instance_print(c, &i, false, print_listed, &l);
    }
    free(r.rows);
    instance_close(&i);
    return rc;
}

struct show {
    uint64_t account;
    FILE *out;
};

static int print_mailbox(void *arg, const struct schema_mailbox_name *name, const struct schema_mailbox *box)
{
    const struct show *s = arg;
    fprintf(s->out, "  mailbox  %-30s %8" PRIu32 " messages %8" PRIu32 " unseen\n", name->name, box->exists,
            box->unseen);
    return 0;
}

static int print_address(void *arg, const struct schema_address *a)
{
    const struct show *s = arg;
    if (a->account == s->account && a->kind != ADDRESS_PRIMARY)
        fprintf(s->out, "  %s %s\n", a->kind == ADDRESS_ALIAS ? "alias   " : "catches ", a->address);
    return 0;
}

static int print_key(void *arg, const struct schema_key *key)
{
    const struct show *s = arg;
    fprintf(s->out, "  key      ");
    cli_print_fpr(s->out, key->verdict.primary_fpr, key->verdict.primary_fpr_len);
    fprintf(s->out, "  %s%s\n", key_state_name(key->state), key->verdict.native ? "" : ", sealed by gpg");
    return 0;
}

struct shown {
    const struct schema_account *account;
    bool plaintext; /* forward_plaintext */
};

static int print_account(void *arg, struct view *v, FILE *out)
{
    const struct shown *shown = arg;
    const struct schema_account *a = shown->account;
    struct show s = {a->id, out};
    struct schema_usage u;
    int err = view_usage(v, a->id, &u);
    if (err)
        return err;
    fprintf(out, "%s\n  policy   %s%s\n  quota    ", a->address,
            header_policy_name((enum header_policy)(a->policy & ~POLICY_DISPLAY)),
            a->policy & POLICY_DISPLAY ? DISPLAY : "");
    if (a->quota_bytes)
        fprintf(out, "%" PRIu64 " of %" PRIu64 " bytes\n", u.bytes, a->quota_bytes);
    else
        fprintf(out, "none (%" PRIu64 " bytes used)\n", u.bytes);
    fprintf(out, "  seal-v2  %s\n  encrypt  %s\n", seal_v2_names[a->seal_v2], encrypt_names[a->encrypt]);
    if (a->trial_key)
        fprintf(out, "  note     its key pair was made on the server, for trials\n");
    err = forward_print(v, a, shown->plaintext, out);
    if (!err)
        err = sending_print(v, a->id, (uint64_t)time(NULL), out);
    if (!err)
        err = signin_print(v, a->id, (uint64_t)time(NULL), out);
    if (!err)
        err = publish_print(v, a, out);
    if (!err)
        err = view_addresses_each(v, print_address, &s);
    if (!err)
        err = view_keys_each(v, a->id, print_key, &s);
    if (!err)
        err = view_mailboxes_each(v, a->id, print_mailbox, &s);
    return err;
}

static int show_about(const struct cli *c, struct instance *i, const struct schema_account *a, void *arg)
{
    struct shown shown = {a, i->config.forward_plaintext};
    return instance_print(c, i, false, print_account, &shown);
}

int command_account_show(struct cli *c)
{
    return instance_with_account(c, INSTANCE_VIEW, show_about, NULL);
}

const char *account_encrypt_name(uint8_t encrypt)
{
    return encrypt_names[encrypt];
}

/* An option's word to its number among names; an absent one leaves ret. */
static int read_word(const struct cli *c, unsigned opt, const char *const *names, const char *usage, uint8_t *ret)
{
    const char *name = c->opt[opt];
    if (!name)
        return EXIT_DONE;
    for (uint8_t k = 0; names[k]; k++)
        if (!strcmp(name, names[k])) {
            *ret = k;
            return EXIT_DONE;
        }
    return cli_usage(c, "%s", usage);
}

struct setting {
    struct vault_request q;
    char forward[ADDRESS_MAX];
};

/* Who is not to be found any more is withdrawn first: a death in between hides them. */
static int set_about(const struct cli *c, struct instance *i, const struct schema_account *a, void *arg)
{
    struct setting *s = arg;
    int rc = forward_check(c, i, a, &s->q);
    s->q.account = a->id;
    if (!rc && s->q.new.publish == 0)
        rc = publish_withdraw(c, i, a->id, PUBLISH_WISH);
    if (!rc)
        rc = instance_call(c, i, &s->q, -1, NULL);
    if (!rc && s->q.new.publish != VAULT_PUBLISH_KEEP)
        rc = publish_account(c, i, a->id, PUBLISH_WISH);
    return rc;
}

static bool nothing_to_set(const struct cli *c)
{
    static const enum cli_option options[] = {OPT_POLICY,    OPT_QUOTA,      OPT_SEAL_V2,      OPT_ENCRYPT,
                                              OPT_PUBLISH,   OPT_FORWARD,    OPT_FORWARD_ONLY, OPT_FORWARD_OWN_KEYS,
                                              OPT_AUTOCRYPT, OPT_KEY_CHANGES};
    for (size_t k = 0; k < sizeof(options) / sizeof(options[0]); k++)
        if (c->opt[options[k]])
            return false;
    return true;
}

int command_account_set(struct cli *c)
{
    struct setting s = {.q = {.type = VAULT_ACCOUNT_SET,
                              .new = {.policy = VAULT_POLICY_KEEP,
                                      .quota = VAULT_QUOTA_KEEP,
                                      .seal_v2 = VAULT_SEAL_V2_KEEP,
                                      .encrypt = VAULT_ENCRYPT_KEEP,
                                      .publish = VAULT_PUBLISH_KEEP,
                                      .autocrypt = VAULT_AUTOCRYPT_KEEP,
                                      .key_changes = VAULT_KEY_CHANGES_KEEP}}};
    struct vault_account *new = &s.q.new;
    if (nothing_to_set(c))
        return cli_usage(c, "nothing to change: give --policy, --quota, --seal-v2, --encrypt, --publish, --autocrypt, "
                            "--key-change-notices or --forward");
    int rc = c->opt[OPT_POLICY] ? read_policy(c, NULL, &new->policy) : EXIT_DONE;
    if (!rc)
        rc = read_quota(c, VAULT_QUOTA_KEEP, &new->quota);
    if (!rc)
        rc = read_word(c, OPT_SEAL_V2, seal_v2_names, "--seal-v2 takes auto or never", &new->seal_v2);
    if (!rc)
        rc = read_word(c, OPT_ENCRYPT, encrypt_names, "--encrypt takes never, opportunistic or always", &new->encrypt);
    if (!rc)
        rc = read_word(c, OPT_PUBLISH, yes_no_names, "--publish takes yes or no", &new->publish);
    if (!rc)
        rc = read_word(c, OPT_AUTOCRYPT, yes_no_names, "--autocrypt takes yes or no", &new->autocrypt);
    if (!rc)
        rc = read_word(c, OPT_KEY_CHANGES, yes_no_names, "--key-change-notices takes yes or no", &new->key_changes);
    if (!rc)
        rc = forward_read(c, &s.q, s.forward);
    return rc ? rc : instance_with_account(c, INSTANCE_VIEW | INSTANCE_VAULT, set_about, &s);
}

static int remove_account(const struct cli *c, struct instance *i, const struct schema_account *a, void *arg)
{
    const struct vault_request q = {.type = VAULT_ACCOUNT_REMOVE, .account = a->id};
    int rc = publish_withdraw(c, i, a->id, PUBLISH_ADDRESS);
    (void)arg;
    return rc ? rc : instance_call(c, i, &q, -1, NULL);
}

int command_account_remove(struct cli *c)
{
    return instance_with_account(c, INSTANCE_VIEW | INSTANCE_VAULT, remove_account, NULL);
}
