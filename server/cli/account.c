/* letterlock account, alias and domain. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/header_protection.h"
#include "server/base/error.h"
#include "server/cli/cli.h"

/* --policy and --quota; absent ones give the value that means "keep" or the default handed in. */
static int read_policy(const struct cli *c, const char *fallback, uint8_t *ret)
{
    const char *name = c->opt[OPT_POLICY] ? c->opt[OPT_POLICY] : fallback;
    enum header_policy p;
    if (header_policy_parse(name, &p))
        return cli_fail(c, "no policy is called %s: shy, baseline or hidden", name);
    *ret = (uint8_t)p;
    return EXIT_DONE;
}

static int read_quota(const struct cli *c, uint64_t fallback, uint64_t *ret)
{
    *ret = fallback;
    if (!c->opt[OPT_QUOTA])
        return EXIT_DONE;
    char *end;
    unsigned long long v = strtoull(c->opt[OPT_QUOTA], &end, 10);
    static const char units[] = "KMGT";
    if (*end && strchr(units, *end)) {
        for (const char *u = units; u <= strchr(units, *end); u++)
            v *= 1024;
        end++;
    }
    if (*end || end == c->opt[OPT_QUOTA] || v > UINT64_C(1) << 60)
        return cli_fail(c, "--quota takes bytes, or a number with K, M, G or T");
    *ret = v;
    return EXIT_DONE;
}

