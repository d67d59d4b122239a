#include "tests/support/pgp_forge.h"

#include <openssl/bn.h>

size_t forge_be(uint8_t *out, uint64_t v, size_t octets)
{
    for (size_t i = 0; i < octets; i++)
        out[i] = (uint8_t)(v >> 8 * (octets - 1 - i));
    return octets;
}

void forge_finger(struct forge_key *k)
{
    uint8_t buf[1400];
    unsigned n = 0;
    size_t l = 1;
    buf[0] = k->version == 6 ? 0x9b : 0x99;
    l += forge_be(buf + 1, k->body_len, k->version == 6 ? 4 : 2);
    memcpy(buf + l, k->body, k->body_len);
    EVP_Digest(buf, l + k->body_len, k->fpr, &n, k->version == 6 ? EVP_sha256() : EVP_sha1(), NULL);
    k->fpr_len = n;
}

void forge_body(struct forge_key *k, int version, uint8_t algo, uint32_t created, const uint8_t *material, size_t len)
{
    k->version = version;
    k->body[0] = (uint8_t)version;
    forge_be(k->body + 1, created, 4);
    k->body[5] = algo;
    k->body_len = 6;
    if (version == 6)
        k->body_len += forge_be(k->body + 6, len, 4);
    memcpy(k->body + k->body_len, material, len);
    k->body_len += len;
    forge_finger(k);
}

void forge_key_make(struct forge_key *k, int version, uint8_t algo, uint32_t created, uint8_t seed_octet)
{
    uint8_t seed[32];
    memset(k, 0, sizeof(*k));
    memset(seed, seed_octet, sizeof(seed));
    crypto_sign_seed_keypair(k->pk, k->sk, seed);
    if (algo == PGP_X25519)
        crypto_scalarmult_base(k->pk, seed);
    forge_body(k, version, algo, created, k->pk, 32);
}

size_t forge_sub(uint8_t *out, uint8_t type, const void *v, size_t n)
{
    size_t at = 0;
    if (n + 1 < 192) {
        out[at++] = (uint8_t)(n + 1);
    } else {
        out[at++] = 255;
        at += forge_be(out + at, n + 1, 4);
    }
    out[at++] = type;
    memcpy(out + at, v, n);
    return at + n;
}

static size_t forge_sub_u32(uint8_t *out, uint8_t type, uint32_t v)
{
    uint8_t b[4];
    forge_be(b, v, 4);
    return forge_sub(out, type, b, 4);
}

static size_t forge_hashed(uint8_t *a, const struct forge_sig *s, const struct forge_key *by)
{
    size_t n = 0;
    uint8_t octet, issuer[33] = {(uint8_t)by->version};
    if (!s->no_date)
        n += forge_sub_u32(a + n, 0x80 | 2, s->created);
    if (s->expires)
        n += forge_sub_u32(a + n, 3, s->expires);
    if (s->key_expires)
        n += forge_sub_u32(a + n, 9, s->key_expires);
    if (s->flags)
        octet = (uint8_t)(s->flags % 1000), n += forge_sub(a + n, 27, &octet, 1);
    if (s->features)
        octet = (uint8_t)s->features, n += forge_sub(a + n, 30, &octet, 1);
    if (s->reason)
        octet = (uint8_t)(s->reason % 1000), n += forge_sub(a + n, 29, &octet, 1);
    if (s->primary_uid)
        n += forge_sub(a + n, 25, "\1", 1);
    memcpy(issuer + 1, by->fpr, by->fpr_len);
    if (s->named_by_stranger)
        issuer[1] ^= 1;
    if (!s->anonymous)
        n += forge_sub(a + n, 33, issuer, 1 + by->fpr_len);
    if (s->hashed_len)
        memcpy(a + n, s->hashed, s->hashed_len);
    return n + s->hashed_len;
}

