/* Delivery status notifications (RFC 3464): what a sender is told of recipients' fates, as a multipart/report
 * (RFC 6522). Who is told of what, RFC 3461 says. */
#ifndef RELAY_DSN_H
#define RELAY_DSN_H

#include <stdbool.h>
#include <sys/uio.h>

#include "server/core/secmem.h"
#include "store/queue.h"

enum dsn_kind { DSN_FAILED, DSN_DELAYED, DSN_RELAYED /* to a server that knows no DSN */, DSN_DELIVERED };
/* Whether the sender of e is told that of r: never of the null path, which a DSN has (RFC 5321 section 4.5.5). */
bool dsn_wanted(const struct queue_envelope *e, const struct queue_recipient *r, enum dsn_kind kind);

enum { DSN_HEADER_MAX = 64 * 1024 };
struct dsn {
    const char *domain; /* ours: From, Reporting-MTA */
    const struct queue_envelope *envelope;
    enum dsn_kind kind;
    const struct queue_recipient *const *recipients;
    size_t n;
    const struct iovec *mail; /* the message; none (n 0) if it cannot be opened */
    size_t mail_n;
    uint64_t now;
};
/* out: empty before. Of the message it has the header, or with RET=FULL all if it failed (RFC 3461 section 4.3).
 * ERR_MEMORY. */
int dsn_make(const struct dsn *d, struct secmem_msg *out);

#endif
