/* How close sealing comes to the primitives it is made of, in one run: an X25519 pair (key generation and shared secret), the
 * cipher over the bytes, and SHA-1 where SEIPD v1 asks for it. Rounds alternate, and of each the best is taken, so that a noisy
 * machine tells the truth. Usage: bench_seal [seconds a line] */
#include <openssl/evp.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/pgp_packet.h"
#include "crypto/pgp_seal.h"
#include "server/base/error.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "bench_seal: %s\n", what);
    exit(1);
}

static size_t put_key(uint8_t *out, int tag, int version, uint8_t algo, const uint8_t *m, size_t len)
{
    uint8_t body[256] = {(uint8_t)version, 0x60, 0, 0, 1, algo};
    size_t n = 6;
    if (version == 6) {
        body[8] = (uint8_t)(len >> 8);
        body[9] = (uint8_t)len;
        n = 10;
    }
    memcpy(body + n, m, len);
    size_t h = pgp_packet_header(out, (enum pgp_tag)tag, n + len);
    memcpy(out + h, body, n + len);
    return h + n + len;
}

static struct pgp_recipient *make_recipient(int v2)
{
    static const uint8_t oid[] = {10, 0x2b, 6, 1, 4, 1, 0x97, 0x55, 1, 5, 1}, kdf[] = {3, 1, 8, 7};
    uint8_t cert[512], m[64], secret[32], point[32], primary[32] = {1};
    size_t n = 32, count = 2;
    struct pgp_key keys[2];
    struct pgp_recipient *r;
    randombytes_buf(secret, 32);
    crypto_scalarmult_base(point, secret);
    memcpy(m, point, 32);
    if (!v2) {
        memcpy(m, oid, 11);
        memcpy(m + 11, "\1\7\x40", 3);
        memcpy(m + 14, point, 32);
        memcpy(m + 46, kdf, 4);
        n = 50;
    }
    int version = v2 ? 6 : 4;
    size_t len = put_key(cert, PGP_TAG_PUBLIC_KEY, version, PGP_ED25519, primary, 32);
    len += put_key(cert + len, PGP_TAG_PUBLIC_SUBKEY, version, v2 ? PGP_X25519 : PGP_ECDH, m, n);
    struct pgp_verdict v = {.prefs = {.seipd_v2 = v2, .aes256 = true}};
    if (pgp_cert_keys(cert, len, keys, &count) != OK)
        die("certificate");
    v.enc_fpr_len = keys[1].fpr_len;
    memcpy(v.enc_fpr, keys[1].fpr, 32);
    if (pgp_recipient_create(cert, len, &v, &r) != OK)
        die("recipient");
    return r;
}

/* Where the octets go is the caller's affair and not part of the comparison: both sides leave them in a block of 64 KB. */
static int sink(void *arg, const uint8_t *data, size_t len)
{
    uint64_t *total = arg;
    *total += len;
    return OK;
}

enum { BLOCK = 64 * 1024 };

struct bare {
    EVP_CIPHER_CTX *cipher;
    EVP_MD_CTX *sha1;
    EVP_MD *md;
    uint8_t point[32];
};

static void bare_init(struct bare *b, int v2)
{
    EVP_CIPHER *c = EVP_CIPHER_fetch(NULL, v2 ? "AES-256-OCB" : "AES-256-CFB", NULL);
    b->cipher = EVP_CIPHER_CTX_new();
    b->sha1 = EVP_MD_CTX_new();
    b->md = EVP_MD_fetch(NULL, "SHA1", NULL);
    if (!c || !b->cipher || !b->sha1 || !b->md || !EVP_EncryptInit_ex2(b->cipher, c, NULL, NULL, NULL))
        die("primitives");
    EVP_CIPHER_free(c);
    static const uint8_t nine[32] = {9};
    uint8_t s[32];
    randombytes_buf(s, 32);
    if (crypto_scalarmult(b->point, s, nine) != 0)
        die("point");
}

static void bare_once(struct bare *b, int v2, const uint8_t *in, size_t len, uint8_t *out)
{
    uint8_t s[32], pub[32], shared[32];
    int n;
    randombytes_buf(s, 32);
    if (crypto_scalarmult_base(pub, s) != 0 || crypto_scalarmult(shared, s, b->point) != 0 ||
        !EVP_EncryptInit_ex2(b->cipher, NULL, shared, pub, NULL))
        die("primitive");
    for (size_t at = 0; at < len; at += BLOCK) {
        size_t want = len - at < BLOCK ? len - at : BLOCK;
        if (!EVP_EncryptUpdate(b->cipher, out, &n, in + at, (int)want))
            die("cipher");
    }
    if (v2)
        EVP_EncryptFinal_ex(b->cipher, out, &n);
    else if (!EVP_DigestInit_ex2(b->sha1, b->md, NULL) || !EVP_DigestUpdate(b->sha1, in, len) ||
             !EVP_DigestFinal_ex(b->sha1, out, NULL))
        die("SHA-1");
}

static void measure(int v2, size_t len, double seconds)
{
    struct pgp_recipient *r = make_recipient(v2);
    struct bare b;
    uint8_t *in = malloc(len), *out = malloc(BLOCK + 64);
    unsigned batch = len > 200000 ? 8 : 64;
    double best_seal = 1e9, best_bare = 1e9, end = now() + seconds;
    bare_init(&b, v2);
    memset(in, 'm', len);
    memset(out, 0, BLOCK + 64);
    while (now() < end) {
        double t = now();
        for (unsigned i = 0; i < batch; i++) {
            struct iovec iov = {in, len};
            uint64_t total = 0;
            if (pgp_seal(&r, 1, &iov, 1, sink, &total, NULL) != OK)
                die("seal");
        }
        double seal = (now() - t) / batch;
        t = now();
        for (unsigned i = 0; i < batch; i++)
            bare_once(&b, v2, in, len, out);
        double bare = (now() - t) / batch;
        best_seal = seal < best_seal ? seal : best_seal;
        best_bare = bare < best_bare ? bare : best_bare;
    }
    printf("%-22s %8zu  %10.0f  %10.0f  %8.1f  %6.2f\n", v2 ? "X25519 SEIPD v2 OCB" : "cv25519 SEIPD v1 CFB", len,
           1 / best_seal, 1 / best_bare, (double)len / best_seal / 1e6, best_bare / best_seal);
    pgp_recipient_destroy(r);
    EVP_CIPHER_CTX_free(b.cipher);
    EVP_MD_CTX_free(b.sha1);
    EVP_MD_free(b.md);
    free(in);
    free(out);
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {4096, 20480, 65536, 1048576};
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    if (sodium_init() < 0)
        die("libsodium");
    printf("%-22s %8s  %10s  %10s  %8s  %6s\n", "format", "octets", "seals/s", "bare/s", "MB/s", "ratio");
    for (int v2 = 0; v2 < 2; v2++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            measure(v2, sizes[i], seconds);
    }
    return 0;
}
