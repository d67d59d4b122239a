/* How messages' octets are cut, sealed and opened again; and a thief who swaps, cuts and flips them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

#include "server/core/error.h"
#include "store/blob_size.h"
#include "store/content.h"
#include "store/sealed_blob.h"
#include "store/view_impl.h"

enum { A = 16, B = 17, PACKETS = 70000, HEAD = 300, CAPSULE = 700 };

static struct record_keys *keys;
static struct engine *engine;
static struct view *view;
static uint8_t packets[PACKETS], capsule[CAPSULE], out[PACKETS];

static struct engine_txn *group(void)
{
    struct engine_txn *t;
    assert_int_equal(engine_group_begin(engine, &t), OK);
    return t;
}

static struct schema_message message(uint64_t id, uint8_t kind, size_t len)
{
    struct schema_message m = {.id = id,
                               .kind = kind,
                               .packets_len = len,
                               .head_len = len < HEAD ? (uint32_t)len : HEAD,
                               .capsule_len = CAPSULE};
    content_draw(&m);
    return m;
}

static void put(uint64_t account, const struct schema_message *m)
{
    struct engine_txn *t = group();
    assert_int_equal(content_write(t, keys, account, m, slice_of(packets, m->packets_len), slice_of(capsule, CAPSULE)),
                     OK);
    assert_int_equal(engine_group_commit(t), OK);
}

/* What FETCH reads: all of it, in one piece. */
static int read_it(uint64_t account, const struct schema_message *m)
{
    assert_int_equal(view_begin(view), OK);
    int err = view_packets(view, account, m, 0, out, m->packets_len);
    assert_int_equal(view_end(view), OK);
    return err;
}

/* What audit does beside reading. */
static int check_it(uint64_t account, const struct schema_message *m)
{
    uint32_t chunks = 1;
    int err = OK;
    assert_int_equal(view_begin(view), OK);
    for (uint32_t n = 0; !err && n < chunks; n++)
        err = view_check_packets(view, account, m, n, &chunks);
    assert_int_equal(view_end(view), OK);
    return err;
}

static void forget_opened(void)
{
    view->head.there = view->body.there = false;
}

/* ---- sizes ---- */

static void sizes_are_few_and_fit(void **state)
{
    size_t last = 0, different = 0;
    for (size_t len = 1; len <= ENGINE_BLOB_CHUNK; len++) {
        size_t fit = blob_size_fit(len);
        assert_true(fit >= len && fit <= ENGINE_BLOB_CHUNK && fit >= last);
        different += fit != last;
        assert_true(fit <= BLOB_LEAF_MAX || (fit + 16) % 4096 == 0);
        last = fit;
    }
    assert_int_equal(different, 11);
}

/* Over every length near an edge, with the least and the most padding: the chunks cover the body, only the last three
 * may be short of full, and what is stored is never more than is charged nor less for more octets. */
static void layouts_cover(void **state)
{
    uint64_t before = 0;
    for (uint64_t len = 1; len < 5 * CONTENT_CHUNK; len += len % CONTENT_CHUNK < 9000 ? 1 : 7)
        for (unsigned most = 0; most < 2; most++) {
            uint64_t padding =
                len / CONTENT_PADDING_SHARE < CONTENT_PADDING_MAX ? len / CONTENT_PADDING_SHARE : CONTENT_PADDING_MAX;
            struct schema_message m = {.packets_len = len, .padding = most ? (uint32_t)padding : 0};
            struct content_layout l;
            uint32_t chunks;
            uint64_t at = 0, stored = 0, charged = content_most(&m, &chunks);
            content_layout(&m, &l);
            for (uint32_t n = 0; n < content_chunks(&l); n++) {
                size_t room = content_chunk_room(&l, n);
                assert_true(room > 0 && blob_size_fit(room + OUTER_SEAL_TAG) == room + OUTER_SEAL_TAG);
                assert_true(content_chunk_start(&l, n) == at);
                assert_true(at >= len || content_chunk_at(&l, at) == n);
                assert_true(at + room > len || content_chunk_at(&l, at + room - 1) == n);
                assert_true((n + l.tails >= content_chunks(&l)) == (room + OUTER_SEAL_TAG <= BLOB_LEAF_MAX));
                at += room;
                stored += room + OUTER_SEAL_TAG;
            }
            assert_true(at >= len + m.padding && stored <= charged);
            assert_true(charged >= before);
            before = charged;
        }
}

