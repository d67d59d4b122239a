/* What is said of a certificate by its packets alone, before and after it is judged; and whose a user id is. Every
 * certificate cut at each octet and with each octet changed: nothing is read too far, and no change of what a judge
 * answers passes for the certificate that was given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_packet.h"
#include "server/core/error.h"
#include "server/gpg/gpg_internal.h"
#include "tests/support/judge_certs.h"

static const char *const certs[] = {cert_v6_25519, cert_v6_448,        cert_v6_rsa,          cert_v6_user_ids,
                                    cert_v4_25519, cert_v4_rsa_x25519, cert_v4_legacy_x25519};
enum { CERTS = sizeof(certs) / sizeof(*certs) };

static int take(const void *data, size_t len, uint8_t **ret, size_t *ret_len, enum pgp_fault *fault)
{
    unsigned detail = 0;
    *fault = PGP_FAULT_NONE;
    uint8_t *copy = malloc(len ? len : 1); /* exactly as long, so that a sanitizer sees a read too far */
    memcpy(copy, data, len);
    int err = gpg_certificate_read(copy, len, ret, ret_len, fault, &detail);
    free(copy);
    assert_true((err == OK) == (*fault == PGP_FAULT_NONE));
    return err;
}

static void armoured_and_binary_are_one(void **state)
{
    for (size_t i = 0; i < CERTS; i++) {
        uint8_t *a, *b;
        size_t a_len, b_len;
        enum pgp_fault fault;
        assert_int_equal(take(certs[i], strlen(certs[i]), &a, &a_len, &fault), OK);
        assert_int_equal(take(a, a_len, &b, &b_len, &fault), OK);
        assert_int_equal(a_len, b_len);
        assert_memory_equal(a, b, a_len);
        assert_true(gpg_certificate_is_new(a, a_len));
        free(b);
        /* Marker and padding packets in front are nothing. */
        static const uint8_t nothing[] = {0xca, 3, 'P', 'G', 'P', 0xd5, 2, 1, 2};
        uint8_t *padded = malloc(sizeof(nothing) + a_len);
        memcpy(padded, nothing, sizeof(nothing));
        memcpy(padded + sizeof(nothing), a, a_len);
        assert_int_equal(take(padded, sizeof(nothing) + a_len, &b, &b_len, &fault), OK);
        assert_int_equal(a_len, b_len);
        assert_memory_equal(a, b, a_len);
        free(b);
        assert_int_equal(take(padded, sizeof(nothing), &b, &b_len, &fault), ERR_FORMAT);
        free(padded);
        free(a);
    }
}

static void cut_and_changed(void **state)
{
    for (size_t i = 0; i < CERTS; i++) {
        uint8_t *cert, *other;
        size_t len, other_len;
        enum pgp_fault fault;
        assert_int_equal(take(certs[i], strlen(certs[i]), &cert, &len, &fault), OK);
        for (size_t n = 0; n < strlen(certs[i]); n += 1 + n / 64)
            if (take(certs[i], n, &other, &other_len, &fault) == OK)
                fail_msg("armour cut at %zu passes", n);
        for (size_t n = 0; n < len; n++) {
            if (take(cert, n, &other, &other_len, &fault) == OK) {
                gpg_certificate_is_new(other, other_len);
                free(other);
            }
            cert[n] ^= 1u << n % 8;
            if (take(cert, len, &other, &other_len, &fault) == OK) {
                gpg_certificate_is_new(other, other_len);
                free(other);
            }
            cert[n] ^= 1u << n % 8;
        }
        free(cert);
    }
}

