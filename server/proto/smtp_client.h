/* The client's half of SMTP (RFC 5321) without I/O: replies in, events out, commands into a buffer. One engine is one
 * connection and carries one transaction after another. It trusts nothing that a server says: replies have a most
 * length and number of lines, a reply to what was not asked ends it, as does what comes in the clear behind the reply
 * to STARTTLS (RFC 3207 section 6). Extensions used where they are offered: STARTTLS, PIPELINING (RFC 2920), SIZE
 * (1870), 8BITMIME (6152), SMTPUTF8 (6531), DSN (3461), ENHANCEDSTATUSCODES (2034), REQUIRETLS (8689), AUTH (4954:
 * PLAIN, SCRAM-SHA-256, for a smarthost).
 *
 * The caller's loop: smtp_client_next until it says NEED_INPUT, then take all of smtp_client_output, then read on. What
 * has come before its command was taken counts as an answer to nothing. */
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
    SMTP_CLIENT_OUTPUT_MAX = 256 * 1024,
    SMTP_CLIENT_COMMANDS_MAX = 32 * 1024, /* octets of commands that wait in the output, about: more follow later */
    SMTP_CLIENT_NONCE_SIZE = 18,
};

enum smtp_client_offer {
    SMTP_OFFERS_STARTTLS = 1, /* not once TLS is on, nor once it was refused */
    SMTP_OFFERS_PIPELINING = 2,
    SMTP_OFFERS_SIZE = 4,
    SMTP_OFFERS_8BITMIME = 8,
    SMTP_OFFERS_SMTPUTF8 = 16,
    SMTP_OFFERS_DSN = 32,
    SMTP_OFFERS_REQUIRETLS = 64,
    SMTP_OFFERS_AUTH_PLAIN = 128,
    SMTP_OFFERS_AUTH_SCRAM = 256,
};

/* Of one reply. */
struct smtp_client_reply {
    int code;                            /* 0: there was none */
    char enhanced[12];                   /* "4.2.1", or "" (RFC 3463) */
    char text[SMTP_CLIENT_TEXT_MAX + 1]; /* code and words, as they came, made fit for logs and DSNs */
};

struct smtp_client_rcpt {
    const char *address;
    const char *orcpt; /* as a command has it: type, ";", xtext (RFC 3461 section 4.2). "" or NULL: none */
    uint8_t notify;    /* of enum smtp_notify in server/proto/smtp.h; 0: not said */
};
struct smtp_client_mail {
    const char *sender; /* "": the null path */
    uint64_t size;      /* octets of the content, dots not doubled; 0: not said */
    bool body_8bit, smtputf8, requiretls;
    const char *envid; /* xtext. "" or NULL: none */
    uint8_t ret;       /* 0: not said; 1 FULL, 2 HDRS */
    const struct smtp_client_rcpt *rcpts;
    size_t n;
};

enum smtp_client_event_type {
    SMTP_CLIENT_NEED_INPUT,    /* nothing more in the input: send the output, then read on */
    SMTP_CLIENT_READY,         /* greeting and EHLO are over: offers are known. Start TLS, log in, send mail, or quit */
    SMTP_CLIENT_START_TLS,     /* the server agrees: the handshake is the caller's, then smtp_client_tls_started */
    SMTP_CLIENT_NO_TLS,        /* reply: 4xx or 5xx to STARTTLS. It is ready for all else */
    SMTP_CLIENT_SENDER,        /* reply: to MAIL. 4xx and 5xx end the transaction: DONE comes */
    SMTP_CLIENT_RCPT,          /* reply: to the RCPT of that index */
    SMTP_CLIENT_WANTS_CONTENT, /* some recipient stands: give the content by smtp_client_content */
    SMTP_CLIENT_DONE,          /* reply: to DATA or the content, for all recipients that were accepted; code 0: none
                                  was. The next transaction may begin */
    SMTP_CLIENT_LOGGED_IN,     /* reply: to AUTH, 235 or 4xx or 5xx */
    SMTP_CLIENT_CLOSED,        /* it is over: fault says why, reply is the last one. Of a transaction under way nothing
                                  more comes (smtp_client_in_doubt) */
};
enum smtp_client_fault {
    SMTP_CLIENT_FAULT_NONE,     /* after smtp_client_quit */
    SMTP_CLIENT_FAULT_REPLY,    /* what came is no reply, too long, or answers nothing */
    SMTP_CLIENT_FAULT_EARLY,    /* octets in the clear behind STARTTLS's reply */
    SMTP_CLIENT_FAULT_REFUSED,  /* greeted with 4xx or 5xx, 421 anywhere, 4xx or 5xx before its turn, EHLO and HELO
                                  refused: reply */
    SMTP_CLIENT_FAULT_UNWANTED, /* 5xx to content before its end: reply, to this mail */
    SMTP_CLIENT_FAULT_LOGIN,    /* the server does not prove that it knows the password, or asks too much */
    SMTP_CLIENT_FAULT_CONTENT,  /* smtp_client_content refused what it was given: the transaction cannot end */
    SMTP_CLIENT_FAULT_MEMORY,
};
struct smtp_client_event {
    enum smtp_client_event_type type;
    const struct smtp_client_reply *reply; /* never NULL; valid until the next call */
    size_t index;                          /* RCPT: of mail.rcpts */
    enum smtp_client_fault fault;
};

