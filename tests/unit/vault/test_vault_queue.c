/* The queue's requests: what is added once is there once, what is named by a nonce is changed or nothing is, and the
 * last recipient takes the message along. */
#include "tests/support/patience.h"
#include "tests/support/vault_support.h"

#include <sodium.h>

#include "crypto/outer_seal.h"
#include "crypto/pgp_open.h"
#include "store/sts_policy.h"
#include "store/tls_tally.h"

enum { ID = 77, RECIPIENTS = 3 };

static struct bench b;
static uint8_t records[RECIPIENTS][QUEUE_RECIPIENT_MAX], envelope[QUEUE_ENVELOPE_MAX];
static struct vault_queue_row rows[RECIPIENTS];
static struct slice sealed_envelope;

static int put(void *arg, const uint8_t *data, size_t len)
{
    return parcel_put_packets(arg, data, len);
}

/* Packets for the queue's key, or for another one. */
static int parcel_for(struct slice public_key, const char *outer, unsigned twice)
{
    struct parcel_writer *w;
    struct pgp_recipient *to[2];
    const struct iovec in = {(void *)"text\r\n", 6};
    int fd;
    assert_int_equal(queue_key_recipient(public_key, &to[0]), OK);
    assert_int_equal(queue_key_recipient(public_key, &to[1]), OK);
    assert_int_equal(parcel_create(&w), OK);
    if (*outer)
        assert_int_equal(parcel_put_outer(w, outer, strlen(outer)), OK);
    assert_int_equal(pgp_seal(to, 1 + twice, &in, 1, put, w, NULL), OK);
    assert_int_equal(parcel_seal(w, &fd), OK);
    pgp_recipient_destroy(to[0]);
    pgp_recipient_destroy(to[1]);
    return fd;
}

static int good_parcel(void)
{
    return parcel_for(record_keys_queue_public(b.keys), "", 0);
}

static void seal_row(uint32_t i, uint32_t tries)
{
    struct queue_recipient r = {.n = i + 1, .state = QUEUE_QUEUED, .to = "bob@there.example", .tries = tries};
    size_t len;
    assert_int_equal(queue_seal_recipient(b.keys, ID, &r, records[i], &len), OK);
    rows[i] = (struct vault_queue_row){.n = i + 1, .len = (uint32_t)len, .record = records[i]};
}

