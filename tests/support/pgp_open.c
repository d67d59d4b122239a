#include "tests/support/pgp_open.h"

const uint8_t test_oid_25519[] = {10, 0x2b, 6, 1, 4, 1, 0x97, 0x55, 1, 5, 1};

const uint8_t test_oid_p256[] = {8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7};

const uint8_t test_oid_p384[] = {5, 0x2b, 0x81, 4, 0, 0x22}, test_oid_p521[] = {5, 0x2b, 0x81, 4, 0, 0x23};

const uint8_t test_oid_bp256[] = {9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7},
              test_oid_bp384[] = {9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 11},
              test_oid_bp512[] = {9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 13};

/* OpenSSL's name; NULL: Curve25519. */
static const char *test_curve(const uint8_t *oid)
{
    static const struct {
        const uint8_t *oid;
        const char *name;
    } curves[] = {{test_oid_p256, "P-256"},
                  {test_oid_p384, "P-384"},
                  {test_oid_p521, "P-521"},
                  {test_oid_bp256, "brainpoolP256r1"},
                  {test_oid_bp384, "brainpoolP384r1"},
                  {test_oid_bp512, "brainpoolP512r1"}};
    for (size_t i = 0; oid && i < sizeof(curves) / sizeof(curves[0]); i++) {
        if (curves[i].oid == oid)
            return curves[i].name;
    }
    return NULL;
}

static size_t test_put_mpi(uint8_t *out, const uint8_t *data, size_t len)
{
    while (len && !*data) {
        data++;
        len--;
    }
    size_t bits = len * 8;
    for (uint8_t top = len ? data[0] : 0x80; !(top & 0x80); top = (uint8_t)(top << 1))
        bits--;
    out[0] = (uint8_t)(bits >> 8);
    out[1] = (uint8_t)bits;
    memcpy(out + 2, data, len);
    return len + 2;
}

size_t test_put_key(uint8_t *out, int tag, int version, uint8_t algo, const uint8_t *m, size_t len)
{
    uint8_t body[1024] = {(uint8_t)version, 0x60, 0, 0, 1, algo};
    size_t n = 6;
    if (version == 6) {
        body[n++] = 0;
        body[n++] = 0;
        body[n++] = (uint8_t)(len >> 8);
        body[n++] = (uint8_t)len;
    }
    memcpy(body + n, m, len);
    n += len;
    size_t h = pgp_packet_header(out, (enum pgp_tag)tag, n);
    memcpy(out + h, body, n);
    return h + n;
}

struct test_rsa test_rsa = {1024, false};

static EVP_PKEY *test_rsa_keygen(void)
{
    EVP_PKEY *pkey = NULL;
    BIGNUM *e = BN_new();
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    BN_set_word(e, test_rsa.long_exponent ? 1 : 0x10001);
    if (test_rsa.long_exponent) {
        BN_lshift(e, e, 72);
        BN_add_word(e, 0x10f);
    }
    if (EVP_PKEY_keygen_init(c) <= 0 || EVP_PKEY_CTX_set_rsa_keygen_bits(c, (int)test_rsa.bits) <= 0 ||
        EVP_PKEY_CTX_set1_rsa_keygen_pubexp(c, e) <= 0 || EVP_PKEY_generate(c, &pkey) <= 0)
        pkey = NULL;
    BN_free(e);
    EVP_PKEY_CTX_free(c);
    return pkey;
}

