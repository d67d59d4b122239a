/* Whether a key made a signature (RFC 9580 sections 5.2.4 and 5.2.3.1 to 5.2.3.5): the hash over what is signed and the
 * signature's own head, then the algorithm. */
#include <openssl/ec.h>
#include <sodium.h>
#include <string.h>

#include "crypto/pgp_internal.h"
#include "crypto/pgp_signature.h"
#include "server/core/error.h"

enum { SHA1 = 2, ED25519_HASH_MIN = 32, ED448_HASH_MIN = 64, DSA_BITS_MAX = 4096, EXPONENT_MAX = 8 };

/* Section 9.5; the salt's length goes by the hash (section 5.2.3). MD5 and RIPEMD-160 do not count anywhere. SHA-1
 * counts where a signature takes a key away: who could forge one could do no more than that, and old revocations are
 * ready-made. */
static const struct hash {
    uint8_t id, salt, size;
    const char *name;
} hashes[] = {
    {SHA1, 0, 20, "SHA1"},  {8, 16, 32, "SHA256"},    {9, 24, 48, "SHA384"},    {10, 32, 64, "SHA512"},
    {11, 16, 28, "SHA224"}, {12, 16, 32, "SHA3-256"}, {14, 32, 64, "SHA3-512"},
};

static const struct hash *find_hash(uint8_t id)
{
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        if (hashes[i].id == id)
            return &hashes[i];
    }
    return NULL;
}

bool pgp_signature_hash_counts(const struct pgp_signature *s)
{
    if (s->hash == SHA1)
        return s->version == 4 && (s->type == PGP_SIG_REVOKE_KEY || s->type == PGP_SIG_REVOKE_SUBKEY);
    return find_hash(s->hash) != NULL;
}

struct pgp_area pgp_key_body(const struct pgp_key *key)
{
    size_t head = key->version == 6 ? 10 : 6;
    return (struct pgp_area){key->material - head, key->material_len + head};
}

static size_t put_be(uint8_t *out, uint64_t v, size_t octets)
{
    for (size_t i = 0; i < octets; i++)
        out[i] = (uint8_t)(v >> 8 * (octets - 1 - i));
    return octets;
}

/* A key as a signature of this version takes it in: octet, length, body. */
static size_t key_head(uint8_t version, size_t len, uint8_t out[5])
{
    out[0] = version == 6 ? 0x9b : 0x99;
    return 1 + put_be(out + 1, len, version == 6 ? 4 : 2);
}

/* Section 5.2.4: salt; primary key; subkey or user id; the signature's head; trailer. */
static int hash_signed(const struct pgp_signature *s, const struct pgp_signed *over, const EVP_MD *md, uint8_t *out)
{
    enum { PARTS_MAX = 7 };
    struct pgp_part parts[PARTS_MAX];
    struct pgp_area body = pgp_key_body(over->primary);
    uint8_t primary_head[5], second_head[5], trailer[6] = {s->version, 0xff};
    size_t n = 0;
    parts[n++] = (struct pgp_part){s->salt.data, s->salt.len};
    parts[n++] = (struct pgp_part){primary_head, key_head(s->version, body.len, primary_head)};
    parts[n++] = (struct pgp_part){body.data, body.len};
    if (over->subkey) {
        body = pgp_key_body(over->subkey);
        parts[n++] = (struct pgp_part){second_head, key_head(s->version, body.len, second_head)};
        parts[n++] = (struct pgp_part){body.data, body.len};
    } else if (over->user_id.data) {
        second_head[0] = 0xb4;
        parts[n++] = (struct pgp_part){second_head, 1 + put_be(second_head + 1, over->user_id.len, 4)};
        parts[n++] = (struct pgp_part){over->user_id.data, over->user_id.len};
    }
    parts[n++] = (struct pgp_part){s->head.data, s->head.len};
    put_be(trailer + 2, s->head.len, 4);
    struct pgp_engine *e = pgp_engine();
    if (!e)
        return ERR_MEMORY;
    if (!EVP_DigestInit_ex2(e->md, md, NULL))
        return ERR_MEMORY;
    for (size_t i = 0; i < n; i++) {
        if (!EVP_DigestUpdate(e->md, parts[i].data, parts[i].len))
            return ERR_CRYPTO;
    }
    return EVP_DigestUpdate(e->md, trailer, 6) && EVP_DigestFinal_ex(e->md, out, NULL) ? OK : ERR_CRYPTO;
}

/* ---- algorithms: each OK, ERR_REFUSED, ERR_UNSUPPORTED, ERR_MEMORY ---- */

struct digest {
    const EVP_MD *md;
    uint8_t octets[64];
    size_t len;
};

static int refused(int err)
{
    return err == ERR_FORMAT || err == ERR_CRYPTO ? ERR_REFUSED : err;
}

