/* An SPF record walked to its end: what it says of an address (RFC 7208 section 4), and what it costs whoever asks. */
#ifndef DOCTOR_SPF_WALK_H
#define DOCTOR_SPF_WALK_H

#include "server/dns/dns.h"
#include "server/mailauth/spf.h"

struct spf_walk {
    /* As dns.h has it, but at once: NULL, and *ret_err says why. */
    const struct dns_answer *(*ask)(void *arg, enum dns_type type, const char *name, int *ret_err);
    void *arg;
    struct spf_macros macros; /* but for the domain */

    /* What was found. Counts are of all records together, although who checks ends at the first match: the worst that
     * can come. */
    enum auth_result result;
    unsigned lookups, voids;
    bool lets_everybody; /* +all, or a network of all addresses */
    bool asks_ptr;       /* section 5.5: it should not be used */
    const char *fault;   /* of the first permanent or temporary error: what it is, static; NULL: there was none */
    char fault_at[512];  /* the name, and the term, or "" */
};

void spf_walk_run(struct spf_walk *w, const char *domain);

#endif
