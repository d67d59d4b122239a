/* Revocations: found in certificates and alone, put into the certificate that they name, and nothing made of what is
 * damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_armor.h"
#include "crypto/pgp_packet.h"
#include "crypto/pgp_revocation.h"
#include "server/core/error.h"
#include "tests/support/judge_certs.h"

enum { CAP = 16 * 1024 };

struct cert {
    uint8_t data[CAP];
    size_t len;
};

static struct cert decoded(const char *armour)
{
    static struct cert c;
    size_t begin, end;
    assert_int_equal(pgp_armor_decode((const uint8_t *)armour, strlen(armour), "PUBLIC KEY BLOCK", c.data, CAP, &c.len,
                                      &begin, &end),
                     OK);
    return c;
}

/* The certificate as it was, the revocation alone, and both together again. */
static void take_apart(const char *armour)
{
    struct cert whole = decoded(armour), bare = {.len = 0}, rest = {.len = 0};
    struct pgp_revocations r, alone;
    struct pgp_key keys[PGP_KEYS_MAX];
    uint8_t out[CAP];
    size_t n = PGP_KEYS_MAX, at, len;
    assert_int_equal(pgp_revocations_read(whole.data, whole.len, &r), OK);
    assert_true(!r.bare && r.n == 1);
    memcpy(bare.data, r.sig[0].packet, bare.len = r.sig[0].len);
    at = (size_t)(r.sig[0].packet - whole.data);
    memcpy(rest.data, whole.data, at);
    memcpy(rest.data + at, whole.data + at + bare.len, whole.len - at - bare.len);
    rest.len = whole.len - bare.len;
    assert_int_equal(pgp_revocations_read(rest.data, rest.len, &alone), ERR_NOT_FOUND);
    assert_int_equal(pgp_revocations_read(bare.data, bare.len, &alone), OK);
    assert_true(alone.bare && alone.n == 1);
    assert_int_equal(pgp_cert_keys(rest.data, rest.len, keys, &n), OK);
    assert_true(pgp_revocations_name(&alone, &keys[0]));
    assert_int_equal(pgp_revocations_insert(&alone, rest.data, rest.len, out, CAP, &len), OK);
    assert_int_equal(len, whole.len);
    assert_memory_equal(out, whole.data, len);
    /* not an octet more than there is room for */
    assert_int_equal(pgp_revocations_insert(&alone, rest.data, rest.len, out, whole.len, &len), OK);
    assert_int_equal(pgp_revocations_insert(&alone, rest.data, rest.len, out, whole.len - 1, &len), ERR_LIMIT);
    assert_int_equal(pgp_revocations_insert(&alone, rest.data, rest.len, out, rest.len - 1, &len), ERR_LIMIT);
    /* somebody else's certificate stays as it is */
    struct cert other = decoded(cert_v6_25519);
    n = PGP_KEYS_MAX;
    assert_int_equal(pgp_cert_keys(other.data, other.len, keys, &n), OK);
    assert_false(pgp_revocations_name(&alone, &keys[0]));
    assert_int_equal(pgp_revocations_insert(&alone, other.data, other.len, out, CAP, &len), OK);
    assert_int_equal(len, other.len);
    /* cut anywhere, in memory that ends there */
    for (size_t cut = 0; cut < bare.len; cut++) {
        uint8_t *part = malloc(cut ? cut : 1);
        memcpy(part, bare.data, cut);
        assert_int_not_equal(pgp_revocations_read(part, cut, &alone), OK);
        free(part);
    }
    for (size_t bit = 0; bit < 8 * bare.len; bit++) { /* whatever comes of it, it is within the bytes */
        struct cert flipped = bare;
        flipped.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (pgp_revocations_read(flipped.data, flipped.len, &alone) == OK)
            (void)pgp_revocations_insert(&alone, rest.data, rest.len, out, CAP, &len);
    }
}

static void test_version_6(void **state)
{
    take_apart(cert_v6_revoked);
}
static void test_version_4(void **state)
{
    take_apart(cert_v4_revoked);
}
static void test_soft(void **state)
{
    take_apart(cert_v6_retired);
}

static void test_what_is_none(void **state)
{
    struct pgp_revocations r = {.n = 77};
    static const char *const certs[] = {cert_v6_25519, cert_v6_subkey_revoked, cert_v4_25519};
    for (size_t i = 0; i < sizeof(certs) / sizeof(certs[0]); i++) {
        struct cert c = decoded(certs[i]);
        assert_int_equal(pgp_revocations_read(c.data, c.len, &r), ERR_NOT_FOUND);
    }
    assert_int_equal(pgp_revocations_read((const uint8_t *)"", 0, &r), ERR_NOT_FOUND);
    assert_int_equal(pgp_revocations_read((const uint8_t *)"no packet", 9, &r), ERR_FORMAT);
    assert_int_equal(r.n, 77); /* untouched */
}

static void test_many(void **state)
{
    struct cert whole = decoded(cert_v6_revoked);
    struct pgp_revocations r;
    static uint8_t many[CAP];
    size_t len = 0;
    assert_int_equal(pgp_revocations_read(whole.data, whole.len, &r), OK);
    struct {
        const uint8_t *packet;
        size_t len;
    } one = {r.sig[0].packet, r.sig[0].len};
    for (size_t i = 1; i <= PGP_REVOCATIONS_MAX + 1; i++) {
        memcpy(many + len, one.packet, one.len);
        len += one.len;
        assert_int_equal(pgp_revocations_read(many, len, &r), i <= PGP_REVOCATIONS_MAX ? OK : ERR_LIMIT);
    }
    memcpy(many + one.len, "\xcd\x01x", 3); /* a user id behind one: no bare revocation, and no certificate */
    assert_int_equal(pgp_revocations_read(many, one.len + 3, &r), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_6),    cmocka_unit_test(test_version_4), cmocka_unit_test(test_soft),
        cmocka_unit_test(test_what_is_none), cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
