/* Judging real certificates: the RFC's and OpenPGP.js's, whole, cut, with every bit flipped, with other packets
 * between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/pgp_packet.h"
#include "crypto/pgp_seal.h"
#include "tests/support/judge_certs.h"
#include "tests/support/judge_support.h"

/* RFC 9580 appendix A.3, and the fingerprints it states. */
static const char rfc_cert[] = BEGIN_CERT "xioGY4d/4xsAAAAg+U2nu0jWCmHlZ3BqZYfQMxmZu52JGggkLq2EVD34laPCsQYf\n"
                                          "GwoAAABCBYJjh3/jAwsJBwUVCg4IDAIWAAKbAwIeCSIhBssYbE8GCaaX5NUt+mxy\n"
                                          "KwwfHifBilZwj2Ul7Ce62azJBScJAgcCAAAAAK0oIBA+LX0ifsDm185Ecds2v8lw\n"
                                          "gyU2kCcUmKfvBXbAf6rhRYWzuQOwEn7E/aLwIwRaLsdry0+VcallHhSu4RN6HWaE\n"
                                          "QsiPlR4zxP/TP7mhfVEe7XWPxtnMUMtf15OyA51YBM4qBmOHf+MZAAAAIIaTJINn\n"
                                          "+eUBXbki+PSAld2nhJh/LVmFsS+60WyvXkQ1wpsGGBsKAAAALAWCY4d/4wKbDCIh\n"
                                          "BssYbE8GCaaX5NUt+mxyKwwfHifBilZwj2Ul7Ce62azJAAAAAAQBIKbpGG2dWTX8\n"
                                          "j+VjFM21J0hqWlEg+bdiojWnKfA5AQpWUWtnNwDEM0g12vYxoWM8Y81W+bHBw805\n"
                                          "I8kWVkXU6vFOi+HWvv/ira7ofJu16NnoUkhclkUrk0mXubZvyl4GBg==\n" END_CERT;

static struct pgp_judged j;

static void rfc_sample(void **state)
{
    uint8_t cert[1024];
    char text[65];
    size_t len = from_text(rfc_cert, cert, sizeof(cert));
    assert_int_equal(pgp_judge(cert, len, NOW, &j), OK);
    to_hex(j.verdict.primary_fpr, 32, text);
    assert_string_equal(text, "cb186c4f0609a697e4d52dfa6c722b0c1f1e27c18a56708f6525ec27bad9acc9");
    to_hex(j.verdict.enc_fpr, 32, text);
    assert_string_equal(text, "12c83f1e706f6308fe151a417743a1f033790e93e9978488d1db378da9930885");
    assert_int_equal(j.nkeys, 2);
    assert_int_equal(j.nuser_ids, 0);
    assert_int_equal(j.validity[1], PGP_VALID);
    assert_true(j.encrypts[1] && !j.encrypts[0]);
    assert_true(j.verdict.native && j.verdict.prefs.seipd_v2 && j.verdict.prefs.aes256);
    assert_int_equal(j.verdict.created, 0x63877fe3);
    check_minimal(cert, len, &j, NULL);
    /* It was made then: a second earlier there was no such key. */
    assert_int_equal(pgp_judge(cert, len, 0x63877fe3, &j), OK);
    assert_int_equal(pgp_judge(cert, len, 0x63877fe2, &j), ERR_REFUSED);
    assert_int_equal(j.fault, PGP_FAULT_CLOCK);
}

/* A key made on 2024-01-01 for a year. */
enum { YEAR_END = 1704067200 + 365 * 86400 };