int test_key_make(struct test_key *k, int version, uint8_t algo, const uint8_t *oid)
{
    uint8_t m[1024], primary[32] = {7};
    size_t n = 0;
    memset(k, 0, sizeof(*k));
    k->algo = algo;
    k->oid = oid;
    k->kdf_hash = 8;
    k->kdf_cipher = 7;
    if (algo == PGP_RSA) {
        k->priv = test_rsa_keygen();
        BIGNUM *bn = NULL, *be = NULL;
        uint8_t b[256];
        if (!k->priv || !EVP_PKEY_get_bn_param(k->priv, OSSL_PKEY_PARAM_RSA_N, &bn) ||
            !EVP_PKEY_get_bn_param(k->priv, OSSL_PKEY_PARAM_RSA_E, &be))
            return -1;
        n += test_put_mpi(m + n, b, (size_t)BN_bn2bin(bn, b));
        n += test_put_mpi(m + n, b, (size_t)BN_bn2bin(be, b));
        BN_free(bn);
        BN_free(be);
    } else if (algo == PGP_ECDH && test_curve(oid)) {
        unsigned char *p = NULL;
        k->priv = EVP_PKEY_Q_keygen(NULL, NULL, "EC", test_curve(oid));
        k->pub_len = EVP_PKEY_get1_encoded_public_key(k->priv, &p);
        memcpy(k->pub, p, k->pub_len);
        OPENSSL_free(p);
    } else {
        k->priv = EVP_PKEY_Q_keygen(NULL, NULL, algo == PGP_X448 ? "X448" : "X25519");
        k->pub_len = sizeof(k->pub);
        if (!k->priv || !EVP_PKEY_get_raw_public_key(k->priv, k->pub, &k->pub_len))
            return -1;
    }
    if (algo == PGP_ECDH) {
        memcpy(m, oid, oid[0] + 1u);
        n = oid[0] + 1u;
        uint8_t point[140] = {0x40};
        bool native = oid == test_oid_25519;
        memcpy(point + native, k->pub, k->pub_len);
        n += test_put_mpi(m + n, point, k->pub_len + native);
        const uint8_t kdf[] = {3, 1, k->kdf_hash, k->kdf_cipher};
        memcpy(m + n, kdf, 4);
        n += 4;
    } else if (algo == PGP_X25519 || algo == PGP_X448) {
        memcpy(m, k->pub, k->pub_len);
        n = k->pub_len;
    }
    k->cert_len = test_put_key(k->cert, PGP_TAG_PUBLIC_KEY, version, PGP_ED25519, primary, 32);
    k->cert_len += test_put_key(k->cert + k->cert_len, PGP_TAG_PUBLIC_SUBKEY, version, algo, m, n);
    struct pgp_key keys[2];
    size_t count = 2;
    if (pgp_cert_keys(k->cert, k->cert_len, keys, &count) != OK || count != 2)
        return -1;
    k->verdict.primary_fpr_len = keys[0].fpr_len;
    memcpy(k->verdict.primary_fpr, keys[0].fpr, 32);
    k->verdict.enc_fpr_len = keys[1].fpr_len;
    memcpy(k->verdict.enc_fpr, keys[1].fpr, 32);
    k->verdict.enc_algo = algo;
    k->verdict.enc_octets = pgp_key_octets(&keys[1]);
    k->verdict.native = true;
    return 0;
}

void test_key_free(struct test_key *k)
{
    EVP_PKEY_free(k->priv);
    k->priv = NULL;
}

static int test_derive(EVP_PKEY *own, EVP_PKEY *peer, uint8_t *out, size_t *len)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(own, NULL);
    int ok =
        c && EVP_PKEY_derive_init(c) > 0 && EVP_PKEY_derive_set_peer(c, peer) > 0 && EVP_PKEY_derive(c, out, len) > 0;
    EVP_PKEY_CTX_free(c);
    return ok ? 0 : -1;
}

static int test_hkdf(const char *hash, const uint8_t *salt, size_t salt_len, const uint8_t *ikm, size_t ikm_len,
                     const void *info, size_t info_len, uint8_t *out, size_t out_len)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *c = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM p[5], *q = p;
    *q++ = OSSL_PARAM_construct_utf8_string("digest", (char *)hash, 0);
    *q++ = OSSL_PARAM_construct_octet_string("key", (void *)ikm, ikm_len);
    *q++ = OSSL_PARAM_construct_octet_string("info", (void *)info, info_len);
    if (salt_len)
        *q++ = OSSL_PARAM_construct_octet_string("salt", (void *)salt, salt_len);
    *q = OSSL_PARAM_construct_end();
    int ok = EVP_KDF_derive(c, out, out_len, p) > 0;
    EVP_KDF_CTX_free(c);
    EVP_KDF_free(kdf);
    return ok ? 0 : -1;
}

