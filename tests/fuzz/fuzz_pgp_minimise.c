/* Certificates of strangers, made fit to be published: what comes out has its form, is no longer than what went in but
 * for packet headers, and is its own copy. And what stands in the directory, read as it is. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_minimise.h"
#include "server/core/error.h"
#include "tests/fuzz/pgp_half.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SLACK = 6 * 1024 };

static void check_copy(const uint8_t *data, size_t size, uint64_t now,
                       bool (*keep)(void *arg, const uint8_t *user_id, size_t len))
{
    struct pgp_minimised m, again;
    struct pgp_published p;
    uint8_t *first = malloc(size + SLACK), *second = malloc(size + SLACK);
    size_t n, k;
    must(first && second);
    if (pgp_minimise(data, size, now, keep, NULL, first, size + SLACK, &n, &m) == OK) {
        int err = pgp_published_read(first, n, &p);
        must(err == OK || err == ERR_LIMIT);
        must(err || (p.nuser_ids == m.user_ids && p.revoked == m.revoked));
        must(pgp_minimise(first, n, now, keep, NULL, second, n, &k, &again) == OK);
        must(n == k && memcmp(first, second, n) == 0);
    }
    free(first);
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pgp_published p;
    size_t n = 0;
    check_copy(data, size, 1767225600, NULL);
    check_copy(data, size, 1720000000, keep_short);
    if (pgp_published_read(data, size, &p) == OK) {
        uint8_t *both = malloc(size + 1);
        must(both && pgp_published_join(data, size, data, size, both, size, &n) == OK);
        must(n == size && memcmp(both, data, size) == 0);
        free(both);
    }
    return 0;
}
