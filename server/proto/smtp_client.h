/* The client's half of SMTP (RFC 5321) without I/O: replies in, events out, commands into a buffer. One engine is one
 * connection and carries one transaction after another. It trusts nothing that a server says: replies have a most
 * length and number of lines, a reply to what was not asked ends it, as does what comes in the clear behind the reply
 * to STARTTLS (RFC 3207 section 6). Extensions used where they are offered: STARTTLS, PIPELINING (RFC 2920), SIZE
 * (1870), 8BITMIME (6152), SMTPUTF8 (6531), CHUNKING (3030), DSN (3461), ENHANCEDSTATUSCODES (2034), REQUIRETLS
 * (8689), AUTH (4954: PLAIN, SCRAM-SHA-256, for a smarthost). */
#ifndef PROTO_SMTP_CLIENT_H
#define PROTO_SMTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/buf.h"
#include "server/core/wire.h"

enum {
    SMTP_CLIENT_LINE_MAX = 2048, /* octets of a reply's line; RFC 5321 says 512, real servers more */
    SMTP_CLIENT_LINES_MAX = 128, /* of one reply */
    SMTP_CLIENT_TEXT_MAX = 200,  /* octets of a reply that are kept, as text for people: one line, no controls */
};

enum smtp_client_offer {
    SMTP_OFFERS_STARTTLS = 1,
    SMTP_OFFERS_PIPELINING = 2,
    SMTP_OFFERS_SIZE = 4,
    SMTP_OFFERS_8BITMIME = 8,
    SMTP_OFFERS_SMTPUTF8 = 16,
    SMTP_OFFERS_CHUNKING = 32,
    SMTP_OFFERS_DSN = 64,
    SMTP_OFFERS_REQUIRETLS = 128,
    SMTP_OFFERS_AUTH_PLAIN = 256,
    SMTP_OFFERS_AUTH_SCRAM = 512,
};

/* Of one reply. */
struct smtp_client_reply {
    int code;                            /* 0: there was none */
    char enhanced[12];                   /* "4.2.1", or "" (RFC 3463) */
    char text[SMTP_CLIENT_TEXT_MAX + 1]; /* code and words, as they came, made fit for logs and DSNs */
};

struct smtp_client_rcpt {
    const char *address, *orcpt; /* orcpt "": none (RFC 3461 section 4.2) */
    uint8_t notify;              /* of enum smtp_notify in server/proto/smtp.h; 0: not said */
};
struct smtp_client_mail {
    const char *sender; /* "": the null path */
    uint64_t size;
    bool body_8bit, smtputf8, requiretls;
    const char *envid; /* "": none */
    uint8_t ret;       /* 0: not said; 1 FULL, 2 HDRS */
    const struct smtp_client_rcpt *rcpts;
    size_t n;
};

enum smtp_client_event_type {
    SMTP_CLIENT_NEED_INPUT,    /* nothing more in the input: send the output, then read on */
    SMTP_CLIENT_READY,         /* greeting and EHLO are over: offers are known. Start TLS, log in, send mail, or quit */
    SMTP_CLIENT_START_TLS,     /* the server agrees: the handshake is the caller's, then smtp_client_tls_started */
    SMTP_CLIENT_SENDER,        /* reply: to MAIL. 4xx and 5xx end the transaction */
    SMTP_CLIENT_RCPT,          /* reply: to the RCPT of that index */
    SMTP_CLIENT_WANTS_CONTENT, /* some recipient stands: give the content by smtp_client_content */
    SMTP_CLIENT_DONE,          /* reply: to the content, for all recipients that were accepted; or none was. The next
                                 transaction may begin */
    SMTP_CLIENT_LOGGED_IN,     /* reply: to AUTH */
    SMTP_CLIENT_CLOSED, /* it is over (421, a reply that is none, or after smtp_client_quit): fault says why. Of a
                                 transaction under way nothing more comes */
};
enum smtp_client_fault {
    SMTP_CLIENT_FAULT_NONE,
    SMTP_CLIENT_FAULT_REPLY,   /* what came is no reply, too long, or answers nothing */
    SMTP_CLIENT_FAULT_EARLY,   /* octets in the clear behind STARTTLS's reply */
    SMTP_CLIENT_FAULT_REFUSED, /* greeted with 4xx or 5xx, 421 anywhere, EHLO and HELO refused: reply */
};
struct smtp_client_event {
    enum smtp_client_event_type type;
    const struct smtp_client_reply *reply; /* valid until the next call */
    size_t index;                          /* RCPT: of mail.rcpts */
    enum smtp_client_fault fault;
};

struct smtp_client;
/* helo: our name; must outlive it. lmtp-less: this is SMTP. NULL: no memory. */
struct smtp_client *smtp_client_create(const char *helo);
void smtp_client_destroy(struct smtp_client *c);
void smtp_client_next(struct smtp_client *c, struct buf *in, struct smtp_client_event *ret);
struct buf *smtp_client_output(struct smtp_client *c); /* commands to send; the caller consumes them */

/* Each may be called when the engine is READY, or after DONE or LOGGED_IN. */
void smtp_client_start_tls(struct smtp_client *c);
void smtp_client_tls_started(struct smtp_client *c); /* says EHLO again; what was offered before counts no more */
int smtp_client_login(struct smtp_client *c, const char *user, const char *password); /* ERR_UNSUPPORTED */
/* m and what it points at stay the caller's until DONE or CLOSED. The caller sees to it that what m asks for is
 * offered (smtp_client_offers): otherwise it is a bug. */
void smtp_client_mail(struct smtp_client *c, const struct smtp_client_mail *m);
/* More of the content: lines end in CRLF and no CR or LF stands alone, or it is refused with ERR_FORMAT and nothing of
 * it is sent. last: the content ends here. The engine sees to dots (RFC 5321 section 4.5.2). ERR_MEMORY. */
int smtp_client_content(struct smtp_client *c, struct slice octets, bool last);
void smtp_client_quit(struct smtp_client *c);

unsigned smtp_client_offers(const struct smtp_client *c);   /* of enum smtp_client_offer, of the last EHLO */
uint64_t smtp_client_size_max(const struct smtp_client *c); /* as SIZE said; 0: it did not */
const struct smtp_client_reply *smtp_client_last(const struct smtp_client *c); /* the last reply of any kind */
bool smtp_client_in_doubt(const struct smtp_client *c); /* the content was sent whole, and its reply has not come */

#endif
