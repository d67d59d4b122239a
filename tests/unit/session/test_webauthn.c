/* WebAuthn: the standard's vectors, each octet of them changed; then credentials made here, signed rightly, which say
 * something else than what was asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "server/core/base64url.h"
#include "server/core/error.h"
#include "webmail-api/session/cbor_in.h"
#include "webmail-api/session/webauthn.h"

#include "pieces.h"
#include "webauthn_vectors.h"

enum { JSON_MAX = 32768 };

static const char *base64(struct slice s)
{
    static char text[8][JSON_MAX / 4];
    static unsigned turn;
    char *out = text[turn++ % 8];

    assert_true(BASE64URL_LEN(s.len) < sizeof(text[0]));
    base64url_write(s, out);
    return out;
}

static const char made_form[] =
    "{\"id\":\"%s\",\"rawId\":\"%s\",\"type\":\"public-key\",\"response\":{\"clientDataJSON\":\"%s\","
    "\"attestationObject\":\"%s\",\"transports\":[\"internal\",\"future\",\"usb\"]%s}%s}";
static const char used_form[] =
    "{\"id\":\"%s\",\"rawId\":\"%s\",\"type\":\"public-key\",\"response\":{\"clientDataJSON\":\"%s\","
    "\"authenticatorData\":\"%s\",\"signature\":\"%s\"%s}%s}";

static int make(const struct webauthn_asked *a, struct slice id, struct slice client, struct slice object,
                const char *response_more, const char *more, struct webauthn_credential *ret)
{
    static char json[JSON_MAX];
    const char *name = base64(id);

    assert_true(snprintf(json, sizeof(json), made_form, name, name, base64(client), base64(object), response_more,
                         more) < JSON_MAX);
    return webauthn_register(slice_str(json), a, ret);
}

static int use(const struct webauthn_asked *a, const struct webauthn_credential *c, struct slice client,
               struct slice data, struct slice signature, uint32_t *count)
{
    static char json[JSON_MAX];
    const char *name = base64(slice_of(c->id, c->id_len));
    size_t which = 7;
    int err;

    snprintf(json, sizeof(json), used_form, name, name, base64(client), base64(data), base64(signature), "", "");
    err = webauthn_verify(slice_str(json), a, c, 1, &which, count);
    assert_int_equal(which, err == OK ? 0 : 7);
    return err;
}

static struct webauthn_asked asked(const char *challenge)
{
    struct webauthn_asked a = {.rp_id = "example.org", .origin = "https://example.org"};
    const struct piece p = unhex(challenge);

    assert_int_equal(p.len, sizeof(a.challenge));
    memcpy(a.challenge, p.data, p.len);
    return a;
}

/* ---- vectors ---- */

/* Of the credential in an attestation object: behind its AAGUID, which is behind 37 octets. */
static struct slice id_of(const struct piece *object)
{
    struct cbor_in map, data;

    assert_int_equal(cbor_in_read(slice(object), &map), OK);
    assert_int_equal(cbor_in_text_key(&map, "authData", &data), OK);
    return slice_of(data.body.data + 55, (size_t)data.body.data[53] << 8 | data.body.data[54]);
}

static int make_vector(const struct webauthn_vector *v, struct webauthn_credential *ret)
{
    const struct webauthn_asked a = asked(v->made_challenge);
    const struct piece client = unhex(v->made_client), object = unhex(v->object);

    return make(&a, id_of(&object), slice(&client), slice(&object), "", "", ret);
}

static void vectors(void **state)
{
    static const uint8_t algs[] = {0x26, 0x26, 0x26, 0x27}; /* -7, -8 */
    struct webauthn_credential c;
    uint32_t count = 7;
    size_t i = 0;

    for (; webauthn_vectors[i].signature; i++) {
        const struct webauthn_vector *v = &webauthn_vectors[i];
        const struct webauthn_asked a = asked(v->used_challenge);
        const struct piece client = unhex(v->used_client), data = unhex(v->data), signature = unhex(v->signature);
        assert_int_equal(make_vector(v, &c), OK);
        assert_int_equal(c.key[4], algs[i]); /* {1: ..., 3: ...} */
        assert_int_equal(c.id_len, 32);
        assert_int_equal(c.flags & ~WEBAUTHN_MAY_BE_BACKED_UP, WEBAUTHN_INTERNAL | WEBAUTHN_USB);
        assert_int_equal(use(&a, &c, slice(&client), slice(&data), slice(&signature), &count), OK);
        assert_int_equal(count, 0);
    }
    assert_int_equal(i, sizeof(algs) / sizeof(*algs));
    assert_int_equal(make_vector(&webauthn_vectors[i], &c), ERR_DENIED); /* made within a page of others */
}

