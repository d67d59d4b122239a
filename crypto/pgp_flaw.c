/* Whether a public key's numbers can protect anything: what the equations of its algorithm and its field's rules ask,
 * as far as it costs little. Whether somebody knows the factors of a sound modulus no check can tell. */
#include <openssl/bn.h>
#include <sodium.h>
#include <string.h>

#include "crypto/pgp_internal.h"
#include "server/core/error.h"

enum { SMALL_FACTOR_MAX = 1000, Q_BITS_MIN = 160 /* FIPS 186: the least there ever was */ };

/* ---- numbers ---- */

static bool has_small_factor(const BIGNUM *n)
{
    for (BN_ULONG d = 3; d < SMALL_FACTOR_MAX; d += 2) /* those that are not prime cost too little for a table */
        if (BN_mod_word(n, d) == 0)
            return true;
    return !BN_is_odd(n);
}

static int rsa_flaw(const struct pgp_key *k, enum pgp_flaw *ret)
{
    struct pgp_part part[2];
    if (pgp_mpis_read(k->material, k->material_len, part, 2) != OK) {
        *ret = PGP_FLAW_FIELDS;
        return OK;
    }
    *ret = pgp_rsa_flaw(part);
    if (*ret)
        return OK;
    BIGNUM *n = BN_bin2bn(part[0].data, (int)part[0].len, NULL);
    if (!n)
        return ERR_MEMORY;
    if (has_small_factor(n))
        *ret = PGP_FLAW_MODULUS;
    BN_free(n);
    return OK;
}

/* base^exponent mod p is one. ERR_MEMORY, or 0 or 1. */
static int gives_one(const BIGNUM *base, const BIGNUM *exponent, const BIGNUM *p, BN_CTX *ctx)
{
    BIGNUM *r = BN_CTX_get(ctx);
    if (!r || !BN_mod_exp(r, base, exponent, p, ctx))
        return ERR_MEMORY;
    return BN_is_one(r);
}

/* 1 < v < p - 1: one and minus one have no discrete logarithm worth the name. less: p - 1. */
static bool is_inside(const BIGNUM *v, const BIGNUM *less)
{
    return !BN_is_zero(v) && !BN_is_one(v) && BN_cmp(v, less) < 0;
}

/* Fermat's test to the base 2: damage and jokes, not an adversary's pseudoprime. ERR_MEMORY, or 0 or 1. */
static int may_be_prime(const BIGNUM *p, const BIGNUM *less, BN_CTX *ctx)
{
    BIGNUM *two = BN_CTX_get(ctx);
    if (!two || !BN_set_word(two, 2))
        return ERR_MEMORY;
    return BN_is_odd(p) ? gives_one(two, less, p, ctx) : 0;
}

/* Sections 5.5.5.3 (p, g, y) and 5.5.5.2 (p, q, g, y). q: NULL for ElGamal. */
static int group_flaw(const BIGNUM *p, const BIGNUM *q, const BIGNUM *g, const BIGNUM *y, BN_CTX *ctx,
                      enum pgp_flaw *ret)
{
    BIGNUM *less = BN_CTX_get(ctx), *rest = BN_CTX_get(ctx);
    if (!rest || !BN_copy(less, p) || !BN_sub_word(less, 1))
        return ERR_MEMORY;
    int one = BN_is_odd(p) ? may_be_prime(p, less, ctx) : 0, of_q = 1, in_q = 1;
    if (one == 1 && q) {
        if (BN_num_bits(q) < Q_BITS_MIN || !BN_is_odd(q))
            one = 0;
        else if (!BN_mod(rest, less, q, ctx) || (of_q = gives_one(g, q, p, ctx)) < 0 ||
                 (in_q = gives_one(y, q, p, ctx)) < 0)
            return ERR_MEMORY;
        else if (!BN_is_zero(rest) || !of_q)
            one = 0;
    }
    if (one < 0)
        return one;
    *ret = !one || !is_inside(g, less)    ? PGP_FLAW_GROUP
           : !is_inside(y, less) || !in_q ? PGP_FLAW_ELEMENT
                                          : PGP_FLAW_NONE;
    return OK;
}

static int discrete_flaw(const struct pgp_key *k, enum pgp_flaw *ret)
{
    struct pgp_part part[4];
    BIGNUM *v[4];
    size_t n = k->algo == PGP_DSA ? 4 : 3, bits = k->material_len >= 2 ? k->bits : 0;
    if (bits > PGP_RSA_BITS_MAX || pgp_mpis_read(k->material, k->material_len, part, n) != OK || !part[0].len) {
        *ret = PGP_FLAW_FIELDS;
        return OK;
    }
    BN_CTX *ctx = BN_CTX_new();
    int err = ctx ? OK : ERR_MEMORY;
    if (ctx)
        BN_CTX_start(ctx);
    for (size_t i = 0; i < n && !err; i++) {
        v[i] = BN_CTX_get(ctx);
        err = v[i] && BN_bin2bn(part[i].data, (int)part[i].len, v[i]) ? OK : ERR_MEMORY;
    }
    if (!err)
        err = group_flaw(v[0], n == 4 ? v[1] : NULL, v[n - 2], v[n - 1], ctx, ret);
    if (ctx)
        BN_CTX_end(ctx);
    BN_CTX_free(ctx);
    return err;
}

/* ---- points ---- */

/* secp256k1 is GnuPG's to seal to, but gpg seals to points off it. */
static const struct pgp_curve *find_curve(const uint8_t *oid, size_t len)
{
    static const struct pgp_curve only_gpg = {"secp256k1", 5, {0x2b, 0x81, 0x04, 0x00, 0x0a}, 256};
    bool is = len == only_gpg.oid_len && !memcmp(oid, only_gpg.oid, len);
    return is ? &only_gpg : pgp_curve_find(oid, len);
}

