/* How a value stands in the store: sealed and padded, or clear with a tag behind it. Which of them a record is, under
 * which key and to which length, its row of schema_table.c says. The record's place, partition and key, is bound in, so
 * that a record that is moved elsewhere does not open. */
#include "store/schema_impl.h"

#include <sodium.h>
#include <string.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/core/secmem.h"
#include "store/schema_table.h"

_Static_assert((int)TAGGED_MAX <= (int)RECORD_TAGGED_MAX, "what is tagged fits record_tag");

static size_t place_of(uint8_t out[PLACE_MAX], uint64_t part, struct slice key)
{
    struct pack p;
    pack_init(&p, out, PLACE_MAX);
    pack_u64(&p, part);
    pack_raw(&p, key.data, key.len);
    return p.len;
}

static const struct schema_kind *kind_of(uint64_t part, struct slice key, enum record_form form)
{
    const struct schema_kind *kind = key.len > 0 ? schema_kind_find(part, (char)key.data[0]) : NULL;
    bug_if(kind == NULL || kind->form != form);
    return kind;
}

/* ISO/IEC 7816-4. libsodium's takes the same time whatever stands there, an octet after the other; what is sealed is
 * authentic before it is looked at. ERR_FORMAT: that is no padding. */
static int unpad(const uint8_t *padded, size_t len, size_t step, size_t *ret_len)
{
    size_t n = len;
    while (n > 0 && padded[n - 1] == 0)
        n--;
    if (len % step || n == 0 || padded[n - 1] != 0x80 || len - n >= step)
        return ERR_FORMAT;
    *ret_len = n - 1;
    return OK;
}

static int pad(uint8_t *plain, size_t len, size_t step, size_t cap, size_t *ret_len)
{
    size_t padded = (len / step + 1) * step;
    if (padded > cap)
        return ERR_LIMIT;
    plain[len] = 0x80;
    memset(plain + len + 1, 0, padded - len - 1);
    *ret_len = padded;
    return OK;
}

int sealed_open(const struct record_keys *k, uint64_t part, struct slice key, struct slice value, uint8_t *plain,
                size_t cap, size_t *ret_len)
{
    const struct schema_kind *kind = kind_of(part, key, FORM_SEALED);
    uint8_t place[PLACE_MAX], padded[ENGINE_VALUE_MAX];
    size_t len = 0, padded_len = 0;
    if (value.len > sizeof(padded) || key.len > ENGINE_KEY_MAX)
        return ERR_FORMAT;
    int err = record_open(k, (enum record_use)kind->use, place, place_of(place, part, key), value.data, value.len,
                          padded, &padded_len);
    if (err == OK)
        err = unpad(padded, padded_len, kind->step, &len);
    if (err == OK && len > cap)
        err = ERR_FORMAT;
    if (err == OK) {
        memcpy(plain, padded, len);
        *ret_len = len;
    }
    secmem_wipe(padded, padded_len);
    return err;
}

int sealed_unpack(const struct record_keys *k, uint64_t part, struct slice key, struct slice value, uint8_t *plain,
                  size_t cap, int (*fields)(const uint8_t *plain, size_t len, void *ret), void *ret)
{
    size_t len = 0;
    int err = sealed_open(k, part, key, value, plain, cap, &len);
    if (err == OK)
        err = fields(plain, len, ret);
    secmem_wipe(plain, len);
    return err;
}

int sealed_make(const struct record_keys *k, uint64_t part, struct slice key, struct pack *p, uint8_t *out, size_t cap,
                size_t *ret_len)
{
    const struct schema_kind *kind = kind_of(part, key, FORM_SEALED);
    uint8_t place[PLACE_MAX], padded[ENGINE_VALUE_MAX - RECORD_OVERHEAD];
    size_t len = 0, most = cap - RECORD_OVERHEAD < sizeof(padded) ? cap - RECORD_OVERHEAD : sizeof(padded);
    int err = p->failed || p->len > most ? ERR_LIMIT : OK;
    if (err == OK) {
        memcpy(padded, p->data, p->len);
        err = pad(padded, p->len, kind->step, most, &len);
        secmem_wipe(p->data, p->len);
    }
    if (err == OK) {
        record_seal(k, (enum record_use)kind->use, place, place_of(place, part, key), padded, len, out);
        secmem_wipe(padded, len);
        *ret_len = len + RECORD_OVERHEAD;
    }
    return err;
}

int sealed_put(struct engine_txn *t, const struct record_keys *k, uint64_t part, struct slice key, struct pack *p)
{
    uint8_t sealed[ENGINE_VALUE_MAX];
    size_t len;
    int err = sealed_make(k, part, key, p, sealed, sizeof(sealed), &len);
    return err == OK ? engine_put(t, part, key, slice_of(sealed, len)) : err;
}

int tagged_open(const struct record_keys *k, uint64_t part, struct slice key, struct slice value, struct unpack *ret)
{
    uint8_t place[PLACE_MAX], tag[RECORD_TAG_SIZE];
    (void)kind_of(part, key, FORM_TAGGED);
    if (!record_keys_have(k, RECORD_TAG))
        return ERR_DENIED;
    if (value.len < RECORD_TAG_SIZE || value.len > TAGGED_MAX + RECORD_TAG_SIZE || key.len > ENGINE_KEY_MAX)
        return ERR_FORMAT;
    struct slice clear = slice_of(value.data, value.len - RECORD_TAG_SIZE);
    record_tag(k, place, place_of(place, part, key), clear.data, clear.len, tag);
    if (memcmp(tag, value.data + clear.len, RECORD_TAG_SIZE) != 0)
        return ERR_CRYPTO;
    unpack_init(ret, clear.data, clear.len);
    return OK;
}

int tagged_put(struct engine_txn *t, const struct record_keys *k, uint64_t part, struct slice key, const struct pack *p)
{
    uint8_t place[PLACE_MAX], value[TAGGED_MAX + RECORD_TAG_SIZE];
    (void)kind_of(part, key, FORM_TAGGED);
    if (p->failed || p->len > TAGGED_MAX)
        return ERR_LIMIT;
    memcpy(value, p->data, p->len);
    record_tag(k, place, place_of(place, part, key), p->data, p->len, value + p->len);
    return engine_put(t, part, key, slice_of(value, p->len + RECORD_TAG_SIZE));
}

struct unpack key_fields(struct slice key)
{
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    (void)unpack_u8(&u);
    return u;
}

int fields_version(struct unpack *u, uint8_t newest)
{
    uint8_t version = unpack_u8(u);
    return version > newest ? ERR_VERSION : version == newest ? OK : ERR_FORMAT;
}

int sealed_get(struct engine_txn *t, const struct record_keys *k, uint64_t part, struct slice key, uint8_t *plain,
               size_t cap, size_t *ret_len)
{
    struct slice value;
    int err = engine_get(t, part, key, &value);
    return err ? err : sealed_open(k, part, key, value, plain, cap, ret_len);
}

int tagged_get(struct engine_txn *t, const struct record_keys *k, uint64_t part, struct slice key, struct unpack *ret)
{
    struct slice value;
    int err = engine_get(t, part, key, &value);
    return err ? err : tagged_open(k, part, key, value, ret);
}
