/* Prepared recipients: one encryption key taken out of a stored certificate, checked, and turned into what the primitives
 * want, so that a seal does no parsing. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_internal.h"
#include "server/base/error.h"

/* RFC 9580 section 9.2. */
static const struct pgp_curve curves[] = {
    {NULL, 10, {0x2b, 0x06, 0x01, 0x04, 0x01, 0x97, 0x55, 0x01, 0x05, 0x01}, 255},
    {"P-256", 8, {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}, 256},
    {"P-384", 5, {0x2b, 0x81, 0x04, 0x00, 0x22}, 384},
    {"P-521", 5, {0x2b, 0x81, 0x04, 0x00, 0x23}, 521},
    {"brainpoolP256r1", 9, {0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07}, 256},
    {"brainpoolP384r1", 9, {0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x0b}, 384},
    {"brainpoolP512r1", 9, {0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x0d}, 512},
};

const struct pgp_curve *pgp_curve_find(const uint8_t *oid, size_t len)
{
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        if (curves[i].oid_len == len && memcmp(curves[i].oid, oid, len) == 0)
            return &curves[i];
    }
    return NULL;
}

/* Section 5.5.5.6: OID, point, then KDF parameters: 3, 1, hash, cipher. */
struct ecdh_fields {
    const struct pgp_curve *curve; /* NULL: unknown */
    const uint8_t *oid;            /* with its length octet in front */
    size_t oid_len;
    const uint8_t *point;
    size_t point_len;
    uint8_t hash, cipher;
};

static int ecdh_read(const uint8_t *m, size_t len, struct ecdh_fields *ret)
{
    struct ecdh_fields f = {.oid = m};
    size_t pos;
    if (len < 1 || m[0] == 0 || m[0] == 0xff || len - 1 < m[0])
        return ERR_FORMAT;
    f.oid_len = (size_t)m[0] + 1;
    f.curve = pgp_curve_find(m + 1, m[0]);
    pos = f.oid_len;
    if (pgp_mpi_next(m, len, &pos, &f.point, &f.point_len) != OK)
        return ERR_FORMAT;
    if (len - pos != 4 || m[pos] != 3 || m[pos + 1] != 1)
        return ERR_FORMAT;
    f.hash = m[pos + 2];
    f.cipher = m[pos + 3];
    *ret = f;
    return OK;
}

static int rsa_read(const uint8_t *m, size_t len, struct pgp_part *n, struct pgp_part *e)
{
    size_t pos = 0;
    const uint8_t *p[2];
    size_t l[2];
    for (int i = 0; i < 2; i++) {
        if (pgp_mpi_next(m, len, &pos, &p[i], &l[i]) != OK)
            return ERR_FORMAT;
    }
    if (pos != len)
        return ERR_FORMAT;
    *n = (struct pgp_part){p[0], l[0]};
    *e = (struct pgp_part){p[1], l[1]};
    return OK;
}

static size_t mpi_bits(const struct pgp_part *m)
{
    const uint8_t *p = m->data;
    size_t bits = m->len * 8;
    for (uint8_t top = m->len ? p[0] : 0xff; !(top & 0x80); top = (uint8_t)(top << 1))
        bits--;
    return bits;
}

/* A modulus whose top octet is 1 is left to the other engine: its ciphertexts may never reach full length, and
 * pgp_seal_size promises one. An even modulus or exponent is no RSA key. */
static int rsa_fits(const struct pgp_part *n, const struct pgp_part *e)
{
    const uint8_t *np = n->data, *ep = e->data;
    size_t bits = mpi_bits(n);
    if (!n->len || !e->len || !(np[n->len - 1] & 1) || !(ep[e->len - 1] & 1) || (e->len == 1 && ep[0] == 1))
        return ERR_FORMAT;
    if (bits < PGP_RSA_BITS_MIN || bits > PGP_RSA_BITS_MAX || bits % 8 == 1 || e->len > 8)
        return ERR_UNSUPPORTED;
    return OK;
}

