#include "server/base/prefix.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"

enum { TEXT_MAX = 63 };

/* A decimal number after sep, which is cut off from the text before it; if there is no sep, absent. */
static int cut_number(char *text, char sep, unsigned long max, unsigned long absent, unsigned long *ret)
{
    char *at = strchr(text, sep);
    unsigned long n;

    if (!at) {
        *ret = absent;
        return OK;
    }
    *at++ = '\0';
    if (!*at || strlen(at) > 5 || strspn(at, "0123456789") != strlen(at))
        return ERR_FORMAT;
    n = strtoul(at, NULL, 10);
    if (n > max)
        return ERR_FORMAT;
    *ret = n;
    return OK;
}

/* The first n bits, in an octet that holds the last of them. */
static uint8_t mask_of(unsigned n)
{
    return (uint8_t)(0xff00U >> n);
}

int prefix_parse(const char *text, struct prefix *ret)
{
    struct prefix p = {.len = strchr(text, ':') ? 16 : 4};
    unsigned long bits = 0, port = 0;
    char address[TEXT_MAX + 1];
    int err;

    if (strlen(text) > TEXT_MAX)
        return ERR_FORMAT;
    memcpy(address, text, strlen(text) + 1);
    err = cut_number(address, '@', UINT16_MAX, 0, &port);
    if (err == OK)
        err = cut_number(address, '/', p.len * 8, p.len * 8, &bits);
    if (err != OK || (strchr(text, '@') && !port) || inet_pton(p.len == 4 ? AF_INET : AF_INET6, address, p.octets) != 1)
        return ERR_FORMAT;
    for (size_t i = bits / 8; i < p.len; i++)
        if (p.octets[i] & ~(i == bits / 8 ? mask_of(bits % 8) : 0))
            return ERR_FORMAT;
    p.bits = (unsigned)bits;
    p.port = (uint16_t)port;
    *ret = p;
    return OK;
}

bool prefix_holds(const struct prefix *p, const uint8_t *octets, size_t len)
{
    const size_t whole = p->bits / 8;

    if (len != p->len || memcmp(octets, p->octets, whole) != 0)
        return false;
    return p->bits % 8 == 0 || ((octets[whole] ^ p->octets[whole]) & mask_of(p->bits % 8)) == 0;
}
