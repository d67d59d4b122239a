/* CBOR as authenticators write it, what a browser is asked, and how long an id may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "server/core/base64url.h"
#include "server/core/buf.h"
#include "server/core/error.h"
#include "webmail-api/session/cbor_in.h"
#include "webmail-api/session/webauthn.h"

#include "pieces.h"

static const char *const cbor_good[] = {"00",
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
static const char *const cbor_none[] = {"",
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

static void cbor(void **state)
{
    struct cbor_in c;

    for (size_t i = 0; i < sizeof(cbor_good) / sizeof(*cbor_good); i++) {
        struct piece p = unhex(cbor_good[i]);
        assert_int_equal(cbor_in_read(slice(&p), &c), OK);
        assert_int_equal(c.whole.len, p.len);
        for (size_t len = 0; len < p.len; len++)
            assert_int_equal(cbor_in_read(slice_of(p.data, len), &c), ERR_FORMAT);
    }
    for (size_t i = 0; i < sizeof(cbor_none) / sizeof(*cbor_none); i++) {
        const struct piece p = unhex(cbor_none[i]);
        if (cbor_in_read(slice(&p), &c) != ERR_FORMAT)
            fail_msg("%s", cbor_none[i]);
    }
}

static void cbor_keys(void **state)
{
    struct cbor_in c, v;
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
    const struct webauthn_credential had = {.id_len = 3, .id = {1, 2, 3}, .flags = WEBAUTHN_USB | WEBAUTHN_HYBRID};
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

/* ---- how long an id may be ---- */

/* RFC 8032 section 7.1, test 1 */
#define EDWARDS "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

static int made_with(size_t id_len, const char *cose)
{
    static char json[16384];
    static const uint8_t challenge[32] = {1};
    const struct webauthn_asked a = {.rp_id = "example.org", .origin = "https://example.org", .challenge = {1}};
    const struct piece key = unhex(cose);
    const uint8_t fixed[23] = {0x41, [21] = (uint8_t)(id_len >> 8), (uint8_t)id_len}, id[1100] = {0};
    struct piece data = {.len = 32}, object = unhex("a363666d74646e6f6e656761747453746d74a068617574684461746159"),
                 client = {.len = 0};
    char id_text[1500], object_text[4000], client_text[400], challenge_text[44];
    struct webauthn_credential c;

    crypto_hash_sha256(data.data, (const uint8_t *)a.rp_id, strlen(a.rp_id));
    add(&data, fixed, sizeof(fixed));
    add(&data, id, id_len);
    add(&data, key.data, key.len);
    const uint8_t len[2] = {(uint8_t)(data.len >> 8), (uint8_t)data.len};
    add(&object, len, 2);
    add(&object, data.data, data.len);
    base64url_write(slice_of(challenge, 32), challenge_text);
    client.len =
        (size_t)sprintf((char *)client.data, "{\"type\":\"webauthn.create\",\"challenge\":\"%s\",\"origin\":\"%s\"}",
                        challenge_text, a.origin);
    base64url_write(slice_of(id, id_len), id_text);
    base64url_write(slice(&object), object_text);
    base64url_write(slice(&client), client_text);
    snprintf(json, sizeof(json),
             "{\"id\":\"%s\",\"rawId\":\"%s\",\"type\":\"public-key\",\"response\":{\"clientDataJSON\":\"%s\","
             "\"attestationObject\":\"%s\"}}",
             id_text, id_text, client_text, object_text);
    return webauthn_register(slice_str(json), &a, &c);
}

static int made_with_id(size_t id_len)
{
    return made_with(id_len, "a4010103272006215820" EDWARDS);
}

static void ids(void **state)
{
    assert_int_equal(made_with_id(0), ERR_FORMAT);
    assert_int_equal(made_with_id(1), OK);
    assert_int_equal(made_with_id(WEBAUTHN_ID_MAX), OK);
    assert_int_equal(made_with_id(WEBAUTHN_ID_MAX + 1), ERR_UNSUPPORTED);
    assert_int_equal(made_with_id(1023), ERR_UNSUPPORTED);
    assert_int_equal(made_with_id(1024), ERR_FORMAT);
}

#define POINT_X "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296" /* P-256's generator */
#define POINT_Y "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"

static void kinds_of_keys(void **state)
{
    static const struct {
        const char *cose;
        int err;
    } rows[] = {
        {"a5010203262001215820" POINT_X "225820" POINT_Y, OK},
        {"a5010103262001215820" POINT_X "225820" POINT_Y, ERR_UNSUPPORTED}, /* another type of key */
        {"a5010203262002215820" POINT_X "225820" POINT_Y, ERR_UNSUPPORTED}, /* another curve */
        {"a40102032620012158"
         "20" POINT_X,
         ERR_UNSUPPORTED},
        {"a5010203262001215820" POINT_X "22f5", ERR_UNSUPPORTED},                            /* its compressed form */
        {"a6010203262001215820" POINT_X "215820" POINT_X "225820" POINT_Y, ERR_UNSUPPORTED}, /* twice */
        {"a4010103272006215820" EDWARDS, OK},
        {"a4010203272006215820" EDWARDS, ERR_UNSUPPORTED},
        {"a4010103272007215820" EDWARDS, ERR_UNSUPPORTED}, /* Ed448 */
        {"a4010103262006215820" EDWARDS, ERR_UNSUPPORTED}, /* ES256 */
        {"a5010103272006215820" EDWARDS "2240", OK},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (made_with(16, rows[i].cose) != rows[i].err)
            fail_msg("%s", rows[i].cose);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cbor), cmocka_unit_test(cbor_keys), cmocka_unit_test(options),
                                       cmocka_unit_test(ids), cmocka_unit_test(kinds_of_keys)};

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
