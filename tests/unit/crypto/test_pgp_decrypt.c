/* Opening what others encrypt to a submission address: all that GnuPG writes, and nothing that was changed, cut short,
 * is another's, or takes more than it may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>
#include <sodium.h>
#include <zlib.h>

#include "crypto/pgp_judge.h"
#include "crypto/pgp_seal.h"
#include "crypto/wks_key.h"
#include "server/core/error.h"
#include "tests/support/gpg_home.h"

enum { SUNK_MAX = 2 * 1024 * 1024, CAP = 128 * 1024 };
#include "tests/support/sunk.h"

#define DOMAIN "example.org"
#define ADDRESS WKS_LOCAL_PART "@" DOMAIN

static struct record_keys *keys;
static struct pgp_decrypt_key key, other;
static struct pgp_recipient *to;
static uint8_t cert[WKS_CERT_MAX], opened[CAP];
static size_t cert_len, opened_len;
static struct sunk sealed;

static int recipient(const uint8_t *c, size_t len, struct pgp_recipient **ret)
{
    struct pgp_judged *j = calloc(1, sizeof(*j));
    int err = pgp_judge(c, len, 1800000000, j);
    if (err == OK)
        err = pgp_recipient_create(c, len, &j->verdict, ret);
    free(j);
    return err;
}

static int setup(void **state)
{
    static const uint8_t root[32] = {7};
    uint8_t elsewhere[WKS_CERT_MAX];
    size_t len;
    (void)state;
    keys = record_keys_of_root(root);
    if (gpg_home_open() != 0 || keys == NULL || wks_key_make(keys, DOMAIN, cert, &cert_len, &key) != OK ||
        wks_key_make(keys, "example.com", elsewhere, &len, &other) != OK || recipient(cert, cert_len, &to) != OK)
        return -1;
    char path[128];
    snprintf(path, sizeof(path), "%s/cert", gpg_home);
    return write_whole(path, cert, cert_len) ||
           gpg_sh("gpg --batch -q --import $GNUPGHOME/cert 2>$GNUPGHOME/err || { cat $GNUPGHOME/err; false; }");
}

static int teardown(void **state)
{
    (void)state;
    pgp_recipient_destroy(to);
    record_keys_destroy(keys);
    gpg_home_close();
    return 0;
}

static int open_with(const struct pgp_decrypt_key *k, const uint8_t *m, size_t len)
{
    opened_len = 0;
    return pgp_decrypt(k, slice_of(m, len), opened, CAP, &opened_len);
}

/* ---- the key ---- */

static void test_key_is_the_same_each_time(void **state)
{
    struct pgp_decrypt_key again;
    uint8_t c[WKS_CERT_MAX];
    size_t len;
    (void)state;
    assert_int_equal(wks_key_make(keys, DOMAIN, c, &len, &again), OK);
    assert_int_equal(len, cert_len);
    assert_memory_equal(c, cert, len);
    assert_memory_equal(&again, &key, sizeof(key));
    assert_memory_not_equal(&other, &key, sizeof(key));
}

/* GnuPG takes the certificate, and finds in it what it is for. */
static void test_gpg_takes_it(void **state)
{
    (void)state;
    assert_int_equal(gpg_sh("gpg --batch --with-colons --check-sigs " ADDRESS " >$GNUPGHOME/list 2>&1 && "
                            "grep -q '^uid:-:.*:" ADDRESS
                            ":' $GNUPGHOME/list && grep -q '^sub:-:255:18:' $GNUPGHOME/list && "
                            "[ $(grep -c '^sig:!' $GNUPGHOME/list) = 2 ] || { cat $GNUPGHOME/list; false; }"),
                     0);
}

/* ---- what GnuPG writes ---- */

static const char TEXT[] = "Content-Type: application/pgp-keys\n\nsome text, again some text, and again some text\n";

static uint8_t *encrypt(const char *how, const void *text, size_t len, size_t *ret_len)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/plain", gpg_home);
    assert_int_equal(write_whole(path, text, len), 0);
    snprintf(path, sizeof(path), "%s/message", gpg_home);
    assert_int_equal(gpg_sh("gpg --batch -q --yes --no-options --always-trust -o $GNUPGHOME/message %s "
                            "<$GNUPGHOME/plain 2>$GNUPGHOME/err || { cat $GNUPGHOME/err; false; }",
                            how),
                     0);
    uint8_t *m = read_whole(path, ret_len);
    assert_non_null(m);
    return m;
}