static void what_a_judge_may_not_change(void **state)
{
    for (size_t i = 0; i < CERTS; i++) {
        static struct pgp_judged j;
        uint8_t *cert, kept[16 * 1024];
        size_t len, kept_len;
        enum pgp_fault fault;
        assert_int_equal(take(certs[i], strlen(certs[i]), &cert, &len, &fault), OK);
        assert_int_equal(pgp_judge(cert, len, 1767225600, &j), OK);
        assert_int_equal(pgp_cert_minimal(cert, len, &j, NULL, NULL, kept, sizeof(kept), &kept_len), OK);
        assert_true(gpg_certificate_matches(cert, len, &j.verdict, kept, kept_len));
        assert_true(gpg_certificate_is_of(cert, len, j.verdict.primary_fpr, j.verdict.primary_fpr_len));
        struct pgp_packet p;
        size_t start = 0;
        for (size_t pos = 0; pgp_packet_next(kept, kept_len, &pos, &p) == OK; start = pos) {
            size_t end = p.tag == PGP_TAG_SIGNATURE ? start + (pos - start - p.body_len) : pos;
            for (size_t at = start; at < end; at++) { /* signatures were judged; the rest stands in the file */
                kept[at] ^= 1u << at % 8;
                if (gpg_certificate_matches(cert, len, &j.verdict, kept, kept_len))
                    fail_msg("certificate %zu, octet %zu changed", i, at);
                kept[at] ^= 1u << at % 8;
            }
        }
        for (size_t n = 0; n < kept_len; n++) {
            uint8_t *copy = malloc(n ? n : 1);
            memcpy(copy, kept, n);
            gpg_certificate_matches(cert, len, &j.verdict, copy, n);
            free(copy);
        }
        struct pgp_verdict v = j.verdict;
        for (size_t at = 0; at < v.primary_fpr_len; at++) {
            v.primary_fpr[at] ^= 1;
            assert_false(gpg_certificate_matches(cert, len, &v, kept, kept_len));
            assert_false(gpg_certificate_is_of(cert, len, v.primary_fpr, v.primary_fpr_len));
            v = j.verdict;
            v.enc_fpr[at] ^= 1;
            assert_false(gpg_certificate_matches(cert, len, &v, kept, kept_len));
            v = j.verdict;
        }
        v.created++;
        assert_false(gpg_certificate_matches(cert, len, &v, kept, kept_len));
        assert_false(gpg_certificate_is_of(cert, len, j.verdict.primary_fpr, j.verdict.primary_fpr_len - 1u));
        assert_false(gpg_certificate_is_of(NULL, 0, j.verdict.primary_fpr, j.verdict.primary_fpr_len));
        free(cert);
    }
}

static void whose_a_user_id_is(void **state)
{
    static const struct {
        const char *user_id, *address;
        bool names;
    } t[] = {
        {"a@b.example", "a@b.example", true},
        {"<a@b.example>", "a@b.example", true},
        {"A Name <a@b.example>", "a@b.example", true},
        {"A Name (comment) <A@B.Example>", "a@b.example", true},
        {"A <x@y.example> <a@b.example>", "a@b.example", true},
        {"A <a@b.example> tail", "a@b.example", true},
        {"A <a+detail@b.example>", "a@b.example", true},
        {"A <a@b.example>", "a+detail@b.example", true},
        {"A <a@b.example>", "@b.example", true},
        {"A <a@B\xc3\x9c"
         "cher.example>",
         "a@xn--bcher-kva.example", true},
        {"A <a@xn--bcher-kva.example>", "a@xn--bcher-kva.example", true},
        {"A <aa@b.example>", "a@b.example", false},
        {"A <a@b.example.org>", "a@b.example", false},
        {"A <a@sub.b.example>", "@b.example", false},
        {"A <a@b.example>", "a@b.exampl", false},
        {"A <+a@b.example>", "@b.example", true},
        {"A <+a@b.example>", "a@b.example", false},
        {"a@b.example, c@d.example", "a@b.example", false},
        {"A a@b.example", "a@b.example", false},
        {"A <a b@b.example>", "a b@b.example", false},
        {"A <a@b.example", "a@b.example", false},
        {"A a@b.example>", "a@b.example", false},
        {"A <>", "a@b.example", false},
        {"<@b.example>", "@b.example", false},
        {"<a@>", "a@", false},
        {"", "", false},
        {">", "a@b.example", false},
        {"<", "a@b.example", false},
        {"> <", "a@b.example", false},
        {"@", "@", false},
        {"a@\xff\xfe.example", "a@b.example", false},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        size_t len = strlen(t[i].user_id);
        uint8_t *copy = malloc(len ? len : 1);
        memcpy(copy, t[i].user_id, len);
        if (gpg_user_id_names(copy, len, &t[i].address, 1) != t[i].names)
            fail_msg("\"%s\" and \"%s\"", t[i].user_id, t[i].address);
        assert_false(gpg_user_id_names(copy, len, NULL, 0));
        free(copy);
    }
    assert_false(gpg_user_id_names((const uint8_t *)"A <a\0@b.example>", 16, (const char *const[]){"a@b.example"}, 1));
    char longest[400];
    memset(longest, 'a', sizeof(longest));
    memcpy(longest + 300, "@b.example", 10);
    for (size_t n = 305; n < sizeof(longest); n++)
        gpg_user_id_names((const uint8_t *)longest, n, (const char *const[]){"@b.example"}, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(armoured_and_binary_are_one),
        cmocka_unit_test(cut_and_changed),
        cmocka_unit_test(what_a_judge_may_not_change),
        cmocka_unit_test(whose_a_user_id_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
