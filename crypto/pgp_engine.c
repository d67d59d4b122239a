/* The primitives behind sealing: OpenSSL's ciphers and hashes with contexts that live as long as the thread, and the
 * small constructions over them (HKDF, AES key wrap). OpenSSL's own key wrap goes through table-driven AES, slower and
 * open to cache timing; over ECB contexts the processor's instructions do it. */
#include "crypto/pgp_internal.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <string.h>
#include <sys/random.h>

#include "server/core/secmem.h"
#include "server/core/error.h"

static _Thread_local struct pgp_engine engine;

static EVP_CIPHER_CTX *cipher_ctx(const char *name)
{
    EVP_CIPHER *c = EVP_CIPHER_fetch(NULL, name, NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    /* The context keeps its own reference to the cipher. */
    if (!c || !ctx || !EVP_EncryptInit_ex2(ctx, c, NULL, NULL, NULL) || !EVP_CIPHER_CTX_set_padding(ctx, 0)) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    EVP_CIPHER_free(c);
    return ctx;
}

static bool make_ciphers(struct pgp_engine *e)
{
    static const char *const names[3][3] = {
        {"AES-128-ECB", "AES-192-ECB", "AES-256-ECB"},
        {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC"},
        {"AES-128-OCB", "AES-192-OCB", "AES-256-OCB"},
    };
    for (int i = 0; i < 3; i++) {
        e->ecb[i] = cipher_ctx(names[0][i]);
        e->cbc[i] = cipher_ctx(names[1][i]);
        e->ocb[i] = cipher_ctx(names[2][i]);
        if (!e->ecb[i] || !e->cbc[i] || !e->ocb[i])
            return false;
        /* RFC 9580 section 9.6: OCB's nonce has 15 octets. */
        if (!EVP_CIPHER_CTX_ctrl(e->ocb[i], EVP_CTRL_AEAD_SET_IVLEN, 15, NULL))
            return false;
    }
    return true;
}

static void engine_clear(struct pgp_engine *e)
{
    EVP_MD *const mds[] = {e->sha1, e->sha256, e->sha384, e->sha512};
    for (size_t i = 0; i < 4; i++)
        EVP_MD_free(mds[i]);
    EVP_MD_CTX_free(e->md);
    EVP_MD_CTX_free(e->mdc);
    for (int i = 0; i < 3; i++) {
        EVP_CIPHER_CTX_free(e->ecb[i]);
        EVP_CIPHER_CTX_free(e->cbc[i]);
        EVP_CIPHER_CTX_free(e->ocb[i]);
    }
    EVP_PKEY_CTX_free(e->x448);
    secmem_unmap(e->work, sizeof(*e->work));
    memset(e, 0, sizeof(*e));
    pgp_x25519_forget();
}

/* An engine ends with its thread. */
static pthread_key_t at_thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool have_key;

static void end_engine(void *arg)
{
    engine_clear(arg);
}

static void make_key(void)
{
    have_key = pthread_key_create(&at_thread_end, end_engine) == 0;
}

struct pgp_engine *pgp_engine(void)
{
    struct pgp_engine *e = &engine;
    if (e->work)
        return e;
    if (sodium_init() < 0)
        return NULL;
    e->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    e->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    e->sha384 = EVP_MD_fetch(NULL, "SHA384", NULL);
    e->sha512 = EVP_MD_fetch(NULL, "SHA512", NULL);
    e->md = EVP_MD_CTX_new();
    e->mdc = EVP_MD_CTX_new();
    e->x448 = EVP_PKEY_CTX_new_from_name(NULL, "X448", NULL);
    if (e->sha1 && e->sha256 && e->sha384 && e->sha512 && e->md && e->mdc && e->x448 && make_ciphers(e) &&
        EVP_PKEY_keygen_init(e->x448) > 0 && pthread_once(&once, make_key) == 0 && have_key &&
        pthread_setspecific(at_thread_end, e) == 0)
        e->work = secmem_map(sizeof(*e->work));
    if (!e->work) {
        engine_clear(e);
        return NULL;
    }
    return e;
}

/* libsodium's and OpenSSL's generators are not asked: one aborts when the kernel fails it, the other keeps a state of
 * its own. Nothing but zeros is a generator that does not work, or a draw that did not happen. */
int pgp_random(void *out, size_t len)
{
    uint8_t *p = out;
    for (size_t got = 0; got < len;) {
        ssize_t n = getrandom(p + got, len - got, 0);
        if (n > 0)
            got += (size_t)n;
        else if (n == 0 || errno != EINTR)
            return ERR_CRYPTO;
    }
    return sodium_is_zero(p, len) ? ERR_CRYPTO : OK;
}

const EVP_MD *pgp_hash_md(const struct pgp_engine *e, uint8_t hash)
{
    switch (hash) {
    case PGP_SHA256: return e->sha256;
    case PGP_SHA384: return e->sha384;
    case PGP_SHA512: return e->sha512;
    default: return NULL;
    }
}

int pgp_hash_parts(struct pgp_engine *e, const EVP_MD *md, const struct pgp_part *parts, size_t n, uint8_t *out)
{
    if (!EVP_DigestInit_ex2(e->md, md, NULL))
        return ERR_CRYPTO;
    for (size_t i = 0; i < n; i++) {
        if (!EVP_DigestUpdate(e->md, parts[i].data, parts[i].len))
            return ERR_CRYPTO;
    }
    return EVP_DigestFinal_ex(e->md, out, NULL) ? OK : ERR_CRYPTO;
}

enum { HMAC_PARTS_MAX = 4, HMAC_BLOCK_MAX = 128, HMAC_HASH_MAX = 64 };

/* RFC 2104; key at most one block, which holds for every use here. */
static int hmac(struct pgp_engine *e, const EVP_MD *md, struct pgp_part key, const struct pgp_part *parts, size_t n,
                uint8_t *out)
{
    size_t block = (size_t)EVP_MD_get_block_size(md), hash = (size_t)EVP_MD_get_size(md);
    uint8_t pad[HMAC_BLOCK_MAX] = {0}, inner[HMAC_HASH_MAX];
    struct pgp_part all[1 + HMAC_PARTS_MAX] = {{pad, block}};
    if (key.len > block || n > HMAC_PARTS_MAX)
        return ERR_CRYPTO;
    memcpy(pad, key.data, key.len);
    for (size_t i = 0; i < block; i++)
        pad[i] ^= 0x36;
    for (size_t i = 0; i < n; i++)
        all[i + 1] = parts[i];
    int err = pgp_hash_parts(e, md, all, n + 1, inner);
    for (size_t i = 0; i < block; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    all[1] = (struct pgp_part){inner, hash};
    if (!err)
        err = pgp_hash_parts(e, md, all, 2, out);
    secmem_wipe(pad, sizeof(pad));
    secmem_wipe(inner, sizeof(inner));
    return err;
}

int pgp_hkdf(struct pgp_engine *e, const EVP_MD *md, struct pgp_part salt, const struct pgp_part *ikm, size_t n,
             struct pgp_part info, uint8_t *out, size_t out_len)
{
    static const uint8_t zeros[HMAC_HASH_MAX], one = 1, two = 2;
    uint8_t prk[HMAC_HASH_MAX], okm[2 * HMAC_HASH_MAX];
    size_t hash = (size_t)EVP_MD_get_size(md);
    const struct pgp_part key = {prk, hash};
    if (out_len > 2 * hash)
        return ERR_CRYPTO;
    if (!salt.len)
        salt = (struct pgp_part){zeros, hash};
    int err = hmac(e, md, salt, ikm, n, prk);
    if (!err)
        err = hmac(e, md, key, (const struct pgp_part[]){info, {&one, 1}}, 2, okm);
    if (!err && out_len > hash)
        err = hmac(e, md, key, (const struct pgp_part[]){{okm, hash}, info, {&two, 1}}, 3, okm + hash);
    if (!err)
        memcpy(out, okm, out_len);
    secmem_wipe(prk, sizeof(prk));
    secmem_wipe(okm, sizeof(okm));
    return err;
}

int pgp_key_wrap(struct pgp_engine *e, const uint8_t *kek, size_t kek_len, const uint8_t *in, size_t len, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = e->ecb[kek_len / 8 - 2];
    static const uint8_t zero_key[32];
    uint8_t block[16];
    int n, ok = EVP_EncryptInit_ex2(ctx, NULL, kek, NULL, NULL);
    uint8_t t = 0;
    memset(block, 0xa6, 8);
    memcpy(out + 8, in, len);
    for (int j = 0; ok && j < 6; j++) {
        for (size_t i = 8; ok && i <= len; i += 8) {
            memcpy(block + 8, out + i, 8);
            ok = EVP_EncryptUpdate(ctx, block, &n, block, 16);
            block[7] ^= ++t;
            memcpy(out + i, block + 8, 8);
        }
    }
    memcpy(out, block, 8);
    secmem_wipe(block, sizeof(block));
    ok &= EVP_EncryptInit_ex2(ctx, NULL, zero_key, NULL, NULL);
    return ok ? OK : ERR_CRYPTO;
}

EVP_CIPHER_CTX *pgp_unwrap_ctx(void)
{
    EVP_CIPHER *c = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (c == NULL || ctx == NULL || !EVP_DecryptInit_ex2(ctx, c, NULL, NULL, NULL) ||
        !EVP_CIPHER_CTX_set_padding(ctx, 0)) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    EVP_CIPHER_free(c);
    return ctx;
}

/* RFC 3394 section 2.2.2. */
int pgp_key_unwrap(EVP_CIPHER_CTX *ctx, const uint8_t kek[16], const uint8_t *in, size_t len, uint8_t *out)
{
    static const uint8_t none[16];
    uint8_t block[16], check[8];
    uint8_t t = (uint8_t)(6 * (len / 8));
    int n, ok = EVP_DecryptInit_ex2(ctx, NULL, kek, NULL, NULL);
    memcpy(block, in, 8);
    memcpy(out, in + 8, len);
    for (int j = 0; ok && j < 6; j++)
        for (size_t i = len; ok && i >= 8; i -= 8) {
            block[7] ^= t--;
            memcpy(block + 8, out + i - 8, 8);
            ok = EVP_DecryptUpdate(ctx, block, &n, block, 16);
            memcpy(out + i - 8, block + 8, 8);
        }
    memset(check, 0xa6, sizeof(check));
    ok = ok && sodium_memcmp(block, check, sizeof(check)) == 0;
    secmem_wipe(block, sizeof(block));
    ok &= EVP_DecryptInit_ex2(ctx, NULL, none, NULL, NULL); /* forget the key */
    return ok ? OK : ERR_CRYPTO;
}
