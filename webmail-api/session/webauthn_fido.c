/* Keys and signatures, by libfido2. What comes here was read before, so that it is never given a length that is not
 * there. */
#include <fido.h>
#include <fido/eddsa.h>
#include <fido/es256.h>
#include <fido/rs256.h>
#include <string.h>

#include "server/core/error.h"
#include "webmail-api/session/cbor_in.h"
#include "webmail-api/session/webauthn_impl.h"

/* ---- keys ---- */

enum {
    KTY = 1,
    ALG = 3,
    CRV = -1,
    X = -2,
    Y = -3,
    RSA_N = -1,
    RSA_E = -2
}; /* RFC 9053 section 7, RFC 8230 section 4 */
enum { MODULUS = 256, EXPONENT = 3, ES256_KEY = 64, EDDSA_KEY = 32, RS256_KEY = MODULUS + EXPONENT };

static bool number_is(const struct cbor_in *map, int64_t key, int64_t want)
{
    struct cbor_in v;
    int64_t n;

    return cbor_in_number_key(map, key, &v) == OK && cbor_in_number(&v, &n) == OK && n == want;
}

static bool octets(const struct cbor_in *map, int64_t key, size_t len, uint8_t *ret)
{
    struct cbor_in v;

    if (cbor_in_number_key(map, key, &v) != OK || v.type != CBOR_IN_OCTETS || v.body.len != len)
        return false;
    memcpy(ret, v.body.data, len);
    return true;
}

/* The parameters of each kind of key, one behind the other, as libfido2 takes them. */
static bool es256_octets(const struct cbor_in *map, uint8_t *ret)
{
    return number_is(map, KTY, 2) && number_is(map, CRV, 1) && octets(map, X, 32, ret) && octets(map, Y, 32, ret + 32);
}

static bool eddsa_octets(const struct cbor_in *map, uint8_t *ret)
{
    return number_is(map, KTY, 1) && number_is(map, CRV, 6) && octets(map, X, EDDSA_KEY, ret);
}

static bool rs256_octets(const struct cbor_in *map, uint8_t *ret)
{
    return number_is(map, KTY, 3) && octets(map, RSA_N, MODULUS, ret) && octets(map, RSA_E, EXPONENT, ret + MODULUS);
}

static void *es256_load(const uint8_t *from)
{
    es256_pk_t *k = es256_pk_new();

    if (k && es256_pk_from_ptr(k, from, ES256_KEY) != FIDO_OK)
        es256_pk_free(&k);
    return k;
}

static void *eddsa_load(const uint8_t *from)
{
    eddsa_pk_t *k = eddsa_pk_new();

    if (k && eddsa_pk_from_ptr(k, from, EDDSA_KEY) != FIDO_OK)
        eddsa_pk_free(&k);
    return k;
}

static void *rs256_load(const uint8_t *from)
{
    rs256_pk_t *k = rs256_pk_new();

    if (k && rs256_pk_from_ptr(k, from, RS256_KEY) != FIDO_OK)
        rs256_pk_free(&k);
    return k;
}

static void es256_unload(void *k)
{
    es256_pk_free(&(es256_pk_t *){k});
}

static void eddsa_unload(void *k)
{
    eddsa_pk_free(&(eddsa_pk_t *){k});
}

static void rs256_unload(void *k)
{
    rs256_pk_free(&(rs256_pk_t *){k});
}

static const struct kind {
    enum webauthn_alg alg;
    bool (*octets)(const struct cbor_in *map, uint8_t *ret);
    void *(*load)(const uint8_t *from); /* NULL: a shortage, or what is no point of the curve */
    void (*unload)(void *key);
} kinds[] = {
    {WEBAUTHN_ES256, es256_octets, es256_load, es256_unload},
    {WEBAUTHN_EDDSA, eddsa_octets, eddsa_load, eddsa_unload},
    {WEBAUTHN_RS256, rs256_octets, rs256_load, rs256_unload},
};

static int load_key(struct slice cose, const struct kind **ret_kind, void **ret)
{
    uint8_t raw[RS256_KEY];
    struct cbor_in map, alg;
    int64_t n = 0;

    if (cbor_in_read(cose, &map) != OK || map.whole.len != cose.len || cbor_in_number_key(&map, ALG, &alg) != OK ||
        cbor_in_number(&alg, &n) != OK)
        return ERR_FORMAT;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        void *key = kinds[i].alg == n && kinds[i].octets(&map, raw) ? kinds[i].load(raw) : NULL;
        if (key) {
            *ret_kind = &kinds[i];
            *ret = key;
            return OK;
        }
    }
    return ERR_UNSUPPORTED;
}