static void forge_hash_key(EVP_MD_CTX *c, int version, const struct forge_key *k)
{
    uint8_t head[5] = {version == 6 ? 0x9b : 0x99};
    EVP_DigestUpdate(c, head, 1 + forge_be(head + 1, k->body_len, version == 6 ? 4 : 2));
    EVP_DigestUpdate(c, k->body, k->body_len);
}

static const EVP_MD *forge_md(uint8_t hash, size_t *ret_salt)
{
    *ret_salt = hash == 10 || hash == 14 ? 32 : hash == 9 ? 24 : 16;
    switch (hash) {
    case 1: return EVP_md5();
    case 2: return EVP_sha1();
    case 8: return EVP_sha256();
    case 9: return EVP_sha384();
    case 10: return EVP_sha512();
    case 11: return EVP_sha224();
    case 12: return EVP_sha3_256();
    default: return EVP_sha3_512();
    }
}

size_t forge_mpi(uint8_t *out, const uint8_t *p, size_t len)
{
    size_t bits;
    while (len && !*p)
        p++, len--;
    bits = 8 * len;
    for (unsigned top = len ? p[0] : 0x80; !(top & 0x80); top <<= 1)
        bits--;
    forge_be(out, bits, 2);
    memcpy(out + 2, p, len);
    return 2 + len;
}

static size_t forge_bn(uint8_t *out, const BIGNUM *bn)
{
    uint8_t b[1024];
    return forge_mpi(out, b, (size_t)BN_bn2bin(bn, b));
}

size_t forge_params(uint8_t *m, EVP_PKEY *pkey, const char *const *names, size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        BIGNUM *bn = NULL;
        EVP_PKEY_get_bn_param(pkey, names[i], &bn);
        len += forge_bn(m + len, bn);
        BN_free(bn);
    }
    return len;
}

struct forge_key forge_rsa(int version, size_t bits)
{
    static const char *const names[] = {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E};
    struct forge_key k = {.pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits)};
    uint8_t m[1200];
    forge_body(&k, version, PGP_RSA, 1700000000, m, forge_params(m, k.pkey, names, 2));
    return k;
}

/* The algorithm's fields of a signature (sections 5.2.3.1 to 5.2.3.5). */
static size_t forge_fields(uint8_t *out, const struct forge_key *by, const EVP_MD *md, const uint8_t *digest,
                           size_t len)
{
    uint8_t sig[1024];
    size_t n = sizeof(sig);
    if (!by->pkey) {
        crypto_sign_detached(sig, NULL, digest, len, by->sk);
        if (by->body[5] == PGP_EDDSA_LEGACY) {
            n = forge_mpi(out, sig, 32);
            return n + forge_mpi(out + n, sig + 32, 32);
        }
        memcpy(out, sig, 64);
        return 64;
    }
    if (EVP_PKEY_is_a(by->pkey, "ED448")) {
        EVP_MD_CTX *c = EVP_MD_CTX_new();
        EVP_DigestSignInit_ex(c, NULL, NULL, NULL, NULL, by->pkey, NULL);
        EVP_DigestSign(c, sig, &n, digest, len);
        EVP_MD_CTX_free(c);
        memcpy(out, sig, n);
        return n;
    }
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(by->pkey, NULL);
    EVP_PKEY_sign_init(c);
    if (EVP_PKEY_is_a(by->pkey, "RSA")) {
        EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING);
        EVP_PKEY_CTX_set_signature_md(c, md);
        EVP_PKEY_sign(c, sig, &n, digest, len);
        n = forge_mpi(out, sig, n);
    } else {
        const uint8_t *der = sig;
        EVP_PKEY_sign(c, sig, &n, digest, len);
        ECDSA_SIG *rs = d2i_ECDSA_SIG(NULL, &der, (long)n);
        n = forge_bn(out, ECDSA_SIG_get0_r(rs));
        n += forge_bn(out + n, ECDSA_SIG_get0_s(rs));
        ECDSA_SIG_free(rs);
    }
    EVP_PKEY_CTX_free(c);
    return n;
}

