/* Certificates: fingerprints against gpg, the RFC's v6 sample, preferences, and everything that is no certificate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/support/pgp_open.h"
#include "crypto/pgp_armor.h"
#include "server/core/error.h"
#include "tests/support/gpg_home.h"

/* RFC 9580 appendix A.3, and the fingerprints it states. */
static const char rfc_cert[] = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n"
                               "xioGY4d/4xsAAAAg+U2nu0jWCmHlZ3BqZYfQMxmZu52JGggkLq2EVD34laPCsQYf\n"
                               "GwoAAABCBYJjh3/jAwsJBwUVCg4IDAIWAAKbAwIeCSIhBssYbE8GCaaX5NUt+mxy\n"
                               "KwwfHifBilZwj2Ul7Ce62azJBScJAgcCAAAAAK0oIBA+LX0ifsDm185Ecds2v8lw\n"
                               "gyU2kCcUmKfvBXbAf6rhRYWzuQOwEn7E/aLwIwRaLsdry0+VcallHhSu4RN6HWaE\n"
                               "QsiPlR4zxP/TP7mhfVEe7XWPxtnMUMtf15OyA51YBM4qBmOHf+MZAAAAIIaTJINn\n"
                               "+eUBXbki+PSAld2nhJh/LVmFsS+60WyvXkQ1wpsGGBsKAAAALAWCY4d/4wKbDCIh\n"
                               "BssYbE8GCaaX5NUt+mxyKwwfHifBilZwj2Ul7Ce62azJAAAAAAQBIKbpGG2dWTX8\n"
                               "j+VjFM21J0hqWlEg+bdiojWnKfA5AQpWUWtnNwDEM0g12vYxoWM8Y81W+bHBw805\n"
                               "I8kWVkXU6vFOi+HWvv/ira7ofJu16NnoUkhclkUrk0mXubZvyl4GBg==\n"
                               "-----END PGP PUBLIC KEY BLOCK-----\n";

static void hex(const uint8_t *p, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        sprintf(out + 2 * i, "%02x", p[i]);
}

static void rfc_sample(void **state)
{
    uint8_t cert[1024];
    size_t len, from, to, n = 4;
    struct pgp_key keys[4];
    struct pgp_prefs prefs;
    char text[65];
    assert_int_equal(pgp_armor_decode((const uint8_t *)rfc_cert, sizeof(rfc_cert) - 1, "PUBLIC KEY BLOCK", cert,
                                      sizeof(cert), &len, &from, &to),
                     OK);
    assert_int_equal(pgp_cert_keys(cert, len, keys, &n), OK);
    assert_int_equal(n, 2);
    hex(keys[0].fpr, 32, text);
    assert_string_equal(text, "cb186c4f0609a697e4d52dfa6c722b0c1f1e27c18a56708f6525ec27bad9acc9");
    hex(keys[1].fpr, 32, text);
    assert_string_equal(text, "12c83f1e706f6308fe151a417743a1f033790e93e9978488d1db378da9930885");
    assert_int_equal(keys[0].version, 6);
    assert_int_equal(keys[0].algo, PGP_ED25519);
    assert_int_equal(keys[1].algo, PGP_X25519);
    assert_true(keys[1].subkey);
    assert_int_equal(keys[1].created, 0x63877fe3);
    assert_int_equal(pgp_cert_prefs(cert, len, &prefs), OK);
    assert_true(prefs.seipd_v2);
    assert_true(prefs.aes256);
    n = 1;
    assert_int_equal(pgp_cert_keys(cert, len, keys, &n), ERR_LIMIT);
    for (size_t cut = 0; cut < len; cut++) { /* cut anywhere: an error, or fewer packets, never a read too far */
        uint8_t *copy = malloc(cut + 1);
        memcpy(copy, cert, cut);
        n = 4;
        (void)pgp_cert_keys(copy, cut, keys, &n);
        (void)pgp_cert_prefs(copy, cut, &prefs);
        free(copy);
    }
}

