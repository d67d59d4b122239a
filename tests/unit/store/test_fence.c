/* How full LMDB's leaves are where messages come, whatever stands beside them in the tree: what fences are for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

#include "server/core/error.h"
#include "store/content.h"
#include "store/engine_lmdb_impl.h"
#include "store/fence.h"
#include "tests/support/engine_checks.h"

enum {
    FIRST = 16,
    MESSAGES = 800,
    MAP_ROOM = 1 << 28,
    LEAF = 4096 - 16,
    NODE = 2 + 8,
    OUTER = 150,
    CAPSULE = 700,
    HEAD = 110
};

static struct record_keys *keys;
static uint8_t octets[100000];

/* The leaves of a tree, and the octets of their nodes. */
struct leaves {
    double pages, octets;
};

static struct leaves leaves_of(struct engine_txn *t, MDB_dbi dbi)
{
    struct leaves l = {0, 0};
    MDB_cursor *c;
    MDB_stat s;
    MDB_val k, v;
    assert_int_equal(mdb_stat(lt(t)->txn, dbi, &s), 0);
    assert_int_equal(mdb_cursor_open(lt(t)->txn, dbi, &c), 0);
    while (!mdb_cursor_get(c, &k, &v, MDB_NEXT))
        l.octets += NODE + (double)k.mv_size + (v.mv_size > 2038 - k.mv_size - 8 ? 8 : (double)v.mv_size);
    mdb_cursor_close(c);
    l.pages = (double)s.ms_leaf_pages;
    return l;
}

static double filled(const struct leaves *before, const struct leaves *after)
{
    return (after->octets - before->octets) / ((after->pages - before->pages) * LEAF);
}

static void put_account(struct engine_txn *t, uint64_t account, size_t cert_len)
{
    const struct schema_usage usage = {.number_next = 2};
    static const struct schema_mailbox_name name = {.name = "Mailbox"};
    struct schema_account a = {.id = account, .auth_iterations = 4096, .address = "somebody@example.org"};
    assert_int_equal(schema_put_account(t, keys, account, &a), OK);
    assert_int_equal(schema_put_usage(t, keys, account, &usage), OK);
    for (uint32_t id = 1; id <= 6; id++) {
        const struct schema_mailbox box = {.id = id, .uidvalidity = id, .uidnext = 1};
        assert_int_equal(schema_put_mailbox(t, keys, account, &box), OK);
        assert_int_equal(schema_put_mailbox_name(t, keys, account, id, &name), OK);
    }
    assert_int_equal(schema_put_cert(t, keys, account, 1, slice_of(octets, cert_len)), OK);
    assert_int_equal(fence_put(t, keys, account), OK);
    assert_int_equal(fence_check(t, keys, account), OK);
}

static void put_message(struct engine_txn *t, uint64_t account, uint64_t id, size_t len)
{
    struct schema_message m = {.id = id,
                               .references = 1,
                               .kind = MESSAGE_SERVER_SEALED,
                               .render_version = 1,
                               .packets_len = len,
                               .head_len = HEAD,
                               .capsule_len = CAPSULE,
                               .outer_len = OUTER,
                               .nfprs = 1,
                               .outer = slice_of(octets, OUTER)};
    content_draw(&m);
    assert_int_equal(content_write(t, keys, account, &m, slice_of(octets, len), slice_of(octets, CAPSULE)), OK);
    assert_int_equal(schema_put_message(t, keys, account, &m), OK);
}

/* LMDB takes the last record of a full page along to the next one, where fewer than 20 stand on a page: of large
 * records that is a noticeable share. */
static double fill_at_best(const struct leaves *before, const struct leaves *after)
{
    double record = (after->octets - before->octets) / (MESSAGES - MESSAGES / 10);
    return record * (double)((unsigned)(LEAF / record) - 1) / LEAF;
}