/* Section 11.2.1: an octet 4, then both coordinates. */
static int curve_flaw(const struct pgp_curve *c, struct pgp_part point, enum pgp_flaw *ret)
{
    EVP_PKEY *pkey;
    const uint8_t *p = point.data;
    if (point.len != 1 + 2 * (size_t)((c->bits + 7) / 8) || p[0] != 4) {
        *ret = PGP_FLAW_FORM;
        return OK;
    }
    int err = pgp_ec_pkey(c, point, &pkey);
    if (!err)
        EVP_PKEY_free(pkey);
    *ret = err == ERR_FORMAT ? PGP_FLAW_POINT : PGP_FLAW_NONE;
    return err == ERR_FORMAT ? OK : err;
}

/* X25519, X448 and Curve25519 of the right length: sealing to one fails only where its order is small. */
static int order_flaw(const struct pgp_key *k, enum pgp_flaw *ret)
{
    int err = pgp_key_seals(k);
    *ret = err == ERR_FORMAT ? PGP_FLAW_SMALL_ORDER : PGP_FLAW_NONE;
    return err == ERR_MEMORY ? err : OK;
}

static int ecdh_flaw(const struct pgp_key *k, enum pgp_flaw *ret)
{
    struct pgp_ecdh_fields f;
    *ret = PGP_FLAW_NONE;
    if (pgp_ecdh_read(k->material, k->material_len, &f) != OK)
        *ret = PGP_FLAW_FIELDS;
    else if (!pgp_ecdh_kdf_known(&f))
        *ret = PGP_FLAW_KDF;
    const struct pgp_curve *c = *ret ? NULL : find_curve(f.oid + 1, f.oid_len - 1);
    if (!c)
        return OK;
    if (c->name)
        return curve_flaw(c, f.point, ret);
    const uint8_t *p = f.point.data;
    if (k->version != 4) /* section 9.2: version 6 keys must not use the old Curve25519 */
        *ret = PGP_FLAW_FIELDS;
    else if (f.point.len != 33 || p[0] != 0x40) /* section 11.2.2 */
        *ret = PGP_FLAW_FORM;
    return *ret ? OK : order_flaw(k, ret);
}

static enum pgp_flaw ed25519_flaw(const uint8_t *point)
{
    return crypto_core_ed25519_is_valid_point(point) ? PGP_FLAW_NONE : PGP_FLAW_SMALL_ORDER;
}

/* ECDSA and the old EdDSA: OID, then the point (sections 5.5.5.4 and 5.5.5.5). */
static int signing_flaw(const struct pgp_key *k, enum pgp_flaw *ret)
{
    static const uint8_t ed25519[] = {0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01};
    struct pgp_part point;
    const uint8_t *oid = k->material + 1;
    size_t n = k->material_len ? k->material[0] : 0;
    *ret = PGP_FLAW_FIELDS;
    if (!n || k->material_len <= n || pgp_mpis_read(oid + n, k->material_len - 1 - n, &point, 1) != OK)
        return OK;
    const struct pgp_curve *c = find_curve(oid, n);
    const uint8_t *p = point.data;
    *ret = PGP_FLAW_NONE;
    if (k->algo == PGP_ECDSA)
        return c && c->name ? curve_flaw(c, point, ret) : OK;
    if (n == sizeof(ed25519) && !memcmp(oid, ed25519, n))
        *ret = point.len != 33 || p[0] != 0x40 ? PGP_FLAW_FORM : ed25519_flaw(p + 1);
    return OK;
}

int pgp_key_flaw(const struct pgp_key *k, enum pgp_flaw *ret)
{
    enum pgp_flaw flaw = PGP_FLAW_NONE;
    int err = OK;
    switch (k->algo) {
    case PGP_RSA:
    case PGP_RSA_ENCRYPT:
    case PGP_RSA_SIGN: err = rsa_flaw(k, &flaw); break;
    case PGP_ELGAMAL:
    case PGP_DSA: err = discrete_flaw(k, &flaw); break;
    case PGP_ECDH: err = ecdh_flaw(k, &flaw); break;
    case PGP_EDDSA_LEGACY:
    case PGP_ECDSA: err = signing_flaw(k, &flaw); break;
    case PGP_ED25519: flaw = k->material_len == 32 ? ed25519_flaw(k->material) : PGP_FLAW_FIELDS; break;
    case PGP_X25519:
    case PGP_X448:
        flaw = k->material_len == (k->algo == PGP_X448 ? 56 : 32) ? PGP_FLAW_NONE : PGP_FLAW_FIELDS;
        err = flaw ? OK : order_flaw(k, &flaw);
        break;
    default: break;
    }
    if (!err)
        *ret = flaw;
    return err;
}

int pgp_cert_flaw(const uint8_t *cert, size_t len, const struct pgp_verdict *v, enum pgp_flaw *ret)
{
    struct pgp_key keys[PGP_KEYS_MAX];
    size_t n = PGP_KEYS_MAX;
    int err = pgp_cert_keys(cert, len, keys, &n);
    if (err)
        return err;
    for (size_t i = 0; i < n; i++)
        if (keys[i].fpr_len == v->enc_fpr_len && memcmp(keys[i].fpr, v->enc_fpr, keys[i].fpr_len) == 0)
            return pgp_key_flaw(&keys[i], ret);
    return ERR_NOT_FOUND;
}
