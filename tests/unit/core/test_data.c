/* Wire fields, buffers, arenas and error phrases at their limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/core/arena.h"
#include "server/core/buf.h"
#include "server/core/error.h"
#include "server/core/read_to_end.h"
#include "server/core/wire.h"

static void pack_all(struct pack *p)
{
    pack_u8(p, 0xfe);
    pack_u16(p, 0xfedc);
    pack_u32(p, 0xfedcba98);
    pack_u64(p, UINT64_C(0xfedcba9876543210));
    pack_raw(p, "raw", 3);
    pack_raw(p, NULL, 0);
    pack_bytes(p, "bytes", 5);
    pack_bytes(p, NULL, 0);
    pack_str(p, "text");
}

enum { ALL = 1 + 2 + 4 + 8 + 3 + 4 + 5 + 4 + 4 + 4 };

static void test_wire_round_trip_cut_everywhere(void **state)
{
    uint8_t full[ALL];
    struct pack p;

    pack_init(&p, full, sizeof(full));
    pack_all(&p);
    assert_false(p.failed);
    assert_int_equal(p.len, ALL);
    assert_memory_equal(full, "\xfe\xfe\xdc\xfe\xdc\xba\x98", 7);
    for (size_t cut = 0; cut <= ALL; cut++) {
        uint8_t *exact = malloc(cut ? cut : 1); /* so that a sanitizer sees the first byte too many */
        struct unpack u;
        char text[5];

        pack_init(&p, exact, cut);
        pack_all(&p);
        assert_int_equal(p.failed, cut < ALL);
        assert_true(p.len <= cut);
        memcpy(exact, full, cut);
        unpack_init(&u, exact, cut);
        if (unpack_u8(&u) == 0xfe && cut >= 15) {
            assert_int_equal(unpack_u16(&u), 0xfedc);
            assert_int_equal(unpack_u32(&u), 0xfedcba98);
            assert_true(unpack_u64(&u) == UINT64_C(0xfedcba9876543210));
        } else {
            unpack_raw(&u, 14);
        }
        unpack_raw(&u, 3);
        assert_int_equal(unpack_bytes(&u, 5).len, cut >= 27 ? 5 : 0);
        assert_int_equal(unpack_bytes(&u, 0).len, 0);
        unpack_str(&u, text, sizeof(text));
        assert_string_equal(text, cut == ALL ? "text" : "");
        assert_int_equal(unpack_done(&u), cut == ALL);
        assert_int_equal(u.failed, cut < ALL);
        free(exact);
    }
}

static void test_wire_failure_is_sticky(void **state)
{
    uint8_t b[8];
    struct pack p;
    struct unpack u;
    char text[4] = "old";

    pack_init(&p, b, sizeof(b));
    pack_bytes(&p, "12345", 5);
    assert_true(p.failed);
    assert_int_equal(p.len, 0); /* no length without its bytes */
    pack_u8(&p, 1);
    assert_int_equal(p.len, 0);

    unpack_init(&u,
                "\xff\xff\xff\xff"
                "abcd",
                8);
    assert_null(unpack_bytes(&u, SIZE_MAX).data);
    assert_int_equal(unpack_u8(&u), 0);
    assert_false(unpack_done(&u));
    unpack_init(&u,
                "\0\0\0\4"
                "abcd",
                8);
    unpack_str(&u, text, sizeof(text)); /* no room for the NUL */
    assert_true(u.failed);
    assert_string_equal(text, "");
    unpack_init(&u,
                "\0\0\0\3"
                "a\0b",
                7);
    unpack_str(&u, text, sizeof(text));
    assert_true(u.failed);
    unpack_init(&u, "\0\0\0\0", 4);
    unpack_str(&u, text, 0);
    assert_true(u.failed);
    unpack_init(&u, NULL, 0);
    assert_true(unpack_done(&u));
    assert_int_equal(unpack_u64(&u), 0);
    assert_false(unpack_done(&u));
    unpack_init(&u, "x", 1);
    unpack_raw(&u, SIZE_MAX);
    assert_true(u.failed);
}