static int prepare_rsa(struct pgp_recipient *r, const uint8_t *m, size_t len)
{
    struct pgp_part n, e;
    int err = rsa_read(m, len, &n, &e);
    if (!err)
        err = rsa_fits(&n, &e);
    if (err)
        return err;
    err = ERR_MEMORY;
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    BIGNUM *bn = BN_bin2bn(n.data, (int)n.len, NULL), *be = BN_bin2bn(e.data, (int)e.len, NULL);
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    if (bld && bn && be && ctx && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be) && (params = OSSL_PARAM_BLD_to_param(bld))) {
        err = ERR_FORMAT;
        if (EVP_PKEY_fromdata_init(ctx) > 0 && EVP_PKEY_fromdata(ctx, &r->pkey, EVP_PKEY_PUBLIC_KEY, params) > 0 &&
            (r->op = EVP_PKEY_CTX_new_from_pkey(NULL, r->pkey, NULL)) && EVP_PKEY_encrypt_init(r->op) > 0 &&
            EVP_PKEY_CTX_set_rsa_padding(r->op, RSA_PKCS1_PADDING) > 0)
            err = OK;
    }
    r->kem = PGP_KEM_RSA;
    r->rsa_len = n.len;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    BN_free(bn);
    BN_free(be);
    EVP_PKEY_CTX_free(ctx);
    return err;
}

/* A point of small order would make every shared secret zero. */
static int prepare_25519(struct pgp_recipient *r, const uint8_t *point)
{
    static const uint8_t probe[32] = {9};
    uint8_t out[32];
    memcpy(r->point, point, 32);
    return crypto_scalarmult(out, probe, r->point) == 0 ? OK : ERR_FORMAT;
}

/* Section 11.5: the KDF's Param, which ends with the recipient's fingerprint. */
static void kdf_param(struct pgp_recipient *r, const struct ecdh_fields *f)
{
    uint8_t *p = r->kdf_param;
    memcpy(p, f->oid, f->oid_len);
    p += f->oid_len;
    *p++ = PGP_ECDH;
    *p++ = 3;
    *p++ = 1;
    *p++ = f->hash;
    *p++ = f->cipher;
    memcpy(p, "Anonymous Sender    ", 20);
    p += 20;
    memcpy(p, r->fpr, r->fpr_len);
    p += r->fpr_len;
    r->kdf_param_len = (size_t)(p - r->kdf_param);
    r->kdf_hash = f->hash;
    r->kdf_cipher = f->cipher;
}

static int prepare_ec(struct pgp_recipient *r, const struct ecdh_fields *f)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)f->curve->name, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)f->point, f->point_len),
        OSSL_PARAM_construct_end(),
    };
    r->kem = PGP_KEM_EC;
    r->ec_shared_len = (size_t)(f->curve->bits + 7) / 8;
    r->ec_point_len = 1 + 2 * r->ec_shared_len;
    /* Uncompressed points only (section 11.2.1). */
    if (f->point_len != r->ec_point_len || f->point[0] != 4)
        return ERR_FORMAT;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    int err = ERR_MEMORY;
    if (ctx) {
        err = ERR_FORMAT; /* fromdata refuses a point that is not on the curve */
        if (EVP_PKEY_fromdata_init(ctx) > 0 && EVP_PKEY_fromdata(ctx, &r->pkey, EVP_PKEY_PUBLIC_KEY, params) > 0 &&
            (r->op = EVP_PKEY_CTX_new_from_pkey(NULL, r->pkey, NULL)) && EVP_PKEY_keygen_init(r->op) > 0)
            err = OK;
    }
    EVP_PKEY_CTX_free(ctx);
    return err;
}

static bool kdf_known(const struct ecdh_fields *f)
{
    return f->hash >= PGP_SHA256 && f->hash <= PGP_SHA512 && f->cipher >= PGP_AES128 && f->cipher <= PGP_AES256;
}