static void each_octet_counts(void **state)
{
    for (size_t i = 0; i <= 3; i += 3) { /* ES256, EdDSA */
        const struct webauthn_vector *v = &webauthn_vectors[i];
        const struct webauthn_asked a = asked(v->used_challenge);
        const struct piece good[3] = {unhex(v->used_client), unhex(v->data), unhex(v->signature)};
        struct webauthn_credential c;
        uint32_t count = 7;

        assert_int_equal(make_vector(v, &c), OK);
        for (size_t k = 0; k < 3; k++) {
            for (size_t at = 0; at < good[k].len; at++) {
                struct piece p[3] = {good[0], good[1], good[2]};
                p[k].data[at] ^= 1 << at % 8;
                assert_int_not_equal(use(&a, &c, slice(&p[0]), slice(&p[1]), slice(&p[2]), &count), OK);
                p[k] = good[k];
                p[k].len = at; /* cut */
                assert_int_not_equal(use(&a, &c, slice(&p[0]), slice(&p[1]), slice(&p[2]), &count), OK);
            }
        }
        assert_int_equal(count, 7);
    }
}

/* What a credential signed of itself has to be right; nothing that is changed in an object goes unseen, but for what is
 * nothing to us: here none. */
static void each_octet_of_an_object_counts(void **state)
{
    const struct webauthn_vector *v = &webauthn_vectors[1];
    const struct webauthn_asked a = asked(v->made_challenge);
    const struct piece client = unhex(v->made_client), good = unhex(v->object);
    struct webauthn_credential c = {.count = 7};
    unsigned taken = 0;

    for (size_t at = 0; at < good.len; at++) {
        struct piece object = good;
        object.data[at] ^= 1 << at % 8;
        int err = make(&a, id_of(&good), slice(&client), slice(&object), "", "", &c);
        taken += err == OK; /* another name of the format */
        assert_true(err != OK || (at >= 6 && at < 12));
        object.len = at;
        assert_int_equal(make(&a, id_of(&good), slice(&client), slice(&object), "", "", &c), ERR_FORMAT);
    }
    assert_int_equal(taken, 6);
}

/* ---- made here ---- */

struct forged {
    const char *type, *origin, *rp, *client_more;
    uint8_t flags;
    uint32_t count;
    const char *extensions; /* CBOR in hexadecimal, behind all */
    bool other_challenge, other_id, other_key;
};

static const struct forged plain = {.type = "webauthn.create",
                                    .origin = "https://mail.example.org:8443",
                                    .rp = "mail.example.org",
                                    .client_more = "",
                                    .flags = 0x41,
                                    .extensions = ""};
static const struct webauthn_asked local = {.rp_id = "mail.example.org",
                                            .origin = "https://mail.example.org:8443",
                                            .challenge = {1, 2, 3},
                                            .user = {(const uint8_t *)"handle", 6}};
static uint8_t public_key[32], secret_key[64];
static const uint8_t id[16] = {9, 9, 9};

static struct piece client_of(const struct forged *f)
{
    uint8_t challenge[32];
    struct piece p;

    memcpy(challenge, local.challenge, 32);
    challenge[31] ^= f->other_challenge;
    p.len =
        (size_t)snprintf((char *)p.data, sizeof(p.data), "{\"type\":\"%s\",\"challenge\":\"%s\",\"origin\":\"%s\"%s}",
                         f->type, base64(slice_of(challenge, 32)), f->origin, f->client_more);
    return p;
}

static struct piece data_of(const struct forged *f, struct slice key)
{
    const uint8_t count[4] = {(uint8_t)(f->count >> 24), (uint8_t)(f->count >> 16), (uint8_t)(f->count >> 8),
                              (uint8_t)f->count};
    static const uint8_t zeros[16] = {0}, id_len[2] = {0, sizeof(id)};
    const struct piece extensions = unhex(f->extensions);
    struct piece p = {.len = 32};

