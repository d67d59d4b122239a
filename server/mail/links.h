/* Where the links of a message lead, without I/O: the hosts of http, https and mailto, in text and in HTML, as mail
 * clients and browsers read them (URL Standard of WHATWG, sections 3.5 and 4.4): entities, white space within, any
 * number of slashes and backslashes, names in front of "@", percent-encoding, international names, addresses in any of
 * their spellings. What a stranger can make of a mail is bounded; what is beyond that is not looked at. */
#ifndef MAIL_LINKS_H
#define MAIL_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"
#include "server/mail/address.h"

enum {
    LINKS_LOOK_MAX = 256 * 1024, /* octets of a message, or of a text, that are looked at */
    LINKS_PARTS_MAX = 100,
    LINKS_DEPTH_MAX = 8,
    LINKS_TRIED_MAX = 1000, /* what looks like a link */
    LINKS_MAX = 32          /* different ones: those that come first */
};

enum link_kind { LINK_WEB, LINK_MAIL };
struct link {
    uint8_t kind;
    uint16_t port;         /* 0: none is said */
    char host[DOMAIN_CAP]; /* lower case, A-labels, no dot at the end; 192.0.2.1; [2001:db8::1] */
};
struct links {
    size_t n, tried;
    struct link v[LINKS_MAX];
};

/* Of all parts of text that are not encrypted. The message is written over. ERR_MEMORY. */
int links_read(uint8_t *message, size_t len, struct links *ret);

/* Of one text, decoded and in ASCII or what extends it; added to those in ret. The octets are written over. */
void links_add_text(uint8_t *s, size_t len, bool html, struct links *ret);

#endif
