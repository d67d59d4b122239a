/* A client's connection as a small state machine: plain, handshake, TLS, linger, over. Callbacks run only from the
 * loop; a callback may destroy the connection, so each is followed by a look at c->dead.
 * Reading goes through one static buffer, so a quiet connection holds no memory but its own struct and libssl's. */
#include "server/base/conn_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/conn_io.h"
#include "server/base/event.h"
#include "server/base/tls_impl.h"

enum {
    SCRATCH = 64 * 1024,
    TLS_LITTLE = 8 * 1024,
    HANDSHAKE_MS = 30 * 1000, /* in all, however the bytes trickle in */
    FINISH_MS = 30 * 1000,    /* of no progress with the last output, unless the owner said less */
    /* For the end of a peer that is still sending: closing at once would reset, and our last reply could be lost with
     * it (RFC 9112 9.6 describes the same for HTTP). */
    LINGER_MS = 1000,
    LINGER_BYTES = 4 * 1024 * 1024,
};

static uint8_t scratch[SCRATCH];
static uint64_t faults[TLS_FAULTS_N];

static void conn_work(void *arg);

/* ---- callbacks ---- */

static void enter(struct conn *c)
{
    c->busy++;
}

static void leave(struct conn *c)
{
    if (--c->busy == 0 && c->dead)
        free(c);
}

static void call(struct conn *c, void (*fn)(void *arg))
{
    if (fn && !c->dead && c->state != OVER)
        fn(c->arg);
}

static void end(struct conn *c, enum conn_end why)
{
    if (c->dead || c->state == OVER)
        return;
    c->state = OVER;
    idle_cancel(&c->idle);
    defer_cancel(c->loop, &c->work);
    watch_set(c->watch, 0);
    c->ops->on_end(c->arg, why);
}

/* ---- what to wait for ---- */

static bool may_read(const struct conn *c)
{
    return !c->paused && !c->eof && !c->finishing && !c->starting && c->in.len < c->in.max;
}

static void watch_update(struct conn *c)
{
    unsigned events = 0;
    if (c->dead || c->state == OVER)
        return;
    if (c->state == LINGER) {
        events = LOOP_READ;
    } else if (c->state == CONNECTING) {
        events = LOOP_WRITE;
    } else if (c->state == HANDSHAKE) {
        events = c->handshake_writes ? LOOP_WRITE : LOOP_READ;
    } else {
        if (may_read(c))
            events |= c->read_wants_write ? LOOP_WRITE : LOOP_READ;
        if (c->blocked)
            events |= c->write_wants_read ? LOOP_READ : LOOP_WRITE;
    }
    watch_set(c->watch, events);
}

static void say_end(struct conn *c)
{
    if (c->ssl) {
        ERR_clear_error();
        SSL_shutdown(c->ssl); /* close_notify, as far as the socket takes it */
        ERR_clear_error();
    }
    shutdown(c->fd, SHUT_WR);
    c->held = false;
}

static void tls_failed(struct conn *c, enum tls_fault fault, enum conn_end why)
{
    c->fault = (uint8_t)fault;
    if (c->ctx) {
        faults[fault]++;
        log_event(tls_failed, (uint64_t)fault);
    } else { /* who called it does not go by how it failed */
        c->client_fault = (uint8_t)tls_client_fault_of(c->ssl);
        why = CONN_TLS_FAILED;
    }
    end(c, why);
}

static void linger_end(struct conn *c)
{
    if (c->held)
        say_end(c);
    end(c, CONN_DONE);
}

static void idle_fire(struct idle *i)
{
    struct conn *c = (struct conn *)((char *)i - offsetof(struct conn, idle));

    enter(c);
    if (c->state == LINGER)
        linger_end(c);
    else if (c->state == HANDSHAKE)
        tls_failed(c, TLS_FAULT_TIMEOUT, CONN_TIMEOUT);
    else
        end(c, CONN_TIMEOUT);
    leave(c);
}

static void touch(struct conn *c)
{
    idle_touch(c->loop, &c->idle);
}

/* After an attempt on the socket, before anything else that sets errno. */
static void note_error(struct conn *c, enum io io)
{
    if (io == IO_ERROR)
        c->sys_errno = errno;
}

/* ---- connecting ---- */