struct forge_key forge_elgamal(int version, uint32_t created, uint8_t y)
{
    struct forge_key k = {0};
    uint8_t p[256], m[300];
    BIGNUM *prime = BN_get_rfc3526_prime_2048(NULL);
    BN_bn2binpad(prime, p, sizeof(p));
    BN_free(prime);
    size_t n = forge_mpi(m, p, sizeof(p));
    n += forge_mpi(m + n, (const uint8_t[]){2}, 1);
    n += forge_mpi(m + n, &y, 1);
    forge_body(&k, version, PGP_ELGAMAL, created, m, n);
    return k;
}

size_t forge_sig_body(uint8_t *out, const struct forge_sig *s, const struct forge_key *by,
                      const struct forge_key *primary, const struct forge_key *subkey, const char *uid)
{
    int version = s->version ? s->version : by->version;
    size_t octets = version == 6 ? 4 : 2, n = 4, salt;
    uint8_t hash = s->hash ? s->hash : 10, digest[64], trailer[6] = {(uint8_t)version, 0xff}, salt_octets[32];
    const EVP_MD *md = forge_md(hash, &salt);
    memset(salt_octets, 0x5a, sizeof(salt_octets));
    if (s->bad_salt_len)
        salt--;
    out[0] = (uint8_t)version;
    out[1] = s->type;
    out[2] = s->algo ? s->algo : by->body[5];
    out[3] = hash;
    size_t area = forge_hashed(out + n + octets, s, by);
    forge_be(out + n, area, octets);
    n += octets + area;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    unsigned len;
    EVP_DigestInit(c, md);
    if (version == 6)
        EVP_DigestUpdate(c, salt_octets, salt);
    forge_hash_key(c, version, primary);
    if (subkey)
        forge_hash_key(c, version, subkey);
    if (uid) {
        uint8_t head[5] = {0xb4};
        forge_be(head + 1, strlen(uid), 4);
        EVP_DigestUpdate(c, head, 5);
        EVP_DigestUpdate(c, uid, strlen(uid));
    }
    EVP_DigestUpdate(c, out, n);
    forge_be(trailer + 2, n, 4);
    EVP_DigestUpdate(c, trailer, 6);
    EVP_DigestFinal(c, digest, &len);
    EVP_MD_CTX_free(c);
    n += forge_be(out + n, s->unhashed_len, octets);
    if (s->unhashed_len)
        memcpy(out + n, s->unhashed, s->unhashed_len);
    n += s->unhashed_len;
    memcpy(out + n, digest, 2);
    out[n] ^= s->bad_left;
    n += 2;
    if (version == 6) {
        out[n++] = (uint8_t)salt;
        memcpy(out + n, salt_octets, salt);
        n += salt;
    }
    size_t fields = forge_fields(out + n, by, md, digest, len);
    out[n + 7] ^= s->bad;
    return n + fields;
}

void forge_packet(struct forge *f, int tag, const void *body, size_t len)
{
    f->len += pgp_packet_header(f->data + f->len, (enum pgp_tag)tag, len);
    memcpy(f->data + f->len, body, len);
    f->len += len;
}

void forge_put_key(struct forge *f, int tag, const struct forge_key *k)
{
    forge_packet(f, tag, k->body, k->body_len);
}

void forge_put_uid(struct forge *f, const char *uid)
{
    forge_packet(f, PGP_TAG_USER_ID, uid, strlen(uid));
}

void forge_put_sig(struct forge *f, struct forge_sig s, const struct forge_key *by, const struct forge_key *primary,
                   const struct forge_key *subkey, const char *uid)
{
    static uint8_t body[80 * 1024];
    forge_packet(f, PGP_TAG_SIGNATURE, body, forge_sig_body(body, &s, by, primary, subkey, uid));
}
