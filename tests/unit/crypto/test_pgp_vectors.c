/* Published test vectors: RFC 3394 (key wrap), RFC 5869 (HKDF) and RFC 7253 (OCB) against the sealing engine, RFC
 * 9580's OCB sample against the decryptor that judges our seals. (RFC 9580's X25519 sample: test_pgp_seal.c. RFC 7748:
 * there.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/support/pgp_open.h"
#include "crypto/pgp_internal.h"
#include "crypto/pgp_seal.h"
#include "server/core/error.h"

static size_t hex(const char *text, uint8_t *out)
{
    size_t n = 0;
    unsigned octet;
    for (; sscanf(text, " %2x", &octet) == 1; text += strspn(text, " ") + 2)
        out[n++] = (uint8_t)octet;
    return n;
}

/* RFC 3394 section 4. */
static void key_wrap(void **state)
{
    static const char kek[] = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";
    static const char data[] = "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F";
    static const struct {
        size_t kek, data;
        const char *wrapped;
    } v[] = {
        {16, 16, "1FA68B0A8112B447 AEF34BD8FB5A7B82 9D3E862371D2CFE5"},
        {24, 16, "96778B25AE6CA435 F92B5B97C050AED2 468AB8A17AD84E5D"},
        {32, 16, "64E8C3F9CE0F5BA2 63E9777905818A2A 93C8191E7D6E8AE7"},
        {24, 24, "031D33264E15D332 68F24EC260743EDC E1C6C7DDEE725A93 6BA814915C6762D2"},
        {32, 24, "A8F9BC1612C68B3F F6E6F4FBE30E71E4 769C8B80A32CB895 8CD5D17D6B254DA1"},
        {32, 32, "28C9F404C4B810F4 CBCCB35CFB87F826 3F5786E2D80ED326 CBC7F0E71A99F43B FB988B9B7A02DD21"},
    };
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        uint8_t k[32], in[32], want[40], out[40], back[32];
        hex(kek, k);
        hex(data, in);
        assert_int_equal(hex(v[i].wrapped, want), v[i].data + 8);
        assert_int_equal(pgp_key_wrap(pgp_engine(), k, v[i].kek, in, v[i].data, out), OK);
        assert_memory_equal(out, want, v[i].data + 8);
        assert_int_equal(test_unwrap(k, v[i].kek, want, v[i].data + 8, back), 0);
        assert_memory_equal(back, in, v[i].data);
    }
}

/* RFC 5869 appendix A.1, and A.3: without salt and info. */
static void hkdf(void **state)
{
    uint8_t ikm[22], salt[13], info[10], out[42], want[42];
    struct pgp_engine *e = pgp_engine();
    memset(ikm, 0x0b, sizeof(ikm));
    for (uint8_t i = 0; i < 13; i++)
        salt[i] = i;
    for (uint8_t i = 0; i < 10; i++)
        info[i] = 0xf0 | i;
    /* In two parts: they are hashed as one. */
    const struct pgp_part parts[] = {{ikm, 5}, {ikm + 5, 17}};
    assert_int_equal(pgp_hkdf(e, e->sha256, (struct pgp_part){salt, 13}, parts, 2, (struct pgp_part){info, 10}, out,
                              42),
                     OK);
    hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865", want);
    assert_memory_equal(out, want, 42);
    assert_int_equal(pgp_hkdf(e, e->sha256, (struct pgp_part){NULL, 0}, parts, 2, (struct pgp_part){"", 0}, out, 42),
                     OK);
    hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8", want);
    assert_memory_equal(out, want, 42);
}

/* RFC 7253 appendix A: the sample with sixteen octets each of associated data and text. Its nonces have 12 octets. */
static void ocb(void **state)
{
    EVP_CIPHER_CTX *c = pgp_engine()->ocb[0];
    uint8_t key[16], nonce[12], want[32], out[32];
    int n, m;
    for (uint8_t i = 0; i < 16; i++)
        key[i] = i;
    hex("BBAA99887766554433221104", nonce);
    hex("571D535B60B277188BE5147170A9A22C 3AD7A4FF3835B8C5701C1CCEC8FC3358", want);
    assert_true(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL));
    assert_true(EVP_EncryptInit_ex2(c, NULL, key, nonce, NULL) && EVP_EncryptUpdate(c, NULL, &n, key, 16) &&
                EVP_EncryptUpdate(c, out, &n, key, 16) && EVP_EncryptFinal_ex(c, out + n, &m) && n + m == 16 &&
                EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, out + 16));
    assert_true(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 15, NULL));
    assert_memory_equal(out, want, 32);
}

