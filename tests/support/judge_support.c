#include "tests/support/judge_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

size_t from_text(const char *text, uint8_t *out, size_t cap)
{
    size_t len, from, to;
    assert_int_equal(pgp_armor_decode((const uint8_t *)text, strlen(text), "PUBLIC KEY BLOCK", out, cap, &len, &from,
                                      &to),
                     OK);
    return len;
}

void to_hex(const uint8_t *p, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        sprintf(out + 2 * i, "%02x", p[i]);
}

int judge_copy(const uint8_t *cert, size_t len, uint64_t now, struct pgp_judged *j)
{
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, cert, len);
    int err = pgp_judge(copy, len, now, j);
    free(copy);
    return err;
}

void same_verdict(const struct pgp_judged *a, const struct pgp_judged *b)
{
    uint8_t x[PGP_VERDICT_SIZE], y[PGP_VERDICT_SIZE];
    pgp_verdict_pack(&a->verdict, x);
    pgp_verdict_pack(&b->verdict, y);
    assert_memory_equal(x, y, sizeof(x));
    assert_int_equal(a->fault, b->fault);
}

size_t check_minimal(const uint8_t *cert, size_t len, const struct pgp_judged *j, uint8_t *out)
{
    static struct pgp_judged again;
    size_t cap = len + 6 * 256, n = 0, m = 0;
    uint8_t *first = malloc(cap), *second = malloc(cap);
    assert_int_equal(pgp_cert_minimal(cert, len, j, NULL, NULL, first, cap, &n), OK);
    assert_int_equal(pgp_judge(first, n, j->now, &again), OK);
    same_verdict(j, &again);
    assert_int_equal(pgp_cert_minimal(first, n, &again, NULL, NULL, second, n, &m), OK);
    assert_int_equal(n, m);
    assert_memory_equal(first, second, n);
    assert_int_equal(pgp_cert_minimal(first, n, &again, NULL, NULL, second, n - 1, &m), ERR_LIMIT);
    if (out)
        memcpy(out, first, n);
    free(first);
    free(second);
    return n;
}