    crypto_hash_sha256(p.data, (const uint8_t *)f->rp, strlen(f->rp));
    add(&p, &f->flags, 1);
    add(&p, count, 4);
    if (f->flags & 0x40) {
        add(&p, zeros, 16);
        add(&p, id_len, 2);
        add(&p, id, sizeof(id));
        add(&p, key.data, key.len);
    }
    add(&p, extensions.data, extensions.len);
    return p;
}

static struct piece object_of(const struct piece *data)
{
    const uint8_t len[2] = {(uint8_t)(data->len >> 8), (uint8_t)data->len};
    struct piece p = unhex("a363666d74646e6f6e656761747453746d74a068617574684461746159");

    add(&p, len, 2);
    add(&p, data->data, data->len);
    return p;
}

/* {1: 1, 3: -8, -1: 6, -2: x} */
static struct piece edwards_key(void)
{
    struct piece p = unhex("a401010327200621"
                           "5820");

    add(&p, public_key, 32);
    return p;
}

static int forge_made(const struct forged *f, struct slice key, struct webauthn_credential *ret)
{
    const struct piece client = client_of(f), data = data_of(f, key), object = object_of(&data);

    return make(&local, slice_of(f->other_id ? public_key : id, sizeof(id)), slice(&client), slice(&object), "", "",
                ret);
}

static struct webauthn_credential edwards(uint8_t flags)
{
    struct forged f = plain;
    const struct piece key = edwards_key();
    struct webauthn_credential c;

    f.flags |= flags;
    assert_int_equal(forge_made(&f, slice(&key), &c), OK);
    assert_int_equal(c.key_len, key.len);
    assert_memory_equal(c.key, key.data, key.len);
    assert_int_equal(c.flags & WEBAUTHN_MAY_BE_BACKED_UP, flags & 8 ? WEBAUTHN_MAY_BE_BACKED_UP : 0);
    return c;
}

/* What is signed: the data, and the hash of the client's. */
static struct piece message_of(const struct piece *client, const struct piece *data)
{
    struct piece p = *data;
    uint8_t hash[32];

    crypto_hash_sha256(hash, client->data, client->len);
    add(&p, hash, sizeof(hash));
    return p;
}

static int forge_used(const struct forged *f, const struct webauthn_asked *a, const struct webauthn_credential *c,
                      uint32_t *count)
{
    const struct piece client = client_of(f), data = data_of(f, slice_of(public_key, 32));
    const struct piece message = message_of(&client, &data);
    uint8_t signature[64];

    crypto_sign_detached(signature, NULL, message.data, message.len, secret_key);
    return use(a, c, slice(&client), slice(&data), slice_of(signature, 64), count);
}

#define HMAC_SECRET "a16b686d61632d736563726574"

static const struct {
    const char *what;
    struct forged f;
    int made, used;
} cases[] = {
    {"as asked", {.flags = 1}, OK, OK},
    {"its user is known", {.flags = 5}, OK, OK},
    {"nobody was there", {.flags = 4}, ERR_DENIED, ERR_DENIED},
    {"backed up, though it never is", {.flags = 0x11}, ERR_FORMAT, ERR_FORMAT},
    {"may be backed up", {.flags = 9}, OK, ERR_DENIED},
    {"another challenge", {.flags = 1, .other_challenge = true}, ERR_DENIED, ERR_DENIED},
    {"another type", {.flags = 1, .type = "payment.get"}, ERR_DENIED, ERR_DENIED},
    {"another port", {.flags = 1, .origin = "https://mail.example.org"}, ERR_DENIED, ERR_DENIED},
    {"a slash", {.flags = 1, .origin = "https://mail.example.org:8443/"}, ERR_DENIED, ERR_DENIED},
    {"without TLS", {.flags = 1, .origin = "http://mail.example.org:8443"}, ERR_DENIED, ERR_DENIED},
    {"another host", {.flags = 1, .origin = "https://mail.example.org.evil:8443"}, ERR_DENIED, ERR_DENIED},
    {"in capitals", {.flags = 1, .origin = "https://MAIL.example.org:8443"}, ERR_DENIED, ERR_DENIED},
    {"an app", {.flags = 1, .origin = "android:apk-key-hash:abc"}, ERR_DENIED, ERR_DENIED},
    {"another domain", {.flags = 1, .rp = "example.org"}, ERR_DENIED, ERR_DENIED},
    {"not within others", {.flags = 1, .client_more = ",\"crossOrigin\":false"}, OK, OK},
    {"within others", {.flags = 1, .client_more = ",\"crossOrigin\":true"}, ERR_DENIED, ERR_DENIED},
    {"within others", {.flags = 1, .client_more = ",\"topOrigin\":\"https://evil\""}, ERR_DENIED, ERR_DENIED},
    {"two origins", {.flags = 1, .client_more = ",\"origin\":\"https://evil\""}, ERR_FORMAT, ERR_FORMAT},
    {"what will come", {.flags = 1, .client_more = ",\"tokenBinding\":{\"status\":\"supported\"},\"x\":1"}, OK, OK},
    {"something behind", {.flags = 1, .extensions = "00"}, ERR_FORMAT, ERR_FORMAT},
    {"extensions that are not there", {.flags = 0x81}, ERR_FORMAT, ERR_FORMAT},
    {"extensions that are no map", {.flags = 0x81, .extensions = "80"}, ERR_FORMAT, ERR_FORMAT},
    {"prf", {.flags = 0x81, .extensions = HMAC_SECRET "f5"}, OK, ERR_DENIED},
    {"prf and what protects it",
     {.flags = 0x81, .extensions = "a26b6372656450726f74656374036b686d61632d736563726574f5"},
     OK,
     ERR_DENIED},
    {"something behind them", {.flags = 0x81, .extensions = HMAC_SECRET "f500"}, ERR_FORMAT, ERR_FORMAT},
};

