/* Session keys, salts, prefixes, ephemeral keys and paddings: never constant, never twice, in forks, threads and
 * processes that started alike. And what happens when the kernel's generator fails or lies: this program has a
 * getrandom of its own, which can. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/support/pgp_open.h"
#include "crypto/pgp_internal.h"
#include "crypto/pgp_seal.h"
#include "server/core/error.h"

/* ---- a generator that can fail ---- */

enum { HONEST, ZEROS, REPEATS, FAILS, NOTHING, SHORT, INTERRUPTED };
static _Atomic int mode;
static _Atomic unsigned calls;

__attribute__((visibility("default"))) ssize_t getrandom(void *out, size_t len, unsigned flags);
ssize_t getrandom(void *out, size_t len, unsigned flags)
{
    calls++;
    switch (mode) {
    case ZEROS: memset(out, 0, len); return (ssize_t)len;
    case REPEATS:
        for (size_t i = 0; i < len; i++)
            ((uint8_t *)out)[i] = (uint8_t)(i * 37 + 1);
        return (ssize_t)len;
    case FAILS: errno = EIO; return -1;
    case NOTHING: return 0;
    case SHORT: len = len < 7 ? len : 7; break;
    case INTERRUPTED:
        if (calls % 4) {
            errno = EINTR;
            return -1;
        }
        break;
    }
    return syscall(SYS_getrandom, out, len, flags);
}

/* What OpenSSL asks. */
__attribute__((visibility("default"))) int getentropy(void *out, size_t len);
int getentropy(void *out, size_t len)
{
    return getrandom(out, len, 0) == (ssize_t)len ? 0 : -1;
}

/* ---- keys and seals ---- */

static const struct {
    const char *name;
    int version;
    uint8_t algo;
    const uint8_t *oid;
    bool v2;
} kinds[] = {
    {"cv25519", 4, PGP_ECDH, test_oid_25519, false}, {"X25519 v4", 4, PGP_X25519, NULL, false},
    {"X25519 v6", 6, PGP_X25519, NULL, true},        {"X448", 6, PGP_X448, NULL, true},
    {"P-256", 4, PGP_ECDH, test_oid_p256, false},    {"RSA", 4, PGP_RSA, NULL, false},
    {"RSA, SEIPD v2", 4, PGP_RSA, NULL, true},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]), CV25519 = 0, X25519_V6 = 2, MSG = 1024 };
static struct test_key keys[KINDS];
static struct pgp_recipient *recipients[KINDS];

/* All that must be fresh in one seal. */
struct fresh {
    uint8_t key[32];
    uint8_t salt[16];      /* SEIPD v2: of the salt; v1: the prefix under the cipher */
    uint8_t ephemeral[32]; /* RSA: of the padding */
};
enum { FIELDS = 3 };
static const struct {
    const char *name;
    size_t at, len;
} fields[FIELDS] = {
    {"session key", offsetof(struct fresh, key), 32},
    {"salt or prefix", offsetof(struct fresh, salt), 16},
    {"ephemeral key or padding", offsetof(struct fresh, ephemeral), 32},
};

#define SUNK_MAX MSG
#include "tests/support/sunk.h"

static int seal_one(struct pgp_recipient *r, struct sunk *s)
{
    struct iovec iov = {(char[]){"the same every time"}, 19};
    s->len = 0;
    return pgp_seal(&r, 1, &iov, 1, sink, s, NULL);
}

static void rsa_padding(const struct test_key *k, const uint8_t *mpi, uint8_t out[32])
{
    uint8_t in[128] = {0}, em[128];
    size_t n = ((size_t)(mpi[0] << 8 | mpi[1]) + 7) / 8, len = sizeof(em);
    memcpy(in + sizeof(in) - n, mpi + 2, n);
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(k->priv, NULL);
    assert_true(EVP_PKEY_decrypt_init(c) > 0 && EVP_PKEY_CTX_set_rsa_padding(c, RSA_NO_PADDING) > 0 &&
                EVP_PKEY_decrypt(c, em, &len, in, sizeof(in)) > 0);
    EVP_PKEY_CTX_free(c);
    assert_int_equal(em[1], 2);
    memcpy(out, em + 2, 32);
}