int webauthn_key_check(struct slice key, enum webauthn_alg *ret)
{
    const struct kind *kind;
    void *loaded;
    int err = load_key(key, &kind, &loaded);

    if (err != OK)
        return err;
    *ret = kind->alg;
    kind->unload(loaded);
    return OK;
}

/* ---- a credential made ---- */

/* libfido2 wants to know which extensions were asked for. What an authenticator adds by itself is nothing to us. */
static bool set_extensions(fido_cred_t *cred, bool hmac_secret, int protection)
{
    return fido_cred_set_extensions(cred, hmac_secret ? FIDO_EXT_HMAC_SECRET : 0) == FIDO_OK &&
           (protection == 0 || fido_cred_set_prot(cred, protection) == FIDO_OK);
}

static bool self_verifies(fido_cred_t *cred)
{
    for (int hmac_secret = 0; hmac_secret <= 1; hmac_secret++)
        for (int protection = 0; protection <= FIDO_CRED_PROT_UV_REQUIRED; protection++)
            if (set_extensions(cred, hmac_secret, protection) && fido_cred_verify_self(cred) == FIDO_OK)
                return true;
    return false;
}

int webauthn_self_verify(const struct webauthn_data *d, const struct webauthn_asked *a, enum webauthn_alg alg,
                         struct slice statement, const uint8_t client_hash[32])
{
    fido_cred_t *cred = fido_cred_new();
    const bool good = cred && fido_cred_set_type(cred, alg) == FIDO_OK &&
                      fido_cred_set_authdata_raw(cred, d->whole.data, d->whole.len) == FIDO_OK &&
                      fido_cred_set_clientdata_hash(cred, client_hash, 32) == FIDO_OK &&
                      fido_cred_set_rp(cred, a->rp_id, NULL) == FIDO_OK &&
                      fido_cred_set_fmt(cred, "packed") == FIDO_OK &&
                      fido_cred_set_attstmt(cred, statement.data, statement.len) == FIDO_OK && self_verifies(cred);

    fido_cred_free(&cred);
    return good ? OK : ERR_DENIED;
}

/* ---- signing in ---- */

static bool assertion_verifies(fido_assert_t *assertion, const struct webauthn_data *d, const struct webauthn_asked *a,
                               enum webauthn_alg alg, const void *key)
{
    if (fido_assert_set_rp(assertion, a->rp_id) != FIDO_OK || fido_assert_set_up(assertion, FIDO_OPT_TRUE) != FIDO_OK ||
        fido_assert_set_uv(assertion, a->verify ? FIDO_OPT_TRUE : FIDO_OPT_OMIT) != FIDO_OK ||
        fido_assert_set_authdata_raw(assertion, 0, d->whole.data, d->whole.len) != FIDO_OK)
        return false;
    for (int hmac_secret = 0; hmac_secret <= 1; hmac_secret++)
        if (fido_assert_set_extensions(assertion, hmac_secret ? FIDO_EXT_HMAC_SECRET : 0) == FIDO_OK &&
            fido_assert_verify(assertion, 0, alg, key) == FIDO_OK)
            return true;
    return false;
}

int webauthn_signature_verify(const struct webauthn_data *d, const struct webauthn_asked *a, struct slice key,
                              struct slice signature, const uint8_t client_hash[32])
{
    const struct kind *kind;
    void *loaded;
    int err = load_key(key, &kind, &loaded);

    if (err != OK)
        return err;
    fido_assert_t *assertion = fido_assert_new();
    err = assertion && fido_assert_set_count(assertion, 1) == FIDO_OK &&
                  fido_assert_set_clientdata_hash(assertion, client_hash, 32) == FIDO_OK
              ? OK
              : ERR_MEMORY;
    if (err == OK &&
        (signature.len == 0 || fido_assert_set_sig(assertion, 0, signature.data, signature.len) != FIDO_OK ||
         !assertion_verifies(assertion, d, a, kind->alg, loaded)))
        err = ERR_DENIED;
    fido_assert_free(&assertion);
    kind->unload(loaded);
    return err;
}