static void test_gpg_writes(void **state)
{
    static const struct {
        const char *how;
        int is;
    } rows[] = {
        {"-r " ADDRESS " -e", OK},
        {"-z0 -r " ADDRESS " -e", OK},
        {"--compress-algo zip -r " ADDRESS " -e", OK},
        {"--compress-algo zlib -r " ADDRESS " -e", OK},
        {"--compress-algo bzip2 -r " ADDRESS " -e", ERR_UNSUPPORTED},
        {"-R " ADDRESS " -e", OK},
        {"-r ann -r " ADDRESS " -e", OK},
        {"-R ann -R ann -r " ADDRESS " -e", OK},
        {"-u ann -r " ADDRESS " -se", OK},
        {"-u ann --compress-algo zlib -r " ADDRESS " -se", OK},
        {"--cipher-algo AES -r " ADDRESS " -e", OK},
        {"--cipher-algo AES192 -r " ADDRESS " -e", OK},
        {"--cipher-algo 3DES -r " ADDRESS " -e", ERR_UNSUPPORTED},
        {"--cipher-algo TWOFISH -r " ADDRESS " -e", ERR_UNSUPPORTED},
        {"-r ann -e", ERR_CRYPTO},
        {"-u ann -s", ERR_FORMAT},
        {"--pinentry-mode loopback --passphrase x -c", ERR_UNSUPPORTED},
        {"--pinentry-mode loopback --passphrase x -r " ADDRESS " -ce", ERR_UNSUPPORTED},
    };
    static uint8_t large[100 * 1000];
    size_t len;
    (void)state;
    free(gpg_make_key("ann", "ed25519", "cv25519", &len));
    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (uint8_t)(i * i >> 8);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (int much = 0; much < 2; much++) {
            const void *text = much ? (const void *)large : TEXT;
            const size_t n = much ? sizeof(large) : sizeof(TEXT) - 1;
            uint8_t *m = encrypt(rows[i].how, text, n, &len);
            int err = open_with(&key, m, len);
            if (err != rows[i].is)
                print_error("%s: %d\n", rows[i].how, err);
            assert_int_equal(err, rows[i].is);
            assert_true(err != OK || (opened_len == n && !memcmp(opened, text, n)));
            assert_true(err != OK || open_with(&other, m, len) == ERR_CRYPTO);
            free(m);
        }
}

/* ---- hostile ---- */

static void seal(struct pgp_recipient *const *r, size_t n, const void *text, size_t len)
{
    const struct iovec in = {(void *)(uintptr_t)text, len};
    sealed.len = 0;
    assert_int_equal(pgp_seal(r, n, &in, 1, sink, &sealed, NULL), OK);
}

/* Nothing that was changed anywhere is opened, nor what was cut short or goes on. */
static void test_changed(void **state)
{
    static uint8_t bad[1024];
    unsigned unseen = 0;
    (void)state;
    seal(&to, 1, TEXT, sizeof(TEXT) - 1);
    assert_int_equal(open_with(&key, sealed.data, sealed.len), OK);
    assert_int_equal(opened_len, sizeof(TEXT) - 1);
    assert_true(sealed.len < sizeof(bad));
    for (size_t i = 0; i < sealed.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            memcpy(bad, sealed.data, sealed.len);
            bad[i] ^= (uint8_t)(1 << bit);
            const int err = open_with(&key, bad, sealed.len);
            if (err == OK) { /* the one bit that X25519 does not look at (RFC 7748 section 5) */
                assert_int_equal(bit, 7);
                assert_int_equal(opened_len, sizeof(TEXT) - 1);
                assert_memory_equal(opened, TEXT, opened_len);
                unseen++;
            } else if (err != ERR_CRYPTO && err != ERR_FORMAT && err != ERR_UNSUPPORTED) {
                fail_msg("octet %zu, bit %d: %d", i, bit, err);
            }
        }
    assert_int_equal(unseen, 1);
    for (size_t n = 0; n < sealed.len; n++)
        assert_int_not_equal(open_with(&key, sealed.data, n), OK);
    memcpy(bad, sealed.data, sealed.len);
    memcpy(bad + sealed.len, (const uint8_t[]){0xc0 | PGP_TAG_MARKER, 3, 'P', 'G', 'P'}, 5);
    assert_int_equal(open_with(&key, bad, sealed.len + 5), ERR_FORMAT);
}

