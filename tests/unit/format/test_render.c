/* Rendering: any range made alone equals the slice of the whole; sizes and layout are exact; what is served never
 * changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "server/core/error.h"
#include "server/format/render.h"

static const char outer[] = "Date: Tue, 01 Jul 2003 08:52:37 +0000\r\nSubject: [...]\r\n";
static uint64_t packets_len;
static size_t reads, fail_at;

static uint8_t octet(uint64_t i)
{
    return (uint8_t)(i * 167 + (i >> 8) * 31 + 3);
}

static int read_packets(void *arg, uint64_t offset, uint8_t *out, size_t len)
{
    assert_true(len > 0 && offset + len <= packets_len); /* never asked for what is not there */
    if (++reads == fail_at)
        return ERR_IO;
    for (size_t i = 0; i < len; i++)
        out[i] = octet(offset + i);
    return OK;
}

static uint8_t version = RENDER_VERSION;

static struct render_source source(size_t n)
{
    packets_len = n;
    return (struct render_source){.version = version,
                                  .message = 0x1122334455667788,
                                  .outer = (const uint8_t *)outer,
                                  .outer_len = sizeof(outer) - 1,
                                  .packets_len = n,
                                  .read = read_packets};
}

static uint8_t *whole(size_t n, size_t *ret_len)
{
    struct render_source s = source(n);
    size_t size = (size_t)render_size(version, s.outer_len, n), got;
    uint8_t *out = malloc(size + 10);
    memset(out + size, 0xaa, 10);
    assert_int_equal(render_range(&s, 0, size + 10, out, &got), OK);
    assert_int_equal(got, size);
    assert_int_equal(out[size], 0xaa);
    *ret_len = size;
    return out;
}

static void every_range(void **state)
{
    for (size_t n = 0; n <= 200; n += n < 150 ? 49 : 1) {
        size_t size, got;
        uint8_t *all = whole(n, &size);
        struct render_source s = source(n);
        for (size_t from = 0; from <= size + 1; from++)
            for (size_t len = 0; len <= size + 1 - from; len += 1 + (len > 80 && n % 7)) {
                size_t expect = from >= size ? 0 : len < size - from ? len : size - from;
                uint8_t *out = malloc(expect + 1);
                assert_int_equal(render_range(&s, from, len, out, &got), OK);
                if (got != expect || memcmp(out, all + from, got))
                    fail_msg("%zu packets, range %zu+%zu", n, from, len);
                free(out);
            }
        free(all);
        if (n == 196)
            break;
    }
}

/* What libsodium decodes from between the armour lines is what went in, for every length up to 200 and some large ones.
 */
static void sizes_and_contents(void **state)
{
    static const size_t large[] = {12287, 12288, 12289, 100000, 1000003};
    for (size_t k = 0; k < 201 + 5; k++) {
        size_t n = k < 201 ? k : large[k - 201], size, back, line = 0;
        uint8_t *all = whole(n, &size), *bin = malloc(n + 3);
        struct render_layout l;
        render_layout(RENDER_VERSION, 0x1122334455667788, sizeof(outer) - 1, n, &l);
        assert_int_equal(l.size, size);
        assert_memory_equal(all + l.header_len - 4, "\r\n\r\n--=_", 8);
        assert_memory_equal(all + l.part1_mime, "Content-Type: application/pgp-encrypted", 39);
        assert_memory_equal(all + l.part1_body, "Version: 1\r\n", 12);
        assert_memory_equal(all + l.part1_end, "\r\n--=_", 6);
        assert_memory_equal(all + l.part2_mime, "Content-Type: application/octet-stream", 38);
        assert_memory_equal(all + l.part2_body, "-----BEGIN PGP MESSAGE-----\r\n\r\n", 31);
        assert_memory_equal(all + l.part2_end, "\r\n--=_", 6);
        assert_memory_equal(all + size - 4, "--\r\n", 4);
        uint32_t lines = 0;
        for (uint64_t i = l.part2_body; i < l.part2_end; i++)
            lines += all[i] == '\n';
        assert_int_equal(lines, l.part2_lines);
        const char *text = (char *)all + l.part2_body + 31;
        size_t text_len = (size_t)(l.part2_end - l.part2_body) - 31 - 27;
        if (n && n % 3 == 0) {
            text_len -= 7;
            assert_memory_equal(text + text_len + 7, "-----END", 8);
            uint32_t crc = 0xb704ce; /* bit by bit, as RFC 9580 section 6.1.1 has it */
            for (size_t i = 0; i < n; i++) {
                crc ^= (uint32_t)octet(i) << 16;
                for (int b = 0; b < 8; b++)
                    if ((crc <<= 1) & 0x1000000)
                        crc ^= 0x1864cfb;
            }
            uint8_t c[3];
            assert_int_equal(text[text_len], '=');
            assert_int_equal(sodium_base642bin(c, 3, text + text_len + 1, 4, NULL, NULL, NULL,
                                               sodium_base64_VARIANT_ORIGINAL),
                             0);
            assert_int_equal(c[0] << 16 | c[1] << 8 | c[2], crc);
        } else
            assert_memory_equal(text + text_len, "-----END PGP MESSAGE-----\r\n", 27);
        assert_int_equal(sodium_base642bin(bin, n + 3, text, text_len, "\r\n", &back, NULL,
                                           sodium_base64_VARIANT_ORIGINAL),
                         0);
        assert_int_equal(back, n);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(bin[i], octet(i));
        for (size_t i = 0; i < size; i++) {
            line = all[i] == '\n' ? 0 : line + 1;
            assert_true(line <= 100 && (all[i] != '\n' || all[i - 1] == '\r'));
        }
        free(all);
        free(bin);
    }
}