static const struct {
    const char *name, *text;
    enum pgp_fault fault;
    uint8_t primary, enc;
    uint32_t expires;
    size_t user_ids;
    int enc_index; /* which of the keys seals */
    bool v2;
} certs[] = {
    {"v6 curve25519", cert_v6_25519, PGP_FAULT_NONE, PGP_ED25519, PGP_X25519, 0, 1, 1, true},
    {"v6 curve448", cert_v6_448, PGP_FAULT_NONE, PGP_ED448, PGP_X448, 0, 1, 1, true},
    {"v6 P-256", cert_v6_p256, PGP_FAULT_NONE, PGP_ECDSA, PGP_ECDH, 0, 1, 1, true},
    {"v6 P-521", cert_v6_p521, PGP_FAULT_NONE, PGP_ECDSA, PGP_ECDH, 0, 1, 1, true},
    {"v6 RSA", cert_v6_rsa, PGP_FAULT_NONE, PGP_RSA, PGP_RSA, 0, 1, 1, true},
    {"v6 expired", cert_v6_expiring, PGP_FAULT_NONE, PGP_ED25519, PGP_X25519, YEAR_END, 1, 1, true},
    {"v6 two subkeys", cert_v6_two_subkeys, PGP_FAULT_NONE, PGP_ED25519, PGP_X448, 0, 1, 2, true},
    {"v6 signing subkey", cert_v6_signing_subkey, PGP_FAULT_NONE, PGP_ED25519, PGP_X25519, 0, 1, 2, true},
    {"v6 user ids", cert_v6_user_ids, PGP_FAULT_NONE, PGP_ED25519, PGP_X25519, 0, 3, 1, true},
    {"v6 newer subkey revoked", cert_v6_new_after_revoked, PGP_FAULT_NONE, PGP_ED25519, PGP_X25519, 0, 1, 1, true},
    {"v4 curve25519", cert_v4_25519, PGP_FAULT_NONE, PGP_ED25519, PGP_X25519, 0, 1, 1, false},
    {"v4 curve448", cert_v4_448, PGP_FAULT_NONE, PGP_ED448, PGP_X448, 0, 1, 1, false},
    {"v4 legacy", cert_v4_legacy, PGP_FAULT_NONE, PGP_EDDSA_LEGACY, PGP_ECDH, 0, 1, 1, false},
    {"v4 legacy with X25519", cert_v4_legacy_x25519, PGP_FAULT_NONE, PGP_EDDSA_LEGACY, PGP_X25519, 0, 1, 1, false},
    {"v4 RSA with X25519", cert_v4_rsa_x25519, PGP_FAULT_NONE, PGP_RSA, PGP_X25519, 0, 1, 2, false},
    {"v4 expired", cert_v4_expiring, PGP_FAULT_NONE, PGP_ED25519, PGP_X25519, YEAR_END, 1, 1, false},
    {"v6 compromised", cert_v6_revoked, PGP_FAULT_REVOKED},
    {"v6 retired", cert_v6_retired, PGP_FAULT_REVOKED},
    {"v4 revoked", cert_v4_revoked, PGP_FAULT_REVOKED},
    {"v6 subkey revoked", cert_v6_subkey_revoked, PGP_FAULT_ENC_REVOKED},
    {"v6 signing only", cert_v6_signing_only, PGP_FAULT_SIGNING_ONLY},
};
enum { NCERTS = sizeof(certs) / sizeof(certs[0]) };

static void seals_to(const uint8_t *cert, size_t len, const struct pgp_verdict *v)
{
    struct pgp_recipient *r;
    assert_int_equal(pgp_recipient_create(cert, len, v, &r), OK);
    pgp_recipient_destroy(r);
}

static void openpgpjs(void **state)
{
    static const uint8_t none[PGP_FPR_MAX];
    for (size_t i = 0; i < NCERTS; i++) {
        uint8_t cert[4096], minimal[8192];
        size_t len = from_text(certs[i].text, cert, sizeof(cert)), valid = 0;
        int err = pgp_judge(cert, len, NOW, &j);
        if (j.fault != certs[i].fault)
            fail_msg("%s: %d", certs[i].name, j.fault);
        assert_int_equal(j.verdict.primary_fpr_len, j.keys[0].fpr_len);
        assert_memory_equal(j.verdict.primary_fpr, j.keys[0].fpr, 32);
        if (certs[i].fault) {
            assert_int_equal(err, j.fault == PGP_FAULT_SIGNING_ONLY ? ERR_REFUSED : ERR_NO_KEY);
            assert_memory_equal(j.verdict.enc_fpr, none, 32);
            size_t n;
            assert_int_equal(pgp_cert_minimal(cert, len, &j, NULL, NULL, minimal, sizeof(minimal), &n), ERR_REFUSED);
            continue;
        }
        assert_int_equal(err, OK);
        for (size_t u = 0; u < j.nuser_ids; u++)
            valid += j.user_ids[u].validity == PGP_VALID;
        assert_int_equal(valid, certs[i].user_ids);
        assert_int_equal(j.verdict.primary_algo, certs[i].primary);
        assert_int_equal(j.verdict.enc_algo, certs[i].enc);
        assert_memory_equal(j.verdict.enc_fpr, j.keys[certs[i].enc_index].fpr, 32);
        assert_int_equal(j.verdict.enc_expires, certs[i].expires);
        assert_int_equal(j.validity[0], certs[i].expires ? PGP_EXPIRED : PGP_VALID);
        assert_true(j.verdict.native);
        assert_int_equal(j.verdict.prefs.seipd_v2, certs[i].v2);
        seals_to(cert, len, &j.verdict);
        size_t n = check_minimal(cert, len, &j, minimal);
        assert_true(n <= len);
        seals_to(minimal, n, &j.verdict);
    }
}

