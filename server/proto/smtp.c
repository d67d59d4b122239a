/* The SMTP server engine: a table of verbs, each checked against its row before it runs, and the life of a
 * transaction. See smtp.h. */
#include "server/proto/smtp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "server/mail/token.h"
#include "server/proto/http.h"
#include "server/proto/smtp_engine.h"

struct smtp *smtp_create(const struct smtp_params *p)
{
    struct smtp *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->p = *p;
    line_init(&s->line, SMTP_COMMAND_MAX - 2);
    buf_init(&s->out, SMTP_OUTPUT_MAX, false);
    s->env.helo = s->helo;
    s->env.sender = s->sender;
    s->env.envid = s->args.envid;
    return s;
}

void smtp_destroy(struct smtp *s)
{
    if (!s)
        return;
    smtp_auth_end(s);
    buf_free(&s->out);
    explicit_bzero(s, sizeof(*s));
    free(s);
}

struct buf *smtp_output(struct smtp *s)
{
    return &s->out;
}

uint32_t smtp_errors_made(const struct smtp *s)
{
    return s->errors_ever;
}

const struct smtp_envelope *smtp_envelope(const struct smtp *s)
{
    return &s->env;
}

const struct smtp_refusal *smtp_refused(const struct smtp *s)
{
    return &s->refused;
}

const struct smtp_refusal *smtp_closed_with(const struct smtp *s)
{
    return &s->closed;
}

void smtp_set_tag(struct smtp *s, const char *tag)
{
    s->tag = tag;
}

enum smtp_phase smtp_phase(const struct smtp *s)
{
    if (s->mode == MODE_CLOSED)
        return SMTP_PHASE_CLOSED;
    if (s->pending != SMTP_NEED_INPUT)
        return SMTP_PHASE_REPLY;
    return s->mode == MODE_DATA || s->mode == MODE_BDAT ? SMTP_PHASE_CONTENT : SMTP_PHASE_COMMAND;
}

void smtp_greet(struct smtp *s)
{
    char text[SMTP_REPLY_MAX];

    snprintf(text, sizeof(text), "%s ESMTP", s->p.domain);
    smtp_put(s, 220, NULL, text);
}

/* As after connecting: what EHLO (RFC 5321 section 4.1.4), STARTTLS (RFC 3207 section 4.2) and XCLIENT begin with. */
static void forget_client(struct smtp *s)
{
    smtp_end_transaction(s, true);
    s->greeted = false;
    s->env.esmtp = false;
    s->helo[0] = '\0';
}

void smtp_permit_xclient(struct smtp *s, bool permitted)
{
    s->p.xclient = permitted;
}

void smtp_tls_started(struct smtp *s)
{
    forget_client(s);
    s->env.authenticated = false;
    s->env.tls = true;
}

/* Verbs. arg is what follows the verb, blanks on both sides taken off. */

static bool greet_client(struct smtp *s, const uint8_t *arg, size_t len, bool esmtp)
{
    /* Mail is never refused for what a client calls itself (RFC 5321 section 4.1.4): blanks, apostrophes and UTF-8 are
     * in names of real ones. Only a Domain or a literal goes on into Received. */
    if (len >= SMTP_HELO_MAX) {
        smtp_put(s, 501, "5.5.4", "Name is too long");
        return false;
    }
    forget_client(s);
    memcpy(s->helo, arg, len);
    s->helo[len] = '\0';
    s->greeted = true;
    s->env.esmtp = esmtp;
    return true;
}

/* RFC 5321 section 4.1.1.1 */
static void do_helo(struct smtp *s, struct buf *in, const uint8_t *arg, size_t len, struct smtp_event *ret)
{
    if (greet_client(s, arg, len, false))
        smtp_put(s, 250, NULL, s->p.domain);
}

static void do_ehlo(struct smtp *s, struct buf *in, const uint8_t *arg, size_t len, struct smtp_event *ret)
{
    if (greet_client(s, arg, len, true))
        smtp_put_ehlo(s);
}

