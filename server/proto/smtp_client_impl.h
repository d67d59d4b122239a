/* What the parts of the SMTP client share; nobody else includes it. */
#ifndef PROTO_SMTP_CLIENT_IMPL_H
#define PROTO_SMTP_CLIENT_IMPL_H

#include "server/proto/line.h"
#include "server/proto/smtp_client.h"

/* Whose answer is awaited, or what stands open otherwise. */
enum client_phase {
    CLIENT_GREETING,
    CLIENT_EHLO,
    CLIENT_HELO,
    CLIENT_IDLE,
    CLIENT_STARTTLS,
    CLIENT_HANDSHAKE, /* the caller's */
    CLIENT_LOGIN,
    CLIENT_RSET,
    CLIENT_MAIL,
    CLIENT_RCPT,
    CLIENT_DATA,
    CLIENT_CONTENT, /* comes from the caller */
    CLIENT_END,
    CLIENT_QUIT,
    CLIENT_OVER,
    CLIENT_PHASES
};
enum client_at { CLIENT_AT_LINE_START, CLIENT_AT_INSIDE, CLIENT_AT_CR };

struct smtp_client_login;
struct smtp_client {
    const char *helo;
    enum client_phase phase;
    enum smtp_client_fault fault; /* in CLIENT_OVER */
    bool tls, no_tls;             /* on; refused */
    struct buf out;
    /* Replies that the server owes: one to each command, in their order. */
    uint64_t put, taken, answered;

    struct line_reader line;
    struct smtp_client_reply coming, last; /* of lines so far; the last whole one */
    unsigned lines;                        /* of coming */
    size_t text_len;
    unsigned offers, coming_offers;
    uint64_t size_max, coming_size_max;

    const struct smtp_client_mail *mail;
    size_t rcpts_put, rcpts_answered, accepted;
    bool refused;     /* MAIL was: RCPTs on their way count no more */
    bool done_due;    /* DONE without a reply is the next event */
    bool transaction; /* perhaps still open at the server: RSET comes first */
    enum client_at at;
    bool doubt; /* it ended with the content sent and no reply to it */

    struct smtp_client_login *login;
};

/* ---- smtp_client_reply.c ---- */

/* OK: last is a whole reply. ERR_AGAIN; ERR_FORMAT, ERR_LIMIT: what came is none. */
int smtp_client_read(struct smtp_client *c, struct buf *in);
/* A line of a reply, without its CRLF; the code is c->coming.code. */
void smtp_client_read_offer(struct smtp_client *c, struct slice text);

/* ---- smtp_client_command.c ---- */

void smtp_client_end(struct smtp_client *c, enum smtp_client_fault fault);
/* A command, whose reply will be owed. Without memory for it all ends. */
void smtp_client_put(struct smtp_client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- smtp_client_mail.c ---- */

void smtp_client_put_mail(struct smtp_client *c);
void smtp_client_put_rcpts(struct smtp_client *c); /* as many as may go */

/* ---- smtp_client_login.c ---- */

/* The reply to AUTH or to what was said after it. true: the login is over, with that reply. */
bool smtp_client_login_next(struct smtp_client *c);
/* The words of a 334, which may be long. */
void smtp_client_login_challenge(struct smtp_client *c, struct slice text);
void smtp_client_login_free(struct smtp_client *c);

#endif