static struct forged filled(size_t i, const char *type)
{
    struct forged f = cases[i].f;

    f.type = f.type ? f.type : type;
    f.origin = f.origin ? f.origin : plain.origin;
    f.rp = f.rp ? f.rp : plain.rp;
    f.client_more = f.client_more ? f.client_more : "";
    f.extensions = f.extensions ? f.extensions : "";
    return f;
}

static void what_is_said(void **state)
{
    const struct webauthn_credential had = edwards(0);
    const struct piece key = edwards_key();
    struct webauthn_credential c;
    uint32_t count;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct forged f = filled(i, "webauthn.create");
        f.flags |= 0x40;
        int err = forge_made(&f, slice(&key), &c);
        if (err != cases[i].made)
            fail_msg("%s, made: %s", cases[i].what, err_str(err));
        f = filled(i, "webauthn.get");
        err = forge_used(&f, &local, &had, &count);
        if (err != cases[i].used)
            fail_msg("%s, used: %s", cases[i].what, err_str(err));
    }
    struct forged f = plain;
    f.type = "webauthn.get"; /* one is never the other */
    assert_int_equal(forge_made(&f, slice(&key), &c), ERR_DENIED);
    f.flags = 1;
    f.type = "webauthn.create";
    assert_int_equal(forge_used(&f, &local, &had, &count), ERR_DENIED);
    f = plain;
    f.flags = 1; /* no credential in it */
    assert_int_equal(forge_made(&f, slice(&key), &c), ERR_FORMAT);
    f = plain;
    f.other_id = true;
    assert_int_equal(forge_made(&f, slice(&key), &c), ERR_DENIED);
}

/* What an authenticator adds to what it signs: that of prf is for the browser's eyes alone. */
static void extensions_used(void **state)
{
    static const char *const others[] = {"a1", "a1646372656401", "a16375766d8183010203", "a26375766d80"};
    const struct webauthn_credential had = edwards(0);
    struct forged f = plain;
    uint32_t count;

    f.type = "webauthn.get";
    f.flags = 0x81;
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        char extensions[300] = "";
        strcpy(extensions, others[i]);

        if (i == 0 || i == 3) { /* and 80 octets of prf */
            strcat(extensions, &HMAC_SECRET "5850"[2]);
            memset(extensions + strlen(extensions), '5', 160);
        }
        f.extensions = extensions;
        assert_int_equal(forge_used(&f, &local, &had, &count), OK);
    }
}

