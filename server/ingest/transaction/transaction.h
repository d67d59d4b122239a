/* What receivers share. A session's transaction: the accepted recipients with their reservations, and the content with
 * its budget. */
#ifndef INGEST_TRANSACTION_H
#define INGEST_TRANSACTION_H

#include "server/base/event.h"
#include "server/ingest/transaction/quota.h"
#include "server/sealer/told.h"
#include "server/ingest/smtp/session.h"

enum { TRANSACTION_RECEIVED_MAX = 2048, TRANSACTION_ID_LEN = 16 /* hex digits */ };

enum transaction_rcpt_state {
    TRANSACTION_RCPT_WAITS,
    TRANSACTION_RCPT_SEALING,
    TRANSACTION_RCPT_STORING,
    TRANSACTION_RCPT_DONE
};

/* How the log knows a sender and a recipient (server/format/log_name.h); zeros: by no such name. */
struct transaction_names {
    uint8_t salt[EVENT_HASH_SIZE];
    uint8_t from[EVENT_HASH_SIZE], from_base[EVENT_HASH_SIZE], from_domain[EVENT_HASH_SIZE];
    uint8_t to[EVENT_HASH_SIZE], to_base[EVENT_HASH_SIZE], to_account[EVENT_HASH_SIZE];
};

/* A mail in pieces, which are another's. */
struct transaction_mail {
    struct iovec *pieces;
    size_t n;
    uint64_t len;
};

struct transaction_rcpt {
    struct transaction *t;
    const struct transaction_mail *mail; /* what this one gets; NULL: the transaction's. The receiver's */
    uint64_t account;
    char primary[ADDRESS_MAX]; /* of the account: what the approval of its address names */
    char address[ADDRESS_MAX]; /* in its one spelling, with its detail: part of the delivery id */
    char given[SMTP_PATH_MAX]; /* as the client named it: for Received */
    uint8_t delivery[RECORD_HASH_SIZE];
    struct transaction_reservation *reservation;
    uint64_t reserved;
    bool queued;   /* not here, or held: it goes to the outgoing queue */
    bool forwards; /* its account's mail goes on: forward.h */
    bool away;     /* and no copy is kept, or it is nobody's here */
    uint8_t hops;  /* accounts here that handed it on */
    enum transaction_rcpt_state state;
    struct deposit *deposit;
    int status;
    enum event_REASON why; /* once it is done */
    struct transaction_names names;
};

struct transaction;
/* What receivers do differently. */
struct transaction_kind {
    /* What is left to do when every deposit has ended well: asked again after each transaction_go_on, until it says
     * true. What failed stands in the recipients. NULL: nothing is. */
    bool (*finish)(struct transaction *t);
    void (*cancel)(struct transaction *t); /* finish is not asked any more. NULL: nothing is under way */
    void (*reset)(struct transaction *t);  /* what the receiver holds for the transaction is given back. May be NULL */
};

/* What is left to do besides, before the kind's: forward.h. */
struct forwarding;
struct mailauth_verdict;
struct reserved;
struct sender;
struct transaction_also {
    bool (*finish)(struct transaction *t); /* as of the kind */
    void (*cancel)(struct transaction *t);
    void (*reset)(struct transaction *t);
    bool (*keeps)(const struct transaction *t); /* the content is needed yet */
};

struct transaction {
    const struct transaction_kind *kind;
    struct ingest *in;
    struct smtp_session *session;
    struct smtp *smtp; /* the session's */
    struct secmem_msg msg;
    uint64_t charged; /* to the budget; kept until the vault has the parcels */
    struct transaction_rcpt *rcpts;
    size_t n, cap;
    bool delivering, stepping;
    bool keeps;                   /* the content is needed when the last seal is done */
    size_t next;                  /* the recipient to be sealed next */
    size_t storing;               /* deliveries under way */
    uint64_t len;                 /* of the message: as announced, and again once msg is wiped */
    struct transaction_mail mail; /* the message as it is to be sealed, in msg and perhaps a head of the receiver's */
    uint64_t now;
    enum event_REASON broken;             /* why the content was given up on its way; ACCEPTED: it was not */
    uint64_t id;                          /* never 0 */
    char id_text[TRANSACTION_ID_LEN + 1]; /* what the sender is told of it, and the log; each transaction has another */
    char tls[96], received[TRANSACTION_RECEIVED_MAX];
    /* What the receiver found of it, for the seal and the capsule; NULL: nothing. They live until the kind's reset. */
    const char *auth_results, *warnings;
    const struct mailauth_verdict *verdict;
    bool junk; /* it goes to the mailboxes for that, and nowhere else */
    const struct reserved
        *reserved; /* it is for an address of the server's own (reserved/reserved.h), of this domain */
    char reserved_domain[DOMAIN_CAP];
    uint64_t asked; /* the vault, for such an address; 0: it is not */
    uint8_t content[CONTENT_HASH_SIZE];
    struct defer step;
    struct idle stall; /* ends a delivery that makes no progress */
    struct told told;
    const struct transaction_also *also; /* NULL: nothing is */
    struct forwarding *forwarding;
    uint64_t submitter;    /* the account that has logged in; 0: mail of the world */
    struct sender *sender; /* sender.h; NULL: nothing is known */
};

/* ---- its parts of a receiver's table (smtp/session.h): r is a struct transaction ---- */

void transaction_begin(struct transaction *t, const struct transaction_kind *kind, struct ingest *in,
                       struct smtp_session *s); /* zeroed before */
void transaction_end(struct transaction *t);    /* with the session */
void transaction_on_mail(void *r, const struct smtp_event *e);
bool transaction_on_room(void *r, size_t octets);
void transaction_on_content(void *r, struct slice content);
void transaction_on_failed(void *r, enum smtp_fault fault);
void transaction_on_reset(void *r);
void transaction_on_refused(void *r, const struct smtp_event *e);
void transaction_on_heard(void *r);

/* ---- for receivers ---- */

/* The reply to an error. The last row of a table has OK and stands for every other error. */
struct transaction_refusal {
    int err, code;
    const char *enhanced, *text; /* RFC 3463 */
    enum ingest_counter counter;
    enum event_REASON why;
};
const struct transaction_refusal *transaction_refusal_of(const struct transaction_refusal *table, int err);
/* Answers the event with it. */
const struct transaction_refusal *transaction_refuse(struct transaction *t, const struct transaction_refusal *table,
                                                     int err);
/* Hashes the content and makes pieces of it. */
int transaction_take_content(struct transaction *t);
/* The first octets of a mail in one piece, at most cap; returns how many. */
size_t transaction_mail_top(const struct transaction_mail *m, uint8_t *out, size_t cap);
/* The pieces again: head, which must live as long, in place of the first octets of the content. */
int transaction_behead(struct transaction *t, struct slice head, size_t octets);
void transaction_name_as(struct transaction *t, uint64_t id);
void transaction_name(struct transaction *t); /* gives the next transaction its id */

/* Room for one more, zeroed; the caller counts it in n. A further call moves all recipients. NULL: no memory. */
struct transaction_rcpt *transaction_add_rcpt(struct transaction *t);
int transaction_charge(struct transaction *t, uint64_t octets); /* budget_take */
void transaction_give(struct transaction *t, uint64_t left);    /* what is charged beyond so much */
void transaction_wipe_content(struct transaction *t);           /* the budget stays charged */
void transaction_forget_content(struct transaction *t);         /* wiped, and the budget given back */
void transaction_cancel(struct transaction *t);                 /* deliveries under way end with ERR_TIMEOUT */
void transaction_reset(struct transaction *t); /* all it holds is given back, all it waits for given up */

#endif