static void gpg_agrees(void **state)
{
    static const char *const kinds[][2] = {{"ed25519", "cv25519"}, {"rsa2048", "rsa3072"}, {"nistp256", "nistp384"}};
    if (system("command -v gpg > /dev/null") != 0 || gpg_home_open() != 0)
        skip();
    for (int i = 0; i < 3; i++) {
        char name[16], path[128], text[65];
        size_t len = 0, want_len = 0, n = 8;
        struct pgp_key keys[8];
        snprintf(name, sizeof(name), "k%d", i);
        uint8_t *cert = gpg_make_key(name, kinds[i][0], kinds[i][1], &len);
        assert_non_null(cert);
        assert_int_equal(pgp_cert_keys(cert, len, keys, &n), OK);
        assert_int_equal(n, 2);
        gpg_sh("gpg --batch --with-colons --with-subkey-fingerprint -k %s@example.org | sed -n "
               "'s/^fpr:*\\([0-9A-F]*\\):/\\1/p' | "
               "tr -d '\\n' | tr A-F a-f > %s/fprs",
               name, gpg_home);
        snprintf(path, sizeof(path), "%s/fprs", gpg_home);
        uint8_t *want = read_whole(path, &want_len);
        assert_int_equal(want_len, 80);
        for (int k = 0; k < 2; k++) {
            hex(keys[k].fpr, 20, text);
            assert_memory_equal(text, want + 40 * k, 40);
            assert_memory_equal(keys[k].key_id, keys[k].fpr + 12, 8);
        }
        static const unsigned bits[3] = {255, 3072, 384};
        assert_int_equal(keys[1].bits, bits[i]);
        free(want);
        /* Two certificates in one file are not one certificate. */
        uint8_t *twice = malloc(2 * len);
        memcpy(twice, cert, len);
        memcpy(twice + len, cert, len);
        n = 8;
        assert_int_equal(pgp_cert_keys(twice, 2 * len, keys, &n), ERR_FORMAT);
        free(twice);
        free(cert);
    }
    gpg_home_close();
}

/* Signatures made up here: only their subpackets count. */
struct sig {
    uint8_t type;
    uint32_t created;
    int features; /* -1: none */
    const char *ciphers, *suites;
    bool primary_uid, foreign, unhashed;
};

static size_t put_subpacket(uint8_t *out, uint8_t type, const void *v, size_t n)
{
    out[0] = (uint8_t)(n + 1);
    out[1] = type;
    memcpy(out + 2, v, n);
    return n + 2;
}

static size_t put_sig(uint8_t *out, const struct sig *s, const uint8_t *primary_fpr)
{
    uint8_t area[256], body[512] = {4, s->type, 22, 8}, issuer[21] = {4};
    size_t n = 0, b = 4;
    const uint8_t created[4] = {(uint8_t)(s->created >> 24), (uint8_t)(s->created >> 16), (uint8_t)(s->created >> 8),
                                (uint8_t)s->created};
    n += put_subpacket(area + n, 2 | 0x80, created, 4);
    if (s->features >= 0) {
        uint8_t f = (uint8_t)s->features;
        n += put_subpacket(area + n, 30, &f, 1);
    }
    if (s->ciphers)
        n += put_subpacket(area + n, 11, s->ciphers, strlen(s->ciphers));
    if (s->suites)
        n += put_subpacket(area + n, 39, s->suites, strlen(s->suites));
    if (s->primary_uid)
        n += put_subpacket(area + n, 25, "\1", 1);
    memcpy(issuer + 1, primary_fpr, 20);
    if (s->foreign)
        issuer[5] ^= 1;
    n += put_subpacket(area + n, 33, issuer, 21);
    for (int hashed = 1; hashed >= 0; hashed--) {
        size_t here = (hashed != 0) != s->unhashed ? n : 0;
        body[b++] = (uint8_t)(here >> 8);
        body[b++] = (uint8_t)here;
        memcpy(body + b, area, here);
        b += here;
    }
    memcpy(body + b, "\0\0\0\1\1\0\1\1", 8);
    b += 8;
    size_t h = pgp_packet_header(out, PGP_TAG_SIGNATURE, b);
    memcpy(out + h, body, b);
    return h + b;
}

struct cert {
    uint8_t data[8192];
    size_t len;
    uint8_t fpr[20];
};

static void cert_start(struct cert *c)
{
    uint8_t m[32] = {5};
    struct pgp_key k;
    size_t n = 1;
    c->len = test_put_key(c->data, PGP_TAG_PUBLIC_KEY, 4, PGP_ED25519, m, 32);
    assert_int_equal(pgp_cert_keys(c->data, c->len, &k, &n), OK);
    memcpy(c->fpr, k.fpr, 20);
}

static void cert_uid(struct cert *c, const char *uid)
{
    c->len += pgp_packet_header(c->data + c->len, PGP_TAG_USER_ID, strlen(uid));
    memcpy(c->data + c->len, uid, strlen(uid));
    c->len += strlen(uid);
}

static void cert_sig(struct cert *c, struct sig s)
{
    c->len += put_sig(c->data + c->len, &s, c->fpr);
}

static void expect(const struct cert *c, bool v2, bool aes256)
{
    struct pgp_prefs p;
    assert_int_equal(pgp_cert_prefs(c->data, c->len, &p), OK);
    assert_int_equal(p.seipd_v2, v2);
    assert_int_equal(p.aes256, aes256);
}

