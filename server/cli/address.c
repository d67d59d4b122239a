/* letterlock alias and domain. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/cli/cli.h"

/* An alias, or a catch-all ("@domain"), as the store keeps it. */
static int normalize(const struct cli *c, const char *in, char out[ADDRESS_MAX])
{
    size_t at, plus;
    if (in[0] == '@') {
        out[0] = '@';
        return address_domain_normalize(in + 1, strlen(in + 1), out + 1) ? cli_fail(c, "%s is not a domain", in + 1)
                                                                         : EXIT_DONE;
    }
    return address_normalize(in, strlen(in), out, &at, &plus) ? cli_fail(c, "%s is not a mail address", in) : EXIT_DONE;
}

int command_alias_add(struct cli *c)
{
    struct instance i;
    struct schema_account a;
    char alias[ADDRESS_MAX];
    int rc = normalize(c, c->arg[0], alias);
    if (!rc)
        rc = instance_open(c, INSTANCE_VIEW | INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    rc = instance_account(c, &i, c->arg[1], &a);
    if (!rc) {
        const struct vault_request q = {.type = VAULT_ADDRESS_ADD,
                                        .account = a.id,
                                        .name = {slice_str(alias),
                                                 alias[0] == '@' ? ADDRESS_CATCH_ALL : ADDRESS_ALIAS}};
        rc = instance_call(c, &i, &q, -1, NULL);
    }
    instance_close(&i);
    return rc;
}

struct listing {
    struct view *view;
    FILE *out;
};

static int write_alias(void *arg, const struct schema_address *a)
{
    struct listing *l = arg;
    struct schema_account account;
    if (a->kind == ADDRESS_PRIMARY)
        return 0;
    int err = view_account(l->view, a->account, &account);
    if (!err)
        fprintf(l->out, "%-40s %s\n", a->address, account.address);
    return err;
}

static int write_aliases(void *arg, struct view *v, FILE *out)
{
    struct listing l = {v, out};
    (void)arg;
    return view_addresses_each(v, write_alias, &l);
}

static int write_domain(void *arg, const char *domain)
{
    fprintf(arg, "%s\n", domain);
    return 0;
}

static int write_domains(void *arg, struct view *v, FILE *out)
{
    (void)arg;
    return view_domains_each(v, write_domain, out);
}

static int list(struct cli *c, int (*write)(void *arg, struct view *v, FILE *out))
{
    struct instance i;
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    rc = instance_print(c, &i, true, write, NULL);
    instance_close(&i);
    return rc;
}

int command_alias_list(struct cli *c)
{
    return list(c, write_aliases);
}

int command_domain_list(struct cli *c)
{
    return list(c, write_domains);
}

/* One request about a name alone. */
static int call_with_name(struct cli *c, enum vault_msg type, const char *name)
{
    struct instance i;
    int rc = instance_open(c, INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    rc = instance_call(c, &i, &(struct vault_request){.type = type, .name.text = slice_str(name)}, -1, NULL);
    instance_close(&i);
    return rc;
}

int command_alias_remove(struct cli *c)
{
    char alias[ADDRESS_MAX];
    int rc = normalize(c, c->arg[0], alias);
    return rc ? rc : call_with_name(c, VAULT_ADDRESS_REMOVE, alias);
}

static int with_domain(struct cli *c, enum vault_msg type)
{
    char domain[DOMAIN_CAP];
    if (address_domain_normalize(c->arg[0], strlen(c->arg[0]), domain))
        return cli_fail(c, "%s is not a domain", c->arg[0]);
    return call_with_name(c, type, domain);
}

int command_domain_add(struct cli *c)
{
    return with_domain(c, VAULT_DOMAIN_ADD);
}

int command_domain_remove(struct cli *c)
{
    return with_domain(c, VAULT_DOMAIN_REMOVE);
}

int command_domain_dns(struct cli *c)
{
    struct config config;
    char d[DOMAIN_CAP];
    if (address_domain_normalize(c->arg[0], strlen(c->arg[0]), d))
        return cli_fail(c, "%s is not a domain", c->arg[0]);
    int rc = instance_read_config(c, &config, NULL, NULL);
    if (rc)
        return rc;
    const char *host = config.domain;
    printf("; What %s needs so that mail reaches %s. Put the server's addresses into its A and AAAA records.\n", d,
           host);
    printf("%s.  IN MX 10 %s.\n", d, host);
    printf("_imaps._tcp.%s.  IN SRV 0 1 993 %s.\n", d, host);
    printf("_imap._tcp.%s.  IN SRV 0 0 0 .\n", d);
    /* It sends nothing itself. A record that names it alone would have other servers' mail for the domain refused. */
    printf("; This server sends no mail. SPF, DKIM and DMARC records name whoever sends for %s: ask there, and leave\n"
           "; records that stand already as they are.\n",
           d);
    return EXIT_DONE;
}
