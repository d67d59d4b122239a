/* The connection, the engine, and the dispatch of its events. See session.h. */
#include "server/ingest/smtp/session.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "server/ingest/smtp/errors.h"

enum {
    IN_MAX = 64 * 1024,
    OUT_MAX = 2 * SMTP_OUTPUT_MAX,
    OUT_HIGH = 32 * 1024,
    OUT_LOW = 8 * 1024,
    WAIT_AGAIN_MS = 200,
    ENDED_MS = 500, /* for the last words of a session whose place is needed */
};

struct smtp_session {
    struct ingest *in;
    struct smtp_session *next, **at;
    struct place place;
    struct conn *conn;
    struct smtp *smtp;
    const struct smtp_receiver *kind;
    void *receiver;
    struct sockaddr_storage peer;
    struct idle phase_idle, whole_idle, wait_idle;
    struct budget_wait waits;
    struct smtp_errors errors;
    struct smtp_event rcpt; /* the recipient that waits for its look-up; address NULL: none does */
    enum smtp_phase phase;
    uint32_t reached; /* the furthest step since the last whole message */
    bool mail, whole; /* a transaction is open; its message is whole and has no reply yet */
    bool pumping, gone, spoke, ended;
    bool ask_heard, hearing; /* of what goes out next; of what went out */
};

struct smtp *smtp_session_engine(struct smtp_session *s)
{
    return s->smtp;
}

const struct conn *smtp_session_conn(const struct smtp_session *s)
{
    return s->conn;
}

struct place *smtp_session_place(struct smtp_session *s)
{
    return &s->place;
}

const struct sockaddr_storage *smtp_session_peer(const struct smtp_session *s)
{
    return &s->peer;
}

const char *smtp_session_tls(const struct smtp_session *s)
{
    return conn_tls_info(s->conn);
}

uint64_t smtp_session_tls_suite(const struct smtp_session *s)
{
    return conn_tls_suite(s->conn);
}

static void session_free(struct smtp_session *s)
{
    if (s->receiver)
        s->kind->close(s->receiver);
    conn_destroy(s->conn);
    smtp_destroy(s->smtp);
    explicit_bzero(s, sizeof(*s));
    free(s);
}

void smtp_session_destroy(struct smtp_session *s)
{
    if (s->pumping) { /* pump is on the stack and destroys it at its end */
        s->gone = true;
        return;
    }
    s->kind->close(s->receiver); /* first: it gives back what its peer was charged */
    s->receiver = NULL;
    idle_cancel(&s->phase_idle);
    idle_cancel(&s->whole_idle);
    idle_cancel(&s->wait_idle);
    smtp_errors_release(&s->errors);
    place_end(&s->place);
    *s->at = s->next;
    if (s->next)
        s->next->at = s->at;
    session_free(s);
    secmem_wipe_stack(); /* addresses that were looked up */
}

static void pump(struct smtp_session *s);

/* ---- timeouts (RFC 5321 section 4.5.3.2) ---- */

static void time_out(struct smtp_session *s, const char *text)
{
    count(s->in, COUNT_TIMEOUTS);
    smtp_close(s->smtp, 421, "4.4.2", text);
    pump(s);
}

static void phase_fire(struct idle *i)
{
    time_out((struct smtp_session *)((char *)i - offsetof(struct smtp_session, phase_idle)), "Timeout");
}

static void whole_fire(struct idle *i)
{
    struct smtp_session *s = (struct smtp_session *)((char *)i - offsetof(struct smtp_session, whole_idle));

    if (smtp_phase(s->smtp) == SMTP_PHASE_REPLY) { /* the reply that is due comes first */
        idle_set(s->in->loop, i, 1000, whole_fire);
        return;
    }
    time_out(s, "The session has lasted too long");
}

static void closing_fire(struct idle *i)
{
    smtp_session_destroy((struct smtp_session *)((char *)i - offsetof(struct smtp_session, whole_idle)));
}

static void watch_phase(struct smtp_session *s)
{
    enum smtp_phase now = smtp_phase(s->smtp);
    uint64_t ms = 0;

    if (now == s->phase)
        return;
    s->phase = now;
    if (now == SMTP_PHASE_COMMAND) /* RFC 5321 section 4.5.3.2.7 */
        ms = s->in->config.smtp_command_timeout * UINT64_C(1000);
    else if (now == SMTP_PHASE_CONTENT)
        ms = s->in->config.smtp_data_timeout * UINT64_C(1000);
    else if (now == SMTP_PHASE_CLOSED)
        idle_set(s->in->loop, &s->whole_idle, s->ended ? ENDED_MS : s->in->closing_ms, closing_fire);
    idle_set(s->in->loop, &s->phase_idle, ms, phase_fire);
}

