/* Seals a second beside others, in one run: the bare primitives that a seal is made of (an X25519 pair, which is key
 * generation and shared secret; the cipher over the bytes; SHA-1 where SEIPD v1 asks for it), librnp, and GPGME with
 * one key in its ring. All seal to the same Curve25519 key under SEIPD v1; SEIPD v2, which neither peer knows, is for
 * an X25519 key of version 6. Rounds alternate; of each the best and the median is taken, so that a noisy machine tells
 * the truth. Usage: bench_seal [seconds a line] */
#include <openssl/evp.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/pgp_packet.h"
#include "crypto/pgp_seal.h"
#include "server/core/error.h"
#include "tests/bench/seal_peers.h"

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

static struct pgp_recipient *recipient_of(const uint8_t *cert, size_t len, int v2)
{
    struct pgp_key keys[8];
    size_t count = 8;
    struct pgp_recipient *r;
    struct pgp_verdict v = {.prefs = {.seipd_v2 = v2, .aes256 = true}};
    if (pgp_cert_keys(cert, len, keys, &count) != OK)
        die("certificate");
    v.enc_fpr_len = keys[count - 1].fpr_len;
    memcpy(v.enc_fpr, keys[count - 1].fpr, 32);
    if (pgp_recipient_create(cert, len, &v, &r) != OK)
        die("recipient");
    return r;
}

static size_t put_key(uint8_t *out, int tag, uint8_t algo, const uint8_t *m)
{
    const uint8_t head[10] = {6, 0x60, 0, 0, 1, algo, 0, 0, 0, 32};
    size_t h = pgp_packet_header(out, (enum pgp_tag)tag, 42);
    memcpy(out + h, head, 10);
    memcpy(out + h + 10, m, 32);
    return h + 42;
}

/* Version 6, X25519; unsigned, since sealing does not judge. */
static struct pgp_recipient *recipient_v6(void)
{
    uint8_t cert[256], secret[32], point[32], primary[32] = {1};
    randombytes_buf(secret, 32);
    if (crypto_scalarmult_base(point, secret) != 0)
        die("key");
    size_t len = put_key(cert, PGP_TAG_PUBLIC_KEY, PGP_ED25519, primary);
    len += put_key(cert + len, PGP_TAG_PUBLIC_SUBKEY, PGP_X25519, point);
    return recipient_of(cert, len, true);
}

/* Where the octets go is the caller's affair and not part of the comparison: both sides leave them in a block of 64 KB.
 */
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

/* ---- rounds ---- */

enum { OURS, BARE, RNP, GPGME, SIDES, ROUNDS_MAX = 8000 };

struct side {
    double seconds[ROUNDS_MAX]; /* a seal's, of each round */
    size_t n;
};

static int compare(const void *a, const void *b)
{
    double d = *(const double *)a - *(const double *)b;
    return d < 0 ? -1 : d > 0;
}

static double best(const struct side *s)
{
    return s->n ? s->seconds[0] : 0;
}

static double median(const struct side *s)
{
    return s->n ? s->seconds[s->n / 2] : 0;
}

struct task {
    struct pgp_recipient *recipient;
    struct bare bare;
    int v2;
    const uint8_t *in;
    uint8_t *out;
    size_t len;
};

static void once(const struct task *t, int side)
{
    struct iovec iov = {(void *)t->in, t->len};
    uint64_t total = 0;
    struct bare b = t->bare;
    switch (side) {
    case OURS:
        if (pgp_seal((struct pgp_recipient *const *)&t->recipient, 1, &iov, 1, sink, &total, NULL) != OK)
            die("seal");
        break;
    case BARE: bare_once(&b, t->v2, t->in, t->len, t->out); break;
#ifdef HAVE_LIBRNP
    case RNP:
        if (seal_rnp_once(t->in, t->len) != 0)
            die("librnp");
        break;
#endif
    case GPGME:
        if (seal_gpgme_once(t->in, t->len) != 0)
            die("GPGME");
        break;
    }
}

static void round_of(const struct task *t, int side, unsigned batch, struct side *s)
{
    double start = now();
    if (s->n == ROUNDS_MAX)
        return;
    for (unsigned i = 0; i < batch; i++)
        once(t, side);
    s->seconds[s->n++] = (now() - start) / batch;
}

