/* See internal.h. */
#include "server/ingest/internal/internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/base/ipc.h"
#include "server/core/error.h"
#include "server/format/parcel.h"
#include "server/ingest/transaction/forward.h"
#include "server/mail/address.h"
#include "server/queue/enqueue.h"
#include "server/queue/internal.h"
#include "store/blob.h"

enum {
    WAITING_MAX = 64,           /* of one channel; each holds a descriptor */
    REPORT_LIFETIME = 86400,    /* RFC 8460 section 5.5 */
    MORE_THAN_A_MAIL = 1 << 20, /* a DSN has what it gives back, and says why */
};

struct job {
    struct job *next;
    struct internal *i;
    uint64_t id; /* of the question */
    bool queue;  /* it is for somebody elsewhere */
    int fd;
    uint8_t delivery[RECORD_HASH_SIZE];
    char from[ADDRESS_MAX], to[ADDRESS_MAX], primary[ADDRESS_MAX];
    uint64_t account;
};

/* One channel. */
struct internal {
    struct internal *next, **at;
    struct ingest *in;
    struct ipc *channel;
    struct job *first, **end; /* that wait; the first is under way while `busy` */
    size_t waiting;
    bool busy;
    struct parcel mail; /* of the first */
    struct iovec piece;
    struct deposit *deposit;
    struct enqueue *enqueue;
    struct defer turn;
    struct idle stall;
};

static void job_free(struct job *j)
{
    if (j->fd >= 0)
        close(j->fd);
    explicit_bzero(j, sizeof(*j));
    free(j);
}

static void reply(struct internal *i, uint64_t id, int status)
{
    uint8_t out[64];
    struct pack p;

    pack_init(&p, out, sizeof(out));
    pack_u32(&p, (uint32_t)-status);
    pack_str(&p, "");
    (void)ipc_send(i->channel, INTERNAL_REPLY, id, p.data, p.len, NULL, 0);
}

static void take_turn(void *arg);

/* The first has its answer; the others have their turn. */
static void finish(struct internal *i, int status)
{
    struct job *j = i->first;

    idle_cancel(&i->stall);
    parcel_close(&i->mail);
    i->mail = (struct parcel){0};
    i->deposit = NULL;
    i->enqueue = NULL;
    i->busy = false;
    i->first = j->next;
    if (!i->first)
        i->end = &i->first;
    i->waiting--;
    reply(i, j->id, status);
    job_free(j);
    if (i->first)
        defer_set(i->in->loop, &i->turn, take_turn, i);
}

/* ---- a delivery ---- */

static void sealed(void *arg, const struct seal_result *r)
{
    struct internal *i = arg;

    count(i->in, COUNT_SEALED);
    idle_touch(i->in->loop, &i->stall);
    parcel_close(&i->mail);
    i->mail = (struct parcel){0};
}

static void deposited(void *arg, int status, const struct deposit_result *r)
{
    struct internal *i = arg;

    if (status == OK)
        count(i->in, COUNT_INTERNAL);
    finish(i, status);
}

/* The same delivery tried again makes no double: its id is the asker's. */
static void stalled(struct idle *idle)
{
    struct internal *i = (struct internal *)((char *)idle - offsetof(struct internal, stall));

    if (i->deposit)
        deposit_cancel(i->deposit);
    if (i->enqueue)
        enqueue_cancel(i->enqueue);
    finish(i, ERR_TIMEOUT);
}

static int look_up(void *arg, struct view *v)
{
    struct job *j = arg;
    struct schema_address to;
    struct schema_account a;
    int err = view_route(v, j->to, strlen(j->to), &to);

    if (err == OK)
        err = sealer_can_seal(j->i->in->depositor.sealer, to.account);
    if (err == OK)
        err = view_account(v, to.account, &a);
    if (err != OK)
        return err;
    j->account = to.account;
    memcpy(j->primary, a.address, sizeof(j->primary));
    explicit_bzero(&a, sizeof(a));
    return OK;
}

/* ---- a bounce of forwarded mail ---- */

static void sent_on(void *arg, int status, uint64_t id, enum sending_verdict verdict)
{
    struct internal *i = arg;

    if (status == OK)
        count(i->in, COUNT_BOUNCES);
    finish(i, status);
}

