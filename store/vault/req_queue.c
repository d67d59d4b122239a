/* Requests about the outgoing queue. Envelopes and recipients are sealed under a key that the vault has not: it stores
 * them as they come, and knows a record that is to be changed by its nonce. What is in a message the gate looks at. */
#include <string.h>

#include "server/core/error.h"
#include "store/content.h"
#include "store/sts_policy.h"
#include "store/tls_tally.h"
#include "store/vault/vault.h"

static int count_one(void *arg, struct slice key, struct slice value)
{
    (void)key;
    (void)value;
    ++*(uint64_t *)arg;
    return 0;
}

int queue_count(struct vault *v)
{
    struct schema_keybuf from, to;
    struct engine_txn *t;
    uint64_t n = 0, held = 0, suppressed = 0, policies = 0, tallies = 0;
    int err = engine_read_begin(v->engine, &t);
    if (err != OK)
        return err;
    err = engine_scan(t, PART_QUEUE, key_simple(&from, 'Q'), key_simple(&to, 'Q' + 1), 0, count_one, &n);
    if (err == OK)
        err = held_count(t, &held, &suppressed);
    if (err == OK)
        err = count_of(t, 'p', &policies);
    if (err == OK)
        err = count_of(t, 't', &tallies);
    int end = engine_read_end(t);
    if (err == OK && (end == OK || end == ERR_OVERRUN)) { /* nobody else writes */
        v->queue.messages = n;
        v->queue.held = held;
        v->queue.suppressed = suppressed;
        v->queue.policies = policies;
        v->queue.tallies = tallies;
    }
    return err;
}

void queue_stored(struct vault *v, const struct request *q)
{
    v->queue.messages += (uint64_t)(int64_t)q->queued;
    held_stored(v, q);
}

static void changed(struct vault *v, const struct request *q, uint64_t id)
{
    if (q->from->who != VAULT_MAY_RELAY) /* it knows */
        v->queue.changes[v->queue.nchanges++] = id;
}

/* ---- add ---- */

static int add_records(struct store_write *w, const struct vault_queue_add *a)
{
    struct schema_keybuf kb;
    int err = write_put(w, key_u64(&kb, 'Q', a->id), a->envelope);
    for (uint32_t i = 0; err == OK && i < a->n; i++)
        err = write_put(w, key_u64_u32(&kb, 'T', a->id, a->v[i].n), slice_of(a->v[i].record, a->v[i].len));
    return err;
}

static int add_parcel(struct store_write *w, const struct vault_queue_add *a, const struct parcel *p, uint32_t head_len)
{
    struct schema_message m = {.id = a->id,
                               .references = 1,
                               .kind = MESSAGE_QUEUED,
                               .packets_len = p->packets.len,
                               .head_len = head_len,
                               .received = 0};
    content_draw(&m);
    w->wrote = true;
    int err = content_write(w->t, w->keys, PART_QUEUE, &m, p->packets, p->capsule);
    if (err == OK)
        err = schema_put_message(w->t, w->keys, PART_QUEUE, &m);
    return err == OK ? add_records(w, a) : err;
}

/* The gate refuses before anything is counted. */
static int add_checked(struct vault *v, struct store_write *w, struct request *q, const struct parcel *p,
                       enum sending_verdict *ret, const char **ret_text)
{
    uint32_t head_len;
    int err = gate_check_queued(v->gate, p, &head_len, ret_text);
    if (err == OK)
        err = queue_charge(v, w, q, ret);
    return err == OK && *ret == SENDING_TAKEN ? add_parcel(w, &q->a.queue_add, p, head_len) : err;
}

