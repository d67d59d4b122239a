/* Certificates judged at two times; what is accepted has a minimal copy that is judged alike and is its own minimal
 * copy, and what seals can be sealed to. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_judge.h"
#include "server/core/error.h"
#include "tests/fuzz/pgp_half.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_filters(const uint8_t *data, size_t size, const struct pgp_judged *j, uint8_t *out)
{
    size_t n, m;
    must(pgp_cert_minimal(data, size, j, keep_short, NULL, out, size + 6, &n) == OK);
    must(pgp_cert_strip(data, size, keep_short, NULL, out, size + 6 * 1024, &m) == OK || size > 4096);
    if (pgp_cert_minimal(data, size, j, NULL, NULL, out, size / 2, &m) == OK)
        must(m <= size / 2);
}

static void check_accepted(const uint8_t *data, size_t size, const struct pgp_judged *j)
{
    static struct pgp_judged again;
    uint8_t a[PGP_VERDICT_SIZE], b[PGP_VERDICT_SIZE];
    uint8_t *first = malloc(size + 6 * 1024), *second = malloc(size + 6 * 1024);
    size_t n, m;
    must(first && second);
    /* An old packet header may be shorter than a new one by a few octets a packet. */
    must(pgp_cert_minimal(data, size, j, NULL, NULL, first, size + 6 * 1024, &n) == OK);
    must(pgp_judge(first, n, j->now, &again) == OK);
    pgp_verdict_pack(&j->verdict, a);
    pgp_verdict_pack(&again.verdict, b);
    must(memcmp(a, b, sizeof(a)) == 0);
    must(pgp_cert_minimal(first, n, &again, NULL, NULL, second, n, &m) == OK);
    must(n == m && memcmp(first, second, n) == 0);
    check_filters(first, n, &again, second);
    struct pgp_recipient *r;
    if (j->verdict.native) {
        must(pgp_recipient_create(first, n, &j->verdict, &r) == OK);
        pgp_recipient_destroy(r);
    }
    free(first);
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t times[] = {1767225600, 1720000000};
    static struct pgp_judged j;
    for (int t = 0; t < 2; t++) {
        int err = pgp_judge(data, size, times[t], &j);
        must((err == OK) == (j.fault == PGP_FAULT_NONE) || err == ERR_MEMORY);
        if (err == OK)
            check_accepted(data, size, &j);
    }
    uint8_t *out = malloc(size + 6 * 1024);
    size_t n;
    must(out != NULL);
    if (pgp_cert_strip(data, size, keep_short, NULL, out, size, &n) == OK)
        must(n <= size);
    free(out);
    return 0;
}
