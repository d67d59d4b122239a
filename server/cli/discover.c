/* letterlock discover: where the key of an address is found, and how sure that is. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "keyserver/discover/finder.h"
#include "server/cli/outside.h"
#include "server/core/error.h"
#include "server/keys/known.h"
#include "server/mail/address.h"
#include "server/mail/date.h"

enum { WAIT_DEFAULT = 10 /* seconds, where discover_wait has nobody asked */ };

struct look {
    const struct cli *cli;
    const char *address;
    struct loop *loop;
    json_t *json; /* NULL: for people */
    bool found;
    const char *of; /* an account, whose word on the key is wanted; NULL: nobody's */
    uint64_t account;
    int kept_err;
    struct correspondent kept; /* if kept_err is OK */
};

static void hex(const uint8_t *fpr, size_t len, char out[2 * PGP_FPR_MAX + 1])
{
    out[0] = '\0';
    for (size_t i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02X", fpr[i]);
}

/* ---- here ---- */

static int is_here(void *arg, struct view *v)
{
    const struct look *l = arg;
    const char *at = strrchr(l->address, '@');
    return view_domain_known(v, at ? at + 1 : "");
}

static int key_here(void *arg, struct view *v)
{
    const struct look *l = arg;
    return known_here(v, l->address);
}

/* Of a domain here nobody else is asked. *ret_rc: an exit status, if it is one. */
static bool look_here(struct look *l, struct instance *i, int *ret_rc)
{
    int err = view_run(i->view, is_here, l);
    if (err == ERR_NOT_FOUND || err == ERR_FORMAT)
        return false;
    if (!err)
        err = view_run(i->view, key_here, l);
    if (err && err != ERR_NOT_FOUND) {
        *ret_rc = cli_fail(l->cli, "the store cannot be read: %s", err_str(err));
        return true;
    }
    l->found = !err;
    if (l->json)
        json_object_update_new(l->json, json_pack("{s:b, s:s, s:s}", "found", l->found, "source", "account", "trust",
                                                  l->found ? "account" : "none"));
    else
        printf("%s is of a domain of this server: %s\n", l->address,
               l->found ? "its account's keys count (letterlock key list)" : "it has no key");
    *ret_rc = l->found ? EXIT_DONE : EXIT_REFUSED;
    return true;
}

/* ---- what an account has seen ---- */

static int read_kept(void *arg, struct view *v)
{
    struct look *l = arg;
    uint8_t seen[CORRESPONDENT_SEEN];
    char normal[ADDRESS_MAX];
    size_t at, plus;
    l->kept_err = address_normalize(l->address, strlen(l->address), normal, &at, &plus);
    if (!l->kept_err)
        l->kept_err = view_correspondent(v, l->account, CORRESPONDENT_KEPT, normal, &l->kept, seen);
    return l->kept_err == ERR_OVERRUN ? ERR_OVERRUN : OK;
}

static int look_at_kept(struct look *l, struct instance *i)
{
    struct schema_account a;
    int rc = instance_account(l->cli, i, l->of, &a), err;
    if (rc)
        return rc;
    l->account = a.id;
    explicit_bzero(&a, sizeof(a));
    err = view_run(i->view, read_kept, l);
    if (!err && l->kept_err != ERR_NOT_FOUND && l->kept_err != ERR_FORMAT)
        err = l->kept_err;
    return err ? cli_fail(l->cli, "the store cannot be read: %s", err_str(err)) : EXIT_DONE;
}

/* found: NULL: none can be used. */
static void say_kept(struct look *l, const struct discover_result *found)
{
    const struct correspondent_key *k = &l->kept.key;
    char fpr[2 * PGP_FPR_MAX + 1], day[DATE_DAY_SIZE];
    if (!l->of)
        return;
    if (l->kept_err) {
        if (l->json)
            json_object_set_new(l->json, "kept", json_null());
        else
            printf("%s has seen no key of it\n", l->of);
        return;
    }
    const bool same = found && found->verdict.primary_fpr_len == k->fpr_len &&
                      memcmp(found->verdict.primary_fpr, k->fpr, k->fpr_len) == 0;
    hex(k->fpr, k->fpr_len, fpr);
    date_write_day(k->since, day);
    if (l->json)
        json_object_set_new(l->json, "kept",
                            json_pack("{s:s, s:s, s:I, s:b, s:b}", "fingerprint", fpr, "source",
                                      cli_key_source(k->from), "since", (json_int_t)k->since, "revoked",
                                      l->kept.revoked, "same", same));
    else
        printf("%s has seen %s, %s, since %s%s: %s\n", l->of, fpr, cli_key_source(k->from), day,
               l->kept.revoked ? ", revoked" : "",
               same    ? "it is the same key"
               : found ? "it is another key"
                       : "there is none to compare it with");
}

/* ---- elsewhere ---- */

static json_t *source_json(const struct discover_report *r, enum discover_source s)
{
    char fpr[2 * PGP_FPR_MAX + 1];
    json_t *j = json_pack("{s:s, s:s, s:b}", "source", discover_source_name(s), "says",
                          discover_outcome_text(r->outcome), "found", r->outcome == DISCOVER_FOUND);
    hex(r->fpr, r->fpr_len, fpr);
    if (*fpr)
        json_object_update_new(j, json_pack("{s:s, s:I}", "fingerprint", fpr, "expires", (json_int_t)r->expires));
    return j;
}

static void print_source(const struct discover_report *r, enum discover_source s)
{
    char fpr[2 * PGP_FPR_MAX + 1], day[DATE_DAY_SIZE];
    hex(r->fpr, r->fpr_len, fpr);
    printf("%-14s%s", discover_source_name(s), discover_outcome_text(r->outcome));
    if (*fpr)
        printf(": %s", fpr);
    if (r->expires) {
        date_write_day(r->expires, day);
        printf(", until %s", day);
    }
    putchar('\n');
}

static void print_result(const struct discover_result *r)
{
    static const char *const sure[] = {"nobody vouches for it", "only a key server vouches for it",
                                       "its domain's web server vouches for it (HTTPS)",
                                       "its domain vouches for it, signed up to the root (DNSSEC)"};
    if (r->cert)
        printf("%s: %s%s\n", discover_source_name(r->source), sure[r->trust],
               r->differs ? "; another place has another key" : "");
    else
        printf("no key can be used: %s\n", discover_outcome_text(r->outcome));
}

static void result_json(struct look *l, const struct discover_result *r)
{
    char fpr[2 * PGP_FPR_MAX + 1];
    json_object_update_new(l->json, json_pack("{s:b, s:s, s:s, s:b}", "found", l->found, "why",
                                              discover_outcome_text(r->outcome), "trust", discover_trust_name(r->trust),
                                              "differs", r->differs));
    if (!r->cert)
        return;
    hex(r->verdict.primary_fpr, r->verdict.primary_fpr_len, fpr);
    json_object_update_new(l->json, json_pack("{s:s, s:s, s:b}", "source", discover_source_name(r->source),
                                              "fingerprint", fpr, "seipd_v2", r->verdict.prefs.seipd_v2));
}

static void on_found(void *arg, const struct discover *d)
{
    struct look *l = arg;
    const struct discover_result r = discover_result(d);
    json_t *all = l->json ? json_array() : NULL;
    l->found = r.cert != NULL;
    for (enum discover_source s = 0; s < DISCOVER_SOURCES; s++) {
        const struct discover_report one = discover_report(d, s);
        if (one.outcome == DISCOVER_UNASKED)
            continue;
        if (all)
            json_array_append_new(all, source_json(&one, s));
        else
            print_source(&one, s);
    }
    if (l->json) {
        json_object_set_new(l->json, "sources", all);
        result_json(l, &r);
    } else {
        print_result(&r);
    }
    say_kept(l, r.cert ? &r : NULL);
    loop_stop(l->loop);
}

static int ask(struct look *l, const struct config *config, const struct finder *f)
{
    const struct discover_params p = {.address = l->address,
                                      .server = config->discover_key_server,
                                      .now = (uint64_t)time(NULL),
                                      .every = true};
    const uint64_t seconds = config->discover_wait ? config->discover_wait : WAIT_DEFAULT;
    struct finding *finding;
    int err = finding_begin(f, &p, seconds * 1000, on_found, l, &finding);
    if (err)
        return cli_fail(l->cli, err == ERR_FORMAT ? "%s is no address that a key could be found for" : "%s: no memory",
                        l->address);
    err = loop_run(f->loop);
    return err ? cli_fail(l->cli, "%s", err_str(err)) : l->found ? EXIT_DONE : EXIT_REFUSED;
}

static int look_outside(struct look *l, struct instance *i)
{
    struct finder f = {.loop = loop_create()};
    struct outside o;
    int resolver, fetcher, rc = outside_start(l->cli, i, &o, &resolver, &fetcher);
    if (rc) {
        loop_destroy(f.loop);
        return rc;
    }
    f.dns = f.loop ? dns_create(f.loop) : NULL;
    f.fetch = f.dns ? fetch_create(f.loop) : NULL;
    l->loop = f.loop;
    if (f.fetch) {
        dns_channel(f.dns, resolver);
        fetch_channel(f.fetch, fetcher);
        rc = ask(l, &i->config, &f);
    } else {
        close(resolver);
        close(fetcher);
        rc = cli_fail(l->cli, "out of memory");
    }
    fetch_destroy(f.fetch);
    dns_destroy(f.dns);
    loop_destroy(f.loop);
    outside_stop(&o);
    return rc;
}

int command_discover(struct cli *c)
{
    static struct look l; /* large */
    struct instance i;
    l = (struct look){.cli = c, .address = c->arg[0], .of = c->opt[OPT_ACCOUNT]};
    l.json = c->opt[OPT_JSON] ? json_object() : NULL;
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    if (l.of)
        rc = look_at_kept(&l, &i);
    if (!rc && !look_here(&l, &i, &rc))
        rc = look_outside(&l, &i);
    if (l.json && json_object_size(l.json)) {
        json_dumpf(l.json, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(l.json);
    instance_close(&i);
    return rc;
}