/* The newest of its own signatures, wherever it stands. */
static void signed_at(void **state)
{
    struct cert c;
    uint32_t at = 7;
    cert_start(&c);
    assert_int_equal(pgp_cert_signed_at(c.data, c.len, &at), OK);
    assert_int_equal(at, 0);
    cert_uid(&c, "a");
    cert_sig(&c, (struct sig){0x13, 300, 1, NULL, NULL});
    cert_sig(&c, (struct sig){0x13, 200, 1, NULL, NULL});
    cert_sig(&c, (struct sig){0x10, 999, 8, NULL, NULL, false, true});        /* somebody else's */
    cert_sig(&c, (struct sig){0x13, 999, 8, NULL, NULL, false, false, true}); /* its date is unsigned */
    assert_int_equal(pgp_cert_signed_at(c.data, c.len, &at), OK);
    assert_int_equal(at, 300);
    uint8_t m[32] = {6};
    c.len += test_put_key(c.data + c.len, PGP_TAG_PUBLIC_SUBKEY, 4, PGP_X25519, m, 32);
    cert_sig(&c, (struct sig){0x18, 400, -1, NULL, NULL});
    assert_int_equal(pgp_cert_signed_at(c.data, c.len, &at), OK);
    assert_int_equal(at, 400);
    assert_int_equal(pgp_cert_signed_at(c.data, c.len - 1, &at), ERR_FORMAT);
    assert_int_equal(at, 400);
}

static void preferences(void **state)
{
    struct cert c;
    cert_start(&c);
    expect(&c, false, false);
    cert_uid(&c, "a");
    cert_sig(&c, (struct sig){0x13, 100, 1, "\11\7", NULL});
    expect(&c, false, true);
    cert_sig(&c, (struct sig){0x13, 200, 9, "\11\7", "\11\2"}); /* newer */
    expect(&c, true, true);
    cert_sig(&c, (struct sig){0x13, 150, 1, "\7", NULL}); /* older, though later in the file */
    expect(&c, true, true);
    cert_sig(&c, (struct sig){0x13, 300, 7, "\11", NULL}); /* GnuPG's own AEAD is not SEIPD v2 */
    expect(&c, false, true);
    cert_sig(&c, (struct sig){0x10, 999, 8, "\11", "\11\2", false, true}); /* somebody else's */
    expect(&c, false, true);
    cert_sig(&c,
             (struct sig){0x13, 999, 8, NULL, NULL, false, false, true}); /* unhashed: anybody's word, date unsigned */
    expect(&c, false, true);
    cert_uid(&c, "b");
    cert_sig(&c, (struct sig){0x13, 400, 8, "\11", "\7\2"}); /* newer user id; AES-256 only outside AEAD */
    expect(&c, true, false);
    cert_uid(&c, "c");
    cert_sig(&c, (struct sig){0x13, 50, 1, "\7", NULL, true}); /* the primary one, though old */
    expect(&c, false, false);
    cert_sig(&c, (struct sig){0x30, 50, -1, NULL, NULL}); /* revoked: the newest of the others speaks again */
    expect(&c, true, false);
    cert_sig(&c, (struct sig){0x13, 51, 1, "\7", NULL, true}); /* and taken up again */
    expect(&c, false, false);

    cert_start(&c); /* direct key signature beside a user id's */
    cert_sig(&c, (struct sig){0x1f, 100, 8, NULL, NULL});
    expect(&c, true, false);
    cert_uid(&c, "a");
    cert_sig(&c, (struct sig){0x13, 200, -1, "\11", NULL});
    expect(&c, true, false);
    cert_sig(&c, (struct sig){0x13, 201, 1, "\11", NULL});
    expect(&c, false, true);

    cert_start(&c); /* a signature on a subkey says nothing about the certificate */
    uint8_t m[32] = {6};
    c.len += test_put_key(c.data + c.len, PGP_TAG_PUBLIC_SUBKEY, 4, PGP_X25519, m, 32);
    cert_sig(&c, (struct sig){0x18, 100, 8, "\11", "\11\2"});
    cert_sig(&c, (struct sig){0x1f, 100, 8, "\11", "\11\2"});
    expect(&c, false, false);
}

