#include "tests/support/pgp_shapes.h"

static void raw(struct msg *m, const void *p, size_t n)
{
    memcpy(m->data + m->len, p, n);
    m->len += n;
}

static void packet(struct msg *m, int tag, const uint8_t *body, size_t n)
{
    m->len += pgp_packet_header(m->data + m->len, (enum pgp_tag)tag, n);
    raw(m, body, n);
}

struct pgp_key_ref shape_keys[KEYS];

void shape_fpr(enum who who, uint8_t fpr[32])
{
    memset(fpr, 0x11 * (who + 1), 32);
    fpr[0] = 0xa0 + (uint8_t)who;
}

static size_t x25519_fields(uint8_t *b, int version)
{
    memset(b, 0x42, 32);
    b[32] = version == 3 ? 25 : 24;
    if (version == 3)
        b[33] = 7;
    memset(b + 33 + (version == 3), 0x24, 24);
    return 33 + b[32];
}

static size_t pkesk_body(uint8_t *b, int version, enum who who)
{
    uint8_t fpr[32];
    size_t n;
    shape_fpr(who, fpr);
    b[0] = (uint8_t)version;
    if (version == 3) {
        memcpy(b + 1, who == OURS_V6 ? fpr : fpr + 12, 8);
        if (who == WILDCARD)
            memset(b + 1, 0, 8);
        n = 9;
    } else if (who == WILDCARD) {
        b[1] = 0;
        n = 2;
    } else {
        b[1] = who == OURS_V6 ? 33 : 21;
        b[2] = who == OURS_V6 ? 6 : 4;
        memcpy(b + 3, fpr, b[1] - 1u);
        n = 2u + b[1];
    }
    b[n++] = PGP_X25519;
    return n + x25519_fields(b + n, version);
}

void pkesk(struct msg *m, int version, enum who who)
{
    uint8_t b[256];
    packet(m, PGP_TAG_PKESK, b, pkesk_body(b, version, who));
}

void seipd(struct msg *m, int version, size_t len)
{
    uint8_t b[9000];
    memset(b, 0xe5, len ? len : 1);
    b[0] = (uint8_t)version;
    if (version == 2) {
        b[1] = 9;
        b[2] = 2;
        b[3] = 10;
    }
    packet(m, PGP_TAG_SEIPD, b, len);
}

static void seipd_partial(struct msg *m, unsigned first_log2)
{
    uint8_t b[8192];
    memset(b, 0xe5, sizeof(b));
    b[0] = 1;
    const uint8_t h[] = {0xd2, (uint8_t)(0xe0 | first_log2)};
    raw(m, h, 2);
    raw(m, b, (size_t)1 << first_log2);
    const uint8_t more[] = {0xe0, 0xe5, 0xe1, 0xe5, 0xe5, 0x03, 1, 2, 3};
    raw(m, more, sizeof(more));
}

void good_v3(struct msg *m)
{
    pkesk(m, 3, OURS);
    seipd(m, 1, 200);
}

void b_two_keys(struct msg *m)
{
    pkesk(m, 3, OURS);
    pkesk(m, 3, SECOND);
    seipd(m, 1, 200);
}

void b_v6(struct msg *m)
{
    pkesk(m, 6, OURS_V6);
    pkesk(m, 6, OURS);
    seipd(m, 2, 200);
}

void b_v3_for_v6_key(struct msg *m)
{
    pkesk(m, 3, OURS_V6);
    seipd(m, 1, 200);
}

void b_partial(struct msg *m)
{
    pkesk(m, 3, OURS);
    seipd_partial(m, 9);
}

void b_partial_short_first(struct msg *m)
{
    pkesk(m, 3, OURS);
    seipd_partial(m, 8);
}

void b_partial_pkesk(struct msg *m)
{
    uint8_t b[512] = {3};
    const uint8_t h[] = {0xc1, 0xe9};
    raw(m, h, 2);
    raw(m, b, 512);
    raw(m, "\0", 1);
    seipd(m, 1, 200);
}

void b_old_format(struct msg *m)
{
    uint8_t b[256];
    size_t n = pkesk_body(b, 3, OURS);
    const uint8_t h[] = {0x84, (uint8_t)n};
    raw(m, h, 2);
    raw(m, b, n);
    seipd(m, 1, 200);
}

