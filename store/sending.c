#include "store/sending.h"

#include <string.h>

#include "server/core/error.h"
#include "store/sending_impl.h"
#include "store/write.h"

enum { HOUR = 3600, DAY = 86400, WEEK = 7 };

void sending_whom(const struct record_keys *k, uint64_t account, const char *address, uint8_t out[SENDING_WHOM])
{
    const struct record_part part = {address, strlen(address)};
    uint8_t hash[RECORD_HASH_SIZE];
    record_hash(k, RECORD_ADDRESS, account, &part, 1, hash);
    hash[0] |= 0x80;
    memcpy(out, hash, SENDING_WHOM);
}

/* ---- hours ---- */

/* The clock of a machine may be set back: what is ahead counts as of this hour. */
static void turn_to(struct schema_sent *s, uint64_t hour)
{
    uint64_t by = hour > s->hour ? hour - s->hour : 0;
    if (by > SENDING_HOURS)
        by = SENDING_HOURS;
    memmove(s->v + by, s->v, (SENDING_HOURS - by) * sizeof(s->v[0]));
    memset(s->v, 0, by * sizeof(s->v[0]));
    if (hour > s->hour)
        s->hour = hour;
}

static void total(const struct schema_sent *s, struct sending_sum *ret)
{
    *ret = (struct sending_sum){0};
    for (unsigned i = 0; i < SENDING_HOURS; i++) {
        ret->messages += s->v[i].messages;
        ret->recipients += s->v[i].recipients;
        ret->first += s->v[i].first;
    }
}

void sending_total(const struct schema_sent *s, uint64_t now, struct sending_sum *ret)
{
    struct schema_sent at = *s;
    turn_to(&at, now / HOUR);
    total(&at, ret);
}

/* ---- whom it has written to ---- */

static const uint8_t nobody[SENDING_WHOM];

static bool counts(const uint8_t *whom)
{
    return memcmp(whom, nobody, SENDING_WHOM) != 0;
}

static uint32_t bucket_of(const uint8_t *whom)
{
    return whom[0] % SENDING_BUCKETS;
}

static uint32_t find(const struct known_bucket *b, const uint8_t *whom)
{
    uint32_t i = 0;
    while (i < b->n && memcmp(b->v[i].whom, whom, SENDING_WHOM) != 0)
        i++;
    return i;
}

int sending_find(struct engine_txn *t, const struct record_keys *k, uint64_t account, const char *address)
{
    uint8_t whom[SENDING_WHOM];
    struct known_bucket b;
    sending_whom(k, account, address, whom);
    int err = schema_get_known(t, k, account, 'l', bucket_of(whom), &b);
    return err == OK && find(&b, whom) == b.n ? ERR_NOT_FOUND : err;
}

/* How many of them it has not written to. One that is named twice is two. */
static int count_first(struct store_write *w, const struct sending_charge *c, struct sending_sum *ret)
{
    struct known_bucket b;
    int err = OK;
    for (uint32_t i = 0; err == OK && i < c->n; i++) {
        if (!counts(c->whom[i]))
            continue;
        err = schema_get_known(w->t, w->keys, c->account, 'l', bucket_of(c->whom[i]), &b);
        ret->recipients++;
        ret->first += err == OK && find(&b, c->whom[i]) == b.n;
    }
    return err;
}

static uint32_t place_in(struct known_bucket *b)
{
    uint32_t oldest = 0;
    if (b->n < SENDING_BUCKET_MAX)
        return b->n++;
    for (uint32_t i = 1; i < b->n; i++)
        if (b->v[i].day < b->v[oldest].day)
            oldest = i;
    return oldest;
}

/* Its record is written when it is new, and then once a week. */
static int note(struct store_write *w, uint64_t account, const uint8_t *whom)
{
    const uint16_t day = (uint16_t)(w->now / DAY / WEEK * WEEK);
    struct known_bucket b;
    int err = schema_get_known(w->t, w->keys, account, 'l', bucket_of(whom), &b);
    if (err != OK)
        return err;
    uint32_t i = find(&b, whom);
    if (i < b.n && b.v[i].day == day)
        return OK;
    if (i == b.n)
        i = place_in(&b);
    memcpy(b.v[i].whom, whom, SENDING_WHOM);
    b.v[i].day = day;
    w->wrote = true;
    return schema_put_known(w->t, w->keys, account, 'l', bucket_of(whom), &b);
}

