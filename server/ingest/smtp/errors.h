/* What a client's errors cost it (server/base/debts.h): bad commands, and recipients that are not here. Who has made
 * many waits for the answer to the next one, and for the answer to any recipient, before it is looked up: neither the
 * answer nor its time says who has an account. Part of a session. */
#ifndef INGEST_ERRORS_H
#define INGEST_ERRORS_H

#include "server/ingest/ingest.h"

struct smtp_errors {
    struct idle hold; /* runs while an answer is held back */
    uint32_t known;   /* errors that are counted already */
    uint8_t unseen;   /* recipients refused without a look */
    bool waits;
    bool charged; /* the recipient that waits counts as an error */
};

enum smtp_errors_answer {
    SMTP_ERRORS_LOOK,  /* it may be looked up */
    SMTP_ERRORS_WAIT,  /* once done has been called */
    SMTP_ERRORS_UNSEEN /* it has been refused */
};
/* Of the client's next recipient. */
enum smtp_errors_answer smtp_errors_ask(struct smtp_errors *e, struct ingest *in, struct smtp *smtp,
                                        const struct sockaddr_storage *peer, void (*done)(struct idle *hold));
/* An event has been dealt with: counts the errors that have been answered. command: the last reply is to a bad command;
 * it may have to wait as above. */
void smtp_errors_count(struct smtp_errors *e, struct ingest *in, struct smtp *smtp, const struct sockaddr_storage *peer,
                       bool command, void (*done)(struct idle *hold));
void smtp_errors_release(struct smtp_errors *e); /* nothing waits any more */
void smtp_errors_say(struct ingest *in);         /* what the log has not been told yet */

#endif
