/* See dmarc_day.h. Anybody may send reports, so a day has an end: those that DMARC proves go before those that it does
 * not, and no reporter has more than a few. */
#include "store/dmarc_day.h"

#include <string.h>

#include "server/core/error.h"
#include "store/dmarc_day_impl.h"
#include "store/schema_impl.h"

enum {
    VERSION = 1,
    SUMS_SIZE = 6 * 4,
    REPORT_SIZE = DMARC_REPORT_ID_SIZE + 1 + 4 + DOMAIN_CAP + SUMS_SIZE,
    NETWORK_SIZE = 1 + 6 + 4,
    PLAIN_MAX = 1 + 4 + DMARC_DAY_REPORTS * REPORT_SIZE + 4 + DMARC_DAY_NETWORKS * NETWORK_SIZE + 4 + SUMS_SIZE,
    DAY_SECONDS = 86400,
    LOOK_AT = 256, /* records a step of a round */
    TAKE_AWAY = 32
};
_Static_assert(PLAIN_MAX + 1024 < ENGINE_VALUE_MAX, "a day is one value");

/* ---- sums ---- */

bool dmarc_sums_valid(const struct dmarc_sums *s)
{
    return s->passed <= s->messages && s->by_dkim <= s->passed && s->by_spf <= s->passed &&
           s->quarantined <= s->messages && s->rejected <= s->messages;
}

bool dmarc_network_valid(const struct dmarc_network *n)
{
    static const uint8_t none[3];
    return n->len == sizeof(n->octets) || (n->len == 3 && memcmp(n->octets + 3, none, sizeof(none)) == 0);
}

static void add(uint32_t *to, uint32_t n)
{
    *to = n > UINT32_MAX - *to ? UINT32_MAX : *to + n;
}

void dmarc_sums_add(struct dmarc_sums *to, const struct dmarc_sums *s)
{
    add(&to->messages, s->messages);
    add(&to->passed, s->passed);
    add(&to->by_dkim, s->by_dkim);
    add(&to->by_spf, s->by_spf);
    add(&to->quarantined, s->quarantined);
    add(&to->rejected, s->rejected);
}

static bool same_network(const struct dmarc_network *a, const struct dmarc_network *b)
{
    return a->len == b->len && memcmp(a->octets, b->octets, sizeof(a->octets)) == 0;
}

void dmarc_network_add(struct dmarc_network *list, uint32_t *n, uint32_t max, const struct dmarc_network *one)
{
    uint32_t least = 0, i = 0;
    while (i < *n && !same_network(&list[i], one)) {
        least = list[i].messages < list[least].messages ? i : least;
        i++;
    }
    if (i < *n)
        add(&list[i].messages, one->messages);
    else if (*n < max)
        list[(*n)++] = *one;
    else if (one->messages > list[least].messages)
        list[least] = *one;
}

/* ---- the record ---- */

static struct slice key_of(struct schema_keybuf *kb, const struct record_keys *k, const char *domain, uint32_t day)
{
    uint8_t hash[RECORD_HASH_SIZE];
    const struct record_part part = {domain, strlen(domain)};
    record_hash(k, RECORD_REPORT, 0, &part, 1, hash);
    return key_hash_u32(kb, 'D', hash, day);
}

static void pack_sums(struct pack *p, const struct dmarc_sums *s)
{
    pack_u32(p, s->messages);
    pack_u32(p, s->passed);
    pack_u32(p, s->by_dkim);
    pack_u32(p, s->by_spf);
    pack_u32(p, s->quarantined);
    pack_u32(p, s->rejected);
}

static int unpack_sums(struct unpack *u, struct dmarc_sums *ret)
{
    ret->messages = unpack_u32(u);
    ret->passed = unpack_u32(u);
    ret->by_dkim = unpack_u32(u);
    ret->by_spf = unpack_u32(u);
    ret->quarantined = unpack_u32(u);
    ret->rejected = unpack_u32(u);
    return dmarc_sums_valid(ret) ? OK : ERR_FORMAT;
}

int schema_put_dmarc_day(struct engine_txn *t, const struct record_keys *k, const char *domain, uint32_t day,
                         const struct dmarc_day *v)
{
    struct schema_keybuf kb;
    uint8_t plain[PLAIN_MAX];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, VERSION);
    pack_u32(&p, v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        pack_raw(&p, v->v[i].id, DMARC_REPORT_ID_SIZE);
        pack_u8(&p, v->v[i].proven);
        pack_str(&p, v->v[i].reporter);
        pack_sums(&p, &v->v[i].sums);
    }
    pack_u32(&p, v->nnetworks);
    for (uint32_t i = 0; i < v->nnetworks; i++) {
        pack_u8(&p, v->networks[i].len);
        pack_raw(&p, v->networks[i].octets, sizeof(v->networks[i].octets));
        pack_u32(&p, v->networks[i].messages);
    }
    pack_u32(&p, v->more);
    pack_sums(&p, &v->beyond);
    return sealed_put(t, k, PART_INSTANCE, key_of(&kb, k, domain, day), &p);
}