/* ---- whole ---- */

static void comes_back(uint64_t id, unsigned kind, size_t len)
{
    struct schema_message m = message(id, (uint8_t)kind, len);
    put(A, &m);
    forget_opened();
    memset(out, 0, sizeof(out));
    assert_int_equal(read_it(A, &m), OK);
    assert_memory_equal(out, packets, len);
    assert_int_equal(len > HEAD ? check_it(A, &m) : OK, OK);
    for (unsigned piece = 0; piece < 50; piece++) {
        size_t at = randombytes_uniform((uint32_t)len), n = randombytes_uniform((uint32_t)(len - at) + 1);
        assert_int_equal(view_begin(view), OK);
        assert_int_equal(view_packets(view, A, &m, at, out, n), OK);
        assert_int_equal(view_end(view), OK);
        assert_memory_equal(out, packets + at, n);
    }
}

/* A few, and those around every edge of a chunk, in every kind. */
static void every_length_comes_back(void **state)
{
    static const size_t lens[] = {1, HEAD, HEAD + 1, 1000, 2300, 4400, 8000, 33000, PACKETS};
    static const size_t edges[] = {1877 - OUTER_SEAL_TAG, 1877, 2408, 4064, 8160, 12256, CONTENT_CHUNK};
    uint64_t id = 100;
    for (unsigned kind = MESSAGE_SERVER_SEALED; kind <= MESSAGE_CLIENT; kind++) {
        for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++)
            comes_back(id++, kind, lens[i]);
        for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++)
            for (size_t full = 0; full < 4; full++)
                for (size_t near = 0; near < 5; near++)
                    comes_back(id++, kind, HEAD + full * CONTENT_CHUNK + edges[i] + near - 2);
    }
}

/* Copies of one mail do not look alike: no chunk's octets, and not always its length. */
static int look_for_readable(const struct schema_message *m)
{
    struct engine_txn *t;
    struct slice v;
    int found = 0;
    assert_int_equal(engine_read_begin(engine, &t), OK);
    for (int kind = 0; kind < BLOB_KINDS; kind++)
        for (uint32_t n = 0; n < 8; n++)
            if (engine_blob_get(t, A, (enum blob_kind)kind, m->id, n, &v) == OK)
                for (size_t at = 0; at + 40 < m->packets_len; at += 32)
                    found += memmem(v.data, v.len, packets + at, 8) != NULL;
    assert_int_equal(engine_read_end(t), OK);
    return found;
}

static void what_others_made_is_hidden(void **state)
{
    for (unsigned kind = MESSAGE_SERVER_SEALED; kind <= MESSAGE_CLIENT; kind++) {
        struct schema_message m = message(1, (uint8_t)kind, 20000);
        put(A, &m);
        int found = look_for_readable(&m);
        assert_true(kind == MESSAGE_SERVER_SEALED ? found > 500 : found == 0);
    }
}

static void copies_differ_in_length(void **state)
{
    uint64_t seen[64];
    unsigned different = 0;
    for (unsigned i = 0; i < 64; i++) {
        struct schema_message m = message(1, MESSAGE_SERVER_SEALED, 33000);
        seen[i] = m.padding;
        for (unsigned j = 0; j < i; j++)
            different += seen[j] != seen[i];
    }
    assert_true(different > 64 * 63 / 2 * 9 / 10);
}

/* ---- the thief, who can write ---- */

static struct slice chunk(struct engine_txn *t, uint64_t account, enum blob_kind kind, uint64_t id, uint32_t n)
{
    struct slice v;
    assert_int_equal(engine_blob_get(t, account, kind, id, n, &v), OK);
    return v;
}

struct place {
    uint64_t account;
    enum blob_kind kind;
    uint64_t id;
    uint32_t n;
};

static void swap(struct place a, struct place b)
{
    static uint8_t x[ENGINE_BLOB_CHUNK], y[ENGINE_BLOB_CHUNK];
    struct engine_txn *t = group();
    struct slice v = chunk(t, a.account, a.kind, a.id, a.n), w;
    size_t vn = v.len;
    memcpy(x, v.data, vn);
    w = chunk(t, b.account, b.kind, b.id, b.n);
    size_t wn = w.len;
    memcpy(y, w.data, wn);
    assert_int_equal(engine_blob_put(t, a.account, a.kind, a.id, a.n, slice_of(y, wn)), OK);
    assert_int_equal(engine_blob_put(t, b.account, b.kind, b.id, b.n, slice_of(x, vn)), OK);
    assert_int_equal(engine_group_commit(t), OK);
    forget_opened();
}