/* len 0: of any length to 20 KB. */
static void fill_of(unsigned accounts, size_t cert_len, size_t len, double least)
{
    struct engine *e;
    struct leaves before[2], after[2];
    assert_int_equal(engine_lmdb_create(checks_fresh_dir(), MAP_ROOM, 1, &e), OK);
    struct engine_txn *t = checks_group(e);
    for (uint64_t a = 0; a < accounts; a++)
        put_account(t, FIRST + a, cert_len);
    for (uint64_t n = 0; n < MESSAGES; n++) {
        if (n == MESSAGES / 10)
            before[0] = leaves_of(t, lm(e)->kv), before[1] = leaves_of(t, lm(e)->blob);
        put_message(t, FIRST + n % accounts, 2 + n / accounts, len ? len : 1000 + n * 7919 % 19000);
    }
    after[0] = leaves_of(t, lm(e)->kv), after[1] = leaves_of(t, lm(e)->blob);
    for (unsigned i = 0; i < 2; i++)
        if (filled(&before[i], &after[i]) < (i ? least : fill_at_best(&before[i], &after[i]) - 0.02))
            fail_msg("%u accounts, certificates of %zu, mail of %zu: %s leaves are filled to %.2f", accounts, cert_len,
                     len, i ? "the blobs'" : "the records'", filled(&before[i], &after[i]));
    engine_group_abort(t);
    engine_close(e);
}

static void test_leaves_are_full(void **st)
{
    static const size_t certs[] = {200, 600, 1100, 1700, 4000}, lens[] = {13690, 38690, 3000, 7000, 0};
    for (size_t c = 0; c < sizeof(certs) / sizeof(*certs); c++)
        for (size_t l = 0; l < sizeof(lens) / sizeof(*lens); l++)
            for (unsigned accounts = 1; accounts <= 4; accounts += 3)
                fill_of(accounts, certs[c], lens[l], lens[l] ? 0.82 : 0.75);
}

/* Nothing but the fences is left of what parted the pages, and an id is no fence's by chance. */
static void test_what_is_there(void **st)
{
    struct schema_keybuf from;
    struct slice v;
    struct engine *e;
    checks_make_lmdb(&e);
    struct engine_txn *t = checks_group(e);
    assert_int_equal(fence_check(t, keys, FIRST), ERR_NOT_FOUND);
    assert_int_equal(fence_put(t, keys, FIRST), OK);
    assert_int_equal(fence_check(t, keys, FIRST), OK);
    MDB_stat s;
    assert_int_equal(mdb_stat(lt(t)->txn, lm(e)->blob, &s), 0);
    assert_int_equal(s.ms_entries, FENCES + 1); /* and an empty one before the head's */
    assert_int_equal(mdb_stat(lt(t)->txn, lm(e)->kv, &s), 0);
    assert_int_equal(s.ms_entries, 1 + 1); /* and the number of the commit */
    assert_int_equal(engine_get(t, FIRST, key_simple(&from, 'n'), &v), OK);
    for (size_t i = 0; i < FENCES; i++) {
        assert_true(fence_has(fences[i].kind, fences[i].id));
        assert_true(fences[i].id == 0 || fences[i].id >= MESSAGE_ID_MAX);
    }
    assert_false(fence_has(BLOB_PACKETS, 1) || fence_has(BLOB_HEAD, 0) || fence_has(BLOB_CERTIFICATE, FENCE_ID_LAST) ||
                 fence_has(BLOB_HEAD, MESSAGE_ID_MAX - 1));
    for (size_t i = 0; i < FENCES; i++) {
        uint8_t changed[ENGINE_BLOB_CHUNK];
        assert_int_equal(engine_blob_get(t, FIRST, fences[i].kind, fences[i].id, 0, &v), OK);
        memcpy(changed, v.data, v.len);
        changed[v.len / 2] ^= 1;
        assert_int_equal(engine_blob_put(t, FIRST, fences[i].kind, fences[i].id, 0, slice_of(changed, v.len)), OK);
        assert_int_equal(fence_check(t, keys, FIRST), ERR_CRYPTO);
        assert_int_equal(engine_blob_del(t, FIRST, fences[i].kind, fences[i].id), OK);
        assert_int_equal(fence_check(t, keys, FIRST), ERR_NOT_FOUND);
        assert_int_equal(fence_put(t, keys, FIRST), OK);
    }
    engine_group_abort(t);
    engine_close(e);
}

static int setup(void **st)
{
    uint8_t root[RECORD_KEY_SIZE] = {7};
    if (checks_setup(st) != 0 || outer_seal_init() != OK)
        return 1;
    keys = record_keys_of_root(root);
    randombytes_buf(octets, sizeof(octets));
    return keys == NULL;
}

static int teardown(void **st)
{
    record_keys_destroy(keys);
    return checks_teardown(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves_are_full),
        cmocka_unit_test(test_what_is_there),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
