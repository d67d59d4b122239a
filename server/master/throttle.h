/* How long a peer waits before its next login is tried: failed logins counted by peer and by network, for all processes
 * and protocols. A table of fixed size; a new entry takes the place of the one beside it that counts least. Never by
 * account: strangers must not lock people out. */
#ifndef MASTER_THROTTLE_H
#define MASTER_THROTTLE_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/role.h"

struct throttle;

/* Peer and network as a role names them. */
struct throttle_key {
    uint8_t peer[LOGIN_KEY_SIZE], network[LOGIN_KEY_SIZE];
};

struct throttle *throttle_create(size_t entries); /* a power of two, 8 at least; NULL: no memory */
void throttle_destroy(struct throttle *t);        /* NULL is allowed */

/* May one that has waited so long try now? 0: yes, and until throttle_done the try counts as a failed one, so that many
 * at once gain nothing. Else how many ms to wait before asking again: 500 after the third failure of a peer, then
 * doubling up to 30 s. Failures are forgotten by half every minute; a network is forgiven more than a peer. */
uint64_t throttle_ask(struct throttle *t, const struct throttle_key *k, uint64_t waited_ms, uint64_t now_ms);
void throttle_done(struct throttle *t, const struct throttle_key *k, bool failed, uint64_t now_ms);
/* One that was done, and failed, was right after all: it counts no more. Once an exchange, however often it is said:
 * else one good login, said again and again, would pay for any number of guesses. Of too many in THROTTLE_FORGIVEN_MS
 * the last are not forgiven. */
enum { THROTTLE_FORGIVEN_MAX = 4096, THROTTLE_FORGIVEN_MS = 120 * 1000 /* longer than an exchange lives */ };
void throttle_forgive(struct throttle *t, const struct throttle_key *k, const uint8_t exchange[LOGIN_EXCHANGE_SIZE],
                      uint64_t now_ms);

#endif