static int unpack_report(struct unpack *u, struct dmarc_day_report *ret)
{
    struct slice id = unpack_raw(u, DMARC_REPORT_ID_SIZE);
    uint8_t proven = unpack_u8(u);
    unpack_str(u, ret->reporter, sizeof(ret->reporter));
    int err = unpack_sums(u, &ret->sums);
    if (u->failed || proven > 1)
        return ERR_FORMAT;
    memcpy(ret->id, id.data, sizeof(ret->id));
    ret->proven = proven;
    return err;
}

static int unpack_network(struct unpack *u, struct dmarc_network *ret)
{
    ret->len = unpack_u8(u);
    struct slice octets = unpack_raw(u, sizeof(ret->octets));
    ret->messages = unpack_u32(u);
    if (u->failed)
        return ERR_FORMAT;
    memcpy(ret->octets, octets.data, sizeof(ret->octets));
    return dmarc_network_valid(ret) ? OK : ERR_FORMAT;
}

static int day_unpack(const uint8_t *plain, size_t len, void *arg)
{
    struct dmarc_day *ret = arg;
    struct unpack u;
    unpack_init(&u, plain, len);
    int err = fields_version(&u, VERSION);
    ret->n = unpack_u32(&u);
    if (err == OK && ret->n > DMARC_DAY_REPORTS)
        err = ERR_FORMAT;
    for (uint32_t i = 0; err == OK && i < ret->n; i++)
        err = unpack_report(&u, &ret->v[i]);
    ret->nnetworks = unpack_u32(&u);
    if (err == OK && ret->nnetworks > DMARC_DAY_NETWORKS)
        err = ERR_FORMAT;
    for (uint32_t i = 0; err == OK && i < ret->nnetworks; i++)
        err = unpack_network(&u, &ret->networks[i]);
    ret->more = unpack_u32(&u);
    if (err == OK)
        err = unpack_sums(&u, &ret->beyond);
    return err == OK && !unpack_done(&u) ? ERR_FORMAT : err;
}

int schema_unpack_dmarc_day(const struct record_keys *k, struct slice key, struct slice value, struct dmarc_day *ret)
{
    uint8_t plain[PLAIN_MAX];
    return sealed_unpack(k, PART_INSTANCE, key, value, plain, sizeof(plain), day_unpack, ret);
}

int schema_get_dmarc_day(struct engine_txn *t, const struct record_keys *k, const char *domain, uint32_t day,
                         struct dmarc_day *ret)
{
    struct schema_keybuf kb;
    struct slice key = key_of(&kb, k, domain, day), value;
    int err = engine_get(t, PART_INSTANCE, key, &value);
    if (err == ERR_NOT_FOUND)
        memset(ret, 0, sizeof(*ret));
    return err == OK ? schema_unpack_dmarc_day(k, key, value, ret) : err == ERR_NOT_FOUND ? OK : err;
}

/* ---- counting ---- */

/* Who has brought it is part of it: nobody takes the place of another's report by its id. */
static void id_of(const struct record_keys *k, const struct dmarc_told *told, uint8_t out[DMARC_REPORT_ID_SIZE])
{
    uint8_t hash[RECORD_HASH_SIZE];
    const struct record_part parts[] = {{told->proven ? "proven" : "", told->proven ? 6 : 0},
                                        {told->reporter.data, told->reporter.len},
                                        {told->id.data, told->id.len}};
    record_hash(k, RECORD_REPORT, 0, parts, 3, hash);
    memcpy(out, hash, DMARC_REPORT_ID_SIZE);
}

static bool is_of(const struct dmarc_day_report *r, const struct dmarc_told *told)
{
    return r->proven == told->proven && strlen(r->reporter) == told->reporter.len &&
           memcmp(r->reporter, told->reporter.data, told->reporter.len) == 0;
}

static void count_beyond(struct dmarc_day *d, const struct dmarc_sums *s)
{
    add(&d->more, 1);
    dmarc_sums_add(&d->beyond, s);
}

/* NULL: there is none for it. */
static struct dmarc_day_report *place_for(struct dmarc_day *d, const struct dmarc_told *told)
{
    uint32_t of_it = 0;
    for (uint32_t i = 0; i < d->n; i++)
        of_it += is_of(&d->v[i], told);
    if (of_it >= DMARC_DAY_OF_ONE)
        return NULL;
    if (d->n < DMARC_DAY_REPORTS)
        return &d->v[d->n++];
    for (uint32_t i = 0; told->proven && i < d->n; i++)
        if (!d->v[i].proven) {
            count_beyond(d, &d->v[i].sums);
            return &d->v[i];
        }
    return NULL;
}

