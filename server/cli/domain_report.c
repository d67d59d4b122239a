/* letterlock domain report: what others reported of mail in a domain's name, month by month (store/dmarc_day.h). */
#include <arpa/inet.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/cli/cli.h"
#include "server/core/error.h"
#include "server/mail/date.h"

enum { MONTH_DAYS = 31, NETWORKS_SHOWN = 8, NETWORK_TEXT = INET6_ADDRSTRLEN + 6 };

struct reading {
    char domain[DOMAIN_CAP], month[8];
    int32_t first; /* day since 1970 */
    unsigned n;
    struct dmarc_day days[MONTH_DAYS];
};

/* The days of a month, which follow one another. ERR_FORMAT */
static int take_month(struct reading *r, const char *text)
{
    char day[DATE_INTERNET_SIZE];
    int64_t t;
    if (strlen(text) != sizeof(r->month) - 1)
        return ERR_FORMAT;
    int len = snprintf(day, sizeof(day), "%s-01T00:00:00Z", text);
    int err = date_read_internet((const uint8_t *)day, (size_t)len, &t);
    if (err != OK)
        return err;
    memcpy(r->month, text, sizeof(r->month));
    r->first = date_day_of(t);
    const int month = date_from_days(r->first).month;
    for (r->n = 1; date_from_days(r->first + (int32_t)r->n).month == month;)
        r->n++;
    return r->first < 0 ? ERR_FORMAT : OK;
}

static int read_days(void *arg, struct view *v)
{
    struct reading *r = arg;
    int err = view_domain_known(v, r->domain);
    for (unsigned i = 0; err == OK && i < r->n; i++)
        err = view_dmarc_day(v, r->domain, (uint32_t)r->first + i, &r->days[i]);
    return err;
}

/* ---- what the month has ---- */

struct reporter {
    const struct dmarc_day_report *like; /* one of its reports */
    unsigned reports;
    struct dmarc_sums sums;
};
struct month {
    size_t n;
    struct reporter v[MONTH_DAYS * DMARC_DAY_REPORTS];
    uint32_t nnetworks, more;
    struct dmarc_network networks[MONTH_DAYS * DMARC_DAY_NETWORKS];
    struct dmarc_sums beyond;
};

static void add_report(struct month *m, const struct dmarc_day_report *one)
{
    size_t i = 0;
    while (i < m->n && (m->v[i].like->proven != one->proven || strcmp(m->v[i].like->reporter, one->reporter) != 0))
        i++;
    if (i == m->n)
        m->v[m->n++] = (struct reporter){.like = one};
    m->v[i].reports++;
    dmarc_sums_add(&m->v[i].sums, &one->sums);
}

static int most_first(const void *a, const void *b)
{
    const struct reporter *x = a, *y = b;
    if (x->sums.messages != y->sums.messages)
        return x->sums.messages < y->sums.messages ? 1 : -1;
    return strcmp(x->like->reporter, y->like->reporter);
}

static int networks_order(const void *a, const void *b)
{
    const struct dmarc_network *x = a, *y = b;
    if (x->messages != y->messages)
        return x->messages < y->messages ? 1 : -1;
    return memcmp(x->octets, y->octets, sizeof(x->octets));
}

static void add_up(const struct reading *r, struct month *ret)
{
    ret->n = ret->nnetworks = ret->more = 0;
    ret->beyond = (struct dmarc_sums){0};
    for (unsigned d = 0; d < r->n; d++) {
        const struct dmarc_day *day = &r->days[d];
        for (uint32_t i = 0; i < day->n; i++)
            add_report(ret, &day->v[i]);
        for (uint32_t i = 0; i < day->nnetworks; i++)
            dmarc_network_add(ret->networks, &ret->nnetworks, MONTH_DAYS * DMARC_DAY_NETWORKS, &day->networks[i]);
        ret->more = day->more > UINT32_MAX - ret->more ? UINT32_MAX : ret->more + day->more;
        dmarc_sums_add(&ret->beyond, &day->beyond);
    }
    qsort(ret->v, ret->n, sizeof(ret->v[0]), most_first);
    qsort(ret->networks, ret->nnetworks, sizeof(ret->networks[0]), networks_order);
}

static void write_network(const struct dmarc_network *n, char out[NETWORK_TEXT])
{
    char text[INET6_ADDRSTRLEN] = "";
    uint8_t octets[16] = {0};
    memcpy(octets, n->octets, sizeof(n->octets));
    inet_ntop(n->len == 3 ? AF_INET : AF_INET6, octets, text, sizeof(text));
    snprintf(out, NETWORK_TEXT, "%s/%d", text, 8 * n->len);
}

/* What a stranger wrote, for a terminal. */
static const char *tamed(const char *text, char out[DOMAIN_CAP])
{
    snprintf(out, DOMAIN_CAP, "%s", *text ? text : "?");
    cli_tame(out);
    return out;
}

/* ---- for people ---- */

static void print_sums(unsigned reports, const struct dmarc_sums *s)
{
    printf("%u report%s, %" PRIu32 " messages: %" PRIu32 " passed (%" PRIu32 " by DKIM, %" PRIu32 " by SPF), %" PRIu32
           " did not; %" PRIu32 " quarantined, %" PRIu32 " rejected\n",
           reports, reports == 1 ? "" : "s", s->messages, s->passed, s->by_dkim, s->by_spf, s->messages - s->passed,
           s->quarantined, s->rejected);
}