/* The same judged at other times. */
static void times(void **state)
{
    uint8_t cert[4096];
    size_t len = from_text(cert_v6_expiring, cert, sizeof(cert));
    assert_int_equal(pgp_judge(cert, len, YEAR_END - 1, &j), OK);
    assert_int_equal(j.validity[1], PGP_VALID);
    assert_int_equal(pgp_judge(cert, len, YEAR_END, &j), OK);
    assert_int_equal(j.validity[1], PGP_EXPIRED);
    check_minimal(cert, len, &j, NULL);
    /* Retired from a day on: valid before; compromised: at no time. */
    len = from_text(cert_v6_retired, cert, sizeof(cert));
    assert_int_equal(pgp_judge(cert, len, 1735689600 - 1, &j), OK);
    check_minimal(cert, len, &j, NULL);
    assert_int_equal(pgp_judge(cert, len, 1735689600, &j), ERR_NO_KEY);
    len = from_text(cert_v6_revoked, cert, sizeof(cert));
    assert_int_equal(pgp_judge(cert, len, 1735689600 - 1, &j), ERR_NO_KEY);
    assert_int_equal(j.fault, PGP_FAULT_REVOKED);
    /* A subkey of the future is bound but not used yet, and stays in the copy. */
    len = from_text(cert_v6_two_subkeys, cert, sizeof(cert));
    assert_int_equal(pgp_judge(cert, len, 1735689600 - 1, &j), OK);
    assert_int_equal(j.validity[2], PGP_NOT_YET);
    assert_int_equal(j.verdict.enc_algo, PGP_X25519);
    assert_true(check_minimal(cert, len, &j, NULL) > len - 64);
}

static void cut_anywhere(void **state)
{
    static const char *const texts[] = {rfc_cert, cert_v6_25519, cert_v4_25519};
    for (size_t t = 0; t < 3; t++) {
        uint8_t cert[4096];
        size_t len = from_text(texts[t], cert, sizeof(cert));
        for (size_t cut = 0; cut < len; cut++) {
            if (judge_copy(cert, cut, NOW, &j) == OK)
                fail_msg("accepted at %zu of %zu octets", cut, len);
            assert_int_not_equal(j.fault, PGP_FAULT_NONE);
        }
    }
}

