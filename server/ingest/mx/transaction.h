/* A session's transaction: the accepted recipients with their reservations, and the content with its budget. */
#ifndef INGEST_MX_TRANSACTION_H
#define INGEST_MX_TRANSACTION_H

#include "server/base/event.h"
#include "server/ingest/mx/quota.h"
#include "server/sealer/told.h"
#include "server/ingest/smtp/session.h"

enum { MX_RECEIVED_MAX = 2048, MX_ID_LEN = 16 /* hex digits */ };

enum mx_rcpt_state { MX_RCPT_WAITS, MX_RCPT_SEALING, MX_RCPT_STORING, MX_RCPT_DONE };

/* How the log knows a sender and a recipient (server/format/log_name.h); zeros: by no such name. */
struct mx_names {
    uint8_t salt[EVENT_HASH_SIZE];
    uint8_t from[EVENT_HASH_SIZE], from_base[EVENT_HASH_SIZE], from_domain[EVENT_HASH_SIZE];
    uint8_t to[EVENT_HASH_SIZE], to_base[EVENT_HASH_SIZE], to_account[EVENT_HASH_SIZE];
};

struct mx_rcpt {
    struct mx *mx;
    uint64_t account;
    char primary[ADDRESS_MAX]; /* of the account: what the approval of its address names */
    char address[ADDRESS_MAX]; /* in its one spelling, with its detail: part of the delivery id */
    char given[SMTP_PATH_MAX]; /* as the client named it: for Received */
    uint8_t delivery[RECORD_HASH_SIZE];
    struct mx_reservation *reservation;
    uint64_t reserved;
    enum mx_rcpt_state state;
    struct deposit *deposit;
    int status;
    enum event_REASON why; /* once it is done */
    struct mx_names names;
};

struct mx {
    struct ingest *in;
    struct smtp_session *session;
    struct smtp *smtp; /* the session's */
    struct secmem_msg msg;
    uint64_t charged; /* to the budget; kept until the vault has the parcels */
    struct mx_rcpt *rcpts;
    size_t n, cap;
    bool delivering, stepping;
    size_t next;    /* the recipient to be sealed next */
    size_t storing; /* deliveries under way */
    uint64_t len;   /* of the message: as announced, and again once msg is wiped */
    struct iovec *pieces;
    size_t npieces;
    uint64_t now;
    enum event_REASON broken;    /* why the content was given up on its way; ACCEPTED: it was not */
    char id_text[MX_ID_LEN + 1]; /* what the sender is told of it, and the log; each transaction has another */
    char tls[96], received[MX_RECEIVED_MAX];
    uint8_t content[CONTENT_HASH_SIZE];
    struct defer step;
    struct idle stall; /* ends a delivery that makes no progress */
    struct told told;
};

/* The reply to an error. The last row of a table has OK and stands for every other error. */
struct mx_refusal {
    int err, code;
    const char *enhanced, *text; /* RFC 3463 */
    enum ingest_counter counter;
    enum event_REASON why;
};
const struct mx_refusal *mx_refusal_of(const struct mx_refusal *table, int err);
/* Answers the event with it. */
const struct mx_refusal *mx_refuse(struct mx *m, const struct mx_refusal *table, int err);
void mx_name(struct mx *m); /* gives the next transaction its id */

/* Room for one more, zeroed; the caller counts it in n. A further call moves all recipients. NULL: no memory. */
struct mx_rcpt *mx_add_rcpt(struct mx *m);
int mx_charge(struct mx *m, uint64_t octets); /* budget_take */
void mx_wipe_content(struct mx *m);           /* the budget stays charged */
void mx_forget_content(struct mx *m);         /* wiped, and the budget given back */
void mx_cancel(struct mx *m);                 /* deliveries under way end with ERR_TIMEOUT */
void mx_reset(struct mx *m);                  /* all it holds is given back, all it waits for given up */

#endif