static void v1_prefix(const struct test_session *s, const uint8_t *body, uint8_t out[16])
{
    static const uint8_t iv[16];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n;
    assert_true(EVP_DecryptInit_ex(c, EVP_aes_256_cfb128(), NULL, s->key, iv) &&
                EVP_DecryptUpdate(c, out, &n, body + 1, 16));
    EVP_CIPHER_CTX_free(c);
}

static void open_one(int kind, const struct sunk *s, struct fresh *ret)
{
    const struct test_key *k = &keys[kind];
    struct test_session session;
    struct pgp_packet p;
    uint8_t out[MSG];
    size_t pos = 0, got;
    bool v2 = kinds[kind].v2;
    assert_int_equal(test_open(k, s->data, s->len, out, &got, &session), 0);
    assert_int_equal(session.len, 32);
    memcpy(ret->key, session.key, 32);
    assert_int_equal(pgp_packet_next(s->data, s->len, &pos, &p), OK);
    const uint8_t *f = p.body + (v2 ? 4 + k->verdict.enc_fpr_len : 10);
    if (k->algo == PGP_RSA)
        rsa_padding(k, f, ret->ephemeral);
    else
        memcpy(ret->ephemeral, f + (k->algo == PGP_ECDH ? 3 : 0), 32);
    assert_int_equal(pgp_packet_next(s->data, s->len, &pos, &p), OK);
    if (v2)
        memcpy(ret->salt, p.body + 4, 16);
    else
        v1_prefix(&session, p.body, ret->salt);
}

/* ---- the checker ---- */

static size_t compare_at, compare_len;
static int compare(const void *a, const void *b)
{
    return memcmp((const uint8_t *)a + compare_at, (const uint8_t *)b + compare_at, compare_len);
}

static bool shared_run(struct fresh *all, size_t n, size_t at)
{
    compare_at = at;
    compare_len = 8;
    qsort(all, n, sizeof(*all), compare);
    for (size_t i = 1; i < n; i++) {
        if (compare(&all[i - 1], &all[i]) == 0)
            return true;
    }
    return false;
}

/* Each bit is set about as often as not: six standard deviations either way, beyond one in 10^8 by luck. */
static bool unbalanced(const struct fresh *all, size_t n, size_t at, size_t len)
{
    for (size_t bit = 0; bit < len * 8; bit++) {
        double ones = 0;
        for (size_t i = 0; i < n; i++)
            ones += ((const uint8_t *)&all[i])[at + bit / 8] >> (bit % 8) & 1;
        double off = ones - (double)n / 2;
        if (off * off > 36 * (double)n / 4)
            return true;
    }
    return false;
}

/* What is wrong with these seals' randomness; NULL: nothing. Sorts them. */
static const char *fault_of(struct fresh *all, size_t n, bool balance)
{
    static char said[128];
    for (size_t f = 0; f < FIELDS; f++) {
        static const uint8_t zeros[32];
        const char *fault = NULL;
        for (size_t i = 0; i < n; i++) {
            if (memcmp((uint8_t *)&all[i] + fields[f].at, zeros, fields[f].len) == 0)
                fault = "all zero";
        }
        for (size_t at = 0; !fault && at < fields[f].len; at += 8) {
            if (shared_run(all, n, fields[f].at + at))
                fault = "eight octets twice";
        }
        if (!fault && balance && unbalanced(all, n, fields[f].at, fields[f].len))
            fault = "a bit that is mostly one value";
        if (fault) {
            snprintf(said, sizeof(said), "%s: %s", fields[f].name, fault);
            return said;
        }
    }
    return NULL;
}