int test_unwrap(const uint8_t *kek, size_t kek_len, const uint8_t *in, size_t len, uint8_t *out)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *wrap = kek_len == 16   ? EVP_aes_128_wrap()
                             : kek_len == 24 ? EVP_aes_192_wrap()
                                             : EVP_aes_256_wrap();
    int n = 0, ok;
    EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    ok = EVP_DecryptInit_ex(c, wrap, NULL, kek, NULL) && EVP_DecryptUpdate(c, out, &n, in, (int)len) &&
         n == (int)len - 8;
    EVP_CIPHER_CTX_free(c);
    return ok ? 0 : -1;
}

/* m = [cipher] key checksum [padding] */
static int test_take_checked(const uint8_t *m, size_t len, bool v3, bool padded, struct test_session *s)
{
    if (padded) {
        size_t pad = m[len - 1];
        if (pad == 0 || pad > 8 || pad > len)
            return -1;
        for (size_t i = 0; i < pad; i++) {
            if (m[len - 1 - i] != pad)
                return -1;
        }
        len -= pad;
    }
    if (v3) {
        s->cipher = *m++;
        len--;
    }
    s->len = len - 2;
    uint16_t sum = 0;
    for (size_t i = 0; i < s->len; i++)
        sum = (uint16_t)(sum + m[i]);
    memcpy(s->key, m, s->len);
    return sum == (m[len - 2] << 8 | m[len - 1]) ? 0 : -1;
}

static int test_open_rsa(const struct test_key *k, const uint8_t *f, size_t len, bool v3, struct test_session *s)
{
    uint8_t in[256] = {0}, m[256];
    size_t n = len - 2, out = sizeof(m), size = (size_t)EVP_PKEY_get_size(k->priv);
    memcpy(in + size - n, f + 2, n);
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(k->priv, NULL);
    int ok = EVP_PKEY_decrypt_init(c) > 0 && EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) > 0 &&
             EVP_PKEY_decrypt(c, m, &out, in, size) > 0;
    EVP_PKEY_CTX_free(c);
    return ok ? test_take_checked(m, out, v3, false, s) : -1;
}

static int test_open_ecdh(const struct test_key *k, const uint8_t *f, size_t len, bool v3, struct test_session *s)
{
    size_t bits = (size_t)f[0] << 8 | f[1], n = (bits + 7) / 8, shared_len = 80;
    const uint8_t *point = f + 2, *wrapped = f + 2 + n + 1;
    size_t wrapped_len = f[2 + n];
    uint8_t shared[80], digest[64], m[64], param[128];
    EVP_PKEY *peer = NULL;
    if (3 + n + wrapped_len != len)
        return -1;
    if (k->oid == test_oid_25519) {
        if (n != 33 || point[0] != 0x40)
            return -1;
        peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, point + 1, 32);
    } else {
        peer = EVP_PKEY_new();
        if (!EVP_PKEY_copy_parameters(peer, k->priv) || !EVP_PKEY_set1_encoded_public_key(peer, point, n))
            return -1;
    }
    int err = test_derive(k->priv, peer, shared, &shared_len);
    EVP_PKEY_free(peer);
    if (err)
        return -1;
    size_t q = k->oid[0] + 1u;
    memcpy(param, k->oid, q);
    const uint8_t tail[] = {18, 3, 1, k->kdf_hash, k->kdf_cipher};
    memcpy(param + q, tail, 5);
    memcpy(param + q + 5, "Anonymous Sender    ", 20);
    memcpy(param + q + 25, k->verdict.enc_fpr, k->verdict.enc_fpr_len);
    q += 25 + k->verdict.enc_fpr_len;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_DigestInit(md, EVP_sha256());
    EVP_DigestUpdate(md, "\0\0\0\1", 4);
    EVP_DigestUpdate(md, shared, shared_len);
    EVP_DigestUpdate(md, param, q);
    EVP_DigestFinal(md, digest, NULL);
    EVP_MD_CTX_free(md);
    memcpy(s->kek, digest, 16);
    memcpy(s->shared, shared, 16);
    if (test_unwrap(digest, 16, wrapped, wrapped_len, m) != 0)
        return -1;
    return test_take_checked(m, wrapped_len - 8, v3, true, s);
}