/* RFC 9580 appendix A.10: the container, whose session key is given; behind the literal packet stands padding. */
static void rfc_9580_ocb_container(void **state)
{
    uint8_t packet[128], out[128];
    struct test_session s = {.len = 16};
    struct pgp_packet p, literal, padding;
    size_t pos = 0, got = 0;
    size_t len = hex("d2690207020620a661f731fc9a3032b5623326027e3a5d8db5748ebeff0b0c5910d09ecdd641ff9fd3856275803"
                     "5bc49754ce1bf3fffa7dad0a3b8104f5133cf42a4100a83eef4ca1b4801a8846bf42bcda7c8ce9d65e212f301cb"
                     "cd98fdcade694a877ad4247323f6e857",
                     packet);
    hex("28e79ab82397d3c63de24ac217d7b791", s.key);
    assert_int_equal(pgp_packet_next(packet, len, &pos, &p), OK);
    assert_int_equal(pos, len);
    assert_int_equal(test_open_v2(&s, p.body, p.body_len, out, &got), 0);
    pos = 0;
    assert_int_equal(pgp_packet_next(out, got, &pos, &literal), OK);
    assert_int_equal(pgp_packet_next(out, got, &pos, &padding), OK);
    assert_int_equal(pos, got);
    assert_int_equal(literal.tag, PGP_TAG_LITERAL);
    assert_int_equal(padding.tag, PGP_TAG_PADDING);
    assert_int_equal(literal.body_len, 6 + 13);
    assert_memory_equal(literal.body + 6, "Hello, world!", 13);
    for (size_t i = 4; i < p.body_len; i++) {
        uint8_t bent[128];
        memcpy(bent, p.body, p.body_len);
        bent[i] ^= 1;
        assert_int_not_equal(test_open_v2(&s, bent, p.body_len, out, &got), 0);
    }
}

/* ---- a generator that gives what it is told ---- */

static uint8_t queue[128];
static size_t queued;

__attribute__((visibility("default"))) ssize_t getrandom(void *out, size_t len, unsigned flags);
ssize_t getrandom(void *out, size_t len, unsigned flags)
{
    if (!queued)
        return syscall(SYS_getrandom, out, len, flags);
    assert_true(len <= queued);
    memcpy(out, queue, len);
    memmove(queue, queue + len, queued -= len);
    return (ssize_t)len;
}

static int sink(void *arg, const uint8_t *data, size_t len)
{
    struct iovec *to = arg;
    memcpy((uint8_t *)to->iov_base + to->iov_len, data, len);
    to->iov_len += len;
    return OK;
}

/* RFC 9580 appendix A.8.1: with the session key and the ephemeral key of the sample our packet is the sample's, octet
 * by octet. (The container is not: its chunks have another size.) */
static void rfc_9580_x25519_session_key_packet(void **state)
{
    uint8_t cert[256], want[128], out[512], primary[32] = {0};
    struct pgp_key keys[2];
    struct pgp_recipient *r;
    struct iovec in = {(char[]){"Hello, world!"}, 13}, to = {out, 0};
    size_t count = 2, len = test_put_key(cert, PGP_TAG_PUBLIC_KEY, 6, PGP_ED25519, primary, 32);
    /* The subkey of appendix A.3. */
    len += hex("ce2a0663877fe319000000208693248367f9e5015db922f8f48095dda784987f2d5985b12fbad16caf5e4435", cert + len);
    assert_int_equal(pgp_cert_keys(cert, len, keys, &count), OK);
    struct pgp_verdict v = {.enc_fpr_len = 32, .prefs = {.seipd_v2 = true}};
    memcpy(v.enc_fpr, keys[1].fpr, 32);
    assert_int_equal(pgp_recipient_create(cert, len, &v, &r), OK);
    size_t n = hex("c15d06210612c83f1e706f6308fe151a417743a1f033790e93e9978488d1db378da993088519"
                   "87cf18d5f1b53f817cce5a004cf393cc8958bddc065f25f84af509b17dd36764"
                   "18dea355437956617901e06957fbca8a6a47a5b5153e8d3ab7",
                   want);
    memset(queue, 0x11, 64); /* the salt, and what AES-128 leaves of the session key */
    hex("dd708f6fa1ed65114d68d2343e7c2f1d", queue);
    hex("af1e43c0d123efe893a7d4d390f3a761e3fac33dfc7f3edaa830c9011352c779", queue + 64);
    queued = 96;
    assert_int_equal(pgp_seal(&r, 1, &in, 1, sink, &to, NULL), OK);
    assert_int_equal(queued, 0);
    assert_true(to.iov_len > n);
    assert_memory_equal(out, want, n);
    pgp_recipient_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_wrap),
        cmocka_unit_test(hkdf),
        cmocka_unit_test(ocb),
        cmocka_unit_test(rfc_9580_ocb_container),
        cmocka_unit_test(rfc_9580_x25519_session_key_packet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