static int setup(void **state)
{
    struct queue_envelope e = {.id = ID, .from = "alice@here.example"};
    size_t len;
    (void)state;
    assert_int_equal(outer_seal_init(), OK);
    bench_mem(&b, true);
    assert_int_equal(queue_seal_envelope(b.keys, &e, envelope, &len), OK);
    sealed_envelope = slice_of(envelope, len);
    for (uint32_t i = 0; i < RECIPIENTS; i++)
        seal_row(i, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bench_close(&b);
    return 0;
}

static int add(uint64_t id, int parcel)
{
    const struct vault_request q = {.type = VAULT_QUEUE_ADD,
                                    .queue_add = {.id = id, .envelope = sealed_envelope, .n = RECIPIENTS, .v = rows}};
    int err = request(&b, &q, parcel);
    close(parcel);
    return err;
}

static int count_one(void *arg, struct slice key, struct slice value)
{
    (void)key;
    (void)value;
    ++*(unsigned *)arg;
    return 0;
}

static int count_blob(void *arg, const struct blob_at *at)
{
    *(unsigned *)arg += at->part == PART_QUEUE;
    return 0;
}

/* Records and chunks of the queue. */
static unsigned there(void)
{
    struct schema_keybuf from;
    struct engine_txn *t;
    unsigned n = 0;
    assert_int_equal(engine_read_begin(b.inner, &t), OK);
    assert_int_equal(engine_scan(t, PART_QUEUE, key_simple(&from, '\0'), slice_of("", 0), 0, count_one, &n), OK);
    assert_int_equal(engine_blobs(t, NULL, count_blob, &n), OK);
    (void)engine_read_end(t);
    return n;
}

enum { OF_ONE = 2 + RECIPIENTS + 2 /* head, body */ };

static int update(const struct vault_queue_row *v, uint32_t n)
{
    const struct vault_request q = {.type = VAULT_QUEUE_UPDATE, .queue_update = {.id = ID, .n = n, .v = v}};
    return request(&b, &q, -1);
}

/* Two processes that keep what is known of a domain: who has not seen what is there changes nothing. */
static const struct kept {
    enum vault_msg put, del;
    size_t max, most;
} kept[2] = {{VAULT_STS_PUT, VAULT_STS_DEL, STS_POLICY_RECORD_MAX, STS_POLICIES_MAX},
             {VAULT_TALLY_PUT, VAULT_TALLY_DEL, TLS_TALLY_RECORD_MAX, TLS_TALLIES_MAX}};

static int keep(enum vault_msg type, uint8_t domain, const uint8_t *seen, uint8_t nonce, size_t len)
{
    uint8_t record[TLS_TALLY_RECORD_MAX] = {2};
    memset(record + 1, nonce, QUEUE_SEEN_SIZE);
    const struct vault_request q = {.type = type, .sts = {{domain}, slice_of(record, len), seen}};
    return request(&b, &q, -1);
}

static void test_one_kind(const struct kept *k, uint64_t *n)
{
    uint8_t first[QUEUE_SEEN_SIZE], second[QUEUE_SEEN_SIZE];
    memset(first, 1, sizeof(first));
    memset(second, 2, sizeof(second));
    assert_int_equal(keep(k->del, 5, first, 0, 0), OK);
    assert_int_equal(keep(k->put, 5, NULL, 1, 70), OK);
    assert_int_equal(keep(k->put, 5, NULL, 1, 70), OK); /* asked again */
    assert_int_equal(keep(k->put, 5, NULL, 2, 70), ERR_CONFLICT);
    assert_int_equal(keep(k->put, 5, second, 3, 70), ERR_CONFLICT);
    assert_int_equal(keep(k->put, 5, first, 2, k->max), OK);
    assert_int_equal(keep(k->del, 5, first, 0, 0), ERR_CONFLICT);
    assert_int_equal(there(), 1);
    assert_int_equal(*n, 1);
    *n = k->most;
    assert_int_equal(keep(k->put, 6, NULL, 1, 70), ERR_FULL);
    assert_int_equal(keep(k->put, 5, second, 4, 70), OK);
    assert_int_equal(queue_count(b.vault), OK);
    assert_int_equal(*n, 1);
    memset(second, 4, sizeof(second));
    assert_int_equal(keep(k->del, 5, second, 0, 0), OK);
    assert_int_equal(there(), 0);
    assert_int_equal(*n, 0);
}

static void test_policies_and_tallies(void **state)
{
    (void)state;
    test_one_kind(&kept[0], &b.vault->queue.policies);
    test_one_kind(&kept[1], &b.vault->queue.tallies);
}

static void test_once(void **state)
{
    (void)state;
    assert_int_equal(add(ID, good_parcel()), OK);
    assert_false(b.r.queued.duplicate);
    assert_int_equal(there(), OF_ONE);
    assert_int_equal(add(ID, good_parcel()), OK);
    assert_true(b.r.queued.duplicate);
    assert_int_equal(there(), OF_ONE);
    assert_int_equal(b.vault->queue.messages, 1);
}

static void test_gate(void **state)
{
    uint8_t other[32] = {5}, public2[QUEUE_PUBLIC_MAX];
    size_t len;
    (void)state;
    queue_key_public(other, public2, &len);
    unsigned before = there();
    assert_int_equal(add(80, parcel_for(slice_of(public2, len), "", 0)), ERR_REFUSED);
    assert_int_equal(add(80, parcel_for(record_keys_queue_public(b.keys), OUTER, 0)), ERR_REFUSED);
    assert_int_equal(add(80, parcel_for(record_keys_queue_public(b.keys), "", 1)), ERR_REFUSED);
    assert_int_equal(add(80, parcel_of(OUTER, 1, 1000)), ERR_REFUSED);
    int fd;
    assert_int_equal(parcel_make_plain("readable", 8, &fd), OK);
    assert_int_equal(add(80, fd), ERR_REFUSED);
    assert_int_equal(there(), before);
    assert_int_equal(b.vault->count.refused, 5);
}

static void test_full(void **state)
{
    (void)state;
    b.vault->queue.most = 1;
    assert_int_equal(add(80, good_parcel()), ERR_FULL);
    assert_int_equal(add(ID, good_parcel()), OK); /* it is there already */
    b.vault->queue.most = UINT64_MAX;
}

static void test_update(void **state)
{
    struct vault_queue_row v[2];
    uint8_t seen[2][QUEUE_SEEN_SIZE], wrong[QUEUE_SEEN_SIZE] = {9};
    (void)state;
    for (int i = 0; i < 2; i++)
        memcpy(seen[i], records[i] + 1, QUEUE_SEEN_SIZE);
    seal_row(0, 1);
    seal_row(1, 1);
    v[0] = rows[0], v[1] = rows[1];
    v[0].seen = seen[0], v[1].seen = wrong;
    unsigned before = there();
    assert_int_equal(update(v, 2), ERR_CONFLICT); /* all or nothing */
    v[1].seen = seen[1];
    assert_int_equal(update(v, 2), OK);
    assert_int_equal(update(v, 2), OK); /* asked again: it is done */
    seal_row(0, 2);
    v[0] = rows[0], v[0].seen = seen[0];
    assert_int_equal(update(v, 1), ERR_CONFLICT); /* it has another by now */
    v[0].n = 9;
    assert_int_equal(update(v, 1), ERR_NOT_FOUND);
    assert_int_equal(there(), before);
    assert_int_equal(b.r.gone, false);
}

static void test_envelope(void **state)
{
    struct queue_envelope e = {.id = ID, .from = "alice@here.example", .hold_until = 5};
    uint8_t new[QUEUE_ENVELOPE_MAX], wrong[QUEUE_SEEN_SIZE] = {9};
    size_t len;
    (void)state;
    assert_int_equal(queue_seal_envelope(b.keys, &e, new, &len), OK);
    struct vault_request q = {.type = VAULT_QUEUE_UPDATE,
                              .queue_update = {.id = ID, .seen = wrong, .envelope = slice_of(new, len)}};
    assert_int_equal(request(&b, &q, -1), ERR_CONFLICT);
    q.queue_update.seen = envelope + 1;
    assert_int_equal(request(&b, &q, -1), OK);
    assert_int_equal(request(&b, &q, -1), OK);
    memcpy(envelope, new, len);
}

/* Each write of each step fails in turn, and then nothing has happened. */
static void test_failing(void **state)
{
    unsigned before = there();
    (void)state;
    for (unsigned nth = 1;; nth++) {
        engine_fail_at(b.fail, nth, ERR_FULL);
        int err = add(90, good_parcel());
        engine_fail_at(b.fail, 0, OK);
        if (err == OK)
            break;
        assert_int_equal(err, ERR_FULL);
        assert_int_equal(there(), before);
        assert_true(nth < 50);
    }
    assert_int_equal(there(), before + OF_ONE);
    assert_int_equal(b.vault->queue.messages, 2);
}

static void test_last_one_takes_all(void **state)
{
    struct vault_queue_row v[RECIPIENTS];
    (void)state;
    unsigned before = there();
    for (int i = 0; i < RECIPIENTS; i++)
        v[i] = (struct vault_queue_row){.n = (uint32_t)i + 1, .record = records[0], .seen = records[i] + 1};
    seal_row(0, 1); /* never stored */
    v[0].seen = records[0] + 1;
    assert_int_equal(update(v, RECIPIENTS), ERR_CONFLICT);
    assert_int_equal(there(), before);
    assert_int_equal(update(v + 1, 2), OK);
    assert_int_equal(there(), before - 2);
    assert_false(b.r.gone);
    struct schema_keybuf kb;
    struct engine_txn *t;
    struct slice last;
    uint8_t seen[QUEUE_SEEN_SIZE];
    assert_int_equal(engine_read_begin(b.inner, &t), OK);
    assert_int_equal(engine_get(t, PART_QUEUE, key_u64_u32(&kb, 'T', ID, 1), &last), OK);
    memcpy(seen, last.data + 1, sizeof(seen));
    (void)engine_read_end(t);
    v[0].seen = seen;
    for (unsigned nth = 1;; nth++) {
        engine_fail_at(b.fail, nth, ERR_FULL);
        int err = update(v, 1);
        engine_fail_at(b.fail, 0, OK);
        if (err == OK)
            break;
        assert_int_equal(there(), before - 2);
        assert_true(nth < 50);
    }
    assert_true(b.r.gone);
    assert_int_equal(there(), before - OF_ONE);
    assert_int_equal(b.vault->queue.messages, 1);
    assert_int_equal(update(v, 1), OK); /* asked again */
    assert_int_equal(b.vault->queue.messages, 1);
    assert_int_equal(queue_count(b.vault), OK);
    assert_int_equal(b.vault->queue.messages, 1);
}

/* relay hears of what others do, and nobody else of the queue. */
static void test_notices(void **state)
{
    static uint8_t buf[IPC_MAX];
    int relay[2], access[2];
    struct ipc_msg m;
    struct unpack u;
    struct vault_reply r;
    (void)state;
    assert_int_equal(ipc_pair(relay), OK);
    assert_int_equal(ipc_pair(access), OK);
    assert_int_equal(vault_client_add(b.vault, relay[0], VAULT_MAY_RELAY), OK);
    assert_int_equal(vault_client_add(b.vault, access[0], VAULT_MAY_ACCESS), OK);
    for (uint32_t i = 0; i < RECIPIENTS; i++)
        seal_row(i, 0);
    assert_int_equal(add(95, good_parcel()), OK);
    for (int i = 0; i < 2; i++) /* what VAULT_FULL says at the start goes by */
        if (ipc_recv_blocking(relay[1], buf, &m, PATIENCE_MS) != OK || m.type == VAULT_NOTICE)
            break;
    assert_int_equal(m.type, VAULT_NOTICE);
    unpack_init(&u, m.payload.data, m.payload.len);
    assert_int_equal(vault_reply_unpack(VAULT_NOTICE, &u, &r), OK);
    assert_int_equal(r.changes.n, 1);
    assert_int_equal(r.changes.v[0].account, PART_QUEUE);
    assert_int_equal(r.changes.v[0].modseq, 95);
    while (ipc_recv_blocking(access[1], buf, &m, 0) == OK)
        assert_int_not_equal(m.type, VAULT_NOTICE);
    assert_int_equal(domain_add_call(&b, "new.example"), OK);
    assert_int_equal(account_add_call(&b, "x@new.example", 0, 0, 1), OK);
    while (ipc_recv_blocking(relay[1], buf, &m, 0) == OK)
        assert_int_not_equal(m.type, VAULT_NOTICE);
    close(relay[1]);
    close(access[1]);
}

static void test_dkim(void **state)
{
    uint8_t out[QUEUE_DKIM_MAX], plain[32] = "private";
    struct vault_request q = {.type = VAULT_DKIM_PUT, .dkim = {.hash = {3}}};
    struct pack p = {.data = plain, .len = 7, .cap = sizeof(plain)};
    size_t len;
    (void)state;
    unsigned before = there();
    assert_int_equal(queue_seal_dkim(b.keys, q.dkim.hash, &p, out, &len), OK);
    q.dkim.record = slice_of(out, len);
    assert_int_equal(request(&b, &q, -1), OK);
    assert_int_equal(there(), before + 1);
    q.type = VAULT_DKIM_DEL;
    assert_int_equal(request(&b, &q, -1), OK);
    assert_int_equal(request(&b, &q, -1), OK);
    assert_int_equal(there(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policies_and_tallies),
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_update),
        cmocka_unit_test(test_envelope),
        cmocka_unit_test(test_failing),
        cmocka_unit_test(test_last_one_takes_all),
        cmocka_unit_test(test_notices),
        cmocka_unit_test(test_dkim),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
