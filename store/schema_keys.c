/* The keys of the store: one letter, then big-endian integers or hashes, so that the engine's order is the numeric one.
 */
#include "store/schema.h"

#include <string.h>

static struct slice key_make(struct schema_keybuf *k, char letter, const void *data, size_t len)
{
    k->b[0] = (uint8_t)letter;
    if (len)
        memcpy(k->b + 1, data, len);
    return slice_of(k->b, 1 + len);
}

struct slice key_simple(struct schema_keybuf *k, char letter)
{
    return key_make(k, letter, NULL, 0);
}

struct slice key_hash(struct schema_keybuf *k, char letter, const uint8_t hash[RECORD_HASH_SIZE])
{
    return key_make(k, letter, hash, RECORD_HASH_SIZE);
}

static struct slice key_packed(struct schema_keybuf *k, char letter, const struct pack *p)
{
    k->b[0] = (uint8_t)letter;
    return slice_of(k->b, 1 + p->len);
}

static struct pack key_pack(struct schema_keybuf *k)
{
    struct pack p;
    pack_init(&p, k->b + 1, sizeof(k->b) - 1);
    return p;
}

struct slice key_hash_u32(struct schema_keybuf *k, char letter, const uint8_t hash[RECORD_HASH_SIZE], uint32_t v)
{
    struct pack p = key_pack(k);
    pack_raw(&p, hash, RECORD_HASH_SIZE);
    pack_u32(&p, v);
    return key_packed(k, letter, &p);
}

struct slice key_u32(struct schema_keybuf *k, char letter, uint32_t v)
{
    struct pack p = key_pack(k);
    pack_u32(&p, v);
    return key_packed(k, letter, &p);
}

struct slice key_u32_u32(struct schema_keybuf *k, char letter, uint32_t a, uint32_t b)
{
    struct pack p = key_pack(k);
    pack_u32(&p, a);
    pack_u32(&p, b);
    return key_packed(k, letter, &p);
}

struct slice key_u32_u64(struct schema_keybuf *k, char letter, uint32_t a, uint64_t b)
{
    struct pack p = key_pack(k);
    pack_u32(&p, a);
    pack_u64(&p, b);
    return key_packed(k, letter, &p);
}

struct slice key_u32_u64_u32(struct schema_keybuf *k, char letter, uint32_t a, uint64_t b, uint32_t c)
{
    struct pack p = key_pack(k);
    pack_u32(&p, a);
    pack_u64(&p, b);
    pack_u32(&p, c);
    return key_packed(k, letter, &p);
}

struct slice key_u64_u32(struct schema_keybuf *k, char letter, uint64_t a, uint32_t b)
{
    struct pack p = key_pack(k);
    pack_u64(&p, a);
    pack_u32(&p, b);
    return key_packed(k, letter, &p);
}

struct slice key_u32_hash(struct schema_keybuf *k, char letter, uint32_t a, const uint8_t hash[RECORD_HASH_SIZE])
{
    struct pack p = key_pack(k);
    pack_u32(&p, a);
    pack_raw(&p, hash, RECORD_HASH_SIZE);
    return key_packed(k, letter, &p);
}

struct slice key_u64(struct schema_keybuf *k, char letter, uint64_t v)
{
    struct pack p = key_pack(k);
    pack_u64(&p, v);
    return key_packed(k, letter, &p);
}

struct slice key_certificate(struct schema_keybuf *k, const struct record_keys *keys, uint64_t account,
                             const uint8_t *fpr, size_t len)
{
    uint8_t hash[RECORD_HASH_SIZE];
    struct record_part part = {fpr, len};
    record_hash(keys, RECORD_FINGERPRINT, account, &part, 1, hash);
    return key_hash(k, 'K', hash);
}

struct slice key_after(struct schema_keybuf *k, struct slice prefix)
{
    size_t n = prefix.len < sizeof(k->b) ? prefix.len : sizeof(k->b);
    memmove(k->b, prefix.data, n);
    while (n && k->b[n - 1] == 0xff)
        n--;
    if (n)
        k->b[n - 1]++;
    return slice_of(k->b, n);
}

static struct slice key_named(struct schema_keybuf *k, const struct record_keys *keys, enum record_use use,
                              uint64_t account, char letter, const char *name)
{
    uint8_t hash[RECORD_HASH_SIZE];
    struct record_part part = {name, strlen(name)};
    record_hash(keys, use, account, &part, 1, hash);
    return key_hash(k, letter, hash);
}

struct slice key_address(struct schema_keybuf *k, const struct record_keys *keys, const char *address)
{
    return key_named(k, keys, RECORD_ADDRESS, 0, 'a', address);
}

struct slice key_domain(struct schema_keybuf *k, const struct record_keys *keys, const char *domain)
{
    return key_named(k, keys, RECORD_DOMAIN, 0, 'd', domain);
}

struct slice key_subscription(struct schema_keybuf *k, const struct record_keys *keys, uint64_t account,
                              const char *name)
{
    return key_named(k, keys, RECORD_NAME, account, 's', name);
}