/* ---- a charge ---- */

static bool passes(uint32_t limit, uint32_t part, uint32_t sum)
{
    return limit && sum > (limit + part - 1) / part;
}

/* part: one of so many is to be had. */
static enum hold_why beyond(const struct sending_limits *l, uint32_t part, const struct sending_sum *sum)
{
    return passes(l->messages, part, sum->messages)       ? HOLD_MESSAGES
           : passes(l->recipients, part, sum->recipients) ? HOLD_RECIPIENTS
           : passes(l->first, part, sum->first)           ? HOLD_FIRST
                                                          : (enum hold_why)0;
}

static int hold(struct store_write *w, uint64_t account, enum hold_why why)
{
    const struct schema_hold h = {.since = w->now, .why = (uint8_t)why};
    w->wrote = true;
    return schema_put_hold(w->t, w->keys, account, &h);
}

struct charging {
    const struct sending_limits *limits;
    const struct sending_charge *charge;
    struct sending_sum sum; /* of it alone */
    struct schema_sent sent, domain;
    const char *domain_name;
};

static void add(struct sending_sum *to, const struct sending_sum *sum)
{
    to->messages += sum->messages;
    to->recipients += sum->recipients;
    to->first += sum->first;
}

/* What is counted and then not queued is counted all the same: so each partition is a step of its own. */
static int take(struct store_write *w, struct charging *x)
{
    int err = OK;
    w->wrote = true;
    if (x->limits->domain_messages && x->sum.messages)
        err = schema_put_domain_sent(w->t, w->keys, x->domain_name, &x->domain);
    engine_step(w->t);
    if (err == OK)
        err = schema_put_sent(w->t, w->keys, x->charge->account, &x->sent);
    for (uint32_t i = 0; err == OK && i < x->charge->n; i++)
        if (counts(x->charge->whom[i]))
            err = note(w, x->charge->account, x->charge->whom[i]);
    engine_step(w->t);
    return err;
}

/* What there would be with it. */
static int look(struct store_write *w, struct charging *x)
{
    int err = count_first(w, x->charge, &x->sum);
    x->sum.messages = x->charge->message && x->sum.recipients;
    if (err == OK)
        err = schema_get_sent(w->t, w->keys, x->charge->account, &x->sent);
    if (err == OK && x->limits->domain_messages)
        err = schema_get_domain_sent(w->t, w->keys, x->domain_name, &x->domain);
    if (err != OK)
        return err;
    turn_to(&x->sent, w->now / HOUR);
    turn_to(&x->domain, w->now / HOUR);
    add(&x->sent.v[0], &x->sum);
    add(&x->domain.v[0], &x->sum);
    return OK;
}

static int decide(struct store_write *w, struct charging *x, enum sending_verdict *ret, enum hold_why *ret_now)
{
    struct sending_sum all, domain;
    int err = look(w, x);
    if (err != OK)
        return err;
    total(&x->sent, &all);
    total(&x->domain, &domain);
    *ret_now =
        x->sum.recipients ? beyond(x->limits, x->charge->forwarded ? SENDING_FORWARD_PART : 1, &all) : (enum hold_why)0;
    if (*ret_now) {
        *ret = SENDING_HELD;
        if (!x->charge->forwarded)
            return hold(w, x->charge->account, *ret_now);
        *ret_now = (enum hold_why)0;
        return OK;
    }
    if (x->limits->domain_messages && x->sum.messages && domain.messages > x->limits->domain_messages) {
        *ret = SENDING_DOMAIN;
        return OK;
    }
    *ret = SENDING_TAKEN;
    return x->sum.recipients ? take(w, x) : OK;
}

static int get_account(struct store_write *w, uint64_t account, char domain[ADDRESS_MAX])
{
    struct schema_account a;
    int err = schema_get_account(w->t, w->keys, account, &a);
    if (err == OK) {
        const char *at = strrchr(a.address, '@');
        memcpy(domain, at ? at + 1 : "", at ? strlen(at + 1) + 1 : 1);
    }
    explicit_bzero(&a, sizeof(a));
    return err;
}