int run_queue_add(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                  const char **ret_text)
{
    const struct vault_queue_add *a = &q->a.queue_add;
    struct schema_keybuf kb;
    enum sending_verdict verdict;
    struct slice there;
    struct parcel p;
    int err = engine_get(w->t, PART_QUEUE, key_u64(&kb, 'Q', a->id), &there);
    if (err != ERR_NOT_FOUND) {
        r->queued.duplicate = err == OK;
        return err;
    }
    if (v->queue.messages >= v->queue.most) {
        *ret_text = "the queue is full";
        return ERR_FULL;
    }
    err = parcel_open(q->fd, v->message_max + PARCEL_SLACK, &p);
    if (err == OK) {
        err = add_checked(v, w, q, &p, &verdict, ret_text);
        parcel_close(&p);
    } else if (err == ERR_REFUSED) {
        *ret_text = "the parcel is not sealed, or not laid out as a parcel";
    }
    if (err == ERR_REFUSED)
        v->count.refused++;
    if (err != OK)
        return err;
    r->queued.verdict = (uint8_t)verdict;
    if (verdict != SENDING_TAKEN)
        return OK;
    q->queued = 1;
    changed(v, q, a->id);
    return OK;
}

/* ---- update ---- */

enum fate { FATE_WRITE, FATE_DONE /* this request, asked again, has done it */, FATE_NONE };

static bool same_seen(struct slice record, const uint8_t *seen)
{
    return record.len > QUEUE_SEEN_SIZE && memcmp(record.data + 1, seen, QUEUE_SEEN_SIZE) == 0;
}

/* What is to become of a record. Not OK: ERR_CONFLICT, the record is another. */
static int record_fate(struct store_write *w, struct slice key, const uint8_t *seen, struct slice new, enum fate *ret)
{
    struct slice there;
    int err = engine_get(w->t, PART_QUEUE, key, &there);
    if (err == ERR_NOT_FOUND) {
        *ret = FATE_DONE;
        return new.len == 0 ? OK : ERR_NOT_FOUND;
    }
    if (err != OK)
        return err;
    *ret = new.len > 0 && same_seen(new, there.data + 1) ? FATE_DONE : FATE_WRITE;
    return *ret == FATE_DONE || same_seen(there, seen) ? OK : ERR_CONFLICT;
}

static int record_write(struct store_write *w, struct slice key, const uint8_t *seen, struct slice new)
{
    enum fate fate;
    int err = record_fate(w, key, seen, new, &fate);
    if (err != OK || fate == FATE_DONE)
        return err;
    return new.len > 0 ? write_put(w, key, new) : write_del(w, key);
}

/* All of the request, by fn. */
static int update_each(struct store_write *w, const struct vault_queue_update *a, bool write)
{
    struct schema_keybuf kb;
    enum fate fate;
    int err = OK;
    if (a->envelope.len > 0) {
        struct slice key = key_u64(&kb, 'Q', a->id);
        err = write ? record_write(w, key, a->seen, a->envelope) : record_fate(w, key, a->seen, a->envelope, &fate);
    }
    for (uint32_t i = 0; err == OK && i < a->n; i++) {
        struct slice key = key_u64_u32(&kb, 'T', a->id, a->v[i].n), new = slice_of(a->v[i].record, a->v[i].len);
        err = write ? record_write(w, key, a->v[i].seen, new) : record_fate(w, key, a->v[i].seen, new, &fate);
    }
    return err;
}

static int stop_at_first(void *arg, struct slice key, struct slice value)
{
    (void)arg;
    (void)key;
    (void)value;
    return 1;
}

/* The last recipient is gone, and so is the message. */
static int message_erase(struct store_write *w, uint64_t id)
{
    static const enum blob_kind kinds[] = {BLOB_PACKETS, BLOB_HEAD};
    struct schema_keybuf kb;
    int err = write_del(w, key_u64(&kb, 'Q', id));
    if (err == OK)
        err = write_del(w, key_u64(&kb, 'M', id));
    for (size_t i = 0; err == OK && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        err = engine_blob_del(w->t, PART_QUEUE, kinds[i], id);
        err = err == ERR_NOT_FOUND ? OK : err;
    }
    return err;
}

