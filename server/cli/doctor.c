/* letterlock doctor: what is right and what is wrong with a domain's mail, and what to do. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/cli/dkim.h"
#include "server/cli/outside.h"
#include "server/cli/status.h"
#include "server/core/error.h"
#include "server/doctor/doctor.h"
#include "server/mail/date.h"
#include "server/master/tls_mind.h"

enum { QUEUE_SLICE = 256 };

/* Findings on their way to people, or into one array. */
struct report {
    const struct cli *cli;
    json_t *all; /* NULL: each is printed as it comes */
    unsigned of_state[DOCTOR_STATES];
};

static void tell(void *arg, const struct doctor_finding *f)
{
    struct report *r = arg;
    r->of_state[f->state]++;
    if (r->all) {
        json_array_append_new(r->all,
                              json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", f->id, "state", doctor_state_name(f->state),
                                        "found", f->found, "want", f->want, "do", f->remedy));
        return;
    }
    printf("%-8s%-13s%s\n", doctor_state_name(f->state), f->id, f->found);
    if (f->state != DOCTOR_OK && *f->want)
        printf("%-21swant: %s\n", "", f->want);
    if (*f->remedy)
        printf("%-21sdo: %s\n", "", f->remedy);
    fflush(stdout); /* the next one may take a while */
}

__attribute__((format(printf, 5, 6))) static void say(struct report *r, const char *id, enum doctor_state state,
                                                      const char *remedy, const char *fmt, ...)
{
    char found[CLI_WHY_MAX];
    const struct doctor_finding f = {id, state, found, "", remedy};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(found, sizeof(found), fmt, ap);
    va_end(ap);
    cli_tame(found);
    tell(r, &f);
}

/* ---- what status knows ---- */

static void see_keys(struct report *r, const json_t *keys, uint32_t days)
{
    size_t k;
    json_t *v;
    json_array_foreach(keys, k, v)
    {
        const char *state = json_string_value(json_object_get(v, "state"));
        const char *account = json_string_value(json_object_get(v, "account"));
        char day[DATE_DAY_SIZE];
        date_write_day((uint64_t)json_integer_value(json_object_get(v, "expires")), day);
        if (!strcmp(state, "expires"))
            say(r, "keys", DOCTOR_WARN, "its reader was told, and sends you a renewed one: letterlock key add",
                "a key of %s expires on %s", account, day);
        else if (!strcmp(state, "expired"))
            say(r, "keys", DOCTOR_WARN, "ask its reader for a renewed one: letterlock key add",
                "a key of %s has expired on %s", account, day);
        else
            say(r, "keys", DOCTOR_FAIL, "letterlock key list shows them; letterlock status says more",
                "mail for %s waits at its senders: its key is %s", account, state);
    }
    if (!json_array_size(keys))
        say(r, "keys", DOCTOR_OK, "", "no reader's key ends within %u days", days);
}

enum { CERTIFICATES_SAID = 8 };

/* Of further names; the server's own is looked at as clients see it. What is wrong with one was minded. */
static void see_certificates(struct report *r, const json_t *list)
{
    const size_t n = json_array_size(list);
    json_int_t first = 0;
    size_t k;
    json_t *v;
    char day[DATE_DAY_SIZE];
    json_array_foreach(list, k, v)
    {
        json_int_t ends = json_integer_value(json_object_get(v, "expires"));
        if (!k)
            continue;
        if (!first || ends < first)
            first = ends;
        date_write_day((uint64_t)ends, day);
        if (n <= CERTIFICATES_SAID + 1)
            say(r, "certificate", DOCTOR_OK, "", "%s has one, until %s", json_string_value(json_object_get(v, "name")),
                day);
    }
    date_write_day((uint64_t)first, day);
    if (n > CERTIFICATES_SAID + 1)
        say(r, "certificate", DOCTOR_OK, "", "%zu further names have one, the first until %s", n - 1, day);
}