/* The octets of version 1 are a promise to clients that have cached them. */
static void version_1_is_fixed(void **state)
{
    size_t size;
    uint8_t *all = whole(1000, &size), hash[16];
    char hex[33];
    crypto_generichash(hash, sizeof(hash), all, size, NULL, 0);
    sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
    assert_string_equal(hex, "5f9fed4963e8fc759b61616605d2f02d");
    free(all);
}

static void huge_sizes(void **state)
{
    assert_true(render_size(RENDER_VERSION, 100, UINT64_C(1) << 40) > (UINT64_C(1) << 40) / 48 * 66);
    struct render_source s = source(0);
    packets_len = s.packets_len = UINT64_C(1) << 40; /* no multiple of 3 */
    uint8_t a[100], b[50];
    size_t n;
    assert_int_equal(render_range(&s, (UINT64_C(1) << 40) + 12345, 100, a, &n), OK);
    assert_int_equal(n, 100);
    assert_int_equal(render_range(&s, (UINT64_C(1) << 40) + 12395, 50, b, &n), OK);
    assert_memory_equal(a + 50, b, 50);
}

static void errors(void **state)
{
    struct render_source s = source(100000);
    static uint8_t out[200000];
    size_t n = 77;
    for (fail_at = 1; fail_at < 5; fail_at++) {
        reads = 0;
        assert_int_equal(render_range(&s, 0, sizeof(out), out, &n), ERR_IO);
        assert_int_equal(n, 77);
    }
    fail_at = 0;
    for (s.version = 0; render_known(s.version) == (s.version > 0); s.version++)
        ;
    assert_int_equal(s.version, RENDER_INLINE + 7); /* the first that is not known */
    assert_int_equal(render_range(&s, 0, 10, out, &n), ERR_VERSION);
    s.version = 0;
    assert_int_equal(render_range(&s, 0, 10, out, &n), ERR_VERSION);
    s.version = 255;
    assert_int_equal(render_range(&s, 0, 10, out, &n), ERR_VERSION);
    assert_int_equal(render_size(255, 10, 10), 0);
}

/* Packets of which only a window is at hand: where one is not, the range ends before it or is ERR_AGAIN, and the
 * checksum goes on where it stood. */
static struct {
    uint64_t from, to, asked;
} window;

static int read_window(void *arg, uint64_t offset, uint8_t *out, size_t len)
{
    const struct render_crc *crc = arg;
    if (window.asked == UINT64_MAX || offset == crc->at)
        window.asked = offset;
    return offset < window.from || offset + len > window.to ? ERR_AGAIN : read_packets(arg, offset, out, len);
}

static void in_windows(void **state)
{
    for (size_t n = 0; n <= 100000; n += n < 1000 ? 111 : 33000) { /* most of them multiples of 3: with a checksum */
        size_t size, at = 0, got, misses = 0;
        uint8_t *all = whole(n, &size), *part = malloc(size + 1);
        struct render_source s = source(n);
        struct render_crc crc = {0};
        s.read = read_window;
        s.crc = s.arg = &crc;
        window.from = window.to = 0;
        while (at < size) {
            window.asked = UINT64_MAX;
            int err = render_range(&s, at, size - at < 9000 ? size - at : 9000, part + at, &got);
            if (err == OK) {
                assert_true(got > 0);
                at += got;
                continue;
            }
            assert_int_equal(err, ERR_AGAIN);
            assert_true(misses++ < 3 + n / 4000);
            window.from = window.asked;
            window.to = window.from + 13000;
        }
        assert_memory_equal(part, all, size);
        assert_true((n > 0) == (misses > 0));
        free(all);
        free(part);
    }
}

/* A range of the checksum alone reads so much and no more, and ends as if it had read all at once. */
static void a_checksum_in_pieces(void **state)
{
    enum { N = 3 * RENDER_CRC_MAX, READ_MAX = 12288 };
    struct render_layout l;
    struct render_crc crc = {0};
    struct render_source s = source(N);
    uint8_t once[5], pieces[5];
    size_t got;
    render_layout(version, s.message, s.outer_len, N, &l);
    uint64_t at = l.part2_end - strlen("=abcd\r\n-----END PGP MESSAGE-----\r\n");
    assert_int_equal(render_range(&s, at, sizeof(once), once, &got), OK); /* nothing is kept: all of it */
    assert_int_equal(once[0], '=');
    s.crc = &crc;
    unsigned calls = 1;
    for (int err; (err = render_range(&s, at, sizeof(pieces), pieces, &got)) != OK; calls++) {
        assert_int_equal(err, ERR_AGAIN);
        assert_true(crc.at >= calls * RENDER_CRC_MAX && crc.at < calls * (RENDER_CRC_MAX + READ_MAX));
    }
    assert_int_equal(calls, 3);
    assert_memory_equal(pieces, once, sizeof(once));
}