void b_indeterminate(struct msg *m)
{
    good_v3(m);
    m->data[0] = 0x87; /* old format, tag 1, length type 3 */
}

void b_empty(struct msg *m)
{
    (void)m;
}

void b_pkesk_only(struct msg *m)
{
    pkesk(m, 3, OURS);
}

void b_seipd_only(struct msg *m)
{
    seipd(m, 1, 200);
}

void b_stranger(struct msg *m)
{
    pkesk(m, 3, STRANGER);
    seipd(m, 1, 200);
}

void b_stranger_too(struct msg *m)
{
    pkesk(m, 3, OURS);
    pkesk(m, 3, STRANGER);
    seipd(m, 1, 200);
}

void b_retired(struct msg *m)
{
    pkesk(m, 3, RETIRED);
    seipd(m, 1, 200);
}

void b_wildcard(struct msg *m)
{
    pkesk(m, 3, WILDCARD);
    seipd(m, 1, 200);
}

void b_wildcard_v6(struct msg *m)
{
    pkesk(m, 6, WILDCARD);
    seipd(m, 2, 200);
}

void b_wildcard_and_ours(struct msg *m)
{
    pkesk(m, 3, WILDCARD);
    pkesk(m, 3, OURS);
    seipd(m, 1, 200);
}

void b_mixed(struct msg *m)
{
    pkesk(m, 3, OURS);
    pkesk(m, 6, OURS);
    seipd(m, 1, 200);
}

void b_v6_with_v1(struct msg *m)
{
    pkesk(m, 6, OURS);
    seipd(m, 1, 200);
}

void b_v3_with_v2(struct msg *m)
{
    pkesk(m, 3, OURS);
    seipd(m, 2, 200);
}

void b_seipd_v3(struct msg *m)
{
    pkesk(m, 3, OURS);
    seipd(m, 3, 200);
}

void b_zero_seipd(struct msg *m)
{
    pkesk(m, 3, OURS);
    seipd(m, 1, 0);
}

void b_short_v1(struct msg *m)
{
    pkesk(m, 3, OURS);
    seipd(m, 1, 32);
}

void b_short_v2(struct msg *m)
{
    pkesk(m, 6, OURS);
    seipd(m, 2, 68);
}

void b_v2_cipher(struct msg *m)
{
    pkesk(m, 6, OURS);
    size_t at = m->len;
    seipd(m, 2, 200);
    m->data[at + 4] = 0; /* header of 3, version, cipher */
}

void b_v2_chunk(struct msg *m)
{
    pkesk(m, 6, OURS);
    size_t at = m->len;
    seipd(m, 2, 200);
    m->data[at + 6] = 17;
}

void b_trailing_byte(struct msg *m)
{
    good_v3(m);
    raw(m, "", 1);
}

void b_trailing_newline(struct msg *m)
{
    good_v3(m);
    raw(m, "\r\n", 2);
}

void b_literal_behind(struct msg *m)
{
    good_v3(m);
    packet(m, PGP_TAG_LITERAL, (const uint8_t *)"b\0\0\0\0\0hello", 11);
}

void b_two_seipd(struct msg *m)
{
    good_v3(m);
    seipd(m, 1, 200);
}

void b_literal_first(struct msg *m)
{
    packet(m, PGP_TAG_LITERAL, (const uint8_t *)"b\0\0\0\0\0hello", 11);
    good_v3(m);
}

void b_compressed(struct msg *m)
{
    packet(m, PGP_TAG_COMPRESSED, (const uint8_t *)"\0xyz", 4);
}

void b_marker(struct msg *m)
{
    packet(m, PGP_TAG_MARKER, (const uint8_t *)"PGP", 3);
    good_v3(m);
}

void b_padding(struct msg *m)
{
    pkesk(m, 3, OURS);
    packet(m, PGP_TAG_PADDING, (const uint8_t *)"xxxx", 4);
    seipd(m, 1, 200);
}

void b_skesk(struct msg *m)
{
    packet(m, PGP_TAG_SKESK, (const uint8_t *)"\4\7\0\10", 4);
    good_v3(m);
}

