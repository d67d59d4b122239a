/* letterlock dkim: the keys that sign what goes out. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "server/cli/dkim.h"
#include "server/core/error.h"
#include "server/mail/date.h"
#include "server/mailauth/dkim.h"

static const uint8_t algorithms[] = {DKIM_RSA_SHA256, DKIM_ED25519_SHA256};
static const char *const algorithm_names[] = {
    [DKIM_RSA_SHA256] = "rsa-sha256", [DKIM_ED25519_SHA256] = "ed25519-sha256"};
static const char *const state_names[] = {
    [DKIM_PUBLISHED] = "published", [DKIM_IN_USE] = "in-use", [DKIM_RETIRED] = "retired", [DKIM_OVER] = "over"};

/* ---- list and show ---- */

static json_t *time_to_json(uint64_t t)
{
    char text[DATE_INTERNET_SIZE];
    if (t > DATE_LAST)
        return json_null();
    date_write_internet((int64_t)t, text);
    return json_string(text);
}

static json_t *key_to_json(const struct signing_key *k)
{
    char name[DOMAIN_CAP + DKIM_RECORD_SELECTOR_CAP + 16];
    snprintf(name, sizeof(name), "%s._domainkey.%s", k->record.selector, k->record.domain);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:s, s:s*}", "domain", k->record.domain, "selector",
                     k->record.selector, "algorithm", algorithm_names[k->record.algorithm], "state",
                     state_names[k->due.state], "made", time_to_json(k->record.made), "used_from",
                     time_to_json(k->record.use_from), "until", time_to_json(k->due.until), "name", name, "txt",
                     k->txt);
}

static void print_json(const struct signing_keys *k)
{
    json_t *all = json_array();
    for (size_t n = 0; n < k->n; n++)
        json_array_append_new(all, key_to_json(&k->v[n]));
    all = json_pack("{s:o, s:I}", "keys", all, "unreadable", (json_int_t)k->nlost);
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
    putchar('\n');
    json_decref(all);
}

static void print_list(const struct signing_keys *k)
{
    for (size_t n = 0; n < k->n; n++) {
        printf("%-30s %-20s %-15s ", k->v[n].record.domain, k->v[n].record.selector,
               algorithm_names[k->v[n].record.algorithm]);
        signing_key_say(stdout, &k->v[n]);
        putchar('\n');
    }
}

static void print_records(const struct signing_keys *k)
{
    for (size_t n = 0; n < k->n; n++) {
        printf("; %s ", k->v[n].record.selector);
        signing_key_say(stdout, &k->v[n]);
        putchar('\n');
        if (k->v[n].txt && k->v[n].due.state != DKIM_OVER)
            signing_key_print(stdout, &k->v[n]);
    }
}

/* domain NULL: all. */
static int with_keys(const struct cli *c, const char *domain, void (*print)(const struct signing_keys *k))
{
    struct instance i;
    struct signing_keys k;
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    rc = signing_keys_read(c, &i, domain, &k);
    if (!rc) {
        if (domain && !k.n)
            rc = cli_fail(c, "%s has no keys that sign; letterlock dkim rotate makes them", domain);
        else
            print(&k);
        if (!rc && k.nlost && !c->opt[OPT_JSON])
            cli_mind(c, "%zu keys do not open with this queue.key; letterlock dkim rotate erases them", k.nlost);
        signing_keys_free(&k);
    }
    instance_close(&i);
    return rc;
}

static int read_domain(const struct cli *c, char out[DOMAIN_CAP])
{
    return address_domain_normalize(c->arg[0], strlen(c->arg[0]), out) ? cli_fail(c, "%s is not a domain", c->arg[0])
                                                                       : EXIT_DONE;
}

int command_dkim_list(struct cli *c)
{
    char domain[DOMAIN_CAP];
    int rc = c->nargs ? read_domain(c, domain) : EXIT_DONE;
    return rc ? rc : with_keys(c, c->nargs ? domain : NULL, c->opt[OPT_JSON] ? print_json : print_list);
}

int command_dkim_show(struct cli *c)
{
    char domain[DOMAIN_CAP];
    int rc = read_domain(c, domain);
    return rc ? rc : with_keys(c, domain, c->opt[OPT_JSON] ? print_json : print_records);
}

/* ---- rotate ---- */

static int read_known(void *arg, struct view *v)
{
    return view_domain_known(v, arg);
}

static int check_domain(const struct cli *c, struct instance *i, char *domain)
{
    int err = view_run(i->view, read_known, domain);
    if (err == ERR_NOT_FOUND)
        return cli_fail(c, "%s is not one of this server's domains; letterlock domain add adds it", domain);
    return err ? cli_fail(c, "the store cannot be read: %s", err_str(err)) : EXIT_DONE;
}

/* The domain's last one of that algorithm, or NULL. */
static struct signing_key *last_of(const struct signing_keys *k, uint8_t algorithm)
{
    struct signing_key *last = NULL;
    for (size_t n = 0; n < k->n; n++)
        if (k->v[n].record.algorithm == algorithm)
            last = &k->v[n];
    return last;
}

static int rotate_one(const struct cli *c, struct instance *i, const char *domain, uint8_t algorithm,
                      const struct signing_keys *k)
{
    char why[CLI_WHY_MAX] = "";
    struct signing_key *last = last_of(k, algorithm);
    bool now = c->opt[OPT_NOW] || !last || !last->txt;
    int err = OK;
    if (last && last->due.state == DKIM_PUBLISHED) {
        if (!now)
            return EXIT_DONE; /* print_records says when it signs */
        last->record.use_from = k->now;
        err = signing_key_put(i->keys, i->vault, &last->record, why);
    } else {
        err = signing_key_make(i->keys, i->vault, domain, algorithm, k,
                               now ? k->now : k->now + i->config.dkim_publish_wait, why);
    }
    return err ? cli_fail(c, "%s", why) : EXIT_DONE;
}

/* What nobody looks up any more, and what nobody can open. */
static int erase_old(const struct cli *c, struct instance *i, const struct signing_keys *k)
{
    int rc = EXIT_DONE;
    for (size_t n = 0; n < k->n && !rc; n++)
        if (k->v[n].due.state == DKIM_OVER)
            rc = signing_key_erase(c, i, k->v[n].hash);
    for (size_t n = 0; n < k->nlost && !rc; n++)
        rc = signing_key_erase(c, i, k->lost[n]);
    return rc;
}

static int rotate(const struct cli *c, struct instance *i, const char *domain)
{
    struct signing_keys k;
    int rc = signing_keys_read(c, i, domain, &k);
    if (rc)
        return rc;
    rc = erase_old(c, i, &k);
    for (size_t a = 0; a < sizeof(algorithms) && !rc; a++)
        rc = rotate_one(c, i, domain, algorithms[a], &k);
    signing_keys_free(&k);
    if (!rc)
        rc = signing_keys_read(c, i, domain, &k);
    if (rc)
        return rc;
    print_records(&k);
    signing_keys_free(&k);
    return EXIT_DONE;
}

int command_dkim_rotate(struct cli *c)
{
    struct instance i;
    char domain[DOMAIN_CAP];
    int rc = read_domain(c, domain);
    if (!rc)
        rc = instance_open(c, INSTANCE_VIEW | INSTANCE_VAULT, &i);
    if (rc)
        return rc;
    rc = check_domain(c, &i, domain);
    if (!rc)
        rc = rotate(c, &i, domain);
    instance_close(&i);
    return rc;
}
