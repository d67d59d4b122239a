/* What the engine says (RFC 5321 section 4.2, with enhanced codes of RFC 3463), and what saying it ends. */
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
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
    s->env.smtputf8 = s->env.body_8bit = false;
    s->env.recipients = 0;
    s->env.octets = 0;
    explicit_bzero(s->sender, sizeof(s->sender));
}