struct smtp_client;
/* helo: our name, a Domain; must outlive it. NULL: no memory. */
struct smtp_client *smtp_client_create(const char *helo);
void smtp_client_destroy(struct smtp_client *c); /* NULL is allowed */
void smtp_client_next(struct smtp_client *c, struct buf *in, struct smtp_client_event *ret);
struct buf *smtp_client_output(struct smtp_client *c); /* commands to send; the caller consumes them */

/* Each may be called when the engine is READY, or after NO_TLS, DONE or LOGGED_IN. */
void smtp_client_start_tls(struct smtp_client *c);
/* After START_TLS: says EHLO again; what was offered before counts no more (RFC 3207 section 4.2). Before anything has
 * come: TLS is there from the first octet (RFC 8314 section 3). */
void smtp_client_tls_started(struct smtp_client *c);
/* By SCRAM-SHA-256 where it is offered, else PLAIN, under TLS alone. nonce: SMTP_CLIENT_NONCE_SIZE random octets, never
 * twice the same. user and password stay the caller's until LOGGED_IN or CLOSED. ERR_UNSUPPORTED: nothing fit is
 * offered; ERR_LIMIT: too long; ERR_MEMORY. */
int smtp_client_login(struct smtp_client *c, const char *user, const char *password, const uint8_t *nonce);
/* m and what it points at stay the caller's until DONE or CLOSED. The caller sees to it that body_8bit, smtputf8 and
 * requiretls are asked for where they are offered alone: otherwise it is a bug. What DSN needs is not said where DSN is
 * not offered. ERR_FORMAT: no recipient, or an address, envid or orcpt that cannot be said in a command; nothing has
 * begun. */
int smtp_client_mail(struct smtp_client *c, const struct smtp_client_mail *m);
/* More of the content. Lines end in CRLF and no CR or LF stands alone, there is no NUL, and the last line has its end:
 * else ERR_FORMAT, nothing of this is sent, and all ends with CLOSED, since what was sent cannot be taken back. last:
 * the content ends here. The engine sees to dots (RFC 5321 section 4.5.2). ERR_LIMIT: the output is full, nothing was
 * taken, it may be said again; ERR_MEMORY likewise. ERR_GONE: the server has ended it; see smtp_client_next. */
int smtp_client_content(struct smtp_client *c, struct slice octets, bool last);
/* When nothing is under way QUIT is said, and CLOSED comes with the reply; otherwise CLOSED comes at once. */
void smtp_client_quit(struct smtp_client *c);

unsigned smtp_client_offers(const struct smtp_client *c);   /* of enum smtp_client_offer, of the last EHLO */
uint64_t smtp_client_size_max(const struct smtp_client *c); /* as SIZE said; 0: it did not */
const struct smtp_client_reply *smtp_client_last(const struct smtp_client *c); /* the last reply of any kind */
/* The content was taken whole, and its reply has not come: the server may have accepted it. */
bool smtp_client_in_doubt(const struct smtp_client *c);
/* How long what is awaited may take (RFC 5321 section 4.5.3.2), or the next piece of content: for conn_set_timeout. */
uint64_t smtp_client_patience_ms(const struct smtp_client *c);

#endif