static void no_certificates(void **state)
{
    struct cert c;
    struct pgp_key keys[PGP_KEYS_MAX];
    size_t n = PGP_KEYS_MAX;
    uint8_t m[32] = {1}, *big = calloc(1, PGP_CERT_MAX + 1);
    assert_int_equal(pgp_cert_keys(m, 0, keys, &n), ERR_FORMAT);
    assert_int_equal(pgp_cert_keys((const uint8_t *)"text", 4, keys, &n), ERR_FORMAT);
    assert_int_equal(pgp_cert_keys(big, PGP_CERT_MAX + 1, keys, &n), ERR_LIMIT);
    free(big);
    static const struct {
        int tag, version;
        int err;
    } t[] = {{PGP_TAG_SECRET_KEY, 4, ERR_FORMAT},
             {PGP_TAG_PUBLIC_SUBKEY, 4, ERR_FORMAT},
             {PGP_TAG_PUBLIC_KEY, 3, ERR_UNSUPPORTED},
             {PGP_TAG_PUBLIC_KEY, 5, ERR_UNSUPPORTED},
             {PGP_TAG_PUBLIC_KEY, 2, ERR_UNSUPPORTED}};
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        c.len = test_put_key(c.data, t[i].tag, t[i].version, PGP_ED25519, m, 32);
        n = PGP_KEYS_MAX;
        assert_int_equal(pgp_cert_keys(c.data, c.len, keys, &n), t[i].err);
        assert_int_equal(n, PGP_KEYS_MAX);
    }
    cert_start(&c); /* subkey of another version; secret subkey; encrypted data inside; stated length wrong */
    size_t base = c.len;
    c.len += test_put_key(c.data + c.len, PGP_TAG_PUBLIC_SUBKEY, 6, PGP_X25519, m, 32);
    assert_int_equal(pgp_cert_keys(c.data, c.len, keys, &n), ERR_FORMAT);
    c.len = base + test_put_key(c.data + base, PGP_TAG_SECRET_SUBKEY, 4, PGP_X25519, m, 32);
    assert_int_equal(pgp_cert_keys(c.data, c.len, keys, &n), ERR_FORMAT);
    c.len = base + test_put_key(c.data + base, PGP_TAG_SEIPD, 4, PGP_X25519, m, 32);
    assert_int_equal(pgp_cert_keys(c.data, c.len, keys, &n), ERR_FORMAT);
    c.len = test_put_key(c.data, PGP_TAG_PUBLIC_KEY, 6, PGP_ED25519, m, 32);
    c.data[11]++;
    assert_int_equal(pgp_cert_keys(c.data, c.len, keys, &n), ERR_FORMAT);
    /* One key more than the list holds. */
    cert_start(&c);
    uint8_t *many = malloc(PGP_KEYS_MAX * 60 + c.len);
    memcpy(many, c.data, c.len);
    size_t len = c.len;
    for (int i = 0; i < PGP_KEYS_MAX; i++)
        len += test_put_key(many + len, PGP_TAG_PUBLIC_SUBKEY, 4, PGP_X25519, m, 32);
    n = PGP_KEYS_MAX;
    assert_int_equal(pgp_cert_keys(many, len, keys, &n), ERR_LIMIT);
    free(many);
}

/* The longest label, and not an octet more than is said. */
static void armor_fits(void **state)
{
    static const char label[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    static const uint8_t data[48] = {1};
    enum { FRAME = 112, LINE = 65 };
    uint8_t back[sizeof(data)];
    size_t len = 0, n = 0, begin, end;
    for (size_t lines = 0; lines < 2; lines++) {
        const size_t cap = FRAME + lines * LINE;
        for (size_t less = 0; less < 4; less++) {
            char *out = malloc(cap - less);
            int err = pgp_armor_encode(data, lines * sizeof(data), label, true, out, cap - less, &len);
            assert_int_equal(err, less ? ERR_LIMIT : OK);
            if (!err && lines) {
                assert_int_equal(len, cap - 1);
                assert_int_equal(pgp_armor_decode((uint8_t *)out, len, label, back, sizeof(back), &n, &begin, &end),
                                 OK);
                assert_int_equal(n, sizeof(data));
                assert_memory_equal(back, data, n);
            }
            free(out);
        }
    }
}

/* GnuPG 2.2 ends the armour at a "=" alone. Keys of version 6 may have none that is not padding. */
static void armor_ends(void **state)
{
    static const uint8_t data[99];
    char out[512];
    size_t len;
    (void)state;
    for (size_t n = 1; n < sizeof(data); n++)
        for (int checksum = 0; checksum < 2; checksum++) {
            assert_int_equal(pgp_armor_encode(data, n, "SIGNATURE", checksum, out, sizeof(out), &len), OK);
            assert_int_equal(strchr(out, '=') != NULL, checksum || n % 3);
        }
    static const uint8_t word[] = "123456789";
    assert_int_equal(pgp_armor_encode(word, 9, "SIGNATURE", true, out, sizeof(out), &len), OK);
    assert_non_null(strstr(out, "\n=Ic8C\n-----END")); /* 0x21cf02, the check value of CRC-24/OPENPGP */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_sample), cmocka_unit_test(gpg_agrees),      cmocka_unit_test(preferences),
        cmocka_unit_test(signed_at),  cmocka_unit_test(no_certificates), cmocka_unit_test(armor_fits),
        cmocka_unit_test(armor_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
