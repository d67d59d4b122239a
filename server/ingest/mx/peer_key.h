/* Keys that mail brings along (Autocrypt level 1, "Updating Autocrypt peer state"), kept for the accounts here that it
 * is for and that seal what they send. Whoever writes such mail says what he likes: it never touches the key that an
 * account has seen elsewhere, and is for those alone who would write in the clear (submission/correspondents.h). */
#ifndef INGEST_PEER_KEY_H
#define INGEST_PEER_KEY_H

#include "server/ingest/transaction/transaction.h"
#include "store/correspondent.h"

enum { PEER_KEY_SIGNATURES_MAX = 16 /* of its own, in a certificate: some milliseconds of the process */ };

/* What a mail has, judged. */
struct peer_key {
    uint64_t date; /* effective: never of the future */
    bool mutual;
    bool proven; /* that its author wrote it */
    const uint8_t *cert;
    size_t len;
    const struct pgp_verdict *verdict;
};
/* Whether it changes the record, which is NULL or any's; what is not proven takes nothing away that can be used: it is
 * the first, or the same key once more, or comes when the one before is over. c->address is filled in. */
bool mx_peer_key_rule(struct correspondent *c, bool any, const struct peer_key *k, uint64_t now);

/* Of a message that is whole, and no junk. What cannot be kept now is not: nobody's mail waits for it. */
void mx_take_peer_key(struct transaction *t, bool proven);

#endif
