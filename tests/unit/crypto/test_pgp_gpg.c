/* GnuPG decrypts what we seal, at every size where something in the format changes. (What sq, rnp and OpenPGP.js make
 * of it, and of more kinds of keys: tests/interop/test_differential.py.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>

#include "crypto/pgp_check.h"
#include "crypto/pgp_seal.h"
#include "server/core/error.h"
#include "tests/support/gpg_home.h"

static const struct {
    const char *name, *primary, *subkey;
} kinds[] = {
    {"rsa2048", "rsa2048", "rsa2048"},
    {"rsa3072", "rsa3072", "rsa3072"},
    {"rsa1024", "rsa2048", "rsa1024"},
    {"cv25519", "ed25519", "cv25519"},
    {"p256", "nistp256", "nistp256"},
    {"p384", "nistp384", "nistp384"},
    {"p521", "nistp521", "nistp521"},
    {"bp256", "brainpoolP256r1", "brainpoolP256r1"},
    {"bp384", "brainpoolP384r1", "brainpoolP384r1"},
    {"bp512", "brainpoolP512r1", "brainpoolP512r1"},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static struct pgp_recipient *recipients[KINDS];
static struct pgp_verdict verdicts[KINDS];

struct sunk {
    uint8_t *data;
    size_t len, cap;
    size_t largest;
};

static int sink(void *arg, const uint8_t *data, size_t len)
{
    struct sunk *s = arg;
    if (s->len + len > s->cap)
        return ERR_FULL;
    memcpy(s->data + s->len, data, len);
    s->len += len;
    if (len > s->largest)
        s->largest = len;
    return OK;
}

static int group_setup(void **state)
{
    if (gpg_home_open() != 0)
        return -1;
    for (size_t i = 0; i < KINDS; i++) {
        size_t len = 0;
        uint8_t *cert = gpg_make_key(kinds[i].name, kinds[i].primary, kinds[i].subkey, &len);
        if (!cert || verdict_for(cert, len, &verdicts[i]) != OK || !verdicts[i].native ||
            pgp_recipient_create(cert, len, &verdicts[i], &recipients[i]) != OK) {
            print_error("%s: no recipient\n", kinds[i].name);
            return -1;
        }
        if (verdicts[i].prefs.seipd_v2 || !verdicts[i].prefs.aes256) {
            print_error("%s: preferences misread\n", kinds[i].name);
            return -1;
        }
        free(cert);
    }
    return 0;
}

static int group_teardown(void **state)
{
    for (size_t i = 0; i < KINDS; i++)
        pgp_recipient_destroy(recipients[i]);
    gpg_home_close();
    return 0;
}

static uint8_t *sample(size_t len)
{
    uint8_t *p = malloc(len + 1);
    uint32_t x = 2463534242u + (uint32_t)len;
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        p[i] = (uint8_t)x;
    }
    return p;
}

/* Seals in awkward pieces and checks the promised size and the gate's opinion. */
static struct sunk seal_for(struct pgp_recipient *const *r, const struct pgp_verdict *v, size_t n, const uint8_t *plain,
                            size_t len)
{
    uint64_t size = pgp_seal_size(r, n, len), got = 0;
    struct sunk s = {.data = malloc(size), .cap = size};
    size_t cut1 = len / 3, cut2 = len > 20 ? len - 7 : len / 2;
    if (cut2 < cut1)
        cut2 = cut1;
    struct iovec iov[] = {{(void *)plain, cut1},
                          {NULL, 0},
                          {(void *)(plain + cut1), cut2 - cut1},
                          {(void *)(plain + cut2), len - cut2}};
    assert_int_equal(pgp_seal(r, n, iov, 4, sink, &s, &got), OK);
    assert_int_equal(got, size);
    assert_int_equal(s.len, size);
    assert_true(s.largest <= 64 * 1024);

    struct pgp_key_ref refs[KINDS];
    struct pgp_check_result res;
    const char *why = "";
    for (size_t i = 0; i < n; i++) {
        refs[i] = (struct pgp_key_ref){.fpr_len = v[i].enc_fpr_len, .current = true};
        memcpy(refs[i].fpr, v[i].enc_fpr, 32);
    }
    if (pgp_check_message(s.data, s.len, refs, n, PGP_CHECK_SERVER_SEAL, &res, &why) != OK)
        fail_msg("the gate refuses: %s", why);
    assert_int_equal(res.pkesks, n);
    assert_int_equal(res.pkesk_version, 3);
    return s;
}

static void round_trip(size_t first, size_t n, size_t len)
{
    uint8_t *plain = sample(len);
    struct sunk s = seal_for(recipients + first, verdicts + first, n, plain, len);
    size_t got = 0;
    uint8_t *out = gpg_decrypt(s.data, s.len, &got);
    if (!out)
        fail_msg("%s: gpg does not open %zu octets", kinds[first].name, len);
    assert_int_equal(got, len);
    assert_memory_equal(out, plain, len);
    free(out);
    free(s.data);
    free(plain);
}

static void every_kind_of_key(void **state)
{
    for (size_t i = 0; i < KINDS; i++)
        round_trip(i, 1, 1000 + i);
}

static void every_size(void **state)
{
    static const size_t sizes[] = {0,     1,     15,    16,    17,    184,   185,        186,   191,   192,
                                   193,   8191,  8192,  8193,  8377,  8378,  8383,       8384,  16337, 16338,
                                   16339, 16340, 16341, 16342, 16343, 16344, 16345,      16357, 16358, 16359,
                                   16360, 16361, 16384, 65535, 65536, 65537, 1024 * 1024};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        round_trip(3, 1, sizes[i]);
    round_trip(0, 1, 0);
    round_trip(0, 1, 1024 * 1024);
}

static void several_recipients(void **state)
{
    /* Each of the three must be able to open it alone. */
    uint8_t *plain = sample(20000);
    struct sunk s = seal_for(recipients + 1, verdicts + 1, 3, plain, 20000);
    for (size_t i = 1; i < 4; i++) {
        char in[96];
        snprintf(in, sizeof(in), "%s/in", gpg_home);
        assert_int_equal(write_whole(in, s.data, s.len), 0);
        assert_int_equal(
            gpg_sh("rm -rf %s/alone && mkdir -m 700 %s/alone && gpg --batch --quiet --export-secret-keys "
                   "%s@example.org | gpg --homedir %s/alone --batch --quiet --import && gpg --homedir %s/alone "
                   "--batch --quiet -d %s > %s/out 2> %s/log; s=$?; gpgconf --homedir %s/alone --kill all; exit $s",
                   gpg_home, gpg_home, kinds[i].name, gpg_home, gpg_home, in, gpg_home, gpg_home, gpg_home),
            0);
        char out[96];
        snprintf(out, sizeof(out), "%s/out", gpg_home);
        size_t got = 0;
        uint8_t *p = read_whole(out, &got);
        assert_int_equal(got, 20000);
        assert_memory_equal(p, plain, got);
        free(p);
    }
    free(s.data);
    free(plain);
}

int main(void)
{
    if (system("command -v gpg > /dev/null") != 0) {
        print_message("gpg is missing\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_key),
        cmocka_unit_test(every_size),
        cmocka_unit_test(several_recipients),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
