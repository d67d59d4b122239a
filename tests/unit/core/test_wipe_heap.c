/* After wipe_heap_on_free, what a library or we put on the heap is gone when it is freed or grown. The test reads freed
 * memory on purpose, through volatile pointers and /proc/self/mem, so that no compiler may reason about it. Under
 * sanitizers, where wiping is off, it only checks that nothing breaks. */
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/buffer.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/core/buf.h"
#include "server/base/tls.h"
#include "server/core/wipe_heap.h"

static const char canary[] = "ca7a9e05-not-for-the-disk";

/* Reads n bytes at an address that may no longer belong to anybody. False: not mapped. */
static bool peek(uintptr_t at, void *out, size_t n)
{
    int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    ssize_t got = pread(fd, out, n, (off_t)at);

    close(fd);
    return got == (ssize_t)n;
}

static bool canary_at(uintptr_t at)
{
    char b[sizeof(canary)];

    /* glibc's own list pointers take the first 16 bytes of a freed block: look at what lies behind. */
    return peek(at, b, sizeof(b)) && memcmp(b + 16, canary + 16, sizeof(canary) - 16) == 0;
}

static uintptr_t make(size_t size, void **ret)
{
    char *p = malloc(size);

    assert_non_null(p);
    memset(p, 1, size);
    memcpy(p, canary, sizeof(canary));
    *ret = p;
    return (uintptr_t)p;
}

static void test_free_wipes(void **state)
{
    const size_t sizes[] = {40, 200, 1000, 1040, 5000, 70000, 300000};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        void *p, *fence;
        uintptr_t at = make(sizes[i], &p);

        fence = malloc(64);
        assert_true(canary_at(at)); /* the test can see it */
        free(p);
        assert_false(canary_at(at));
        free(fence);
    }
    free(NULL);
}

static void test_realloc_wipes_what_it_leaves(void **state)
{
    void *p, *q, *fence;
    uintptr_t at = make(300, &p);

    fence = malloc(64); /* no room to grow in place */
    q = realloc(p, 9000);
    assert_non_null(q);
    assert_memory_equal(q, canary, sizeof(canary));
    if ((uintptr_t)q != at)
        assert_false(canary_at(at));
    at = (uintptr_t)q;
    q = realloc(q, 8000);
    assert_memory_equal(q, canary, sizeof(canary));
    q = realloc(q, 100);
    assert_memory_equal(q, canary, sizeof(canary));
    if ((uintptr_t)q != at)
        assert_false(canary_at(at));
    free(q);
    free(fence);
    q = realloc(NULL, 10);
    assert_non_null(q);
    free(q);
}

static void test_reallocarray_too(void **state)
{
    void *p, *q, *fence;
    uintptr_t at = make(300, &p);

    fence = malloc(64);
    q = reallocarray(p, 900, 10);
    assert_non_null(q);
    if ((uintptr_t)q != at)
        assert_false(canary_at(at));
    free(q);
    free(fence);
}

/* A library that knows nothing of us: its memory comes from the same heap. */
static void test_a_shared_library_leaves_nothing(void **state)
{
    BIO *b = BIO_new_mem_buf(canary, -1);
    BUF_MEM *m = BUF_MEM_new();
    uintptr_t at;

    assert_int_equal(BUF_MEM_grow(m, 300), 300);
    at = (uintptr_t)m->data;
    assert_int_equal(BIO_read(b, m->data, 300), sizeof(canary) - 1);
    assert_true(canary_at(at));
    BUF_MEM_free(m);
    BIO_free(b);
    assert_false(canary_at(at));
}

/* The C library's own buffers pass through our free too. */
static void test_stdio_leaves_nothing(void **state)
{
    char *text = NULL, b[4096];
    size_t cap = 0;
    uintptr_t at;
    FILE *f = fmemopen((void *)(uintptr_t)canary, sizeof(canary) - 1, "r");

    assert_non_null(f);
    assert_int_equal(getline(&text, &cap, f), sizeof(canary) - 1);
    at = (uintptr_t)text;
    fclose(f);
    free(text);
    assert_true(peek(at, b, 32));
    assert_false(canary_at(at));
}

static void test_buf_wipes_without_the_heap(void **state)
{
    struct buf b;
    uintptr_t at;

    buf_init(&b, 100000, true);
    assert_int_equal(buf_puts(&b, canary), 0);
    at = (uintptr_t)b.data;
    buf_consume(&b, b.len);
    assert_false(canary_at(at)); /* small: kept, but empty */
    assert_int_equal(buf_puts(&b, canary), 0);
    buf_free(&b);
    assert_false(canary_at(at));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_free_wipes),           cmocka_unit_test(test_realloc_wipes_what_it_leaves),
        cmocka_unit_test(test_reallocarray_too),     cmocka_unit_test(test_a_shared_library_leaves_nothing),
        cmocka_unit_test(test_stdio_leaves_nothing), cmocka_unit_test(test_buf_wipes_without_the_heap),
    };

    tls_wipe_on_free();
    wipe_heap_on_free();
    if (!wipe_heap_active()) {
        const struct CMUnitTest sanitized[] = {cmocka_unit_test(test_buf_wipes_without_the_heap)};

        return cmocka_run_group_tests_name("wiping is off under sanitizers", sanitized, NULL, NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