/* The container as one without integrity (tag 9), of another version, or with the code taken off it. */
static void test_stripped(void **state)
{
    static uint8_t bad[1024];
    struct pgp_packet p, box;
    size_t pos = 0, at;
    (void)state;
    seal(&to, 1, TEXT, sizeof(TEXT) - 1);
    assert_int_equal(pgp_packet_next(sealed.data, sealed.len, &pos, &p), OK);
    at = pos;
    assert_int_equal(pgp_packet_next(sealed.data, sealed.len, &pos, &box), OK);
    assert_int_equal(box.tag, PGP_TAG_SEIPD);
    for (int way = 0; way < 4; way++) {
        memcpy(bad, sealed.data, at);
        size_t n = at, skip = way == 0, cut = way == 1 ? 22 : way == 2 ? box.body_len - 5 : 0;
        n += pgp_packet_header(bad + n, way == 0 ? PGP_TAG_SED : PGP_TAG_SEIPD, box.body_len - skip - cut);
        memcpy(bad + n, box.body + skip, box.body_len - skip - cut);
        if (way == 3)
            bad[n] = 2;
        n += box.body_len - skip - cut;
        static const int is[] = {ERR_UNSUPPORTED, ERR_CRYPTO, ERR_FORMAT, ERR_UNSUPPORTED};
        assert_int_equal(open_with(&key, bad, n), is[way]);
    }
}

/* Thousands of session keys for us or for whom it may concern; one of version 6 in front. */
static void test_many_session_keys(void **state)
{
    static uint8_t bad[PGP_DECRYPT_MAX + 1];
    struct pgp_packet p;
    size_t pos = 0, n = 0;
    (void)state;
    seal(&to, 1, TEXT, sizeof(TEXT) - 1);
    assert_int_equal(pgp_packet_next(sealed.data, sealed.len, &pos, &p), OK);
    for (size_t before = 0; before <= 4000; before = before ? before * 2 : 1) {
        n = 0;
        for (size_t i = 0; i < before; i++, n += pos) {
            memcpy(bad + n, sealed.data, pos);
            bad[n + pos - 1] ^= 1; /* it does not open */
            if (before > PGP_DECRYPT_TRIES_MAX)
                bad[n + 5] ^= 1; /* and is for somebody else */
        }
        memcpy(bad + n, sealed.data, sealed.len);
        const int want = before + 1 > PGP_DECRYPT_PKESKS_MAX || before == PGP_DECRYPT_TRIES_MAX ? ERR_LIMIT : OK;
        assert_int_equal(open_with(&key, bad, n + sealed.len), want);
    }
    static const uint8_t six[] = {0xc0 | PGP_TAG_PKESK, 4, 6, 0, 25, 0};
    memcpy(bad, six, sizeof(six));
    memcpy(bad + sizeof(six), sealed.data, sealed.len);
    assert_int_equal(open_with(&key, bad, sizeof(six) + sealed.len), ERR_UNSUPPORTED);
    memset(bad, 0, sizeof(bad));
    assert_int_equal(open_with(&key, bad, sizeof(bad)), ERR_LIMIT);
}

static void test_too_long(void **state)
{
    static uint8_t text[CAP + 1];
    (void)state;
    seal(&to, 1, text, CAP);
    assert_int_equal(open_with(&key, sealed.data, sealed.len), OK);
    assert_int_equal(opened_len, CAP);
    seal(&to, 1, text, CAP + 1);
    assert_int_equal(open_with(&key, sealed.data, sealed.len), ERR_LIMIT);
}

/* ---- what a container holds ---- */

static uint8_t made[4 * 1024 * 1024];

static int read_made(size_t n)
{
    opened_len = 0;
    return pgp_literal_read(slice_of(made, n), opened, CAP, &opened_len);
}

static size_t put(size_t at, enum pgp_tag tag, const void *body, size_t len)
{
    at += pgp_packet_header(made + at, tag, len);
    memcpy(made + at, body, len);
    return at + len;
}

