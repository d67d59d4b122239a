/* The peer's address and names: what stands behind the address and leads back to it (RFC 8601 section 3), and what the
 * peer calls itself. Verdicts alone: what follows from them is for others to say. */
#ifndef MAILAUTH_IPREV_H
#define MAILAUTH_IPREV_H

#include "server/mailauth/verdict.h"

enum { IPREV_NAMES_MAX = 10 /* that are looked at; an address may have any number of them */ };

/* 16 octets if six, else 4. IPv4 in IPv6's clothes (RFC 4291 section 2.5.5.2) becomes IPv4: a pointer into octets. */
struct iprev_address {
    const uint8_t *octets;
    bool six;
};
struct iprev_address iprev_address_of(const uint8_t *octets, bool six);

/* Each asks for what is missing; ERR_AGAIN then. */
int iprev_check(struct iprev_address a, struct records *r, struct iprev_verdict *ret);
/* helo: as it was said; own: our name. */
int helo_check(struct iprev_address a, const char *helo, const char *own, struct records *r, struct helo_verdict *ret);

/* ---- for SPF, which has its own rules for the same names ---- */

/* The names that the address claims to have. NULL: they are wanted. */
const struct records_answer *iprev_names(struct records *r, struct iprev_address a);
enum records_type iprev_host_type(struct iprev_address a);
/* Each name that leads back, handed to fn until that says so. *ret_waits: an answer is missing, and fn was not called.
 * What does not resolve leads nowhere. */
bool iprev_each(struct records *r, struct iprev_address a, bool (*fn)(void *arg, const char *name), void *arg,
                bool *ret_waits);

#endif
