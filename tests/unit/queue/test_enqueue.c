/* A message into the queue, by a real vault over a real channel, and out of it again: what relay reads is what was
 * handed in; and of what is written nothing is readable to who has not the keys. */
#include "tests/support/vault_support.h"

#include <sodium.h>

#include "crypto/outer_seal.h"
#include "crypto/pgp_open.h"
#include "server/queue/enqueue.h"
#include "server/queue/internal.h"

enum { MAIL = 150000 };

static struct bench b;
static struct view *view;
static struct vault_client *client;
static struct enqueuer *enqueuer;
static char mail[MAIL];
static struct {
    int sealed, done, status;
    uint64_t id;
} heard;

static void on_sealed(void *arg)
{
    (void)arg;
    heard.sealed++;
    assert_int_equal(heard.done, 0);
}

static void on_done(void *arg, int status, uint64_t id, enum sending_verdict verdict)
{
    (void)arg;
    heard.done++;
    heard.status = status;
    heard.id = id;
    loop_stop(b.loop);
}

static const struct enqueue_hooks hooks = {on_sealed, on_done};

static int setup(void **state)
{
    int pair[2];
    (void)state;
    assert_int_equal(outer_seal_init(), OK);
    bench_mem(&b, false);
    assert_int_equal(view_over(b.engine, b.keys, &view), OK);
    assert_int_equal(ipc_pair(pair), OK);
    assert_int_equal(vault_client_add(b.vault, pair[0], VAULT_MAY_INGEST), OK);
    client = vault_client_create(b.loop, NULL, NULL);
    vault_client_channel(client, pair[1]);
    enqueuer = enqueuer_create(b.loop, view, client, record_keys_queue_public(b.keys));
    assert_non_null(enqueuer);
    for (size_t i = 0; i < MAIL; i++)
        mail[i] = "Subject: nobody reads this\r\n"[i % 28];
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    enqueuer_destroy(enqueuer);
    vault_client_destroy(client);
    view_close(view);
    bench_close(&b);
    return 0;
}

static const struct queue_recipient to[] = {{.state = QUEUE_QUEUED, .to = "bob@there.example", .orcpt = "rfc822;b@x"},
                                            {.state = QUEUE_DEFERRED, .local = 1, .to = "carol@here.example"}};
static const struct iovec parts[] = {{mail, 1000}, {mail + 1000, MAIL - 1000}};
static const struct enqueue_request asked = {.envelope = {.queued_at = 1700000000,
                                                          .expires = 1700400000,
                                                          .account = 16,
                                                          .from = "alice@here.example",
                                                          .body = QUEUE_8BIT,
                                                          .ret = 2,
                                                          .envid = "env+2Bid"},
                                             .recipients = to,
                                             .n = 2,
                                             .mail = parts,
                                             .mail_n = 2};

/* ---- what relay reads ---- */

struct seen {
    uint64_t ids[8];
    unsigned nids, nrecipients;
    struct queue_envelope envelope;
    struct queue_recipient recipients[8];
    struct pgp_open *open;
    size_t opened;
};

static int see_id(void *arg, uint64_t id)
{
    struct seen *s = arg;
    s->ids[s->nids++] = id;
    return 0;
}

static int see_recipient(void *arg, uint32_t n, int err, const struct queue_recipient *r)
{
    struct seen *s = arg;
    assert_int_equal(err, OK);
    assert_int_equal(n, r->n);
    s->recipients[s->nrecipients++] = *r;
    return 0;
}

static int read_all(void *arg, struct view *v)
{
    static uint8_t piece[9000];
    struct seen *s = arg;
    uint8_t seen[QUEUE_SEEN_SIZE];
    struct schema_message m;
    assert_int_equal(view_queue_each(v, 0, see_id, s), OK);
    assert_int_equal(view_queued(v, s->ids[0], &s->envelope, seen), OK);
    assert_int_equal(view_queue_recipients(v, s->ids[0], 0, see_recipient, s), OK);
    assert_int_equal(view_queue_message(v, s->ids[0], &m), OK);
    for (uint64_t at = 0; at < m.packets_len; at += sizeof(piece)) {
        size_t len = m.packets_len - at < sizeof(piece) ? (size_t)(m.packets_len - at) : sizeof(piece);
        assert_int_equal(view_queue_packets(v, &m, at, piece, len), OK);
        assert_int_equal(pgp_open_update(s->open, slice_of(piece, len)), OK);
    }
    assert_int_equal(view_queue_each(v, s->ids[0], see_id, s), OK);
    return OK;
}

