/* Prepared recipients: one encryption key taken out of a stored certificate, checked, and turned into what the
 * primitives want, so that a seal does no parsing. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_internal.h"
#include "server/core/error.h"

static int prepare_rsa(struct pgp_recipient *r, const uint8_t *m, size_t len)
{
    struct pgp_part part[2];
    int err = pgp_rsa_read(m, len, part);
    if (!err)
        err = pgp_rsa_pkey(part, &r->pkey);
    if (err)
        return err;
    r->kem = PGP_KEM_RSA;
    r->rsa_len = part[0].len;
    /* Under a modulus of 8n + 1 bits a ciphertext of n + 1 octets may be rare, one of n octets never is. */
    r->rsa_field_len = pgp_mpi_bits(&part[0]) % 8 == 1 ? part[0].len - 1 : part[0].len;
    r->op = EVP_PKEY_CTX_new_from_pkey(NULL, r->pkey, NULL);
    return r->op && EVP_PKEY_encrypt_init(r->op) > 0 && EVP_PKEY_CTX_set_rsa_padding(r->op, RSA_PKCS1_PADDING) > 0
               ? OK
               : ERR_MEMORY;
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
static void kdf_param(struct pgp_recipient *r, const struct pgp_ecdh_fields *f)
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

static int prepare_ec(struct pgp_recipient *r, const struct pgp_ecdh_fields *f)
{
    r->kem = PGP_KEM_EC;
    r->ec_shared_len = (size_t)(f->curve->bits + 7) / 8;
    r->ec_point_len = 1 + 2 * r->ec_shared_len;
    int err = pgp_ec_pkey(f->curve, f->point, &r->pkey);
    if (err)
        return err;
    r->op = EVP_PKEY_CTX_new_from_pkey(NULL, r->pkey, NULL);
    return r->op && EVP_PKEY_keygen_init(r->op) > 0 ? OK : ERR_MEMORY;
}

static int prepare_ecdh(struct pgp_recipient *r, const uint8_t *m, size_t len)
{
    struct pgp_ecdh_fields f;
    int err = pgp_ecdh_read(m, len, &f);
    if (err)
        return err;
    if (!f.curve || !pgp_ecdh_kdf_known(&f))
        return ERR_UNSUPPORTED;
    kdf_param(r, &f);
    if (f.curve->name)
        return prepare_ec(r, &f);
    /* Section 9.2: v6 keys must not use the old Curve25519; section 11.2.2: a prefix of 0x40. */
    const uint8_t *point = f.point.data;
    if (r->version != 4 || f.point.len != 33 || point[0] != 0x40)
        return ERR_FORMAT;
    r->kem = PGP_KEM_CURVE25519;
    return prepare_25519(r, point + 1);
}

/* As with X25519: OpenSSL fails a derivation whose result is zero. */
static int prepare_x448(struct pgp_recipient *r, const uint8_t *m)
{
    static const uint8_t probe[56] = {5};
    uint8_t out[56];
    size_t n = sizeof(out);
    r->kem = PGP_KEM_X448;
    r->pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_X448, NULL, m, 56);
    EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X448, NULL, probe, 56);
    EVP_PKEY_CTX *ctx = own ? EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL) : NULL;
    int err = ctx && r->pkey ? ERR_FORMAT : ERR_MEMORY;
    if (err == ERR_FORMAT && EVP_PKEY_derive_init(ctx) > 0 && EVP_PKEY_derive_set_peer(ctx, r->pkey) > 0 &&
        EVP_PKEY_derive(ctx, out, &n) > 0)
        err = OK;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(own);
    return err;
}

static int prepare(struct pgp_recipient *r, const uint8_t *m, size_t len)
{
    switch (r->algo) {
    case PGP_RSA:
    case PGP_RSA_ENCRYPT: return prepare_rsa(r, m, len);
    case PGP_ECDH: return prepare_ecdh(r, m, len);
    case PGP_X25519: /* section 5.5.5.7 */ r->kem = PGP_KEM_X25519; return len == 32 ? prepare_25519(r, m) : ERR_FORMAT;
    case PGP_X448: return len == 56 ? prepare_x448(r, m) : ERR_FORMAT;
    default: return ERR_UNSUPPORTED;
    }
}

bool pgp_algo_is_native(uint8_t algo, const uint8_t *material, size_t len)
{
    struct pgp_ecdh_fields f;
    struct pgp_part part[2];
    switch (algo) {
    case PGP_RSA:
    case PGP_RSA_ENCRYPT: return pgp_rsa_read(material, len, part) == OK;
    case PGP_ECDH: return pgp_ecdh_read(material, len, &f) == OK && f.curve && pgp_ecdh_kdf_known(&f);
    case PGP_X25519: return len == 32;
    case PGP_X448: return len == 56;
    default: return false;
    }
}

static int recipient_of(const struct pgp_key *k, const struct pgp_prefs *prefs, struct pgp_recipient **ret)
{
    struct pgp_recipient *r = calloc(1, sizeof(*r));
    if (!r)
        return ERR_MEMORY;
    r->version = k->version;
    r->algo = k->algo;
    r->fpr_len = k->fpr_len;
    memcpy(r->fpr, k->fpr, sizeof(r->fpr));
    memcpy(r->key_id, k->key_id, sizeof(r->key_id));
    r->prefs = *prefs;
    int err = prepare(r, k->material, k->material_len);
    if (err) {
        pgp_recipient_destroy(r);
        return err;
    }
    *ret = r;
    return OK;
}

int pgp_key_seals(const struct pgp_key *k)
{
    static const struct pgp_prefs none;
    struct pgp_recipient *r;
    int err = recipient_of(k, &none, &r);
    if (!err)
        pgp_recipient_destroy(r);
    return err;
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
    for (size_t i = 0; i < n; i++) {
        if (keys[i].fpr_len == v->enc_fpr_len && memcmp(keys[i].fpr, v->enc_fpr, keys[i].fpr_len) == 0)
            return recipient_of(&keys[i], &v->prefs, ret);
    }
    return ERR_NOT_FOUND;
}

void pgp_recipient_destroy(struct pgp_recipient *r)
{
    if (!r)
        return;
    EVP_PKEY_CTX_free(r->op);
    EVP_PKEY_free(r->pkey);
    free(r);
}