/* The path after "FROM:" or "TO:". Returns its octets with the keyword, or 0 after having answered. */
static size_t take_path(struct smtp *s, const char *keyword, bool sender, const uint8_t *arg, size_t len,
                        bool *ret_utf8)
{
    size_t used = 0, k = strlen(keyword);
    int err = ERR_FORMAT;

    if (len > k && strncasecmp((const char *)arg, keyword, k) == 0) {
        while (k < len && arg[k] == ' ') /* RFC 5321 section 3.3 forbids it, and many do it */
            k++;
        err = smtp_path_parse(arg + k, len - k, sender, sender ? NULL : s->p.domain, s->address, &used, ret_utf8);
    }
    if (err == OK)
        return k + used;
    smtp_put(s, 501, sender ? "5.1.7" : "5.1.3", err == ERR_LIMIT ? "Address is too long" : "Malformed address");
    return 0;
}

/* RFC 5321 section 4.1.1.2 */
static void do_mail(struct smtp *s, struct buf *in, const uint8_t *arg, size_t len, struct smtp_event *ret)
{
    struct smtp_mail_args args;
    struct smtp_complaint why;
    bool utf8 = false;
    size_t n = take_path(s, "FROM:", true, arg, len, &utf8);

    if (n == 0)
        return;
    if (smtp_mail_args(&s->p.submission, arg + n, len - n, &args, &why) != OK) {
        smtp_put(s, why.code, why.enhanced, why.text);
        return;
    }
    if (utf8 && !args.smtputf8) {
        smtp_put(s, 553, "5.6.7", "Non-ASCII address without SMTPUTF8"); /* RFC 6531 section 3.5 */
        return;
    }
    if (args.requiretls && !s->env.tls) {
        smtp_put(s, 530, "5.7.10", "REQUIRETLS needs TLS here as well"); /* RFC 8689 section 2: it is offered there */
        return;
    }
    if (args.size > s->p.message_max) {
        smtp_put(s, 552, "5.3.4", "Message is larger than this server takes"); /* RFC 1870 section 6.1 */
        return;
    }
    s->args = args;
    s->pending = ret->type = SMTP_MAIL;
    ret->address = s->address;
    ret->size = args.size;
}

/* RFC 5321 section 4.1.1.3 */
static void do_rcpt(struct smtp *s, struct buf *in, const uint8_t *arg, size_t len, struct smtp_event *ret)
{
    struct smtp_complaint why;
    uint8_t notify;
    bool utf8 = false;
    size_t n = take_path(s, "TO:", false, arg, len, &utf8);

    if (n == 0)
        return;
    if (smtp_rcpt_args(&s->p.submission, s->env.smtputf8, arg + n, len - n, &notify, s->orcpt, &why) != OK) {
        smtp_put(s, why.code, why.enhanced, why.text);
        return;
    }
    if (utf8 && !s->env.smtputf8) {
        smtp_put(s, 553, "5.6.7", "Non-ASCII address without SMTPUTF8"); /* RFC 6531 section 3.5 */
        return;
    }
    if (s->env.recipients >= s->p.recipients_max) {
        smtp_put(s, 452, "4.5.3", "Too many recipients"); /* RFC 5321 section 4.5.3.1.10 */
        return;
    }
    s->pending = ret->type = SMTP_RCPT;
    ret->address = s->address;
    ret->notify = notify;
    ret->orcpt = s->orcpt;
}

/* RFC 5321 section 4.1.1.4 */
static void do_data(struct smtp *s, struct buf *in, const uint8_t *arg, size_t len, struct smtp_event *ret)
{
    if (s->env.recipients == 0) {
        smtp_put(s, 554, "5.5.1", "No valid recipients"); /* RFC 5321 section 3.3 */
        return;
    }
    s->pending = ret->type = SMTP_BEGIN;
}

