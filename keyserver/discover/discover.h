/* Where the certificate of a stranger's address may be found, and what of it is believed: a state machine without I/O.
 * It says what to ask of DNS and of web servers, and is given what was answered; what it finds is minimised to the
 * address, and judged. Asked are a Web Key Directory (draft-koch-openpgp-webkey-service section 3.1: the advanced
 * method, and only where that host does not exist the direct one) and DANE (RFC 7929) at once, and then a key server,
 * if one is configured and the domain itself has nothing: it hears who is written to. Of several that are found the
 * surest counts: who has a domain's names in hand can have its web server's certificate too, but not the other way
 * round. */
#ifndef DISCOVER_DISCOVER_H
#define DISCOVER_DISCOVER_H

#include <stdbool.h>

#include "crypto/pgp_cert.h"
#include "server/dns/dns.h"
#include "server/fetch/fetch.h"
#include "server/mail/address.h"

enum discover_source {
    DISCOVER_WKD_ADVANCED,
    DISCOVER_WKD_DIRECT,
    DISCOVER_DANE,
    DISCOVER_VKS, /* keys.openpgp.org's interface */
    DISCOVER_HKP, /* draft-gallagher-openpgp-hkp */
    DISCOVER_SOURCES
};
const char *discover_source_name(enum discover_source s);

/* What became of a source. */
enum discover_outcome {
    DISCOVER_UNASKED,  /* it does not come to it, or it is not there to be asked */
    DISCOVER_FOUND,    /* one certificate that can be sealed to */
    DISCOVER_NONE,     /* it says that there is none */
    DISCOVER_NO_HOST,  /* its name has no address */
    DISCOVER_UNSIGNED, /* records that DNSSEC does not cover: they may be anybody's (RFC 7929 section 5) */
    DISCOVER_BOGUS,    /* records whose signatures do not hold */
    DISCOVER_EXPIRED,  /* from here on: what it has cannot be used */
    DISCOVER_REVOKED,
    DISCOVER_SIGNS_ONLY,  /* none of its keys may encrypt */
    DISCOVER_WEAK,        /* its numbers protect nothing */
    DISCOVER_ANOTHERS,    /* no user id of it that is valid now is of the address */
    DISCOVER_AMBIGUOUS,   /* several certificates that could be used */
    DISCOVER_UNSUPPORTED, /* a version or an algorithm that is not known here */
    DISCOVER_MALFORMED,   /* no certificate, or one that nothing of its own vouches for */
    DISCOVER_TOO_LARGE,
    DISCOVER_MOVED,     /* from here on: nothing was had. A redirection, which is not followed */
    DISCOVER_FORBIDDEN, /* an address that is not of the open Internet */
    DISCOVER_NO_TLS,    /* TLS fails, or the server's certificate is another's */
    DISCOVER_HTTP,      /* a status other than 200 and 404 */
    DISCOVER_TIMEOUT,
    DISCOVER_UNREACHABLE,
    DISCOVER_OUTCOMES
};
const char *discover_outcome_text(enum discover_outcome o); /* for people */

/* How sure it is that the certificate is of whoever has the address. */
enum discover_trust {
    DISCOVER_BY_NOBODY,
    DISCOVER_BY_SERVER, /* a key server has seen mail to the address answered */
    DISCOVER_BY_DOMAIN, /* the domain's own web server has it */
    DISCOVER_BY_DNSSEC, /* so does the domain, signed up to the root */
};
const char *discover_trust_name(enum discover_trust t);

enum {
    DISCOVER_CERTS_MAX = 8, /* that one answer may have: a new one beside those that were revoked */
    /* In all of them, of their own: some hundred milliseconds of a session's process with the slowest of algorithms. */
    DISCOVER_SIGNATURES_MAX = 128,
    DISCOVER_SERVER_MAX = 255 /* "vks:HOST" or "hkp:HOST" */
};

struct discover_params {
    const char *address; /* as people write it */
    const char *server;  /* a key server, DISCOVER_SERVER_MAX octets at most; "": none */
    uint64_t now;
    bool every; /* each source is asked, found or not: to be looked at. What is chosen is the same */
};
struct discover;
/* ERR_FORMAT: an address of no kind that is looked for, or no such server; ERR_MEMORY. */
int discover_create(const struct discover_params *p, struct discover **ret);
void discover_destroy(struct discover *d);              /* NULL is allowed */
bool discover_server_valid(const char *server);         /* one that params may have, "" too */
const char *discover_address(const struct discover *d); /* in its one spelling */

/* What to ask next: a URL (FETCH_KEY), or, where url is NULL, the name's OPENPGPKEY records. Several may be under way;
 * false: none until one of these has been answered, or at all. */
struct discover_question {
    enum discover_source source;
    const char *url, *name; /* valid until the machine's end */
};
bool discover_next(struct discover *d, struct discover_question *ret);
/* err and answer as fetch.h and dns.h have them. ERR_MEMORY: not read, and as good as not answered. */
int discover_page(struct discover *d, enum discover_source s, int err, const struct fetch_answer *a);
int discover_records(struct discover *d, int err, const struct dns_answer *a);
/* What is under way is not waited for any more; others may be asked. all: nor are they. */
void discover_give_up(struct discover *d, bool all);
bool discover_over(const struct discover *d);

/* What is known so far of one source; of DISCOVER_FOUND, and of one that expired or is revoked, fpr is the primary
 * key's. */
struct discover_report {
    enum discover_outcome outcome;
    uint8_t fpr[PGP_FPR_MAX];
    uint8_t fpr_len;
    uint32_t expires; /* of the key that encrypts; 0: never */
};
struct discover_report discover_report(const struct discover *d, enum discover_source s);

/* Once it is over. */
struct discover_result {
    enum discover_outcome outcome; /* FOUND; NONE: all have said so; else why the first source that has something, or
                                    * that might have, gives nothing */
    enum discover_source source;
    enum discover_trust trust;
    bool passes;         /* nothing was found, and asking again soon may bring something: of a source nothing was had */
    bool differs;        /* another source has another certificate */
    const uint8_t *cert; /* minimised; lives as long as the machine */
    size_t len;
    struct pgp_verdict verdict;
    uint32_t keep; /* seconds that this may be kept */
};
struct discover_result discover_result(const struct discover *d);
/* Whether nothing was had. */
bool discover_outcome_passes(enum discover_outcome o);

/* A certificate that came in another way, judged for an address, in its one spelling, as those are that are found. At
 * most so many signatures of its own. *ret is malloc'd, and minimal. ERR_NO_KEY: it cannot be used; ERR_MEMORY. */
int discover_judge(const char *address, uint64_t now, size_t signatures_max, struct slice cert, uint8_t **ret,
                   size_t *ret_len, struct pgp_verdict *ret_verdict);

#endif