static void connected(struct conn *c)
{
    socklen_t len = sizeof(c->sys_errno);

    if (c->sys_errno == 0 && getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &c->sys_errno, &len) != 0)
        c->sys_errno = errno;
    if (c->sys_errno != 0) {
        end(c, CONN_ERROR);
        return;
    }
    c->state = PLAIN;
    touch(c);
    call(c, c->ops->on_drain);
    if (!c->dead && c->state != OVER)
        defer_set(c->loop, &c->work, conn_work, c);
}

/* ---- reading ---- */

static void offer(struct conn *c)
{
    c->offer = false;
    if (c->in.len && !c->finishing)
        call(c, c->ops->on_data);
}

/* The peer has ended: say so once the owner has had the rest of the input and the peer the rest of the output. Its
 * close_notify is answered with ours (RFC 5246 section 7.2.1; clients wait for it). */
static void end_if_eof(struct conn *c)
{
    if (!c->eof || c->paused || c->finishing || c->offer || c->out.len)
        return;
    say_end(c);
    end(c, CONN_EOF);
}

static void read_ready(struct conn *c)
{
    size_t room = c->in.max - c->in.len, got = 0, n;
    enum io io = IO_DONE;

    if (!may_read(c))
        return;
    if (room > SCRATCH)
        room = SCRATCH;
    c->read_wants_write = false;
    /* A plain socket gives all it has at once, libssl a record at a time. After little, nothing more is expected. */
    while (got < room && (io = conn_io_read(c->ssl, c->fd, scratch + got, room - got, &n)) == IO_DONE) {
        got += n;
        if (!c->ssl || (got < TLS_LITTLE && !SSL_has_pending(c->ssl)))
            break;
    }
    note_error(c, io);
    c->more = c->ssl && io == IO_DONE && SSL_has_pending(c->ssl);
    if (got) {
        int err = buf_append(&c->in, scratch, got);

        if (c->in.wipe)
            explicit_bzero(scratch, got);
        touch(c);
        if (err != OK) {
            end(c, CONN_ERROR);
            return;
        }
    }
    c->read_wants_write = io == IO_WANT_WRITE;
    c->eof = c->eof || io == IO_EOF;
    if (got || io == IO_EOF)
        heard_look(&c->heard, c->fd);
    if (got)
        offer(c);
    if (c->dead || c->state == OVER)
        return;
    if (io == IO_ERROR || io == IO_TLS_ERROR)
        end(c, CONN_ERROR);
    else if (c->in.len == 0)
        buf_free(&c->in);
}

/* ---- the handshake ---- */

static void handshake(struct conn *c)
{
    enum tls_fault fault;
    enum io io;
    int err;

    /* libssl's memory is taken when the first byte is there, not for a peer that only connects. */
    if (!c->ssl)
        c->ssl = tls_server(c->ctx, c->fd);
    if (!c->ssl) {
        end(c, CONN_ERROR);
        return;
    }
    ERR_clear_error();
    errno = 0;
    err = SSL_do_handshake(c->ssl);
    io = err == 1 ? IO_DONE : conn_io_of_ssl(c->ssl, err);
    fault = io == IO_EOF || io == IO_ERROR ? TLS_FAULT_ENDED : tls_fault_of_last();
    ERR_clear_error();
    c->handshake_writes = io == IO_WANT_WRITE;
    switch (io) {
    case IO_DONE:
        c->state = TLS;
        c->more = SSL_has_pending(c->ssl); /* what came along with the last flight */
        idle_set(c->loop, &c->idle, c->finishing && c->timeout_ms == 0 ? FINISH_MS : c->timeout_ms, idle_fire);
        call(c, c->ops->on_tls);
        if (!c->dead && c->state != OVER)
            defer_set(c->loop, &c->work, conn_work, c);
        break;
    case IO_WANT_READ:
    case IO_WANT_WRITE: break;
    case IO_EOF: tls_failed(c, fault, CONN_EOF); break;
    default: tls_failed(c, fault, CONN_TLS_FAILED);
    }
}

static void handshake_begin(struct conn *c)
{
    bool client = !c->ctx, hurry = client && c->timeout_ms && c->timeout_ms < HANDSHAKE_MS;

    c->starting = false;
    c->state = HANDSHAKE;
    c->handshake_writes = client; /* it speaks first */
    idle_set(c->loop, &c->idle, hurry ? c->timeout_ms : HANDSHAKE_MS, idle_fire);
}

/* ---- writing ---- */

