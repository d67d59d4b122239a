/* ASCII armour for tests that need to make some: lines of 64 characters, CRLF, no CRC24. The product makes armour in
 * server/format/render.c alone. */
#ifndef TESTS_ARMOR_H
#define TESTS_ARMOR_H

#include <stdint.h>
#include <string.h>

enum { LINE_OCTETS = 48 };

static inline size_t armor_size(size_t n, const char *label)
{
    size_t lines = (n + LINE_OCTETS - 1) / LINE_OCTETS;
    return strlen("-----BEGIN PGP -----\r\n\r\n-----END PGP -----\r\n") + 2 * strlen(label) + (n + 2) / 3 * 4 +
           2 * lines;
}

static inline char *armor_put(char *p, const char *s)
{
    size_t n = strlen(s);
    memcpy(p, s, n);
    return p + n;
}

static inline char *armor_put_line(char *p, const uint8_t *in, size_t n)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (; n >= 3; n -= 3, in += 3) {
        uint32_t v = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        *p++ = alphabet[v >> 18];
        *p++ = alphabet[v >> 12 & 63];
        *p++ = alphabet[v >> 6 & 63];
        *p++ = alphabet[v & 63];
    }
    if (n) {
        uint32_t v = (uint32_t)in[0] << 16 | (n == 2 ? (uint32_t)in[1] << 8 : 0);
        *p++ = alphabet[v >> 18];
        *p++ = alphabet[v >> 12 & 63];
        *p++ = n == 2 ? alphabet[v >> 6 & 63] : '=';
        *p++ = '=';
    }
    return armor_put(p, "\r\n");
}

static inline size_t armor_encode(const uint8_t *data, size_t n, const char *label, char *out)
{
    char *p = armor_put(armor_put(armor_put(out, "-----BEGIN PGP "), label), "-----\r\n\r\n");
    for (size_t at = 0; at < n; at += LINE_OCTETS)
        p = armor_put_line(p, data + at, n - at < LINE_OCTETS ? n - at : LINE_OCTETS);
    p = armor_put(armor_put(armor_put(p, "-----END PGP "), label), "-----\r\n");
    return (size_t)(p - out);
}

#endif
