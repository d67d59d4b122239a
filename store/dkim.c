#include "store/dkim.h"

#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "store/schema_impl.h"

enum {
    DKIM_VERSION = 1,
    PLAIN_MAX = 1 + 1 + 2 * 8 + 4 + DOMAIN_CAP + 4 + DKIM_RECORD_SELECTOR_CAP + 4 + DKIM_RECORD_DER_MAX,
};
_Static_assert(RECORD_OVERHEAD + PLAIN_MAX + 64 <= (int)QUEUE_DKIM_MAX, "a key fits");

void dkim_record_hash(const struct record_keys *k, const char *domain, const char *selector,
                      uint8_t out[RECORD_HASH_SIZE])
{
    const struct record_part parts[] = {{domain, strlen(domain)}, {selector, strlen(selector)}};
    record_hash(k, RECORD_DKIM, PART_QUEUE, parts, 2, out);
}

/* Both go into names in DNS and into a header field as they stand here. */
static bool labels_valid(const char *s)
{
    for (const char *p = s; *p != '\0'; p++)
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') && *p != '-' && *p != '.')
            return false;
    return *s != '\0';
}

static bool record_valid(const struct dkim_record *r)
{
    return (r->algorithm == DKIM_RECORD_RSA || r->algorithm == DKIM_RECORD_ED25519) && labels_valid(r->domain) &&
           labels_valid(r->selector) && r->der_len > 0 && r->der_len <= DKIM_RECORD_DER_MAX;
}

int dkim_record_seal(const struct record_keys *k, const struct dkim_record *r, uint8_t hash[RECORD_HASH_SIZE],
                     uint8_t *out, size_t *ret_len)
{
    uint8_t plain[PLAIN_MAX];
    struct pack p;
    if (!record_valid(r))
        return ERR_LIMIT;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, DKIM_VERSION);
    pack_u8(&p, r->algorithm);
    pack_u64(&p, r->made);
    pack_u64(&p, r->use_from);
    pack_str(&p, r->domain);
    pack_str(&p, r->selector);
    pack_bytes(&p, r->der, r->der_len);
    dkim_record_hash(k, r->domain, r->selector, hash);
    return queue_seal_dkim(k, hash, &p, out, ret_len);
}

static int unpack(const uint8_t *plain, size_t len, struct dkim_record *ret)
{
    struct unpack u;
    unpack_init(&u, plain, len);
    int err = fields_version(&u, DKIM_VERSION);
    ret->algorithm = unpack_u8(&u);
    ret->made = unpack_u64(&u);
    ret->use_from = unpack_u64(&u);
    unpack_str(&u, ret->domain, sizeof(ret->domain));
    unpack_str(&u, ret->selector, sizeof(ret->selector));
    struct slice der = unpack_bytes(&u, sizeof(ret->der));
    if (err != OK)
        return err;
    if (!unpack_done(&u))
        return ERR_FORMAT;
    ret->der_len = der.len;
    memcpy(ret->der, der.data, der.len);
    return record_valid(ret) ? OK : ERR_FORMAT;
}

int dkim_record_open(const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE], struct slice sealed,
                     struct dkim_record *ret)
{
    struct dkim_record r = {0};
    uint8_t plain[QUEUE_DKIM_MAX];
    size_t len = 0;
    int err = queue_open_dkim(k, hash, sealed, plain, &len);
    if (err == OK)
        err = unpack(plain, len, &r);
    secmem_wipe(plain, sizeof(plain));
    if (err == OK)
        *ret = r;
    secmem_wipe(&r, sizeof(r));
    return err;
}

static int by_time(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

int dkim_record_order(const void *a, const void *b)
{
    const struct dkim_record *x = a, *y = b;
    int c = strcmp(x->domain, y->domain);
    if (c == 0)
        c = x->algorithm - y->algorithm;
    if (c == 0)
        c = by_time(x->use_from, y->use_from);
    return c != 0 ? c : strcmp(x->selector, y->selector);
}

struct dkim_due dkim_due(const struct dkim_record *r, const struct dkim_record *next, uint64_t now)
{
    bool replaced = next != NULL && strcmp(next->domain, r->domain) == 0 && next->algorithm == r->algorithm;
    uint64_t end = replaced ? next->use_from : UINT64_MAX;
    uint64_t over = end < UINT64_MAX - DKIM_GRACE ? end + DKIM_GRACE : UINT64_MAX;
    if (now < r->use_from)
        return (struct dkim_due){DKIM_PUBLISHED, r->use_from};
    if (now < end)
        return (struct dkim_due){DKIM_IN_USE, end};
    return now < over ? (struct dkim_due){DKIM_RETIRED, over} : (struct dkim_due){DKIM_OVER, UINT64_MAX};
}
