/* A session's life, from its connection to the last octet written to it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/secmem.h"
#include "server/access/imap/session.h"
#include "server/core/bug.h"

enum {
    LOGIN_STRESS_MS = 30 * 1000, /* to log in, with most places taken: people are asked for passwords */
    SHED_MS = 500,               /* for the last words of a session whose place is needed */
};

static void account_unlink(struct imap_session *s)
{
    if (!s->account)
        return;
    if (s->acc_prev)
        s->acc_prev->acc_next = s->acc_next;
    else
        s->a->by_account[s->account % IMAP_ACCOUNT_BUCKETS] = s->acc_next;
    if (s->acc_next)
        s->acc_next->acc_prev = s->acc_prev;
    if (s->a->tally)
        tally_add(s->a->tally, s->account_slot, -1, 0);
    s->account = 0;
}

static void login_timeout(void *arg)
{
    struct imap_session *s = arg;
    if (s->shed)
        imap_session_destroy(s);
    else
        imap_session_bye(s, "[UNAVAILABLE] No login in time");
}

struct imap_session *imap_session_create(struct access *a, int fd, const struct sockaddr_storage *peer, uint32_t on,
                                         bool tls_at_once, const struct conn_ops *ops, void (*woken)(void *arg))
{
    static const struct conn_params params = {IMAP_IN_MAX, IMAP_OUT_MAX, IMAP_OUT_LOW, true};
    struct imap_session *s = calloc(1, sizeof(*s));
    if (!s) {
        close(fd);
        places_leave(a->places, on);
        return NULL;
    }
    s->a = a;
    s->woken = woken;
    s->state = IMAP_STATE_NOT_AUTH;
    imap_parser_init(&s->parser);
    if (!(s->conn = conn_create(a->loop, fd, &params, ops, s))) {
        free(s);
        places_leave(a->places, on);
        return NULL;
    }
    place_begin(a->places, &s->place, on);
    conn_set_peer(s->conn, peer);
    s->loopback = addr_is_loopback(conn_peer(s->conn));
    s->next = a->sessions;
    if (a->sessions)
        a->sessions->prev = s;
    a->sessions = s;
    conn_set_timeout(s->conn, (uint64_t)a->config.imap_idle_timeout * 1000); /* RFC 3501 section 5.4 */
    if ((s->timer = timer_create_in(a->loop, login_timeout, s)))
        timer_set(s->timer, (uint64_t)a->config.imap_login_timeout * 1000);
    if (!s->timer || (tls_at_once && conn_start_tls(s->conn, a->tls))) {
        imap_session_destroy(s);
        return NULL;
    }
    return s;
}

static void let_go(struct imap_session *s)
{
    for (size_t i = 0; i < s->told.n; i++)
        access_hold(s->a, s->told.rows[i].delivery, -1);
}

void imap_session_drop_job(struct imap_session *s)
{
    struct imap_job *j = s->job;
    if (!j)
        return;
    if (j->request)
        vault_client_forget(s->a->vault, j->request);
    if (j->give_up)
        j->give_up(j->awaited);
    if (j->release)
        j->release(j);
    s->job = NULL;
}

/* ---- turns ---- */

bool imap_session_waits(const struct imap_session *s)
{
    return s->wake.at || s->ticket;
}

static void turn(void *arg);

/* The account's place in the line goes to the session that has waited longest for it. */
static void promote(struct access *a, uint64_t account)
{
    struct imap_session *next = NULL;
    for (struct imap_session *o = a->by_account[account % IMAP_ACCOUNT_BUCKETS]; o; o = o->acc_next)
        if (o->account == account && o->ticket && (!next || o->ticket < next->ticket))
            next = o;
    if (!next)
        return;
    next->ticket = 0;
    defer_set_long(a->loop, &next->wake, turn, next);
}

static void turn(void *arg)
{
    struct imap_session *s = arg;
    if (s->account)
        promote(s->a, s->account);
    s->woken(s);
}

static bool account_in_line(const struct imap_session *s)
{
    const struct imap_session *o = s->account ? s->a->by_account[s->account % IMAP_ACCOUNT_BUCKETS] : NULL;
    while (o && !(o->account == s->account && o->wake.at))
        o = o->acc_next;
    return o;
}

void imap_session_wake(struct imap_session *s)
{
    if (s->ending || imap_session_waits(s))
        return;
    if (account_in_line(s))
        s->ticket = ++s->a->tickets;
    else
        defer_set_long(s->a->loop, &s->wake, turn, s);
}

static void leave_line(struct imap_session *s)
{
    bool first = s->wake.at;
    s->ticket = 0;
    defer_cancel(s->a->loop, &s->wake);
    if (first && s->account)
        promote(s->a, s->account);
}

