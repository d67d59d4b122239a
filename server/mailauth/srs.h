/* The sender rewriting scheme (Wong and Meng, "Sender Rewriting Scheme", 2003): mail that is forwarded has a return
 * path of our own domain, which SPF of the receiving server lets pass, and in it the sender's, to whom a bounce goes.
 *
 *   SRS0=HASH=TT=domain=local@ours        of local@domain; TT is the day
 *   SRS1=HASH=first=...@ours              of SRS0...@first: what stands behind "SRS0" as it was, for `first` to judge;
 *                                         and of SRS1=another's hash=first=...@elsewhere
 *
 * The hash is keyed, 40 bits in base32, and like all of the address without regard to case: relays fold it. It covers
 * our domain, and in SRS1 the three weeks of its making. What nobody could read back is not written. */
#ifndef MAILAUTH_SRS_H
#define MAILAUTH_SRS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/mail/address.h"

enum {
    SRS_KEY_SIZE = 32,
    SRS_DAYS = 21,     /* so long a bounce may come */
    SRS_LOCAL_MAX = 64 /* octets of a local part (RFC 5321 section 4.5.3.1.1) */
};

/* sender: in its plainest spelling (address_envelope_read), not the null path. domain: ours, lower-case ASCII. now:
 * seconds since 1970. ERR_UNSUPPORTED: it has to be quoted, is at a literal or no domain, or would be longer than
 * SRS_LOCAL_MAX. */
int srs_make(const uint8_t key[SRS_KEY_SIZE], const char *domain, const char *sender, uint64_t now,
             char out[ADDRESS_MAX]);
/* Whether an address has the form that is written here, whoever made it. */
bool srs_looks_so(const char *address);
/* Whom a bounce to address is for. ERR_FORMAT: it is none of ours for this domain, changed, or too old. */
int srs_open(const uint8_t key[SRS_KEY_SIZE], const char *domain, const char *address, uint64_t now,
             char out[ADDRESS_MAX]);

#endif
