/* Secret memory: contents, wiping, page flags, forks; records and their hashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "crypto/pgp_cert.h"
#include "crypto/record.h"
#include "server/core/secmem.h"
#include "server/core/error.h"

static void messages_keep_every_octet(void **state)
{
    static const size_t pieces[] = {1, 7, 4096, 65472, 65536, 3, 200001, 0, 13};
    struct secmem_msg m = {0};
    uint8_t *data = malloc(400000);
    size_t total = 0;
    for (size_t i = 0; i < 400000; i++)
        data[i] = (uint8_t)(i * 17 + (i >> 9));
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        assert_int_equal(secmem_msg_append(&m, data + total, pieces[i]), OK);
        total += pieces[i];
        assert_int_equal(m.len, total);
    }
    size_t at = 0;
    for (struct secmem_chunk *c = m.first; c; c = c->next) {
        assert_true(c->len <= c->cap);
        assert_true(c->next || c == m.last);
        assert_memory_equal(c->data, data + at, c->len);
        at += c->len;
    }
    assert_int_equal(at, total);
    secmem_msg_release(&m);
    assert_null(m.first);
    assert_int_equal(m.len, 0);
    secmem_msg_release(&m);
    free(data);
}

static void released_chunks_are_wiped_and_reused(void **state)
{
    struct secmem_msg m = {0};
    secmem_pool_trim();
    assert_int_equal(secmem_msg_append(&m, "a secret that must not stay", 27), OK);
    uint8_t *where = m.first->data;
    secmem_msg_release(&m);
    for (size_t i = 0; i < 27; i++)
        assert_int_equal(where[i], 0); /* still mapped: the pool keeps it */
    assert_int_equal(secmem_msg_append(&m, "b", 1), OK);
    assert_ptr_equal(m.first->data, where);
    secmem_msg_release(&m);
    secmem_pool_trim();
}

/* The flags the kernel reports of the map that holds p. */
static void flags_of(const void *p, char *out, size_t cap)
{
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[512];
    bool inside = false;
    out[0] = 0;
    while (f && fgets(line, sizeof(line), f)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = (uintptr_t)p >= from && (uintptr_t)p < to;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(out, cap, "%s", line + 8);
    }
    if (f)
        fclose(f);
}

static void pages_stay_out_of_dumps(void **state)
{
    struct secmem_msg m = {0};
    char flags[512];
    assert_int_equal(secmem_msg_append(&m, "x", 1), OK);
    flags_of(m.first->data, flags, sizeof(flags));
    assert_non_null(strstr(flags, " dd")); /* MADV_DONTDUMP */
    assert_non_null(strstr(flags, " wf")); /* MADV_WIPEONFORK */
    uint8_t *key = secmem_key_alloc(32);
    assert_non_null(key);
    flags_of(key, flags, sizeof(flags));
    assert_non_null(strstr(flags, " dd"));
    if (secmem_have_memfd_secret())
        assert_non_null(strstr(flags, " dc")); /* not copied by fork */
    secmem_key_free(key, 32);
    secmem_msg_release(&m);
}

/* Behind something else, and cut anywhere: in a chunk, at its end, behind all. */
static void pieces_are_the_message(void **state)
{
    static const size_t cuts[] = {0, 1, 65471, 65472, 65473, 199999, 200000};
    struct secmem_msg m = {0};
    uint8_t *data = malloc(200000), *joined = malloc(200004);

    for (size_t i = 0; i < 200000; i++)
        data[i] = (uint8_t)(i * 13 + (i >> 8));
    assert_int_equal(secmem_msg_append(&m, data, 200000), OK);
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]) * 2; i++) {
        const struct slice head = slice_of("head", i % 2 ? 4 : 0);
        struct iovec *v;
        size_t n, len = 0;
        assert_int_equal(secmem_msg_pieces(&m, head, cuts[i / 2], &v, &n), OK);
        for (size_t k = 0; k < n; k++) {
            assert_true(v[k].iov_len > 0);
            memcpy(joined + len, v[k].iov_base, v[k].iov_len);
            len += v[k].iov_len;
        }
        free(v);
        assert_int_equal(len, head.len + 200000 - cuts[i / 2]);
        assert_memory_equal(joined, "head", head.len);
        assert_memory_equal(joined + head.len, data + cuts[i / 2], len - head.len);
    }
    secmem_msg_release(&m);
    free(joined);
    free(data);
}