/* RFC 3030 section 2. Whatever is wrong with a BDAT, its octets must not be taken for commands. */
static void do_bdat(struct smtp *s, struct buf *in, const uint8_t *arg, size_t len, struct smtp_event *ret)
{
    bool first = !s->chunking;
    uint64_t octets = 0;

    if (smtp_bdat_args(arg, len, &octets, &s->chunk_last) != OK) {
        smtp_put(s, 501, "5.5.4", "Syntax: BDAT size [LAST]");
        smtp_close(s, 421, "4.5.0", "Where the chunk ends cannot be known");
        return;
    }
    s->chunk_left = octets;
    if (!s->transaction || s->env.recipients == 0) {
        s->failed = false;
        smtp_fail(s, 503, "5.5.1", s->transaction ? "No valid recipients" : "MAIL first");
        s->mode = MODE_BDAT;
        return;
    }
    if (octets > s->p.message_max || (!first && s->env.octets > s->p.message_max - octets)) {
        smtp_fail(s, 552, "5.3.4", "Message is larger than this server takes"); /* RFC 1870 section 6.3 */
        s->mode = MODE_BDAT;
        ret->type = SMTP_FAILED;
        ret->fault = SMTP_FAULT_SIZE;
        return;
    }
    if (first)
        s->pending = ret->type = SMTP_BEGIN;
    smtp_content_begin(s, MODE_BDAT);
}

/* RFC 5321 section 4.1.1.5 */
static void do_rset(struct smtp *s, struct buf *in, const uint8_t *arg, size_t len, struct smtp_event *ret)
{
    smtp_end_transaction(s, true);
    smtp_put(s, 250, "2.0.0", "OK");
}

/* RFC 5321 section 4.1.1.9 */
static void do_noop(struct smtp *s, struct buf *in, const uint8_t *arg, size_t len, struct smtp_event *ret)
{
    smtp_put(s, 250, "2.0.0", "OK");
}

static void do_vrfy(struct smtp *s, struct buf *in, const uint8_t *arg, size_t len, struct smtp_event *ret)
{
    smtp_put(s, 252, "2.1.5", "Cannot VRFY; send mail and see"); /* RFC 5321 section 7.3 */
}

static void do_expn(struct smtp *s, struct buf *in, const uint8_t *arg, size_t len, struct smtp_event *ret)
{
    smtp_put(s, 502, "5.5.1", "EXPN is not offered"); /* RFC 5321 sections 3.5.2 and 4.2.4 */
}

/* RFC 5321 section 4.1.1.8 */
static void do_help(struct smtp *s, struct buf *in, const uint8_t *arg, size_t len, struct smtp_event *ret)
{
    smtp_put(s, 214, "2.0.0", "See RFC 5321");
}

/* RFC 5321 section 4.1.1.10 */
static void do_quit(struct smtp *s, struct buf *in, const uint8_t *arg, size_t len, struct smtp_event *ret)
{
    smtp_close(s, 221, "2.0.0", "Bye");
}

/* RFC 3207 section 4 */
static void do_starttls(struct smtp *s, struct buf *in, const uint8_t *arg, size_t len, struct smtp_event *ret)
{
    if (!s->p.starttls || s->env.tls) {
        smtp_put(s, s->env.tls ? 503 : 502, "5.5.1", s->env.tls ? "TLS is on already" : "STARTTLS is not offered");
        return;
    }
    if (in->len > 0) {
        /* RFC 3207 section 6, CVE-2011-0411: what was sent in the clear must not count inside TLS. */
        buf_consume(in, in->len);
        smtp_put(s, 503, "5.5.1", "Nothing may be sent behind STARTTLS before its reply");
        return;
    }
    s->pending = ret->type = SMTP_STARTTLS;
}

