/* The server's half of SMTP (RFC 5321) without I/O: bytes in, events out, replies into a buffer. Extensions:
 * STARTTLS (RFC 3207), PIPELINING (2920), SIZE (1870), 8BITMIME (6152), SMTPUTF8 (6531), CHUNKING (3030),
 * ENHANCEDSTATUSCODES (2034), REQUIRETLS (8689), XCLIENT; for submission (RFC 6409) besides AUTH (4954), DSN (3461),
 * FUTURERELEASE (4865).
 * The engine answers what needs no knowledge (syntax, order, EHLO, NOOP, line rules); the caller decides the rest.
 *
 * The caller's loop: smtp_next until it says SMTP_NEED_ something or SMTP_CLOSE, then send smtp_output in one write. */
#ifndef PROTO_SMTP_H
#define PROTO_SMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/buf.h"
#include "server/core/wire.h"

enum {
    SMTP_COMMAND_MAX = 2048, /* octets of a command line with its CRLF */
    SMTP_PATH_MAX = 512,
    SMTP_HELO_MAX = 256,
    SMTP_REPLY_MAX = 480,
    SMTP_ENVID_MAX = 100,     /* RFC 3461 section 4.4 */
    SMTP_ORCPT_MAX = 500,     /* section 4.2 */
    SMTP_MECHANISM_MAX = 20,  /* RFC 4422 section 3.1 */
    SMTP_CHALLENGE_MAX = 360, /* in base64 it fits a reply */
    SMTP_OUTPUT_MAX = 64 * 1024,
};

/* Mail from our own people. */
struct smtp_submission {
    const char *mechanisms; /* of AUTH, blanks between them; must outlive the engine. NULL: mail from the world */
    const char *clear;      /* the same without TLS; NULL: no AUTH there */
    uint32_t hold_max;      /* seconds that mail may be held at most (FUTURERELEASE); 0: not offered */
    uint64_t (*now)(void);  /* seconds since 1970; with hold_max */
};

struct smtp_params {
    const char *domain;   /* our name; must outlive the engine */
    uint64_t message_max; /* octets of a message as received, dot-stuffing undone */
    uint32_t recipients_max;
    uint32_t text_line_max; /* octets of a content line without its CRLF */
    uint32_t errors_max;    /* refused commands before 421 */
    bool starttls;          /* offer it */
    bool xclient;           /* this peer may use it */
    struct smtp_submission submission;
};

enum smtp_event_type {
    SMTP_NEED_INPUT, /* nothing more in the input */
    SMTP_NEED_FLUSH, /* much output waits: take it, then go on */
    SMTP_NEED_REPLY, /* an event marked (R) has not been answered yet; pipelined input waits */
    SMTP_MAIL,       /* (R) address: the reverse-path, "" for the null path; size: announced, or 0 */
    SMTP_RCPT,       /* (R) address */
    SMTP_BEGIN,      /* (R) DATA or the first BDAT: smtp_accept lets the content come */
    SMTP_CONTENT,    /* content: octets of the message, dot-stuffing undone; in the input, until the next smtp_next */
    SMTP_FAILED,     /* the content broke a rule (fault): forget what came. SMTP_RESET will come, SMTP_END not */
    SMTP_END,        /* (R) the message is whole */
    SMTP_RESET,      /* the transaction is over without an SMTP_END: forget sender, recipients, content */
    SMTP_STARTTLS,   /* (R) after smtp_accept: flush, start TLS, smtp_tls_started. The input is empty */
    SMTP_XCLIENT,    /* (R) xclient. No transaction is open */
    SMTP_AUTH,       /* (R) mechanism; response: what the client said, decoded; data NULL: nothing yet. Answered by
                        smtp_challenge, or smtp_accept: the client has logged in */
    SMTP_REFUSED,    /* the engine has refused MAIL or RCPT (verb) by itself: address, as the client wrote it */
    SMTP_ERROR,      /* the engine has answered with 5xx by itself. Who must wait gets the reply later */
    SMTP_CLOSE,      /* flush and close; nothing else will come */
};

/* What a sender wants to be told of a recipient (RFC 3461 section 4.1); 0: nothing was said. */
enum smtp_notify { SMTP_NOTIFY_NEVER = 1, SMTP_NOTIFY_SUCCESS = 2, SMTP_NOTIFY_FAILURE = 4, SMTP_NOTIFY_DELAY = 8 };

enum smtp_fault {
    SMTP_FAULT_NONE,
    SMTP_FAULT_BARE, /* a CR or LF by itself */
    SMTP_FAULT_LINE, /* a line too long */
    SMTP_FAULT_SIZE,
    SMTP_FAULTS
};

