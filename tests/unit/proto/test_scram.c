/* SCRAM-SHA-256: the example of RFC 7677 section 3, and servers that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "server/core/error.h"
#include "server/proto/sasl.h"
#include "server/proto/scram.h"

#define NONCE "rOprNGfwEbeRWgbNEkqO"
#define WHOLE NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="

static struct scram_client begun(void)
{
    struct scram_client s = {.nonce = NONCE};

    snprintf(s.first_bare, sizeof(s.first_bare), "n=user,r=%s", NONCE);
    return s;
}

static void test_example(void **state)
{
    struct scram_client s = begun();
    char out[SCRAM_MESSAGE_MAX];

    assert_int_equal(scram_client_final(&s, "pencil", slice_str("r=" WHOLE ",s=" SALT ",i=4096"), out), OK);
    assert_string_equal(out, "c=biws,r=" WHOLE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    assert_int_equal(scram_client_verify(&s, slice_str("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")), OK);
    assert_int_equal(scram_client_verify(&s, slice_str("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=,x=y")), OK);
}

static void test_a_server_without_the_password(void **state)
{
    static const char *const finals[] = {"",
                                         "v=",
                                         "v",
                                         "e=other-error",
                                         "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G8=",
                                         "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95A==",
                                         "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4",
                                         "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                                         "V=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="};
    struct scram_client s = begun();
    char out[SCRAM_MESSAGE_MAX];

    assert_int_equal(scram_client_final(&s, "pencil", slice_str("r=" WHOLE ",s=" SALT ",i=4096"), out), OK);
    for (size_t i = 0; i < sizeof(finals) / sizeof(finals[0]); i++)
        assert_int_equal(scram_client_verify(&s, slice_str(finals[i])), ERR_DENIED);
}

static void test_first_of_a_server(void **state)
{
    static const struct {
        const char *text;
        int err;
    } cases[] = {
        {"", ERR_FORMAT},
        {"r=" WHOLE, ERR_FORMAT},
        {"r=" WHOLE ",s=" SALT, ERR_FORMAT},
        {"r=" WHOLE ",s=" SALT ",i=", ERR_FORMAT},
        {"r=" WHOLE ",s=" SALT ",i=4096x", ERR_FORMAT},
        {"r=" WHOLE ",s=" SALT ",i=-4096", ERR_FORMAT},
        {"r=" WHOLE ",s=,i=4096", ERR_FORMAT},
        {"r=" WHOLE ",s=!,i=4096", ERR_FORMAT},
        {"s=" SALT ",r=" WHOLE ",i=4096", ERR_FORMAT},
        {"m=must,r=" WHOLE ",s=" SALT ",i=4096", ERR_FORMAT}, /* section 5.1: an extension that must be known */
        {"r=" NONCE ",s=" SALT ",i=4096", ERR_FORMAT},        /* nothing of the server's own */
        {"r=x" WHOLE ",s=" SALT ",i=4096", ERR_FORMAT},       /* another's */
        {"r=,s=" SALT ",i=4096", ERR_FORMAT},
        {"r=" WHOLE "\n,s=" SALT ",i=4096", ERR_FORMAT},
        {"r=" WHOLE ",s=" SALT ",i=1", ERR_LIMIT}, /* would show the password to who guesses */
        {"r=" WHOLE ",s=" SALT ",i=4095", ERR_LIMIT},
        {"r=" WHOLE ",s=" SALT ",i=200001", ERR_LIMIT}, /* would keep us busy */
        {"r=" WHOLE ",s=" SALT ",i=999999999", ERR_LIMIT},
        {"r=" WHOLE ",s=" SALT ",i=9999999999", ERR_FORMAT},
        {"r=" WHOLE ",s=" SALT ",i=4096,x=unknown", OK},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scram_client s = begun();
        char out[SCRAM_MESSAGE_MAX] = "as it was";

        assert_int_equal(scram_client_final(&s, "pencil", slice_str(cases[i].text), out), cases[i].err);
        if (cases[i].err != OK)
            assert_string_equal(out, "as it was");
    }
}

