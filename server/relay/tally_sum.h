/* Sums of how TLS went with one domain's servers (RFC 8460 section 4), without I/O: sessions are added, sums are added
 * to sums, and a report is made of one. */
#ifndef RELAY_TALLY_SUM_H
#define RELAY_TALLY_SUM_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "server/core/error.h"
#include "server/mailauth/tls_report.h"
#include "store/tls_tally.h"

/* Said beside a result that says too little (section 4.3.3). */
enum tally_reason {
    TALLY_REASON_NONE,
    TALLY_REASON_HANDSHAKE, /* the negotiation itself came to nothing */
    TALLY_REASON_MX,        /* the host is none of those that the policy names */
    TALLY_REASON_UNUSABLE,  /* TLSA records, but none that mail may use (RFC 7672 section 3.1.3) */
    TALLY_REASONS
};

/* One session under one policy. Texts and addresses as in struct tls_tally. */
struct tally_session {
    enum tls_report_kind kind;
    const char *policy_domain;
    struct slice text;             /* of the policy: lines, each ended by LF */
    enum tls_report_result result; /* TLS_REPORT_OTHER: it went well */
    enum tally_reason reason;
    const char *mx;
    struct tls_tally_address sending, receiving;
};

void tally_address(const struct sockaddr_storage *ss, struct tls_tally_address *ret);
/* ERR_LIMIT: there is no room for its policy, and it is not counted, or for its details, and it is counted alone. */
int tally_sum_add(struct tls_tally *t, const struct tally_session *s);
/* ERR_LIMIT: likewise, for some of more. */
int tally_sum_merge(struct tls_tally *t, const struct tls_tally *more);

enum { TALLY_LINES_MAX = 48 /* of all its policies; more are left out */ };
/* A report, and what it points to. */
struct tally_report {
    struct tls_report report;
    struct tls_report_policy policies[TLS_TALLY_POLICIES_MAX];
    struct tls_report_detail details[TLS_TALLY_DETAILS_MAX];
    const char *lines[TALLY_LINES_MAX], *mx[TALLY_LINES_MAX];
    char texts[TLS_TALLY_POLICIES_MAX][TLS_TALLY_TEXT_MAX + 1];
    char addresses[2 * TLS_TALLY_DETAILS_MAX][INET6_ADDRSTRLEN];
};
/* Whose it is, contact and id are the caller's to say. t must live as long. */
void tally_report_make(const struct tls_tally *t, struct tally_report *ret);

#endif
