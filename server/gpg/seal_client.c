/* The asking side of a gpg seal: feeds the plaintext through one pipe, takes packets from another, without ever
 * blocking the loop. An operation is done when the role has answered and the packets' pipe has ended, or when anything
 * fails. It waits first if there is no place for it (seal_places.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/ask.h"
#include "server/base/event.h"
#include "server/gpg/gpg_internal.h"
#include "server/gpg/seal_places.h"

enum {
    PIPE_SIZE = 256 * 1024,
    READ_SIZE = 64 * 1024,
    IOV_AT_ONCE = 64,
    READS_A_TURN = 4,
    SEAL_MS = 60000,
};

struct gpg_seal_op {
    struct seal_place place; /* first */
    struct gpg_seal_client *client;
    uint8_t request[8 + 8 * GPG_CERTS_MAX];
    size_t request_len;
    int certs_fd; /* until it is asked */
    uint64_t id;  /* of the question; 0: it is answered */
    struct idle late;
    const struct iovec *in;
    size_t iovcnt, at, off; /* next octet to write: in[at], off */
    int in_fd, out_fd;      /* -1: closed */
    struct watch *in_watch, *out_watch;
    pgp_sink *sink;
    void *sink_arg;
    void (*done)(void *arg, int status);
    void *arg;
    int status;   /* of the reply, or the first failure */
    uint64_t got; /* octets of packets */
};

struct gpg_seal_client {
    struct loop *loop;
    struct ask *ask;
    struct seal_places places;
    struct defer work; /* places have come free */
    uint64_t refused;
};

static void start_waiting(void *arg);

static void close_in(struct gpg_seal_op *op)
{
    watch_destroy(op->in_watch);
    op->in_watch = NULL;
    if (op->in_fd >= 0)
        close(op->in_fd);
    op->in_fd = -1;
}

static void close_out(struct gpg_seal_op *op)
{
    watch_destroy(op->out_watch);
    op->out_watch = NULL;
    if (op->out_fd >= 0)
        close(op->out_fd);
    op->out_fd = -1;
}

void gpg_seal_cancel(struct gpg_seal_op *op)
{
    struct gpg_seal_client *c = op->client;
    seal_places_leave(&c->places, &op->place);
    if (c->places.waiting)
        defer_set(c->loop, &c->work, start_waiting, c);
    if (op->id)
        ask_forget(c->ask, op->id);
    idle_cancel(&op->late);
    close_in(op);
    close_out(op);
    if (op->certs_fd >= 0)
        close(op->certs_fd);
    free(op);
}

static void finish(struct gpg_seal_op *op, int status)
{
    void (*done)(void *, int) = op->done;
    void *arg = op->arg;
    gpg_seal_cancel(op);
    done(arg, status);
}

static void finish_if_complete(struct gpg_seal_op *op)
{
    if (op->status != OK)
        finish(op, op->status);
    else if (!op->id && op->out_fd < 0)
        finish(op, op->got ? OK : ERR_CRYPTO);
}

static void on_writable(void *arg, unsigned events)
{
    struct gpg_seal_op *op = arg;
    while (op->at < op->iovcnt) {
        struct iovec v[IOV_AT_ONCE];
        size_t n = 0;
        for (size_t i = op->at; i < op->iovcnt && n < IOV_AT_ONCE; i++)
            v[n++] = op->in[i];
        v[0].iov_base = (uint8_t *)v[0].iov_base + op->off;
        v[0].iov_len -= op->off;
        ssize_t w = writev(op->in_fd, v, (int)n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0 && errno == EAGAIN)
            return;
        if (w < 0) /* gpg has ended: its reply says how */
            break;
        for (size_t left = (size_t)w; op->at < op->iovcnt;) {
            size_t here = op->in[op->at].iov_len - op->off;
            if (left < here) {
                op->off += left;
                break;
            }
            left -= here;
            op->off = 0;
            op->at++;
        }
    }
    close_in(op);
}

static void on_readable(void *arg, unsigned events)
{
    struct gpg_seal_op *op = arg;
    uint8_t buf[READ_SIZE];
    for (int i = 0; i < READS_A_TURN; i++) {
        ssize_t n = read(op->out_fd, buf, sizeof(buf));
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            if (n < 0)
                op->status = ERR_IO;
            close_out(op);
            finish_if_complete(op);
            return;
        }
        op->got += (uint64_t)n;
        op->status = op->sink(op->sink_arg, buf, (size_t)n);
        if (op->status != OK) {
            finish_if_complete(op);
            return;
        }
    }
}

static void on_reply(void *arg, int status, struct unpack *body)
{
    struct gpg_seal_op *op = arg;
    op->id = 0;
    op->status = status == OK && !unpack_done(body) ? ERR_FORMAT : status;
    close_in(op);
    finish_if_complete(op);
}

/* A role that hangs must not hold a sender for ever. */
static void on_late(struct idle *i)
{
    finish((struct gpg_seal_op *)((char *)i - offsetof(struct gpg_seal_op, late)), ERR_TIMEOUT);
}

struct gpg_seal_client *gpg_seal_client_create(struct loop *l)
{
    struct gpg_seal_client *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->loop = l;
    /* The operation's own time limit comes first; a role that hangs keeps the places of what it was asked. */
    c->ask = ask_create(l, &(struct ask_params){.peer = ROLE_GPG_SEAL,
                                                .reply = GPG_REPLY,
                                                .max = GPG_OPS_MAX,
                                                .answer_ms = 2 * SEAL_MS});
    if (c->ask)
        return c;
    free(c);
    return NULL;
}

void gpg_seal_client_destroy(struct gpg_seal_client *c)
{
    if (!c)
        return;
    while (c->places.first)
        gpg_seal_cancel((struct gpg_seal_op *)c->places.first);
    defer_cancel(c->loop, &c->work);
    ask_destroy(c->ask);
    free(c);
}

