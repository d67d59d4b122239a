/* Mail of an origin that is new here is put off once (RFC 6647): who sends mail on purpose tries again. Its origin is
 * its author's domain where DMARC proves it, since large senders try again from other networks, and else the peer's
 * network (a /24, a /48). One try is an origin, a sender and a recipient; once such a try comes again after the wait,
 * its origin has passed, and all its mail is let through as long as some comes. Two tables of keyed hashes, of fixed
 * size, in the page of each process, which the others read (server/base/tally.h): a process that ends forgets nothing
 * while others run. Whoever floods it gains nothing but that nobody is put off. */
#ifndef INGEST_GREYLIST_H
#define INGEST_GREYLIST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "server/base/tally.h"

enum {
    GREYLIST_WAIT_MAX = 3600,  /* seconds */
    GREYLIST_TRY = 24 * 3600,  /* so long a try counts, */
    GREYLIST_RETRY = 5 * 3600, /* and so long nothing takes its place: every server tries again before */
};

struct greylist;
/* t outlives it; NULL: there is no other process. NULL: no memory */
struct greylist *greylist_create(struct tally *t);
void greylist_destroy(struct greylist *g);                              /* NULL is allowed */
void greylist_limits(struct greylist *g, uint32_t wait, uint32_t keep); /* seconds; at first nobody waits */

struct greylist_origin {
    const struct sockaddr_storage *peer;
    const char *domain; /* that is proven (its organization's); "": none is, the peer's network counts */
};

/* Whether it has passed; if so, it counts from now on again. */
bool greylist_has_passed(struct greylist *g, const struct greylist_origin *from, uint64_t now_ms);
/* True: the same came long enough ago, or there is no room to say so. Else it is noted. */
bool greylist_try(struct greylist *g, const struct greylist_origin *from, const char *sender, const char *recipient,
                  uint64_t now_ms);
void greylist_pass(struct greylist *g, const struct greylist_origin *from, uint64_t now_ms);

#endif
