#include "store/tls_tally.h"

#include <string.h>

#include "server/core/error.h"
#include "store/schema_impl.h"

enum {
    VERSION = 1,
    STR_MAX = 4 + DOMAIN_CAP,
    POLICY_MAX = 1 + STR_MAX + 4 + TLS_TALLY_TEXT_MAX + 2 * 8,
    DETAIL_MAX = 3 + 2 * (4 + 16) + STR_MAX + 8,
    PLAIN_MAX =
        1 + 2 * 8 + STR_MAX + 4 + 8 + 1 + 2 + TLS_TALLY_POLICIES_MAX * POLICY_MAX + TLS_TALLY_DETAILS_MAX * DETAIL_MAX,
};
_Static_assert(RECORD_OVERHEAD + PLAIN_MAX + 1024 <= (int)TLS_TALLY_RECORD_MAX, "a record fits");

void tls_tally_hash(const struct record_keys *k, const struct tls_tally *t, uint8_t out[RECORD_HASH_SIZE])
{
    uint8_t period[16];
    const struct record_part parts[] = {{period, sizeof(period)}, {t->domain, strlen(t->domain)}};
    struct pack p;
    pack_init(&p, period, sizeof(period));
    pack_u64(&p, t->begin);
    pack_u64(&p, t->end);
    record_hash(k, RECORD_QUEUE, PART_QUEUE, parts, 2, out);
}

/* ---- what may stand in it, written and read alike ---- */

static bool address_valid(const struct tls_tally_address *a)
{
    return a->len == 0 || a->len == 4 || a->len == sizeof(a->octets);
}

static bool policy_valid(const struct tls_tally_policy *p)
{
    const size_t len = strlen(p->text);
    return p->kind >= 1 && p->kind <= TLS_TALLY_KINDS && (len == 0 || p->text[len - 1] == '\n');
}

static bool detail_valid(const struct tls_tally *t, const struct tls_tally_detail *d)
{
    return d->policy < t->npolicies && d->result < TLS_TALLY_RESULTS && d->reason < TLS_TALLY_REASONS &&
           address_valid(&d->sending) && address_valid(&d->receiving);
}

static bool valid(const struct tls_tally *t)
{
    bool ok = t->domain[0] != '\0' && t->end > t->begin && t->sent < 1 << TLS_TALLY_TARGETS;
    for (uint32_t i = 0; ok && i < t->npolicies; i++)
        ok = policy_valid(&t->policies[i]);
    for (uint32_t i = 0; ok && i < t->ndetails; i++)
        ok = detail_valid(t, &t->details[i]);
    return ok;
}

static bool texts_end(const struct tls_tally *t)
{
    bool ok = t->npolicies <= TLS_TALLY_POLICIES_MAX && t->ndetails <= TLS_TALLY_DETAILS_MAX &&
              text_ends(t->domain, sizeof(t->domain));
    for (uint32_t i = 0; ok && i < t->npolicies; i++)
        ok = text_ends(t->policies[i].domain, DOMAIN_CAP) && text_ends(t->policies[i].text, TLS_TALLY_TEXT_MAX + 1);
    for (uint32_t i = 0; ok && i < t->ndetails; i++)
        ok = text_ends(t->details[i].mx, DOMAIN_CAP);
    return ok;
}

/* ---- writing ---- */

static void pack_detail(struct pack *p, const struct tls_tally_detail *d)
{
    pack_u8(p, d->policy);
    pack_u8(p, d->result);
    pack_u8(p, d->reason);
    pack_bytes(p, d->sending.octets, d->sending.len);
    pack_bytes(p, d->receiving.octets, d->receiving.len);
    pack_str(p, d->mx);
    pack_u64(p, d->sessions);
}