static int test_open_x(const struct test_key *k, const uint8_t *f, size_t len, bool v3, struct test_session *s)
{
    bool big = k->algo == PGP_X448;
    size_t n = big ? 56 : 32, shared_len = n, kek = big ? 32 : 16;
    uint8_t ikm[3 * 56], key[32];
    if (len < n + 1 || len - n - 1 != f[n])
        return -1;
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(big ? EVP_PKEY_X448 : EVP_PKEY_X25519, NULL, f, n);
    memcpy(ikm, f, n);
    memcpy(ikm + n, k->pub, n);
    int err = test_derive(k->priv, peer, ikm + 2 * n, &shared_len);
    EVP_PKEY_free(peer);
    if (!err)
        err = big ? test_hkdf("SHA512", NULL, 0, ikm, 3 * n, "OpenPGP X448", 12, key, kek)
                  : test_hkdf("SHA256", NULL, 0, ikm, 3 * n, "OpenPGP X25519", 14, key, kek);
    if (err)
        return -1;
    const uint8_t *w = f + n + 1;
    size_t wn = f[n];
    if (v3) {
        s->cipher = *w++;
        wn--;
    }
    s->len = wn - 8;
    memcpy(s->kek, key, 16);
    memcpy(s->shared, ikm + 2 * n, 16);
    return test_unwrap(key, kek, w, wn, s->key);
}

int test_open_session(const struct test_key *k, const uint8_t *msg, size_t len, struct test_session *s,
                      size_t *ret_seipd)
{
    size_t pos = 0;
    struct pgp_packet p;
    int found = -1;
    while (pgp_packet_next(msg, len, &pos, &p) == OK && p.tag == PGP_TAG_PKESK) {
        struct pgp_pkesk h;
        if (pgp_pkesk_read(p.body, p.body_len, &h) != OK)
            return -1;
        bool v3 = h.version == 3;
        const uint8_t *id = k->verdict.enc_fpr_len == 20 ? k->verdict.enc_fpr + 12 : k->verdict.enc_fpr;
        if (v3 ? memcmp(h.key_id, id, 8) != 0 : memcmp(h.fpr, k->verdict.enc_fpr, h.fpr_len) != 0)
            continue;
        size_t head = v3 ? 10 : 4u + h.fpr_len;
        const uint8_t *f = p.body + head;
        size_t n = p.body_len - head;
        found = k->algo == PGP_RSA    ? test_open_rsa(k, f, n, v3, s)
                : k->algo == PGP_ECDH ? test_open_ecdh(k, f, n, v3, s)
                                      : test_open_x(k, f, n, v3, s);
    }
    *ret_seipd = pos - (p.tag == PGP_TAG_SEIPD ? p.total_len : 0);
    return found;
}

static int test_open_v1(const struct test_session *s, const uint8_t *body, size_t len, uint8_t *out, size_t *ret_len)
{
    static const uint8_t iv[16];
    uint8_t digest[20];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n, ok = EVP_DecryptInit_ex(c, s->cipher == 9 ? EVP_aes_256_cfb128() : EVP_aes_128_cfb128(), NULL, s->key, iv) &&
                EVP_DecryptUpdate(c, out, &n, body + 1, (int)len - 1);
    EVP_CIPHER_CTX_free(c);
    len--;
    if (!ok || s->len != (s->cipher == 9 ? 32u : 16u) || len < 40 || memcmp(out + 14, out + 16, 2) != 0)
        return -1;
    EVP_Digest(out, len - 20, digest, NULL, EVP_sha1(), NULL);
    if (out[len - 22] != 0xd3 || out[len - 21] != 0x14 || memcmp(digest, out + len - 20, 20) != 0)
        return -1;
    memmove(out, out + 18, len - 18 - 22);
    *ret_len = len - 40;
    return 0;
}

