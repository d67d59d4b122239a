/* CBOR as authenticators write it, and what a browser is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server/core/buf.h"
#include "server/core/error.h"
#include "webmail-api/session/cbor_in.h"
#include "webmail-api/session/webauthn.h"

#include "pieces.h"

static void cbor(void **state)
{
    static const char *const good[] = {"00",
                                       "1bffffffffffffffff",
                                       "3bffffffffffffffff",
                                       "40",
                                       "60",
                                       "80",
                                       "a0",
                                       "f4",
                                       "f5",
                                       "f6",
                                       "f7",
                                       "818181"
                                       "80",
                                       "a100a100a100"
                                       "80",
                                       "1800",
                                       "590001aa"};
    static const char *const none[] = {"",
                                       "18",
                                       "1901",
                                       "1a010203",
                                       "1b01020304050607",
                                       "1c",
                                       "1f",
                                       "41",
                                       "5bffffffffffffffff",
                                       "5affffffff",
                                       "5f",
                                       "7f",
                                       "81",
                                       "9bffffffffffffffff",
                                       "9a7fffffff",
                                       "9f",
                                       "9fff",
                                       "a1",
                                       "a100",
                                       "bbffffffffffffffff",
                                       "bb8000000000000000",
                                       "ba7fffffff00",
                                       "bf",
                                       "bfff",
                                       "c000",
                                       "d9d9f700",
                                       "f0",
                                       "f814",
                                       "f818",
                                       "f90000",
                                       "fa00000000",
                                       "fb0000000000000000",
                                       "ff",
                                       "8181818180",
                                       "a100a100a100a100a0"};
    struct cbor_in c, v;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct piece p = unhex(good[i]);
        assert_int_equal(cbor_in_read(slice(&p), &c), OK);
        assert_int_equal(c.whole.len, p.len);
        for (size_t len = 0; len < p.len; len++)
            assert_int_equal(cbor_in_read(slice_of(p.data, len), &c), ERR_FORMAT);
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
        const struct piece p = unhex(none[i]);
        if (cbor_in_read(slice(&p), &c) != ERR_FORMAT)
            fail_msg("%s", none[i]);
    }
    const struct piece map = unhex("a5"
                                   "6161"
                                   "01"
                                   "20"
                                   "02"
                                   "6162"
                                   "03"
                                   "6162"
                                   "04"
                                   "4161"
                                   "05"),
                       list = unhex("826161"
                                    "01");
    assert_int_equal(cbor_in_read(slice(&map), &c), OK);
    assert_int_equal(cbor_in_text_key(&c, "a", &v), OK);
    assert_int_equal(v.value, 1);
    assert_int_equal(cbor_in_number_key(&c, -1, &v), OK);
    assert_int_equal(v.value, 2);
    assert_int_equal(cbor_in_text_key(&c, "b", &v), ERR_FORMAT);
    assert_int_equal(cbor_in_text_key(&c, "c", &v), ERR_NOT_FOUND);
    assert_int_equal(cbor_in_number_key(&c, 0, &v), ERR_NOT_FOUND);
    assert_int_equal(cbor_in_read(slice(&list), &c), OK);
    assert_int_equal(cbor_in_text_key(&c, "a", &v), ERR_FORMAT);
}

/* ---- what is asked ---- */

static void options(void **state)
{
    const struct webauthn_credential had = {.id_len = 3, .id = {1, 2, 3}, .transports = WEBAUTHN_USB | WEBAUTHN_HYBRID};
    struct webauthn_asked a = {.rp_id = "mail.example.org",
                               .origin = "https://mail.example.org",
                               .challenge = {1, 2, 3},
                               .user = slice_str("handle")};
    struct json_out o;
    struct buf b;

    buf_init(&b, 4096, false);
    json_out_init(&o);
    webauthn_put_creation(&o, &a, "Mail of \"us\"", "j\xc3\xbcrg@example.org", NULL, 0);
    assert_int_equal(json_out_finish(&o, &b), OK);
    a.verify = true;
    json_out_init(&o);
    webauthn_put_request(&o, &a, &had, 1);
    assert_int_equal(json_out_finish(&o, &b), OK);
    assert_int_equal(buf_append(&b, "", 1), OK);
#define CHALLENGE "\"challenge\":\"AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
#define PRF "\"extensions\":{\"prf\":{\"eval\":{\"first\":\"TGV0dGVybG9jayB3cmFwcGVkIGtleQ\"}}}"
    assert_string_equal(
        b.data,
        "{\"rp\":{\"id\":\"mail.example.org\",\"name\":\"Mail of \\\"us\\\"\"},\"user\":{\"id\":\"aGFuZGxl\","
        "\"name\":\"j\\u00FCrg@example.org\",\"displayName\":\"j\\u00FCrg@example.org\"}," CHALLENGE
        "\"pubKeyCredParams\":[{\"type\":\"public-key\",\"alg\":-8},{\"type\":\"public-key\",\"alg\":-7},"
        "{\"type\":\"public-key\",\"alg\":-257}],\"timeout\":300000,\"excludeCredentials\":[],"
        "\"authenticatorSelection\":{\"residentKey\":\"preferred\",\"requireResidentKey\":false,"
        "\"userVerification\":\"preferred\"},\"attestation\":\"none\"," PRF "}"
        "{" CHALLENGE "\"timeout\":300000,\"rpId\":\"mail.example.org\",\"allowCredentials\":[{\"type\":\"public-key\","
        "\"id\":\"AQID\",\"transports\":[\"usb\",\"hybrid\"]}],\"userVerification\":\"required\"," PRF "}");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cbor), cmocka_unit_test(options)};

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
