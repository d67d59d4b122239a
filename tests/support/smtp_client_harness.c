#include "tests/support/smtp_client_harness.h"

#include "server/core/utf8.h"

static const uint8_t nonce[SMTP_CLIENT_NONCE_SIZE] = "123456789012345678";

void client_harness_init(struct client_harness *h)
{
    *h = (struct client_harness){.c = smtp_client_create("mx.test")};
    buf_init(&h->in, 8 << 20, false);
    buf_init(&h->log, 8 << 20, false);
}

void client_harness_free(struct client_harness *h)
{
    smtp_client_destroy(h->c);
    buf_free(&h->in);
    buf_free(&h->log);
}

/* Aborts, so that fuzzers see it. */
static void check_reply(const struct smtp_client_reply *r)
{
    size_t len = strlen(r->text);

    if (len > SMTP_CLIENT_TEXT_MAX || !utf8_printable(r->text, len) || (r->code && (r->code < 200 || r->code > 599)) ||
        (r->code && (len < 3 || atoi(r->text) != r->code)) || strlen(r->enhanced) >= sizeof(r->enhanced) ||
        (r->enhanced[0] && r->enhanced[0] != r->text[0]))
        abort();
}

/* Commands are lines of printable text, whatever the server has said. */
static void check_commands(const struct buf *out)
{
    for (size_t i = 0; i < out->len; i++) {
        if (out->data[i] == '\r' && i + 1 < out->len && out->data[i + 1] == '\n')
            i++;
        else if (out->data[i] < 32 || out->data[i] == 127)
            abort();
    }
    if (out->len && (out->len < 2 || memcmp(out->data + out->len - 2, "\r\n", 2) != 0))
        abort();
}

static void take_output(struct client_harness *h)
{
    struct buf *out = smtp_client_output(h->c);

    check_commands(out);
    for (size_t i = 0; i < out->len; i++) {
        if (i == 0 || out->data[i - 1] == '\n')
            buf_puts(&h->log, "> ");
        if (out->data[i] != '\r')
            buf_append(&h->log, out->data + i, 1);
    }
    buf_consume(out, out->len);
}

static void give_content(struct client_harness *h)
{
    size_t piece = h->piece ? h->piece : h->content.len, at = 0;

    do {
        size_t n = h->content.len - at < piece ? h->content.len - at : piece;

        if (smtp_client_content(h->c, slice_of(h->content.data + at, n), at + n == h->content.len) != OK) {
            buf_puts(&h->log, "content refused\n");
            return;
        }
        at += n;
    } while (at < h->content.len);
}

/* Nothing is under way: what is wished next. */
static void go_on(struct client_harness *h)
{
    unsigned offers = smtp_client_offers(h->c), needs = 0;

    if (h->with_tls && offers & SMTP_OFFERS_STARTTLS) {
        smtp_client_start_tls(h->c);
        return;
    }
    if (h->user && !h->login_done) {
        h->login_done = true;
        if (smtp_client_login(h->c, h->user, "pencil", nonce) == OK)
            return;
        buf_puts(&h->log, "no login\n");
    }
    if (h->at < h->nmails) {
        const struct smtp_client_mail *m = &h->mails[h->at++];

        needs = (m->body_8bit ? SMTP_OFFERS_8BITMIME : 0u) | (m->smtputf8 ? SMTP_OFFERS_SMTPUTF8 : 0u) |
                (m->requiretls ? SMTP_OFFERS_REQUIRETLS : 0u);
        if ((needs & ~offers) == 0) {
            if (smtp_client_mail(h->c, m) == OK)
                return;
            buf_puts(&h->log, "mail refused\n");
        } else {
            buf_puts(&h->log, "not offered\n");
        }
    }
    smtp_client_quit(h->c);
}

static void on_event(struct client_harness *h, const struct smtp_client_event *e)
{
    static const char *const names[] = {"",     "READY", "START_TLS", "NO_TLS",    "SENDER",
                                        "RCPT", "WANTS", "DONE",      "LOGGED_IN", "CLOSED"};
    static const char *const faults[] = {"none", "reply", "early", "refused", "unwanted", "login", "content", "memory"};

    check_reply(e->reply);
    check_reply(smtp_client_last(h->c));
    buf_printf(&h->log, "%s %d", names[e->type], e->reply->code);
    if (e->reply->enhanced[0])
        buf_printf(&h->log, " %s", e->reply->enhanced);
    if (e->type == SMTP_CLIENT_READY)
        buf_printf(&h->log, " offers %u size %llu", smtp_client_offers(h->c),
                   (unsigned long long)smtp_client_size_max(h->c));
    if (e->type == SMTP_CLIENT_RCPT)
        buf_printf(&h->log, " of %zu", e->index);
    if (e->type == SMTP_CLIENT_CLOSED)
        buf_printf(&h->log, " %s%s", faults[e->fault], smtp_client_in_doubt(h->c) ? ", in doubt" : "");
    if (h->texts)
        buf_printf(&h->log, " {%s}", e->reply->text);
    buf_puts(&h->log, "\n");
    switch (e->type) {
    case SMTP_CLIENT_START_TLS: h->handshake = true; break;
    case SMTP_CLIENT_WANTS_CONTENT: give_content(h); break;
    case SMTP_CLIENT_CLOSED: h->closed = true; break;
    case SMTP_CLIENT_READY:
    case SMTP_CLIENT_NO_TLS:
    case SMTP_CLIENT_DONE:
    case SMTP_CLIENT_LOGGED_IN: go_on(h); break;
    default: break;
    }
}

static void feed(struct client_harness *h, const uint8_t *p, size_t len)
{
    struct smtp_client_event e;

    if (h->closed)
        return;
    if (buf_append(&h->in, p, len) != OK)
        abort();
    do {
        smtp_client_next(h->c, &h->in, &e);
        if (e.type != SMTP_CLIENT_NEED_INPUT)
            on_event(h, &e);
    } while (e.type != SMTP_CLIENT_NEED_INPUT && e.type != SMTP_CLIENT_CLOSED);
}

static void turn(struct client_harness *h, const uint8_t *p, size_t len, size_t cut)
{
    for (size_t i = 0; i < len;) {
        size_t n = cut == 0 ? 1 : i < cut ? cut - i : len - i;

        if (n > len - i)
            n = len - i;
        feed(h, p + i, n);
        i += n;
    }
    take_output(h);
    if (h->handshake && !h->closed) { /* what the server says now is encrypted */
        h->handshake = false;
        buf_clear(&h->in);
        smtp_client_tls_started(h->c);
        take_output(h);
    }
    feed(h, p, 0);
    take_output(h);
}

void client_harness_run(struct client_harness *h, const void *script, size_t len, size_t cut)
{
    const uint8_t *p = script, *end = len ? p + len : p, *stop;

    feed(h, p, 0);
    for (; p < end; p = stop + 1) {
        stop = memchr(p, 0xff, (size_t)(end - p));
        if (!stop)
            stop = end;
        turn(h, p, (size_t)(stop - p), cut);
    }
    if (smtp_client_in_doubt(h->c) && !h->closed)
        buf_puts(&h->log, "in doubt\n");
    buf_append(&h->log, "", 1);
}