static int pkey_verify(EVP_PKEY *pkey, const struct digest *d, bool rsa, const uint8_t *sig, size_t len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    int err = ctx ? ERR_REFUSED : ERR_MEMORY;
    if (ctx && EVP_PKEY_verify_init(ctx) > 0 &&
        (!rsa ||
         (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0 && EVP_PKEY_CTX_set_signature_md(ctx, d->md) > 0)) &&
        EVP_PKEY_verify(ctx, sig, len, d->octets, d->len) == 1)
        err = OK;
    EVP_PKEY_CTX_free(ctx);
    return err;
}

static int verify_rsa(const struct pgp_key *k, const struct pgp_area *fields, const struct digest *d)
{
    uint8_t sig[PGP_RSA_BITS_MAX / 8];
    struct pgp_part key[2], m;
    EVP_PKEY *pkey;
    int err = pgp_rsa_read(k->material, k->material_len, key);
    if (!err)
        err = pgp_mpis_read(fields->data, fields->len, &m, 1);
    if (!err && key[1].len > EXPONENT_MAX)
        err = ERR_UNSUPPORTED; /* nobody signs with such keys, and verifying would be as slow as signing */
    if (!err && m.len > key[0].len)
        err = ERR_FORMAT;
    if (!err)
        err = pgp_rsa_pkey(key, &pkey);
    if (err)
        return refused(err);
    memset(sig, 0, key[0].len - m.len);
    memcpy(sig + key[0].len - m.len, m.data, m.len);
    err = pkey_verify(pkey, d, true, sig, key[0].len);
    EVP_PKEY_free(pkey);
    return err;
}

/* r and s, which OpenSSL wants in DER: DSA's are written like ECDSA's. */
static int verify_pair(EVP_PKEY *pkey, const struct pgp_area *fields, const struct digest *d)
{
    struct pgp_part m[2];
    uint8_t *der = NULL;
    int err = pgp_mpis_read(fields->data, fields->len, m, 2);
    if (err || m[0].len > 66 || m[1].len > 66)
        return ERR_REFUSED;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(m[0].data, (int)m[0].len, NULL), *s = BN_bin2bn(m[1].data, (int)m[1].len, NULL);
    err = ERR_MEMORY;
    if (sig && r && s && ECDSA_SIG_set0(sig, r, s)) {
        r = s = NULL;
        int len = i2d_ECDSA_SIG(sig, &der);
        if (len > 0)
            err = pkey_verify(pkey, d, false, der, (size_t)len);
    }
    OPENSSL_free(der);
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return err;
}

static int ec_point(const struct pgp_key *k, const struct pgp_curve **ret_curve, struct pgp_part *ret_point)
{
    const uint8_t *m = k->material;
    if (k->material_len < 1 || k->material_len - 1 < m[0])
        return ERR_FORMAT;
    const struct pgp_curve *c = pgp_curve_find(m + 1, m[0]);
    if (!c || !c->name)
        return ERR_UNSUPPORTED;
    struct pgp_part point;
    int err = pgp_mpis_read(m + 1 + m[0], k->material_len - 1 - m[0], &point, 1);
    if (err)
        return err;
    *ret_curve = c;
    *ret_point = point;
    return OK;
}

static int verify_ecdsa(const struct pgp_key *k, const struct pgp_area *fields, const struct digest *d)
{
    const struct pgp_curve *c;
    struct pgp_part point;
    EVP_PKEY *pkey;
    int err = ec_point(k, &c, &point);
    /* Section 5.2.3.2: a hash as long as the curve, 512 bits for P-521. */
    if (!err && d->len * 8 < (c->bits > 512 ? 512 : c->bits))
        err = ERR_FORMAT;
    if (!err)
        err = pgp_ec_pkey(c, point, &pkey);
    if (err)
        return refused(err);
    err = verify_pair(pkey, fields, d);
    EVP_PKEY_free(pkey);
    return err;
}

static int verify_dsa(const struct pgp_key *k, const struct pgp_area *fields, const struct digest *d)
{
    static const char *const names[] = {OSSL_PKEY_PARAM_FFC_P, OSSL_PKEY_PARAM_FFC_Q, OSSL_PKEY_PARAM_FFC_G,
                                        OSSL_PKEY_PARAM_PUB_KEY};
    struct pgp_part m[4];
    EVP_PKEY *pkey;
    int err = pgp_mpis_read(k->material, k->material_len, m, 4);
    if (!err && (pgp_mpi_bits(&m[0]) > DSA_BITS_MAX || pgp_mpi_bits(&m[1]) > 256))
        return ERR_UNSUPPORTED;
    /* Section 5.2.3.2: the hash has at least as many bits as q. */
    if (!err && d->len * 8 < pgp_mpi_bits(&m[1]))
        err = ERR_FORMAT;
    if (!err)
        err = pgp_pkey_from_mpis("DSA", names, m, 4, &pkey);
    if (err)
        return refused(err);
    err = verify_pair(pkey, fields, d);
    EVP_PKEY_free(pkey);
    return err;
}

