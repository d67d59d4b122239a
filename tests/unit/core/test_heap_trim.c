/* Holes between blocks that live go back to the kernel, once; blocks that live keep what is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "server/core/heap_trim.h"

enum { N = 2000, HOLE = 30000, KEPT = 5000 };

static size_t resident(void)
{
    unsigned long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu %lu", &size, &pages), 2);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void holes_go_back(void **state)
{
    static uint8_t *kept[N], *hole[N];
    assert_false(heap_trim());
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++) {
            hole[i] = malloc(HOLE);
            memset(hole[i], 1, HOLE);
            if (round == 0) {
                kept[i] = malloc(KEPT);
                memset(kept[i], i, KEPT);
            }
        }
        for (int i = 0; i < N; i++)
            free(hole[i]);
        size_t before = resident();
        assert_true(heap_trim());
        assert_true(resident() + N * (HOLE - 8192) < before);
        assert_false(heap_trim());
    }
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < KEPT; k++)
            assert_int_equal(kept[i][k], (uint8_t)i);
        free(kept[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(holes_go_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
