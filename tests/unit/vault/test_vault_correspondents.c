/* Whose keys accounts have seen: what may be written over what, by whom, and how many records there are. */
#include "tests/support/vault_requests.h"

#include "store/correspondent_impl.h"
#include "store/view.h"

static struct bench b;
static uint8_t packed[CORRESPONDENT_PACKED_MAX];

static void begin(void)
{
    bench_mem(&b, true);
    bench_account(&b);
    b.client->who = VAULT_MAY_INGEST;
}

static struct correspondent_key key_of(uint8_t tag, uint8_t from)
{
    return (struct correspondent_key){from, 20, {tag}, test_now};
}

static struct correspondent *fresh(const char *address, uint8_t tag, uint8_t from)
{
    static struct correspondent c;
    c = (struct correspondent){.key = key_of(tag, from), .seen = test_now};
    strcpy(c.address, address);
    return &c;
}

static struct correspondent *there(uint8_t kind, const char *address, uint8_t seen[CORRESPONDENT_SEEN])
{
    static struct correspondent c;
    struct engine_txn *t;
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    int err = schema_get_correspondent(t, b.keys, b.account, kind, address, &c, seen);
    (void)engine_read_end(t);
    return err == OK ? &c : NULL;
}

static int put(uint8_t kind, const struct correspondent *c, const uint8_t *seen)
{
    size_t len;
    assert_int_equal(correspondent_pack(c, packed, &len), OK);
    const struct vault_request q = {.type = VAULT_CORRESPONDENT_PUT,
                                    .account = b.account,
                                    .correspondent = {kind, seen, slice_of(packed, len)}};
    return request(&b, &q, -1);
}

/* Over what is there. */
static int put_over(uint8_t kind, const struct correspondent *c)
{
    uint8_t seen[CORRESPONDENT_SEEN];
    (void)there(kind, c->address, seen);
    return put(kind, c, seen);
}

static int del(uint8_t kind, const char *address)
{
    const struct vault_request q = {.type = VAULT_CORRESPONDENT_DEL,
                                    .account = b.account,
                                    .correspondent = {.kind = kind, .record = slice_str(address)}};
    return request(&b, &q, -1);
}

static struct correspondents counts(void)
{
    struct correspondents n;
    struct engine_txn *t;
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(schema_get_correspondents(t, b.keys, b.account, &n), OK);
    (void)engine_read_end(t);
    return n;
}

static void set_counts(const struct correspondents *n)
{
    struct engine_txn *t;
    assert_int_equal(engine_group_begin(b.engine, &t), OK);
    assert_int_equal(schema_put_correspondents(t, b.keys, b.account, n), OK);
    assert_int_equal(engine_group_commit(t), OK);
}

#define BOB "bob@example.net"

static void two_processes_and_one_record(void **state)
{
    uint8_t first[CORRESPONDENT_SEEN];
    begin();
    assert_int_equal(put(CORRESPONDENT_KEPT, fresh(BOB, 1, KNOWN_DOMAIN), NULL), OK);
    assert_int_equal(put(CORRESPONDENT_KEPT, fresh(BOB, 1, KNOWN_DOMAIN), NULL), OK); /* asked again */
    assert_int_equal(put(CORRESPONDENT_KEPT, fresh(BOB, 2, KNOWN_DOMAIN), NULL), ERR_CONFLICT);
    struct correspondent c = *there(CORRESPONDENT_KEPT, BOB, first);
    c.seen += 86400;
    assert_int_equal(put(CORRESPONDENT_KEPT, &c, first), OK);
    c.seen += 86400;
    assert_int_equal(put(CORRESPONDENT_KEPT, &c, first), ERR_CONFLICT);
    assert_int_equal(put_over(CORRESPONDENT_KEPT, &c), OK);
    assert_int_equal(counts().kept, 1);
    bench_close(&b);
}