/* It goes on to whom we had written for. */
static int send_on(struct internal *i, const struct job *j, uint64_t now)
{
    static const struct enqueue_hooks hooks = {.done = sent_on};
    struct bounce b;
    uint64_t id;
    int err;

    memcpy(&id, j->delivery, sizeof(id));
    transaction_bounce_describe(i->in, id % (BLOB_ID_MAX - 1) + 1, j->to, &i->piece, 1, now, &b);
    idle_set(i->in->loop, &i->stall, i->in->stall_ms, stalled);
    err = enqueue_start(i->in->enqueuer, &b.request, &hooks, i, &i->enqueue);
    explicit_bzero(&b, sizeof(b));
    return err;
}

static int deliver(struct internal *i, struct job *j)
{
    static const struct deposit_hooks hooks = {.sealed = sealed, .done = deposited};
    const uint64_t now = (uint64_t)time(NULL);
    struct ingest *in = i->in;
    char sender[ADDRESS_MAX];
    int err = j->from[0] ? ERR_NOT_FOUND : transaction_bounce_open(in, j->to, sender);
    const bool bounce = err == OK;

    if (bounce)
        memcpy(j->to, sender, sizeof(j->to));
    if (bounce || err == ERR_NOT_FOUND)
        err = view_run(in->view, look_up, j);
    if (bounce && (err == ERR_DENIED || err == ERR_FORMAT))
        return send_on(i, j, now);
    if (err != OK)
        return err == ERR_FORMAT ? ERR_NOT_FOUND : err;
    sealer_keep_seen(in->depositor.sealer);
    struct deposit_request q = {
        .seal = {.account = j->account,
                 .primary = j->primary,
                 .mail = &i->piece,
                 .mail_n = 1,
                 .mail_len = i->mail.map_len,
                 .return_path = j->from,
                 .received = "",
                 .auth_results = "",
                 .tls = "",
                 .now = now,
                 .date = (int64_t)now},
        .store = {.type = VAULT_DELIVER, .mailbox = MAILBOX_INBOX, .deliver.internaldate = now},
    };
    memcpy(q.store.deliver.delivery, j->delivery, sizeof(j->delivery));
    idle_set(in->loop, &i->stall, in->stall_ms, stalled);
    return deposit_start(&in->depositor, &q, &hooks, i, &i->deposit);
}

/* ---- into the queue ---- */

static void queued(void *arg, int status, uint64_t id, enum sending_verdict verdict)
{
    struct internal *i = arg;

    if (status == OK && verdict == SENDING_TAKEN)
        count(i->in, COUNT_QUEUED);
    finish(i, status);
}

static void queue_sealed(void *arg)
{
    struct internal *i = arg;

    idle_touch(i->in->loop, &i->stall);
}

/* ERR_DENIED: elsewhere. ERR_NOT_FOUND also: it bounced for good lately. */
static int find_whom(void *arg, struct view *v)
{
    struct job *j = arg;
    struct schema_address to;
    struct suppressed s;
    char address[ADDRESS_MAX];
    int err = view_route(v, j->to, strlen(j->to), &to);

    if (err != ERR_DENIED || suppression_spell(j->to, address) != OK)
        return err;
    err = view_suppressed(v, address, &s);
    if (err == OK)
        return s.until > (uint64_t)time(NULL) ? ERR_NOT_FOUND : ERR_DENIED;
    return err == ERR_NOT_FOUND ? ERR_DENIED : err;
}

/* A domain that is ours takes it as it takes what is held for people here. */
static int describe(struct internal *i, struct job *j, struct enqueue_request *q, struct queue_recipient *to)
{
    const uint64_t now = (uint64_t)time(NULL);
    const char *at = strrchr(j->to, '@');
    char domain[DOMAIN_CAP];
    int err = at ? address_domain_normalize(at + 1, strlen(at + 1), domain) : ERR_FORMAT;

    if (err == OK)
        err = view_run(i->in->view, find_whom, j);
    if (err != OK && err != ERR_DENIED)
        return err;
    *to = (struct queue_recipient){.state = QUEUE_QUEUED, .local = err == OK, .notify = SMTP_NOTIFY_NEVER};
    memcpy(to->to, j->to, sizeof(to->to));
    *q = (struct enqueue_request){.envelope = {.queued_at = now,
                                               .expires = now + REPORT_LIFETIME,
                                               .tls = QUEUE_TLS_OPTIONAL},
                                  .recipients = to,
                                  .n = 1,
                                  .mail = &i->piece,
                                  .mail_n = 1};
    memcpy(&q->envelope.id, j->delivery, sizeof(q->envelope.id));
    q->envelope.id = q->envelope.id % (BLOB_ID_MAX - 1) + 1;
    memcpy(q->envelope.from, j->from, sizeof(q->envelope.from));
    return OK;
}

