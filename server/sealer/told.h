/* Mail that a session's client was told is stored (250, OK). Until it has shown that it read that, it may send the mail
 * once more, and the delivery ids keep that from making a second copy. From then on a mail alike in every octet is
 * another mail, so their ids go. */
#ifndef SEALER_TOLD_H
#define SEALER_TOLD_H

#include <stdbool.h>

#include "server/base/loop.h"
#include "store/client.h"

enum { TOLD_MAX = 1024 /* a session; the ids of what comes beyond that stay for their days */ };

/* A session's. Zeroed at the start. */
struct told {
    struct vault_seen_row *rows;
    size_t n, cap;
};

/* A process's: what many sessions had in one turn goes to the vault in one request, at the turn's end or on a flush.
 * What the vault could not forget (a full disk) is asked for again with the next. */
struct told_seen {
    struct loop *loop;
    struct vault_client *vault;
    void (*gone)(void *arg, const struct vault_seen_row *row); /* its id is forgotten; NULL: nobody wants to know */
    void *arg;
    struct vault_seen_row rows[VAULT_SEEN_MAX];
    uint32_t n;
    struct told_batch *open; /* asked for, and not done */
    uint32_t nopen;
    struct defer work;
};

/* Not OK: it is not kept. ERR_LIMIT, ERR_MEMORY. */
int told_add(struct told *t, uint64_t account, const uint8_t delivery[RECORD_HASH_SIZE]);
bool told_has(const struct told *t, uint64_t account, const uint8_t delivery[RECORD_HASH_SIZE]);
/* The client has read it: the vault is told of all of them, and t is empty. */
void told_heard(struct told *t, struct told_seen *seen);
void told_free(struct told *t);

void told_seen_init(struct told_seen *s, struct loop *l, struct vault_client *v);
/* Before a mail is stored that may be alike, and at the end. */
void told_seen_flush(struct told_seen *s);
/* Whether the vault has yet to forget it: mail alike may be taken for a retry till then. */
bool told_seen_has(const struct told_seen *s, uint64_t account, const uint8_t delivery[RECORD_HASH_SIZE]);
void told_seen_free(struct told_seen *s); /* when no answer of the vault comes any more */

#endif