static int compare(void *arg, const uint8_t *data, size_t len)
{
    struct seen *s = arg;
    assert_memory_equal(mail + s->opened, data, len);
    s->opened += len;
    return OK;
}

static struct pgp_opener *opener(void)
{
    uint8_t secret[QUEUE_SECRET_SIZE];
    queue_key_secret(STORE_KEY, secret);
    return pgp_opener_create(secret, record_keys_queue_public(b.keys));
}

static void test_in_and_out(void **state)
{
    static struct seen s;
    struct enqueue *q;
    struct pgp_opener *o = opener();
    (void)state;
    memset(&heard, 0, sizeof(heard));
    assert_int_equal(enqueue_start(enqueuer, &asked, &hooks, NULL, &q), OK);
    assert_int_equal(heard.sealed, 1);
    assert_int_equal(heard.done, 0);
    assert_int_equal(loop_run(b.loop), OK);
    assert_int_equal(heard.done, 1);
    assert_int_equal(heard.status, OK);
    assert_true(heard.id > 0 && heard.id < BLOB_ID_MAX);
    assert_int_equal(b.vault->queue.messages, 1);

    assert_int_equal(pgp_open_begin(o, compare, &s, &s.open), OK);
    assert_int_equal(view_run(view, read_all, &s), OK);
    assert_int_equal(pgp_open_end(s.open), OK);
    pgp_open_free(s.open);
    pgp_opener_destroy(o);
    assert_int_equal(s.opened, MAIL);
    assert_int_equal(s.nids, 1);
    assert_true(s.ids[0] == heard.id && s.envelope.id == heard.id);
    assert_int_equal(s.envelope.size, MAIL);
    assert_string_equal(s.envelope.from, "alice@here.example");
    assert_string_equal(s.envelope.envid, "env+2Bid");
    assert_int_equal(s.envelope.ret, 2);
    assert_int_equal(s.nrecipients, 2);
    assert_int_equal(s.recipients[0].n, 1);
    assert_string_equal(s.recipients[0].to, "bob@there.example");
    assert_string_equal(s.recipients[0].orcpt, "rfc822;b@x");
    assert_int_equal(s.recipients[1].local, 1);
    assert_int_equal(s.recipients[1].state, QUEUE_DEFERRED);
}

static int look_for_words(void *arg, struct slice key, struct slice value)
{
    static const char *const words[] = {"alice", "bob", "carol", "example", "nobody reads", "rfc822", "env+2B"};
    (void)arg;
    (void)key;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        assert_null(memmem(value.data, value.len, words[i], strlen(words[i])));
    return 0;
}

static int look_at_chunk(void *arg, const struct blob_at *at)
{
    struct slice chunk;
    assert_int_equal(engine_blob_get(arg, at->part, at->kind, at->id, at->n, &chunk), OK);
    return look_for_words(NULL, chunk, chunk);
}

static void test_nothing_is_readable(void **state)
{
    struct schema_keybuf from;
    struct engine_txn *t;
    (void)state;
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(engine_scan(t, PART_QUEUE, key_simple(&from, '\0'), slice_of("", 0), 0, look_for_words, NULL), OK);
    assert_int_equal(engine_blobs(t, NULL, look_at_chunk, t), OK);
    (void)engine_read_end(t);
}