struct gpg_seal_counts gpg_seal_counts(const struct gpg_seal_client *c)
{
    return (struct gpg_seal_counts){c->places.waiting, c->refused};
}

void gpg_seal_client_channel(struct gpg_seal_client *c, int fd)
{
    ask_channel(c->ask, fd);
}

/* What gpg is given of one certificate, at the file's offset. */
static int put_cert(int fd, off_t at, const struct gpg_seal_cert *c, size_t *ret_len)
{
    uint8_t *copy = malloc(c->len);
    size_t len = c->len;
    int err = copy ? OK : ERR_MEMORY;
    if (err == OK && c->fpr_len)
        err = gpg_certificate_for_key(c->cert, c->len, c->fpr, c->fpr_len, copy, &len);
    else if (err == OK)
        memcpy(copy, c->cert, len);
    for (size_t done = 0; err == OK && done < len;) {
        ssize_t w = pwrite(fd, copy + done, len - done, at + (off_t)done);
        err = w > 0 ? OK : ERR_MEMORY;
        done += w > 0 ? (size_t)w : 0;
    }
    free(copy);
    if (err == OK)
        *ret_len = len;
    return err;
}

static int pack_request(struct gpg_seal_op *op, const struct gpg_seal_job *job)
{
    struct pack p;
    int err = OK;
    op->certs_fd = memfd_create("certificates", MFD_CLOEXEC);
    if (op->certs_fd < 0)
        return ERR_MEMORY;
    pack_init(&p, op->request, sizeof(op->request));
    pack_u32(&p, (uint32_t)job->ncerts);
    off_t at = 0;
    for (size_t i = 0, len = 0; err == OK && i < job->ncerts; i++) {
        err = put_cert(op->certs_fd, at, &job->certs[i], &len);
        pack_u32(&p, (uint32_t)len);
        pack_u32(&p, job->certs[i].expires);
        at += (off_t)len;
    }
    op->request_len = p.len;
    return err;
}

/* Ours are made non-blocking; the far ends stay blocking, for gpg. */
static int make_pipe(int fds[2], int ours)
{
    if (pipe2(fds, O_CLOEXEC) != 0)
        return ERR_MEMORY;
    fcntl(fds[ours], F_SETFL, fcntl(fds[ours], F_GETFL) | O_NONBLOCK);
    fcntl(fds[ours], F_SETPIPE_SZ, PIPE_SIZE); /* smaller pipes do as well */
    return OK;
}

static int check_certs(const struct gpg_seal_cert *certs, size_t n)
{
    if (!n || n > GPG_CERTS_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < n; i++)
        if (!certs[i].len || certs[i].len > PGP_CERT_MAX)
            return ERR_LIMIT;
    return OK;
}

/* Makes the pipes, keeps our ends, and asks. */
static int start(struct gpg_seal_op *op)
{
    struct gpg_seal_client *c = op->client;
    struct pack p = {.data = op->request, .len = op->request_len, .cap = sizeof(op->request)};
    int to[2] = {-1, -1}, from[2] = {-1, -1}, err;
    seal_places_take(&c->places, &op->place);
    if ((err = make_pipe(to, 1)) == OK)
        err = make_pipe(from, 0);
    op->in_fd = to[1];
    op->out_fd = from[0];
    if (err == OK) {
        op->in_watch = watch_create(c->loop, op->in_fd, LOOP_WRITE, on_writable, op);
        op->out_watch = watch_create(c->loop, op->out_fd, LOOP_READ, on_readable, op);
        if (!op->in_watch || !op->out_watch)
            err = ERR_MEMORY;
    }
    if (err == OK)
        err = ask_send(c->ask, GPG_SEAL, &p, (int[]){op->certs_fd, to[0], from[1]}, 3, 0, on_reply, op, &op->id);
    close(op->certs_fd);
    op->certs_fd = -1;
    if (to[0] >= 0)
        close(to[0]);
    if (from[1] >= 0)
        close(from[1]);
    return err;
}

static void start_waiting(void *arg)
{
    struct gpg_seal_client *c = arg;
    struct gpg_seal_op *op;
    while ((op = (struct gpg_seal_op *)seal_places_next(&c->places))) {
        int err = start(op);
        if (err != OK)
            finish(op, err);
    }
}

static int refuse(struct gpg_seal_client *c)
{
    c->refused++;
    log_event(gpg_seal_refused);
    return ERR_AGAIN;
}

int gpg_seal_start(struct gpg_seal_client *c, const struct gpg_seal_job *job, void (*done)(void *arg, int status),
                   void *arg, struct gpg_seal_op **ret_op)
{
    struct seal_place place = seal_place_of(job->account, job->peer);
    int err = check_certs(job->certs, job->ncerts);
    if (err != OK)
        return err;
    if (!seal_places_room(&c->places, &place))
        return refuse(c);
    struct gpg_seal_op *op = calloc(1, sizeof(*op));
    if (!op)
        return ERR_MEMORY;
    *op = (struct gpg_seal_op){.place = place,
                               .client = c,
                               .certs_fd = -1,
                               .in_fd = -1,
                               .out_fd = -1,
                               .in = job->in,
                               .iovcnt = job->iovcnt,
                               .sink = job->sink,
                               .sink_arg = job->sink_arg,
                               .done = done,
                               .arg = arg};
    seal_places_wait(&c->places, &op->place);
    err = pack_request(op, job);
    if (err == OK && seal_places_next(&c->places) == &op->place)
        err = start(op);
    if (err != OK) {
        gpg_seal_cancel(op);
        return err;
    }
    idle_set(c->loop, &op->late, SEAL_MS, on_late);
    *ret_op = op;
    return OK;
}
