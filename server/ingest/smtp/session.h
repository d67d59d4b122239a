/* A session: a connection and an SMTP engine. What the engine's events mean is a receiver's to decide: MX takes mail
 * from the world for accounts that are here, submission takes mail from these accounts. */
#ifndef INGEST_SESSION_H
#define INGEST_SESSION_H

#include "server/ingest/ingest.h"
#include "server/proto/smtp.h"

struct smtp_session;

/* Who decides over a session's mail, with one state a session. Events that smtp.h marks (R) are answered by smtp_accept
 * or smtp_refuse, at once or later; later, smtp_session_resume follows. */
struct smtp_receiver {
    const char *mechanisms; /* of AUTH: it takes mail of our own people. NULL: of the world */
    const char *bound;      /* those with channel binding besides: config submission_scram_plus */
    void *(*open)(struct ingest *in, struct smtp_session *s); /* NULL: no memory */
    void (*close)(void *r);                            /* all it holds is given back, all it waits for given up */
    void (*auth)(void *r, const struct smtp_event *e); /* (R) NULL: there is no AUTH */
    void (*mail)(void *r, const struct smtp_event *e); /* (R) */
    /* Whether auth or mail waits for nothing but time, which a server that stops has not. NULL: never. */
    bool (*waits)(const void *r);
    void (*rcpt)(void *r, const struct smtp_event *e); /* (R) */
    /* Whether there is room for so much of the content now; while there is none, for a moment at most, the input stays
     * where it is. NULL: always. */
    bool (*room)(void *r, size_t octets);
    void (*content)(void *r, struct slice content);       /* keeps it, or calls smtp_fail */
    void (*failed)(void *r, enum smtp_fault fault);       /* the content broke a rule: what came is forgotten */
    void (*end)(void *r);                                 /* (R) the message is whole */
    void (*reset)(void *r);                               /* the transaction is over: all of it is forgotten */
    void (*refused)(void *r, const struct smtp_event *e); /* SMTP_REFUSED */
    void (*heard)(void *r); /* the client has read every reply that smtp_session_ask_heard was called for */
};

/* ---- for the role ---- */

void smtp_session_open(struct ingest *in, const struct smtp_receiver *kind, int fd, const struct sockaddr_storage *peer,
                       uint32_t on, bool tls_first); /* takes fd, and the place */
/* As service/place.h asks. A message that is whole is never given up. */
bool smtp_session_may_end(const struct place *p, enum place_why why);
void smtp_session_end(struct place *p, enum place_why why);
void smtp_session_stop_all(struct ingest *in); /* each says 421 as soon as no event of it waits for an answer */
void smtp_session_destroy(struct smtp_session *s);

/* ---- for receivers ---- */

struct smtp *smtp_session_engine(struct smtp_session *s);
const struct conn *smtp_session_conn(const struct smtp_session *s);
struct place *smtp_session_place(struct smtp_session *s); /* what the budget is taken for */
const struct sockaddr_storage *smtp_session_peer(const struct smtp_session *s);
const char *smtp_session_tls(const struct smtp_session *s);    /* conn_tls_info */
uint64_t smtp_session_tls_suite(const struct smtp_session *s); /* conn_tls_suite */
void smtp_session_resume(struct smtp_session *s);              /* an event has been answered later */
/* Of the reply just given by smtp_accept: heard follows once the client has shown that it read it, which may be
 * never. */
void smtp_session_ask_heard(struct smtp_session *s);

#endif