/* Of what is kept `ingest` makes nothing undone, whoever has it in hand. */
static void nothing_is_forgotten(void **state)
{
    uint8_t seen[CORRESPONDENT_SEEN];
    begin();
    assert_int_equal(put(CORRESPONDENT_KEPT, fresh(BOB, 1, KNOWN_DOMAIN), NULL), OK);
    assert_int_equal(put_over(CORRESPONDENT_KEPT, fresh(BOB, 2, KNOWN_DNSSEC)), ERR_DENIED); /* without a past */
    assert_int_equal(del(CORRESPONDENT_KEPT, BOB), ERR_DENIED);

    struct correspondent c = *there(CORRESPONDENT_KEPT, BOB, seen), forged;
    const struct correspondent_key second = key_of(2, KNOWN_DOMAIN), third = key_of(3, KNOWN_DOMAIN);
    correspondent_turn(&c, &second, CORRESPONDENT_FOLLOWED, test_now);
    assert_int_equal(put_over(CORRESPONDENT_KEPT, &c), OK);
    forged = c;
    forged.past[0].until++;
    assert_int_equal(put_over(CORRESPONDENT_KEPT, &forged), ERR_DENIED); /* another past */
    forged = c;
    forged.npast = 0;
    assert_int_equal(put_over(CORRESPONDENT_KEPT, &forged), ERR_DENIED);
    c.revoked = true;
    assert_int_equal(put_over(CORRESPONDENT_KEPT, &c), OK);
    c.revoked = false;
    assert_int_equal(put_over(CORRESPONDENT_KEPT, &c), ERR_DENIED);

    b.client->who = VAULT_MAY_ADMIN;
    c = *there(CORRESPONDENT_KEPT, BOB, seen);
    c.key.from = KNOWN_BY_HAND;
    c.revoked = false;
    assert_int_equal(put_over(CORRESPONDENT_KEPT, &c), OK);
    b.client->who = VAULT_MAY_INGEST;
    c.key.from = KNOWN_DNSSEC;
    assert_int_equal(put_over(CORRESPONDENT_KEPT, &c), ERR_DENIED); /* the administrator's word */
    c.key.from = KNOWN_BY_HAND;
    forged = c;
    correspondent_turn(&forged, &third, CORRESPONDENT_FOLLOWED, test_now);
    assert_int_equal(put_over(CORRESPONDENT_KEPT, &forged), ERR_DENIED);
    assert_int_equal(there(CORRESPONDENT_KEPT, BOB, seen)->npast, 1);

    assert_int_equal(put(CORRESPONDENT_KEPT, fresh("carl@example.net", 1, KNOWN_BY_HAND), NULL), ERR_DENIED);
    assert_int_equal(put(CORRESPONDENT_KEPT, fresh("carl@example.net", 1, KNOWN_AUTOCRYPT), NULL), ERR_DENIED);
    assert_int_equal(put(CORRESPONDENT_INCOMING, fresh("carl@example.net", 1, KNOWN_DOMAIN), NULL), ERR_DENIED);
    bench_close(&b);
}

/* A past has so many keys, the newest first. */
static void the_past_is_bounded(void **state)
{
    uint8_t seen[CORRESPONDENT_SEEN];
    begin();
    assert_int_equal(put(CORRESPONDENT_KEPT, fresh(BOB, 0, KNOWN_DOMAIN), NULL), OK);
    for (uint8_t n = 1; n <= 20; n++) {
        struct correspondent c = *there(CORRESPONDENT_KEPT, BOB, seen);
        const struct correspondent_key next = key_of(n, KNOWN_DOMAIN);
        correspondent_turn(&c, &next, CORRESPONDENT_FOLLOWED, test_now);
        assert_int_equal(put_over(CORRESPONDENT_KEPT, &c), OK);
    }
    const struct correspondent *c = there(CORRESPONDENT_KEPT, BOB, seen);
    assert_int_equal(c->npast, CORRESPONDENT_PAST);
    for (uint8_t i = 0; i < CORRESPONDENT_PAST; i++)
        assert_int_equal(c->past[i].key.fpr[0], 19 - i);
    bench_close(&b);
}