static void who_it_is(void **state)
{
    struct webauthn_asked a = local;
    struct forged f = plain;
    const struct piece key = edwards_key();
    struct webauthn_credential c, had = edwards(0);
    uint32_t count;

    a.verify = true;
    f.type = "webauthn.get";
    f.flags = 1;
    assert_int_equal(forge_used(&f, &a, &had, &count), ERR_DENIED);
    f.flags = 5;
    assert_int_equal(forge_used(&f, &a, &had, &count), OK);
    f = plain;
    const struct piece client = client_of(&f), data = data_of(&f, slice(&key)), object = object_of(&data);
    assert_int_equal(make(&a, slice_of(id, 16), slice(&client), slice(&object), "", "", &c), ERR_DENIED);
    had.key[4] = 0x26; /* a key that is none */
    f.type = "webauthn.get";
    f.flags = 5;
    assert_int_equal(forge_used(&f, &a, &had, &count), ERR_UNSUPPORTED);
}

static void counts(void **state)
{
    static const struct {
        uint32_t before, now;
        int err;
    } rows[] = {{0, 0, OK},           {0, 1, OK},           {1, 2, OK},           {5, UINT32_MAX, OK},
                {1, 1, ERR_CONFLICT}, {2, 1, ERR_CONFLICT}, {1, 0, ERR_CONFLICT}, {UINT32_MAX, 0, ERR_CONFLICT}};
    struct forged f = plain;
    struct webauthn_credential had = edwards(0);

    f.type = "webauthn.get";
    f.flags = 1;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        uint32_t count = 77;
        had.count = rows[i].before;
        f.count = rows[i].now;
        assert_int_equal(forge_used(&f, &local, &had, &count), rows[i].err);
        assert_int_equal(count, rows[i].err == OK ? rows[i].now : 77);
    }
}

/* ---- keys ---- */

static void keys(void **state)
{
    static const struct {
        const char *cose;
        int err;
    } rows[] = {
        {"a0", ERR_FORMAT},
        {"a1032c", ERR_UNSUPPORTED}, /* -13 */
        {"a103f6", ERR_FORMAT},
        {"a2032603"
         "27",
         ERR_FORMAT}, /* two algorithms */
        {"80", ERR_FORMAT},
        {"a10326", ERR_UNSUPPORTED}, /* and nothing else */
        /* ES256, and a point that is not on the curve */
        {"a5010203262001215820"
         "0101010101010101010101010101010101010101010101010101010101010101"
         "225820"
         "0202020202020202020202020202020202020202020202020202020202020202",
         ERR_UNSUPPORTED},
        {"a4010103272006215803010203", ERR_UNSUPPORTED}, /* EdDSA, and three octets */
        {"a3010303390100"
         "2043010001",
         ERR_UNSUPPORTED}, /* RS256 without a modulus */
        {"a1031a7fffffff", ERR_UNSUPPORTED},
        {"a1033bffffffffffffffff", ERR_FORMAT},
    };
    struct webauthn_credential c = {.count = 7};

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct piece key = unhex(rows[i].cose);
        int err = forge_made(&plain, slice(&key), &c);
        if (err != rows[i].err)
            fail_msg("%s: %s", rows[i].cose, err_str(err));
    }
    assert_int_equal(c.count, 7);
}

static struct piece rsa_key(const uint8_t *modulus, unsigned octets)
{
    const uint8_t len[3] = {0x59, (uint8_t)(octets >> 8), (uint8_t)octets};
    struct piece p = unhex("a401030339010020");

    add(&p, len, 3);
    add(&p, modulus, octets);
    add(&p, "\x21\x43\x01\x00\x01", 5);
    return p;
}

static void rsa(void **state)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    BIGNUM *n = NULL;
    uint8_t modulus[384] = {0x80};
    const struct piece larger = rsa_key(modulus, 384);
    struct webauthn_credential c;
    struct forged f = plain;
    uint8_t signature[256];
    size_t len = sizeof(signature);
    uint32_t count;

    assert_int_equal(forge_made(&plain, slice(&larger), &c), ERR_UNSUPPORTED);
    assert_int_equal(EVP_PKEY_get_bn_param(key, "n", &n), 1);
    assert_int_equal(BN_bn2binpad(n, modulus, 256), 256);
    const struct piece cose = rsa_key(modulus, 256);
    assert_int_equal(forge_made(&plain, slice(&cose), &c), OK);
    assert_int_equal(c.key_len, cose.len);
    f.type = "webauthn.get";
    f.flags = 1;
    const struct piece client = client_of(&f), data = data_of(&f, slice_of(NULL, 0));
    const struct piece message = message_of(&client, &data);
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, signature, &len, message.data, message.len), 1);
    assert_int_equal(use(&local, &c, slice(&client), slice(&data), slice_of(signature, len), &count), OK);
    signature[200] ^= 1;
    assert_int_equal(use(&local, &c, slice(&client), slice(&data), slice_of(signature, len), &count), ERR_DENIED);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    BN_free(n);
}

