/* DMARC (RFC 9989) without I/O: who may write as a domain, as that domain says. pct= means nothing any more (appendix
 * A.6). */
#ifndef MAILAUTH_DMARC_H
#define MAILAUTH_DMARC_H

#include "server/mailauth/verdict.h"

enum {
    DMARC_RECORD_MAX = 8192, /* octets: a longer one is none */
    DMARC_WALK_MAX = 8,      /* names that one tree walk asks for (section 4.10) */
    DMARC_WALKS_MAX = 10, /* identifiers of a message that are walked for: SPF's, then those of DKIM in their order */
};

/* ---- records (section 4.7) ---- */

struct dmarc_record {
    bool usable; /* false: without a policy that can be read, and without an address for reports: nothing is done */
    bool has_np;
    enum dmarc_policy p, sp, np;
    char psd; /* 'y', 'n', 'u' */
    bool testing, strict_dkim, strict_spf;
};
/* It begins with v=DMARC1. */
bool dmarc_is_record(struct slice txt);
/* Of one: what cannot be read counts as left out, of what is there twice the first counts. */
void dmarc_parse(struct slice txt, struct dmarc_record *ret);

/* ---- a message ---- */

struct dmarc_identifier {
    const char *domain;      /* of SPF's verdict, or d= of a signature; "": there is none */
    enum auth_result result; /* of it: pass and temperror count */
};
struct dmarc_question {
    const struct author_verdict *author;
    struct dmarc_identifier spf;
    const struct dmarc_identifier *dkim; /* 32 at most; others never align */
    size_t dkim_n;
};
/* OK: *ret is set, whatever was found. ERR_AGAIN: answers are missing. An author without a domain of his own never
 * passes: permerror, or none where his domain is an address literal. */
int dmarc_check(const struct dmarc_question *q, struct records *r, struct dmarc_verdict *ret);

#endif