static int see_status(const struct cli *c, struct instance *i, struct report *r)
{
    json_t *s, *v;
    size_t k;
    int rc = status_read(c, i, &s);
    if (rc)
        return rc;
    if (i->running)
        say(r, "server", DOCTOR_OK, "", "the server runs");
    else
        say(r, "server", DOCTOR_WARN, "systemctl start letterlock, or letterlock serve", "the server does not run");
    json_array_foreach(json_object_get(s, "mind"), k, v)
        say(r, "status", DOCTOR_WARN, "docs/operating.md has these", "%s", json_string_value(v));
    see_keys(r, json_object_get(s, "keys"), i->config.key_notice_days);
    see_certificates(r, json_object_get(s, "certificates"));
    json_decref(s);
    return i->view ? EXIT_DONE : cli_fail(c, "the store cannot be read");
}

/* ---- the queue ---- */

struct queue_look {
    struct view *view;
    uint64_t after, last, oldest;
    uint64_t waiting, held;
    struct queue_look *slice; /* what this one has found, until its snapshot is known to be whole */
    unsigned n;
};

static int see_queued(void *arg, uint64_t id)
{
    struct queue_look *q = arg;
    struct queue_envelope e;
    uint8_t seen[QUEUE_SEEN_SIZE];
    int err = view_queued(q->view, id, &e, seen);
    if (err == ERR_OVERRUN || err == ERR_MEMORY)
        return err;
    q->last = id;
    if (!err && e.hold_until)
        q->held++;
    else if (!err) {
        q->waiting++;
        if (!q->oldest || e.queued_at < q->oldest)
            q->oldest = e.queued_at;
    }
    return ++q->n == QUEUE_SLICE;
}

static int see_slice(void *arg, struct view *v)
{
    const struct queue_look *all = arg;
    *all->slice = (struct queue_look){.view = v, .oldest = all->oldest};
    int err = view_queue_each(v, all->after, see_queued, all->slice);
    return err < 0 ? err : OK;
}

static void see_queue(struct instance *i, struct report *r)
{
    struct queue_look slice, all = {.slice = &slice};
    char since[DATE_INTERNET_SIZE];
    int err;
    do {
        err = view_run(i->view, see_slice, &all);
        if (!err) {
            all.waiting += slice.waiting, all.held += slice.held;
            all.oldest = slice.oldest;
            all.after = slice.last;
        }
    } while (!err && slice.n == QUEUE_SLICE);
    date_write_internet((int64_t)all.oldest, since);
    if (err)
        say(r, "queue", DOCTOR_FAIL, "letterlock audit", "the queue cannot be read: %s", err_str(err));
    else if (all.oldest && all.oldest + i->config.queue_lifetime / 2 < (uint64_t)time(NULL))
        say(r, "queue", DOCTOR_WARN, "letterlock queue list says what others answered: half of queue_lifetime is over",
            "%llu messages wait to be sent, the oldest since %s", (unsigned long long)all.waiting, since);
    else
        say(r, "queue", DOCTOR_OK, "", "%llu messages wait to be sent, and %llu are held",
            (unsigned long long)all.waiting, (unsigned long long)all.held);
}

/* ---- the domain ---- */

struct domain_look {
    const char *domain;
    struct relay_policy *policy;
    struct signing_keys keys;
    struct doctor_key *rows;
    size_t nrows;
    bool known;
};

static int read_known(void *arg, struct view *v)
{
    const struct domain_look *l = arg;
    return view_domain_known(v, l->domain);
}

static void read_policy(const struct cli *c, struct domain_look *l)
{
    char path[CLI_PATH_MAX], *text, why[256];
    size_t len;
    cli_path(c, "relay.policy", path);
    if (cli_read_file(path, RELAY_POLICY_TEXT_MAX, &text, &len))
        return; /* none; one that cannot be read was said by status */
    (void)relay_policy_parse(text, len, &l->policy, why, sizeof(why));
    free(text);
}

