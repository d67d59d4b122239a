/* How much memory sealing takes besides the message: 30 MB held in chunks, as a role holds it, for 1, 4 and 16
 * recipients. Every allocation of OpenSSL and GMP is counted, at its peak; our own are maps of secret memory, counted
 * in the process's list of maps; and the kernel's own peak is looked at, coarser but with all in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <gmp.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/support/pgp_open.h"
#include "crypto/pgp_seal.h"
#include "server/core/secmem.h"
#include "server/core/error.h"

enum { MESSAGE = 30 * 1024 * 1024, PER_RECIPIENT = 256 * 1024, KERNEL_SLACK = 512 * 1024 /* it counts in batches */ };

/* ---- the heap of the libraries ---- */

static size_t live, peak;

static void grow(size_t n)
{
    live += n;
    peak = live > peak ? live : peak;
}

static void *count_malloc(size_t n, const char *file, int line)
{
    void *p = malloc(n);
    grow(malloc_usable_size(p));
    return p;
}

static void count_free(void *p, const char *file, int line)
{
    live -= malloc_usable_size(p);
    free(p);
}

static void *count_realloc(void *p, size_t n, const char *file, int line)
{
    size_t old = malloc_usable_size(p);
    void *q = realloc(p, n);
    if (q) {
        live -= old;
        grow(malloc_usable_size(q));
    }
    return q;
}

static void *gmp_malloc(size_t n)
{
    return count_malloc(n, NULL, 0);
}
static void *gmp_realloc(void *p, size_t old, size_t n)
{
    return count_realloc(p, n, NULL, 0);
}
static void gmp_free(void *p, size_t n)
{
    count_free(p, NULL, 0);
}

/* ---- what the kernel knows ---- */

/* Octets of maps that are kept out of core dumps: secret memory, and nothing else here. */
static size_t secret_maps(void)
{
    char line[512];
    size_t sum = 0;
    unsigned long from = 0, to = 0, a, b;
    FILE *f = fopen("/proc/self/smaps", "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx-%lx", &a, &b) == 2)
            from = a, to = b;
        else if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dd") && strstr(line, " wf"))
            sum += to - from;
    }
    fclose(f);
    return sum;
}

static size_t status_kb(const char *name)
{
    char line[256];
    size_t kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        if (strncmp(line, name, strlen(name)) == 0)
            sscanf(line + strlen(name), "%zu", &kb);
    }
    fclose(f);
    return kb;
}

static bool reset_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, "5", 1) == 1;
    if (fd >= 0)
        close(fd);
    return ok;
}

/* ---- keys and the message ---- */

