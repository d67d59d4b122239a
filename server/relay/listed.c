#include "server/relay/listed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/event.h"
#include "server/base/relay_policy.h"
#include "server/core/error.h"
#include "server/mailauth/block_list.h"

enum {
    FIRST_S = 180, /* after the start, when there is more to do */
    PAUSE_MS = 20, /* between two questions: nobody waits for them */
    NAME_CAP = DNS_NAME_MAX + 1
};

struct own {
    bool six;
    uint8_t octets[16];
};

/* A round asks one thing after another: where we are, then each address on each list, by three names. */
struct listed {
    struct dns *dns;
    struct timer *timer; /* until the next question, or round */
    struct dns_question *question;
    char domain[256], lists[512], source[128];
    bool direct; /* mail goes to others' servers, not to a smarthost */
    uint32_t interval;

    size_t nown, old;
    struct own own[LISTED_ADDRESSES_MAX], before[LISTED_ADDRESSES_MAX]; /* of this round; of the last */
    uint32_t on[LISTED_ADDRESSES_MAX], was[LISTED_ADDRESSES_MAX];       /* a bit a list */

    enum { ASK_A, ASK_AAAA, ASK_LISTS, REST } step;
    unsigned list, address;
    enum block_list_question which;
    enum block_list_entry entries[BLOCK_LIST_QUESTIONS];
};

static void go_on(void *arg);

uint32_t listed_now(const struct listed *x)
{
    uint32_t all = 0;

    for (size_t i = 0; i < LISTED_ADDRESSES_MAX; i++)
        all |= x->on[i] | (x->step == REST ? 0 : x->was[i]);
    return all;
}

/* ---- a round's end and its beginning ---- */

/* Without an address, because names were not answered, it is sooner. */
static void rest(struct listed *x, bool soon)
{
    const uint64_t seconds = soon && x->interval > FIRST_S ? FIRST_S : x->interval;

    x->step = REST;
    timer_set(x->timer, seconds * 1000);
}

static void add_own(struct listed *x, bool six, const void *octets)
{
    if (x->nown == LISTED_ADDRESSES_MAX)
        return;
    x->own[x->nown].six = six;
    memcpy(x->own[x->nown++].octets, octets, six ? 16 : 4);
}

/* What was known of the same address. */
static uint32_t known(const struct listed *x, const struct own *o)
{
    for (size_t i = 0; i < x->old; i++)
        if (memcmp(&x->before[i], o, sizeof(*o)) == 0)
            return x->was[i];
    return 0;
}

static void begin_lists(struct listed *x)
{
    for (size_t i = 0; i < x->nown; i++)
        x->on[i] = known(x, &x->own[i]);
    x->step = ASK_LISTS;
    x->list = x->address = 0;
    x->which = BLOCK_LIST_HAS;
}

/* As doctor has it: an address of a private network is not the one that others see. */
static void begin(struct listed *x)
{
    struct relay_source source;

    x->old = x->nown;
    memcpy(x->before, x->own, sizeof(x->before));
    memcpy(x->was, x->on, sizeof(x->was));
    memset(x->own, 0, sizeof(x->own));
    memset(x->on, 0, sizeof(x->on));
    x->nown = 0;
    x->step = ASK_A;
    if (!x->source[0] || relay_source_parse(x->source, &source) != OK || relay_source_is_private(&source))
        return;
    if (source.has4)
        add_own(x, false, &source.v4);
    if (source.has6)
        add_own(x, true, &source.v6);
    begin_lists(x);
}

/* ---- questions ---- */

static bool list_of(const struct listed *x, unsigned n, char *out, size_t cap)
{
    const char *at = x->lists;

    while (config_list_next(&at, out, cap))
        if (n-- == 0)
            return true;
    return false;
}

static void conclude(struct listed *x)
{
    const struct own *o = &x->own[x->address];
    const uint32_t bit = UINT32_C(1) << x->list, before = x->on[x->address] & bit;
    const enum block_list_says says = block_list_says(o->octets, o->six, x->entries);

    if (says == BLOCK_LIST_YES && !before)
        log_event(block_listed, x->list + 1, o->six ? 6 : 4);
    else if (says == BLOCK_LIST_NO && before)
        log_event(block_list_over, x->list + 1, o->six ? 6 : 4);
    if (says == BLOCK_LIST_YES)
        x->on[x->address] |= bit;
    else /* a list that refuses or has ended lists nobody */
        x->on[x->address] &= ~bit;
}

