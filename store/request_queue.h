/* The payloads of requests about the queue's partition (request.c), each as its fields in their order. */
#ifndef STORE_REQUEST_QUEUE_H
#define STORE_REQUEST_QUEUE_H

#include "store/queue.h"
#include "store/request_fields.h"
#include "store/sending.h"
#include "store/sts_policy.h"
#include "store/suppression.h"
#include "store/tls_tally.h"

/* The queue's partition is nobody's to name. */
static inline void queue_id(struct codec *c, struct vault_request *q, uint64_t *id)
{
    q->account = PART_QUEUE;
    u64(c, id);
    must(c, *id > 0 && *id < BLOB_ID_MAX);
}

static inline void bytes_record(struct codec *c, struct slice *v, size_t max)
{
    bytes(c, v, max);
    must(c, v->len > RECORD_OVERHEAD);
}

static inline void queue_record(struct codec *c, struct vault_queue_row *r)
{
    struct slice record = slice_of(r->record, r->len);
    bytes(c, &record, QUEUE_RECIPIENT_MAX);
    if (c->unpack != NULL) /* else it is the caller's, and perhaps constant */
        r->record = record.data, r->len = (uint32_t)record.len;
}

static inline void queue_add_row(struct codec *c, void *row)
{
    static const uint8_t nobody[SENDING_WHOM];
    struct vault_queue_row *r = row;
    const uint8_t *whom = c->unpack == NULL && r->whom != NULL ? r->whom : nobody;
    u32(c, &r->n);
    raw_at(c, &whom, SENDING_WHOM);
    if (c->unpack != NULL)
        r->whom = whom, r->seen = NULL;
    queue_record(c, r);
    must(c, r->len > RECORD_OVERHEAD);
}

static inline void queue_update_row(struct codec *c, void *row)
{
    struct vault_queue_row *r = row;
    if (c->unpack != NULL)
        r->whom = NULL;
    u32(c, &r->n);
    raw_at(c, &r->seen, QUEUE_SEEN_SIZE);
    queue_record(c, r);
    must(c, r->len == 0 || r->len > RECORD_OVERHEAD);
}

static inline void rows_go_up(struct codec *c, const struct vault_queue_row *v, uint32_t n)
{
    for (uint32_t i = 1; i < n && !failed(c); i++)
        must(c, v[i].n > v[i - 1].n);
}

static inline void queue_add(struct codec *c, struct vault_request *q)
{
    struct vault_queue_add *a = &q->queue_add;
    queue_id(c, q, &a->id);
    u64(c, &a->account);
    must(c, a->account == 0 || (a->account >= PART_ACCOUNT_FIRST && a->account < BLOB_PART_MAX));
    u8_bool(c, &a->counts);
    u8_bool(c, &a->forwarded);
    bytes_record(c, &a->envelope, QUEUE_ENVELOPE_MAX);
    a->v = list(c, &a->n, a->v, c->room, sizeof(*a->v), VAULT_QUEUE_ROWS_MAX, queue_add_row);
    must(c, a->n > 0);
    rows_go_up(c, a->v, a->n);
}

static inline void queue_update(struct codec *c, struct vault_request *q)
{
    static const uint8_t none[QUEUE_SEEN_SIZE];
    struct vault_queue_update *a = &q->queue_update;
    queue_id(c, q, &a->id);
    a->seen = a->seen != NULL ? a->seen : none;
    raw_at(c, &a->seen, QUEUE_SEEN_SIZE);
    bytes(c, &a->envelope, QUEUE_ENVELOPE_MAX);
    must(c, a->envelope.len == 0 || a->envelope.len > RECORD_OVERHEAD);
    a->v = list(c, &a->n, a->v, c->room, sizeof(*a->v), VAULT_QUEUE_ROWS_MAX, queue_update_row);
    rows_go_up(c, a->v, a->n);
}

/* Records of the queue's partition that stand under a hash. */
static inline void hash_there(struct codec *c, struct vault_request *q, uint8_t hash[RECORD_HASH_SIZE])
{
    q->account = PART_QUEUE;
    raw(c, hash, RECORD_HASH_SIZE);
}

static inline void dkim_del(struct codec *c, struct vault_request *q)
{
    hash_there(c, q, q->dkim.hash);
}

static inline void dkim_put(struct codec *c, struct vault_request *q)
{
    dkim_del(c, q);
    bytes_record(c, &q->dkim.record, QUEUE_DKIM_MAX);
}

static inline void suppress_del(struct codec *c, struct vault_request *q)
{
    hash_there(c, q, q->suppress.hash);
}

static inline void suppress_put(struct codec *c, struct vault_request *q)
{
    suppress_del(c, q);
    bytes_record(c, &q->suppress.record, SUPPRESSED_RECORD_MAX);
}

static inline void sts_del(struct codec *c, struct vault_request *q)
{
    static const uint8_t none[QUEUE_SEEN_SIZE];
    hash_there(c, q, q->sts.hash);
    q->sts.seen = q->sts.seen != NULL ? q->sts.seen : none;
    raw_at(c, &q->sts.seen, QUEUE_SEEN_SIZE);
}

static inline void sts_put(struct codec *c, struct vault_request *q)
{
    sts_del(c, q);
    bytes_record(c, &q->sts.record, STS_POLICY_RECORD_MAX);
}

static inline void tally_put(struct codec *c, struct vault_request *q)
{
    sts_del(c, q);
    bytes_record(c, &q->tally.record, TLS_TALLY_RECORD_MAX);
}

#endif