void imap_session_destroy(struct imap_session *s)
{
    struct access *a = s->a;
    imap_session_drop_job(s);
    imap_session_unselect(s);
    leave_line(s);
    account_unlink(s);
    let_go(s);
    told_free(&s->told);
    if (s->prev)
        s->prev->next = s->next;
    else
        a->sessions = s->next;
    if (s->next)
        s->next->prev = s->prev;
    place_end(&s->place);
    timer_destroy(s->timer);
    conn_destroy(s->conn);
    imap_parser_free(&s->parser);
    free(s->primary);
    free(s);
    secmem_wipe_stack(); /* names and passwords that were looked up */
}

void imap_session_bye(struct imap_session *s, const char *text)
{
    if (s->ending)
        return;
    imap_session_printf(s, "* BYE %s\r\n", text);
    s->ending = true;
    imap_session_drop_job(s);
    conn_finish(s->conn);
}

static struct imap_session *session_at(const struct place *p)
{
    return (struct imap_session *)((char *)p - offsetof(struct imap_session, place));
}

/* What is ending by itself still holds its place until the client has taken the rest, which may be never. */
bool imap_session_may_end(const struct place *p, enum place_why why)
{
    const struct imap_session *s = session_at(p);
    bool login = s->state == IMAP_STATE_NOT_AUTH;
    if (why == PLACE_SHED)
        return login && !s->shed;
    if (s->ending)
        return false;
    if (why == PLACE_OCTETS || p->content_ms)
        return p->content_ms;
    return login && !s->job && loop_now_ms(s->a->loop) - p->came_ms >= LOGIN_STRESS_MS;
}

void imap_session_end(struct place *p, enum place_why why)
{
    static const char *const words[PLACE_WHYS] = {
        [PLACE_SHED] = "[UNAVAILABLE] Too many connections; this one did not log in",
        [PLACE_OCTETS] = "[UNAVAILABLE] Too many messages at once; this one came too slowly",
        [PLACE_SLOW] = "[UNAVAILABLE] Too slow",
    };
    struct imap_session *s = session_at(p);
    if (!s->greeted) { /* in its handshake: nothing can be said */
        imap_session_destroy(s);
        return;
    }
    if (why == PLACE_SHED) {
        s->shed = true;
        timer_set(s->timer, SHED_MS);
    }
    imap_session_bye(s, words[why]);
}

int imap_session_write(struct imap_session *s, const void *data, size_t len)
{
    if (s->ending)
        return ERR_GONE;
    int err = conn_write(s->conn, data, len);
    if (err) { /* the client reads nothing, or memory is lacking: nothing more can be said */
        s->ending = true;
        conn_finish(s->conn);
    }
    return err;
}

void imap_session_printf(struct imap_session *s, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    bug_if(n < 0 || (size_t)n >= sizeof(text));
    imap_session_write(s, text, (size_t)n);
}

struct arena *imap_session_arena(struct imap_session *s)
{
    if (!s->parser.arena)
        s->parser.arena = arena_create(IMAP_ARENA_MAX, true);
    return s->parser.arena;
}

void imap_session_unselect(struct imap_session *s)
{
    if (!s->sel)
        return;
    imap_map_drop(s->a, s->sel);
    free(s->sel);
    s->sel = NULL;
    if (s->state == IMAP_STATE_SELECTED)
        s->state = IMAP_STATE_AUTH;
}

int imap_session_authenticated(struct imap_session *s, const struct login_result *r)
{
    uint64_t account = r->user.account;
    struct imap_session **bucket = &s->a->by_account[account % IMAP_ACCOUNT_BUCKETS];
    s->primary = strdup(r->user.primary);
    if (!s->primary)
        return ERR_MEMORY;
    s->account = account;
    memcpy(s->password, r->hash, sizeof(s->password));
    s->state = IMAP_STATE_AUTH;
    s->acc_prev = NULL;
    s->acc_next = *bucket;
    if (*bucket)
        (*bucket)->acc_prev = s;
    *bucket = s;
    if (s->a->tally) {
        s->account_slot = access_account_slot(s->a, account);
        tally_add(s->a->tally, s->account_slot, 1, 0);
    }
    timer_destroy(s->timer);
    s->timer = NULL;
    s->a->logins++;
    return OK;
}

void imap_session_heard(struct imap_session *s)
{
    if (!s->hearing || !conn_heard(s->conn))
        return;
    s->hearing = false;
    told_heard(&s->told, &s->a->seen);
}

int imap_session_map(struct imap_session *s)
{
    return imap_map_load(s->a, s->account, s->sel);
}

struct buf *imap_staging(struct access *a)
{
    buf_clear(&a->staging);
    return &a->staging;
}

int imap_staging_send(struct imap_session *s)
{
    struct buf *b = &s->a->staging;
    int err = b->len ? imap_session_write(s, b->data, b->len) : OK;
    buf_clear(b);
    return err;
}