static int enqueue(struct internal *i, struct job *j)
{
    static const struct enqueue_hooks hooks = {.sealed = queue_sealed, .done = queued};
    struct queue_recipient to;
    struct enqueue_request q;
    int err = i->in->enqueuer ? describe(i, j, &q, &to) : ERR_UNSUPPORTED;

    if (err != OK)
        return err;
    idle_set(i->in->loop, &i->stall, i->in->stall_ms, stalled);
    return enqueue_start(i->in->enqueuer, &q, &hooks, i, &i->enqueue);
}

/* ---- turns ---- */

static int start(struct internal *i, struct job *j)
{
    int err = parcel_open_plain(j->fd, i->in->config.message_max + MORE_THAN_A_MAIL, &i->mail);

    if (err != OK)
        return err;
    i->piece = (struct iovec){(void *)(uintptr_t)i->mail.map, i->mail.map_len};
    return j->queue ? enqueue(i, j) : deliver(i, j);
}

static void take_turn(void *arg)
{
    struct internal *i = arg;
    int err;

    if (i->busy || !i->first)
        return;
    i->busy = true;
    err = start(i, i->first);
    if (err != OK)
        finish(i, err);
}

/* ---- the channel ---- */

static int on_message(void *arg, struct ipc_msg *m)
{
    struct internal *i = arg;
    struct internal_deliver d;
    struct unpack u;
    struct job *j;

    unpack_init(&u, m->payload.data, m->payload.len);
    if ((m->type != INTERNAL_DELIVER && m->type != INTERNAL_QUEUE) || m->nfds != 1 ||
        internal_deliver_unpack(&u, &d) != OK)
        return ERR_FORMAT;
    if (i->waiting == WAITING_MAX || !(j = calloc(1, sizeof(*j)))) {
        reply(i, m->id, i->waiting == WAITING_MAX ? ERR_FULL : ERR_MEMORY);
        return OK;
    }
    j->i = i;
    j->id = m->id;
    j->queue = m->type == INTERNAL_QUEUE;
    j->fd = m->fds[0];
    m->fds[0] = -1;
    memcpy(j->delivery, d.delivery, sizeof(j->delivery));
    memcpy(j->from, d.from.data, d.from.len);
    memcpy(j->to, d.to.data, d.to.len);
    *i->end = j;
    i->end = &j->next;
    i->waiting++;
    if (!i->busy)
        defer_set(i->in->loop, &i->turn, take_turn, i);
    return OK;
}

static void destroy(struct internal *i)
{
    defer_cancel(i->in->loop, &i->turn);
    idle_cancel(&i->stall);
    if (i->deposit)
        deposit_cancel(i->deposit);
    if (i->enqueue)
        enqueue_cancel(i->enqueue);
    parcel_close(&i->mail);
    while (i->first) {
        struct job *j = i->first;
        i->first = j->next;
        job_free(j);
    }
    ipc_destroy(i->channel);
    *i->at = i->next;
    if (i->next)
        i->next->at = i->at;
    free(i);
}

static void on_close(void *arg)
{
    destroy(arg);
}

void internal_open(struct ingest *in, int fd)
{
    static const struct ipc_ops ops = {.on_message = on_message, .on_close = on_close};
    struct internal *i = calloc(1, sizeof(*i));

    if (!i) {
        close(fd);
        return;
    }
    *i = (struct internal){.in = in, .next = in->internals, .at = &in->internals};
    i->end = &i->first;
    i->channel = ipc_create(in->loop, fd, &ops, i);
    if (!i->channel) {
        free(i);
        return;
    }
    if (i->next)
        i->next->at = &i->next;
    in->internals = i;
}

void internal_close_all(struct ingest *in)
{
    while (in->internals)
        destroy(in->internals);
}
