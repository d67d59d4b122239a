/* A session: a connection, an engine, a transaction. The engine's events are dispatched here; what they mean is in
 * transaction.c and deliver.c. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/log.h"
#include "server/ingest/ingest.h"

enum { IN_MAX = 64 * 1024, OUT_MAX = 2 * SMTP_OUTPUT_MAX, OUT_HIGH = 32 * 1024, OUT_LOW = 8 * 1024, SILENT_MS = 5000 };

void smtp_session_destroy(struct session *s)
{
    struct ingest *in = s->in;

    if (s->pumping) { /* its pump is further up the stack and does it */
        s->gone = true;
        return;
    }
    transaction_reset(s);
    free(s->t.rcpts);
    idle_cancel(&s->phase_idle);
    idle_cancel(&s->whole_idle);
    conn_destroy(s->conn);
    smtp_destroy(s->smtp);
    acceptor_leave(in->acceptor, &s->peer);
    *s->at = s->next;
    if (s->next)
        s->next->at = s->at;
    explicit_bzero(s, sizeof(*s));
    free(s);
    secmem_wipe_stack(); /* addresses that were looked up */
}

/* ---- timeouts (RFC 5321 section 4.5.3.2) ---- */

static void time_out(struct session *s, const char *text)
{
    count(s->in, COUNT_TIMEOUTS);
    smtp_close(s->smtp, 421, "4.4.2", text);
    smtp_session_pump(s);
}

static void phase_fire(struct idle *i)
{
    time_out((struct session *)((char *)i - offsetof(struct session, phase_idle)), "Timeout");
}

static void whole_fire(struct idle *i)
{
    struct session *s = (struct session *)((char *)i - offsetof(struct session, whole_idle));

    if (s->t.delivering) { /* what is accepted gets its reply first */
        idle_set(s->in->loop, i, 1000, whole_fire);
        return;
    }
    time_out(s, "The session has lasted too long");
}

static void closing_fire(struct idle *i)
{
    smtp_session_destroy((struct session *)((char *)i - offsetof(struct session, whole_idle)));
}

static void watch_phase(struct session *s)
{
    enum smtp_phase now = smtp_phase(s->smtp);
    uint64_t ms = 0;

    if (now == s->phase)
        return;
    s->phase = now;
    if (now == SMTP_PHASE_COMMAND)
        ms = s->in->config.smtp_command_timeout * UINT64_C(1000);
    else if (now == SMTP_PHASE_CONTENT)
        ms = s->in->config.smtp_data_timeout * UINT64_C(1000);
    else if (now == SMTP_PHASE_CLOSED)
        idle_set(s->in->loop, &s->whole_idle, s->in->closing_ms, closing_fire);
    idle_set(s->in->loop, &s->phase_idle, ms, phase_fire);
}

/* ---- events ---- */

static void on_starttls(struct session *s)
{
    struct buf *out = smtp_output(s->smtp);

    smtp_accept(s->smtp, NULL);
    if (conn_write(s->conn, out->data, out->len) != OK || conn_start_tls(s->conn, s->in->tls) != OK) {
        s->gone = true;
        return;
    }
    buf_consume(out, out->len);
    smtp_tls_started(s->smtp);
}

static bool parse_address(const char *text, struct sockaddr_storage *ret)
{
    struct sockaddr_storage ss = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;

    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
        ss.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
        ss.ss_family = AF_INET6;
    else
        return false;
    *ret = ss;
    return true;
}

/* Addresses are compared as addresses: they may be written in more than one way. */
static bool xclient_permitted(const struct ingest *in, const struct sockaddr_storage *peer)
{
    char addr[INET6_ADDRSTRLEN], item[INET6_ADDRSTRLEN];
    const char *p = in->config.xclient_hosts;
    struct sockaddr_storage host;

    addr_to_text(peer, addr);
    while (*p) {
        size_t n = strcspn(p, ", ");
        if (n > 0 && n < sizeof(item)) {
            memcpy(item, p, n);
            item[n] = '\0';
            if (parse_address(item, &host)) {
                addr_to_text(&host, item);
                if (strcmp(item, addr) == 0)
                    return true;
            }
        }
        p += n;
        p += strspn(p, ", ");
    }
    return false;
}

/* The proxy says who the client is: from now on that one counts, and may not say it is somebody else. */
static void on_xclient(struct session *s, const struct smtp_xclient *x)
{
    struct sockaddr_storage peer;

    if (x->addr[0] && parse_address(x->addr, &peer)) {
        if (acceptor_move(s->in->acceptor, &s->peer, &peer) != OK) {
            smtp_close(s->smtp, 421, "4.7.0", "Too many sessions");
            return;
        }
        s->peer = peer;
        conn_set_peer(s->conn, &peer);
        smtp_permit_xclient(s->smtp, xclient_permitted(s->in, &peer));
    }
    smtp_accept(s->smtp, NULL);
}

static void on_failed(struct session *s, enum smtp_fault fault)
{
    static const enum ingest_counter counters[SMTP_FAULTS] = {
        [SMTP_FAULT_BARE] = COUNT_BARE,
        [SMTP_FAULT_LINE] = COUNT_LINE,
        [SMTP_FAULT_SIZE] = COUNT_SIZE,
    };

    count(s->in, counters[fault]);
    transaction_forget_content(s);
}

