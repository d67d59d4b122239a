/* Records of keys that sign: what is refused, and what a key is good for as time passes. Damage and other places:
 * test_schema_damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "store/dkim.h"
#include "store/schema_impl.h"

static const uint8_t root[RECORD_KEY_SIZE] = {9};
static struct record_keys *keys;

static struct dkim_record record_of(const char *domain, const char *selector, uint8_t algorithm, uint64_t use_from)
{
    struct dkim_record r = {.algorithm = algorithm, .made = 1000, .use_from = use_from, .der_len = 300};
    memset(r.der, 0x5a, r.der_len);
    strcpy(r.domain, domain);
    strcpy(r.selector, selector);
    return r;
}

static void comes_back(void **state)
{
    struct dkim_record r = record_of("example.org", "ll-202611-rsa", DKIM_RECORD_RSA, 2000), got;
    uint8_t out[QUEUE_DKIM_MAX], hash[RECORD_HASH_SIZE], other[RECORD_HASH_SIZE];
    size_t len;
    r.der_len = DKIM_RECORD_DER_MAX;
    memset(r.der, 0x77, r.der_len);
    assert_int_equal(dkim_record_seal(keys, &r, hash, out, &len), OK);
    assert_true(len <= QUEUE_DKIM_MAX);
    assert_null(memmem(out, len, "example", 7));
    assert_null(memmem(out, len, "\x77\x77\x77\x77\x77\x77\x77\x77", 8));
    assert_int_equal(dkim_record_open(keys, hash, slice_of(out, len), &got), OK);
    assert_memory_equal(&got, &r, sizeof(r));
    dkim_record_hash(keys, "example.org", "ll-202611-rsa", other);
    assert_memory_equal(hash, other, sizeof(hash));
    dkim_record_hash(keys, "example.or", "gll-202611-rsa", other);
    assert_memory_not_equal(hash, other, sizeof(hash));
    assert_int_equal(dkim_record_open(keys, other, slice_of(out, len), &got), ERR_CRYPTO);
    for (size_t i = 0; i < len; i++)
        assert_int_not_equal(dkim_record_open(keys, hash, slice_of(out, i), &got), OK);
}

static void not_written(void **state)
{
    static const char *const bad[] = {"", "Upper.example", "a b", "a;b", "a\r\nb", "a_b", "\xc3\xa4.example", "a\"b"};
    uint8_t out[QUEUE_DKIM_MAX], hash[RECORD_HASH_SIZE];
    size_t len;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct dkim_record d = record_of(bad[i], "s", DKIM_RECORD_RSA, 0),
                           s = record_of("a.example", bad[i], DKIM_RECORD_RSA, 0);
        assert_int_equal(dkim_record_seal(keys, &d, hash, out, &len), ERR_LIMIT);
        assert_int_equal(dkim_record_seal(keys, &s, hash, out, &len), ERR_LIMIT);
    }
    struct dkim_record r = record_of("a.example", "s", 3, 0);
    assert_int_equal(dkim_record_seal(keys, &r, hash, out, &len), ERR_LIMIT);
    r.algorithm = DKIM_RECORD_RSA;
    r.der_len = 0;
    assert_int_equal(dkim_record_seal(keys, &r, hash, out, &len), ERR_LIMIT);
    r.der_len = DKIM_RECORD_DER_MAX + 1;
    assert_int_equal(dkim_record_seal(keys, &r, hash, out, &len), ERR_LIMIT);
}

/* What whoever has the key might have sealed. */
static int opens(const uint8_t *plain, size_t len)
{
    static const uint8_t hash[RECORD_HASH_SIZE] = {1};
    uint8_t copy[QUEUE_DKIM_MAX], out[QUEUE_DKIM_MAX];
    struct dkim_record got;
    struct pack p = {.data = copy, .len = len, .cap = sizeof(copy)};
    size_t n;
    memcpy(copy, plain, len);
    assert_int_equal(queue_seal_dkim(keys, hash, &p, out, &n), OK);
    return dkim_record_open(keys, hash, slice_of(out, n), &got);
}