/* None makes room for another: whose key was forgotten would count as never seen. */
static void what_is_kept_is_bounded(void **state)
{
    const struct pgp_verdict v = verdict_of(1);
    struct correspondent *c;
    begin();
    set_counts(&(struct correspondents){.kept = CORRESPONDENTS_MAX});
    assert_int_equal(put(CORRESPONDENT_KEPT, fresh(BOB, 1, KNOWN_DOMAIN), NULL), ERR_FULL);
    set_counts(&(struct correspondents){.kept = 1, .octets = CORRESPONDENT_OCTETS - 99});
    c = fresh(BOB, 1, KNOWN_DOMAIN);
    c->verdict = v;
    c->key.fpr_len = v.primary_fpr_len;
    memcpy(c->key.fpr, v.primary_fpr, v.primary_fpr_len);
    c->len = 100;
    assert_int_equal(put(CORRESPONDENT_KEPT, c, NULL), ERR_QUOTA);
    c->len = 0; /* its fingerprint alone */
    assert_int_equal(put(CORRESPONDENT_KEPT, c, NULL), OK);
    c->len = 99;
    assert_int_equal(put_over(CORRESPONDENT_KEPT, c), OK);
    assert_int_equal(counts().kept, 2);
    assert_int_equal(counts().octets, CORRESPONDENT_OCTETS);
    b.client->who = VAULT_MAY_ADMIN;
    assert_int_equal(del(CORRESPONDENT_KEPT, BOB), OK);
    assert_int_equal(del(CORRESPONDENT_KEPT, BOB), OK);
    assert_int_equal(counts().kept, 1);
    assert_int_equal(counts().octets, CORRESPONDENT_OCTETS - 99);
    bench_close(&b);
}

/* What comes with strangers' mail makes room for its like, and for nothing else. */
static void strangers_push_out_strangers_alone(void **state)
{
    char address[64];
    uint8_t seen[CORRESPONDENT_SEEN];
    unsigned left = 0;
    begin();
    assert_int_equal(put(CORRESPONDENT_KEPT, fresh(BOB, 1, KNOWN_DOMAIN), NULL), OK);
    assert_int_equal(put(CORRESPONDENT_INCOMING, fresh("first@example.net", 1, KNOWN_AUTOCRYPT), NULL), OK);
    test_now += 10;
    set_counts(&(struct correspondents){.kept = 1, .incoming = INCOMING_MAX - 10});
    for (unsigned n = 0; n < 40; n++) {
        snprintf(address, sizeof(address), "n%u@example.net", n);
        assert_int_equal(put(CORRESPONDENT_INCOMING, fresh(address, 1, KNOWN_AUTOCRYPT), NULL), OK);
    }
    for (unsigned n = 0; n < 40; n++) {
        snprintf(address, sizeof(address), "n%u@example.net", n);
        left += there(CORRESPONDENT_INCOMING, address, seen) != NULL;
    }
    assert_int_equal(counts().incoming, INCOMING_MAX);
    assert_null(there(CORRESPONDENT_INCOMING, "first@example.net", seen)); /* not heard of for longest */
    assert_int_equal(left, 11);
    assert_non_null(there(CORRESPONDENT_KEPT, BOB, seen));
    bench_close(&b);
}

