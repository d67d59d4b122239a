/* The SMTP client engine: a row for each phase, with what comes of its reply. See smtp_client.h. */
#include "server/proto/smtp_client.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/proto/smtp_client_impl.h"

struct smtp_client *smtp_client_create(const char *helo)
{
    struct smtp_client *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->helo = helo;
    c->put = 1; /* the greeting is owed */
    line_init(&c->line, SMTP_CLIENT_LINE_MAX - 2);
    buf_init(&c->out, SMTP_CLIENT_OUTPUT_MAX, true);
    return c;
}

void smtp_client_destroy(struct smtp_client *c)
{
    if (!c)
        return;
    smtp_client_login_free(c);
    buf_free(&c->out);
    explicit_bzero(c, sizeof(*c));
    free(c);
}

struct buf *smtp_client_output(struct smtp_client *c)
{
    return &c->out;
}

unsigned smtp_client_offers(const struct smtp_client *c)
{
    return c->offers;
}

uint64_t smtp_client_size_max(const struct smtp_client *c)
{
    return c->size_max;
}

const struct smtp_client_reply *smtp_client_last(const struct smtp_client *c)
{
    return &c->last;
}

/* ---- what comes of a reply ---- */

static bool positive(const struct smtp_client *c)
{
    return c->last.code < 300;
}

static bool negative(const struct smtp_client *c)
{
    return c->last.code >= 400;
}

/* A code that is no answer to what was said. */
static void senseless(struct smtp_client *c)
{
    smtp_client_end(c, SMTP_CLIENT_FAULT_REPLY);
}

static void say_hello(struct smtp_client *c, enum client_phase phase)
{
    c->phase = phase;
    smtp_client_put(c, "%s %s\r\n", phase == CLIENT_EHLO ? "EHLO" : "HELO", c->helo);
}

static void on_greeting(struct smtp_client *c, struct buf *in, struct smtp_client_event *ret)
{
    if (c->last.code == 220)
        say_hello(c, CLIENT_EHLO);
    else if (negative(c))
        smtp_client_end(c, SMTP_CLIENT_FAULT_REFUSED);
    else
        senseless(c);
}

static void ready(struct smtp_client *c, struct smtp_client_event *ret, enum smtp_client_event_type type)
{
    c->phase = CLIENT_IDLE;
    ret->type = type;
}

static void on_hello(struct smtp_client *c, struct buf *in, struct smtp_client_event *ret)
{
    if (positive(c)) {
        c->offers = c->phase == CLIENT_EHLO ? c->coming_offers : 0;
        c->size_max = c->phase == CLIENT_EHLO ? c->coming_size_max : 0;
        if (c->tls || c->no_tls)
            c->offers &= ~(unsigned)SMTP_OFFERS_STARTTLS;
        ready(c, ret, SMTP_CLIENT_READY);
    } else if (c->last.code >= 500 && c->phase == CLIENT_EHLO) {
        say_hello(c, CLIENT_HELO); /* RFC 5321 section 3.2 */
    } else if (negative(c)) {
        smtp_client_end(c, SMTP_CLIENT_FAULT_REFUSED);
    } else {
        senseless(c);
    }
}

static void on_starttls(struct smtp_client *c, struct buf *in, struct smtp_client_event *ret)
{
    if (negative(c)) {
        c->no_tls = true;
        c->offers &= ~(unsigned)SMTP_OFFERS_STARTTLS;
        ready(c, ret, SMTP_CLIENT_NO_TLS);
    } else if (c->last.code != 220) {
        senseless(c);
    } else if (in->len) { /* RFC 3207 section 6, CVE-2011-0411 the other way round */
        smtp_client_end(c, SMTP_CLIENT_FAULT_EARLY);
    } else {
        c->phase = CLIENT_HANDSHAKE;
        ret->type = SMTP_CLIENT_START_TLS;
    }
}

static void on_login(struct smtp_client *c, struct buf *in, struct smtp_client_event *ret)
{
    if (smtp_client_login_next(c))
        ready(c, ret, SMTP_CLIENT_LOGGED_IN);
}

