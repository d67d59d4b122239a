/* What a try came to for a recipient: by what the server there answered (RFC 5321 section 4.2.1, RFC 3463), or by why
 * it was not asked. */
#ifndef RELAY_OUTCOME_H
#define RELAY_OUTCOME_H

#include <stdbool.h>

#include "server/proto/smtp_client.h"
#include "store/queue.h"

enum verdict { VERDICT_SENT = 1, VERDICT_DEFERRED, VERDICT_FAILED };

enum { OUTCOME_STATUS_MAX = 12 };
struct outcome {
    enum verdict verdict;
    bool again_at_once; /* DEFERRED: the server took others and asks for the rest in a further transaction */
    char reply[QUEUE_REPLY_MAX + 1]; /* "550 5.1.1 No such user": of the server, or in our words */
};

/* Our own words. */
enum obstacle {
    OBSTACLE_NO_DOMAIN,   /* NXDOMAIN */
    OBSTACLE_NO_ADDRESS,  /* the domain has no host that has an address */
    OBSTACLE_NULL_MX,     /* RFC 7505 */
    OBSTACLE_LOOP,        /* we are its best MX */
    OBSTACLE_NAMES,       /* no answer from DNS, or a bogus one */
    OBSTACLE_CONNECT,     /* nobody answers there */
    OBSTACLE_SILENT,      /* no greeting, or no reply */
    OBSTACLE_LOST,        /* the connection ended */
    OBSTACLE_DOUBT,       /* it ended after all was sent, before the reply */
    OBSTACLE_NO_SMTP,     /* what it says is no reply */
    OBSTACLE_TLS,         /* TLS is asked for here, and cannot be had or proves nothing */
    OBSTACLE_LOGIN,       /* the smarthost does not know us */
    OBSTACLE_TOO_LARGE,   /* by its SIZE */
    OBSTACLE_NO_SMTPUTF8, /* RFC 6531 section 3.5 */
    OBSTACLE_CONVERSION,  /* an 8-bit body that cannot be made 7-bit */
    OBSTACLE_REQUIRETLS,  /* RFC 8689: it is not offered */
    OBSTACLE_UNPROVED,    /* the same: neither DANE nor MTA-STS tells who the servers are */
    OBSTACLE_EXPIRED,     /* queue_lifetime is over */
    OBSTACLE_DAMAGED,     /* the message cannot be opened */
    OBSTACLE_NO_USER,     /* held mail for an account that is gone */
    OBSTACLE_UNKEEPABLE,  /* held mail that the account can never keep */
    OBSTACLE_SHORTAGE,    /* of our own */
    OBSTACLES,
};

void outcome_obstacle(enum obstacle o, struct outcome *ret);
/* Whether they are our own words, and nobody's there. */
bool outcome_is_own(const char *reply);
/* r: to RCPT, or to the content; or to MAIL, for all recipients. taken: the same transaction had a recipient taken. */
void outcome_reply(const struct smtp_client_reply *r, bool taken, struct outcome *ret);
/* The RFC 3463 code of what outcome_ wrote, with its class changed to that of the verdict that the record now has:
 * "5.1.1". reply may be anything, for it was stored. */
void outcome_status(const char *reply, enum verdict now, char out[OUTCOME_STATUS_MAX]);

#endif
