/* After a message is sealed and released, neither its text nor a key to it may be left anywhere in the process: for
 * each algorithm, at 30 MB, and when the seal failed in the middle. A child seals a text that only it knows; the parent
 * opens the seal and searches the child's whole memory for what it found inside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/support/pgp_open.h"
#include "crypto/pgp_seal.h"
#include "server/core/secmem.h"
#include "server/core/error.h"

enum { TEXT = 3000, MESSAGE_MAX = 8192 };

#define SUNK_MAX MESSAGE_MAX
#include "tests/support/sunk.h"

/* Deep frames of its own, so that what libraries left on the stack stays for the search. */
static void child(const struct test_key *k, bool v2, bool leak, int out, int wait)
{
    static struct sunk s, ignored;
    struct secmem_msg m = {0};
    struct pgp_recipient *r;
    struct pgp_verdict v = k->verdict;
    uint8_t *text = secmem_map(TEXT);
    char c;
    v.prefs = (struct pgp_prefs){.seipd_v2 = v2, .aes256 = true};
    FILE *urandom = fopen("/dev/urandom", "rb");
    setvbuf(urandom, NULL, _IONBF, 0);
    if (fread(text, 1, TEXT, urandom) != TEXT || secmem_msg_append(&m, text, TEXT) != OK ||
        pgp_recipient_create(k->cert, k->cert_len, &v, &r) != OK)
        _exit(1);
    struct iovec iov = {m.first->data, m.first->len};
    const struct pgp_seal_part parts[2] = {{&iov, 1, sink, &ignored}, {&iov, 1, sink, &s}};
    if (pgp_seal_parts(&r, 1, parts, 2) != OK)
        _exit(1);
    secmem_unmap(text, TEXT);
    if (!leak)
        secmem_msg_release(&m);
    if (write(out, s.data, s.len) != (ssize_t)s.len || close(out) != 0)
        _exit(1);
    _exit(read(wait, &c, 1) < 0);
}

static size_t count_in(const uint8_t *hay, size_t len, const uint8_t *needle, size_t n)
{
    size_t found = 0;
    for (const uint8_t *p = hay; (p = memmem(p, len - (size_t)(p - hay), needle, n)); p++)
        found++;
    return found;
}

static size_t search(pid_t pid, const uint8_t *needle, size_t n)
{
    char path[64], line[512];
    size_t found = 0;
    enum { STEP = 1 << 20 };
    uint8_t *block = malloc(STEP + 64);
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "r");
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    int mem = open(path, O_RDONLY | O_CLOEXEC);
    assert_non_null(maps);
    assert_true(mem >= 0);
    while (fgets(line, sizeof(line), maps)) {
        unsigned long from, to;
        char perm[5];
        if (sscanf(line, "%lx-%lx %4s", &from, &to, perm) != 3 || perm[0] != 'r' || perm[1] != 'w')
            continue;
        if (to - from > (1ul << 32)) /* a sanitizer's shadow */
            continue;
        for (unsigned long at = from; at < to; at += STEP) {
            size_t want = to - at < STEP + 64 ? to - at : STEP + 64;
            ssize_t got = pread(mem, block, want, (off_t)at);
            if (got > 0)
                found += count_in(block, (size_t)got, needle, n);
        }
    }
    fclose(maps);
    close(mem);
    free(block);
    return found;
}

static void look(uint8_t algo, const uint8_t *oid, int version, bool v2, bool leak)
{
    struct test_key k;
    static const uint8_t none[16];
    struct test_session session = {0};
    int out[2], wait[2], status;
    uint8_t msg[MESSAGE_MAX], text[MESSAGE_MAX];
    size_t len = 0, got = 0;
    ssize_t n;
    assert_int_equal(test_key_make(&k, version, algo, oid), 0);
    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(wait), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(wait[1]); /* its end is what the child waits for */
        child(&k, v2, leak, out[1], wait[0]);
    }
    close(out[1]);
    while ((n = read(out[0], msg + len, sizeof(msg) - len)) > 0)
        len += (size_t)n;
    assert_int_equal(test_open(&k, msg, len, text, &got, &session), 0);
    assert_int_equal(got, TEXT);
    assert_int_equal(session.len, 32);
    size_t texts = search(pid, text + 16, 16) + search(pid, text + TEXT / 2, 16) + search(pid, text + TEXT - 16, 16);
    size_t keys = search(pid, session.key, 16) + search(pid, session.key + 16, 16);
    if (memcmp(session.kek, none, 16) != 0) {
        uint8_t turned[16]; /* as a big number lies in memory */
        for (int i = 0; i < 16; i++)
            turned[i] = session.shared[15 - i];
        keys += search(pid, session.kek, 16) + search(pid, session.shared, 16) + search(pid, turned, 16);
    }
    size_t control = search(pid, msg + len - 32, 16); /* the ciphertext is there: the search works */
    close(wait[1]);
    close(wait[0]);
    close(out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    test_key_free(&k);
    assert_true(control > 0);
    if (leak)
        assert_true(texts >= 3);
    else if (texts || keys)
        fail_msg("algorithm %d, v%d: %zu pieces of text, %zu of the keys", algo, v2 ? 2 : 1, texts, keys);
}

static void nothing_is_left(void **state)
{
    look(PGP_ECDH, test_oid_25519, 4, false, false);
    look(PGP_X25519, NULL, 6, true, false);
    look(PGP_X25519, NULL, 4, false, false);
    look(PGP_RSA, NULL, 4, false, false);
    look(PGP_RSA, NULL, 4, true, false);
    look(PGP_X448, NULL, 6, true, false);
    look(PGP_X448, NULL, 4, false, false);
    static const uint8_t *const curves[] = {test_oid_p256,  test_oid_p384,  test_oid_p521,
                                            test_oid_bp256, test_oid_bp384, test_oid_bp512};
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
        look(PGP_ECDH, curves[i], 4, i & 1, false);
}