/* Found by whoever reads, if the octets are hidden or of the head; and always by audit. */
static void expect_found(uint64_t account, const struct schema_message *m, bool head)
{
    if (content_hidden(m) || head)
        assert_int_equal(read_it(account, m), ERR_CRYPTO);
    if (!head)
        assert_int_equal(check_it(account, m), ERR_CRYPTO);
}

static void moved_chunks_are_found(void **state)
{
    for (unsigned kind = MESSAGE_SERVER_SEALED; kind <= MESSAGE_CLIENT; kind++) {
        struct schema_message a = message(1, (uint8_t)kind, 50000), b = message(2, (uint8_t)kind, 50000);
        const struct {
            struct place from, to;
        } table[] = {
            {{A, BLOB_PACKETS, 1, 0}, {A, BLOB_PACKETS, 1, 1}}, /* of one message */
            {{A, BLOB_PACKETS, 1, 0}, {A, BLOB_PACKETS, 2, 0}}, /* of two */
            {{A, BLOB_PACKETS, 1, 2}, {B, BLOB_PACKETS, 1, 2}}, /* of two accounts, the same message's number */
            {{A, BLOB_HEAD, 1, 0}, {A, BLOB_HEAD, 2, 0}},       {{A, BLOB_HEAD, 1, 0}, {B, BLOB_HEAD, 1, 0}},
        };
        for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
            put(A, &a), put(A, &b), put(B, &a);
            swap(table[i].from, table[i].to);
            expect_found(A, &a, table[i].from.kind == BLOB_HEAD);
            swap(table[i].from, table[i].to);
            assert_int_equal(read_it(A, &a), OK);
        }
    }
}

static int read_part(const struct schema_message *m, bool head)
{
    assert_int_equal(view_begin(view), OK);
    int err = head ? view_capsule(view, A, m, 0, out, m->capsule_len)
                   : view_packets(view, A, m, m->head_len, out, m->packets_len - m->head_len);
    assert_int_equal(view_end(view), OK);
    return err;
}

/* One whose record keeps another salt is another message's, though all else is the same; also where the older one was
 * just read. */
static void older_octets_are_found(void **state)
{
    for (unsigned kind = MESSAGE_SERVER_SEALED; kind <= MESSAGE_FOREIGN; kind++) {
        struct schema_message older = message(1, (uint8_t)kind, 10000), newer = message(1, (uint8_t)kind, 10000);
        newer.padding = older.padding;
        put(A, &older);
        for (unsigned at_hand = 0; at_hand < 2; at_hand++) {
            forget_opened();
            if (at_hand)
                assert_int_equal(read_it(A, &older), OK);
            assert_int_equal(read_part(&newer, true), ERR_CRYPTO);
            assert_int_equal(read_part(&newer, false), content_hidden(&newer) ? ERR_CRYPTO : OK);
            assert_int_equal(check_it(A, &newer), ERR_CRYPTO);
        }
    }
}

static void rewrite(const struct schema_message *m, enum blob_kind kind, uint32_t n, const uint8_t *octets, size_t len)
{
    struct engine_txn *t = group();
    assert_int_equal(engine_blob_put(t, A, kind, m->id, n, slice_of(octets, len)), OK);
    assert_int_equal(engine_group_commit(t), OK);
    forget_opened();
}

static void a_cut_end_is_found(void **state)
{
    static uint8_t full[2][ENGINE_BLOB_CHUNK];
    for (unsigned kind = MESSAGE_SERVER_SEALED; kind <= MESSAGE_CLIENT; kind++) {
        struct schema_message m = message(1, (uint8_t)kind, 2 * CONTENT_CHUNK + HEAD + 1000);
        m.padding = 0;
        put(A, &m);
        struct engine_txn *t = group();
        for (uint32_t n = 0; n < 2; n++)
            memcpy(full[n], chunk(t, A, BLOB_PACKETS, 1, n).data, ENGINE_BLOB_CHUNK);
        assert_int_equal(engine_blob_del(t, A, BLOB_PACKETS, 1), OK);
        assert_int_equal(engine_group_commit(t), OK);
        for (uint32_t n = 0; n < 2; n++)
            rewrite(&m, BLOB_PACKETS, n, full[n], ENGINE_BLOB_CHUNK);
        assert_int_equal(read_it(A, &m), ERR_NOT_FOUND);
        assert_int_equal(check_it(A, &m), ERR_NOT_FOUND);
        m.packets_len = 2 * CONTENT_CHUNK + HEAD; /* and a record that says that it ends there */
        assert_int_equal(check_it(A, &m), ERR_CRYPTO);
    }
}