static int read_keys(const struct cli *c, struct instance *i, struct domain_look *l, struct report *r)
{
    int rc = signing_keys_read(c, i, l->domain, &l->keys);
    if (rc)
        return rc;
    l->rows = calloc(l->keys.n + 1, sizeof(*l->rows));
    for (size_t n = 0; l->rows && n < l->keys.n; n++) {
        const struct signing_key *k = &l->keys.v[n];
        if (k->txt && k->due.state != DKIM_OVER)
            l->rows[l->nrows++] = (struct doctor_key){.selector = k->record.selector,
                                                      .txt = k->txt,
                                                      .state = k->due.state == DKIM_PUBLISHED ? DOCTOR_KEY_WAITS
                                                               : k->due.state == DKIM_IN_USE  ? DOCTOR_KEY_SIGNS
                                                                                              : DOCTOR_KEY_RETIRED,
                                                      .from = k->record.use_from};
    }
    if (l->keys.nlost)
        say(r, "dkim", DOCTOR_FAIL, "put back the queue.key that belongs to the store, or letterlock dkim rotate",
            "%zu keys that sign do not open with this queue.key", l->keys.nlost);
    return l->rows ? EXIT_DONE : cli_fail(c, "out of memory");
}

static int see_world(const struct cli *c, struct instance *i, struct domain_look *l, struct report *r)
{
    struct doctor_facts f = {.dir = c->dir,
                             .config = &i->config,
                             .policy = l->policy,
                             .domain = l->domain,
                             .known = l->known,
                             .running = i->running,
                             .keys = l->rows,
                             .nkeys = l->nrows,
                             .mind_chain = tls_mind,
                             .now = (uint64_t)time(NULL)};
    struct outside o;
    int rc = outside_start(c, i, &o, &f.resolver, &f.fetcher);
    if (rc)
        return rc;
    int err = doctor_run(&f, tell, r);
    outside_stop(&o);
    return err ? cli_fail(c, "%s", err_str(err)) : EXIT_DONE;
}

static int examine(const struct cli *c, struct instance *i, struct domain_look *l, struct report *r)
{
    int rc = see_status(c, i, r), err;
    if (rc)
        return rc;
    see_queue(i, r);
    err = view_run(i->view, read_known, l);
    l->known = !err;
    if (err && err != ERR_NOT_FOUND)
        return cli_fail(c, "the store cannot be read: %s", err_str(err));
    if (l->known)
        say(r, "domain", DOCTOR_OK, "", "%s is one of this server's domains", l->domain);
    else if (strcmp(l->domain, i->config.domain))
        return cli_fail(c, "%s is not one of this server's domains; letterlock domain add adds it", l->domain);
    read_policy(c, l);
    rc = l->known ? read_keys(c, i, l, r) : EXIT_DONE;
    if (!rc)
        rc = see_world(c, i, l, r);
    relay_policy_free(l->policy);
    signing_keys_free(&l->keys);
    free(l->rows);
    return rc;
}

static int report_end(struct report *r, int rc)
{
    if (!rc && r->all) {
        json_dumpf(r->all, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (!rc) {
        printf("%u ok, %u to think about, %u wrong, %u unknown\n", r->of_state[DOCTOR_OK], r->of_state[DOCTOR_WARN],
               r->of_state[DOCTOR_FAIL], r->of_state[DOCTOR_UNKNOWN]);
    }
    json_decref(r->all);
    return rc || r->of_state[DOCTOR_FAIL] ? EXIT_REFUSED : EXIT_DONE;
}

int command_doctor(struct cli *c)
{
    struct report r = {.cli = c, .all = c->opt[OPT_JSON] ? json_array() : NULL};
    struct instance i;
    char domain[DOMAIN_CAP];
    if (address_domain_normalize(c->arg[0], strlen(c->arg[0]), domain))
        return cli_fail(c, "%s is not a domain", c->arg[0]);
    int rc = instance_open(c, 0, &i);
    if (rc)
        return rc;
    struct domain_look l = {.domain = domain};
    rc = examine(c, &i, &l, &r);
    instance_close(&i);
    return report_end(&r, rc);
}
