#include "tests/support/smtp_harness.h"

/* Aborts, so that fuzzers see it. What is accepted holds no bare CR or LF, no line and no sum past its limit. */
static void harness_check_content(const struct harness *h)
{
    const struct buf *c = &h->content;
    size_t line = 0;

    if (c->len > h->p.message_max)
        abort();
    for (size_t i = 0; i < c->len; i++, line++) {
        if (c->data[i] == '\r') {
            if (++i == c->len || c->data[i] != '\n' || line > h->p.text_line_max)
                abort();
            line = (size_t)-1;
        } else if (c->data[i] == '\n') {
            abort();
        }
    }
}

/* RFC 5321 section 4.2: three digits, "-" or a blank, printable text; RFC 2034 section 4: an enhanced code's class is
 * the reply's. */
static void harness_check_replies(struct harness *h, const struct buf *out)
{
    const char *p = (const char *)out->data, *end = out->len ? p + out->len : p;

    while (p < end) {
        const char *eol = memmem(p, (size_t)(end - p), "\r\n", 2);
        if (!eol || eol - p < 4 || eol - p > 510 || p[0] < '2' || p[0] > '5' || (p[3] != ' ' && p[3] != '-'))
            abort();
        if (eol - p >= 9 && p[5] == '.' && p[7] == '.' && p[4] != p[0])
            abort();
        h->errors += p[0] == '5';
        for (; p < eol; p++)
            if ((unsigned char)*p < 32 || *p == 127)
                abort();
        p = eol + 2;
    }
}

struct smtp_params harness_params = {
    .domain = "mx.test",
    .message_max = 1000,
    .recipients_max = 3,
    .text_line_max = 100,
    .errors_max = 50,
};

void harness_init(struct harness *h, const struct smtp_params *p)
{
    *h = (struct harness){.s = smtp_create(p), .p = *p};
    buf_init(&h->in, 1 << 20, false);
    buf_init(&h->log, 4 << 20, false);
    buf_init(&h->content, 4 << 20, false);
}

void harness_free(struct harness *h)
{
    smtp_destroy(h->s);
    buf_free(&h->in);
    buf_free(&h->log);
    buf_free(&h->content);
}

static void harness_replies(struct harness *h)
{
    struct buf *out = smtp_output(h->s);

    harness_check_replies(h, out);
    if (h->errors != smtp_errors_made(h->s))
        abort();
    buf_append(&h->log, out->data, out->len);
    buf_consume(out, out->len);
}

static uint64_t harness_now(void)
{
    return 1792000000; /* 2026-10-14T17:46:40Z */
}

struct smtp_params harness_submission = {
    .domain = "mx.test",
    .message_max = 1000,
    .recipients_max = 3,
    .text_line_max = 100,
    .errors_max = 50,
    .submission = {.mechanisms = "PLAIN LOGIN", .clear = "PLAIN LOGIN", .hold_max = 3600, .now = harness_now},
};

/* PLAIN is one response, LOGIN two; what begins with "good" is let in. */
static void harness_auth(struct harness *h, const struct smtp_event *e)
{
    const bool login = strcmp(e->mechanism, "LOGIN") == 0;

    if (!smtp_envelope(h->s)->tls && !h->p.submission.clear)
        abort();
    if (e->begins)
        h->auth_steps = 0;
    buf_printf(&h->log, "AUTH %s {", e->mechanism);
    if (e->response.len)
        buf_append(&h->log, e->response.data, e->response.len);
    buf_puts(&h->log, e->response.data ? "}\n" : "-}\n");
    h->auth_steps++;
    if (!e->response.data || (login && h->auth_steps < 3)) {
        smtp_challenge(h->s, slice_str(login ? "name?" : ""));
        return;
    }
    h->auth_steps = 0;
    if (e->response.len >= 4 && memcmp(e->response.data, "good", 4) == 0)
        smtp_accept(h->s, NULL);
    else
        smtp_refuse(h->s, 535, "5.7.8", "no");
}