static void do_xclient(struct smtp *s, struct buf *in, const uint8_t *arg, size_t len, struct smtp_event *ret)
{
    if (!s->p.xclient) {
        smtp_put(s, 550, "5.7.0", "XCLIENT is not permitted");
        return;
    }
    if (smtp_xclient_args(arg, len, &s->xclient) != OK) {
        smtp_put(s, 501, "5.5.4", "Malformed XCLIENT attribute");
        return;
    }
    s->pending = ret->type = SMTP_XCLIENT;
    ret->xclient = &s->xclient;
}

/* RFC 4954 section 4 */
static void do_auth(struct smtp *s, struct buf *in, const uint8_t *arg, size_t len, struct smtp_event *ret)
{
    smtp_auth_begin(s, arg, len, ret);
}

/* The order of commands: RFC 5321 section 4.1.4; BDAT and DATA do not mix: RFC 3030 section 2. */
enum {
    NEED_EHLO = 1,        /* 503 before EHLO or HELO */
    NEED_TRANSACTION = 2, /* 503 before MAIL */
    NEED_NONE_OPEN = 4,   /* 503 inside a transaction */
    NEED_NO_CHUNKS = 8,   /* 503 once BDAT has begun */
    NO_ARGUMENT = 16,     /* 501 with one */
    AN_ARGUMENT = 32,     /* 501 without */
    NEED_LOGIN = 64,      /* 530 before AUTH, where there is one (RFC 4954 section 6, RFC 6409 section 4.3) */
};

static const struct verb {
    const char *name;
    unsigned flags;
    void (*run)(struct smtp *s, struct buf *in, const uint8_t *arg, size_t len, struct smtp_event *ret);
    enum smtp_event_type event; /* what it becomes unless it is refused here: SMTP_REFUSED tells of that */
} verbs[] = {
    {"EHLO", AN_ARGUMENT, do_ehlo},
    {"HELO", AN_ARGUMENT, do_helo},
    {"MAIL", AN_ARGUMENT | NEED_EHLO | NEED_NONE_OPEN | NEED_LOGIN, do_mail, SMTP_MAIL},
    {"RCPT", AN_ARGUMENT | NEED_EHLO | NEED_TRANSACTION | NEED_NO_CHUNKS, do_rcpt, SMTP_RCPT},
    {"DATA", NO_ARGUMENT | NEED_EHLO | NEED_TRANSACTION | NEED_NO_CHUNKS, do_data},
    {"BDAT", 0, do_bdat},
    {"RSET", NO_ARGUMENT, do_rset},
    {"NOOP", 0, do_noop},
    {"QUIT", NO_ARGUMENT, do_quit},
    {"STARTTLS", NO_ARGUMENT | NEED_EHLO | NEED_NONE_OPEN, do_starttls},
    {"AUTH", AN_ARGUMENT | NEED_EHLO | NEED_NONE_OPEN, do_auth},
    {"VRFY", AN_ARGUMENT, do_vrfy},
    {"EXPN", AN_ARGUMENT, do_expn},
    {"HELP", 0, do_help},
    {"XCLIENT", AN_ARGUMENT | NEED_NONE_OPEN, do_xclient},
};

/* Checks a row of the table; answers and returns false if the verb may not run now. */
static bool verb_permitted(struct smtp *s, const struct verb *v, bool argument)
{
    if ((v->flags & NEED_EHLO) && !s->greeted)
        smtp_put(s, 503, "5.5.1", "EHLO first");
    else if ((v->flags & NO_ARGUMENT) && argument)
        smtp_put(s, 501, "5.5.4", "No argument is allowed here");
    else if ((v->flags & AN_ARGUMENT) && !argument)
        smtp_put(s, 501, "5.5.4", "An argument is missing");
    else if ((v->flags & NEED_TRANSACTION) && !s->transaction)
        smtp_put(s, 503, "5.5.1", "MAIL first");
    else if ((v->flags & NEED_NONE_OPEN) && s->transaction)
        smtp_put(s, 503, "5.5.1", "A transaction is open");
    else if ((v->flags & NEED_NO_CHUNKS) && s->chunking)
        smtp_put(s, 503, "5.5.1", "BDAT has begun");
    else if ((v->flags & NEED_LOGIN) && s->p.submission.mechanisms && !s->env.authenticated)
        smtp_put(s, 530, "5.7.0", smtp_mechanisms(s) ? "Log in first" : "Start TLS and log in first");
    else
        return true;
    return false;
}

