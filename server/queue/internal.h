/* From `relay` to `ingest`. Mail for an account here, a DSN or held mail whose time has come: it is sealed to the
 * account like any mail; the server's own word stands for who sent it. Or a mail of the server's own to somebody
 * elsewhere, a TLS report: it goes into the outgoing queue. Idempotent by `delivery`, the latter as long as the mail is
 * in the queue. */
#ifndef QUEUE_INTERNAL_H
#define QUEUE_INTERNAL_H

#include "server/base/ask.h"
#include "server/core/wire.h"
#include "store/records.h"

enum { INTERNAL_DELIVER = 1, INTERNAL_QUEUE = 2, INTERNAL_REPLY = 100 };
/* Payload of both: raw16 delivery, str from ("" for the null path), str to; descriptor: a sealed memfd with
 * the message, CRLF lines. Reply: u32 status, str text. ERR_NOT_FOUND: no such address here; ERR_DENIED: not a domain
 * of ours; ERR_LIMIT: it can never be kept; ERR_QUOTA; others: later. INTERNAL_QUEUE: ERR_FORMAT: no address that mail
 * can be sent to. */
struct internal_deliver {
    uint8_t delivery[RECORD_HASH_SIZE]; /* the same for the same mail and recipient */
    struct slice from, to;
};
int internal_deliver_pack(struct pack *p, const struct internal_deliver *d);
int internal_deliver_unpack(struct unpack *u, struct internal_deliver *ret); /* ERR_FORMAT */

#endif
