/* SPF (RFC 7208) without I/O: the grammar of a record, its macros, and what it says of an address. */
#ifndef MAILAUTH_SPF_H
#define MAILAUTH_SPF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/mailauth/verdict.h"

enum {
    SPF_RECORD_MAX = 8192, /* octets: a longer one is none */
    SPF_TERMS_MAX = 256,
    SPF_LOOKUPS_MAX = 10, /* section 4.6.4: terms that ask DNS, of all records together */
    SPF_VOID_MAX = 2,     /* the same: answers without records */
    SPF_HOSTS_MAX = 10,   /* the same: names that an mx or ptr term asks for */
    SPF_NAME_CAP = RECORDS_NAME_CAP,
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
 * set then) is the first wrong term; ERR_LIMIT: it is too long, or has too many terms. */
int spf_parse(struct slice txt, struct spf_record *ret, struct slice *ret_bad);
/* Whether a term asks DNS: these count. */
bool spf_asks(enum spf_kind k);

/* What macros stand for (section 7.2). Text is that of others: any octets but NUL. */
struct spf_macros {
    const char *local, *sender_domain; /* of the sender's address: s, l, o */
    const char *domain;                /* d */
    const char *helo;                  /* h */
    const char *validated;             /* p: the name behind the address, or "unknown" */
    const uint8_t *address;            /* i, v, c */
    bool six;                          /* it has 16 octets, not 4 */
    const char *receiver;              /* r, of explanations alone, as c and t are */
    uint64_t now;                      /* t: seconds since 1970 */
};
/* The name that a domain-spec means, cut from the left until it is one that DNS takes (section 7.3). ERR_FORMAT: spec
 * is none; ERR_LIMIT: what comes out is longer than any name can be made from. */
int spf_expand(const struct spf_macros *m, struct slice spec, char out[SPF_NAME_CAP]);
/* The words that a text published for exp= means (section 6.2). ERR_FORMAT: also if not all of it is printable ASCII;
 * ERR_LIMIT. */
int spf_explain(const struct spf_macros *m, struct slice text, char out[SPF_EXPLANATION_CAP]);
bool spf_wants_validated(struct slice spec); /* whether p stands in a domain-spec or such a text */

/* ---- section 4: check_host() ---- */

struct spf_question {
    const uint8_t *address; /* of the peer: 16 octets if six, else 4. IPv6 that stands for IPv4 is judged as that */
    bool six;
    const char *helo;   /* as it was said */
    const char *sender; /* MAIL FROM; "": the null path, or to judge HELO itself: that is judged (sections 2.4, 2.3) */
    const char *receiver; /* our own name */
    uint64_t now;         /* seconds since 1970 */
};
/* OK: *ret is set, whatever was found. ERR_AGAIN: answers are missing; ERR_MEMORY. */
int spf_check(const struct spf_question *q, struct records *r, struct spf_verdict *ret);
bool spf_in_network(const uint8_t *address, const uint8_t *network, unsigned bits);
bool spf_is_below(const char *name, const char *domain); /* or the same; in any case */

#endif