void b_sed(struct msg *m)
{
    uint8_t b[100] = {0};
    pkesk(m, 3, OURS);
    packet(m, PGP_TAG_SED, b, sizeof(b));
}

void b_gnupg_aead(struct msg *m)
{
    uint8_t b[100] = {1, 9, 2, 10};
    pkesk(m, 3, OURS);
    packet(m, PGP_TAG_AEAD, b, sizeof(b));
}

void b_private_tag(struct msg *m)
{
    packet(m, 60, (const uint8_t *)"readable text", 13);
    good_v3(m);
}

void b_text(struct msg *m)
{
    raw(m, "Dear reader, this is a secret.\r\n", 32);
}

void b_hidden_in_pkesk(struct msg *m)
{
    uint8_t b[256];
    size_t n = pkesk_body(b, 3, OURS);
    memcpy(b + n, "readable", 8);
    packet(m, PGP_TAG_PKESK, b, n + 8);
    seipd(m, 1, 200);
}

/* An ephemeral point of octets that no curve has: room for a paragraph. */
static void ecdh_point(struct msg *m, enum who who, size_t point, uint8_t first)
{
    static uint8_t b[9000];
    size_t n = 10, bits = 8 * (point - 1) + (first >= 0x40 ? 7 : 3);
    memset(b, 0x61, sizeof(b));
    pkesk_body(b, 3, who);
    b[9] = PGP_ECDH;
    b[n++] = (uint8_t)(bits >> 8);
    b[n++] = (uint8_t)bits;
    memset(b + n, 0x61, point);
    b[n] = first;
    n += point;
    b[n++] = 48;
    packet(m, PGP_TAG_PKESK, b, n + 48);
    seipd(m, 1, 200);
}

void b_ecdh(struct msg *m)
{
    ecdh_point(m, OURS_ECDH, 33, 0x40);
}

void b_ecdh_p521(struct msg *m)
{
    ecdh_point(m, OURS_ECDH, 133, 4);
}

void b_ecdh_long(struct msg *m)
{
    ecdh_point(m, OURS_ECDH, 134, 4);
}

void b_ecdh_text(struct msg *m)
{
    ecdh_point(m, OURS_ECDH, 4000, 0x61);
}

void b_ecdh_no_point(struct msg *m)
{
    ecdh_point(m, OURS_ECDH, 33, 0x61);
}

void b_other_algo(struct msg *m)
{
    ecdh_point(m, OURS, 33, 0x40);
}

void b_wildcard_ecdh(struct msg *m)
{
    ecdh_point(m, WILDCARD, 33, 0x40);
}

void b_other_algo_and_ours(struct msg *m)
{
    b_other_algo(m);
    m->len -= 203; /* without its container */
    good_v3(m);
}

void b_wildcard_rsa(struct msg *m)
{
    uint8_t b[256];
    pkesk_body(b, 3, WILDCARD);
    b[9] = PGP_RSA;
    memcpy(b + 10, "\0\20\x80\1", 4);
    packet(m, PGP_TAG_PKESK, b, 14);
    seipd(m, 1, 200);
}

static void b_wildcard_and(struct msg *m, enum who who)
{
    pkesk(m, 3, WILDCARD);
    pkesk(m, 3, who);
    seipd(m, 1, 200);
}

void b_wildcard_stranger(struct msg *m)
{
    b_wildcard_and(m, STRANGER);
}

void b_wildcard_retired(struct msg *m)
{
    b_wildcard_and(m, RETIRED);
}

void b_wildcard_literal(struct msg *m)
{
    b_wildcard(m);
    packet(m, PGP_TAG_LITERAL, (const uint8_t *)"b\0\0\0\0\0hello", 11);
}

void b_wildcard_skesk(struct msg *m)
{
    pkesk(m, 3, WILDCARD);
    packet(m, PGP_TAG_SKESK, (const uint8_t *)"\4\7\0\10", 4);
    seipd(m, 1, 200);
}

void b_skesk_only(struct msg *m)
{
    packet(m, PGP_TAG_SKESK, (const uint8_t *)"\4\7\0\10", 4);
    seipd(m, 1, 200);
}

void b_padding_first(struct msg *m)
{
    packet(m, PGP_TAG_PADDING, (const uint8_t *)"xxxx", 4);
    good_v3(m);
}