/* Random appends, reserves and consumptions beside a plain model. */
static void test_buf_against_model(void **state)
{
    enum { MAX = 5000 };

    for (int wipe = 0; wipe < 2; wipe++) {
        static uint8_t model[MAX];
        uint8_t chunk[700];
        size_t len = 0;
        struct buf b;

        buf_init(&b, MAX, wipe);
        srand(7);
        for (int i = 0; i < 200000; i++) {
            size_t n = (size_t)rand() % sizeof(chunk);

            if (rand() % 2) {
                int err, want = len + n > MAX ? ERR_LIMIT : OK;

                memset(chunk, i, n);
                if (rand() % 2) {
                    err = buf_append(&b, chunk, n);
                } else {
                    uint8_t *tail = NULL;

                    err = buf_reserve(&b, n, &tail);
                    if (err == OK) {
                        memcpy(tail, chunk, n);
                        buf_commit(&b, n);
                    } else {
                        assert_null(tail);
                    }
                }
                assert_int_equal(err, want);
                if (err == OK) {
                    memcpy(model + len, chunk, n);
                    len += n;
                }
            } else {
                n = rand() % 20 == 0 ? len : n < len ? n : len;
                buf_consume(&b, n);
                memmove(model, model + n, len - n);
                len -= n;
                if (rand() % 50 == 0) {
                    buf_clear(&b);
                    len = 0;
                }
            }
            assert_int_equal(b.len, len);
            assert_true(b.cap <= MAX);
            if (len)
                assert_memory_equal(b.data, model, len);
        }
        buf_free(&b);
        assert_int_equal(buf_append(&b, "again", 5), OK);
        buf_free(&b);
    }
}

static void test_buf_limits(void **state)
{
    struct buf b;
    uint8_t *tail;

    buf_init(&b, 0, false);
    assert_int_equal(buf_append(&b, "x", 1), ERR_LIMIT);
    assert_int_equal(buf_append(&b, NULL, 0), OK);
    assert_int_equal(buf_reserve(&b, 0, &tail), OK);
    buf_commit(&b, 0);
    buf_free(&b);

    buf_init(&b, 600, true);
    assert_int_equal(buf_reserve(&b, SIZE_MAX, &tail), ERR_LIMIT);
    assert_int_equal(buf_printf(&b, "%0599d", 1), OK); /* longer than the inner buffer */
    assert_int_equal(b.len, 599);
    assert_int_equal(buf_printf(&b, "%02d", 1), ERR_LIMIT);
    assert_int_equal(buf_printf(&b, "%d", 1), OK);
    assert_int_equal(b.len, 600);
    assert_int_equal(buf_printf(&b, "%0601d", 1), ERR_LIMIT);
    assert_int_equal(buf_put_number(&b, 0), ERR_LIMIT);
    assert_int_equal(buf_puts(&b, ""), OK);
    buf_consume(&b, 600);
    assert_int_equal(b.len, 0);
    buf_free(&b);

    buf_init(&b, 1 << 20, false);
    assert_int_equal(buf_reserve(&b, 100000, &tail), OK);
    memset(tail, 1, 100000);
    buf_commit(&b, 100000);
    buf_consume(&b, 100000);
    assert_null(b.data); /* large and empty: given back */
    assert_int_equal(b.cap, 0);
}

static void test_buf_numbers(void **state)
{
    static const uint64_t edges[] = {0, 9, 10, 99, 100, 999999999, 1000000000, UINT32_MAX, UINT64_MAX};
    enum { EDGES = sizeof(edges) / sizeof(*edges) };
    struct buf b;
    char want[32];
    buf_init(&b, 20, false);
    for (unsigned i = 0; i < EDGES + 64; i++) {
        uint64_t v = i < EDGES ? edges[i] : UINT64_MAX >> (i - EDGES);
        buf_clear(&b);
        assert_int_equal(buf_put_number(&b, v), OK);
        assert_int_equal(b.len, snprintf(want, sizeof(want), "%llu", (unsigned long long)v));
        assert_memory_equal(b.data, want, b.len);
    }
    buf_clear(&b);
    assert_int_equal(buf_put_number(&b, UINT64_MAX), OK);
    assert_int_equal(b.len, 20);
    assert_int_equal(buf_put_number(&b, 0), ERR_LIMIT);
    buf_free(&b);
}