/* ---- progress ---- */

/* How far a client has come: each step further buys it time, one that it has made before does not. So commands without
 * an end, or transactions without a message, do not keep a place. */
static uint32_t step_of(const struct smtp_session *s)
{
    const struct smtp_envelope *env = smtp_envelope(s->smtp);

    if (s->phase == SMTP_PHASE_CONTENT)
        return UINT32_MAX;
    return s->mail ? 5 + env->recipients : (env->helo[0] != '\0') + (env->tls ? 2U : 0U) + env->authenticated;
}

static void look_progress(struct smtp_session *s)
{
    uint32_t step = step_of(s);

    if (s->whole && s->phase != SMTP_PHASE_REPLY) {
        s->whole = s->mail = false;
        s->reached = 4; /* the next MAIL is a step */
        place_step(&s->place);
    } else if (step > s->reached) {
        s->reached = step;
        place_step(&s->place);
    }
    if (s->phase == SMTP_PHASE_CONTENT)
        place_content_begin(&s->place);
}

/* ---- events ---- */

/* RFC 3207 section 4: the reply goes out in the clear, and TLS begins behind it. */
static void on_starttls(struct smtp_session *s)
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

/* The proxy says who the client is. That client counts as the peer from now on; it may not name yet another one, unless
 * it is a proxy itself. */
static void on_xclient(struct smtp_session *s, const struct smtp_xclient *x)
{
    struct sockaddr_storage peer;

    if (x->addr[0] && parse_address(x->addr, &peer)) {
        if (place_move(&s->place, &peer) != OK) {
            smtp_close(s->smtp, 421, "4.7.0", "Too many sessions");
            return;
        }
        s->peer = peer;
        conn_set_peer(s->conn, &peer);
        smtp_permit_xclient(s->smtp, xclient_permitted(s->in, &peer));
    }
    smtp_accept(s->smtp, NULL);
}

static bool flush(struct smtp_session *s)
{
    struct buf *out = smtp_output(s->smtp);

    if (s->errors.waits && !s->rcpt.address) /* the reply to a bad command, which is the last that is there */
        return true;
    if (out->len && conn_write(s->conn, out->data, out->len) != OK)
        return false;
    if (out->len)
        idle_touch(s->in->loop, &s->phase_idle); /* a command was whole */
    buf_consume(out, out->len);
    if (s->ask_heard) {
        s->ask_heard = false;
        s->hearing = true;
        conn_ask_heard(s->conn);
    }
    return true;
}

/* ---- errors that are waited for ---- */

static void waited(struct idle *i)
{
    struct smtp_session *s = (struct smtp_session *)((char *)i - offsetof(struct smtp_session, errors.hold));
    const struct smtp_event e = s->rcpt;

    smtp_errors_release(&s->errors);
    s->rcpt.address = NULL;
    if (e.address)
        s->kind->rcpt(s->receiver, &e);
    smtp_errors_count(&s->errors, s->in, s->smtp, &s->peer, false, waited);
    s->gone = !flush(s); /* before what was sent behind it waits in turn */
    pump(s);
}

static void on_rcpt(struct smtp_session *s, const struct smtp_event *e)
{
    const struct smtp_event refused = {.type = SMTP_REFUSED, .verb = SMTP_RCPT, .address = e->address};

    switch (smtp_errors_ask(&s->errors, s->in, s->smtp, &s->peer, waited)) {
    case SMTP_ERRORS_LOOK: s->kind->rcpt(s->receiver, e); break;
    case SMTP_ERRORS_WAIT: s->rcpt = *e; break;
    case SMTP_ERRORS_UNSEEN: s->kind->refused(s->receiver, &refused); break;
    }
}

/* Who is ended does not wait. */
static void release(struct smtp_session *s)
{
    const bool waits = s->errors.waits || (s->kind->waits && s->kind->waits(s->receiver));

    if (waits && s->in->stopping)
        smtp_close(s->smtp, 421, "4.3.2", "The server is stopping");
    if (s->errors.waits && smtp_phase(s->smtp) == SMTP_PHASE_CLOSED) {
        smtp_errors_release(&s->errors);
        s->rcpt.address = NULL;
    }
}

