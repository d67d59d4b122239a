/* What peers owe for their errors (refused recipients, bad commands) or look-ups, over all sessions and processes of
 * a role: a leaky bucket for each peer and each network, of addr_peer_key and addr_network_key. A peer may make `burst`
 * errors at once; `minute` of them are forgiven each minute; a network has DEBTS_NETWORK times both. Who has used that
 * up waits before a try that may be an error, whatever the answer would be: then tries that fail are never more than
 * the burst and what was forgiven since. In the same way accounts owe for what they send.
 *
 * With a tally each process sees what the others have counted, and only adds to it. While nobody owes anything a
 * question is one look at each process's page. */
#ifndef BASE_DEBTS_H
#define BASE_DEBTS_H

#include <stdint.h>
#include <sys/socket.h>

#include "server/base/tally.h"

enum {
    DEBTS_NETWORK = 8,
    DEBTS_WAIT_MS = 20 * 1000, /* the longest wait: less than clients have patience for (RFC 5321 section 4.5.3.2) */
};

/* Who owes; each kind has words of its own in a page. */
enum debts_kind {
    DEBTS_PEERS,
    DEBTS_ACCOUNTS,
    DEBTS_UPLOADS = DEBTS_ACCOUNTS, /* of peers, in the role that has no accounts */
    DEBTS_KINDS
};

struct debts;
/* t outlives it; NULL: there is no other process. NULL: no memory */
struct debts *debts_create(struct tally *t, enum debts_kind kind);
void debts_destroy(struct debts *d);                                 /* NULL is allowed */
void debts_limits(struct debts *d, uint32_t burst, uint32_t minute); /* both at least 1 */

/* Before a try. *ret_wait 0: at once. Else so many ms later, and the try counts as an error from now on, so that those
 * who wait stand in a line; debts_forgive takes it back. ERR_LIMIT: the line is too long, refuse it unseen. */
int debts_ask(struct debts *d, const struct sockaddr_storage *peer, uint64_t now_ms, uint64_t *ret_wait);
void debts_forgive(struct debts *d, const struct sockaddr_storage *peer, uint64_t now_ms);
/* An error that was not waited for. Its answer is due in so many ms. ERR_LIMIT: later than anybody should wait. */
int debts_add(struct debts *d, const struct sockaddr_storage *peer, uint64_t now_ms, uint64_t *ret_wait);
/* What is had at once or not at all, such as a look-up. *ret_wait 0: it is had, and counts; else it does not count, and
 * in so many ms there will be one: who never stops asking has as many as who waits. */
void debts_take(struct debts *d, const struct sockaddr_storage *peer, uint64_t now_ms, uint64_t *ret_wait);

/* What an account does, which is no error: `burst` at once, and `minute` more each minute. It may be done in *ret_wait
 * ms, and counts from now on. ERR_LIMIT: the line is too long, and it does not count. what: each is counted apart. */
int debts_pace(struct debts *d, uint64_t account, uint8_t what, uint64_t now_ms, uint64_t *ret_wait);

#endif
