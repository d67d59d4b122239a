/* letterlock alias and domain. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/cli/cli.h"
#include "server/cli/dkim.h"
#include "server/cli/publish.h"

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
        if (!rc && alias[0] != '@')
            rc = publish_account(c, &i, a.id, PUBLISH_ADDRESS);
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

static int read_alias(void *arg, struct view *v)
{
    struct schema_address *a = arg;
    return view_address(v, a->address, a);
}

/* What is published of it goes first; an account's own address is refused, so that stays. */
int command_alias_remove(struct cli *c)
{
    struct schema_address alias;
    struct instance i;
    int rc = normalize(c, c->arg[0], alias.address);
    if (!rc)
        rc = instance_open(c, INSTANCE_VIEW | INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    const struct vault_request q = {.type = VAULT_ADDRESS_REMOVE, .name.text = slice_str(alias.address)};
    if (view_run(i.view, read_alias, &alias) == OK && alias.kind == ADDRESS_ALIAS)
        rc = publish_withdraw_one(c, &i, alias.address, PUBLISH_ADDRESS);
    if (!rc)
        rc = instance_call(c, &i, &q, -1, NULL);
    instance_close(&i);
    return rc;
}

/* The domain, then its keys: between them it takes mail, and what it sends is not signed. */
static int add_domain(const struct cli *c, struct instance *i, char *domain)
{
    const struct vault_request q = {.type = VAULT_DOMAIN_ADD, .name.text = slice_str(domain)};
    char why[CLI_WHY_MAX] = "";
    struct signing_keys k;
    int rc = instance_call(c, i, &q, -1, NULL);
    if (!rc)
        rc = signing_keys_read(c, i, domain, &k);
    if (rc)
        return rc;
    if (signing_keys_make_first(i->keys, i->vault, domain, &k, why))
        rc = cli_fail(c, "%s is added, but %s; letterlock dkim rotate %s makes it", domain, why, domain);
    signing_keys_free(&k);
    return rc;
}

static int read_known(void *arg, struct view *v)
{
    return view_domain_known(v, arg);
}

/* One that is gone already may have left its keys. */
static int remove_domain(const struct cli *c, struct instance *i, char *domain)
{
    const struct vault_request q = {.type = VAULT_DOMAIN_REMOVE, .name.text = slice_str(domain)};
    struct signing_keys k;
    int rc = signing_keys_read(c, i, domain, &k);
    if (rc)
        return rc;
    if (!k.n || view_run(i->view, read_known, domain) != ERR_NOT_FOUND)
        rc = instance_call(c, i, &q, -1, NULL);
    for (size_t n = 0; n < k.n && !rc; n++)
        rc = signing_key_erase(c, i, k.v[n].hash);
    signing_keys_free(&k);
    return rc;
}

static int with_domain(struct cli *c, int (*fn)(const struct cli *c, struct instance *i, char *domain))
{
    struct instance i;
    char domain[DOMAIN_CAP];
    if (address_domain_normalize(c->arg[0], strlen(c->arg[0]), domain) || !address_domain_is_host(domain))
        return cli_fail(c, "%s is not a domain", c->arg[0]);
    int rc = instance_open(c, INSTANCE_VIEW | INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    rc = fn(c, &i, domain);
    instance_close(&i);
    return rc;
}

int command_domain_add(struct cli *c)
{
    return with_domain(c, add_domain);
}

int command_domain_remove(struct cli *c)
{
    return with_domain(c, remove_domain);
}