/* A line at a time from a full buffer must not move the rest each time: 20,000 lines through 64 KB in no time. */
static void test_buf_front_is_cheap(void **state)
{
    struct buf b;
    char line[100];

    memset(line, 'x', sizeof(line));
    buf_init(&b, 1 << 20, false);
    while (buf_append(&b, line, sizeof(line)) == OK)
        ;
    for (int i = 0; i < 200000 && b.len >= sizeof(line); i++) {
        buf_consume(&b, sizeof(line));
        if (i % 2)
            (void)buf_append(&b, line, sizeof(line));
    }
    buf_free(&b);
}

static void test_arena(void **state)
{
    struct arena *a = arena_create(100000, true);
    char *p, *first;

    arena_destroy(NULL);
    assert_null(arena_alloc(a, 100001));
    assert_null(arena_alloc(a, SIZE_MAX));
    assert_null(arena_strndup(a, "", SIZE_MAX));
    assert_non_null(arena_alloc(a, 0));
    first = arena_strndup(a, "hello", 5);
    assert_string_equal(first, "hello");
    assert_string_equal(arena_strndup(a, NULL, 0), "");
    for (size_t i = 1, sum = 64; sum + i + 16 < 100000; sum += (i + 15) / 16 * 16, i = i * 3 % 4001) {
        p = arena_alloc(a, i);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t k = 0; k < i; k++)
            assert_int_equal(p[k], 0);
        memset(p, 0xff, i);
    }
    assert_null(arena_alloc(a, 5000));
    assert_string_equal(first, "hello");
    arena_reset(a);
    p = arena_alloc(a, 900); /* the block that was kept, zeroed again */
    for (size_t k = 0; k < 900; k++)
        assert_int_equal(p[k], 0);
    assert_non_null(arena_alloc(a, 90000));
    arena_reset(a);
    arena_reset(a);
    assert_non_null(arena_alloc(a, 100000));
    assert_null(arena_alloc(a, 1));
    arena_destroy(a);
}

static void test_read_to_end(void **state)
{
    char out[8];
    size_t len = 0;
    int p[2];

    assert_int_equal(pipe(p), 0);
    assert_int_equal(write(p[1], "one\ntwo", 7), 7);
    assert_int_equal(read_to_end(p[0], '\n', out, sizeof(out), &len), OK); /* the pipe has no end yet */
    assert_int_equal(len, 7);
    assert_int_equal(write(p[1], "0123456789", 10), 10);
    assert_int_equal(read_to_end(p[0], READ_ALL, out, sizeof(out), &len), OK);
    assert_int_equal(len, 8);
    close(p[1]);
    assert_int_equal(read_to_end(p[0], '\n', out, sizeof(out), &len), OK);
    assert_int_equal(len, 2);
    assert_memory_equal(out, "89", 2);
    close(p[0]);
    len = 5;
    assert_int_equal(read_to_end(p[0], READ_ALL, out, sizeof(out), &len), ERR_IO);
    assert_int_equal(len, 5);
}

static void test_phrases(void **state)
{
    for (int e = 0; e >= -24; e--)
        assert_string_not_equal(err_str(e), "unknown error");
    assert_string_equal(err_str(-25), "unknown error");
    assert_string_equal(err_str(1), "unknown error");
    assert_string_equal(err_str(INT32_MIN), "unknown error");
    assert_int_equal(ERR_CONFLICT, -9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire_round_trip_cut_everywhere),
        cmocka_unit_test(test_wire_failure_is_sticky),
        cmocka_unit_test(test_buf_against_model),
        cmocka_unit_test(test_buf_limits),
        cmocka_unit_test(test_buf_numbers),
        cmocka_unit_test(test_buf_front_is_cheap),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_read_to_end),
        cmocka_unit_test(test_phrases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