static int prepare_ecdh(struct pgp_recipient *r, const uint8_t *m, size_t len)
{
    struct ecdh_fields f;
    int err = ecdh_read(m, len, &f);
    if (err)
        return err;
    if (!f.curve || !kdf_known(&f))
        return ERR_UNSUPPORTED;
    kdf_param(r, &f);
    if (f.curve->name)
        return prepare_ec(r, &f);
    /* Section 9.2: v6 keys must not use the old Curve25519; section 11.2.2: a prefix of 0x40. */
    if (r->version != 4 || f.point_len != 33 || f.point[0] != 0x40)
        return ERR_FORMAT;
    r->kem = PGP_KEM_CURVE25519;
    return prepare_25519(r, f.point + 1);
}

static int prepare_x448(struct pgp_recipient *r, const uint8_t *m)
{
    r->kem = PGP_KEM_X448;
    r->pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_X448, NULL, m, 56);
    return r->pkey ? OK : ERR_FORMAT;
}

static int prepare(struct pgp_recipient *r, const uint8_t *m, size_t len)
{
    switch (r->algo) {
    case PGP_RSA:
    case PGP_RSA_ENCRYPT:
        return prepare_rsa(r, m, len);
    case PGP_ECDH:
        return prepare_ecdh(r, m, len);
    case PGP_X25519: /* section 5.5.5.7 */
        r->kem = PGP_KEM_X25519;
        return len == 32 ? prepare_25519(r, m) : ERR_FORMAT;
    case PGP_X448:
        return len == 56 ? prepare_x448(r, m) : ERR_FORMAT;
    default:
        return ERR_UNSUPPORTED;
    }
}

bool pgp_algo_is_native(uint8_t algo, const uint8_t *material, size_t len)
{
    struct ecdh_fields f;
    struct pgp_part n, e;
    switch (algo) {
    case PGP_RSA:
    case PGP_RSA_ENCRYPT:
        return rsa_read(material, len, &n, &e) == OK && rsa_fits(&n, &e) == OK;
    case PGP_ECDH:
        return ecdh_read(material, len, &f) == OK && f.curve && kdf_known(&f);
    case PGP_X25519:
        return len == 32;
    case PGP_X448:
        return len == 56;
    default:
        return false;
    }
}

int pgp_recipient_create(const uint8_t *cert, size_t len, const struct pgp_verdict *v, struct pgp_recipient **ret)
{
    struct pgp_key keys[PGP_KEYS_MAX];
    size_t n = PGP_KEYS_MAX;
    if (!pgp_engine())
        return ERR_MEMORY;
    int err = pgp_cert_keys(cert, len, keys, &n);
    if (err)
        return err;
    const struct pgp_key *k = NULL;
    for (size_t i = 0; i < n && !k; i++) {
        if (keys[i].fpr_len == v->enc_fpr_len && memcmp(keys[i].fpr, v->enc_fpr, keys[i].fpr_len) == 0)
            k = &keys[i];
    }
    if (!k)
        return ERR_NOT_FOUND;
    struct pgp_recipient *r = calloc(1, sizeof *r);
    if (!r)
        return ERR_MEMORY;
    r->version = k->version;
    r->algo = k->algo;
    r->fpr_len = k->fpr_len;
    memcpy(r->fpr, k->fpr, sizeof r->fpr);
    memcpy(r->key_id, k->key_id, sizeof r->key_id);
    r->prefs = v->prefs;
    err = prepare(r, k->material, k->material_len);
    if (err) {
        pgp_recipient_destroy(r);
        return err;
    }
    *ret = r;
    return OK;
}

void pgp_recipient_destroy(struct pgp_recipient *r)
{
    if (!r)
        return;
    EVP_PKEY_CTX_free(r->op);
    EVP_PKEY_free(r->pkey);
    free(r);
}
