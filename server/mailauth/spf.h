/* SPF (RFC 7208) without I/O: the grammar of a record, and its macros. Who evaluates one asks for the names. */
#ifndef MAILAUTH_SPF_H
#define MAILAUTH_SPF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"

enum {
    SPF_TERMS_MAX = 256,
    SPF_LOOKUPS_MAX = 10, /* section 4.6.4: terms that ask DNS, of all records together */
    SPF_VOID_MAX = 2,     /* the same: answers without records */
    SPF_HOSTS_MAX = 10,   /* the same: names that an mx or ptr term asks for */
    SPF_NAME_CAP = 254,   /* a name with its NUL (section 7.3) */
};

enum spf_kind {
    SPF_ALL,
    SPF_INCLUDE,
    SPF_A,
    SPF_MX,
    SPF_PTR,
    SPF_IP4,
    SPF_IP6,
    SPF_EXISTS,
    SPF_REDIRECT,
    SPF_EXP,
    SPF_OTHER /* a modifier that means nothing here */
};
struct spf_term {
    enum spf_kind kind;
    char qualifier;      /* of a mechanism: '+' '-' '~' '?' */
    struct slice text;   /* the term as it stands */
    struct slice domain; /* domain-spec, to be expanded; empty: none */
    uint8_t address[16]; /* of ip4 (4 octets) and ip6 */
    uint8_t bits4, bits6;
};
struct spf_record {
    size_t n;
    struct spf_term v[SPF_TERMS_MAX];
};

/* Section 4.5: "v=spf1", and then a blank or nothing. */
bool spf_is_record(struct slice txt);
/* Section 4.6.1: a record with one error anywhere is none. Slices point into txt. ERR_FORMAT: *ret_bad (which alone is
 * set then) is the first wrong term; ERR_LIMIT: too many terms. */
int spf_parse(struct slice txt, struct spf_record *ret, struct slice *ret_bad);
/* Whether a term asks DNS: these count. */
bool spf_asks(enum spf_kind k);

/* What macros stand for (section 7.2). Text is that of others: any octets but NUL. */
struct spf_macros {
    const char *local, *sender_domain; /* of the sender's address: s, l, o */
    const char *domain;                /* d */
    const char *helo;                  /* h */
    const char *validated;             /* p: the name behind the address, or "unknown" */
    const uint8_t *address;            /* i, v */
    bool six;                          /* it has 16 octets, not 4 */
};
/* The name that a domain-spec means, cut from the left until it is one that DNS takes (section 7.3). ERR_FORMAT: spec
 * is none; ERR_LIMIT: what comes out is longer than any name can be made from. */
int spf_expand(const struct spf_macros *m, struct slice spec, char out[SPF_NAME_CAP]);

#endif