static void the_search_would_find_it(void **state)
{
    look(PGP_X25519, NULL, 6, true, true);
}

/* ---- 30 MB, and seals that fail ---- */

enum { LARGE = 30 * 1024 * 1024, PATTERN = 64 };

struct pipe_sink {
    int fd;
    unsigned calls, fail_at;
};

static int sink_to_pipe(void *arg, const uint8_t *data, size_t len)
{
    struct pipe_sink *s = arg;
    if (++s->calls == s->fail_at)
        return ERR_FULL;
    for (size_t at = 0; at < len;) {
        ssize_t n = write(s->fd, data + at, len - at);
        if (n <= 0)
            _exit(2);
        at += (size_t)n;
    }
    return OK;
}

/* The text is one random pattern over and over: any piece of it that is left holds the pattern's first half. A message
 * and its capsule, as a mail has them; a fifth argument other than 0 lets the large one fail at that block. */
static void large_child(const struct test_key *k, bool v2, unsigned fail_at, int out, int wait)
{
    struct secmem_msg m = {0};
    struct pgp_recipient *r;
    struct pgp_verdict v = k->verdict;
    uint8_t *pattern = secmem_map(PATTERN * 64);
    struct pipe_sink capsule = {.fd = out}, large = {.fd = out, .fail_at = fail_at};
    char c;
    v.prefs = (struct pgp_prefs){.seipd_v2 = v2, .aes256 = true};
    if (!pattern || syscall(SYS_getrandom, pattern, PATTERN, 0) != PATTERN ||
        pgp_recipient_create(k->cert, k->cert_len, &v, &r) != OK)
        _exit(1);
    for (size_t i = 1; i < 64; i++)
        memcpy(pattern + i * PATTERN, pattern, PATTERN);
    for (size_t at = 0; at < LARGE; at += PATTERN * 64) {
        if (secmem_msg_append(&m, pattern, PATTERN * 64) != OK)
            _exit(1);
    }
    size_t n = 0;
    struct iovec *pieces = calloc(LARGE / 60000, sizeof(*pieces));
    for (struct secmem_chunk *chunk = m.first; chunk; chunk = chunk->next)
        pieces[n++] = (struct iovec){chunk->data, chunk->len};
    struct iovec head = {pattern, PATTERN * 8};
    const struct pgp_seal_part parts[2] = {{&head, 1, sink_to_pipe, &capsule}, {pieces, n, sink_to_pipe, &large}};
    if (pgp_seal_parts(&r, 1, parts, 2) != (fail_at ? ERR_FULL : OK))
        _exit(1);
    secmem_unmap(pattern, PATTERN * 64);
    secmem_msg_release(&m);
    if (close(out) != 0)
        _exit(1);
    _exit(read(wait, &c, 1) < 0);
}

static void look_large(uint8_t algo, const uint8_t *oid, int version, bool v2, unsigned fail_at)
{
    struct test_key k;
    struct test_session session = {0};
    int out[2], wait[2], status;
    uint8_t *msg = malloc(LARGE + (1 << 20)), *text = malloc(LARGE + (1 << 20));
    size_t len = 0, got = 0, first, pos = 0, seipd;
    struct pgp_packet p;
    ssize_t n;
    assert_int_equal(test_key_make(&k, version, algo, oid), 0);
    assert_int_equal(pipe(out) | pipe(wait), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(wait[1]);
        large_child(&k, v2, fail_at, out[1], wait[0]);
    }
    close(out[1]);
    while ((n = read(out[0], msg + len, LARGE + (1 << 20) - len)) > 0)
        len += (size_t)n;
    /* The capsule comes first: two packets. */
    assert_int_equal(pgp_packet_next(msg, len, &pos, &p), OK);
    assert_int_equal(pgp_packet_next(msg, len, &pos, &p), OK);
    first = pos;
    assert_int_equal(test_open(&k, msg, first, text, &got, &session), 0);
    assert_int_equal(got, PATTERN * 8);
    size_t pieces = search(pid, text, PATTERN / 2),
           keys = search(pid, session.key, 16) + search(pid, session.key + 16, 16);
    if (!fail_at) {
        assert_int_equal(test_open(&k, msg + first, len - first, text, &got, &session), 0);
        assert_int_equal(got, LARGE);
        keys += search(pid, session.key, 16) + search(pid, session.key + 16, 16);
    } else if (test_open_session(&k, msg + first, len - first, &session, &seipd) == 0) {
        keys += search(pid, session.key, 16) + search(pid, session.key + 16, 16);
    }
    close(wait[1]), close(wait[0]), close(out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    test_key_free(&k);
    free(msg);
    free(text);
    if (pieces || keys)
        fail_msg("algorithm %d, v%d, 30 MB, failing at block %u: %zu pieces of text, %zu of the keys", algo, v2 ? 2 : 1,
                 fail_at, pieces, keys);
}

static void nothing_is_left_of_30_mb(void **state)
{
    look_large(PGP_ECDH, test_oid_25519, 4, false, 0);
    look_large(PGP_X25519, NULL, 6, true, 0);
    look_large(PGP_RSA, NULL, 4, false, 0);
}

static void nothing_is_left_of_a_seal_that_failed(void **state)
{
    static const unsigned at[] = {1, 200};
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        look_large(PGP_ECDH, test_oid_25519, 4, false, at[i]);
        look_large(PGP_X25519, NULL, 6, true, at[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_left),
        cmocka_unit_test(the_search_would_find_it),
        cmocka_unit_test(nothing_is_left_of_30_mb),
        cmocka_unit_test(nothing_is_left_of_a_seal_that_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