int command_account_add(struct cli *c)
{
    if (!c->opt[OPT_KEY] == !c->opt[OPT_NEW_KEY])
        return cli_fail(c, "give --key CERT.asc (the reader's certificate) or --new-key SECRET.asc (a pair for trials)");
    struct instance i;
    int rc = instance_open(c, INSTANCE_VIEW | INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    uint8_t policy = 0, *cert = NULL;
    uint64_t quota = 0;
    size_t cert_len = 0;
    struct pgp_verdict verdict;
    char address[ADDRESS_MAX];
    size_t at, plus;
    rc = read_policy(c, i.config.policy_default, &policy);
    if (!rc)
        rc = read_quota(c, i.config.quota_default, &quota);
    if (!rc && address_normalize(c->arg[0], strlen(c->arg[0]), address, &at, &plus))
        rc = cli_fail(c, "%s is not a mail address", c->arg[0]);
    const char *path = c->opt[OPT_KEY];
    char made[] = "/dev/shm/letterlock-cert-XXXXXX";
    if (!rc && c->opt[OPT_NEW_KEY]) {
        uint8_t *fresh = NULL;
        size_t fresh_len = 0;
        rc = cli_new_key(c, address, c->opt[OPT_NEW_KEY], &fresh, &fresh_len);
        int fd = rc ? -1 : mkstemp(made);
        if (!rc && (fd < 0 || write(fd, fresh, fresh_len) != (ssize_t)fresh_len))
            rc = cli_fail(c, "cannot write to /dev/shm");
        if (fd >= 0)
            close(fd);
        free(fresh);
        path = made;
    }
    if (!rc)
        rc = cli_judge(c, &i, path, &verdict, &cert, &cert_len);
    if (path == made)
        unlink(made);
    if (!rc) {
        uint8_t payload[ADDRESS_MAX + 256], packed[PGP_VERDICT_SIZE];
        struct pack p;
        struct unpack body;
        pack_init(&p, payload, sizeof payload);
        pack_str(&p, address);
        pack_u8(&p, policy);
        pack_u64(&p, quota);
        pack_u8(&p, c->opt[OPT_NEW_KEY] != NULL);
        pgp_verdict_pack(&verdict, packed);
        pack_raw(&p, packed, sizeof packed);
        pack_u32(&p, (uint32_t)cert_len);
        int fd = cli_memfd(cert, cert_len);
        rc = fd < 0 ? cli_fail(c, "out of memory") : instance_call(c, &i, VAULT_ACCOUNT_ADD, &p, fd, &body);
        if (fd >= 0)
            close(fd);
    }
    if (!rc) {
        printf("%s  key ", address);
        cli_print_fpr(verdict.primary_fpr, verdict.primary_fpr_len);
        printf("%s\n", c->opt[OPT_NEW_KEY] ? "  (made here, for trials)" : "");
    }
    free(cert);
    instance_close(&i);
    return rc;
}

struct account_row { uint64_t id; char address[ADDRESS_MAX]; };
struct account_rows { struct account_row *rows; size_t n, cap; };

static int collect_account(void *arg, uint64_t account, const char *address)
{
    struct account_rows *r = arg;
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 64;
        void *rows = realloc(r->rows, cap * sizeof *r->rows);
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

struct usage_of { uint64_t account; struct schema_usage usage; };

static int read_usage(void *arg, struct view *v)
{
    struct usage_of *u = arg;
    return schema_get_usage(view_txn(v), u->account, &u->usage);
}

int command_account_list(struct cli *c)
{
    struct instance i;
    struct account_rows r = {0};
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    int err = instance_snapshot(&i, read_accounts, &r);
    if (err)
        rc = cli_fail(c, "the store cannot be read: %s", err_str(err));
    if (r.n)
        qsort(r.rows, r.n, sizeof *r.rows, by_address);
    for (size_t k = 0; k < r.n && !rc; k++) {
        struct usage_of u = {.account = r.rows[k].id};
        if (!instance_snapshot(&i, read_usage, &u))
            printf("%-40s %8" PRIu64 " messages %12" PRIu64 " bytes\n", r.rows[k].address, u.usage.messages, u.usage.bytes);
    }
    free(r.rows);
    instance_close(&i);
    return rc;
}

static int print_mailbox(void *arg, const struct schema_mailbox_name *name, const struct schema_mailbox *box)
{
    printf("  mailbox  %-30s %8" PRIu32 " messages %8" PRIu32 " unseen\n", name->name, box->exists, box->unseen);
    return 0;
}

static int print_address(void *arg, const struct schema_address *a)
{
    if (a->account == *(uint64_t *)arg && a->kind != ADDRESS_PRIMARY)
        printf("  %s %s\n", a->kind == ADDRESS_ALIAS ? "alias   " : "catches ", a->address);
    return 0;
}

static int print_key(void *arg, const struct schema_key *key)
{
    printf("  key      ");
    cli_print_fpr(key->verdict.primary_fpr, key->verdict.primary_fpr_len);
    printf("  %s%s\n", key->state == KEY_CURRENT ? "current" : "retired", key->verdict.native ? "" : ", sealed by gpg");
    return 0;
}

/* Printing under a snapshot: an account's records are few. */
static int print_account(void *arg, struct view *v)
{
    struct schema_account *a = arg;
    struct schema_usage u;
    int err = schema_get_usage(view_txn(v), a->id, &u);
    if (err)
        return err;
    printf("%s\n  policy   %s\n  quota    ", a->address, header_policy_name(a->policy));
    if (a->quota_bytes)
        printf("%" PRIu64 " of %" PRIu64 " bytes\n", u.bytes, a->quota_bytes);
    else
        printf("none (%" PRIu64 " bytes used)\n", u.bytes);
    if (a->trial_key)
        printf("  note     its key pair was made on the server, for trials\n");
    err = view_addresses_each(v, print_address, &a->id);
    if (!err)
        err = view_keys_each(v, a->id, print_key, NULL);
    if (!err)
        err = view_mailboxes_each(v, a->id, print_mailbox, NULL);
    return err;
}

int command_account_show(struct cli *c)
{
    struct instance i;
    struct schema_account a;
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    rc = instance_account(c, &i, c->arg[0], &a);
    if (!rc && view_begin(i.view))
        rc = cli_fail(c, "the store cannot be read");
    else if (!rc) {
        if (print_account(&a, i.view))
            rc = cli_fail(c, "the store cannot be read");
        view_end(i.view);
    }
    instance_close(&i);
    return rc;
}

int command_account_set(struct cli *c)
{
    struct instance i;
    struct schema_account a;
    if (!c->opt[OPT_POLICY] && !c->opt[OPT_QUOTA])
        return cli_fail(c, "nothing to change: give --policy or --quota");
    int rc = instance_open(c, INSTANCE_VIEW | INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    uint8_t policy = 255;
    uint64_t quota = UINT64_MAX;
    if (c->opt[OPT_POLICY])
        rc = read_policy(c, NULL, &policy);
    if (!rc)
        rc = read_quota(c, UINT64_MAX, &quota);
    if (!rc)
        rc = instance_account(c, &i, c->arg[0], &a);
    if (!rc) {
        uint8_t payload[32];
        struct pack p;
        pack_init(&p, payload, sizeof payload);
        pack_u64(&p, a.id);
        pack_u8(&p, policy);
        pack_u64(&p, quota);
        rc = instance_call(c, &i, VAULT_ACCOUNT_SET, &p, -1, NULL);
    }
    instance_close(&i);
    return rc;
}

int command_account_remove(struct cli *c)
{
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
        rc = instance_call(c, &i, VAULT_ACCOUNT_REMOVE, &p, -1, NULL);
    }
    instance_close(&i);
    return rc;
}

int command_alias_add(struct cli *c)
{
    struct instance i;
    struct schema_account a;
    char alias[ADDRESS_MAX];
    size_t at, plus;
    bool catch_all = c->arg[0][0] == '@';
    if (catch_all) {
        /* A catch-all is kept as "@domain"; the local part here only borrows the address grammar. */
        char probe[ADDRESS_MAX + 2], full[ADDRESS_MAX];
        if ((size_t)snprintf(probe, sizeof probe, "x%s", c->arg[0]) >= sizeof probe ||
            address_normalize(probe, strlen(probe), full, &at, &plus))
            return cli_fail(c, "%s is not a domain", c->arg[0] + 1);
        snprintf(alias, sizeof alias, "%s", full + at);
        if (alias[0] != '@')
            snprintf(alias, sizeof alias, "@%s", full + at);
    } else if (address_normalize(c->arg[0], strlen(c->arg[0]), alias, &at, &plus)) {
        return cli_fail(c, "%s is not a mail address", c->arg[0]);
    }
    int rc = instance_open(c, INSTANCE_VIEW | INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    rc = instance_account(c, &i, c->arg[1], &a);
    if (!rc) {
        uint8_t payload[ADDRESS_MAX + 16];
        struct pack p;
        pack_init(&p, payload, sizeof payload);
        pack_str(&p, alias);
        pack_u8(&p, catch_all ? ADDRESS_CATCH_ALL : ADDRESS_ALIAS);
        pack_u64(&p, a.id);
        rc = instance_call(c, &i, VAULT_ADDRESS_ADD, &p, -1, NULL);
    }
    instance_close(&i);
    return rc;
}

static int print_alias(void *arg, const struct schema_address *a)
{
    struct schema_account account;
    if (a->kind == ADDRESS_PRIMARY || view_account(arg, a->account, &account))
        return 0;
    printf("%-40s %s\n", a->address, account.address);
    return 0;
}

static int print_domain(void *arg, const char *domain)
{
    puts(domain);
    return 0;
}

static int list(struct cli *c, int (*each)(struct view *v))
{
    struct instance i;
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    if (view_begin(i.view) || each(i.view))
        rc = cli_fail(c, "the store cannot be read");
    view_end(i.view);
    instance_close(&i);
    return rc;
}

static int list_aliases(struct view *v)
{
    return view_addresses_each(v, print_alias, v);
}

static int list_domains(struct view *v)
{
    return view_domains_each(v, print_domain, NULL);
}

int command_alias_list(struct cli *c)
{
    return list(c, list_aliases);
}

int command_domain_list(struct cli *c)
{
    return list(c, list_domains);
}

/* One request whose payload is one string. */
static int call_with_name(struct cli *c, enum vault_request type, const char *name)
{
    struct instance i;
    int rc = instance_open(c, INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    uint8_t payload[ADDRESS_MAX + 16];
    struct pack p;
    pack_init(&p, payload, sizeof payload);
    pack_str(&p, name);
    rc = p.failed ? cli_fail(c, "%s is too long", name) : instance_call(c, &i, type, &p, -1, NULL);
    instance_close(&i);
    return rc;
}

int command_alias_remove(struct cli *c)
{
    char alias[ADDRESS_MAX];
    size_t at, plus;
    if (c->arg[0][0] == '@')
        return call_with_name(c, VAULT_ADDRESS_REMOVE, c->arg[0]);
    if (address_normalize(c->arg[0], strlen(c->arg[0]), alias, &at, &plus))
        return cli_fail(c, "%s is not a mail address", c->arg[0]);
    return call_with_name(c, VAULT_ADDRESS_REMOVE, alias);
}

int command_domain_add(struct cli *c)
{
    return call_with_name(c, VAULT_DOMAIN_ADD, c->arg[0]);
}

int command_domain_remove(struct cli *c)
{
    return call_with_name(c, VAULT_DOMAIN_REMOVE, c->arg[0]);
}

int command_domain_dns(struct cli *c)
{
    struct config config;
    int rc = instance_read_config(c, &config, NULL, NULL);
    if (rc)
        return rc;
    const char *d = c->arg[0], *host = config.domain;
    printf("; What %s needs so that mail reaches %s. Put the server's addresses into its A and AAAA records.\n", d, host);
    printf("%s.  IN MX 10 %s.\n", d, host);
    printf("%s.  IN TXT \"v=spf1 mx -all\"\n", d);
    printf("_dmarc.%s.  IN TXT \"v=DMARC1; p=reject\"\n", d);
    printf("_imaps._tcp.%s.  IN SRV 0 1 993 %s.\n", d, host);
    printf("_imap._tcp.%s.  IN SRV 0 0 0 .\n", d);
    return EXIT_DONE;
}