/* ---- what is around it ---- */

static int make_with(const char *response_more, const char *more)
{
    const struct piece key = edwards_key(), client = client_of(&plain), data = data_of(&plain, slice(&key)),
                       object = object_of(&data);
    struct webauthn_credential c;

    return make(&local, slice_of(id, sizeof(id)), slice(&client), slice(&object), response_more, more, &c);
}

static void the_secret_stays_away(void **state)
{
    assert_int_equal(make_with(",\"publicKeyAlgorithm\":-8",
                               ",\"authenticatorAttachment\":\"platform\","
                               "\"clientExtensionResults\":{\"credProps\":{\"rk\":true},\"prf\":{\"enabled\":true}}"),
                     OK);
    assert_int_equal(make_with("", ",\"clientExtensionResults\":{\"prf\":{}}"), OK);
    assert_int_equal(make_with("", ",\"clientExtensionResults\":{\"prf\":{\"enabled\":true,\"results\":{\"first\":"
                                   "\"AQID\"}}}"),
                     ERR_FORMAT);
    assert_int_equal(make_with("", ",\"prf\":\"AQID\""), ERR_FORMAT);
}

static int use_json(const char *name, const char *raw_name, const char *response_more, const char *more)
{
    static char json[JSON_MAX];
    const struct webauthn_credential had[2] = {{.id_len = 3, .id = {9, 9, 9}}, edwards(0)};
    struct forged f = plain;
    uint8_t signature[64];
    uint32_t count;
    size_t which = 7;

    f.type = "webauthn.get";
    f.flags = 1;
    const struct piece client = client_of(&f), data = data_of(&f, slice_of(NULL, 0));
    const struct piece message = message_of(&client, &data);
    crypto_sign_detached(signature, NULL, message.data, message.len, secret_key);
    snprintf(json, sizeof(json), used_form, name, raw_name, base64(slice(&client)), base64(slice(&data)),
             base64(slice_of(signature, 64)), response_more, more);
    int err = webauthn_verify(slice_str(json), &local, had, 2, &which, &count);
    assert_int_equal(which, err == OK ? 1 : 7);
    return err;
}

static void whose_it_is(void **state)
{
    const char *name = "CQkJAAAAAAAAAAAAAAAAAA";

    assert_int_equal(use_json(name, name, "", ""), OK);
    assert_int_equal(use_json(name, name, ",\"userHandle\":\"aGFuZGxl\"", ""), OK);
    assert_int_equal(use_json(name, name, ",\"userHandle\":\"aGFuZGxk\"", ""), ERR_DENIED);
    assert_int_equal(use_json(name, name, ",\"userHandle\":\"\"", ""), ERR_DENIED);
    assert_int_equal(use_json("CQkJAAAAAAAAAAAAAAAAAQ", "CQkJAAAAAAAAAAAAAAAAAQ", "", ""), ERR_DENIED);
    assert_int_equal(use_json(name, "CQkJAAAAAAAAAAAAAAAAAQ", "", ""), ERR_FORMAT);
    assert_int_equal(use_json("", "", "", ""), ERR_FORMAT);
    assert_int_equal(use_json("CQkJAAAAAAAAAAAAAAAAAA==", "CQkJAAAAAAAAAAAAAAAAAA==", "", ""), ERR_FORMAT);
    assert_int_equal(use_json(name, name, "", ",\"clientExtensionResults\":{\"prf\":{\"results\":{\"first\":\"AQ\"}}}"),
                     ERR_FORMAT);
    assert_int_equal(use_json(name, name, "", ",\"type\":\"public-key\""), ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(each_octet_counts),
        cmocka_unit_test(what_is_said),
        cmocka_unit_test(each_octet_of_an_object_counts),
        cmocka_unit_test(extensions_used),
        cmocka_unit_test(who_it_is),
        cmocka_unit_test(counts),
        cmocka_unit_test(keys),
        cmocka_unit_test(rsa),
        cmocka_unit_test(the_secret_stays_away),
        cmocka_unit_test(whose_it_is),
    };

    if (sodium_init() < 0 || webauthn_prepare() != OK)
        return 1;
    crypto_sign_keypair(public_key, secret_key);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