/* ---- inline ---- */

static void inline_ranges(void **state)
{
    for (version = RENDER_INLINE; version <= RENDER_INLINE + 1; version++)
        every_range(state);
    version = RENDER_VERSION;
}

static void inline_contents(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 3, 47, 48, 49, 144, 1000};
    static const char top[] = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                              "Content-Transfer-Encoding: 7bit\r\n\r\n";
    for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
        struct render_layout l, mime;
        size_t size, mime_size;
        version = RENDER_VERSION;
        uint8_t *other = whole(sizes[k], &mime_size);
        version = RENDER_INLINE;
        uint8_t *all = whole(sizes[k], &size);
        render_layout(RENDER_INLINE, 7, sizeof(outer) - 1, sizes[k], &l);
        render_layout(RENDER_VERSION, 7, sizeof(outer) - 1, sizes[k], &mime);
        assert_true(l.single && !mime.single);
        assert_int_equal(l.size, size);
        assert_int_equal(l.header_len, sizeof(outer) - 1 + sizeof(top) - 1);
        assert_int_equal(l.part1_mime, sizeof(outer) - 1);
        assert_memory_equal(all + l.part1_mime, top, sizeof(top) - 1);
        assert_int_equal(l.part1_body, l.header_len);
        assert_int_equal(l.part1_end, size);
        /* The block itself is the one that PGP/MIME has. */
        assert_int_equal(size - l.part1_body, mime.part2_end - mime.part2_body);
        assert_memory_equal(all + l.part1_body, other + mime.part2_body, size - l.part1_body);
        assert_int_equal(l.part1_lines, mime.part2_lines);
        free(all);
        free(other);
    }
    version = RENDER_VERSION;
}

/* Each charset has its own version for ever. */
static void inline_charsets(void **state)
{
    static const struct {
        const char *charset;
        int version;
        const char *served;
    } t[] = {
        {"", 2, "utf-8"},
        {"utf-8", 2, "utf-8"},
        {"us-ascii", 2, "utf-8"},
        {"utf8", 2, "utf-8"},
        {"iso-8859-1", 3, "iso-8859-1"},
        {"iso-8859-15", 4, "iso-8859-15"},
        {"iso-8859-2", 5, "iso-8859-2"},
        {"windows-1252", 6, "windows-1252"},
        {"windows-1251", 7, "windows-1251"},
        {"koi8-r", 8, "koi8-r"},
        {"utf-7", 0, NULL},
        {"utf-16", 0, NULL},
        {"x-own", 0, NULL},
        {"UTF-8", 0, NULL},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        uint8_t v = 77;
        assert_int_equal(render_inline_version(t[i].charset, &v), t[i].version ? OK : ERR_UNSUPPORTED);
        assert_int_equal(v, t[i].version ? t[i].version : 77);
        if (!t[i].version)
            continue;
        char want[96];
        size_t size;
        version = v;
        uint8_t *all = whole(100, &size);
        snprintf(want, sizeof(want), "\r\nContent-Type: text/plain; charset=%s\r\n", t[i].served);
        assert_non_null(memmem(all, size, want, strlen(want)));
        snprintf(want, sizeof(want), "\r\n\r\n-----BEGIN PGP MESSAGE-----\r\nCharset: %s\r\n\r\n", t[i].served);
        assert_int_equal(memmem(all, size, want, strlen(want)) != NULL, v > RENDER_INLINE);
        struct render_layout l;
        render_layout(v, 7, sizeof(outer) - 1, 100, &l);
        uint32_t lines = 0;
        for (uint64_t at = l.part1_body; at < l.part1_end; at++)
            lines += all[at] == '\n';
        assert_int_equal(lines, l.part1_lines);
        free(all);
    }
    version = RENDER_VERSION;
}

static void version_2_is_fixed(void **state)
{
    size_t size;
    version = RENDER_INLINE;
    uint8_t *all = whole(1000, &size), hash[16];
    version = RENDER_VERSION;
    char hex[33];
    crypto_generichash(hash, sizeof(hash), all, size, NULL, 0);
    sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
    assert_string_equal(hex, "dec877ffd8795adcbc10da65f0f1aef6");
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_range),
                                       cmocka_unit_test(sizes_and_contents),
                                       cmocka_unit_test(version_1_is_fixed),
                                       cmocka_unit_test(huge_sizes),
                                       cmocka_unit_test(errors),
                                       cmocka_unit_test(in_windows),
                                       cmocka_unit_test(a_checksum_in_pieces),
                                       cmocka_unit_test(a_checksum_in_pieces),
                                       cmocka_unit_test(inline_ranges),
                                       cmocka_unit_test(inline_contents),
                                       cmocka_unit_test(inline_charsets),
                                       cmocka_unit_test(version_2_is_fixed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
