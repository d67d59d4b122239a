/* What was found of a message, and the one field that says so (Authentication-Results, RFC 8601), for the reader and
 * nobody else: it goes inside the seal. */
#ifndef MAILAUTH_AUTH_RESULTS_H
#define MAILAUTH_AUTH_RESULTS_H

#include "server/core/buf.h"
#include "server/mailauth/dkim_verify.h"
#include "server/mailauth/iprev.h"
#include "server/mailauth/verdict.h"

struct mailauth_verdict {
    uint8_t address[16]; /* of the peer: 16 octets if six, else 4 */
    bool six;
    struct spf_verdict spf;      /* of MAIL FROM, or of HELO where there is no sender */
    struct spf_verdict spf_helo; /* of HELO besides, if it was judged; its domain "" else */
    struct author_verdict author;
    struct dkim_verdicts dkim;
    struct dmarc_verdict dmarc;
    struct iprev_verdict iprev;
    struct helo_verdict helo;
};

enum { AUTH_RESULTS_MAX = 3072 /* octets of a field: as many as a capsule takes */ };

/* The whole field with CRLF, folded, behind what is in out. id: our own name. Texts of strangers stand there as tokens
 * or quoted strings of printable ASCII, whatever is in them. DKIM's signatures come last, those that count for DMARC
 * first; what does not fit any more is left out. ERR_MEMORY; ERR_LIMIT: out has no room. */
int auth_results_write(const struct mailauth_verdict *v, const char *id, struct buf *out);

#endif