/* Of SEIPD v1's line, for v2's to be set beside: neither peer has v2. */
static struct side peers[2];

static void measure(const struct task *t, double seconds)
{
    static struct side sides[SIDES];
    double end = now() + seconds;
    unsigned batch = t->len > 200000 ? 4 : 16; /* short: some round goes undisturbed */
    memset(sides, 0, sizeof(sides));
    while (now() < end) {
        round_of(t, OURS, batch, &sides[OURS]);
        round_of(t, BARE, batch, &sides[BARE]);
        if (t->v2)
            continue;
#ifdef HAVE_LIBRNP
        round_of(t, RNP, batch / 4, &sides[RNP]);
#endif
        round_of(t, GPGME, 1, &sides[GPGME]);
    }
    if (t->v2)
        memcpy(&sides[RNP], peers, sizeof(peers));
    for (int i = 0; i < (t->v2 ? RNP : SIDES); i++)
        qsort(sides[i].seconds, sides[i].n, sizeof(double), compare);
    if (!t->v2)
        memcpy(peers, &sides[RNP], sizeof(peers));
    for (int m = 0; m < 2; m++) {
        double (*of)(const struct side *) = m ? median : best;
        double ours = of(&sides[OURS]), rnp = of(&sides[RNP]);
        const char *name = t->v2 ? "X25519 SEIPD v2 OCB" : "cv25519 SEIPD v1 CFB";
        printf("%-20s %8zu %-6s %8.0f %8.1f | %8.0f %6.2f | %8.0f %6.1f | %6.0f %6.0f\n", m ? "" : name, t->len,
               m ? "median" : "best", 1 / ours, (double)t->len / ours / 1e6, 1 / of(&sides[BARE]),
               of(&sides[BARE]) / ours, rnp > 0 ? 1 / rnp : 0, rnp / ours, 1 / of(&sides[GPGME]),
               of(&sides[GPGME]) / ours);
    }
    fflush(stdout);
}

static void measure_size(const uint8_t *cert, size_t cert_len, size_t len, double seconds)
{
    struct task t = {.len = len};
    uint8_t *in = malloc(len);
    t.in = in;
    t.out = malloc(BLOCK + 64);
    if (!in || !t.out)
        die("memory");
    memset(in, 'm', len);
    memset(t.out, 0, BLOCK + 64);
    for (t.v2 = 0; t.v2 < 2; t.v2++) {
        t.recipient = t.v2 ? recipient_v6() : recipient_of(cert, cert_len, false);
        bare_init(&t.bare, t.v2);
        measure(&t, seconds);
        pgp_recipient_destroy(t.recipient);
        EVP_CIPHER_CTX_free(t.bare.cipher);
        EVP_MD_CTX_free(t.bare.sha1);
        EVP_MD_free(t.bare.md);
    }
    free(in);
    free(t.out);
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {4096, 20480, 65536, 1048576};
    double seconds = argc > 1 ? atof(argv[1]) : 4;
    uint8_t cert[8192];
    size_t len = 0;
    if (sodium_init() < 0)
        die("libsodium");
    if (seal_gpgme_open(cert, sizeof(cert), &len) != 0)
        die("GPGME");
#ifdef HAVE_LIBRNP
    if (seal_rnp_open(cert, len) != 0)
        die("librnp");
#else
    printf("librnp-dev was not there when this was built: its columns are empty\n");
#endif
    printf("%-20s %8s %-6s %8s %8s | %8s %6s | %8s %6s | %6s %6s\n", "format", "octets", "", "seals/s", "MB/s",
           "bare/s", "ours:", "librnp/s", "ours:", "GPGME", "ours:");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        measure_size(cert, len, sizes[i], seconds);
    printf("Wanted: 0.85 of bare with SEIPD v1, 0.9 with v2; 2 times librnp; 40 times GPGME at 4 KB. Beside v2 stand "
           "the peers' figures for v1.\n");
#ifdef HAVE_LIBRNP
    seal_rnp_close();
#endif
    seal_gpgme_close();
    return 0;
}