int sending_charge(struct store_write *w, const struct sending_limits *l, const struct sending_charge *c,
                   enum sending_verdict *ret, enum hold_why *ret_now)
{
    char domain[ADDRESS_MAX];
    struct charging x = {.limits = l, .charge = c, .domain_name = domain};
    struct schema_hold h;
    int err = get_account(w, c->account, domain);
    if (err != OK)
        return err;
    err = schema_get_hold(w->t, w->keys, c->account, &h);
    if (err != ERR_NOT_FOUND) {
        *ret = SENDING_HELD;
        *ret_now = (enum hold_why)0;
        return err;
    }
    return decide(w, &x, ret, ret_now);
}

/* ---- by hand ---- */

int sending_hold(struct store_write *w, bool *ret_changed)
{
    char domain[ADDRESS_MAX];
    struct schema_hold h;
    int err = get_account(w, w->account, domain);
    if (err != OK)
        return err;
    err = schema_get_hold(w->t, w->keys, w->account, &h);
    if (err != ERR_NOT_FOUND)
        return err;
    *ret_changed = true;
    return hold(w, w->account, HOLD_BY_HAND);
}

/* They are known still, so that none counts once more. */
static int forgive(struct store_write *w)
{
    struct schema_complaints c;
    int err = schema_get_complaints(w->t, w->keys, w->account, &c);
    if (err != OK || c.n == 0)
        return err;
    for (uint32_t i = 0; i < c.n; i++)
        c.v[i].hour = 0;
    return schema_put_complaints(w->t, w->keys, w->account, &c);
}

int sending_release(struct store_write *w, bool *ret_changed)
{
    struct schema_keybuf kb;
    struct schema_sent s;
    struct slice value;
    int err = engine_get(w->t, PART_QUEUE, key_u64(&kb, 'H', w->account), &value);
    if (err != OK)
        return err;
    err = schema_get_sent(w->t, w->keys, w->account, &s);
    if (err != OK)
        return err;
    *ret_changed = true;
    w->wrote = true;
    memset(s.v, 0, sizeof(s.v));
    err = schema_put_sent(w->t, w->keys, w->account, &s);
    if (err == OK)
        err = forgive(w);
    engine_step(w->t);
    return err == OK ? engine_del(w->t, PART_QUEUE, key_u64(&kb, 'H', w->account)) : err;
}

/* ---- complaints ---- */

/* False: it is there. In a full list the oldest goes. */
static bool add_complaint(struct schema_complaints *c, const uint8_t message[COMPLAINT_MESSAGE], uint64_t now)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (memcmp(c->v[i].message, message, COMPLAINT_MESSAGE) == 0)
            return false;
    if (c->n == COMPLAINTS_KEPT)
        memmove(c->v, c->v + 1, --c->n * sizeof(c->v[0]));
    memcpy(c->v[c->n].message, message, COMPLAINT_MESSAGE);
    c->v[c->n++].hour = (uint32_t)(now / HOUR);
    c->total += c->total < UINT32_MAX;
    c->last = now;
    return true;
}

int sending_complaint(struct store_write *w, const struct sending_limits *l, const uint8_t message[COMPLAINT_MESSAGE],
                      uint32_t *ret_day, bool *ret_held)
{
    char domain[ADDRESS_MAX];
    struct schema_complaints c;
    struct schema_hold h;
    int err = get_account(w, w->account, domain);
    if (err == OK)
        err = schema_get_complaints(w->t, w->keys, w->account, &c);
    if (err != OK)
        return err;
    *ret_day = 0;
    *ret_held = false;
    if (!add_complaint(&c, message, w->now))
        return OK;
    *ret_day = complaints_of_day(&c, w->now);
    w->wrote = true;
    err = schema_put_complaints(w->t, w->keys, w->account, &c);
    engine_step(w->t);
    if (err != OK || l->complaints == 0 || *ret_day <= l->complaints)
        return err;
    err = schema_get_hold(w->t, w->keys, w->account, &h);
    if (err != ERR_NOT_FOUND)
        return err;
    *ret_held = true;
    return hold(w, w->account, HOLD_COMPLAINTS);
}
