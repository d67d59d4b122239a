/* Session-key packets (RFC 9580 section 5.1): wraps one session key for one recipient, as v3 for SEIPD v1 and v6 for
 * SEIPD v2. */
#include <sodium.h>
#include <string.h>

#include "crypto/pgp_internal.h"
#include "server/core/secmem.h"
#include "server/core/error.h"

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
    case PGP_KEM_RSA: fields = 2 + r->rsa_field_len; break;
    case PGP_KEM_CURVE25519: fields = 2 + 33 + 1 + padded_key_len(s) + 8; break;
    case PGP_KEM_EC: fields = 2 + r->ec_point_len + 1 + padded_key_len(s) + 8; break;
    case PGP_KEM_X25519: fields = 32 + 1 + x_wrapped_len(s); break;
    case PGP_KEM_X448: fields = 56 + 1 + x_wrapped_len(s); break;
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

/* Section 5.1.3. A ciphertext with leading zeros would make a shorter MPI: it is made again, so that the size is known
 * without making it. */
static int fields_rsa(struct pgp_work *w, struct pgp_recipient *r, const struct pgp_suite *s, uint8_t *p)
{
    size_t n = put_checked_key(w->wrap, w, s);
    size_t spare = r->rsa_len - r->rsa_field_len; /* 0 or 1: its octet is to be zero */
    uint8_t *out = p + 2 - spare;
    for (int i = 0; i < RSA_TRIES; i++) {
        size_t out_len = r->rsa_len;
        if (EVP_PKEY_encrypt(r->op, out, &out_len, w->wrap, n) <= 0 || out_len != r->rsa_len)
            return ERR_CRYPTO;
        if (p[2] && (!spare || !out[0])) {
            put_mpi_bits(p, pgp_mpi_bits(&(struct pgp_part){p + 2, r->rsa_field_len}));
            return OK;
        }
    }
    return ERR_CRYPTO;
}

/* ---- agreements ----
 *
 * A mail's message and its capsule go to the same recipients one after the other, and share each recipient's ephemeral
 * pair, and with it the shared secret and the key-encryption key (KEK): no KDF below takes anything of the message in,
 * so the same secret gives the same KEK whatever is wrapped. Each has a session key of its own, drawn afresh, and a
 * session-key packet of its own. Nothing is lost by it: RFC 3394's wrap is deterministic, and two wraps under one KEK
 * tell only whether the keys in them are the same; that message and capsule belong together is plain from where they
 * are stored; who learns the ephemeral secret, which is in wiped memory as long as the plaintext is, could have read
 * the plaintext. Agreements never outlive the mail, and never serve two recipients. */

/* Section 11.5: KEK = leftmost octets of Hash(00 00 00 01 || ZB || Param). */
static int ecdh_kek(struct pgp_engine *e, const struct pgp_recipient *r, size_t shared_len, struct pgp_agreement *a)
{
    static const uint8_t counter[4] = {0, 0, 0, 1};
    struct pgp_work *w = e->work;
    const struct pgp_part parts[] = {{counter, sizeof(counter)},
                                     {w->shared, shared_len},
                                     {r->kdf_param, r->kdf_param_len}};
    uint8_t *hash = w->wrap;
    int err = pgp_hash_parts(e, pgp_hash_md(e, r->kdf_hash), parts, 3, hash);
    memcpy(a->kek, hash, sizeof(a->kek));
    return err;
}

/* Sections 5.1.6, 5.1.7: HKDF over both public keys and the secret. */
static int x_kek(struct pgp_engine *e, const EVP_MD *md, struct pgp_part info, const uint8_t *recipient, size_t point,
                 size_t kek_len, struct pgp_agreement *a)
{
    const struct pgp_part ikm[] = {{a->point, point}, {recipient, point}, {e->work->shared, point}};
    return pgp_hkdf(e, md, (struct pgp_part){NULL, 0}, ikm, 3, info, a->kek, kek_len);
}

/* An ephemeral pair and the shared secret. libsodium's multiplication was measured against OpenSSL 3.0's: with what it
 * takes to hand OpenSSL a key they are alike. */
static int x25519_agree(struct pgp_work *w, const struct pgp_recipient *r, uint8_t *ephemeral_public)
{
    if (pgp_random(w->ephemeral, 32) != OK || pgp_x25519_public(ephemeral_public, w->ephemeral) != OK ||
        crypto_scalarmult(w->shared, w->ephemeral, r->point) != 0)
        return ERR_CRYPTO;
    return OK;
}

