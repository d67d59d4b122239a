/* Ids and salts: none comes twice, whatever is taken, and no two sources give the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "crypto/nonce.h"

enum { TAKEN = 100000 };

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(uint64_t));
}

static void none_comes_twice(void **state)
{
    static uint64_t got[TAKEN];
    struct nonces one, other;
    uint8_t odd[NONCE_MAX];

    nonces_init(&one);
    nonces_init(&other);
    for (size_t i = 0; i < TAKEN; i++) {
        nonces_take(i % 3 ? &one : &other, &got[i], sizeof(got[i]));
        nonces_take(&one, odd, i % (NONCE_MAX + 1)); /* so that pools end anywhere */
    }
    qsort(got, TAKEN, sizeof(got[0]), compare);
    for (size_t i = 1; i < TAKEN; i++)
        assert_true(got[i] != got[i - 1]);
}

static void every_octet_is_written(void **state)
{
    uint8_t seen[NONCE_MAX] = {0}, out[NONCE_MAX + 1] = {0};
    struct nonces n;

    nonces_init(&n);
    for (int i = 0; i < 100; i++) {
        nonces_take(&n, out, NONCE_MAX);
        for (int j = 0; j < NONCE_MAX; j++)
            seen[j] |= out[j];
    }
    for (int j = 0; j < NONCE_MAX; j++)
        assert_int_equal(seen[j], 0xff);
    assert_int_equal(out[NONCE_MAX], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_comes_twice),
        cmocka_unit_test(every_octet_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
