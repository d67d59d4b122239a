/* Packet framing: every length form, limits of each, truncation at every octet, MPIs, session-key heads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "crypto/pgp_packet.h"
#include "server/core/error.h"

static void written_headers_read_back(void **state)
{
    static const size_t sizes[] = {0, 1, 191, 192, 193, 8382, 8383, 8384, 65535, 65536, 1000000};
    static const size_t heads[] = {2, 2, 2, 3, 3, 3, 3, 6, 6, 6, 6};
    uint8_t *p = calloc(1, 1000006);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct pgp_packet pkt;
        size_t pos = 0, h = pgp_packet_header(p, PGP_TAG_SEIPD, sizes[i]);
        assert_int_equal(h, heads[i]);
        assert_int_equal(pgp_packet_next(p, h + sizes[i], &pos, &pkt), OK);
        assert_int_equal(pos, h + sizes[i]);
        assert_int_equal(pkt.body_len, sizes[i]);
        assert_int_equal(pkt.content_len, sizes[i]);
        assert_int_equal(pkt.total_len, h + sizes[i]);
        assert_ptr_equal(pkt.body, p + h);
        assert_int_equal(pgp_packet_next(p, h + sizes[i], &pos, &pkt), ERR_NOT_FOUND);
        pos = 0;
        if (sizes[i])
            assert_int_equal(pgp_packet_next(p, h + sizes[i] - 1, &pos, &pkt), ERR_FORMAT);
        assert_int_equal(pos, 0);
    }
    free(p);
}

static void bad_framing(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        int err;
    } t[] = {
        {"\x00", 1, ERR_FORMAT},
        {"\x7f\x01x", 3, ERR_FORMAT},
        {"\xc0\x00", 2, ERR_FORMAT}, /* tag 0 */
        {"\x80\x00", 2, ERR_FORMAT},
        {"\xc6", 1, ERR_FORMAT}, /* no length */
        {"\xc6\xc0", 2, ERR_FORMAT},
        {"\xc6\xff\x00\x00\x00", 5, ERR_FORMAT},
        {"\xc6\xff\xff\xff\xff\xff", 6, ERR_FORMAT},
        {"\xc6\x02x", 3, ERR_FORMAT},
        {"\xc6\xe1xx\x00", 5, ERR_FORMAT}, /* partial key */
        {"\xd2\xe1xx\x00", 5, ERR_FORMAT}, /* short first chunk */
        {"\xd2\xfexx\x00", 5, ERR_FORMAT}, /* a chunk of a gigabyte */
        {"\x9b", 1, ERR_UNSUPPORTED},      /* indeterminate */
        {"\x98", 1, ERR_FORMAT},
        {"\x99\x00", 2, ERR_FORMAT},
        {"\x9a\xff\xff\xff\xff", 5, ERR_FORMAT},
        {"\x99\x00\x02x", 4, ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        uint8_t *copy = malloc(t[i].len);
        struct pgp_packet p = {.total_len = 99};
        size_t pos = 0;
        memcpy(copy, t[i].bytes, t[i].len);
        int err = pgp_packet_next(copy, t[i].len, &pos, &p);
        if (err != t[i].err)
            fail_msg("row %zu: %d", i, err);
        assert_int_equal(pos, 0);
        assert_int_equal(p.total_len, 99);
        free(copy);
    }
}

static void old_format(void **state)
{
    static const uint8_t one[] = {0x98, 2, 'a', 'b', 0x99, 0, 1, 'c', 0x9a, 0, 0, 0, 1, 'd'};
    struct pgp_packet p;
    size_t pos = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pgp_packet_next(one, sizeof(one), &pos, &p), OK);
        assert_int_equal(p.tag, PGP_TAG_PUBLIC_KEY);
        assert_false(p.new_format);
        assert_int_equal(p.body_len, i == 0 ? 2 : 1);
    }
    assert_int_equal(pos, sizeof(one));
}

