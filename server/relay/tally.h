/* How TLS goes, summed by recipient domain and period (RFC 8460 section 4.1). What is new is added to the store's
 * records (store/tls_tally.h) now and then, by each process of `relay` for itself: who finds that another one was
 * faster reads theirs and adds to that. */
#ifndef RELAY_TALLY_H
#define RELAY_TALLY_H

#include "server/base/conn.h"
#include "server/base/loop.h"
#include "server/relay/tally_sum.h"
#include "store/client.h"
#include "store/view.h"

struct relay;
struct route;

enum { TALLY_DOMAINS_MAX = 1024 /* that wait to be written; what is past them is not counted */ };

struct tallies;
/* lost: counts what is not counted. changed: what waits to be written is less, or none. */
struct tallies *tallies_create(struct loop *l, struct view *v, struct vault_client *vault, uint64_t (*now)(void),
                               uint64_t *lost, void (*changed)(void *arg), void *arg); /* NULL: memory */
void tallies_destroy(struct tallies *t);                                               /* NULL is allowed */
/* interval: seconds of a period; 0: nothing is summed. */
void tallies_limit(struct tallies *t, uint32_t interval);
/* How often sums are written, and looked at, in a period of so many seconds. */
uint64_t tallies_pause_ms(uint32_t interval);
void tallies_add(struct tallies *t, const char *domain, const struct tally_session *s);
/* Writes all now; what then fails is given up. false: it is on its way. */
bool tallies_end(struct tallies *t);

/* ---- where sessions come from ---- */

/* A connection to a host of the route, after its TLS stands (fault NONE, or what there is against the certificate, if
 * that was looked at), or came to nothing. result: TLS_REPORT_OTHER, if the fault says all. */
void tally_connection(struct relay *r, const struct route *route, uint32_t host, const struct conn *c,
                      enum tls_report_result result, enum tls_client_fault fault);
/* A host that is not used, for what it cannot prove (struct router). */
void tally_unused(void *relay, const struct route *r, uint32_t name);

#endif