/* false: nothing more can be done in this turn. */
static bool dispatch(struct smtp_session *s, const struct smtp_event *e)
{
    switch (e->type) {
    case SMTP_NEED_INPUT:
    case SMTP_NEED_REPLY:
    case SMTP_CLOSE: return false;
    case SMTP_NEED_FLUSH:
    case SMTP_ERROR: break;
    case SMTP_MAIL:
        s->mail = true;
        s->waits = (struct budget_wait){0}; /* in all, also of a message in chunks (RFC 3030) */
        s->kind->mail(s->receiver, e);
        break;
    case SMTP_RCPT: on_rcpt(s, e); break;
    case SMTP_BEGIN: smtp_accept(s->smtp, NULL); break;
    case SMTP_CONTENT:
        place_content(&s->place, e->content.len);
        s->kind->content(s->receiver, e->content);
        break;
    case SMTP_FAILED: s->kind->failed(s->receiver, e->fault); break;
    case SMTP_END:
        s->whole = true;
        place_content_end(&s->place);
        s->kind->end(s->receiver);
        break;
    case SMTP_RESET:
        s->mail = false;
        place_content_end(&s->place);
        s->kind->reset(s->receiver);
        break;
    case SMTP_REFUSED: s->kind->refused(s->receiver, e); break;
    case SMTP_STARTTLS: on_starttls(s); break;
    case SMTP_AUTH: s->kind->auth(s->receiver, e); break;
    case SMTP_XCLIENT: on_xclient(s, e->xclient); break;
    }
    if (!s->gone)
        smtp_errors_count(&s->errors, s->in, s->smtp, &s->peer, e->type == SMTP_ERROR || e->type == SMTP_REFUSED,
                          waited);
    return !s->gone;
}

void smtp_session_ask_heard(struct smtp_session *s)
{
    s->ask_heard = true;
}

static void look_heard(struct smtp_session *s)
{
    if (!s->hearing || !conn_heard(s->conn))
        return;
    s->hearing = false;
    s->kind->heard(s->receiver);
}

static void wait_fire(struct idle *i)
{
    pump((struct smtp_session *)((char *)i - offsetof(struct smtp_session, wait_idle)));
}

/* Memory that is short now is there in a moment, when those that stall have been ended for it. After that moment the
 * content is offered, and refused. */
static bool must_wait(struct smtp_session *s)
{
    size_t octets = conn_in(s->conn)->len;

    if (smtp_phase(s->smtp) != SMTP_PHASE_CONTENT)
        return false;
    bool fits = s->in->stopping || !s->kind->room || !octets || s->kind->room(s->receiver, octets);
    if (!budget_wait(&s->waits, loop_now_ms(s->in->loop), fits) || conn_lost(s->conn, 0))
        return false;
    idle_set(s->in->loop, &s->wait_idle, WAIT_AGAIN_MS, wait_fire);
    return true;
}