/* Neither who stores it nor who hands it in can open both envelope and content. */
static void test_by_role(void **state)
{
    static const struct {
        enum role role;
        int envelope, message;
    } rows[] = {{ROLE_VAULT, ERR_DENIED, OK}, {ROLE_INGEST, OK, ERR_DENIED}, {ROLE_ACCESS, ERR_DENIED, ERR_DENIED}};
    struct record_bundle all;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct queue_envelope e;
        struct schema_message m;
        uint8_t seen[QUEUE_SEEN_SIZE];
        struct view *v;
        record_bundle_make(STORE_KEY, STORE_KEY, &all);
        record_bundle_keep(&all, roles_table[rows[i].role].uses);
        struct record_keys *keys = record_keys_create(&all);
        struct engine_txn *t;
        struct schema_keybuf kb;
        struct slice sealed;
        assert_int_equal(view_over(b.engine, keys, &v), OK);
        assert_int_equal(engine_read_begin(b.engine, &t), OK);
        assert_int_equal(engine_get(t, PART_QUEUE, key_u64(&kb, 'Q', heard.id), &sealed), OK);
        assert_int_equal(queue_open_envelope(keys, heard.id, sealed, &e, seen), rows[i].envelope);
        assert_int_equal(schema_get_message(t, keys, PART_QUEUE, heard.id, &m, NULL), rows[i].message);
        (void)engine_read_end(t);
        view_close(v);
        record_keys_destroy(keys);
    }
}

/* 100 recipients of the longest addresses fit (RFC 5321 section 4.5.3.1.8); what fits is what the vault takes. */
static void test_how_many_fit(void **state)
{
    static struct queue_recipient many[VAULT_QUEUE_ROWS_MAX + 1];
    struct enqueue_request q = asked;
    struct enqueue *e;
    (void)state;
    for (unsigned shorter = 0; shorter < 2; shorter++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
            many[i].state = QUEUE_QUEUED;
            memset(many[i].to, 'x', ADDRESS_MAX - 1);
            many[i].to[shorter ? 20 : ADDRESS_MAX - 1] = '\0';
        }
        while (n < VAULT_QUEUE_ROWS_MAX && enqueue_fits(many, n + 1))
            n++;
        assert_true(n >= (shorter ? 180 : 100));
        assert_false(enqueue_fits(many, VAULT_QUEUE_ROWS_MAX + 1));
        q.recipients = many;
        q.n = n;
        memset(&heard, 0, sizeof(heard));
        assert_int_equal(enqueue_start(enqueuer, &q, &hooks, NULL, &e), OK);
        assert_int_equal(loop_run(b.loop), OK);
        assert_int_equal(heard.status, OK);
        q.n++;
        assert_int_equal(enqueue_start(enqueuer, &q, &hooks, NULL, &e), ERR_LIMIT);
    }
}

static void test_cancelled(void **state)
{
    struct enqueue *q;
    (void)state;
    memset(&heard, 0, sizeof(heard));
    assert_int_equal(enqueue_start(enqueuer, &asked, &hooks, NULL, &q), OK);
    enqueue_cancel(q);
    struct enqueue *other;
    assert_int_equal(enqueue_start(enqueuer, &asked, &hooks, NULL, &other), OK);
    assert_int_equal(loop_run(b.loop), OK);
    assert_int_equal(heard.done, 1);
}

static void test_internal_messages(void **state)
{
    uint8_t out[1024];
    struct internal_deliver d = {.delivery = {7}, .from = slice_str(""), .to = slice_str("bob@here.example")}, r;
    struct pack p;
    struct unpack u;
    (void)state;
    pack_init(&p, out, sizeof(out));
    assert_int_equal(internal_deliver_pack(&p, &d), OK);
    for (size_t len = 0; len <= p.len; len++) {
        unpack_init(&u, out, len);
        assert_int_equal(internal_deliver_unpack(&u, &r), len == p.len ? OK : ERR_FORMAT);
    }
    assert_int_equal(r.delivery[0], 7);
    assert_int_equal(r.from.len, 0);
    assert_memory_equal(r.to.data, "bob@here.example", r.to.len);
    out[p.len - 3] = '\0';
    unpack_init(&u, out, p.len);
    assert_int_equal(internal_deliver_unpack(&u, &r), ERR_FORMAT);
    d.to = slice_of(out, ADDRESS_MAX);
    pack_init(&p, out, sizeof(out));
    assert_int_equal(internal_deliver_pack(&p, &d), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_and_out), cmocka_unit_test(test_nothing_is_readable),
        cmocka_unit_test(test_by_role),    cmocka_unit_test(test_how_many_fit),
        cmocka_unit_test(test_cancelled),  cmocka_unit_test(test_internal_messages),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