static int test_ocb(const uint8_t *key, size_t key_len, const uint8_t *nonce, const uint8_t *ad, size_t ad_len,
                    const uint8_t *in, size_t len, const uint8_t *tag, uint8_t *out)
{
    EVP_CIPHER *ci = EVP_CIPHER_fetch(NULL, key_len == 32 ? "AES-256-OCB" : "AES-128-OCB", NULL);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n = 0, m = 0;
    int ok = EVP_DecryptInit_ex(c, ci, NULL, NULL, NULL) && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 15, NULL) &&
             EVP_DecryptInit_ex(c, NULL, NULL, key, nonce) &&
             EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, 16, (void *)tag) &&
             EVP_DecryptUpdate(c, NULL, &n, ad, (int)ad_len);
    if (ok && len)
        ok = EVP_DecryptUpdate(c, out, &n, in, (int)len);
    else
        n = 0;
    ok = ok && EVP_DecryptFinal_ex(c, out + n, &m) > 0 && (size_t)(n + m) == len;
    EVP_CIPHER_CTX_free(c);
    EVP_CIPHER_free(ci);
    return ok ? 0 : -1;
}

int test_open_v2(const struct test_session *s, const uint8_t *body, size_t len, uint8_t *out, size_t *ret_len)
{
    uint8_t okm[40], nonce[15], ad[13] = {0xd2, body[0], body[1], body[2], body[3]};
    size_t key_len = body[1] == 9 ? 32 : 16, chunk = (size_t)1 << (body[3] + 6), done = 0;
    if (body[0] != 2 || body[2] != 2 || s->len != key_len)
        return -1;
    if (test_hkdf("SHA256", body + 4, 32, s->key, s->len, ad, 5, okm, key_len + 7) != 0)
        return -1;
    memcpy(nonce, okm + key_len, 7);
    const uint8_t *p = body + 36, *end = body + len - 16;
    uint64_t index = 0;
    for (;; index++) {
        for (int i = 0; i < 8; i++)
            nonce[7 + i] = (uint8_t)(index >> (56 - 8 * i));
        if (p == end)
            break;
        if (end - p < 16)
            return -1;
        size_t n = (size_t)(end - p) - 16;
        n = n < chunk ? n : chunk;
        if (test_ocb(okm, key_len, nonce, ad, 5, p, n, p + n, out + done) != 0)
            return -1;
        done += n;
        p += n + 16;
    }
    for (int i = 0; i < 8; i++)
        ad[5 + i] = (uint8_t)((uint64_t)done >> (56 - 8 * i));
    *ret_len = done;
    return test_ocb(okm, key_len, nonce, ad, 13, p, 0, p, out + done);
}

int test_open(const struct test_key *k, const uint8_t *msg, size_t len, uint8_t *out, size_t *ret_len,
              struct test_session *s)
{
    size_t at, n;
    struct pgp_packet p, lit;
    if (test_open_session(k, msg, len, s, &at) != 0)
        return -1;
    if (pgp_packet_next(msg, len, &at, &p) != OK || p.tag != PGP_TAG_SEIPD || at != len || p.partial)
        return -1;
    if ((p.body[0] == 1 ? test_open_v1(s, p.body, p.body_len, out, &n)
                        : test_open_v2(s, p.body, p.body_len, out, &n)) != 0)
        return -1;
    at = 0;
    if (pgp_packet_next(out, n, &at, &lit) != OK || lit.tag != PGP_TAG_LITERAL || lit.partial || lit.body_len < 6)
        return -1;
    static const uint8_t head[6] = {'b'};
    if (memcmp(lit.body, head, 6) != 0)
        return -1;
    if (at != n) { /* behind it only padding is meant to be (the RFC's sample has it) */
        struct pgp_packet pad;
        if (pgp_packet_next(out, n, &at, &pad) != OK || pad.tag != PGP_TAG_PADDING || at != n)
            return -1;
    }
    *ret_len = lit.body_len - 6;
    memmove(out, lit.body + 6, lit.body_len - 6);
    return 0;
}

void test_hide(uint8_t *data, size_t len)
{
    struct pgp_packet p;
    for (size_t pos = 0; pgp_packet_next(data, len, &pos, &p) == OK;)
        if (p.tag == PGP_TAG_PKESK && p.body[0] == 3)
            memset(data + (p.body - data) + 1, 0, 8);
}