static int setup(void **state)
{
    for (int i = 0; i < KINDS; i++) {
        if (test_key_make(&keys[i], kinds[i].version, kinds[i].algo, kinds[i].oid) != 0)
            return -1;
        struct pgp_verdict v = keys[i].verdict;
        v.prefs = (struct pgp_prefs){.seipd_v2 = kinds[i].v2, .aes256 = true};
        if (pgp_recipient_create(keys[i].cert, keys[i].cert_len, &v, &recipients[i]) != OK)
            return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    for (int i = 0; i < KINDS; i++) {
        pgp_recipient_destroy(recipients[i]);
        test_key_free(&keys[i]);
    }
    return 0;
}

/* ---- tests ---- */

static void every_seal_is_fresh(void **state)
{
    for (int k = 0; k < KINDS; k++) {
        size_t n = k == CV25519 || k == X25519_V6 ? 3000 : 500;
        struct fresh *all = calloc(n, sizeof(*all));
        for (size_t i = 0; i < n; i++) {
            struct sunk s;
            assert_int_equal(seal_one(recipients[k], &s), OK);
            open_one(k, &s, &all[i]);
        }
        /* RSA's padding has no zero octets, and a point's coordinate is below its prime: not balanced to the last bit.
         */
        bool even = k == CV25519 || k == X25519_V6;
        for (size_t i = 0; even && i < n; i++)
            all[i].ephemeral[31] |= (uint8_t)(i & 1) << 7; /* always zero in X25519 */
        const char *fault = fault_of(all, n, even);
        if (fault)
            fail_msg("%s: %s", kinds[k].name, fault);
        free(all);
    }
}

/* Runs seals of one kind into a pipe or an array. */
enum { EACH = 40 };
static void *many(void *arg)
{
    struct sunk *s = arg;
    for (int i = 0; i < EACH; i++) {
        if (seal_one(recipients[X25519_V6], &s[i]) != OK)
            s[i].len = 0;
    }
    return NULL;
}

static void check_many(const struct sunk *s, size_t n)
{
    struct fresh *all = calloc(n, sizeof(*all));
    for (size_t i = 0; i < n; i++)
        open_one(X25519_V6, &s[i], &all[i]);
    const char *fault = fault_of(all, n, false);
    free(all);
    if (fault)
        fail_msg("%s", fault);
}

static void threads_share_nothing(void **state)
{
    enum { THREADS = 8 };
    static struct sunk s[THREADS * EACH];
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, many, &s[i * EACH]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    check_many(s, THREADS * EACH);
}

static bool read_whole(int fd, void *out, size_t len)
{
    size_t got = 0;
    for (ssize_t n = 1; got < len && n > 0; got += n > 0 ? (size_t)n : 0)
        n = read(fd, (uint8_t *)out + got, len - got);
    return got == len;
}

/* Of each kind one seal a child, since OpenSSL's generator has state that a fork copies. */
static void forks_share_nothing(void **state)
{
    enum { CHILDREN = 10 };
    static struct sunk s[CHILDREN + 1][KINDS];
    int p[2];
    for (int k = 0; k < KINDS; k++)
        assert_int_equal(seal_one(recipients[k], &s[CHILDREN][k]), OK); /* the generators are in use already */
    for (int c = 0; c < CHILDREN; c++) {
        assert_int_equal(pipe(p), 0);
        pid_t pid = fork();
        if (pid == 0) {
            bool ok = true;
            for (int k = 0; k < KINDS; k++)
                ok &= seal_one(recipients[k], &s[c][k]) == OK;
            _exit(!ok || write(p[1], s[c], sizeof(s[c])) != sizeof(s[c]));
        }
        close(p[1]);
        assert_true(read_whole(p[0], s[c], sizeof(s[c])));
        close(p[0]);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
    for (int k = 0; k < KINDS; k++) {
        struct fresh all[CHILDREN + 1];
        for (int c = 0; c <= CHILDREN; c++)
            open_one(k, &s[c][k], &all[c]);
        const char *fault = fault_of(all, CHILDREN + 1, false);
        if (fault)
            fail_msg("%s after a fork: %s", kinds[k].name, fault);
    }
}

/* This program again, with the certificates' bytes on its standard input and the seals on its standard output. */
static int seal_in_new_process(void)
{
    struct sunk s;
    for (int k = 0; k < KINDS; k++) {
        struct pgp_recipient *r;
        if (!read_whole(0, &keys[k].cert_len, sizeof(keys[k].cert_len)) || keys[k].cert_len > sizeof(keys[k].cert) ||
            !read_whole(0, keys[k].cert, keys[k].cert_len) ||
            !read_whole(0, &keys[k].verdict, sizeof(keys[k].verdict)) ||
            pgp_recipient_create(keys[k].cert, keys[k].cert_len, &keys[k].verdict, &r) != OK || seal_one(r, &s) != OK ||
            write(1, &s, sizeof(s)) != sizeof(s))
            return 1;
        pgp_recipient_destroy(r);
    }
    return 0;
}

static void processes_that_start_alike_share_nothing(void **state)
{
    enum { PROCESSES = 4 };
    static struct sunk s[PROCESSES][KINDS];
    char *const argv[] = {(char[]){"again"}, (char[]){"seal"}, NULL};
    char *const env[] = {(char[]){"ASAN_OPTIONS=detect_leaks=0"}, NULL};
    for (int c = 0; c < PROCESSES; c++) {
        int in[2], out[2], status;
        pid_t pid;
        posix_spawn_file_actions_t a;
        assert_int_equal(pipe(in) | pipe(out), 0);
        posix_spawn_file_actions_init(&a);
        posix_spawn_file_actions_adddup2(&a, in[0], 0);
        posix_spawn_file_actions_adddup2(&a, out[1], 1);
        posix_spawn_file_actions_addclose(&a, in[1]);
        assert_int_equal(posix_spawn(&pid, "/proc/self/exe", &a, NULL, argv, env), 0);
        posix_spawn_file_actions_destroy(&a);
        for (int k = 0; k < KINDS; k++) {
            struct pgp_verdict v = keys[k].verdict;
            v.prefs = (struct pgp_prefs){.seipd_v2 = kinds[k].v2, .aes256 = true};
            assert_true(write(in[1], &keys[k].cert_len, sizeof(keys[k].cert_len)) > 0 &&
                        write(in[1], keys[k].cert, keys[k].cert_len) > 0 && write(in[1], &v, sizeof(v)) > 0);
        }
        close(in[0]), close(in[1]), close(out[1]);
        assert_true(read_whole(out[0], s[c], sizeof(s[c])));
        close(out[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
    for (int k = 0; k < KINDS; k++) {
        struct fresh all[PROCESSES];
        for (int c = 0; c < PROCESSES; c++)
            open_one(k, &s[c][k], &all[c]);
        const char *fault = fault_of(all, PROCESSES, false);
        if (fault)
            fail_msg("%s in processes of their own: %s", kinds[k].name, fault);
    }
}

/* Constant, zero, repeating, half-constant and biased numbers: the checker sees each. */
static void the_checker_catches(void **state)
{
    enum { N = 400 };
    static struct fresh good[N], bad[N];
    for (int wrong = 0; wrong < 5; wrong++) {
        for (size_t f = 0; f < FIELDS; f++) {
            for (size_t i = 0; i < sizeof(good); i += 256)
                assert_true(syscall(SYS_getrandom, (uint8_t *)good + i, sizeof(good) - i < 256 ? sizeof(good) - i : 256,
                                    0) > 0);
            memcpy(bad, good, sizeof(bad));
            assert_null(fault_of(good, N, true));
            for (size_t i = 0; i < N; i++) {
                uint8_t *p = (uint8_t *)&bad[i] + fields[f].at;
                if (wrong == 0 && i == 17)
                    memset(p, 0, fields[f].len);
                if (wrong == 1)
                    memset(p, 0x5a, fields[f].len);
                if (wrong == 2 && i == N - 1)
                    memcpy(p, (uint8_t *)&bad[3] + fields[f].at, fields[f].len);
                if (wrong == 3 && i % 100 == 0)
                    memcpy(p + 8, (uint8_t *)&bad[3] + fields[f].at + 8, 8);
                if (wrong == 4)
                    p[5] &= i % 5 ? 0xef : 0xff;
            }
            if (!fault_of(bad, N, true))
                fail_msg("mistake %d in the %s is not noticed", wrong, fields[f].name);
        }
    }
}

/* No seal is made, and not an octet of one given out, when the kernel's generator fails; what is merely slow is waited
 * for. */
static void a_failing_generator_seals_nothing(void **state)
{
    static const struct {
        int mode;
        int first, second;
    } want[] = {{ZEROS, ERR_CRYPTO, ERR_CRYPTO},   {REPEATS, OK, ERR_CRYPTO}, {FAILS, ERR_CRYPTO, ERR_CRYPTO},
                {NOTHING, ERR_CRYPTO, ERR_CRYPTO}, {SHORT, OK, OK},           {INTERRUPTED, OK, OK}};
    struct fresh all[4];
    for (int k = 0; k < KINDS; k++) {
        for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
            struct sunk s;
            mode = HONEST;
            assert_int_equal(seal_one(recipients[k], &s), OK);
            for (int round = 0; round < 2; round++) {
                mode = want[i].mode;
                int err = seal_one(recipients[k], &s);
                mode = HONEST;
                if (err != (round ? want[i].second : want[i].first))
                    fail_msg("%s, generator %d, seal %d: %d", kinds[k].name, want[i].mode, round, err);
                if (err)
                    assert_int_equal(s.len, 0);
                else
                    open_one(k, &s, &all[round]);
            }
            /* And afterwards all is well. */
            assert_int_equal(seal_one(recipients[k], &s), OK);
            open_one(k, &s, &all[2]);
        }
    }
}

/* A capsule comes second in one mail: a generator that fails between the two fails the mail. */
static unsigned parts_done;
static int sink_then_fail(void *arg, const uint8_t *data, size_t len)
{
    parts_done++;
    mode = FAILS;
    return sink(arg, data, len);
}

static void a_generator_that_fails_between_message_and_capsule(void **state)
{
    struct iovec iov = {(char[]){"mail"}, 4};
    struct sunk s[2] = {{.len = 0}};
    const struct pgp_seal_part parts[2] = {{&iov, 1, sink_then_fail, &s[0]}, {&iov, 1, sink_then_fail, &s[1]}};
    assert_int_equal(pgp_seal_parts(&recipients[CV25519], 1, parts, 2), ERR_CRYPTO);
    mode = HONEST;
    assert_int_equal(parts_done, 1);
    assert_int_equal(s[1].len, 0);
}

/* A process born while the kernel has no randomness to give (nor /dev/urandom): OpenSSL's generator, which makes the
 * other curves' ephemeral keys and RSA's padding, must fail too rather than go on with what its parent had. */
static void openssl_without_the_kernel_seals_nothing(void **state)
{
    for (int k = 0; k < KINDS; k++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            static struct sunk s;
            struct rlimit none = {0, 0};
            setrlimit(RLIMIT_NOFILE, &none);
            mode = FAILS;
            int err = seal_one(recipients[k], &s);
            bool from_openssl = keys[k].algo == PGP_RSA || keys[k].algo == PGP_X448 || keys[k].oid == test_oid_p256;
            if (err != ERR_CRYPTO || s.len)
                _exit(1);
            uint8_t out[32];
            _exit(from_openssl && RAND_bytes(out, 32) > 0 ? 2 : 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (status)
            fail_msg("%s: %d", kinds[k].name, WEXITSTATUS(status));
    }
}

static int constant(unsigned char *out, int len)
{
    memset(out, 0x42, (size_t)len);
    return 1;
}
static int ready(void)
{
    return 1;
}

/* The control on what comes from OpenSSL: with a generator of its that says one thing only, the checker speaks up. */
static void a_constant_openssl_is_caught(void **state)
{
    static const RAND_METHOD method = {.bytes = constant, .pseudorand = constant, .status = ready};
    for (int k = 0; k < KINDS; k++) {
        struct fresh all[2];
        struct sunk s[2];
        bool from_openssl = keys[k].algo == PGP_RSA || keys[k].algo == PGP_X448 || keys[k].oid == test_oid_p256;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
        RAND_set_rand_method(&method);
        for (int i = 0; i < 2; i++)
            assert_int_equal(seal_one(recipients[k], &s[i]), OK);
        RAND_set_rand_method(NULL);
#pragma GCC diagnostic pop
        for (int i = 0; i < 2; i++)
            open_one(k, &s[i], &all[i]);
        const char *fault = fault_of(all, 2, false);
        if (from_openssl != (fault != NULL && strstr(fault, "ephemeral")))
            fail_msg("%s: %s", kinds[k].name, fault ? fault : "not noticed");
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "seal") == 0)
        return seal_in_new_process();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_seal_is_fresh),
        cmocka_unit_test(threads_share_nothing),
        cmocka_unit_test(forks_share_nothing),
        cmocka_unit_test(processes_that_start_alike_share_nothing),
        cmocka_unit_test(the_checker_catches),
        cmocka_unit_test(a_failing_generator_seals_nothing),
        cmocka_unit_test(a_generator_that_fails_between_message_and_capsule),
        cmocka_unit_test(openssl_without_the_kernel_seals_nothing),
        cmocka_unit_test(a_constant_openssl_is_caught),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