/* Each octet of a chunk, padding and tag too, changed; and the chunk shortened. */
static void flip_each(const struct schema_message *m, enum blob_kind kind, uint32_t n)
{
    static uint8_t copy[ENGINE_BLOB_CHUNK];
    struct engine_txn *t = group();
    struct slice v = chunk(t, A, kind, m->id, n);
    size_t len = v.len;
    memcpy(copy, v.data, len);
    engine_group_abort(t);
    for (size_t i = 0; i < len; i++) {
        copy[i] ^= (uint8_t)(1 + i % 255);
        rewrite(m, kind, n, copy, len);
        if (kind == BLOB_HEAD && i == 0) /* the version of the seal */
            assert_true(read_it(A, m) == ERR_CRYPTO || read_it(A, m) == ERR_VERSION);
        else
            expect_found(A, m, kind == BLOB_HEAD);
        copy[i] ^= (uint8_t)(1 + i % 255);
    }
    rewrite(m, kind, n, copy, len - 1);
    assert_int_equal(read_it(A, m), ERR_FORMAT);
    rewrite(m, kind, n, copy, len);
    assert_int_equal(read_it(A, m), OK);
}

static void each_octet_is_found(void **state)
{
    for (unsigned kind = MESSAGE_SERVER_SEALED; kind <= MESSAGE_FOREIGN; kind++) {
        struct schema_message m = message(1, (uint8_t)kind, HEAD + 4064 + 2200);
        struct content_layout l;
        content_layout(&m, &l);
        assert_true(content_chunks(&l) == 3 && l.tails == 2);
        put(A, &m);
        flip_each(&m, BLOB_HEAD, 0);
        for (uint32_t n = 0; n < content_chunks(&l); n++)
            flip_each(&m, BLOB_PACKETS, n);
    }
}

/* ---- who lacks a key ---- */

static void keys_of_other_uses_open_nothing(void **state)
{
    const uint8_t root[RECORD_KEY_SIZE] = {9};
    struct record_bundle b;
    struct view *poor;
    struct schema_message m = message(1, MESSAGE_FOREIGN, 20000);
    put(A, &m);
    for (unsigned use = 0; use < RECORD_USES; use++) {
        record_bundle_make(root, root, &b);
        record_bundle_keep(&b, RECORD_ALL & ~RECORD_BIT(use));
        struct record_keys *some = record_keys_create(&b);
        assert_int_equal(view_over(engine, some, &poor), OK);
        assert_int_equal(view_begin(poor), OK);
        assert_int_equal(view_packets(poor, A, &m, 0, out, 10), use == RECORD_MESSAGE ? ERR_DENIED : OK);
        assert_int_equal(view_packets(poor, A, &m, 1000, out, 10), use == RECORD_CONTENT ? ERR_DENIED : OK);
        assert_int_equal(view_capsule(poor, A, &m, 0, out, 10), use == RECORD_MESSAGE ? ERR_DENIED : OK);
        assert_int_equal(view_end(poor), OK);
        view_close(poor);
        record_keys_destroy(some);
    }
}

static int each_setup(void **state)
{
    assert_int_equal(engine_mem_create(&engine), OK);
    return view_over(engine, keys, &view);
}

static int each_teardown(void **state)
{
    view_close(view);
    engine_close(engine);
    return 0;
}

static int setup(void **state)
{
    const uint8_t root[RECORD_KEY_SIZE] = {9};
    keys = sodium_init() < 0 ? NULL : record_keys_of_root(root);
    randombytes_buf(packets, sizeof(packets));
    randombytes_buf(capsule, sizeof(capsule));
    return !keys;
}

static int teardown(void **state)
{
    record_keys_destroy(keys);
    return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, each_setup, each_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_few_and_fit),
        cmocka_unit_test(layouts_cover),
        TEST(every_length_comes_back),
        TEST(what_others_made_is_hidden),
        TEST(copies_differ_in_length),
        TEST(moved_chunks_are_found),
        TEST(older_octets_are_found),
        TEST(a_cut_end_is_found),
        TEST(each_octet_is_found),
        TEST(keys_of_other_uses_open_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