static const struct {
    int version;
    uint8_t algo;
    const uint8_t *oid;
} kinds[] = {
    {4, PGP_ECDH, test_oid_25519}, {4, PGP_RSA, NULL},           {6, PGP_X25519, NULL},         {6, PGP_X448, NULL},
    {4, PGP_ECDH, test_oid_p256},  {4, PGP_ECDH, test_oid_p521}, {4, PGP_ECDH, test_oid_bp512}, {4, PGP_X25519, NULL},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
static struct test_key keys[PGP_SEAL_RECIPIENTS_MAX];
static struct secmem_msg message;
static struct iovec *pieces;
static size_t npieces;

static int setup(void **state)
{
    uint8_t block[4096];
    for (int i = 0; i < PGP_SEAL_RECIPIENTS_MAX; i++) {
        if (test_key_make(&keys[i], kinds[i % KINDS].version, kinds[i % KINDS].algo, kinds[i % KINDS].oid) != 0)
            return -1;
    }
    for (size_t i = 0; i < MESSAGE / sizeof(block); i++) {
        memset(block, (int)i, sizeof(block));
        if (secmem_msg_append(&message, block, sizeof(block)) != OK)
            return -1;
    }
    pieces = calloc(MESSAGE / 60000, sizeof(*pieces));
    for (struct secmem_chunk *c = message.first; c; c = c->next)
        pieces[npieces++] = (struct iovec){c->data, c->len};
    return 0;
}

static int teardown(void **state)
{
    for (int i = 0; i < PGP_SEAL_RECIPIENTS_MAX; i++)
        test_key_free(&keys[i]);
    secmem_msg_release(&message);
    free(pieces);
    return 0;
}

struct watch {
    size_t calls, maps, octets;
};

static int sink(void *arg, const uint8_t *data, size_t len)
{
    struct watch *w = arg;
    w->octets += len;
    if (w->calls++ % 64 == 0) {
        size_t maps = secret_maps();
        w->maps = maps > w->maps ? maps : w->maps;
    }
    return OK;
}

static void sealed_for(size_t n, bool v2, size_t engine)
{
    struct pgp_recipient *r[PGP_SEAL_RECIPIENTS_MAX];
    struct watch w = {0};
    uint64_t size;
    for (size_t i = 0; i < n; i++) {
        struct pgp_verdict v = keys[i].verdict;
        v.prefs = (struct pgp_prefs){.seipd_v2 = v2, .aes256 = true};
        assert_int_equal(pgp_recipient_create(keys[i].cert, keys[i].cert_len, &v, &r[i]), OK);
    }
    struct iovec small = {pieces[0].iov_base, 1000};
    assert_int_equal(pgp_seal(r, n, &small, 1, sink, &w, NULL), OK); /* the libraries' code is in memory then */
    w = (struct watch){0};
    size_t maps = secret_maps() - engine, before = live;
    bool watched = reset_peak();
    size_t rss = status_kb("VmRSS:");
    peak = live;
    assert_int_equal(pgp_seal(r, n, pieces, npieces, sink, &w, &size), OK);
    size_t heap = peak - before, kept = live - before, secret = w.maps - maps;
    size_t hwm = status_kb("VmHWM:"), kernel = hwm > rss ? (hwm - rss) * 1024 : 0;
    assert_int_equal(w.octets, size);
    print_message("30 MB, SEIPD v%d, %2zu recipients: %zu KB of secret memory, %zu KB of heap at its peak (%zu kept); "
                  "the kernel saw %zu KB more\n",
                  v2 ? 2 : 1, n, secret / 1024, heap / 1024, kept / 1024, kernel / 1024);
    assert_true(secret + heap <= n * PER_RECIPIENT);
    if (watched)
        assert_true(kernel <= n * PER_RECIPIENT + KERNEL_SLACK);
    for (size_t i = 0; i < n; i++)
        pgp_recipient_destroy(r[i]);
}

static size_t engine_maps; /* what this thread's engine keeps for every seal to come is counted to each */

static void sealing_takes_little(void **state)
{
    static const size_t counts[] = {1, 4, 16};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        sealed_for(counts[i], false, engine_maps);
        sealed_for(counts[i], true, engine_maps);
    }
}

static void a_thousand_seals_keep_nothing(void **state)
{
    struct pgp_recipient *r[KINDS];
    struct iovec one = {pieces[0].iov_base, 2000};
    struct watch w = {0};
    size_t after_first = 0;
    for (size_t i = 0; i < KINDS; i++) {
        struct pgp_verdict v = keys[i].verdict;
        assert_int_equal(pgp_recipient_create(keys[i].cert, keys[i].cert_len, &v, &r[i]), OK);
    }
    for (int i = 0; i < 1000; i++) {
        w.calls = 1;
        assert_int_equal(pgp_seal(&r[i % KINDS], 1, &one, 1, sink, &w, NULL), OK);
        if (i == 99)
            after_first = live;
    }
    print_message("900 more seals kept %td octets of heap\n", (ptrdiff_t)(live - after_first));
    assert_true(live <= after_first + 1024);
    for (size_t i = 0; i < KINDS; i++)
        pgp_recipient_destroy(r[i]);
}

int main(void)
{
    if (!CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free))
        return 1;
    mp_set_memory_functions(gmp_malloc, gmp_realloc, gmp_free);
    /* The engine is made by the first recipient. */
    size_t none = secret_maps();
    struct test_key k;
    struct pgp_recipient *r;
    if (test_key_make(&k, 4, PGP_X25519, NULL) != 0 || pgp_recipient_create(k.cert, k.cert_len, &k.verdict, &r) != OK)
        return 1;
    engine_maps = secret_maps() - none;
    pgp_recipient_destroy(r);
    test_key_free(&k);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealing_takes_little),
        cmocka_unit_test(a_thousand_seals_keep_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