int run_queue_update(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                     const char **ret_text)
{
    const struct vault_queue_update *a = &q->a.queue_update;
    struct schema_keybuf kb, end;
    struct slice there;
    (void)ret_text;
    int err = engine_get(w->t, PART_QUEUE, key_u64(&kb, 'Q', a->id), &there);
    bool gone = err == ERR_NOT_FOUND;
    if (err != OK && !gone)
        return err;
    err = update_each(w, a, false);
    if (err == OK && !gone)
        err = update_each(w, a, true);
    if (err != OK)
        return err;
    r->gone = gone;
    if (gone)
        return OK;
    err =
        engine_scan(w->t, PART_QUEUE, key_u64(&kb, 'T', a->id), key_u64(&end, 'T', a->id + 1), 0, stop_at_first, NULL);
    if (err < 0)
        return err;
    if (err == 0) {
        err = message_erase(w, a->id);
        q->queued = -1;
        r->gone = true;
    }
    if (err >= 0 && w->wrote)
        changed(v, q, a->id);
    return err < 0 ? err : OK;
}

/* ---- what is known of domains elsewhere ---- */

/* Several processes of `relay` keep the same records: who has not seen what is there changes nothing. full: what is
 * said if nothing more is kept, or NULL. */
static int kept_put(struct store_write *w, char letter, const struct vault_sts *a, const char *full, int *ret_more,
                    const char **ret_text)
{
    struct schema_keybuf kb;
    struct slice there, key = key_hash(&kb, letter, a->hash);
    int err = engine_get(w->t, PART_QUEUE, key, &there);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    if (err == OK && there.len > QUEUE_SEEN_SIZE && same_seen(a->record, there.data + 1)) /* asked again */
        return OK;
    if (err == OK && !same_seen(there, a->seen))
        return ERR_CONFLICT;
    if (err == ERR_NOT_FOUND && full) {
        *ret_text = full;
        return ERR_FULL;
    }
    *ret_more = err == ERR_NOT_FOUND;
    return write_put(w, key, a->record);
}

static int kept_del(struct store_write *w, char letter, const struct vault_sts *a, int *ret_more)
{
    struct schema_keybuf kb;
    struct slice there, key = key_hash(&kb, letter, a->hash);
    int err = engine_get(w->t, PART_QUEUE, key, &there);
    if (err != OK)
        return err == ERR_NOT_FOUND ? OK : err;
    if (!same_seen(there, a->seen))
        return ERR_CONFLICT;
    *ret_more = -1;
    return write_del(w, key);
}

int run_sts_put(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r, const char **ret_text)
{
    const char *full = v->queue.policies >= STS_POLICIES_MAX ? "too many policies are kept" : NULL;
    (void)r;
    return kept_put(w, 'p', &q->a.sts, full, &q->policies, ret_text);
}

int run_sts_del(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r, const char **ret_text)
{
    (void)v;
    (void)r;
    (void)ret_text;
    return kept_del(w, 'p', &q->a.sts, &q->policies);
}

int run_tally_put(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                  const char **ret_text)
{
    const char *full = v->queue.tallies >= TLS_TALLIES_MAX ? "too many tallies of TLS are kept" : NULL;
    (void)r;
    return kept_put(w, 't', &q->a.tally, full, &q->tallies, ret_text);
}

int run_tally_del(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                  const char **ret_text)
{
    (void)v;
    (void)r;
    (void)ret_text;
    return kept_del(w, 't', &q->a.tally, &q->tallies);
}

/* ---- keys that sign ---- */

int run_dkim_put(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                 const char **ret_text)
{
    struct schema_keybuf kb;
    (void)r;
    (void)ret_text;
    int err = write_put(w, key_hash(&kb, 'D', q->a.dkim.hash), q->a.dkim.record);
    if (err == OK)
        changed(v, q, 0);
    return err;
}

int run_dkim_del(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r,
                 const char **ret_text)
{
    struct schema_keybuf kb;
    (void)r;
    (void)ret_text;
    int err = write_del(w, key_hash(&kb, 'D', q->a.dkim.hash));
    if (err == OK)
        changed(v, q, 0);
    return err;
}