static void hostile(void **state)
{
    uint8_t plain[512];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, 1);
    pack_u8(&p, DKIM_RECORD_ED25519);
    pack_u64(&p, 1);
    pack_u64(&p, 2);
    const size_t domain = p.len;
    pack_str(&p, "a.example");
    pack_str(&p, "sel");
    pack_bytes(&p, "key", 3);
    assert_int_equal(opens(plain, p.len), OK);
    for (size_t i = 0; i < p.len; i++)
        assert_int_not_equal(opens(plain, i), OK);
    plain[p.len] = 0;
    assert_int_equal(opens(plain, p.len + 1), ERR_FORMAT);
    for (unsigned c = 0; c < 256; c++) {
        plain[domain + 4] = (uint8_t)c;
        bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
        assert_int_equal(opens(plain, p.len), fine ? OK : ERR_FORMAT);
    }
    plain[domain + 4] = 'a';
    plain[1] = 3;
    assert_int_equal(opens(plain, p.len), ERR_FORMAT);
    plain[1] = 1;
    plain[0] = 2;
    assert_int_equal(opens(plain, p.len), ERR_VERSION);
    plain[0] = 0;
    assert_int_equal(opens(plain, p.len), ERR_FORMAT);
    plain[0] = 1;
    plain[domain] = 0xff; /* a length of 4 GB */
    assert_int_equal(opens(plain, p.len), ERR_FORMAT);
}

static void in_order(void **state)
{
    static const struct {
        const char *domain, *selector;
        uint8_t algorithm;
        uint64_t use_from;
    } want[] = {{"a.example", "z", 1, 10}, {"a.example", "b", 1, 20}, {"a.example", "c", 1, 20},
                {"a.example", "a", 2, 5},  {"b.example", "a", 1, 1},  {"b.example", "a", 1, UINT64_MAX}};
    enum { N = sizeof(want) / sizeof(want[0]) };
    struct dkim_record *r = calloc(N, sizeof(*r));
    for (size_t turn = 0; turn < N; turn++) {
        for (size_t i = 0; i < N; i++) {
            size_t at = (i * 5 + turn) % N;
            r[at] = record_of(want[i].domain, want[i].selector, want[i].algorithm, want[i].use_from);
        }
        qsort(r, N, sizeof(*r), dkim_record_order);
        for (size_t i = 0; i < N; i++) {
            assert_string_equal(r[i].domain, want[i].domain);
            assert_string_equal(r[i].selector, want[i].selector);
            assert_int_equal(r[i].algorithm, want[i].algorithm);
        }
    }
    free(r);
}

static void is(const struct dkim_record *r, const struct dkim_record *next, uint64_t now, enum dkim_state state,
               uint64_t until)
{
    const struct dkim_due d = dkim_due(r, next, now);
    assert_int_equal(d.state, state);
    assert_true(d.until == until);
}

static void life(void **state)
{
    const struct dkim_record old = record_of("a.example", "1", 1, 100), new = record_of("a.example", "2", 1, 900),
                             ed = record_of("a.example", "3", 2, 900), elsewhere = record_of("b.example", "3", 1, 900),
                             never = record_of("a.example", "4", 1, UINT64_MAX);
    is(&old, &new, 99, DKIM_PUBLISHED, 100);
    is(&old, &new, 100, DKIM_IN_USE, 900);
    is(&old, &new, 899, DKIM_IN_USE, 900);
    is(&new, NULL, 899, DKIM_PUBLISHED, 900);
    is(&old, &new, 900, DKIM_RETIRED, 900 + DKIM_GRACE);
    is(&new, NULL, 900, DKIM_IN_USE, UINT64_MAX);
    is(&old, &new, 900 + DKIM_GRACE - 1, DKIM_RETIRED, 900 + DKIM_GRACE);
    is(&old, &new, 900 + DKIM_GRACE, DKIM_OVER, UINT64_MAX);
    is(&old, &ed, 900 + DKIM_GRACE, DKIM_IN_USE, UINT64_MAX);
    is(&old, &elsewhere, 900 + DKIM_GRACE, DKIM_IN_USE, UINT64_MAX);
    is(&old, &never, UINT64_MAX - 1, DKIM_IN_USE, UINT64_MAX);
    is(&old, &old, 100, DKIM_RETIRED, 100 + DKIM_GRACE); /* two at once: the last one */
}

/* At every moment after the first key's, exactly one signs. */
static void one_at_a_time(void **state)
{
    enum { N = 12 };
    struct dkim_record *r = calloc(N, sizeof(*r));
    for (size_t i = 0; i < N; i++) {
        char selector[8] = {(char)('a' + i)};
        r[i] = record_of("a.example", selector, 1, 10 + randombytes_uniform(30));
    }
    qsort(r, N, sizeof(*r), dkim_record_order);
    for (uint64_t now = r[0].use_from; now < 60; now++) {
        unsigned in_use = 0;
        for (size_t i = 0; i < N; i++)
            in_use += dkim_due(&r[i], i + 1 < N ? &r[i + 1] : NULL, now).state == DKIM_IN_USE;
        assert_int_equal(in_use, 1);
    }
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back), cmocka_unit_test(not_written), cmocka_unit_test(hostile),
        cmocka_unit_test(in_order),   cmocka_unit_test(life),        cmocka_unit_test(one_at_a_time),
    };
    keys = record_keys_of_root(root);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    record_keys_destroy(keys);
    return rc;
}
