/* SCRAM-SHA-256: the example of RFC 7677 section 3, and servers that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