static void linger(struct conn *c)
{
    size_t n = 0;
    ssize_t got;
    enum io io;

    /* What still arrives is not looked at, encrypted or not. */
    do {
        got = recv(c->fd, scratch, sizeof(scratch), 0);
        io = got > 0 ? IO_DONE : got < 0 && (errno == EAGAIN || errno == EINTR) ? IO_WANT_READ : IO_EOF;
        if (got > 0)
            n += (size_t)got;
    } while (io == IO_DONE && n < SCRATCH);
    if (c->in.wipe && n)
        explicit_bzero(scratch, sizeof(scratch));
    if (c->state == LINGER)
        c->lingered += (uint32_t)n;
    if (n || got == 0)
        heard_look(&c->heard, c->fd);
    /* A peer that is silent now waits for our end: it need not be waited for. */
    if (io == IO_EOF || c->lingered > LINGER_BYTES || (c->held && c->heard.state != HEARD_OPEN) ||
        (c->state != LINGER && n == 0 && c->in.len == 0 && c->heard.state != HEARD_OPEN)) {
        linger_end(c);
    } else if (c->state != LINGER) {
        c->state = LINGER;
        idle_set(c->loop, &c->idle, LINGER_MS, idle_fire);
    }
}

static void finish(struct conn *c)
{
    c->held = c->state == TLS && c->heard.state == HEARD_OPEN;
    if (!c->held)
        say_end(c);
    linger(c);
}

static void drained(struct conn *c, size_t before)
{
    if (c->out.len == 0)
        buf_free(&c->out);
    if (before > c->out_low && c->out.len <= c->out_low)
        call(c, c->ops->on_drain);
}

static void ask_written(struct conn *c, size_t n)
{
    if (c->heard_left == 0)
        return;
    c->heard_left -= n < c->heard_left ? n : c->heard_left;
    if (c->heard_left == 0)
        heard_after(&c->heard, c->fd);
}

static void flush(struct conn *c)
{
    size_t before = c->out.len, n;
    enum io io = IO_DONE;

    c->blocked = c->write_wants_read = false;
    while (c->out.len && (!c->starting || c->plain_left)) {
        if (c->heard_left)
            heard_before(&c->heard, c->fd);
        io = conn_io_write(c->starting ? NULL : c->ssl, c->fd, c->out.data, c->starting ? c->plain_left : c->out.len,
                           &n);
        if (io != IO_DONE)
            break;
        buf_consume(&c->out, n);
        if (c->starting)
            c->plain_left -= n;
        ask_written(c, n);
        touch(c);
    }
    c->blocked = io == IO_WANT_READ || io == IO_WANT_WRITE;
    c->write_wants_read = io == IO_WANT_READ;
    if (!c->blocked && io != IO_DONE) {
        note_error(c, io);
        end(c, io == IO_EOF ? CONN_EOF : CONN_ERROR);
        return;
    }
    if (before)
        drained(c, before);
    if (c->dead || c->state == OVER)
        return;
    if (c->starting && c->plain_left == 0)
        handshake_begin(c);
    else if (c->finishing && c->out.len == 0)
        finish(c);
}

/* ---- the loop's calls ---- */

/* After anything happened: may it go on by itself? */
static void settle(struct conn *c)
{
    if (!c->dead && c->state != OVER)
        end_if_eof(c);
    /* What libssl has read already does not make the socket readable again. */
    if (!c->dead && c->state == TLS && c->more && may_read(c))
        defer_set(c->loop, &c->work, conn_work, c);
    watch_update(c);
}

static void conn_ready(void *arg, unsigned events)
{
    struct conn *c = arg;

    enter(c);
    if (c->state == CONNECTING) {
        connected(c);
    } else if (c->state == HANDSHAKE) {
        handshake(c);
    } else if (c->state == LINGER) {
        linger(c);
    } else {
        if (c->blocked && events & (c->write_wants_read ? LOOP_READ : LOOP_WRITE))
            flush(c);
        if (!c->dead && c->state <= TLS && c->state != HANDSHAKE &&
            events & (c->read_wants_write ? LOOP_WRITE : LOOP_READ))
            read_ready(c);
    }
    settle(c);
    leave(c);
}

static void conn_work(void *arg)
{
    struct conn *c = arg;

    enter(c);
    if (c->state == CONNECTING && c->sys_errno) /* connect(2) has failed at once */
        connected(c);
    if (c->offer && !c->paused && c->state != HANDSHAKE && !c->starting)
        offer(c);
    if (!c->dead && c->state == TLS && c->more)
        read_ready(c);
    if (!c->dead && (c->state == PLAIN || c->state == TLS) && !c->blocked &&
        (c->out.len || c->starting || c->finishing))
        flush(c);
    settle(c);
    leave(c);
}