static void on_rset(struct smtp_client *c, struct buf *in, struct smtp_client_event *ret)
{
    if (negative(c)) {
        smtp_client_end(c, SMTP_CLIENT_FAULT_REFUSED);
    } else if (positive(c)) {
        smtp_client_put_mail(c);
        if (c->offers & SMTP_OFFERS_PIPELINING)
            smtp_client_put_rcpts(c);
    } else {
        senseless(c);
    }
}

/* RCPTs have all been answered, or none is to be sent. */
static void after_rcpts(struct smtp_client *c)
{
    if (c->rcpts_answered < c->rcpts_put || (c->rcpts_put < c->mail->n && !c->refused))
        return;
    if (c->accepted == 0) {
        c->done_due = true;
        return;
    }
    c->phase = CLIENT_DATA; /* not before it is known that somebody is there: RFC 2920 section 3.1 */
    smtp_client_put(c, "DATA\r\n");
}

static void on_mail(struct smtp_client *c, struct buf *in, struct smtp_client_event *ret)
{
    if (!positive(c) && !negative(c)) {
        senseless(c);
        return;
    }
    c->refused = negative(c);
    c->transaction = !c->refused;
    c->phase = CLIENT_RCPT;
    ret->type = SMTP_CLIENT_SENDER;
    smtp_client_put_rcpts(c);
    after_rcpts(c);
}

static void on_rcpt(struct smtp_client *c, struct buf *in, struct smtp_client_event *ret)
{
    if (!positive(c) && !negative(c)) {
        senseless(c);
        return;
    }
    ret->index = c->rcpts_answered++;
    if (!c->refused) {
        c->accepted += positive(c);
        ret->type = SMTP_CLIENT_RCPT;
        smtp_client_put_rcpts(c);
    }
    after_rcpts(c);
}

static void on_data(struct smtp_client *c, struct buf *in, struct smtp_client_event *ret)
{
    if (c->last.code == 354) {
        c->phase = CLIENT_CONTENT;
        ret->type = SMTP_CLIENT_WANTS_CONTENT;
    } else if (negative(c)) {
        ready(c, ret, SMTP_CLIENT_DONE);
    } else {
        senseless(c);
    }
}

static void on_end(struct smtp_client *c, struct buf *in, struct smtp_client_event *ret)
{
    if (!positive(c) && !negative(c)) {
        senseless(c);
        return;
    }
    c->transaction = negative(c); /* RFC 5321 section 4.1.1.4 says it is over, but not all servers do */
    ready(c, ret, SMTP_CLIENT_DONE);
}

static void on_quit(struct smtp_client *c, struct buf *in, struct smtp_client_event *ret)
{
    smtp_client_end(c, SMTP_CLIENT_FAULT_NONE);
}

/* RFC 5321 section 4.5.3.2: minutes that a client should wait. STARTTLS, AUTH and RSET are as MAIL. */
enum { MINUTE = 60 * 1000 };
static const struct {
    void (*on_reply)(struct smtp_client *c, struct buf *in, struct smtp_client_event *ret); /* NULL: none is owed */
    uint32_t patience;
} phases[CLIENT_PHASES] = {
    [CLIENT_GREETING] = {on_greeting, 5 * MINUTE},
    [CLIENT_EHLO] = {on_hello, 5 * MINUTE},
    [CLIENT_HELO] = {on_hello, 5 * MINUTE},
    [CLIENT_IDLE] = {NULL, 5 * MINUTE},
    [CLIENT_STARTTLS] = {on_starttls, 5 * MINUTE},
    [CLIENT_HANDSHAKE] = {NULL, 5 * MINUTE},
    [CLIENT_LOGIN] = {on_login, 5 * MINUTE},
    [CLIENT_RSET] = {on_rset, 5 * MINUTE},
    [CLIENT_MAIL] = {on_mail, 5 * MINUTE},
    [CLIENT_RCPT] = {on_rcpt, 5 * MINUTE},
    [CLIENT_DATA] = {on_data, 2 * MINUTE},
    [CLIENT_CONTENT] = {NULL, 3 * MINUTE},
    [CLIENT_END] = {on_end, 10 * MINUTE},
    [CLIENT_QUIT] = {on_quit, 1 * MINUTE / 2}, /* nothing depends on it */
    [CLIENT_OVER] = {NULL, 0},
};

