/* Names and addresses (DNS), for every role that needs them: questions to `resolver`, which validates (DNSSEC) and
 * keeps the one cache of the machine. Whoever asks opens no socket. */
#ifndef DNS_DNS_H
#define DNS_DNS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/loop.h"
#include "server/core/wire.h"

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_PTR = 12,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_SRV = 33,
    DNS_TLSA = 52,
    DNS_OPENPGPKEY = 61,
    DNS_CAA = 257
};

enum {
    DNS_NAME_MAX = 255,    /* octets of a name as text, without a final dot */
    DNS_RECORDS_MAX = 256, /* of one answer: more is ERR_LIMIT */
    DNS_ANSWER_MAX = 48 * 1024,
};

/* What an answer is worth (RFC 4033 section 5). Bogus answers never come: they are ERR_CRYPTO. */
enum dns_trust { DNS_INSECURE, DNS_SECURE };

struct dns_record {
    uint16_t preference; /* MX, SRV */
    /* MX, SRV, NS, PTR: lower case, A-labels, without the final dot; "" is the root (RFC 7505). CAA: the tag, in lower
     * case */
    const char *name;
    /* A: 4 octets, AAAA: 16; TXT: its strings, joined; SRV: the port, 2 octets; TLSA: the association's data; CAA:
     * value; OPENPGPKEY: the certificate */
    struct slice data;
    uint8_t usage, selector, matching; /* TLSA (RFC 6698 section 2.1); usage of CAA: its flags (RFC 8659) */
};
struct dns_answer {
    enum dns_trust trust;
    bool exists;                /* the name, with records of this type or not (NXDOMAIN is false) */
    uint32_t ttl;               /* seconds it may be kept */
    const char *canonical;      /* the name at the end of aliases (CNAME) */
    uint32_t n;                 /* 0: no such records, which is an answer */
    const struct dns_record *v; /* MX, SRV: by preference; others as they came */
};

struct dns;
struct dns_question;

struct dns *dns_create(struct loop *l);  /* NULL: no memory */
void dns_destroy(struct dns *d);         /* nobody is called; NULL is allowed */
void dns_channel(struct dns *d, int fd); /* the first channel to the resolver, or a new one's; takes fd */

/* Called once, from the loop, never from dns_ask. OK: a is set, valid during the call. ERR_CRYPTO: bogus; ERR_AGAIN:
 * no server answered (SERVFAIL), or too many ask; ERR_TIMEOUT; ERR_GONE: no resolver; ERR_LIMIT: the answer is too
 * large. All but OK mean the same to mail: later. */
typedef void dns_fn(void *arg, int err, const struct dns_answer *a);
/* name: as text, in A-labels (address_normalize gives them); any printable octet is of a label. ERR_FORMAT: not a name;
 * ERR_FULL, ERR_MEMORY: fn is not called. */
int dns_ask(struct dns *d, enum dns_type type, const char *name, dns_fn *fn, void *arg, struct dns_question **ret);
void dns_cancel(struct dns_question *q); /* fn is not called */

#endif