static const uint8_t literal[] = {'b', 1, 'x', 0, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'};

static size_t put_compressed(const void *in, size_t in_len, bool raw, bool indeterminate)
{
    static uint8_t packed[1024 * 1024];
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, raw ? -15 : 15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    packed[0] = raw ? 1 : 2;
    z.next_in = (uint8_t *)(uintptr_t)in;
    z.avail_in = (uInt)in_len;
    z.next_out = packed + 1;
    z.avail_out = sizeof(packed) - 1;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t n = 1 + z.total_out;
    deflateEnd(&z);
    if (!indeterminate)
        return put(0, PGP_TAG_COMPRESSED, packed, n);
    made[0] = 0xa3;
    memcpy(made + 1, packed, n);
    return n + 1;
}

static void test_compressed(void **state)
{
    static uint8_t plain[16 * 1024 * 1024];
    (void)state;
    size_t n = pgp_packet_header(plain, PGP_TAG_LITERAL, sizeof(literal));
    memcpy(plain + n, literal, sizeof(literal));
    n += sizeof(literal);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(read_made(put_compressed(plain, n, i & 1, i & 2)), OK);
        assert_int_equal(opened_len, 5);
        assert_memory_equal(opened, "hello", 5);
    }
    /* Twice compressed; with something behind it; cut short; of no known way. */
    size_t once = put_compressed(plain, n, false, false);
    static uint8_t twice[1024];
    memcpy(twice, made, once);
    assert_int_equal(read_made(put_compressed(twice, once, false, false)), ERR_FORMAT);
    once = put_compressed(plain, n, false, false);
    assert_int_equal(read_made(put(once, PGP_TAG_LITERAL, literal, sizeof(literal))), ERR_FORMAT);
    once = put_compressed(plain, n, false, true);
    for (size_t cut = 1; cut < once; cut++)
        assert_int_not_equal(read_made(cut), OK);
    made[1] = 3;
    assert_int_equal(read_made(once), ERR_UNSUPPORTED);
    made[1] = 0; /* none at all */
    memcpy(made + 2, plain, n);
    assert_int_equal(read_made(n + 2), OK);
    /* A bomb: 16 MB of one octet, of a literal packet that long. */
    n = pgp_packet_header(plain, PGP_TAG_LITERAL, sizeof(plain) - 6);
    memcpy(plain + n, literal, 7);
    once = put_compressed(plain, sizeof(plain), false, true);
    assert_true(once < 32 * 1024);
    assert_int_equal(read_made(once), ERR_LIMIT);
}

static void test_packets_inside(void **state)
{
    static const uint8_t junk[64] = {4};
    (void)state;
    size_t n = put(0, PGP_TAG_ONE_PASS, junk, 13);
    n = put(n, PGP_TAG_LITERAL, literal, sizeof(literal));
    n = put(n, PGP_TAG_SIGNATURE, junk, sizeof(junk));
    assert_int_equal(read_made(n), OK);
    assert_int_equal(opened_len, 5);
    assert_int_equal(read_made(put(n, PGP_TAG_LITERAL, literal, sizeof(literal))), ERR_FORMAT); /* two */
    assert_int_equal(read_made(put(n, PGP_TAG_PKESK, junk, sizeof(junk))), ERR_FORMAT);
    assert_int_equal(read_made(put(0, PGP_TAG_SIGNATURE, junk, sizeof(junk))), ERR_FORMAT); /* none */
    n = put(0, PGP_TAG_LITERAL, literal, sizeof(literal));
    for (int i = 0; i <= PGP_DECRYPT_SIGNATURES_MAX; i++)
        n = put(n, PGP_TAG_SIGNATURE, junk, sizeof(junk));
    assert_int_equal(read_made(n), ERR_LIMIT);
    assert_int_equal(read_made(0), ERR_FORMAT);
    for (size_t len = 0; len < 7; len++)
        assert_int_equal(read_made(put(0, PGP_TAG_LITERAL, literal, len)), ERR_FORMAT);
    n = put(0, PGP_TAG_LITERAL, (const uint8_t[]){'b', 255, 0, 0, 0, 0, 0}, 7); /* a name that is longer than all */
    assert_int_equal(read_made(n), ERR_FORMAT);
}

/* Section 4.2.1.4. */
static void test_partial(void **state)
{
    static uint8_t body[3000];
    size_t n = 0;
    (void)state;
    body[0] = 'b';
    for (size_t i = 6; i < sizeof(body); i++)
        body[i] = (uint8_t)(i * 7);
    made[n++] = 0xc0 | PGP_TAG_LITERAL;
    size_t at = 0;
    for (size_t left = sizeof(body); left;) {
        size_t take = left > 512 ? 512 : left;
        if (left > 512) {
            made[n++] = 224 + 9;
        } else {
            made[n++] = (uint8_t)(192 + (take - 192) / 256);
            made[n++] = (uint8_t)(take - 192);
        }
        memcpy(made + n, body + at, take);
        n += take;
        at += take;
        left -= take;
    }
    assert_int_equal(read_made(n), OK);
    assert_int_equal(opened_len, sizeof(body) - 6);
    assert_memory_equal(opened, body + 6, opened_len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_is_the_same_each_time),
        cmocka_unit_test(test_gpg_takes_it),
        cmocka_unit_test(test_gpg_writes),
        cmocka_unit_test(test_changed),
        cmocka_unit_test(test_stripped),
        cmocka_unit_test(test_many_session_keys),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_compressed),
        cmocka_unit_test(test_packets_inside),
        cmocka_unit_test(test_partial),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
