#include "store/fence.h"

#include "server/core/error.h"
#include "store/blob_size.h"
#include "store/schema_impl.h"
#include "store/sealed_blob.h"

enum {
    VERSION = 1,
    LEN = BLOB_HALF_MAX - RECORD_OVERHEAD,
    WEDGES = 3 /* the first at the end of a page, the last at the beginning of another */,
    WEDGE = 2000
};
_Static_assert(WEDGE > (int)BLOB_LEAF_MAX && WEDGE < ENGINE_RUN(1) / 2, "two fill a page");

/* Kinds stand in this order: packets, certificates, heads (store/engine_lmdb_data.c). */
const struct fence fences[FENCES] = {{BLOB_PACKETS, 0}, {BLOB_PACKETS, FENCE_ID_LAST}, {BLOB_HEAD, FENCE_ID_LAST}};

static const uint8_t nothing[WEDGE];

bool fence_has(enum blob_kind kind, uint64_t id)
{
    for (size_t i = 0; i < FENCES; i++)
        if (fences[i].kind == kind && fences[i].id == id)
            return true;
    return false;
}

static struct sealed_blob blob_of(uint64_t account, const struct fence *f)
{
    return (struct sealed_blob){.use = RECORD_MESSAGE, .account = account, .kind = f->kind, .id = f->id, .len = LEN};
}

/* What stands between two values for a moment parts their pages for good. */
static int part_blobs(struct engine_txn *t, uint64_t account, const struct fence *f)
{
    int err = OK;
    for (uint32_t n = 0; !err && n < WEDGES; n++)
        err = engine_blob_put(t, account, f->kind, f->id - 1, n, slice_of(nothing, WEDGE));
    return err ? err : engine_blob_del(t, account, f->kind, f->id - 1);
}

static int part_records(struct engine_txn *t, uint64_t account)
{
    struct schema_keybuf kb;
    int err = OK;
    for (uint64_t n = WEDGES; !err && n > 0; n--)
        err = engine_put(t, account, key_u64(&kb, 'm', UINT64_MAX - n), slice_of(nothing, WEDGE));
    for (uint64_t n = WEDGES; !err && n > 0; n--)
        err = engine_del(t, account, key_u64(&kb, 'm', UINT64_MAX - n));
    return err;
}

static int put_record(struct engine_txn *t, const struct record_keys *k, uint64_t account)
{
    struct schema_keybuf kb;
    uint8_t plain[1];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, VERSION);
    return sealed_put(t, k, account, key_simple(&kb, 'n'), &p);
}

int fence_put(struct engine_txn *t, const struct record_keys *k, uint64_t account)
{
    const struct slice zeros = slice_of(nothing, LEN);
    int err = put_record(t, k, account);
    if (!err)
        err = part_records(t, account);
    for (size_t i = 0; !err && i < FENCES; i++) {
        const struct sealed_blob b = blob_of(account, &fences[i]);
        err = sealed_blob_put(t, k, &b, &zeros, 1);
        if (!err && fences[i].id)
            err = part_blobs(t, account, &fences[i]);
    }
    return err;
}

static int check_record_of(struct engine_txn *t, const struct record_keys *k, uint64_t account)
{
    struct schema_keybuf kb;
    uint8_t plain[1];
    struct unpack u;
    size_t len;
    int err = sealed_get(t, k, account, key_simple(&kb, 'n'), plain, sizeof(plain), &len);
    if (err)
        return err;
    unpack_init(&u, plain, len);
    err = fields_version(&u, VERSION);
    return err ? err : unpack_done(&u) ? OK : ERR_FORMAT;
}

int fence_check(struct engine_txn *t, const struct record_keys *k, uint64_t account)
{
    uint8_t out[ENGINE_BLOB_CHUNK];
    size_t len;
    int err = check_record_of(t, k, account);
    for (size_t i = 0; !err && i < FENCES; i++) {
        const struct sealed_blob b = blob_of(account, &fences[i]);
        err = sealed_blob_open(t, k, &b, 0, out, &len);
    }
    return err;
}
