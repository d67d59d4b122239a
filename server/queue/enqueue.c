#include "server/queue/enqueue.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/pgp_open.h"
#include "server/core/error.h"
#include "server/format/parcel.h"

struct enqueuer {
    struct view *view;
    struct vault_client *vault;
    struct pgp_recipient *to;
};

struct enqueue {
    struct enqueuer *by;
    struct enqueue_hooks hooks;
    void *arg;
    uint64_t id, asked;
};

struct enqueuer *enqueuer_create(struct loop *l, struct view *v, struct vault_client *vault, struct slice public_key)
{
    struct enqueuer *e = calloc(1, sizeof(*e));
    (void)l;
    if (e == NULL)
        return NULL;
    e->view = v;
    e->vault = vault;
    if (queue_key_recipient(public_key, &e->to) != OK) {
        free(e);
        return NULL;
    }
    return e;
}

void enqueuer_destroy(struct enqueuer *e)
{
    if (e == NULL)
        return;
    pgp_recipient_destroy(e->to);
    free(e);
}

bool enqueue_fits(const struct queue_recipient *recipients, uint32_t n)
{
    size_t sum = QUEUE_ENVELOPE_MAX;
    if (n > VAULT_QUEUE_ROWS_MAX)
        return false;
    for (uint32_t i = 0; i < n && sum <= QUEUE_ADD_MAX; i++)
        sum += 16 + queue_recipient_size(&recipients[i]);
    return sum <= QUEUE_ADD_MAX;
}

static int sink_packets(void *parcel, const uint8_t *data, size_t len)
{
    return parcel_put_packets(parcel, data, len);
}

static int seal(const struct enqueuer *e, const struct enqueue_request *q, int *ret_fd)
{
    struct parcel_writer *w;
    int err = parcel_create(&w);
    if (err != OK)
        return err;
    err = pgp_seal(&e->to, 1, q->mail, q->mail_n, sink_packets, w, NULL);
    if (err == OK)
        return parcel_seal(w, ret_fd);
    parcel_destroy(w);
    return err;
}

/* The sealed records, one behind the other in room; rows point there. Recipients are numbered from 1 on. */
static int seal_records(const struct enqueuer *e, const struct enqueue_request *q, uint64_t id, uint8_t *room,
                        struct vault_queue_row *rows, struct slice *ret_envelope)
{
    const struct record_keys *k = view_keys(e->view);
    struct queue_envelope envelope = q->envelope;
    size_t len, at;
    envelope.id = id;
    envelope.size = 0;
    for (size_t i = 0; i < q->mail_n; i++)
        envelope.size += q->mail[i].iov_len;
    int err = queue_seal_envelope(k, &envelope, room, &len);
    *ret_envelope = slice_of(room, len);
    at = len;
    for (uint32_t i = 0; err == OK && i < q->n; i++) {
        struct queue_recipient r = q->recipients[i];
        r.n = i + 1;
        err = queue_seal_recipient(k, id, &r, room + at, &len);
        rows[i] = (struct vault_queue_row){.n = r.n, .len = (uint32_t)len, .record = room + at};
        at += len;
    }
    return err;
}

/* Those elsewhere, to whom it counts as sent. A spelling that is no account's could be somebody's all the same. */
static void name_whom(const struct enqueuer *e, const struct enqueue_request *q, struct vault_queue_row *rows)
{
    static uint8_t whom[VAULT_QUEUE_ROWS_MAX][SENDING_WHOM];
    char address[ADDRESS_MAX];
    size_t at, plus;
    for (uint32_t i = 0; i < q->n; i++) {
        const char *to = q->recipients[i].to;
        memset(whom[i], 0, SENDING_WHOM);
        if (address_normalize(to, strlen(to), address, &at, &plus) == OK)
            to = address;
        if (!q->recipients[i].local && q->charged != 0)
            sending_whom(view_keys(e->view), q->charged, to, whom[i]);
        rows[i].whom = whom[i];
    }
}

static void on_reply(void *arg, int status, struct unpack *body)
{
    struct enqueue *q = arg;
    struct vault_reply r = {.queued.verdict = SENDING_TAKEN};
    if (status == OK)
        status = vault_reply_unpack(VAULT_QUEUE_ADD, body, &r);
    q->hooks.done(q->arg, status, q->id, (enum sending_verdict)r.queued.verdict);
    free(q);
}

static int request(struct enqueue *q, const struct enqueue_request *asked, int parcel)
{
    static uint8_t room[QUEUE_ADD_MAX + QUEUE_RECIPIENT_MAX];
    static struct vault_queue_row rows[VAULT_QUEUE_ROWS_MAX];
    struct vault_request v = {.type = VAULT_QUEUE_ADD,
                              .queue_add = {.id = q->id,
                                            .account = asked->charged,
                                            .counts = asked->counts,
                                            .forwarded = asked->forwarded,
                                            .n = asked->n,
                                            .v = rows}};
    int err = seal_records(q->by, asked, q->id, room, rows, &v.queue_add.envelope);
    if (err == OK)
        name_whom(q->by, asked, rows);
    return err == OK ? vault_client_request(q->by->vault, &v, parcel, on_reply, q, &q->asked) : err;
}

int enqueue_start(struct enqueuer *e, const struct enqueue_request *q, const struct enqueue_hooks *hooks, void *arg,
                  struct enqueue **ret)
{
    int parcel;
    if (q->n == 0 || !enqueue_fits(q->recipients, q->n))
        return ERR_LIMIT;
    struct enqueue *new = calloc(1, sizeof(*new));
    if (new == NULL)
        return ERR_MEMORY;
    *new = (struct enqueue){e, *hooks, arg, q->envelope.id != 0 ? q->envelope.id : queue_new_id(), 0};
    int err = seal(e, q, &parcel);
    if (err == OK) {
        err = request(new, q, parcel);
        close(parcel);
    }
    if (err != OK) {
        free(new);
        return err;
    }
    *ret = new;
    if (hooks->sealed != NULL)
        hooks->sealed(arg);
    return OK;
}

void enqueue_cancel(struct enqueue *q)
{
    vault_client_forget(q->by->vault, q->asked);
    free(q);
}