uint64_t smtp_client_patience_ms(const struct smtp_client *c)
{
    return phases[c->phase].patience;
}

bool smtp_client_in_doubt(const struct smtp_client *c)
{
    return c->doubt || (c->phase == CLIENT_END && c->out.len == 0);
}

/* What was not asked for, at least not yet: a server that shuts down (RFC 5321 section 3.8), refuses the content before
 * its end, or is none. It is over in any case. */
static void unasked(struct smtp_client *c)
{
    const bool content = c->phase == CLIENT_CONTENT || c->phase == CLIENT_END;

    smtp_client_end(c, content && c->last.code >= 500 ? SMTP_CLIENT_FAULT_UNWANTED
                       : negative(c)                  ? SMTP_CLIENT_FAULT_REFUSED
                                                      : SMTP_CLIENT_FAULT_REPLY);
}

static void on_reply(struct smtp_client *c, struct buf *in, struct smtp_client_event *ret)
{
    if (!phases[c->phase].on_reply || c->answered >= c->taken) {
        unasked(c);
        return;
    }
    c->answered++;
    if (c->last.code == 421 && c->phase != CLIENT_QUIT)
        smtp_client_end(c, SMTP_CLIENT_FAULT_REFUSED);
    else
        phases[c->phase].on_reply(c, in, ret);
}

void smtp_client_next(struct smtp_client *c, struct buf *in, struct smtp_client_event *ret)
{
    static const struct smtp_client_reply none;
    int err;

    *ret = (struct smtp_client_event){.type = SMTP_CLIENT_NEED_INPUT, .reply = &c->last};
    if (c->out.len == 0)
        c->taken = c->put;
    while (ret->type == SMTP_CLIENT_NEED_INPUT && c->phase != CLIENT_OVER) {
        if (c->done_due) {
            c->done_due = false;
            ready(c, ret, SMTP_CLIENT_DONE);
            ret->reply = &none;
            return;
        }
        if (c->phase == CLIENT_HANDSHAKE)
            return; /* what comes is the caller's */
        err = smtp_client_read(c, in);
        if (err == ERR_AGAIN)
            return;
        if (err == OK)
            on_reply(c, in, ret);
        else
            senseless(c);
    }
    if (c->phase == CLIENT_OVER && ret->type == SMTP_CLIENT_NEED_INPUT) {
        ret->type = SMTP_CLIENT_CLOSED;
        ret->fault = c->fault;
    }
}

/* ---- the caller's wishes ---- */

void smtp_client_start_tls(struct smtp_client *c)
{
    if (c->phase == CLIENT_OVER)
        return;
    bug_if(c->phase != CLIENT_IDLE || !(c->offers & SMTP_OFFERS_STARTTLS));
    c->phase = CLIENT_STARTTLS;
    smtp_client_put(c, "STARTTLS\r\n");
}

void smtp_client_tls_started(struct smtp_client *c)
{
    if (c->phase == CLIENT_OVER)
        return;
    bug_if(c->phase != CLIENT_GREETING && c->phase != CLIENT_HANDSHAKE);
    c->tls = true;
    c->offers = 0;
    c->size_max = 0;
    if (c->phase == CLIENT_HANDSHAKE)
        say_hello(c, CLIENT_EHLO);
}

void smtp_client_quit(struct smtp_client *c)
{
    if (c->phase != CLIENT_IDLE) {
        smtp_client_end(c, SMTP_CLIENT_FAULT_NONE);
        return;
    }
    c->phase = CLIENT_QUIT;
    smtp_client_put(c, "QUIT\r\n");
}
