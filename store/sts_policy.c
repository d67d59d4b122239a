#include "store/sts_policy.h"

#include <string.h>

#include "server/core/error.h"
#include "store/schema_impl.h"

enum { VERSION = 1, PLAIN_MAX = 1 + 2 * 8 + 4 + DOMAIN_CAP + 4 + STS_POLICY_ID_MAX + 4 + STS_POLICY_TEXT_MAX };
_Static_assert(RECORD_OVERHEAD + PLAIN_MAX + 512 <= (int)STS_POLICY_RECORD_MAX, "a record fits");

void sts_policy_hash(const struct record_keys *k, const char *domain, uint8_t out[RECORD_HASH_SIZE])
{
    const struct record_part part = {domain, strlen(domain)};
    record_hash(k, RECORD_QUEUE, PART_QUEUE, &part, 1, out);
}

int sts_policy_seal(const struct record_keys *k, const struct sts_policy *s, uint8_t hash[RECORD_HASH_SIZE],
                    uint8_t *out, size_t *ret_len)
{
    struct schema_keybuf kb;
    uint8_t plain[PLAIN_MAX];
    struct pack p;
    if (!text_ends(s->domain, sizeof(s->domain)) || !text_ends(s->id, sizeof(s->id)) || s->domain[0] == '\0' ||
        s->len > sizeof(s->text))
        return ERR_LIMIT;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, VERSION);
    pack_u64(&p, s->fetched);
    pack_u64(&p, s->expires);
    pack_str(&p, s->domain);
    pack_str(&p, s->id);
    pack_bytes(&p, s->text, s->len);
    sts_policy_hash(k, s->domain, hash);
    return sealed_make(k, PART_QUEUE, key_hash(&kb, 'p', hash), &p, out, STS_POLICY_RECORD_MAX, ret_len);
}

static int unpack(const uint8_t *plain, size_t len, void *into)
{
    struct sts_policy *ret = into;
    struct unpack u;
    unpack_init(&u, plain, len);
    int err = fields_version(&u, VERSION);
    ret->fetched = unpack_u64(&u);
    ret->expires = unpack_u64(&u);
    unpack_str(&u, ret->domain, sizeof(ret->domain));
    unpack_str(&u, ret->id, sizeof(ret->id));
    struct slice text = unpack_bytes(&u, sizeof(ret->text));
    if (err != OK || !unpack_done(&u) || ret->domain[0] == '\0')
        return err != OK ? err : ERR_FORMAT;
    memcpy(ret->text, text.data, text.len);
    ret->len = (uint32_t)text.len;
    return OK;
}

int sts_policy_open(const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE], struct slice sealed,
                    struct sts_policy *ret)
{
    struct schema_keybuf kb;
    struct sts_policy s = {0};
    uint8_t plain[PLAIN_MAX];
    int err = sealed_unpack(k, PART_QUEUE, key_hash(&kb, 'p', hash), sealed, plain, sizeof(plain), unpack, &s);
    if (err == OK)
        *ret = s;
    return err;
}
