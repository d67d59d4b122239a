/* The fields that sign: DKIM-Signature (RFC 6376 section 3.5), ARC-Message-Signature and ARC-Seal (RFC 8617 section
 * 4.1), taken apart. */
#ifndef MAILAUTH_DKIM_FIELD_H
#define MAILAUTH_DKIM_FIELD_H

#include "server/mail/header.h"
#include "server/mailauth/canon.h"
#include "server/mailauth/dkim_verify.h"

enum {
    DKIM_HASH = 32,
    DKIM_B_MAX = 1024, /* octets of a signature */
    ARC_INSTANCE_MAX = 50,
};

enum dkim_kind { DKIM_KIND_SIGNATURE = 1, DKIM_KIND_MESSAGE = 2, DKIM_KIND_SEAL = 4 };
enum arc_chain { ARC_CHAIN_NONE, ARC_CHAIN_PASS, ARC_CHAIN_FAIL }; /* cv= */

struct dkim_field {
    enum dkim_kind kind;
    enum dkim_algorithm algorithm;
    enum canon header, body;
    char domain[DOMAIN_CAP], selector[DOMAIN_CAP], identity[DOMAIN_CAP];
    bool partial;                /* l= */
    uint64_t length;             /* its octets; UINT64_MAX without */
    uint64_t signed_at, expires; /* 0: not said */
    unsigned instance;           /* 0: a DKIM-Signature */
    enum arc_chain chain;
    struct slice names; /* h= */
    struct slice cut;   /* b= with the white space around it: empty while the field itself is hashed (section 3.7) */
    uint8_t body_hash[DKIM_HASH], b[DKIM_B_MAX];
    size_t b_len;
};

/* value: what follows the colon; slices point into it. DKIM_VERIFIED: it can be verified; else why not, and what could
 * be read is there. */
enum dkim_reason dkim_field_read(enum dkim_kind kind, struct slice value, struct dkim_field *ret);
/* The next name of h=, cut off it. ERR_NOT_FOUND: that was the last; ERR_FORMAT. */
int dkim_field_name(struct slice *names, struct slice *ret);
/* i= of a message signature or a seal; 0: it has none. */
unsigned arc_field_instance(struct slice value);
/* i= in front of an ARC-Authentication-Results (RFC 8617 section 4.1.1); 0: there is none. */
unsigned arc_results_instance(struct slice value);

#endif
