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

/* ---- a key as libfido2 has it ---- */

struct public_key {
    es256_pk_t *es256;
    eddsa_pk_t *eddsa;
    rs256_pk_t *rs256;
};

static void free_key(struct public_key *k)
{
    es256_pk_free(&k->es256);
    eddsa_pk_free(&k->eddsa);
    rs256_pk_free(&k->rs256);
}

/* NULL: out of memory, or no key. */
static const void *load_key(const struct webauthn_credential *c, struct public_key *k)
{
    switch (c->alg) {
    case WEBAUTHN_ES256:
        k->es256 = es256_pk_new();
        return k->es256 && es256_pk_from_ptr(k->es256, c->key, c->key_len) == FIDO_OK ? k->es256 : NULL;
    case WEBAUTHN_EDDSA:
        k->eddsa = eddsa_pk_new();
        return k->eddsa && eddsa_pk_from_ptr(k->eddsa, c->key, c->key_len) == FIDO_OK ? k->eddsa : NULL;
    case WEBAUTHN_RS256:
        k->rs256 = rs256_pk_new();
        return k->rs256 && rs256_pk_from_ptr(k->rs256, c->key, c->key_len) == FIDO_OK ? k->rs256 : NULL;
    }
    return NULL;
}

/* ---- a credential made ---- */

static int read_alg(struct slice cose, enum webauthn_alg *ret)
{
    struct cbor_in map, alg;
    int64_t n = 0;

    /* RFC 9052 section 7.1: 3 is the algorithm */
    if (cbor_in_read(cose, &map) != OK || cbor_in_number_key(&map, 3, &alg) != OK || cbor_in_number(&alg, &n) != OK)
        return ERR_FORMAT;
    if (n != WEBAUTHN_ES256 && n != WEBAUTHN_EDDSA && n != WEBAUTHN_RS256)
        return ERR_UNSUPPORTED;
    *ret = (enum webauthn_alg)n;
    return OK;
}

/* NULL: out of memory, or its key is not one of that algorithm. */
static fido_cred_t *load_cred(const struct webauthn_data *d, enum webauthn_alg alg)
{
    fido_cred_t *cred = fido_cred_new();

    if (cred && (fido_cred_set_type(cred, alg) != FIDO_OK ||
                 fido_cred_set_authdata_raw(cred, d->whole.data, d->whole.len) != FIDO_OK))
        fido_cred_free(&cred);
    return cred;
}

int webauthn_key_read(const struct webauthn_data *d, struct webauthn_credential *ret)
{
    struct webauthn_credential c = *ret;
    struct public_key key = {NULL, NULL, NULL};
    fido_cred_t *cred;
    int err = read_alg(d->key, &c.alg);

    if (err != OK)
        return err;
    cred = load_cred(d, c.alg);
    c.key_len = cred ? fido_cred_pubkey_len(cred) : 0;
    if (c.key_len == 0 || c.key_len > sizeof(c.key)) {
        err = ERR_UNSUPPORTED; /* or a shortage, which cannot be told from it */
    } else {
        memcpy(c.key, fido_cred_pubkey_ptr(cred), c.key_len);
        err = load_key(&c, &key) ? OK : ERR_UNSUPPORTED; /* a point that is not on its curve */
    }
    if (err == OK)
        *ret = c;
    free_key(&key);
    fido_cred_free(&cred);
    return err;
}

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
    fido_cred_t *cred = load_cred(d, alg);
    const bool good = cred && fido_cred_set_clientdata_hash(cred, client_hash, 32) == FIDO_OK &&
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

int webauthn_signature_verify(const struct webauthn_data *d, const struct webauthn_asked *a,
                              const struct webauthn_credential *c, struct slice signature,
                              const uint8_t client_hash[32])
{
    struct public_key key = {NULL, NULL, NULL};
    const void *pk = load_key(c, &key);
    fido_assert_t *assertion = fido_assert_new();
    int err = pk && assertion && fido_assert_set_count(assertion, 1) == FIDO_OK &&
                      fido_assert_set_clientdata_hash(assertion, client_hash, 32) == FIDO_OK &&
                      fido_assert_set_sig(assertion, 0, signature.data, signature.len) == FIDO_OK
                  ? OK
                  : ERR_MEMORY;

    if (err == OK && !assertion_verifies(assertion, d, a, c->alg, pk))
        err = ERR_DENIED;
    fido_assert_free(&assertion);
    free_key(&key);
    return err;
}
