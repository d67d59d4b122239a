/* A session of ours: who has logged in, and what its transaction holds beside what every one does. */
#ifndef INGEST_SUBMISSION_STATE_H
#define INGEST_SUBMISSION_STATE_H

#include "server/ingest/submission/correspondents.h"
#include "server/ingest/submission/pace.h"
#include "server/ingest/submission/strangers.h"
#include "server/ingest/transaction/transaction.h"
#include "server/login/login.h"
#include "server/queue/enqueue.h"
#include "store/complaint.h"

enum { SUBMISSION_FEEDBACK_MAX = 64 + DOMAIN_CAP + COMPLAINT_TOKEN_CAP };

struct submission {
    struct transaction t;
    /* AUTH */
    struct exchange *said; /* so far; NULL: none is under way */
    struct login_try *try;
    unsigned failures;
    struct login_result who; /* once logged in */
    struct pace pace;
    struct smtp_event mail_event; /* the MAIL that waits for its turn */
    uint8_t encrypt;              /* enum encrypt, of the account, as MAIL found it */
    /* the transaction */
    struct encrypting *encrypting;  /* encrypt.c's; NULL: it does nothing */
    struct strangers_wait *looking; /* likewise, for the key of the recipient at hand */
    struct keeping keeping;         /* correspondents.c's, for the key of a recipient */
    void (*ready)(struct submission *s);
    struct smtp_event rcpt; /* which waits meanwhile */
    uint8_t *head;          /* secmem_map: our header in place of the client's; NULL: none yet */
    size_t head_len, head_cap;
    struct queue_recipient *rows; /* of the recipients that are queued, in their order */
    uint32_t nrows, cap;
    struct iovec *mail;                     /* as it goes to the queue */
    char author[DOMAIN_CAP];                /* the domain of the first address in From */
    char feedback[SUBMISSION_FEEDBACK_MAX]; /* who is told of complaints about it (RFC 9477), of the message at hand */
    struct enqueue *enqueue;
    size_t next;               /* the recipient whose message is handed over to the queue next */
    bool begun, over, counted; /* of the handing over; counted: as a message of its account */
    bool tls_optional;         /* the header says so */
};

/* auth.c: as smtp_receiver has it; cancel gives up what is under way. */
void submission_auth(struct submission *s, const struct smtp_event *e);
void submission_auth_cancel(struct submission *s);

/* queue.c: a recipient goes to the queue; ERR_MEMORY, ERR_FULL: it does not fit, ERR_UNSUPPORTED: there is no queue,
 * ERR_FORMAT: such an address cannot be delivered to. local: of an account here. */
int submission_queue_add(struct submission *s, const struct smtp_event *e, bool local);
/* The message is called by what it is, not at random: tried again after a reply that was lost it finds itself in the
 * queue. For messages that their client has given an id: two of the same octets are one. */
void submission_queue_name(struct submission *s);
/* As transaction_kind has them. */
bool submission_queue_finish(struct transaction *t);
void submission_queue_cancel(struct transaction *t);
void submission_queue_reset(struct submission *s);

#endif