static void take(struct dmarc_day *d, const struct dmarc_told *told, const uint8_t id[DMARC_REPORT_ID_SIZE])
{
    struct dmarc_day_report *r = place_for(d, told);
    if (r == NULL) {
        count_beyond(d, &told->sums);
        return;
    }
    memset(r, 0, sizeof(*r));
    memcpy(r->id, id, DMARC_REPORT_ID_SIZE);
    r->proven = told->proven;
    memcpy(r->reporter, told->reporter.data, told->reporter.len);
    r->sums = told->sums;
    for (uint32_t i = 0; told->proven && i < told->nnetworks; i++)
        dmarc_network_add(d->networks, &d->nnetworks, DMARC_DAY_NETWORKS, &told->networks[i]);
}

int dmarc_day_note(struct store_write *w, const struct dmarc_told *told, bool *ret_duplicate)
{
    static struct dmarc_day d;
    uint8_t id[DMARC_REPORT_ID_SIZE];
    char domain[DOMAIN_CAP] = "";
    const uint64_t today = w->now / DAY_SECONDS;
    uint64_t added;
    if (told->domain.len >= sizeof(domain) || told->reporter.len >= sizeof(d.v[0].reporter))
        return ERR_LIMIT;
    memcpy(domain, told->domain.data, told->domain.len);
    int err = schema_get_domain(w->t, w->keys, domain, &added);
    if (err != OK)
        return err;
    if (told->day > today + 1 || told->day + (uint64_t)DMARC_DAYS_LATE < today)
        return ERR_REFUSED;
    err = schema_get_dmarc_day(w->t, w->keys, domain, told->day, &d);
    if (err != OK)
        return err;
    id_of(w->keys, told, id);
    for (uint32_t i = 0; i < d.n; i++)
        if (memcmp(d.v[i].id, id, sizeof(id)) == 0) {
            *ret_duplicate = true;
            return OK;
        }
    take(&d, told, id);
    *ret_duplicate = false;
    w->wrote = true;
    return schema_put_dmarc_day(w->t, w->keys, domain, told->day, &d);
}

/* ---- what goes ---- */

struct taking {
    uint32_t before; /* days from this one on stay; UINT32_MAX: none does */
    struct dmarc_sweep *at;
    uint32_t looked, n;
    uint8_t keys[TAKE_AWAY][sizeof(((struct dmarc_sweep *)0)->last)];
};

/* 1: there may be more. A key of another length is none of ours, and letterlock audit says so. */
static int see_day(void *arg, struct slice key, struct slice value)
{
    struct taking *s = arg;
    struct unpack u = key_fields(key);
    (void)value;
    (void)unpack_raw(&u, RECORD_HASH_SIZE);
    const uint32_t day = unpack_u32(&u);
    if (!unpack_done(&u))
        return 0;
    memcpy(s->at->last, key.data, key.len);
    s->at->len = key.len;
    if (day < s->before || s->before == UINT32_MAX)
        memcpy(s->keys[s->n++], key.data, key.len);
    return ++s->looked == LOOK_AT || s->n == TAKE_AWAY;
}

static int take_away(struct store_write *w, struct taking *s, struct slice from, struct slice to)
{
    s->looked = s->n = 0;
    int more = engine_scan(w->t, PART_INSTANCE, from, to, 0, see_day, s), err = more < 0 ? more : OK;
    for (uint32_t i = 0; err == OK && i < s->n; i++) {
        w->wrote = true;
        err = engine_del(w->t, PART_INSTANCE, slice_of(s->keys[i], sizeof(s->keys[i])));
    }
    return err == OK ? more : err;
}

int dmarc_days_forget(struct store_write *w, const char *domain)
{
    struct schema_keybuf from, to;
    struct dmarc_sweep at;
    struct taking s = {.before = UINT32_MAX, .at = &at};
    struct slice first = key_of(&from, w->keys, domain, 0);
    struct slice end = key_after(&to, slice_of(first.data, 1 + RECORD_HASH_SIZE));
    int err;
    do
        err = take_away(w, &s, first, end);
    while (err > 0);
    return err;
}

int dmarc_days_sweep(struct store_write *w, struct dmarc_sweep *at, bool *ret_more)
{
    struct schema_keybuf from, to;
    const uint64_t today = w->now / DAY_SECONDS;
    struct taking s = {.before = today > DMARC_DAYS_KEPT ? (uint32_t)(today - DMARC_DAYS_KEPT) : 0, .at = at};
    struct slice first = key_simple(&from, 'D');
    if (at->len > 0) {
        memcpy(from.b, at->last, at->len);
        from.b[at->len] = 0; /* the next key */
        first.len = at->len + 1;
    }
    int err = take_away(w, &s, first, key_simple(&to, 'D' + 1));
    *ret_more = err > 0;
    return err < 0 ? err : OK;
}