static void harness_dsn(struct harness *h, const struct smtp_event *e)
{
    const struct smtp_envelope *env = smtp_envelope(h->s);

    if (strlen(e->orcpt) > SMTP_ORCPT_MAX || strlen(env->envid) > SMTP_ENVID_MAX || e->notify > 14 || env->ret > 2 ||
        env->hold_until > harness_now() + h->p.submission.hold_max || !env->authenticated)
        abort();
    buf_printf(&h->log, "DSN %u %s %u %s %lld\n", env->ret, env->envid, e->notify, e->orcpt,
               env->hold_until ? (long long)(env->hold_until - harness_now()) : -1);
}

static void harness_event(struct harness *h, const struct smtp_event *e)
{
    if (e->type == SMTP_ERROR && h->errors != h->told + 1)
        abort();
    switch (e->type) {
    case SMTP_MAIL:
        buf_printf(&h->log, "MAIL %s %llu\n", e->address, (unsigned long long)e->size);
        if (strncmp(e->address, "refuse@", 7) == 0)
            smtp_refuse(h->s, 550, "5.7.1", "no");
        else
            smtp_accept(h->s, NULL);
        break;
    case SMTP_RCPT:
        buf_printf(&h->log, "RCPT %s\n", e->address);
        if (h->p.submission.mechanisms)
            harness_dsn(h, e);
        if (strncmp(e->address, "nobody@", 7) == 0)
            smtp_refuse(h->s, 550, "5.1.1", "no");
        else
            smtp_accept(h->s, NULL);
        break;
    case SMTP_BEGIN:
        buf_puts(&h->log, "BEGIN\n");
        buf_clear(&h->content);
        if (h->refuse_begin)
            smtp_refuse(h->s, 451, "4.3.0", "later");
        else
            smtp_accept(h->s, NULL);
        break;
    case SMTP_CONTENT: buf_append(&h->content, e->content.data, e->content.len); break;
    case SMTP_FAILED: buf_printf(&h->log, "FAILED %d\n", e->fault); break;
    case SMTP_END:
        harness_check_content(h);
        buf_printf(&h->log, "END %zu {", h->content.len);
        buf_append(&h->log, h->content.data, h->content.len);
        buf_puts(&h->log, "}\n");
        if (h->refuse_end)
            smtp_refuse(h->s, 451, "4.3.0", "later");
        else
            smtp_accept(h->s, NULL);
        break;
    case SMTP_RESET: buf_puts(&h->log, "RESET\n"); break;
    case SMTP_AUTH: harness_auth(h, e); break;
    case SMTP_STARTTLS:
        buf_puts(&h->log, "STARTTLS\n");
        smtp_accept(h->s, NULL);
        harness_replies(h);
        smtp_tls_started(h->s);
        break;
    case SMTP_XCLIENT:
        buf_printf(&h->log, "XCLIENT addr=%s name=%s helo=%s proto=%s\n", e->xclient->addr, e->xclient->name,
                   e->xclient->helo, e->xclient->proto);
        smtp_accept(h->s, NULL);
        break;
    case SMTP_REFUSED:
        if (strlen(e->address) >= SMTP_PATH_MAX || smtp_refused(h->s)->code < 400)
            abort();
        if (h->tell_refused)
            buf_printf(&h->log, "REFUSED %s{%s} %d %s\n", e->verb == SMTP_MAIL ? "MAIL" : "RCPT", e->address,
                       smtp_refused(h->s)->code, smtp_refused(h->s)->enhanced);
        break;
    default: break;
    }
}

void harness_feed(struct harness *h, const void *data, size_t len)
{
    struct smtp_event e;

    if (buf_append(&h->in, data, len) != OK)
        abort();
    for (;;) {
        smtp_next(h->s, &h->in, &e);
        harness_replies(h);
        if (e.type == SMTP_NEED_INPUT) {
            if (h->errors != h->told)
                abort();
            return;
        }
        if (e.type == SMTP_CLOSE) {
            if (!h->closed)
                buf_puts(&h->log, "CLOSE\n");
            h->closed = true;
            buf_clear(&h->in);
            return;
        }
        harness_event(h, &e);
        harness_replies(h);
        h->told = h->errors;
    }
}

void harness_run(struct harness *h, const void *data, size_t len, size_t cut)
{
    const char *p = data;

    for (size_t i = 0; i < len;) {
        size_t n = cut == 0 ? 1 : i < cut ? cut - i : len - i;
        if (n > len - i)
            n = len - i;
        harness_feed(h, p + i, n);
        i += n;
    }
    buf_append(&h->log, "", 1);
}