static void pump(struct smtp_session *s)
{
    bool waits = false;
    struct smtp_event e = {.type = SMTP_NEED_INPUT};

    if (s->pumping)
        return;
    s->pumping = true;
    release(s);
    while (!s->gone && (!s->errors.waits || s->rcpt.address) && conn_out_len(s->conn) < OUT_HIGH &&
           !(waits = must_wait(s))) {
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
    /* While a reply is due nothing is read. A client may shut down its sending side and wait for that reply. */
    conn_pause(s->conn, waits || s->errors.waits || smtp_phase(s->smtp) == SMTP_PHASE_REPLY);
    watch_phase(s);
    look_progress(s);
    if (smtp_phase(s->smtp) == SMTP_PHASE_CLOSED) {
        s->kind->reset(s->receiver); /* the client may be slow to take the last reply */
        conn_finish(s->conn);
    }
}

static struct smtp_session *session_at(const struct place *p)
{
    return (struct smtp_session *)((char *)p - offsetof(struct smtp_session, place));
}

bool smtp_session_may_end(const struct place *p, enum place_why why)
{
    const struct smtp_session *s = session_at(p);

    if (s->phase == SMTP_PHASE_CLOSED) /* its last words are out, and may never be taken */
        return why == PLACE_SHED && !s->ended;
    return !s->whole && !s->pumping;
}

void smtp_session_end(struct place *p, enum place_why why)
{
    static const struct {
        const char *enhanced, *text;
    } words[PLACE_WHYS] = {
        [PLACE_SHED] = {"4.3.2", "Too many sessions; this one brought nothing"},
        [PLACE_OCTETS] = {"4.3.1", "Too much mail at once; this one came too slowly"},
        [PLACE_SLOW] = {"4.4.2", "Too slow for a busy server"},
    };
    struct smtp_session *s = session_at(p);

    if (smtp_envelope(s->smtp)->tls && !conn_is_tls(s->conn)) { /* in its handshake: nothing can be said */
        smtp_session_destroy(s);
        return;
    }
    s->ended = true;
    if (s->phase == SMTP_PHASE_CLOSED) {
        idle_set(s->in->loop, &s->whole_idle, ENDED_MS, closing_fire);
        return;
    }
    smtp_close(s->smtp, 421, words[why].enhanced, words[why].text); /* RFC 5321 section 3.8 */
    pump(s);
}

void smtp_session_resume(struct smtp_session *s)
{
    pump(s);
}

void smtp_session_stop_all(struct ingest *in)
{
    struct smtp_session *next;

    for (struct smtp_session *s = in->sessions; s; s = next) {
        next = s->next;
        pump(s);
    }
}

/* ---- the connection ---- */

/* A client waits for the greeting (RFC 5321 section 3.1). Who does not is no mail server: most likely a program that
 * blasts commands at many, or a browser. */
static void refuse_early(struct smtp_session *s)
{
    count(s->in, COUNT_EARLY);
    smtp_close(s->smtp, 554, "5.5.1", "You spoke before the greeting"); /* section 4.3.1 */
}

static void on_data(void *arg)
{
    struct smtp_session *s = arg;

    if (!s->spoke && conn_spoke_early(s->conn))
        refuse_early(s);
    s->spoke = true;
    if (s->phase == SMTP_PHASE_CONTENT)
        idle_touch(s->in->loop, &s->phase_idle);
    look_heard(s);
    pump(s);
}

static void on_drain(void *arg)
{
    pump(arg);
}

static void on_end(void *arg, enum conn_end why)
{
    look_heard(arg);
    smtp_session_destroy(arg);
}

static const struct conn_ops ops = {.on_data = on_data, .on_drain = on_drain, .on_end = on_end};

static uint64_t now(void)
{
    return (uint64_t)time(NULL);
}

/* NULL: no memory; fd is closed. */
static struct smtp_session *session_make(struct ingest *in, const struct smtp_receiver *kind, int fd,
                                         const struct sockaddr_storage *peer)
{
    static const struct conn_params cp = {.in_max = IN_MAX, .out_max = OUT_MAX, .out_low = OUT_LOW, .wipe = true};
    struct smtp_params sp = {
        .domain = in->config.domain,
        .message_max = in->config.message_max,
        .recipients_max = in->config.recipients_max,
        .text_line_max = in->config.text_line_max,
        .errors_max = in->config.smtp_errors,
        .starttls = in->tls != NULL,
        .xclient = !kind->mechanisms && xclient_permitted(in, peer),
        .submission = {.mechanisms = in->config.submission_scram_plus ? kind->bound : kind->mechanisms,
                       .clear = in->config.submission_plain_auth_loopback && addr_is_loopback(peer) ? kind->mechanisms
                                                                                                    : NULL,
                       .hold_max = in->config.hold_max,
                       .now = now},
    };
    struct smtp_session *s = calloc(1, sizeof(*s));

    if (s)
        *s = (struct smtp_session){.in = in, .kind = kind, .peer = *peer, .phase = SMTP_PHASE_CLOSED};
    if (!s || !(s->smtp = smtp_create(&sp)) || !(s->receiver = kind->open(in, s)))
        close(fd);
    else
        s->conn = conn_create(in->loop, fd, &cp, &ops, s);
    if (!s || s->conn)
        return s;
    session_free(s);
    return NULL;
}

void smtp_session_open(struct ingest *in, const struct smtp_receiver *kind, int fd, const struct sockaddr_storage *peer,
                       uint32_t on, bool tls_first)
{
    struct smtp_session *s = session_make(in, kind, fd, peer);

    if (!s) {
        places_leave(in->places, on);
        return;
    }
    place_begin(in->places, &s->place, on);
    s->next = in->sessions;
    s->at = &in->sessions;
    if (s->next)
        s->next->at = &s->next;
    in->sessions = s;
    count(in, COUNT_SESSIONS);
    idle_set(in->loop, &s->whole_idle, in->config.smtp_session_timeout * UINT64_C(1000), whole_fire);
    if (tls_first) /* RFC 8314 section 3.3 */
        s->gone = conn_start_tls(s->conn, in->tls) != OK;
    if (tls_first)
        smtp_tls_started(s->smtp);
    s->spoke = tls_first; /* its handshake comes before the greeting */
    if (!tls_first && conn_spoke_early(s->conn))
        refuse_early(s);
    else
        smtp_greet(s->smtp);
    pump(s);
}
