/* Whose mail it is: an account writes as its own addresses (primary, aliases, those of its catch-all domains, each with
 * any detail), in the envelope and in the header alike. */
#ifndef INGEST_AUTHOR_H
#define INGEST_AUTHOR_H

#include "server/ingest/submission/clean.h"
#include "server/mail/address.h"

enum author_fault {
    AUTHOR_NONE_THERE = 1, /* no From, or one that names nobody */
    AUTHOR_TWICE,          /* more than one From or Sender */
    AUTHOR_UNREADABLE,     /* not of the grammar, or a group: readers would differ */
    AUTHOR_NOT_OWN,
};
/* From and Sender, and with Resent- before them, of every field and each address in it. own: OK, ERR_DENIED: it is not,
 * others are given back. Else enum author_fault. ret_domain: of the first address in From, in ASCII. */
typedef int author_own_fn(void *arg, const char *address);
int submission_author_check(const struct clean_header *h, author_own_fn *own, void *arg, char ret_domain[DOMAIN_CAP]);

#endif