static int ed25519(const uint8_t sig[64], const struct digest *d, const uint8_t point[32])
{
    if (d->len < ED25519_HASH_MIN)
        return ERR_REFUSED;
    return crypto_sign_verify_detached(sig, d->octets, d->len, point) == 0 ? OK : ERR_REFUSED;
}

static int verify_ed25519(const struct pgp_key *k, const struct pgp_area *fields, const struct digest *d)
{
    return k->material_len == 32 && fields->len == 64 ? ed25519(fields->data, d, k->material) : ERR_REFUSED;
}

static const uint8_t ed25519_legacy_oid[] = {9, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01};

/* Sections 5.2.3.3.1 and 11.2.2: R and S are native octets in integers, which lose their leading zeros. */
static int verify_eddsa_legacy(const struct pgp_key *k, const struct pgp_area *fields, const struct digest *d)
{
    const size_t oid = sizeof(ed25519_legacy_oid);
    struct pgp_part point, m[2];
    uint8_t sig[64] = {0};
    if (k->material_len < oid || memcmp(k->material, ed25519_legacy_oid, oid) != 0)
        return ERR_UNSUPPORTED;
    if (pgp_mpis_read(k->material + oid, k->material_len - oid, &point, 1) != OK || point.len != 33 ||
        *(const uint8_t *)point.data != 0x40 || pgp_mpis_read(fields->data, fields->len, m, 2) != OK || m[0].len > 32 ||
        m[1].len > 32)
        return ERR_REFUSED;
    memcpy(sig + 32 - m[0].len, m[0].data, m[0].len);
    memcpy(sig + 64 - m[1].len, m[1].data, m[1].len);
    return ed25519(sig, d, (const uint8_t *)point.data + 1);
}

static int verify_ed448(const struct pgp_key *k, const struct pgp_area *fields, const struct digest *d)
{
    if (k->material_len != 57 || fields->len != 114 || d->len < ED448_HASH_MIN)
        return ERR_REFUSED;
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED448, NULL, k->material, 57);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int err = ctx ? ERR_REFUSED : ERR_MEMORY;
    if (pkey && ctx && EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, pkey, NULL) > 0 &&
        EVP_DigestVerify(ctx, fields->data, fields->len, d->octets, d->len) == 1)
        err = OK;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return err;
}

/* v6: whether keys of version 6 may have the algorithm (section 9.1). */
static const struct method {
    uint8_t algo;
    bool v6;
    int (*verify)(const struct pgp_key *k, const struct pgp_area *fields, const struct digest *d);
} methods[] = {
    {PGP_RSA, true, verify_rsa},
    {PGP_RSA_SIGN, true, verify_rsa},
    {PGP_DSA, false, verify_dsa},
    {PGP_ECDSA, true, verify_ecdsa},
    {PGP_EDDSA_LEGACY, false, verify_eddsa_legacy},
    {PGP_ED25519, true, verify_ed25519},
    {PGP_ED448, true, verify_ed448},
};

static const struct method *find_method(const struct pgp_key *k)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (methods[i].algo == k->algo && (k->version == 4 || methods[i].v6))
            return &methods[i];
    }
    return NULL;
}

bool pgp_key_can_sign(const struct pgp_key *key)
{
    const struct pgp_curve *c;
    struct pgp_part point;
    if (key->algo == PGP_ECDSA)
        return ec_point(key, &c, &point) == OK;
    if (key->algo == PGP_EDDSA_LEGACY && (key->material_len < sizeof(ed25519_legacy_oid) ||
                                          memcmp(key->material, ed25519_legacy_oid, sizeof(ed25519_legacy_oid)) != 0))
        return false;
    return find_method(key) != NULL;
}

static bool same_algo(uint8_t sig, uint8_t key)
{
    return sig == key || (sig == PGP_RSA && key == PGP_RSA_SIGN) || (sig == PGP_RSA_SIGN && key == PGP_RSA);
}

int pgp_signature_verify(const struct pgp_signature *s, const struct pgp_key *by, const struct pgp_signed *over)
{
    const struct method *m = find_method(by);
    const struct hash *h = find_hash(s->hash);
    if (!m || !h)
        return ERR_UNSUPPORTED;
    /* A key makes signatures of its own version (section 5.2). */
    if (s->version != by->version || !same_algo(s->algo, by->algo) || s->created < by->created ||
        (s->version == 6 && (h->id == SHA1 || s->salt.len != h->salt)))
        return ERR_REFUSED;
    struct digest d = {.len = h->size};
    EVP_MD *md = EVP_MD_fetch(NULL, h->name, NULL);
    if (!md)
        return ERR_MEMORY;
    d.md = md;
    int err = hash_signed(s, over, md, d.octets);
    if (!err && memcmp(d.octets, s->left, 2) != 0)
        err = ERR_REFUSED;
    if (!err)
        err = m->verify(by, &s->fields, &d);
    EVP_MD_free(md);
    return err == ERR_CRYPTO ? ERR_REFUSED : err;
}
