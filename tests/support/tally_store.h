/* In place of store and vault: records 't', as docs/ipc.md says of the requests about them. Included once. */
#ifndef TESTS_SUPPORT_TALLY_STORE_H
#define TESTS_SUPPORT_TALLY_STORE_H

#include "server/core/error.h"
#include "store/client.h"
#include "store/view.h"

static struct loop *loop;
static struct record_keys *keys;
static struct record {
    uint8_t hash[RECORD_HASH_SIZE];
    uint8_t *sealed;
    size_t len;
} * records; /* by hash */
static size_t nrecords;
static unsigned puts_asked, dels_asked, conflicts;
static int answer_with;         /* in place of OK */
static bool store_nothing;      /* and it was not done */
static void (*meanwhile)(void); /* before the vault looks at a request */

static void tally_store_up(void)
{
    static const uint8_t root[RECORD_KEY_SIZE] = {1};

    loop = loop_create();
    keys = record_keys_of_root(root);
    assert_true(loop && keys);
    nrecords = puts_asked = dels_asked = conflicts = 0;
    answer_with = OK;
    store_nothing = false;
    meanwhile = NULL;
}

static void tally_store_down(void)
{
    for (size_t i = 0; i < nrecords; i++)
        free(records[i].sealed);
    free(records);
    records = NULL;
    record_keys_destroy(keys);
    loop_destroy(loop);
}

const struct record_keys *view_keys(const struct view *v)
{
    return keys;
}

int view_run(struct view *v, int (*fn)(void *arg, struct view *v), void *arg)
{
    return fn(arg, v);
}

/* The first one that is not below it. */
static size_t place(const uint8_t hash[RECORD_HASH_SIZE])
{
    size_t low = 0, high = nrecords;

    while (low < high) {
        const size_t mid = (low + high) / 2;
        if (memcmp(records[mid].hash, hash, RECORD_HASH_SIZE) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct record *at(const uint8_t hash[RECORD_HASH_SIZE])
{
    const size_t i = place(hash);

    return i < nrecords && memcmp(records[i].hash, hash, RECORD_HASH_SIZE) == 0 ? &records[i] : NULL;
}

static void put_at(const uint8_t hash[RECORD_HASH_SIZE], struct slice sealed)
{
    struct record *r = at(hash);

    if (!r) {
        const size_t i = place(hash);
        records = realloc(records, (nrecords + 1) * sizeof(*records));
        assert_non_null(records);
        memmove(records + i + 1, records + i, (nrecords++ - i) * sizeof(*records));
        r = &records[i];
        memcpy(r->hash, hash, RECORD_HASH_SIZE);
        r->sealed = NULL;
    }
    free(r->sealed);
    r->sealed = malloc(sealed.len);
    assert_non_null(r->sealed);
    memcpy(r->sealed, sealed.data, sealed.len);
    r->len = sealed.len;
}

int view_tls_tally(struct view *v, struct tls_tally *ret, uint8_t seen[QUEUE_SEEN_SIZE])
{
    uint8_t hash[RECORD_HASH_SIZE];
    const struct record *r;

    tls_tally_hash(keys, ret, hash);
    memset(seen, 0, QUEUE_SEEN_SIZE);
    if (!(r = at(hash)))
        return ERR_NOT_FOUND;
    memcpy(seen, r->sealed + 1, QUEUE_SEEN_SIZE);
    return tls_tally_open(keys, hash, slice_of(r->sealed, r->len), ret);
}

int view_tls_tallies_each(struct view *v, const uint8_t after[RECORD_HASH_SIZE],
                          int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct tls_tally *t,
                                    const uint8_t seen[QUEUE_SEEN_SIZE]),
                          void *arg)
{
    int err = OK;

    for (size_t i = place(after); i < nrecords && err == OK; i++) {
        static struct tls_tally t;
        int is;
        if (memcmp(records[i].hash, after, RECORD_HASH_SIZE) == 0)
            continue;
        is = tls_tally_open(keys, records[i].hash, slice_of(records[i].sealed, records[i].len), &t);
        err = fn(arg, records[i].hash, is, &t, records[i].sealed + 1);
    }
    return err;
}

/* ---- the vault ---- */

struct answer {
    struct defer later;
    vault_reply_fn *fn;
    void *arg;
    int status;
};

static void vault_reply(void *arg)
{
    struct answer a = *(struct answer *)arg;

    free(arg);
    a.fn(a.arg, a.status, NULL);
}

static int do_request(const struct vault_request *q)
{
    static const uint8_t none[QUEUE_SEEN_SIZE];
    struct record *r = at(q->tally.hash);

    if (memcmp(r ? r->sealed + 1 : none, q->tally.seen, QUEUE_SEEN_SIZE) != 0) {
        conflicts++;
        return ERR_CONFLICT;
    }
    if (store_nothing)
        return answer_with;
    if (q->type == VAULT_TALLY_PUT) {
        put_at(q->tally.hash, q->tally.record);
    } else if (r) {
        free(r->sealed);
        memmove(r, r + 1, (size_t)(records + --nrecords - r) * sizeof(*r));
    }
    return answer_with;
}

int vault_client_request(struct vault_client *c, const struct vault_request *q, int fd, vault_reply_fn *fn, void *arg,
                         uint64_t *ret_id)
{
    struct answer *a = calloc(1, sizeof(*a));

    assert_non_null(a);
    assert_true(q->type == VAULT_TALLY_PUT || q->type == VAULT_TALLY_DEL);
    if (meanwhile)
        meanwhile();
    *a = (struct answer){.fn = fn, .arg = arg, .status = do_request(q)};
    *(q->type == VAULT_TALLY_PUT ? &puts_asked : &dels_asked) += 1;
    defer_set(loop, &a->later, vault_reply, a);
    return OK;
}

/* ---- time ---- */

static void settle_wake(void *arg)
{
    loop_stop(loop);
}

static void settle_ms(uint64_t ms)
{
    struct timer *t = timer_create_in(loop, settle_wake, NULL);

    timer_set(t, ms);
    assert_int_equal(loop_run(loop), OK);
    timer_destroy(t);
}

static void settle(void)
{
    settle_ms(1);
}

#endif
