#include "store/suppression.h"

#include <string.h>

#include "server/core/error.h"
#include "store/schema_impl.h"

enum { VERSION = 1, PLAIN_MAX = 1 + 2 * 8 + 4 + ADDRESS_MAX + 4 + QUEUE_REPLY_MAX + 1 };
_Static_assert(RECORD_OVERHEAD + PLAIN_MAX + 256 <= (int)SUPPRESSED_RECORD_MAX, "a record fits");

int suppression_spell(const char *address, char out[ADDRESS_MAX])
{
    char domain[DOMAIN_CAP], whole[ADDRESS_MAX];
    const char *at = strrchr(address, '@');
    size_t a, plus, local;
    if (address_normalize(address, strlen(address), whole, &a, &plus) == OK) {
        memcpy(out, whole, strlen(whole) + 1);
        return OK;
    }
    if (at == NULL || at == address || address_domain_normalize(at + 1, strlen(at + 1), domain) != OK)
        return ERR_FORMAT;
    local = (size_t)(at - address) + 1;
    if (local + strlen(domain) >= ADDRESS_MAX)
        return ERR_FORMAT;
    memmove(out, address, local);
    memcpy(out + local, domain, strlen(domain) + 1);
    return OK;
}

void suppression_hash(const struct record_keys *k, const char *address, uint8_t out[RECORD_HASH_SIZE])
{
    const struct record_part part = {address, strlen(address)};
    record_hash(k, RECORD_QUEUE, PART_QUEUE, &part, 1, out);
}

int suppression_seal(const struct record_keys *k, const struct suppressed *s, uint8_t hash[RECORD_HASH_SIZE],
                     uint8_t *out, size_t *ret_len)
{
    struct schema_keybuf kb;
    uint8_t plain[PLAIN_MAX];
    struct pack p;
    if (!text_ends(s->address, sizeof(s->address)) || !text_ends(s->reply, sizeof(s->reply)) || s->address[0] == '\0')
        return ERR_LIMIT;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, VERSION);
    pack_u64(&p, s->since);
    pack_u64(&p, s->until);
    pack_str(&p, s->address);
    pack_str(&p, s->reply);
    suppression_hash(k, s->address, hash);
    return sealed_make(k, PART_QUEUE, key_hash(&kb, 'S', hash), &p, out, SUPPRESSED_RECORD_MAX, ret_len);
}

static int unpack(const uint8_t *plain, size_t len, void *into)
{
    struct suppressed *ret = into;
    struct unpack u;
    unpack_init(&u, plain, len);
    int err = fields_version(&u, VERSION);
    ret->since = unpack_u64(&u);
    ret->until = unpack_u64(&u);
    unpack_str(&u, ret->address, sizeof(ret->address));
    unpack_str(&u, ret->reply, sizeof(ret->reply));
    return err != OK ? err : unpack_done(&u) && ret->address[0] != '\0' ? OK : ERR_FORMAT;
}

int suppression_open(const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE], struct slice sealed,
                     struct suppressed *ret)
{
    struct schema_keybuf kb;
    struct suppressed s;
    uint8_t plain[PLAIN_MAX];
    int err = sealed_unpack(k, PART_QUEUE, key_hash(&kb, 'S', hash), sealed, plain, sizeof(plain), unpack, &s);
    if (err == OK)
        *ret = s;
    return err;
}