/* To the next question; of a pair that is not answered, what was known stays. */
static void next(struct listed *x, bool answered)
{
    if (x->step != ASK_LISTS) {
        x->step++;
        if (x->step == ASK_LISTS)
            begin_lists(x);
        return;
    }
    if (answered && ++x->which < BLOCK_LIST_QUESTIONS)
        return;
    if (answered)
        conclude(x);
    x->which = BLOCK_LIST_HAS;
    if (++x->address == x->nown) {
        x->address = 0;
        x->list++;
    }
}

static void take(struct listed *x, const struct dns_answer *a)
{
    enum block_list_entry e = BLOCK_LIST_NONE;

    for (uint32_t i = 0; i < a->n; i++)
        if (x->step != ASK_LISTS)
            add_own(x, x->step == ASK_AAAA, a->v[i].data.data);
        else
            e = block_list_add(e, a->v[i].data.data);
    if (x->step == ASK_LISTS)
        x->entries[x->which] = e;
}

static void on_answer(void *arg, int err, const struct dns_answer *a)
{
    struct listed *x = arg;

    x->question = NULL;
    if (err == OK)
        take(x, a);
    next(x, err == OK);
    timer_set(x->timer, PAUSE_MS);
}

/* False: there is nothing more to be asked. */
static bool next_name(const struct listed *x, char out[NAME_CAP], enum dns_type *ret)
{
    const struct own *o = &x->own[x->address];
    char list[sizeof(x->lists)];

    *ret = x->step == ASK_AAAA ? DNS_AAAA : DNS_A;
    if (x->step != ASK_LISTS) {
        snprintf(out, NAME_CAP, "%s", x->domain);
        return true;
    }
    if (x->nown == 0 || x->list >= LISTED_LISTS_MAX || !list_of(x, x->list, list, sizeof(list)))
        return false;
    if (block_list_name(x->which, o->octets, o->six, list, out, NAME_CAP) != OK)
        out[0] = '\0'; /* which no name is */
    return true;
}

static void go_on(void *arg)
{
    struct listed *x = arg;
    char name[NAME_CAP];
    enum dns_type type;

    if (x->step == REST)
        begin(x);
    if (!next_name(x, name, &type)) {
        rest(x, x->nown == 0);
        return;
    }
    if (dns_ask(x->dns, type, name, on_answer, x, &x->question) == OK)
        return;
    x->question = NULL;
    next(x, false);
    timer_set(x->timer, PAUSE_MS);
}

/* ---- the whole ---- */

static void stop(struct listed *x)
{
    if (x->question)
        dns_cancel(x->question);
    x->question = NULL;
    timer_set(x->timer, 0);
}

void listed_use(struct listed *x, const struct config *c)
{
    const bool direct = !c->smarthost[0];

    if (strcmp(x->lists, c->blocklists) == 0 && strcmp(x->source, c->relay_source) == 0 && direct == x->direct &&
        c->blocklists_interval == x->interval)
        return;
    stop(x);
    if (strcmp(x->lists, c->blocklists) != 0 || !direct || !c->blocklists_interval) {
        memset(x->on, 0, sizeof(x->on)); /* the bits are others' */
        memset(x->was, 0, sizeof(x->was));
    }
    x->step = REST;
    x->direct = direct;
    x->interval = c->blocklists_interval;
    snprintf(x->domain, sizeof(x->domain), "%s", c->domain);
    snprintf(x->lists, sizeof(x->lists), "%s", c->blocklists);
    snprintf(x->source, sizeof(x->source), "%s", c->relay_source);
    if (x->direct && x->interval && x->lists[0])
        rest(x, true);
}

struct listed *listed_create(struct loop *l, struct dns *d)
{
    struct listed *x = calloc(1, sizeof(*x));

    if (!x)
        return NULL;
    x->dns = d;
    x->step = REST;
    x->timer = timer_create_in(l, go_on, x);
    if (!x->timer) {
        free(x);
        return NULL;
    }
    return x;
}

void listed_destroy(struct listed *x)
{
    if (!x)
        return;
    stop(x);
    timer_destroy(x->timer);
    free(x);
}
