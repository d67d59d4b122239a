/* See wks_key.h. Signatures of Ed25519 need no randomness, so the certificate is the same each time, to the octet. */
#include "crypto/wks_key.h"

#include <sodium.h>
#include <string.h>

#include "crypto/pgp_internal.h"
#include "crypto/pgp_published.h"
#include "server/core/error.h"
#include "server/core/secmem.h"

enum {
    CREATED = 1735689600, /* seconds since 1970, of every one */
    BODY_MAX = 64,
    USER_ID_MAX = sizeof(WKS_LOCAL_PART "@") + 255,
    CERTIFICATION = 0x13,
    BINDING = 0x18,
    SIGNED_MAX = 128
};

struct making {
    uint8_t signs[crypto_sign_SECRETKEYBYTES];
    uint8_t primary[BODY_MAX], subkey[BODY_MAX]; /* packets' bodies */
    size_t primary_len, subkey_len;
    uint8_t fpr[PGP_FPR_MAX], key_id[8];
    struct pack out;
};

static void derive(const struct record_keys *k, const char *domain, const char *what, uint8_t out[RECORD_KEY_SIZE])
{
    const struct record_part parts[] = {{what, strlen(what)}, {domain, strlen(domain)}};
    record_subkey(k, RECORD_WKS, 0, parts, 2, out);
}

/* RFC 9580 sections 5.5.2.2, 5.5.5.5 and 5.5.5.6, 9.2. kdf: of ECDH alone. */
static size_t put_key(uint8_t algo, struct slice oid, const uint8_t point[32], struct slice kdf, uint8_t out[BODY_MAX])
{
    struct pack p;
    pack_init(&p, out, BODY_MAX);
    pack_u8(&p, 4);
    pack_raw(&p, (const uint8_t[]){CREATED >> 24, CREATED >> 16 & 0xff, CREATED >> 8 & 0xff, CREATED & 0xff}, 4);
    pack_u8(&p, algo);
    pack_u8(&p, (uint8_t)oid.len);
    pack_raw(&p, oid.data, oid.len);
    pack_raw(&p, (const uint8_t[]){263 >> 8, 263 & 0xff, 0x40}, 3); /* section 11.2: the native octets, as an MPI */
    pack_raw(&p, point, 32);
    pack_raw(&p, kdf.data, kdf.len);
    return p.len;
}

static void put_packet(struct pack *p, enum pgp_tag tag, const void *body, size_t len)
{
    uint8_t head[6];
    pack_raw(p, head, pgp_packet_header(head, tag, len));
    pack_raw(p, body, len);
}

/* Section 3.2. */
static void put_mpi(struct pack *p, const uint8_t *octets, size_t len)
{
    while (len && !*octets) {
        octets++;
        len--;
    }
    const struct pgp_part part = {octets, len};
    const size_t bits = len ? pgp_mpi_bits(&part) : 0;
    pack_raw(p, (const uint8_t[]){(uint8_t)(bits >> 8), (uint8_t)bits}, 2);
    pack_raw(p, octets, len);
}

/* Section 5.2.3: what is signed, up to the subpackets that nothing vouches for. */
static void put_signed(const struct making *m, struct pack *p, uint8_t type)
{
    static const uint8_t certifies[] = {2,          27,         0x03,       4,  11,
                                        PGP_AES256, PGP_AES192, PGP_AES128, 3,  21,
                                        PGP_SHA512, PGP_SHA256, 2,          22, 0 /* no compression */,
                                        2,          30,         0x01 /* SEIPD v1 */};
    static const uint8_t encrypts[] = {2, 27, 0x0c};
    const struct slice more =
        type == BINDING ? slice_of(encrypts, sizeof(encrypts)) : slice_of(certifies, sizeof(certifies));
    const uint8_t hashed_len = (uint8_t)(6 + 23 + more.len);
    pack_raw(p, (const uint8_t[]){4, type, PGP_EDDSA_LEGACY, PGP_SHA512, 0, hashed_len}, 6);
    pack_raw(p, (const uint8_t[]){5, 2, CREATED >> 24, CREATED >> 16 & 0xff, CREATED >> 8 & 0xff, CREATED & 0xff}, 6);
    pack_raw(p, (const uint8_t[]){22, 33, 4}, 3);
    pack_raw(p, m->fpr, 20);
    pack_raw(p, more.data, more.len);
}

static void hash_key(crypto_hash_sha512_state *st, const uint8_t *body, size_t len)
{
    (void)crypto_hash_sha512_update(st, (const uint8_t[]){0x99, (uint8_t)(len >> 8), (uint8_t)len}, 3);
    (void)crypto_hash_sha512_update(st, body, len);
}