struct smtp_xclient {
    char addr[64];
    char name[256];
    char helo[SMTP_HELO_MAX];
    char proto[8]; /* "": not given */
};

struct smtp_event {
    enum smtp_event_type type;
    const char *address;       /* canonical: no route, no needless quotes; NUL-ended, until the next smtp_next */
    enum smtp_event_type verb; /* SMTP_MAIL or SMTP_RCPT */
    uint64_t size;
    struct slice content;
    enum smtp_fault fault;
    const struct smtp_xclient *xclient;
    const char *mechanism; /* in upper case, one of those in smtp_submission; until the AUTH is over */
    struct slice response;
    bool begins;       /* the AUTH, and not a further line of it: whatever came of the last one is void */
    uint8_t notify;    /* of SMTP_RCPT: bits of enum smtp_notify; 0: not said */
    const char *orcpt; /* "type;xtext", "": not said. Until the next smtp_next */
};

struct smtp_envelope {
    const char *helo;
    const char *sender;
    bool esmtp, tls, smtputf8, body_8bit;
    bool requiretls;     /* RFC 8689: whoever sends it on keeps to it */
    uint32_t recipients; /* accepted ones */
    uint64_t octets;     /* of the message so far */
    bool authenticated;
    uint8_t ret;         /* RFC 3461 section 4.3: 0 not said, 1 FULL, 2 HDRS */
    const char *envid;   /* as xtext, "": not said (section 4.4) */
    uint64_t hold_until; /* seconds since 1970; 0: not to be held (RFC 4865) */
};

struct smtp;
struct smtp *smtp_create(const struct smtp_params *p); /* NULL: out of memory */
void smtp_destroy(struct smtp *s);                     /* NULL is allowed */

void smtp_greet(struct smtp *s); /* 220 */
/* in: what the peer sent and the engine has not consumed. */
void smtp_next(struct smtp *s, struct buf *in, struct smtp_event *ret);
struct buf *smtp_output(struct smtp *s); /* replies to send; the caller consumes them */

/* Answers the event that waits (R). text: NULL for the usual words. */
void smtp_accept(struct smtp *s, const char *text);
/* code 4xx or 5xx, enhanced "5.1.1" and so on (RFC 3463). Refusing SMTP_BEGIN or SMTP_END ends the transaction. */
void smtp_refuse(struct smtp *s, int code, const char *enhanced, const char *text);
/* Of SMTP_AUTH: 334; what the client says to it is the next SMTP_AUTH. At most SMTP_CHALLENGE_MAX octets. */
void smtp_challenge(struct smtp *s, struct slice data);
/* While content comes: the message is refused with this once its end has been found. The first refusal stands. */
void smtp_fail(struct smtp *s, int code, const char *enhanced, const char *text);
/* From now on each 4xx and 5xx about mail, and each inside a transaction, ends with this in brackets, so that who was
 * refused can say what. tag must outlive the engine or the next call; its octets may change. NULL: nothing. */
void smtp_set_tag(struct smtp *s, const char *tag);
void smtp_permit_xclient(struct smtp *s, bool permitted); /* from now on */
/* RFC 3207 section 4.2: all is forgotten, the client says EHLO again. Before smtp_greet: TLS is on from the start. */
void smtp_tls_started(struct smtp *s);
/* At any moment: this reply (421), then SMTP_CLOSE. */
void smtp_close(struct smtp *s, int code, const char *enhanced, const char *text);

/* How many replies 5xx there were since smtp_create, of the engine and by smtp_refuse. */
uint32_t smtp_errors_made(const struct smtp *s);
const char *smtp_mechanisms(const struct smtp *s); /* that are offered now; NULL: AUTH is not */
const struct smtp_envelope *smtp_envelope(const struct smtp *s);
/* The last command or content that was refused, and the 4xx that ended the session. code 0: none. */
struct smtp_refusal {
    int code;
    char enhanced[12];
};
const struct smtp_refusal *smtp_refused(const struct smtp *s);
const struct smtp_refusal *smtp_closed_with(const struct smtp *s);
/* What the peer owes, or we owe it: for timeouts. */
enum smtp_phase { SMTP_PHASE_COMMAND, SMTP_PHASE_CONTENT, SMTP_PHASE_REPLY, SMTP_PHASE_CLOSED };
enum smtp_phase smtp_phase(const struct smtp *s);

/* A Domain, or an address-literal in brackets, to the last octet (RFC 5321 sections 4.1.2 and 4.1.3). */
bool smtp_domain_valid(const uint8_t *text, size_t len, bool utf8_ok);
bool smtp_literal_valid(const uint8_t *text, size_t len);

#endif