void b_padding_behind(struct msg *m)
{
    good_v3(m);
    packet(m, PGP_TAG_PADDING, (const uint8_t *)"xxxx", 4);
}

void b_marker_behind(struct msg *m)
{
    good_v3(m);
    packet(m, PGP_TAG_MARKER, (const uint8_t *)"PGP", 3);
}

void b_message_behind(struct msg *m)
{
    good_v3(m);
    good_v3(m);
}

void b_one_pass(struct msg *m)
{
    packet(m, PGP_TAG_ONE_PASS, (const uint8_t *)"\3\0\10\26********\1", 13);
    packet(m, PGP_TAG_LITERAL, (const uint8_t *)"b\0\0\0\0\0hello", 11);
}

void b_literal_for_us(struct msg *m)
{
    pkesk(m, 3, OURS);
    packet(m, PGP_TAG_LITERAL, (const uint8_t *)"b\0\0\0\0\0hello", 11);
}

void b_compressed_for_us(struct msg *m)
{
    pkesk(m, 3, OURS);
    packet(m, PGP_TAG_COMPRESSED, (const uint8_t *)"\0xyz", 4);
}

void b_unknown_among_good(struct msg *m)
{
    uint8_t b[256];
    size_t n = pkesk_body(b, 3, STRANGER);
    b[9] = 99;
    packet(m, PGP_TAG_PKESK, b, n);
    good_v3(m);
}

void b_v4_pkesk_among_good(struct msg *m)
{
    uint8_t b[256];
    size_t n = pkesk_body(b, 3, STRANGER);
    b[0] = 4;
    packet(m, PGP_TAG_PKESK, b, n);
    good_v3(m);
}

void b_old_seipd_indeterminate(struct msg *m)
{
    uint8_t b[201] = {1};
    pkesk(m, 3, OURS);
    b[0] = 0x80 | (11 << 2) | 3; /* old format has four bits of tag: a container cannot even be written in it */
    raw(m, b, sizeof(b));
}

void b_twice(struct msg *m)
{
    pkesk(m, 3, OURS);
    pkesk(m, 3, SECOND);
    pkesk(m, 3, OURS_V6);
    pkesk(m, 3, OURS);
    pkesk(m, 3, OURS);
    seipd(m, 1, 200);
}

void b_unknown_algo(struct msg *m)
{
    uint8_t b[256];
    size_t n = pkesk_body(b, 3, OURS);
    b[9] = 99;
    packet(m, PGP_TAG_PKESK, b, n);
    seipd(m, 1, 200);
}

void b_rsa_bad_mpi(struct msg *m)
{
    uint8_t b[256];
    pkesk_body(b, 3, OURS);
    b[9] = PGP_RSA;
    memcpy(b + 10, "\0\20\0\1", 4); /* 16 bits said, 1 there */
    packet(m, PGP_TAG_PKESK, b, 14);
    seipd(m, 1, 200);
}

void b_pkesk_v5(struct msg *m)
{
    uint8_t b[256];
    size_t n = pkesk_body(b, 3, OURS);
    b[0] = 5;
    packet(m, PGP_TAG_PKESK, b, n);
    seipd(m, 1, 200);
}

void b_v6_odd_fpr(struct msg *m)
{
    uint8_t b[256];
    size_t n = pkesk_body(b, 6, OURS);
    b[1] = 20;
    packet(m, PGP_TAG_PKESK, b, n);
    seipd(m, 2, 200);
}

void b_huge_pkesk(struct msg *m)
{
    static uint8_t b[9000];
    pkesk_body(b, 3, OURS);
    packet(m, PGP_TAG_PKESK, b, 8193);
    seipd(m, 1, 200);
}

void b_65_pkesks(struct msg *m)
{
    for (int i = 0; i < 65; i++)
        pkesk(m, 3, OURS);
    seipd(m, 1, 200);
}

void b_64_pkesks(struct msg *m)
{
    for (int i = 0; i < 64; i++)
        pkesk(m, 3, OURS);
    seipd(m, 1, 200);
}

void b_tag_zero(struct msg *m)
{
    raw(m, "\xc0\x01x", 3);
    good_v3(m);
}
