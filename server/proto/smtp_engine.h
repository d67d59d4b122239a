/* What the parts of the SMTP engine share; nobody else includes it. */
#ifndef PROTO_SMTP_ENGINE_H
#define PROTO_SMTP_ENGINE_H

#include "server/proto/line.h"
#include "server/proto/smtp.h"

enum smtp_mode { MODE_COMMAND, MODE_AUTH /* a line of it is due */, MODE_DATA, MODE_BDAT, MODE_CLOSED };
/* Parameters of MAIL. */
struct smtp_mail_args {
    uint64_t size;
    bool body_8bit, smtputf8, requiretls;
    uint8_t ret;
    char envid[SMTP_ENVID_MAX + 1];
    uint64_t hold_until;
};

enum smtp_at { AT_LINE_START, AT_INSIDE, AT_CR };

struct smtp {
    struct smtp_params p;
    struct line_reader line;
    struct buf out;
    size_t given; /* octets of the input handed out by the last SMTP_CONTENT */
    enum smtp_mode mode;
    enum smtp_event_type pending; /* an event that waits for its answer; SMTP_NEED_INPUT: none */
    bool reset_due;               /* SMTP_RESET is the next event */
    uint32_t errors;              /* since the last message; the session ends for them */
    uint32_t errors_ever;
    const char *tag;
    bool mail_verb; /* the command that is answered is MAIL or RCPT */
    struct smtp_refusal refused, closed;

    bool greeted;               /* EHLO or HELO was accepted */
    bool transaction, chunking; /* MAIL accepted; BDAT has begun */
    struct smtp_envelope env;
    char helo[SMTP_HELO_MAX], sender[SMTP_PATH_MAX], address[SMTP_PATH_MAX];
    struct smtp_mail_args args; /* of the MAIL that waits, and then of the transaction */
    char orcpt[SMTP_ORCPT_MAX + 1], mechanism[SMTP_MECHANISM_MAX + 1];
    uint8_t *response; /* of the AUTH that waits, SMTP_COMMAND_MAX octets; NULL: none is open */
    struct smtp_xclient xclient;

    enum smtp_at at; /* where in a content line we stand */
    size_t line_octets;
    uint64_t chunk_left;
    bool chunk_last;
    bool failed; /* content is dropped; fail_ is the reply at its end */
    int fail_code;
    char fail_enhanced[12], fail_text[SMTP_REPLY_MAX];
};

/* Replies (smtp_reply.c). enhanced NULL: none (greeting, EHLO, 354). */
void smtp_put_line(struct smtp *s, int code, const char *enhanced, const char *text);
/* The same, but a 5xx counts as an error of the peer. */
void smtp_put(struct smtp *s, int code, const char *enhanced, const char *text);
void smtp_put_ehlo(struct smtp *s);
void smtp_end_transaction(struct smtp *s, bool tell); /* tell: SMTP_RESET follows if one was open */

/* One step in MODE_DATA or MODE_BDAT. true: ret is filled in; false: the mode changed, go on. */
bool smtp_content_next(struct smtp *s, struct buf *in, struct smtp_event *ret);
void smtp_content_begin(struct smtp *s, enum smtp_mode mode);

/* AUTH (smtp_auth.c): the command, a line that was due, its end. line_err: of line_next. */
void smtp_auth_begin(struct smtp *s, const uint8_t *arg, size_t len, struct smtp_event *ret);
void smtp_auth_line(struct smtp *s, int line_err, struct slice line, struct smtp_event *ret);
void smtp_auth_end(struct smtp *s);

/* "<path>" at text[0]: RFC 5321 section 4.1.2, with RFC 6531 section 3.3's UTF-8. out: the mailbox alone, canonical.
 * ERR_FORMAT, ERR_LIMIT. null_ok: "<>" is good; postmaster: the name that a bare <Postmaster> becomes, or NULL. */
int smtp_path_parse(const uint8_t *text, size_t len, bool null_ok, const char *postmaster_domain,
                    char out[SMTP_PATH_MAX], size_t *ret_used, bool *ret_utf8);
/* " KEY=VALUE..." to the end. On failure *ret_code, *ret_enhanced and *ret_text say what to answer. */
struct smtp_complaint {
    int code;
    const char *enhanced, *text;
};
int smtp_mail_args(const struct smtp_submission *sub, const uint8_t *text, size_t len, struct smtp_mail_args *ret,
                   struct smtp_complaint *ret_why);
/* Those of RCPT: RFC 3461 sections 4.1 and 4.2. */
int smtp_rcpt_args(const struct smtp_submission *sub, bool utf8_ok, const uint8_t *text, size_t len,
                   uint8_t *ret_notify, char ret_orcpt[SMTP_ORCPT_MAX + 1], struct smtp_complaint *ret_why);
int smtp_xclient_args(const uint8_t *text, size_t len, struct smtp_xclient *ret);
int smtp_bdat_args(const uint8_t *text, size_t len, uint64_t *ret_octets, bool *ret_last);

#endif