/* ---- the owner's calls ---- */

void conn_work_later(struct conn *c)
{
    if (!c->dead && c->state != OVER)
        defer_set(c->loop, &c->work, conn_work, c);
}

struct conn *conn_new(struct loop *l, int fd, unsigned events, const struct conn_params *p, const struct conn_ops *ops,
                      void *arg)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (!c || !(c->watch = watch_create(l, fd, events, conn_ready, c))) {
        free(c);
        return NULL;
    }
    c->loop = l;
    c->fd = fd;
    c->ops = ops;
    c->arg = arg;
    c->out_low = p->out_low;
    buf_init(&c->in, p->in_max, p->wipe);
    buf_init(&c->out, p->out_max, p->wipe);
    return c;
}

struct conn *conn_create(struct loop *l, int fd, const struct conn_params *p, const struct conn_ops *ops, void *arg)
{
    struct conn *c = conn_new(l, fd, LOOP_READ, p, ops, arg);
    socklen_t len = sizeof(c->peer);
    int flags;

    if (!c) {
        close(fd);
        return NULL;
    }
    flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && !(flags & O_NONBLOCK))
        (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    if (getpeername(fd, (struct sockaddr *)&c->peer, &len) != 0)
        memset(&c->peer, 0, sizeof(c->peer));
    if (c->peer.ss_family == AF_INET || c->peer.ss_family == AF_INET6)
        conn_io_set_tcp(fd);
    return c;
}

int conn_errno(const struct conn *c)
{
    return c->sys_errno;
}

void conn_destroy(struct conn *c)
{
    if (!c || c->dead)
        return;
    c->dead = true;
    idle_cancel(&c->idle);
    defer_cancel(c->loop, &c->work);
    watch_destroy(c->watch);
    if (c->ssl)
        SSL_free(c->ssl);
    tls_ctx_unref(c->ctx);
    close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    if (!c->busy)
        free(c);
}

struct buf *conn_in(struct conn *c)
{
    /* The owner is about to make room: reading may go on. */
    if (c->in.len == c->in.max)
        conn_work_later(c);
    return &c->in;
}

int conn_write(struct conn *c, const void *data, size_t len)
{
    int err;

    if (c->state == OVER)
        return ERR_GONE;
    if (c->finishing)
        return ERR_CONFLICT;
    err = buf_append(&c->out, data, len);
    if (err == OK && !c->blocked)
        conn_work_later(c);
    return err;
}

size_t conn_out_len(const struct conn *c)
{
    return c->out.len;
}

void conn_finish(struct conn *c)
{
    if (c->finishing || c->state == OVER)
        return;
    c->finishing = true;
    if ((c->timeout_ms == 0 || c->timeout_ms > FINISH_MS) && c->state != HANDSHAKE)
        idle_set(c->loop, &c->idle, FINISH_MS, idle_fire);
    conn_work_later(c);
}

void conn_ask_heard(struct conn *c)
{
    c->heard.state = HEARD_UNASKED;
    c->heard_left = c->out.len;
}

bool conn_heard(const struct conn *c)
{
    return c->heard.state == HEARD_YES;
}

bool conn_spoke_early(struct conn *c)
{
    uint8_t octet;

    if (c->in.len == 0)
        return recv(c->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
    return c->out.len || heard_crossed(c->fd);
}

void conn_pause(struct conn *c, bool paused)
{
    if (c->paused == paused)
        return;
    c->paused = paused;
    if (!paused && c->in.len)
        c->offer = true;
    conn_work_later(c);
}

bool conn_lost(const struct conn *c, uint64_t octets)
{
    return conn_io_lost(c->ssl, c->fd, octets > c->in.len ? octets - c->in.len : 0);
}

void conn_set_timeout(struct conn *c, uint64_t ms)
{
    c->timeout_ms = ms;
    if (c->state == PLAIN || c->state == TLS || c->state == CONNECTING)
        idle_set(c->loop, &c->idle, ms, idle_fire);
}

uint64_t conn_tls_faults(enum tls_fault kind)
{
    return faults[kind];
}

const struct sockaddr_storage *conn_peer(const struct conn *c)
{
    return &c->peer;
}

void conn_set_peer(struct conn *c, const struct sockaddr_storage *ss)
{
    c->peer = *ss;
}