/* Commands in the body of a request that a page has made a browser send must find nobody who listens. */
static void end_http(struct smtp *s)
{
    smtp_close(s, 421, "4.7.0", "This is not HTTP"); /* RFC 5321 section 3.8 */
}

/* The address as it stands there, well-formed or not: "<...>", or up to a blank. */
static void tell_refused(struct smtp *s, const struct verb *v, const uint8_t *arg, size_t len, struct smtp_event *ret)
{
    const uint8_t *colon = memchr(arg, ':', len), *end;
    size_t n;

    if (colon) {
        len -= (size_t)(colon + 1 - arg);
        arg = colon + 1;
    }
    while (len > 0 && arg[0] == ' ') {
        arg++;
        len--;
    }
    end = memchr(arg, len > 0 && arg[0] == '<' ? '>' : ' ', len);
    n = end ? (size_t)(end - arg) + (*end == '>') : len;
    if (n >= sizeof(s->address))
        n = sizeof(s->address) - 1;
    memcpy(s->address, arg, n);
    s->address[n] = '\0';
    ret->type = SMTP_REFUSED;
    ret->verb = v->event;
    ret->address = s->address;
}

static void run_verb(struct smtp *s, struct buf *in, const uint8_t *text, size_t len, struct smtp_event *ret)
{
    size_t n = 0, i;

    /* RFC 5321 section 4.1.1: trailing white space is tolerated. */
    while (len > 0 && token_is_blank(text[len - 1]))
        len--;
    for (i = 0; i < len; i++) {
        if (text[i] < 32 || text[i] == 127) {
            smtp_put(s, 500, "5.5.2", "Control character in command");
            return;
        }
    }
    while (n < len && text[n] != ' ')
        n++;
    for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        const struct verb *v = &verbs[i];
        if (n == strlen(v->name) && strncasecmp((const char *)text, v->name, n) == 0) {
            size_t at = n;
            while (at < len && text[at] == ' ')
                at++;
            s->mail_verb = v->event;
            if (verb_permitted(s, v, at < len))
                v->run(s, in, text + at, len - at, ret);
            if (v->event && ret->type == SMTP_NEED_INPUT)
                tell_refused(s, v, text + at, len - at, ret);
            return;
        }
    }
    if (http_is_request(text, len))
        end_http(s);
    else
        smtp_put(s, 500, "5.5.2", "Command not recognized");
}

/* Copied: handlers may look at, and drop, what follows in the input. */
static void run_command(struct smtp *s, struct buf *in, struct slice line, struct smtp_event *ret)
{
    uint8_t text[SMTP_COMMAND_MAX];

    memcpy(text, line.data, line.len);
    line_consume(in, line);
    run_verb(s, in, text, line.len, ret);
    if (s->p.submission.mechanisms) /* a password may stand there */
        explicit_bzero(text, sizeof(text));
}

/* A command, or a line of AUTH. false: it is not there yet. */
static bool next_line(struct smtp *s, struct buf *in, struct smtp_event *ret)
{
    struct slice line = {0};
    int err;

    s->mail_verb = false;
    err = line_next(&s->line, in, &line);
    if (err == ERR_AGAIN)
        return false;
    if (s->mode == MODE_AUTH) {
        smtp_auth_line(s, err, line, ret);
        if (err == OK)
            line_consume(in, line);
    } else if (err == OK)
        run_command(s, in, line, ret);
    else if (http_is_request(s->line.head, s->line.head_len))
        end_http(s);
    else
        smtp_put(s, 500, "5.5.2", err == ERR_LIMIT ? "Line too long" : "CR or LF by itself; lines end in CRLF");
    return true;
}