static int agree_curve25519(struct pgp_engine *e, struct pgp_recipient *r, struct pgp_agreement *a)
{
    int err = x25519_agree(e->work, r, a->point);
    return err ? err : ecdh_kek(e, r, 32, a);
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
static int agree_ec(struct pgp_engine *e, struct pgp_recipient *r, struct pgp_agreement *a)
{
    EVP_PKEY *own = NULL;
    unsigned char *point = NULL;
    int err = ERR_CRYPTO;
    if (r->ec_point_len <= sizeof(a->point) && EVP_PKEY_keygen(r->op, &own) > 0 &&
        EVP_PKEY_get1_encoded_public_key(own, &point) == r->ec_point_len && point[0] == 4) {
        memcpy(a->point, point, r->ec_point_len);
        err = derive(own, r->pkey, e->work->shared, r->ec_shared_len);
    }
    OPENSSL_free(point);
    EVP_PKEY_free(own);
    return err ? err : ecdh_kek(e, r, r->ec_shared_len, a);
}

static int agree_x25519(struct pgp_engine *e, struct pgp_recipient *r, struct pgp_agreement *a)
{
    int err = x25519_agree(e->work, r, a->point);
    return err ? err : x_kek(e, e->sha256, (struct pgp_part){"OpenPGP X25519", 14}, r->point, 32, 16, a);
}

static int agree_x448(struct pgp_engine *e, struct pgp_recipient *r, struct pgp_agreement *a)
{
    EVP_PKEY *own = NULL;
    uint8_t recipient[56];
    size_t n = 56, m = 56;
    int err = ERR_CRYPTO;
    if (EVP_PKEY_keygen(e->x448, &own) > 0 && EVP_PKEY_get_raw_public_key(own, a->point, &n) > 0 &&
        EVP_PKEY_get_raw_public_key(r->pkey, recipient, &m) > 0 && n == 56 && m == 56)
        err = derive(own, r->pkey, e->work->shared, 56);
    if (!err)
        err = x_kek(e, e->sha512, (struct pgp_part){"OpenPGP X448", 12}, recipient, 56, 32, a);
    EVP_PKEY_free(own);
    return err;
}

/* ---- fields ---- */

/* Section 11.5: the point as an MPI, then RFC 3394 over the padded key. */
static int fields_ecdh(struct pgp_engine *e, const struct pgp_recipient *r, const struct pgp_suite *s,
                       const struct pgp_agreement *a, uint8_t *p)
{
    struct pgp_work *w = e->work;
    size_t n = put_checked_key(w->wrap, w, s), padded = padded_key_len(s);
    memset(w->wrap + n, (int)(padded - n), padded - n);
    if (r->kem == PGP_KEM_CURVE25519) {
        p = put_mpi_bits(p, 263); /* section 11.2.2: 0x40 and the native octets */
        *p++ = 0x40;
        memcpy(p, a->point, 32);
        p += 32;
    } else {
        p = put_mpi_bits(p, r->ec_point_len * 8 - 5);
        memcpy(p, a->point, r->ec_point_len);
        p += r->ec_point_len;
    }
    *p++ = (uint8_t)(padded + 8);
    return pgp_key_wrap(e, a->kek, pgp_cipher_key_len(r->kdf_cipher), w->wrap, padded, p);
}

/* Sections 5.1.6, 5.1.7. */
static int fields_x(struct pgp_engine *e, const struct pgp_suite *s, const struct pgp_agreement *a, size_t point,
                    size_t kek_len, uint8_t *p)
{
    struct pgp_work *w = e->work;
    memcpy(p, a->point, point);
    p += point;
    *p++ = (uint8_t)x_wrapped_len(s);
    if (!s->v2)
        *p++ = s->cipher;
    memcpy(w->wrap, w->random.session_key, s->key_len);
    return pgp_key_wrap(e, a->kek, kek_len, w->wrap, s->key_len, p);
}

static int agree(struct pgp_engine *e, struct pgp_recipient *r, struct pgp_agreement *a)
{
    static int (*const how[])(struct pgp_engine *, struct pgp_recipient *, struct pgp_agreement *) = {
        [PGP_KEM_CURVE25519] = agree_curve25519,
        [PGP_KEM_EC] = agree_ec,
        [PGP_KEM_X25519] = agree_x25519,
        [PGP_KEM_X448] = agree_x448,
        [PGP_KEM_RSA] = NULL,
    };
    int err = a->made || !how[r->kem] ? OK : how[r->kem](e, r, a);
    a->made = err == OK;
    return err;
}

int pgp_pkesk_make(struct pgp_engine *e, struct pgp_recipient *r, const struct pgp_suite *s, struct pgp_agreement *a,
                   size_t *ret_len)
{
    size_t body = pgp_pkesk_body_size(r, s);
    uint8_t *p = e->work->pkesk;
    if (body > PGP_PKESK_MAX)
        return ERR_LIMIT;
    int err = agree(e, r, a);
    if (err)
        return err;
    p += pgp_packet_header(p, PGP_TAG_PKESK, body);
    *ret_len = (size_t)(p - e->work->pkesk) + body;
    p = put_head(p, r, s);
    switch (r->kem) {
    case PGP_KEM_RSA: return fields_rsa(e->work, r, s, p);
    case PGP_KEM_CURVE25519:
    case PGP_KEM_EC: return fields_ecdh(e, r, s, a, p);
    case PGP_KEM_X25519: return fields_x(e, s, a, 32, 16, p);
    case PGP_KEM_X448: return fields_x(e, s, a, 56, 32, p);
    }
    return ERR_CRYPTO;
}