static void what_cannot_be_read_is_refused(void **state)
{
    struct correspondent c = *fresh(BOB, 1, KNOWN_DOMAIN);
    static struct correspondent got;
    size_t len;
    c.other = key_of(2, KNOWN_SERVER);
    c.npast = 2;
    for (unsigned i = 0; i < 2; i++) {
        c.past[i].key = key_of((uint8_t)(3 + i), KNOWN_DOMAIN);
        c.past[i].end = CORRESPONDENT_FOLLOWED;
    }
    c.verdict = verdict_of(1);
    c.key.fpr_len = c.verdict.primary_fpr_len;
    memcpy(c.key.fpr, c.verdict.primary_fpr, c.key.fpr_len);
    c.len = 10;
    assert_int_equal(correspondent_pack(&c, packed, &len), OK);
    assert_int_equal(correspondent_unpack(packed, len, &got), OK);
    for (size_t n = 0; n < len; n++)
        assert_int_equal(correspondent_unpack(packed, n, &got), ERR_FORMAT);
    packed[0] = 2;
    assert_int_equal(correspondent_unpack(packed, len, &got), ERR_VERSION);
    packed[0] = 1;
    c.key.fpr[0] ^= 1; /* another key than the certificate's */
    assert_int_equal(correspondent_pack(&c, packed, &len), OK);
    assert_int_equal(correspondent_unpack(packed, len, &got), ERR_FORMAT);
    c.len = 0;
    c.key.from = KNOWN_ACCOUNT;
    assert_int_equal(correspondent_pack(&c, packed, &len), OK);
    assert_int_equal(correspondent_unpack(packed, len, &got), ERR_FORMAT);
    c.address[0] = '\0';
    assert_int_equal(correspondent_pack(&c, packed, &len), ERR_LIMIT);
}

static void of_nobody_nothing_is_kept(void **state)
{
    begin();
    b.account++;
    assert_int_equal(put(CORRESPONDENT_KEPT, fresh(BOB, 1, KNOWN_DOMAIN), NULL), ERR_NOT_FOUND);
    bench_close(&b);
}

/* A notice is noted before it goes: so many a day, whichever process asks, and of one correspondent one. */
static void notices_are_counted(void **state)
{
    uint8_t seen[CORRESPONDENT_SEEN];
    struct correspondent c;
    char address[32];
    begin();
    assert_int_equal(put(CORRESPONDENT_KEPT, fresh(BOB, 1, KNOWN_DOMAIN), NULL), OK);
    c = *there(CORRESPONDENT_KEPT, BOB, seen);
    c.told = test_now;
    assert_int_equal(put(CORRESPONDENT_KEPT, &c, seen), OK);
    c.told += CORRESPONDENT_TOLD_EVERY - 1;
    assert_int_equal(put_over(CORRESPONDENT_KEPT, &c), ERR_LIMIT);
    c.told++;
    assert_int_equal(put_over(CORRESPONDENT_KEPT, &c), OK);
    c.told = 0;
    assert_int_equal(put_over(CORRESPONDENT_KEPT, &c), ERR_LIMIT); /* nor is it taken back */
    assert_int_equal(counts().told, 2);
    for (unsigned i = counts().told; i < CORRESPONDENTS_TOLD_DAY + 2; i++) {
        const int err = i < CORRESPONDENTS_TOLD_DAY ? OK : ERR_LIMIT;
        snprintf(address, sizeof(address), "n%u@example.net", i);
        assert_int_equal(put(CORRESPONDENT_KEPT, fresh(address, 1, KNOWN_DOMAIN), NULL), OK);
        c = *there(CORRESPONDENT_KEPT, address, seen);
        c.told = test_now;
        assert_int_equal(put_over(CORRESPONDENT_KEPT, &c), err);
    }
    c.told = 0;
    c.seen++;
    assert_int_equal(put_over(CORRESPONDENT_KEPT, &c), OK); /* all else goes on */
    test_now += 86400;
    c.told = test_now;
    assert_int_equal(put_over(CORRESPONDENT_KEPT, &c), OK);
    assert_int_equal(counts().told, 1);
    c = *fresh("mail@example.net", 1, KNOWN_AUTOCRYPT);
    c.told = test_now;
    assert_int_equal(put(CORRESPONDENT_INCOMING, &c, NULL), ERR_DENIED);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_processes_and_one_record),
        cmocka_unit_test(nothing_is_forgotten),
        cmocka_unit_test(the_past_is_bounded),
        cmocka_unit_test(what_is_kept_is_bounded),
        cmocka_unit_test(notices_are_counted),
        cmocka_unit_test(strangers_push_out_strangers_alone),
        cmocka_unit_test(what_cannot_be_read_is_refused),
        cmocka_unit_test(of_nobody_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