/* Those that DMARC proves, or those that it does not. */
static void print_reporters(const struct month *m, bool proven, const char *title)
{
    struct dmarc_sums sums = {0};
    unsigned reports = 0;
    char name[DOMAIN_CAP];
    for (size_t i = 0; i < m->n; i++)
        if (m->v[i].like->proven == proven) {
            dmarc_sums_add(&sums, &m->v[i].sums);
            reports += m->v[i].reports;
        }
    if (!reports)
        return;
    printf("%s", title);
    print_sums(reports, &sums);
    for (size_t i = 0; i < m->n; i++)
        if (m->v[i].like->proven == proven) {
            printf("  %s: ", tamed(m->v[i].like->reporter, name));
            print_sums(m->v[i].reports, &m->v[i].sums);
        }
}

static void print_text(const struct reading *r, const struct month *m)
{
    char text[NETWORK_TEXT];
    if (!m->n && !m->more)
        printf("%s, %s: no reports\n", r->domain, r->month);
    else
        printf("%s, %s\n", r->domain, r->month);
    print_reporters(m, true, "From those whose mail DMARC proves: ");
    print_reporters(m, false, "From whoever says so: ");
    if (m->more) {
        printf("Beyond what a day tells apart, some perhaps twice: ");
        print_sums(m->more, &m->beyond);
    }
    for (uint32_t i = 0; i < m->nnetworks && i < NETWORKS_SHOWN; i++) {
        write_network(&m->networks[i], text);
        printf("%s%s (%" PRIu32 ")%s", i ? ", " : "Most that did not pass came from ", text, m->networks[i].messages,
               i + 1 == m->nnetworks || i + 1 == NETWORKS_SHOWN ? "\n" : "");
    }
}

/* ---- for programs ---- */

static int put_sums(json_t *o, const struct dmarc_sums *s)
{
    const struct {
        const char *name;
        uint32_t n;
    } rows[] = {
        {"messages", s->messages}, {"passed", s->passed},           {"dkim", s->by_dkim},
        {"spf", s->by_spf},        {"quarantined", s->quarantined}, {"rejected", s->rejected},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        failed |= json_object_set_new(o, rows[i].name, json_integer(rows[i].n));
    return failed;
}

static json_t *report_json(const struct reading *r, unsigned day, const struct dmarc_day_report *one)
{
    char text[DATE_DAY_SIZE], name[DOMAIN_CAP];
    date_write_day(((uint64_t)r->first + day) * 86400, text);
    json_t *o =
        json_pack("{s:s, s:s, s:b}", "day", text, "reporter", tamed(one->reporter, name), "proven", one->proven);
    if (o == NULL || put_sums(o, &one->sums)) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *month_json(const struct reading *r, const struct month *m)
{
    char text[NETWORK_TEXT];
    json_t *reports = json_array(), *networks = json_array(),
           *more = json_pack("{s:I}", "reports", (json_int_t)m->more);
    int failed = more == NULL || put_sums(more, &m->beyond);
    for (unsigned d = 0; d < r->n; d++)
        for (uint32_t i = 0; i < r->days[d].n; i++)
            failed |= json_array_append_new(reports, report_json(r, d, &r->days[d].v[i]));
    for (uint32_t i = 0; i < m->nnetworks; i++) {
        write_network(&m->networks[i], text);
        failed |= json_array_append_new(networks, json_pack("{s:s, s:I}", "network", text, "messages",
                                                            (json_int_t)m->networks[i].messages));
    }
    json_t *o = json_pack("{s:s, s:s, s:o, s:o, s:o}", "domain", r->domain, "month", r->month, "reports", reports,
                          "networks", networks, "more", more);
    if (failed) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static int print(const struct cli *c, const struct reading *r)
{
    static struct month m;
    add_up(r, &m);
    if (!c->opt[OPT_JSON]) {
        print_text(r, &m);
        return EXIT_DONE;
    }
    json_t *o = month_json(r, &m);
    char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    if (text != NULL)
        puts(text);
    json_decref(o);
    free(text);
    return text != NULL ? EXIT_DONE : cli_fail(c, "%s", err_str(ERR_MEMORY));
}

int command_domain_report(struct cli *c)
{
    static struct reading r;
    struct instance i;
    char today[DATE_DAY_SIZE];
    date_write_day((uint64_t)time(NULL), today);
    today[sizeof(r.month) - 1] = '\0';
    if (address_domain_normalize(c->arg[0], strlen(c->arg[0]), r.domain))
        return cli_fail(c, "%s is not a domain", c->arg[0]);
    const char *month = c->opt[OPT_MONTH] ? c->opt[OPT_MONTH] : today;
    if (take_month(&r, month) != OK)
        return cli_fail(c, "%s is not a month: 2026-11 is one", month);
    int rc = instance_open(c, INSTANCE_VIEW, &i);
    if (rc)
        return rc;
    int err = view_run(i.view, read_days, &r);
    instance_close(&i);
    if (err == ERR_NOT_FOUND)
        return cli_fail(c, "%s is not one of this server's domains", r.domain);
    return err ? cli_fail(c, "the store cannot be read: %s", err_str(err)) : print(c, &r);
}