int tls_tally_seal(const struct record_keys *k, const struct tls_tally *t, uint8_t hash[RECORD_HASH_SIZE], uint8_t *out,
                   size_t *ret_len)
{
    struct schema_keybuf kb;
    uint8_t plain[PLAIN_MAX];
    struct pack p;
    if (!texts_end(t) || !valid(t))
        return ERR_LIMIT;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, VERSION);
    pack_u64(&p, t->begin);
    pack_u64(&p, t->end);
    pack_str(&p, t->domain);
    pack_u32(&p, t->tries);
    pack_u64(&p, t->next_try);
    pack_u8(&p, t->sent);
    pack_u8(&p, (uint8_t)t->npolicies);
    for (uint32_t i = 0; i < t->npolicies; i++) {
        pack_u8(&p, t->policies[i].kind);
        pack_str(&p, t->policies[i].domain);
        pack_str(&p, t->policies[i].text);
        pack_u64(&p, t->policies[i].good);
        pack_u64(&p, t->policies[i].bad);
    }
    pack_u8(&p, (uint8_t)t->ndetails);
    for (uint32_t i = 0; i < t->ndetails; i++)
        pack_detail(&p, &t->details[i]);
    tls_tally_hash(k, t, hash);
    return sealed_make(k, PART_QUEUE, key_hash(&kb, 't', hash), &p, out, TLS_TALLY_RECORD_MAX, ret_len);
}

/* ---- reading ---- */

static void unpack_address(struct unpack *u, struct tls_tally_address *ret)
{
    const struct slice s = unpack_bytes(u, sizeof(ret->octets));
    ret->len = (uint8_t)s.len;
    if (s.len > 0)
        memcpy(ret->octets, s.data, s.len);
}

static void unpack_policies(struct unpack *u, struct tls_tally *t)
{
    for (uint32_t i = 0; i < t->npolicies; i++) {
        struct tls_tally_policy *p = &t->policies[i];
        p->kind = unpack_u8(u);
        unpack_str(u, p->domain, sizeof(p->domain));
        unpack_str(u, p->text, sizeof(p->text));
        p->good = unpack_u64(u);
        p->bad = unpack_u64(u);
    }
}

static void unpack_details(struct unpack *u, struct tls_tally *t)
{
    for (uint32_t i = 0; i < t->ndetails; i++) {
        struct tls_tally_detail *d = &t->details[i];
        d->policy = unpack_u8(u);
        d->result = unpack_u8(u);
        d->reason = unpack_u8(u);
        unpack_address(u, &d->sending);
        unpack_address(u, &d->receiving);
        unpack_str(u, d->mx, sizeof(d->mx));
        d->sessions = unpack_u64(u);
    }
}

static int unpack(const uint8_t *plain, size_t len, void *into)
{
    struct tls_tally *t = into;
    struct unpack u;
    unpack_init(&u, plain, len);
    int err = fields_version(&u, VERSION);
    if (err != OK)
        return err;
    memset(t, 0, sizeof(*t));
    t->begin = unpack_u64(&u);
    t->end = unpack_u64(&u);
    unpack_str(&u, t->domain, sizeof(t->domain));
    t->tries = unpack_u32(&u);
    t->next_try = unpack_u64(&u);
    t->sent = unpack_u8(&u);
    t->npolicies = unpack_u8(&u);
    if (t->npolicies > TLS_TALLY_POLICIES_MAX)
        return ERR_FORMAT;
    unpack_policies(&u, t);
    t->ndetails = unpack_u8(&u);
    if (t->ndetails > TLS_TALLY_DETAILS_MAX)
        return ERR_FORMAT;
    unpack_details(&u, t);
    return unpack_done(&u) && valid(t) ? OK : ERR_FORMAT;
}

int tls_tally_open(const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE], struct slice sealed,
                   struct tls_tally *ret)
{
    struct schema_keybuf kb;
    struct tls_tally t;
    uint8_t plain[PLAIN_MAX];
    int err = sealed_unpack(k, PART_QUEUE, key_hash(&kb, 't', hash), sealed, plain, sizeof(plain), unpack, &t);
    if (err == OK)
        *ret = t;
    return err;
}
