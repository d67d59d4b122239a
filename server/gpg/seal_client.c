/* The asking side of a gpg seal: feeds the plaintext through one pipe, takes packets from another, without ever
 * blocking the loop. An operation is done when the role has answered and the packets' pipe has ended, or when anything
 * fails. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/ask.h"
#include "server/gpg/gpg_internal.h"

enum {
    PIPE_SIZE = 256 * 1024,
    READ_SIZE = 64 * 1024,
    IOV_AT_ONCE = 64,
    READS_A_TURN = 4,
    SEAL_MS = 60000,
};

struct gpg_seal_op {
    struct gpg_seal_op *next;
    struct gpg_seal_client *client;
    uint64_t id; /* of the question; 0: it is answered */
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
    struct gpg_seal_op *ops;
};

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
    for (struct gpg_seal_op **at = &c->ops; *at; at = &(*at)->next)
        if (*at == op) {
            *at = op->next;
            break;
        }
    if (op->id)
        ask_forget(c->ask, op->id);
    idle_cancel(&op->late);
    close_in(op);
    close_out(op);
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
    while (c->ops)
        gpg_seal_cancel(c->ops);
    ask_destroy(c->ask);
    free(c);
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

static int pack_request(const struct gpg_seal_cert *certs, size_t n, struct pack *p, int *ret_fd)
{
    int err = OK, fd = memfd_create("certificates", MFD_CLOEXEC);
    if (fd < 0)
        return ERR_MEMORY;
    pack_u32(p, (uint32_t)n);
    off_t at = 0;
    for (size_t i = 0, len = 0; err == OK && i < n; i++) {
        err = put_cert(fd, at, &certs[i], &len);
        pack_u32(p, (uint32_t)len);
        pack_u32(p, certs[i].expires);
        at += (off_t)len;
    }
    if (err != OK) {
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return OK;
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
static int start(struct gpg_seal_op *op, const struct gpg_seal_cert *certs, size_t ncerts)
{
    struct gpg_seal_client *c = op->client;
    uint8_t request[8 + 8 * GPG_CERTS_MAX];
    struct pack p;
    int to[2] = {-1, -1}, from[2] = {-1, -1}, memfd = -1;
    pack_init(&p, request, sizeof(request));
    int err = pack_request(certs, ncerts, &p, &memfd);
    if (err == OK && (err = make_pipe(to, 1)) == OK)
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
        err = ask_send(c->ask, GPG_SEAL, &p, (int[]){memfd, to[0], from[1]}, 3, 0, on_reply, op, &op->id);
    if (memfd >= 0)
        close(memfd);
    if (to[0] >= 0)
        close(to[0]);
    if (from[1] >= 0)
        close(from[1]);
    return err;
}

int gpg_seal_start(struct gpg_seal_client *c, const struct gpg_seal_cert *certs, size_t ncerts, const struct iovec *in,
                   size_t iovcnt, pgp_sink *sink, void *sink_arg, void (*done)(void *arg, int status), void *arg,
                   struct gpg_seal_op **ret_op)
{
    int err = check_certs(certs, ncerts);
    if (err != OK)
        return err;
    struct gpg_seal_op *op = calloc(1, sizeof(*op));
    if (!op)
        return ERR_MEMORY;
    *op = (struct gpg_seal_op){.client = c,
                               .in = in,
                               .iovcnt = iovcnt,
                               .sink = sink,
                               .sink_arg = sink_arg,
                               .done = done,
                               .arg = arg,
                               .next = c->ops};
    c->ops = op;
    if ((err = start(op, certs, ncerts)) != OK) {
        gpg_seal_cancel(op);
        return err;
    }
    idle_set(c->loop, &op->late, SEAL_MS, on_late);
    *ret_op = op;
    return OK;
}
