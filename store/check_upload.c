/* The records of certificates that wait to be verified. */
#include "server/core/error.h"
#include "store/check_impl.h"
#include "store/schema_impl.h"
#include "store/upload.h"

/* 'u' */
void check_upload(struct check *c, struct slice key, struct slice value)
{
    static uint8_t cert[PGP_PUBLISHED_MAX];
    struct schema_keybuf kb;
    struct upload up;
    struct unpack u = key_fields(key);
    const uint8_t *hash = unpack_raw(&u, RECORD_HASH_SIZE).data;
    const uint32_t place = unpack_u32(&u);
    (void)value;
    if (!check_opened(c, schema_get_upload(c->t, c->k, hash, place, &up)))
        return;
    if (place >= UPLOAD_PLACES)
        check_fault(c, "an address has no such place");
    if (!check_has(c, PART_KEYSERVER, key_upload_until(&kb, up.until, hash, place)) && !c->err)
        check_fault(c, "the index of when it goes lacks it");
    if (up.len)
        check_opened(c, schema_get_upload_cert(c->t, c->k, hash, place, &up, cert));
}

/* 'v' */
void check_upload_chunk(struct check *c, struct slice key, struct slice value)
{
    struct upload up;
    struct unpack u = key_fields(key);
    const uint8_t *hash = unpack_raw(&u, RECORD_HASH_SIZE).data;
    const uint32_t n = unpack_u32(&u);
    bool there;
    (void)value;
    check_found_there(c, schema_get_upload(c->t, c->k, hash, n / UPLOAD_CHUNKS, &up), &there);
    if (!c->err && (!there || n % UPLOAD_CHUNKS * PUBLISHED_CHUNK >= up.len))
        check_fault(c, "it is of no certificate");
}

/* 'x' */
void check_upload_until(struct check *c, struct slice key, struct slice value)
{
    struct upload up;
    struct unpack u = key_fields(key);
    const uint64_t until = unpack_u64(&u);
    const uint8_t *hash = unpack_raw(&u, RECORD_HASH_SIZE).data;
    const uint32_t place = unpack_u32(&u);
    bool there;
    (void)value;
    check_found_there(c, schema_get_upload(c->t, c->k, hash, place, &up), &there);
    if (!c->err && (!there || up.until != until))
        check_fault(c, "it leads to nothing that goes then");
}

struct tally {
    struct check *c;
    struct upload_head h;
};

static int count(void *arg, struct slice key, struct slice value)
{
    struct tally *t = arg;
    struct upload up;
    struct unpack u = key_fields(key);
    const uint8_t *hash = unpack_raw(&u, RECORD_HASH_SIZE).data;
    (void)value;
    t->h.n++;
    if (key.len == 1 + RECORD_HASH_SIZE + 4 && schema_get_upload(t->c->t, t->c->k, hash, unpack_u32(&u), &up) == OK)
        t->h.octets += up.len;
    return 0;
}

/* 'n' */
void check_upload_head(struct check *c, struct slice key, struct slice value)
{
    struct schema_keybuf from, to;
    struct tally t = {.c = c};
    struct upload_head h;
    (void)key;
    (void)value;
    if (!check_opened(c, schema_get_upload_head(c->t, c->k, &h)))
        return;
    int err = engine_scan(c->t, PART_KEYSERVER, key_simple(&from, 'u'), key_simple(&to, 'u' + 1), 0, count, &t);
    if (check_opened(c, err) && (h.n != t.h.n || h.octets != t.h.octets))
        check_fault(c, "there are %u with %llu octets", (unsigned)t.h.n, (unsigned long long)t.h.octets);
}
