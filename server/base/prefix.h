/* A range of addresses, with or without a port: ADDR[/BITS][@PORT], as fetch_allow lists them. */
#ifndef BASE_PREFIX_H
#define BASE_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prefix {
    uint8_t octets[16];
    size_t len;    /* of an address of its family: 4 or 16 */
    unsigned bits; /* that count */
    uint16_t port; /* 0: none is said */
};

/* ERR_FORMAT: not one, or an address with bits beyond those that count. */
int prefix_parse(const char *text, struct prefix *ret);
bool prefix_holds(const struct prefix *p, const uint8_t *octets, size_t len);

#endif