/* Section 5.2.4. user_id: NULL: the subkey's binding. */
static void put_signature(struct making *m, const char *user_id)
{
    uint8_t signs[SIGNED_MAX], body[2 * SIGNED_MAX], digest[crypto_hash_sha512_BYTES], sig[crypto_sign_BYTES];
    struct pack s, p;
    crypto_hash_sha512_state st;
    pack_init(&s, signs, sizeof(signs));
    put_signed(m, &s, user_id ? CERTIFICATION : BINDING);
    (void)crypto_hash_sha512_init(&st);
    hash_key(&st, m->primary, m->primary_len);
    if (user_id) {
        const size_t n = strlen(user_id);
        (void)crypto_hash_sha512_update(&st, (const uint8_t[]){0xb4, 0, 0, (uint8_t)(n >> 8), (uint8_t)n}, 5);
        (void)crypto_hash_sha512_update(&st, (const uint8_t *)user_id, n);
    } else {
        hash_key(&st, m->subkey, m->subkey_len);
    }
    (void)crypto_hash_sha512_update(&st, signs, s.len);
    (void)crypto_hash_sha512_update(&st, (const uint8_t[]){4, 0xff, 0, 0, 0, (uint8_t)s.len}, 6);
    (void)crypto_hash_sha512_final(&st, digest);
    (void)crypto_sign_detached(sig, NULL, digest, sizeof(digest), m->signs);
    pack_init(&p, body, sizeof(body));
    pack_raw(&p, signs, s.len);
    pack_raw(&p, (const uint8_t[]){0, 10, 9, 16}, 4); /* section 5.2.3.12: the issuer's id, for older programs */
    pack_raw(&p, m->key_id, 8);
    pack_raw(&p, digest, 2);
    put_mpi(&p, sig, 32);
    put_mpi(&p, sig + 32, 32);
    put_packet(&m->out, PGP_TAG_SIGNATURE, body, p.len);
}

static int make(struct making *m, const struct record_keys *k, const char *domain, struct pgp_decrypt_key *enc)
{
    static const uint8_t ed25519[] = {0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01};
    static const uint8_t curve25519[] = {0x2b, 0x06, 0x01, 0x04, 0x01, 0x97, 0x55, 0x01, 0x05, 0x01};
    static const uint8_t kdf[] = {3, 1, PGP_SHA256, PGP_AES128};
    uint8_t seed[RECORD_KEY_SIZE], point[32], fpr[PGP_FPR_MAX], fpr_len, key_id[8];
    derive(k, domain, "sign", seed);
    (void)crypto_sign_seed_keypair(point, m->signs, seed);
    secmem_wipe(seed, sizeof(seed));
    m->primary_len = put_key(PGP_EDDSA_LEGACY, slice_of(ed25519, sizeof(ed25519)), point, slice_of("", 0), m->primary);
    derive(k, domain, "decrypt", enc->secret);
    if (crypto_scalarmult_base(enc->point, enc->secret) != 0)
        return ERR_CRYPTO;
    m->subkey_len =
        put_key(PGP_ECDH, slice_of(curve25519, sizeof(curve25519)), enc->point, slice_of(kdf, sizeof(kdf)), m->subkey);
    int err = pgp_fingerprint(m->primary, m->primary_len, m->fpr, &fpr_len, m->key_id);
    if (!err)
        err = pgp_fingerprint(m->subkey, m->subkey_len, fpr, &fpr_len, key_id);
    memcpy(enc->fpr, fpr, sizeof(enc->fpr));
    return err;
}

int wks_key_make(const struct record_keys *k, const char *domain, uint8_t cert[WKS_CERT_MAX], size_t *ret_len,
                 struct pgp_decrypt_key *ret_key)
{
    struct making m = {0};
    struct pgp_decrypt_key enc;
    char user_id[USER_ID_MAX];
    if (strlen(domain) > 255)
        return ERR_CRYPTO;
    int err = make(&m, k, domain, &enc);
    if (!err) {
        strcpy(user_id, WKS_LOCAL_PART "@");
        strcat(user_id, domain);
        pack_init(&m.out, cert, WKS_CERT_MAX);
        put_packet(&m.out, PGP_TAG_PUBLIC_KEY, m.primary, m.primary_len);
        put_packet(&m.out, PGP_TAG_USER_ID, user_id, strlen(user_id));
        put_signature(&m, user_id);
        put_packet(&m.out, PGP_TAG_PUBLIC_SUBKEY, m.subkey, m.subkey_len);
        put_signature(&m, NULL);
        err = m.out.failed ? ERR_CRYPTO : OK;
        *ret_len = m.out.len;
    }
    if (!err && ret_key)
        *ret_key = enc;
    secmem_wipe(&m, sizeof(m));
    secmem_wipe(&enc, sizeof(enc));
    return err;
}