static void partial_lengths(void **state)
{
    uint8_t m[1100] = {0xd2, 0xe9};
    size_t n = 2 + 512;
    m[n++] = 0xe3; /* 8 */
    n += 8;
    m[n++] = 0xe0; /* 1 */
    n += 1;
    m[n++] = 0xc0; /* 192 */
    m[n++] = 0;
    n += 192;
    struct pgp_packet p;
    size_t pos = 0;
    assert_int_equal(pgp_packet_next(m, n, &pos, &p), OK);
    assert_true(p.partial);
    assert_int_equal(p.body_len, 512);
    assert_int_equal(p.content_len, 512 + 8 + 1 + 192);
    assert_int_equal(pos, n);
    for (size_t cut = 1; cut < n; cut++) {
        uint8_t *copy = malloc(cut);
        memcpy(copy, m, cut);
        pos = 0;
        assert_int_equal(pgp_packet_next(copy, cut, &pos, &p), ERR_FORMAT);
        free(copy);
    }
    m[n - 194] = 0; /* a last chunk of nothing */
    pos = 0;
    assert_int_equal(pgp_packet_next(m, n, &pos, &p), OK);
    assert_int_equal(pos, n - 193);
}

static void integers(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        int err;
        size_t n;
    } t[] = {
        {"\0\0", 2, OK, 0},
        {"\0\1\1", 3, OK, 1},
        {"\0\11\1\377", 4, OK, 2},
        {"\0\10\377", 3, OK, 1},
        {"", 0, ERR_FORMAT, 0},
        {"\0", 1, ERR_FORMAT, 0},
        {"\0\1", 2, ERR_FORMAT, 0},
        {"\0\11\1", 3, ERR_FORMAT, 0},
        {"\0\11\0\1", 4, ERR_FORMAT, 0}, /* a leading zero octet */
        {"\0\11\2\1", 4, ERR_FORMAT, 0}, /* more bits than said */
        {"\0\10\177", 3, ERR_FORMAT, 0}, /* fewer bits than said */
        {"\377\377\1", 3, ERR_FORMAT, 0},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        uint8_t *copy = malloc(t[i].len ? t[i].len : 1);
        const uint8_t *p = NULL;
        size_t pos = 0, n = 0;
        memcpy(copy, t[i].bytes, t[i].len);
        int err = pgp_mpi_next(copy, t[i].len, &pos, &p, &n);
        if (err != t[i].err || n != t[i].n)
            fail_msg("row %zu: %d, %zu octets", i, err, n);
        assert_int_equal(pos, err ? 0 : 2 + n);
        pos = t[i].len + 5; /* a position past the end is an error, not a read */
        assert_int_equal(pgp_mpi_next(copy, t[i].len, &pos, &p, &n), ERR_FORMAT);
        free(copy);
    }
}

static void session_key_heads(void **state)
{
    uint8_t v3[10] = {3, 1, 2, 3, 4, 5, 6, 7, 8, 25}, v6[36] = {6, 33, 6}, wild[3] = {6, 0, 26};
    struct pgp_pkesk k;
    assert_int_equal(pgp_pkesk_read(v3, 10, &k), OK);
    assert_int_equal(k.algo, 25);
    assert_memory_equal(k.key_id, v3 + 1, 8);
    memset(v6 + 3, 0xab, 32);
    v6[35] = 18;
    assert_int_equal(pgp_pkesk_read(v6, 36, &k), OK);
    assert_int_equal(k.fpr_len, 32);
    assert_int_equal(k.algo, 18);
    assert_int_equal(pgp_pkesk_read(wild, 3, &k), OK);
    assert_int_equal(k.fpr_len, 0);
    assert_int_equal(k.algo, 26);
    for (size_t n = 0; n < 10; n++)
        assert_int_equal(pgp_pkesk_read(v3, n, &k), ERR_FORMAT);
    for (size_t n = 0; n < 36; n++) {
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, v6, n);
        assert_int_equal(pgp_pkesk_read(copy, n, &k), ERR_FORMAT);
        free(copy);
    }
    v6[2] = 4; /* 32 octets said to be a v4 fingerprint */
    assert_int_equal(pgp_pkesk_read(v6, 36, &k), ERR_FORMAT);
    v3[0] = 2;
    assert_int_equal(pgp_pkesk_read(v3, 10, &k), ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_headers_read_back), cmocka_unit_test(bad_framing), cmocka_unit_test(old_format),
        cmocka_unit_test(partial_lengths),           cmocka_unit_test(integers),    cmocka_unit_test(session_key_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
