/* What is found of one message: verdicts in the words of RFC 8601. Those of DKIM and ARC are their engine's. */
#ifndef MAILAUTH_VERDICT_H
#define MAILAUTH_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/mailauth/records.h"

/* RFC 8601 section 2.7. AUTH_POLICY: it would have passed, but for a rule of ours. */
enum auth_result {
    AUTH_NONE,
    AUTH_NEUTRAL,
    AUTH_PASS,
    AUTH_FAIL,
    AUTH_SOFTFAIL,
    AUTH_POLICY,
    AUTH_TEMPERROR,
    AUTH_PERMERROR
};
const char *auth_result_name(enum auth_result r);

enum { SPF_EXPLANATION_CAP = 512 };

/* Texts of strangers are bounded here, and "" where there is none. problem: of what is no pass, in our own words,
 * static, or NULL. */

struct spf_verdict {
    enum auth_result result;
    char domain[RECORDS_NAME_CAP]; /* whose record was judged; "" if there was no domain */
    bool of_helo;                  /* there was no sender: the name of HELO is what was judged */
    const char *problem;
    char explanation[SPF_EXPLANATION_CAP]; /* of a fail: the domain's own words, printable ASCII */
};

enum dmarc_policy { DMARC_NONE, DMARC_QUARANTINE, DMARC_REJECT };
const char *dmarc_policy_name(enum dmarc_policy p);
struct dmarc_verdict {
    enum auth_result result;             /* none, pass, fail, temperror, permerror */
    enum dmarc_policy policy;            /* what the domain asks for should it fail, testing taken into account */
    enum dmarc_policy p, sp, np;         /* as published: for the domain, names below it, names that do not exist */
    bool testing;                        /* t=y */
    bool strict_dkim, strict_spf;        /* adkim=s, aspf=s */
    bool spf_aligned;                    /* SPF passed for a name that aligns */
    uint32_t dkim_aligned;               /* a bit for each signature that passed and aligns */
    char author[RECORDS_NAME_CAP];       /* domain of From */
    char published[RECORDS_NAME_CAP];    /* where the record stands; "": there is none */
    char organization[RECORDS_NAME_CAP]; /* the Organizational Domain of author */
    const char *problem;
};

/* The peer's address, the name behind it (RFC 8601 section 2.7.3), and what it calls itself. */
struct iprev_verdict {
    enum auth_result result;
    char name[RECORDS_NAME_CAP]; /* of a pass: the name that leads back; else the first one it claims */
    bool generic;                /* its address stands in that name: of a host that nobody named */
};
enum helo_form { HELO_NAME, HELO_LITERAL, HELO_SHORT /* one label */, HELO_WRONG };
struct helo_verdict {
    enum helo_form form;
    enum auth_result result; /* pass: it is the peer's address, or a name of it; fail: it is not, or exists nowhere */
    bool ours;               /* it calls itself by a name of ours */
};

/* Who wrote it, as From says. What is no AUTHOR_OK never passes DMARC. */
enum author_fault {
    AUTHOR_OK,
    AUTHOR_MISSING,    /* no From, or nobody in it */
    AUTHOR_SEVERAL,    /* fields, or domains */
    AUTHOR_UNREADABLE, /* readers would disagree about it */
    AUTHOR_NO_DOMAIN,  /* an address literal, or no name that can exist */
};
struct author_verdict {
    enum author_fault fault;
    char domain[RECORDS_NAME_CAP]; /* lower-case, A-labels; "" unless AUTHOR_OK */
    unsigned mailboxes;            /* all of that domain */
    bool sender_differs;           /* a Sender field names another domain */
};

#endif
