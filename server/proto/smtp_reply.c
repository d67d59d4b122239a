/* What the engine says (RFC 5321 section 4.2, with enhanced codes of RFC 3463), and what saying it ends. */
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/date.h"
#include "server/proto/smtp_engine.h"

void smtp_put_line(struct smtp *s, int code, const char *enhanced, const char *text)
{
    const char *blank = enhanced ? " " : "";
    const char *tag = code >= 400 && s->tag && (s->transaction || s->mail_verb) ? s->tag : "";

    /* Output that cannot be kept (a peer that never reads, no memory) ends the session. */
    if (s->mode != MODE_CLOSED && buf_printf(&s->out, "%d %s%s%.*s%s%s%s\r\n", code, enhanced ? enhanced : "", blank,
                                             SMTP_REPLY_MAX, text, *tag ? " [" : "", tag, *tag ? "]" : "") != OK)
        s->mode = MODE_CLOSED;
}

static void note(struct smtp_refusal *r, int code, const char *enhanced)
{
    if (code < 400)
        return;
    r->code = code;
    snprintf(r->enhanced, sizeof(r->enhanced), "%s", enhanced);
}

void smtp_put(struct smtp *s, int code, const char *enhanced, const char *text)
{
    smtp_put_line(s, code, enhanced, text);
    note(&s->refused, code, enhanced);
    if (code < 500)
        return;
    s->errors_ever++;
    if (++s->errors >= s->p.errors_max)
        smtp_close(s, 421, "4.7.0", "Too many errors");
}

const char *smtp_mechanisms(const struct smtp *s)
{
    return s->env.tls ? s->p.submission.mechanisms : s->p.submission.clear;
}

/* RFC 4954 section 3, RFC 3461 section 3, RFC 4865 section 4. */
static int put_submission(struct smtp *s)
{
    const struct smtp_submission *sub = &s->p.submission;
    char until[DATE_INTERNET_SIZE];
    int err = OK;

    if (!sub->mechanisms)
        return OK;
    if (!s->env.authenticated && smtp_mechanisms(s))
        err = buf_printf(&s->out, "250-AUTH %s\r\n", smtp_mechanisms(s));
    if (err == OK)
        err = buf_puts(&s->out, "250-DSN\r\n");
    if (err != OK || !sub->hold_max)
        return err;
    date_write_internet((int64_t)(sub->now() + sub->hold_max), until);
    return buf_printf(&s->out, "250-FUTURERELEASE %u %s\r\n", sub->hold_max, until);
}

void smtp_put_ehlo(struct smtp *s)
{
    /* Keywords: RFC 2920, RFC 1870, RFC 3207, RFC 6152, RFC 6531, RFC 3030, RFC 8689, RFC 2034. */
    if (buf_printf(
            &s->out,
            "250-%s\r\n250-PIPELINING\r\n250-SIZE %llu\r\n%s%s250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n%s",
            s->p.domain, (unsigned long long)s->p.message_max, s->p.starttls && !s->env.tls ? "250-STARTTLS\r\n" : "",
            s->p.xclient ? "250-XCLIENT NAME ADDR PROTO HELO\r\n" : "", s->env.tls ? "250-REQUIRETLS\r\n" : "") != OK ||
        put_submission(s) != OK)
        s->mode = MODE_CLOSED;
    smtp_put_line(s, 250, NULL, "ENHANCEDSTATUSCODES");
}

void smtp_close(struct smtp *s, int code, const char *enhanced, const char *text)
{
    smtp_put_line(s, code, enhanced, text);
    note(&s->closed, code, enhanced);
    s->mode = MODE_CLOSED;
    s->pending = SMTP_NEED_INPUT;
}

void smtp_fail(struct smtp *s, int code, const char *enhanced, const char *text)
{
    if (s->failed)
        return;
    s->failed = true;
    s->fail_code = code;
    snprintf(s->fail_enhanced, sizeof(s->fail_enhanced), "%s", enhanced);
    snprintf(s->fail_text, sizeof(s->fail_text), "%s", text);
}

void smtp_end_transaction(struct smtp *s, bool tell)
{
    if (s->transaction && tell)
        s->reset_due = true;
    s->transaction = s->chunking = s->failed = false;
    s->env.smtputf8 = s->env.body_8bit = s->env.requiretls = false;
    s->env.recipients = 0;
    s->env.octets = 0;
    s->env.ret = 0;
    s->env.hold_until = 0;
    explicit_bzero(&s->args, sizeof(s->args));
    explicit_bzero(s->sender, sizeof(s->sender));
}