/* false: nothing more can be done in this turn. */
static bool dispatch(struct session *s, const struct smtp_event *e)
{
    switch (e->type) {
    case SMTP_NEED_INPUT:
    case SMTP_NEED_REPLY:
    case SMTP_CLOSE: return false;
    case SMTP_NEED_FLUSH: break;
    case SMTP_MAIL: transaction_mail(s, e); break;
    case SMTP_RCPT: transaction_rcpt(s, e); break;
    case SMTP_BEGIN: smtp_accept(s->smtp, NULL); break;
    case SMTP_CONTENT: transaction_content(s, e->content); break;
    case SMTP_FAILED: on_failed(s, e->fault); break;
    case SMTP_END: deliver_begin(s); break;
    case SMTP_RESET: transaction_reset(s); break;
    case SMTP_STARTTLS: on_starttls(s); break;
    case SMTP_XCLIENT: on_xclient(s, e->xclient); break;
    }
    return !s->gone;
}

static bool flush(struct session *s)
{
    struct buf *out = smtp_output(s->smtp);

    if (out->len && conn_write(s->conn, out->data, out->len) != OK)
        return false;
    buf_consume(out, out->len);
    return true;
}

void smtp_session_pump(struct session *s)
{
    struct smtp_event e = {.type = SMTP_NEED_INPUT};

    if (s->pumping)
        return;
    s->pumping = true;
    while (!s->gone && conn_out_len(s->conn) < OUT_HIGH) {
        smtp_next(s->smtp, conn_in(s->conn), &e);
        if (e.type == SMTP_NEED_INPUT && s->in->stopping)
            smtp_close(s->smtp, 421, "4.3.2", "The server is stopping");
        else if (!dispatch(s, &e))
            break;
        if (e.type == SMTP_NEED_FLUSH && !flush(s))
            s->gone = true;
    }
    if (!s->gone && !flush(s))
        s->gone = true;
    s->pumping = false;
    if (s->gone) {
        smtp_session_destroy(s);
        return;
    }
    /* Paused, so that the end of a client that has said all and waits is not taken for its going away. */
    conn_pause(s->conn, smtp_phase(s->smtp) == SMTP_PHASE_REPLY);
    watch_phase(s);
    if (smtp_phase(s->smtp) == SMTP_PHASE_CLOSED) {
        transaction_reset(s); /* the client may take its time with the last words */
        conn_finish(s->conn);
    }
}

bool smtp_session_shed(struct ingest *in)
{
    uint64_t now = loop_now_ms(in->loop);
    struct session *longest = NULL;

    for (struct session *s = in->sessions; s; s = s->next)
        if (s->phase == SMTP_PHASE_COMMAND && s->t.n == 0 && now - s->phase_idle.since_ms >= SILENT_MS &&
            (!longest || s->phase_idle.since_ms < longest->phase_idle.since_ms))
            longest = s;
    if (!longest)
        return false;
    count(in, COUNT_SHED);
    if (smtp_envelope(longest->smtp)->tls && !conn_is_tls(longest->conn)) { /* in its handshake: nothing can be said */
        smtp_session_destroy(longest);
        return true;
    }
    smtp_close(longest->smtp, 421, "4.3.2", "Too many sessions; this one was silent");
    smtp_session_pump(longest);
    return true;
}

void smtp_session_stop(struct session *s)
{
    if (!s->t.delivering)
        smtp_session_pump(s);
}

/* ---- the connection ---- */

static void on_data(void *arg)
{
    struct session *s = arg;

    idle_touch(s->in->loop, &s->phase_idle);
    smtp_session_pump(s);
}

static void on_drain(void *arg)
{
    smtp_session_pump(arg);
}

static void on_end(void *arg, enum conn_end why)
{
    smtp_session_destroy(arg);
}

static const struct conn_ops ops = {.on_data = on_data, .on_drain = on_drain, .on_end = on_end};

void smtp_session_open(struct ingest *in, int fd, const struct sockaddr_storage *peer)
{
    static const struct conn_params cp = {.in_max = IN_MAX, .out_max = OUT_MAX, .out_low = OUT_LOW, .wipe = true};
    struct smtp_params sp = {
        .domain = in->config.domain,
        .message_max = in->config.message_max,
        .recipients_max = in->config.recipients_max,
        .text_line_max = in->config.text_line_max,
        .errors_max = in->config.smtp_errors,
        .starttls = in->tls != NULL,
        .xclient = xclient_permitted(in, peer),
    };
    struct session *s = calloc(1, sizeof(*s));

    if (s)
        s->smtp = smtp_create(&sp);
    s = s && s->smtp ? s : (free(s), NULL);
    if (s)
        s->conn = conn_create(in->loop, fd, &cp, &ops, s);
    else
        close(fd);
    if (!s || !s->conn) {
        if (s)
            smtp_destroy(s->smtp);
        free(s);
        acceptor_leave(in->acceptor, peer);
        return;
    }
    s->in = in;
    s->peer = *peer;
    s->phase = SMTP_PHASE_CLOSED;
    s->next = in->sessions;
    s->at = &in->sessions;
    if (s->next)
        s->next->at = &s->next;
    in->sessions = s;
    count(in, COUNT_SESSIONS);
    idle_set(in->loop, &s->whole_idle, in->config.smtp_session_timeout * UINT64_C(1000), whole_fire);
    smtp_greet(s->smtp);
    smtp_session_pump(s);
}
