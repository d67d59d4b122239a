/* What signatures of a message prove: DKIM (RFC 6376, 8301, 8463) and ARC (RFC 8617) verified. An engine without I/O:
 * it reads the message once, asks for key records (records.h), and judges.
 *
 * Never passes: rsa-sha1, an RSA key under 1,024 or over 4,096 bits, a signature with l=, one without From in h=, one
 * that covers fewer than all fields of a kind that a message has once (RFC 6376 section 8.15), and any in a message
 * without From or with more than one, or with a header that readers take apart in different ways.
 *
 * What a message may cost is bounded: DKIM_SIGNATURES_MAX signatures and ARC_SETS_MAX sets, a key record each; the body
 * is hashed once a canonical form; each header field at most once a signature. */
#ifndef MAILAUTH_DKIM_VERIFY_H
#define MAILAUTH_DKIM_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "server/core/wire.h"
#include "server/mail/address.h"
#include "server/mail/header.h"
#include "server/mailauth/dkim.h"
#include "server/mailauth/records.h"
#include "server/mailauth/verdict.h"

enum {
    DKIM_SIGNATURES_MAX = 10, /* the first ones of a header are looked at */
    /* RFC 8617 section 4.2.1 allows 50. Each costs two RSA keys and their look-ups, which strangers choose, and real
     * chains have two or three: a longer one fails. */
    ARC_SETS_MAX = 10,
    DKIM_RECORD_MAX = 8192, /* octets of a key record; one of RSA with 4,096 bits has 750 */
    DKIM_NAME_CAP = 256,    /* a name that DNS is asked for, with NUL */
};

/* Why; each belongs to one result (RFC 8601 section 2.7.1): fail, it does not verify; policy, it may verify and proves
 * too little; neutral, it cannot be read, or is to be taken as none (t=y). AUTH_PASS alone aligns with anything. */
enum dkim_reason {
    DKIM_VERIFIED,
    DKIM_BODY_CHANGED,
    DKIM_SIGNATURE_WRONG,
    DKIM_IN_PART,       /* l= */
    DKIM_EXPIRED,       /* x= */
    DKIM_KEY_WEAK,      /* RSA under 1,024 bits */
    DKIM_KEY_LARGE,     /* RSA over 4,096 bits */
    DKIM_ADDED,         /* the message has more fields of a kind than the signature covers */
    DKIM_AUTHORS,       /* no From, or several */
    DKIM_HEADER_ODD,    /* readers take this header apart in different ways */
    DKIM_SYNTAX,        /* of the signature's field */
    DKIM_TESTING,       /* t=y: as if it were unsigned */
    DKIM_UNSUPPORTED,   /* a= is not for verifying (any more), or v= or q= is of another time */
    DKIM_FROM_UNSIGNED, /* h= has no From */
    DKIM_IDENTITY,      /* i= is not of d=, or not of that domain itself where the key says so (t=s) */
    DKIM_KEY_NONE,
    DKIM_KEY_SEVERAL, /* different ones; section 3.6.2.2: undefined */
    DKIM_KEY_SYNTAX,
    DKIM_KEY_REVOKED,  /* p= is empty */
    DKIM_KEY_OTHER,    /* k=, h= or s= are not for such a signature */
    DKIM_KEY_UNKNOWN,  /* DNS could not tell */
    DKIM_CHAIN_BROKEN, /* ARC: a field is missing, twice or unreadable */
    DKIM_CHAIN_LONG,   /* ARC: more than ARC_SETS_MAX */
    DKIM_CHAIN_FAILED, /* ARC: who sealed last says so (cv=fail), or a cv= is not for its place */
    DKIM_SPARED,       /* another of its domain verifies, and this one was not tried (dkim_check_spare) */
    DKIM_REASONS
};
enum auth_result dkim_result_of(enum dkim_reason r);
const char *dkim_reason_text(enum dkim_reason r);

struct dkim_verdict {
    enum auth_result result;
    enum dkim_reason reason;
    enum dkim_algorithm algorithm; /* 0: neither */
    char domain[DOMAIN_CAP];       /* d= in lower-case ASCII; "": it cannot be read */
    char selector[DOMAIN_CAP];
    char identity[DOMAIN_CAP]; /* the domain of i= */
    unsigned bits;             /* of an RSA key, when it was read */
};

struct arc_verdict {
    enum auth_result result; /* none, pass, fail */
    enum dkim_reason reason; /* of a chain that fails: of its signature that does, or of the chain */
    unsigned sets;           /* of its structure; 0: none, or none that is one */
    unsigned failed;         /* the set on which it fails, 0: the chain as a whole */
    /* The first set from which on each hop's message signature verifies as the message is now; 1: nobody changed
     * anything since (RFC 8617 section 5.2 step 5 says 0). 0: the chain does not pass. */
    unsigned oldest_pass;
    char sealers[ARC_SETS_MAX][DOMAIN_CAP]; /* d= of each seal, when it passes */
};

struct dkim_verdicts {
    struct dkim_verdict v[DKIM_SIGNATURES_MAX]; /* as they stand in the header, the last added first */
    size_t n;
    bool more; /* there are others that nobody looked at */
    struct arc_verdict arc;
};

struct dkim_check; /* needs the message while it is made, not later */

/* mail: the whole message in pieces, header fields, an empty line, the body, CRLF lines. header: its own
 * (whole_header.h), needed no longer; NULL: too long to be taken apart. now: for x=. A message without signatures is a
 * check as well. ERR_MEMORY. */
int dkim_check_create(const struct header_view *header, const struct iovec *mail, size_t n, uint64_t now,
                      struct dkim_check **ret);
void dkim_check_destroy(struct dkim_check *c); /* NULL is allowed */

/* From now on a signature is not tried where another with the same d= has verified (RFC 6376 section 6.1): it proves
 * nothing that is not known, and costs as much. RSA goes first, which is the cheaper one. */
void dkim_check_spare(struct dkim_check *c);

/* ERR_AGAIN: records are wanted, a name once, at most DKIM_SIGNATURES_MAX and two for each set. Signatures that are
 * lost anyway want none. */
int dkim_check_judge(struct dkim_check *c, struct records *r, struct dkim_verdicts *ret);

#endif