void smtp_next(struct smtp *s, struct buf *in, struct smtp_event *ret)
{
    const uint32_t errors = s->errors_ever;

    *ret = (struct smtp_event){.type = SMTP_NEED_INPUT};
    if (s->given) {
        buf_consume(in, s->given);
        s->given = 0;
    }
    for (;;) {
        if (s->errors_ever != errors) {
            ret->type = SMTP_ERROR;
            return;
        }
        if (s->mode == MODE_CLOSED) {
            ret->type = SMTP_CLOSE;
            return;
        }
        if (s->reset_due) {
            s->reset_due = false;
            ret->type = SMTP_RESET;
            return;
        }
        if (s->pending != SMTP_NEED_INPUT) {
            ret->type = SMTP_NEED_REPLY;
            return;
        }
        if (s->mode == MODE_DATA || s->mode == MODE_BDAT) {
            if (smtp_content_next(s, in, ret))
                return;
            continue;
        }
        if (s->out.len > SMTP_OUTPUT_MAX / 2) {
            ret->type = SMTP_NEED_FLUSH;
            return;
        }
        if (!next_line(s, in, ret) || ret->type != SMTP_NEED_INPUT)
            return;
    }
}

void smtp_accept(struct smtp *s, const char *text)
{
    enum smtp_event_type pending = s->pending;

    s->pending = SMTP_NEED_INPUT;
    switch (pending) {
    case SMTP_MAIL:
        s->transaction = true;
        s->env.smtputf8 = s->args.smtputf8;
        s->env.body_8bit = s->args.body_8bit;
        s->env.requiretls = s->args.requiretls;
        s->env.ret = s->args.ret;
        s->env.hold_until = s->args.hold_until;
        memcpy(s->sender, s->address, sizeof(s->sender));
        smtp_put(s, 250, "2.1.0", text ? text : "OK");
        break;
    case SMTP_RCPT:
        s->env.recipients++;
        smtp_put(s, 250, "2.1.5", text ? text : "OK");
        break;
    case SMTP_BEGIN:
        if (s->chunking)
            break;
        smtp_content_begin(s, MODE_DATA);
        smtp_put(s, 354, NULL, text ? text : "End with a line of one dot");
        break;
    case SMTP_END:
        smtp_put(s, 250, "2.0.0", text ? text : "Accepted");
        smtp_end_transaction(s, false);
        s->errors = 0;
        break;
    case SMTP_AUTH:
        smtp_auth_end(s);
        s->env.authenticated = true;
        smtp_put(s, 235, "2.7.0", text ? text : "Logged in"); /* RFC 4954 section 6 */
        break;
    case SMTP_STARTTLS: smtp_put(s, 220, "2.0.0", text ? text : "Ready"); break;
    case SMTP_XCLIENT:
        forget_client(s);
        memcpy(s->helo, s->xclient.helo, sizeof(s->helo));
        s->greeted = s->helo[0] != '\0';
        s->env.esmtp = s->greeted && strcasecmp(s->xclient.proto, "SMTP") != 0;
        smtp_greet(s);
        break;
    default: /* nothing waits: smtp_close came first */ break;
    }
}

void smtp_refuse(struct smtp *s, int code, const char *enhanced, const char *text)
{
    enum smtp_event_type pending = s->pending;

    s->pending = SMTP_NEED_INPUT;
    if (pending == SMTP_NEED_INPUT)
        return;
    if (pending == SMTP_BEGIN && s->chunking) {
        smtp_fail(s, code, enhanced, text); /* the chunk's octets come first */
        return;
    }
    if (pending == SMTP_AUTH)
        smtp_auth_end(s);
    smtp_put(s, code, enhanced, text);
    if (pending == SMTP_BEGIN || pending == SMTP_END)
        smtp_end_transaction(s, pending == SMTP_BEGIN);
}
