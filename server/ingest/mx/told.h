/* Deliveries that a session's client was told of with 250. Until it has shown that it read that, it may send the mail
 * once more, and the delivery ids keep that from making a second copy. From then on a mail alike in every octet is
 * another mail, so their ids go. */
#ifndef INGEST_MX_TOLD_H
#define INGEST_MX_TOLD_H

#include "server/ingest/ingest.h"

enum { MX_TOLD_MAX = 1024 /* a session; the ids of what comes beyond that stay for their days */ };

/* Zeroed at the start. */
struct mx_told {
    struct vault_seen_row *rows;
    size_t n, cap;
};

void mx_told_add(struct mx_told *t, uint64_t account, const uint8_t delivery[RECORD_HASH_SIZE]);
/* The client has read it: the vault is told of all of them, and t is empty. */
void mx_told_seen(struct mx_told *t, struct ingest *in);
void mx_told_free(struct mx_told *t);

/* What many sessions had in one turn goes in one request, at the turn's end or here. */
void mx_seen_flush(struct ingest *in);

#endif