static void test_names(void **state)
{
    struct scram_client s;
    char out[SCRAM_MESSAGE_MAX], name[1100];

    assert_int_equal(scram_client_first(&s, "a,b=c", (const uint8_t *)"123456789012345678", out), OK);
    assert_string_equal(out, "n,,n=a=2Cb=3Dc,r=MTIzNDU2Nzg5MDEyMzQ1Njc4");
    memset(name, ',', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(scram_client_first(&s, name, (const uint8_t *)"123456789012345678", out), ERR_LIMIT);
}

/* ---- as a server ---- */

#define FIRST "n,,n=user,r=" NONCE

static void keys_of(uint8_t stored[32], uint8_t server[32])
{
    uint8_t salt[64], salted[32], client[32];
    long n = sasl_base64_decode(slice_str(SALT), salt, sizeof(salt));

    PKCS5_PBKDF2_HMAC("pencil", 6, salt, (int)n, 4096, EVP_sha256(), 32, salted);
    HMAC(EVP_sha256(), salted, 32, (const uint8_t *)"Client Key", 10, client, NULL);
    EVP_Digest(client, 32, stored, NULL, EVP_sha256(), NULL);
    HMAC(EVP_sha256(), salted, 32, (const uint8_t *)"Server Key", 10, server, NULL);
}

static struct scram_server asked(void)
{
    struct scram_server s = {0};

    assert_int_equal(scram_server_first(&s, false, true, slice_str(FIRST)), OK);
    assert_string_equal(s.user, "user");
    /* The example's own. */
    strcpy(s.nonce, WHOLE);
    strcpy(s.server_first, "r=" WHOLE ",s=" SALT ",i=4096");
    return s;
}

static void test_server_example(void **state)
{
    struct scram_server s = asked();
    uint8_t stored[32], server[32], other[32];
    char out[SCRAM_FINAL_MAX];

    keys_of(stored, server);
    assert_int_equal(scram_server_final(&s,
                                        slice_str("c=biws,r=" WHOLE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
                                        (struct slice){0}),
                     OK);
    memcpy(other, stored, 32);
    other[31] ^= 1;
    assert_false(scram_server_fits(&s, other, server));
    assert_true(scram_server_fits(&s, stored, server));
    assert_false(scram_server_fits(&s, other, other)); /* leaves the signature of the one that fitted */
    scram_server_last(&s, out);
    assert_string_equal(out, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

static void test_server_finals(void **state)
{
#define P ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    static const struct {
        const char *text;
        int err;
    } cases[] = {
        {"", ERR_FORMAT},
        {"c=biws,r=" WHOLE, ERR_FORMAT},
        {"r=" WHOLE ",c=biws" P, ERR_FORMAT},
        {"c=biws,r=" WHOLE ",p=AAAA", ERR_FORMAT},
        {"c=biws,r=" WHOLE P ",x=y", ERR_FORMAT},
        {"c=biws,r=" WHOLE P P, ERR_FORMAT},
        {"c=biws,r=" NONCE P, ERR_DENIED},     /* nothing of ours */
        {"c=biws,r=" WHOLE "x" P, ERR_DENIED}, /* another login's */
        {"c=biws,r=x" P, ERR_DENIED},
        {"c=eSws,r=" WHOLE P, ERR_DENIED},     /* "y,,": another header than in the first message */
        {"c=biwsAA==,r=" WHOLE P, ERR_DENIED}, /* bound to something */
        {"c=!,r=" WHOLE P, ERR_DENIED},
        {"c=biws,r=" WHOLE ",x=ignored" P, OK},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scram_server s = asked();

        assert_int_equal(scram_server_final(&s, slice_str(cases[i].text), (struct slice){0}), cases[i].err);
    }
    /* An extension is part of what is proven. */
    struct scram_server s = asked();
    uint8_t stored[32], server[32];
    keys_of(stored, server);
    assert_int_equal(scram_server_final(&s, slice_str(cases[12].text), (struct slice){0}), OK);
    assert_false(scram_server_fits(&s, stored, server));
}

static void test_server_firsts(void **state)
{
    static const struct {
        const char *text;
        bool plus, offered;
        int err;
    } cases[] = {
        {FIRST, false, true, OK},
        {FIRST, false, false, OK},
        {FIRST ",x=extension", false, true, OK},
        {"y,,n=user,r=" NONCE, false, false, OK},
        {"y,,n=user,r=" NONCE, false, true, ERR_DENIED}, /* somebody took -PLUS out of the list */
        {"n,a=user,n=user,r=" NONCE, false, true, OK},
        {"n,a=other,n=user,r=" NONCE, false, true, ERR_DENIED},
        {"p=tls-exporter,,n=user,r=" NONCE, true, true, OK},
        {"p=tls-server-end-point,,n=user,r=" NONCE, true, true, OK},
        {"p=tls-unique,,n=user,r=" NONCE, true, true, ERR_DENIED},
        {"p=tls-exporter,,n=user,r=" NONCE, false, true, ERR_DENIED},
        {"n,,n=user,r=" NONCE, true, true, ERR_DENIED},
        {"y,,n=user,r=" NONCE, true, true, ERR_DENIED},
        {"", false, true, ERR_FORMAT},
        {"n", false, true, ERR_FORMAT},
        {"n,", false, true, ERR_FORMAT},
        {"n,,", false, true, ERR_FORMAT},
        {"n,,n=user", false, true, ERR_FORMAT},
        {"n,,n=,r=" NONCE, false, true, ERR_FORMAT},
        {"n,,n=user,r=", false, true, ERR_FORMAT},
        {"n,,n=user,r=a b", false, true, ERR_FORMAT},
        {"n,,n=us=er,r=x", false, true, ERR_FORMAT},
        {"n,,n=user=2c,r=x", false, true, ERR_FORMAT},
        {"n,,n=user=2,r=x", false, true, ERR_FORMAT},
        {"n,,m=x,n=user,r=x", false, true, ERR_FORMAT},
        {"z,,n=user,r=x", false, true, ERR_FORMAT},
        {"p,,n=user,r=x", true, true, ERR_FORMAT},
        {"n,b=user,n=user,r=x", false, true, ERR_FORMAT},
    };
    struct scram_server s;
    char big[3000];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (scram_server_first(&s, cases[i].plus, cases[i].offered, slice_str(cases[i].text)) != cases[i].err)
            fail_msg("%s", cases[i].text);
    assert_int_equal(scram_server_first(&s, false, true, slice_str("n,,n=a=2Cb=3Dc,r=x")), OK);
    assert_string_equal(s.user, "a,b=c");
    assert_int_equal(scram_server_first(&s, false, true, slice_of("n,,n=a\0b,r=x", 12)), ERR_FORMAT);
    for (size_t n = 500; n < sizeof(big); n += 7) { /* user, then nonce, as long as may be and longer */
        memset(big, 'u', sizeof(big));
        memcpy(big, "n,,n=", 5);
        memcpy(big + n - 5, ",r=x", 4);
        (void)scram_server_first(&s, false, true, slice_of(big, n - 1));
        memcpy(big, "n,,n=u,r=", 9);
        memset(big + n - 5, 'u', 4);
        if (scram_server_first(&s, false, true, slice_of(big, n)) == OK) {
            char out[SCRAM_MESSAGE_MAX];
            scram_server_challenge(&s, (const uint8_t *)"123456789012345678", (const uint8_t *)"1234567890123456", 4096,
                                   out);
            assert_non_null(strstr(out, ",i=4096"));
        }
    }
}

/* Both sides of ours, bound and not; a proof is good for its own login alone. */
static void test_both_sides(void **state)
{
    static const uint8_t salt[16] = "0123456789abcde", ours[18] = "abcdefghijklmnopq", theirs[18] = "ABCDEFGHIJKLMNOPQ";
    char first[SCRAM_MESSAGE_MAX], answer[SCRAM_MESSAGE_MAX], final[SCRAM_MESSAGE_MAX], last[SCRAM_FINAL_MAX];
    uint8_t salted[32], client[32], stored[32], server[32];
    struct scram_client c = {0};
    struct scram_server s = {0};

    PKCS5_PBKDF2_HMAC("pencil", 6, salt, 16, 4096, EVP_sha256(), 32, salted);
    HMAC(EVP_sha256(), salted, 32, (const uint8_t *)"Client Key", 10, client, NULL);
    EVP_Digest(client, 32, stored, NULL, EVP_sha256(), NULL);
    HMAC(EVP_sha256(), salted, 32, (const uint8_t *)"Server Key", 10, server, NULL);
    assert_int_equal(scram_client_first(&c, "a,b@x", theirs, first), OK);
    assert_int_equal(scram_server_first(&s, false, true, slice_str(first)), OK);
    assert_string_equal(s.user, "a,b@x");
    scram_server_challenge(&s, ours, salt, 4096, answer);
    assert_int_equal(scram_client_final(&c, "pencil", slice_str(answer), final), OK);
    assert_int_equal(scram_server_final(&s, slice_str(final), (struct slice){0}), OK);
    assert_true(scram_server_fits(&s, stored, server));
    scram_server_last(&s, last);
    assert_int_equal(scram_client_verify(&c, slice_str(last)), OK);
    /* Said again to a login with another nonce of ours. */
    assert_int_equal(scram_server_first(&s, false, true, slice_str(first)), OK);
    scram_server_challenge(&s, theirs, salt, 4096, answer);
    assert_int_equal(scram_server_final(&s, slice_str(final), (struct slice){0}), ERR_DENIED);
    assert_int_equal(scram_client_final(&c, "wrong", slice_str(answer), final), OK);
    assert_int_equal(scram_server_final(&s, slice_str(final), (struct slice){0}), OK);
    assert_false(scram_server_fits(&s, stored, server));
}

static void test_binding(void **state)
{
    static const struct {
        const char *text, *bound_to;
        int err;
    } cases[] = {
        {"p=tls-exporter,,12345678", "12345678", OK},
        {"p=tls-exporter,,12345678", "12345679", ERR_DENIED}, /* another session's */
        {"p=tls-exporter,,12345678", "1234567", ERR_DENIED},
        {"p=tls-exporter,,", "", ERR_DENIED}, /* we have nothing to bind to */
        {"p=tls-exporter,,", "12345678", ERR_DENIED},
        {"p=tls-server-end-point,,12345678", "12345678", ERR_DENIED},
        {"n,,", "12345678", ERR_DENIED},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scram_server s = {0};
        char text[64], final[2048];

        assert_int_equal(scram_server_first(&s, true, true, slice_str("p=tls-exporter,,n=user,r=x")), OK);
        sasl_base64_encode(slice_str(cases[i].text), text);
        snprintf(final, sizeof(final), "c=%s,r=%s" P, text, s.nonce);
        assert_int_equal(scram_server_final(&s, slice_str(final), slice_str(cases[i].bound_to)), cases[i].err);
    }
}

/* RFC 4648 section 10 */
static void test_base64(void **state)
{
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xff\xfe\xfb", "//77"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t back[8];
        char out[16];

        sasl_base64_encode(slice_str(cases[i][0]), out);
        assert_string_equal(out, cases[i][1]);
        assert_int_equal(strlen(out), SASL_BASE64_LEN(strlen(cases[i][0])));
        assert_int_equal(sasl_base64_decode(slice_str(out), back, sizeof(back)), strlen(cases[i][0]));
        assert_memory_equal(back, cases[i][0], strlen(cases[i][0]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_a_server_without_the_password),
        cmocka_unit_test(test_first_of_a_server),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_server_example),
        cmocka_unit_test(test_server_finals),
        cmocka_unit_test(test_server_firsts),
        cmocka_unit_test(test_both_sides),
        cmocka_unit_test(test_binding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