static void a_fork_sees_nothing(void **state)
{
    struct secmem_msg m = {0};
    assert_int_equal(secmem_msg_append(&m, "secret", 6), OK);
    pid_t pid = fork();
    if (pid == 0) {
        int seen = 0;
        for (int i = 0; i < 64; i++)
            seen |= ((volatile uint8_t *)((uintptr_t)m.first & ~(uintptr_t)4095))[64 + i];
        _exit(seen != 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    secmem_msg_release(&m);
}

static void keys_have_pages_of_their_own(void **state)
{
    enum { N = 40 };
    uint8_t *k[N];
    assert_null(secmem_key_alloc(4097));
    for (int i = 0; i < N; i++) {
        k[i] = secmem_key_alloc(32);
        assert_non_null(k[i]);
        for (int j = 0; j < 32; j++)
            assert_int_equal(k[i][j], 0);
        memset(k[i], i + 1, 32);
        for (int j = 0; j < i; j++)
            assert_ptr_not_equal(k[i], k[j]);
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(k[i][31], i + 1);
        secmem_key_free(k[i], 32);
    }
    uint8_t *again = secmem_key_alloc(32);
    assert_int_equal(again[0], 0);
    secmem_key_free(again, 32);
    secmem_key_free(NULL, 0);
    uint8_t *work = secmem_map(100000);
    work[99999] = 1;
    secmem_unmap(work, 100000);
    secmem_unmap(NULL, 1);
}

static void records_open_only_where_they_stand(void **state)
{
    uint8_t key[32] = {1, 2, 3}, other[32] = {1, 2, 4}, sealed[100 + RECORD_OVERHEAD], twice[100 + RECORD_OVERHEAD],
            out[100];
    struct record_keys *k = record_keys_of_root(key), *k2 = record_keys_of_root(other),
                       *same = record_keys_of_root(key);
    size_t n = 4711;
    for (size_t len = 0; len <= 100; len += 20) {
        uint8_t plain[100];
        memset(plain, 'p', sizeof(plain));
        size_t total = len + RECORD_OVERHEAD;
        record_seal(k, RECORD_MESSAGE, "place", 5, plain, len, sealed);
        record_seal(k, RECORD_MESSAGE, "place", 5, plain, len, twice);
        assert_memory_not_equal(sealed, twice, total);
        assert_int_equal(record_open(same, RECORD_MESSAGE, "place", 5, sealed, total, out, &n), OK);
        assert_int_equal(n, len);
        assert_memory_equal(out, plain, len);
        n = 4711;
        assert_int_equal(record_open(k2, RECORD_MESSAGE, "place", 5, sealed, total, out, &n), ERR_CRYPTO);
        assert_int_equal(record_open(k, RECORD_MESSAGE, "plac", 4, sealed, total, out, &n), ERR_CRYPTO);
        assert_int_equal(record_open(k, RECORD_MESSAGE, "Place", 5, sealed, total, out, &n), ERR_CRYPTO);
        for (size_t cut = 0; cut < total; cut++)
            assert_int_equal(record_open(k, RECORD_MESSAGE, "place", 5, sealed, cut, out, &n), ERR_CRYPTO);
        for (size_t bit = 8; bit < total * 8; bit += 7) {
            sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(record_open(k, RECORD_MESSAGE, "place", 5, sealed, total, out, &n), ERR_CRYPTO);
            sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        sealed[0] = 3;
        assert_int_equal(record_open(k, RECORD_MESSAGE, "place", 5, sealed, total, out, &n), ERR_VERSION);
        sealed[0] = 0;
        assert_int_equal(record_open(k, RECORD_MESSAGE, "place", 5, sealed, total, out, &n), ERR_CRYPTO);
        assert_int_equal(n, 4711);
    }
    record_keys_destroy(k);
    record_keys_destroy(k2);
    record_keys_destroy(same);
}

static void hashes_keep_lists_apart(void **state)
{
    uint8_t key[32] = {9};
    struct record_keys *k = record_keys_of_root(key);
    const struct record_part ab[] = {{"a", 1}, {"b", 1}}, joined[] = {{"ab", 2}}, shifted[] = {{"ab", 2}, {"", 0}},
                             none[] = {{NULL, 0}};
    uint8_t h[7][16];
    record_hash(k, RECORD_ADDRESS, 1, ab, 2, h[0]);
    record_hash(k, RECORD_ADDRESS, 1, joined, 1, h[1]);
    record_hash(k, RECORD_ADDRESS, 1, shifted, 2, h[2]);
    record_hash(k, RECORD_ADDRESS, 2, ab, 2, h[3]);
    record_hash(k, RECORD_DOMAIN, 1, ab, 2, h[4]);
    record_hash(k, RECORD_ADDRESS, 1, NULL, 0, h[5]);
    record_hash(k, RECORD_ADDRESS, 1, none, 1, h[6]);
    for (int i = 0; i < 7; i++) {
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(h[i], h[j], 16);
    }
    record_hash(k, RECORD_ADDRESS, 1, ab, 2, h[1]);
    assert_memory_equal(h[0], h[1], 16);
    record_keys_destroy(k);
}

static void verdicts_survive_packing(void **state)
{
    struct pgp_verdict v = {.primary_fpr_len = 32,
                            .primary_algo = 27,
                            .created = 0x01020304,
                            .expires = 0xfffffffe,
                            .enc_fpr_len = 20,
                            .enc_algo = 18,
                            .enc_octets = 2048,
                            .enc_expires = 77,
                            .native = true,
                            .prefs = {.aes256 = true}},
                       back;
    uint8_t b[PGP_VERDICT_SIZE];
    memset(v.primary_fpr, 5, 32);
    memset(v.enc_fpr, 6, 20);
    memset(&back, 0, sizeof(back));
    pgp_verdict_pack(&v, b);
    assert_int_equal(pgp_verdict_unpack(b, sizeof(b), &back), OK);
    assert_int_equal(back.created, v.created);
    assert_int_equal(back.expires, v.expires);
    assert_int_equal(back.enc_expires, 77);
    assert_memory_equal(back.primary_fpr, v.primary_fpr, 32);
    assert_memory_equal(back.enc_fpr, v.enc_fpr, 32);
    assert_int_equal(back.primary_algo, 27);
    assert_int_equal(back.enc_algo, 18);
    assert_int_equal(back.enc_octets, 2048);
    assert_true(back.native && back.prefs.aes256 && !back.prefs.seipd_v2);
    assert_int_equal(pgp_verdict_unpack(b, sizeof(b) - 1, &back), ERR_FORMAT);
    static const struct {
        size_t at;
        uint8_t value;
        int err;
    } bad[] = {{0, 0, ERR_FORMAT},  {0, 3, ERR_VERSION},    {1, 21, ERR_FORMAT},
               {43, 0, ERR_FORMAT}, {81, 0x80, ERR_FORMAT}, {95, 1, ERR_FORMAT}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t keep = b[bad[i].at];
        b[bad[i].at] = bad[i].value;
        int err = pgp_verdict_unpack(b, sizeof(b), &back);
        if (err != bad[i].err)
            fail_msg("octet %zu: %d", bad[i].at, err);
        b[bad[i].at] = keep;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_keep_every_octet),
        cmocka_unit_test(released_chunks_are_wiped_and_reused),
        cmocka_unit_test(pages_stay_out_of_dumps),
        cmocka_unit_test(a_fork_sees_nothing),
        cmocka_unit_test(pieces_are_the_message),
        cmocka_unit_test(keys_have_pages_of_their_own),
        cmocka_unit_test(records_open_only_where_they_stand),
        cmocka_unit_test(hashes_keep_lists_apart),
        cmocka_unit_test(verdicts_survive_packing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