/* Whatever a flipped bit changes, nothing else is believed than before. */
static void every_bit_flipped(void **state)
{
    static const char *const texts[] = {rfc_cert, cert_v6_25519, cert_v4_25519, cert_v4_legacy_x25519};
    static struct pgp_judged good;
    for (size_t t = 0; t < 4; t++) {
        uint8_t cert[4096];
        size_t len = from_text(texts[t], cert, sizeof(cert)), accepted = 0;
        assert_int_equal(pgp_judge(cert, len, NOW, &good), OK);
        for (size_t bit = 0; bit < 8 * len; bit++) {
            cert[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (judge_copy(cert, len, NOW, &j) == OK) {
                same_verdict(&good, &j);
                accepted++;
            }
            cert[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        /* Some bits do not count: unhashed issuers, user ids and their signatures in version 6. */
        assert_true(accepted < 4 * len);
    }
}

/* A revocation binds every copy of what it revokes, wherever it stands. */
static void copies(void **state)
{
    uint8_t revoked[4096], both[8192];
    size_t len = from_text(cert_v6_subkey_revoked, revoked, sizeof(revoked)), pos = 0, at = 0, subkey = 0, n = 0;
    struct pgp_packet p;
    for (; pgp_packet_next(revoked, len, &pos, &p) == OK; at = pos) {
        if (p.tag == PGP_TAG_PUBLIC_SUBKEY)
            subkey = at;
    }
    memcpy(both, revoked, len);
    n = len;
    /* The subkey once more with its binding, which is its last signature here or the one before; without the
     * revocation. */
    for (pos = subkey; pgp_packet_next(revoked, len, &pos, &p) == OK;) {
        if (p.tag == PGP_TAG_SIGNATURE && p.body[1] == 0x28)
            continue;
        memcpy(both + n, p.body - (p.total_len - p.body_len), p.total_len);
        n += p.total_len;
    }
    assert_true(n > len);
    assert_int_equal(pgp_judge(both, n, NOW, &j), ERR_NO_KEY);
    assert_int_equal(j.fault, PGP_FAULT_ENC_REVOKED);
    assert_int_equal(j.nkeys, 2);
    /* People append the revocation of the whole key to the end. */
    len = from_text(cert_v6_revoked, revoked, sizeof(revoked));
    uint8_t rev[1024];
    size_t rev_len = 0;
    n = 0;
    for (pos = 0; pgp_packet_next(revoked, len, &pos, &p) == OK;) {
        const uint8_t *whole = p.body - (p.total_len - p.body_len);
        bool is = p.tag == PGP_TAG_SIGNATURE && p.body[1] == 0x20;
        memcpy(is ? rev : both + n, whole, p.total_len);
        *(is ? &rev_len : &n) += p.total_len;
    }
    assert_int_equal(pgp_judge(both, n, NOW, &j), OK);
    memcpy(both + n, rev, rev_len);
    assert_int_equal(pgp_judge(both, n + rev_len, NOW, &j), ERR_NO_KEY);
    assert_int_equal(j.fault, PGP_FAULT_REVOKED);
}

static bool keep_second(void *arg, const uint8_t *user_id, size_t len)
{
    return memmem(user_id, len, "second@example.org", 18) != NULL;
}

static bool keep_none(void *arg, const uint8_t *user_id, size_t len)
{
    return false;
}

static size_t user_ids_in(const uint8_t *cert, size_t len, const char *text)
{
    struct pgp_packet p;
    size_t pos = 0, n = 0;
    while (pgp_packet_next(cert, len, &pos, &p) == OK)
        n += p.tag == PGP_TAG_USER_ID && memmem(p.body, p.body_len, text, strlen(text));
    return n;
}

static void wanted_user_ids(void **state)
{
    uint8_t cert[4096], out[4096];
    static struct pgp_judged again;
    size_t len = from_text(cert_v6_user_ids, cert, sizeof(cert)), n;
    assert_int_equal(pgp_judge(cert, len, NOW, &j), OK);
    assert_int_equal(pgp_cert_minimal(cert, len, &j, keep_second, NULL, out, sizeof(out), &n), OK);
    assert_int_equal(user_ids_in(out, n, ""), 1);
    assert_int_equal(user_ids_in(out, n, "second@example.org"), 1);
    assert_int_equal(pgp_judge(out, n, NOW, &again), OK);
    same_verdict(&j, &again); /* version 6: the direct key signature speaks */
    assert_int_equal(pgp_cert_minimal(cert, len, &j, keep_none, NULL, out, sizeof(out), &n), OK);
    assert_int_equal(user_ids_in(out, n, ""), 1);
    assert_int_equal(user_ids_in(out, n, "ada@example.org"), 1);
    /* The same filter without judging. */
    assert_int_equal(pgp_cert_strip(cert, len, keep_second, NULL, out, sizeof(out), &n), OK);
    assert_int_equal(user_ids_in(out, n, ""), 1);
    assert_int_equal(pgp_judge(out, n, NOW, &again), OK);
    same_verdict(&j, &again);
    assert_int_equal(pgp_cert_strip(cert, len, keep_none, NULL, out, sizeof(out), &n), OK);
    assert_int_equal(user_ids_in(out, n, "ada@example.org"), 1);
    assert_int_equal(user_ids_in(out, n, ""), 1);
    assert_int_equal(pgp_cert_strip(cert, len, NULL, NULL, out, sizeof(out), &n), OK);
    assert_int_equal(n, len);
    assert_memory_equal(out, cert, len);
    assert_int_equal(pgp_cert_strip(cert, len, NULL, NULL, out, len - 1, &n), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_sample),      cmocka_unit_test(openpgpjs),         cmocka_unit_test(times),
        cmocka_unit_test(cut_anywhere),    cmocka_unit_test(every_bit_flipped), cmocka_unit_test(copies),
        cmocka_unit_test(wanted_user_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
