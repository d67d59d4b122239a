/* MTA-STS policies in the store, that several processes write: the newest one stays, and what is over goes. The store,
 * the vault and the clock are the test's; records are sealed as they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/relay/sts_kept.h"

enum { RECORDS = 600 };

static struct loop *loop;
static struct sts_kept *kept;
static struct record_keys *keys;
static uint64_t clock_now;

static struct record {
    uint8_t hash[RECORD_HASH_SIZE], sealed[STS_POLICY_RECORD_MAX];
    size_t len; /* 0: it is gone */
} records[RECORDS];
static unsigned nrecords, puts_asked, dels_asked;
static void (*meanwhile)(void); /* before the vault looks at a request */

static uint64_t now(void)
{
    return clock_now;
}

/* ---- the store ---- */

const struct record_keys *view_keys(const struct view *v)
{
    return keys;
}

int view_run(struct view *v, int (*fn)(void *arg, struct view *v), void *arg)
{
    return fn(arg, v);
}

static struct record *at(const uint8_t hash[RECORD_HASH_SIZE])
{
    for (unsigned i = 0; i < nrecords; i++)
        if (memcmp(records[i].hash, hash, RECORD_HASH_SIZE) == 0 && records[i].len > 0)
            return &records[i];
    return NULL;
}

int view_sts_policy(struct view *v, const char *domain, struct sts_policy *ret, uint8_t seen[QUEUE_SEEN_SIZE])
{
    uint8_t hash[RECORD_HASH_SIZE];
    const struct record *r;

    sts_policy_hash(keys, domain, hash);
    memset(seen, 0, QUEUE_SEEN_SIZE);
    if (!(r = at(hash)))
        return ERR_NOT_FOUND;
    memcpy(seen, r->sealed + 1, QUEUE_SEEN_SIZE);
    return sts_policy_open(keys, hash, slice_of(r->sealed, r->len), ret);
}

int view_sts_policies_each(struct view *v, const uint8_t after[RECORD_HASH_SIZE],
                           int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err,
                                     const struct sts_policy *p, const uint8_t seen[QUEUE_SEEN_SIZE]),
                           void *arg)
{
    int err = OK;

    for (unsigned i = 0; i < nrecords && err == OK; i++) {
        const struct record *r = &records[i];
        struct sts_policy p = {0};
        int is;

        if (r->len == 0 || memcmp(r->hash, after, RECORD_HASH_SIZE) <= 0)
            continue;
        is = sts_policy_open(keys, r->hash, slice_of(r->sealed, r->len), &p);
        err = fn(arg, r->hash, is, &p, r->sealed + 1);
    }
    return err;
}

static int by_hash(const void *a, const void *b)
{
    return memcmp(((const struct record *)a)->hash, ((const struct record *)b)->hash, RECORD_HASH_SIZE);
}

static struct sts_policy policy(const char *domain, uint64_t fetched, uint64_t age, const char *text)
{
    struct sts_policy p = {.fetched = fetched, .expires = fetched + age, .id = "1", .len = (uint32_t)strlen(text)};

    snprintf(p.domain, sizeof(p.domain), "%s", domain);
    memcpy(p.text, text, p.len);
    return p;
}

static void store(const char *domain, uint64_t fetched, uint64_t age, const char *text)
{
    const struct sts_policy p = policy(domain, fetched, age, text);
    uint8_t hash[RECORD_HASH_SIZE];
    struct record *r;

    sts_policy_hash(keys, domain, hash);
    if (!(r = at(hash))) {
        assert_true(nrecords < RECORDS);
        r = &records[nrecords++];
    }
    assert_int_equal(sts_policy_seal(keys, &p, r->hash, r->sealed, &r->len), OK);
}

/* ---- the vault: what docs/ipc.md says of these requests ---- */

static struct answer {
    struct defer later;
    vault_reply_fn *fn;
    void *arg;
    int status;
} answers[RECORDS];
static unsigned nanswers;

static void reply(void *arg)
{
    struct answer *a = arg;

    a->fn(a->arg, a->status, NULL);
}

int vault_client_request(struct vault_client *c, const struct vault_request *q, int fd, vault_reply_fn *fn, void *arg,
                         uint64_t *ret_id)
{
    struct answer *a = &answers[nanswers++];
    struct record *r;

    assert_true(nanswers < RECORDS);
    if (meanwhile)
        meanwhile();
    *a = (struct answer){.fn = fn, .arg = arg};
    r = at(q->sts.hash);
    if (r && memcmp(r->sealed + 1, q->sts.seen, QUEUE_SEEN_SIZE) != 0) {
        a->status = ERR_CONFLICT;
    } else if (q->type == VAULT_STS_DEL) {
        if (r)
            r->len = 0;
    } else {
        r = r ? r : &records[nrecords++];
        memcpy(r->hash, q->sts.hash, RECORD_HASH_SIZE);
        memcpy(r->sealed, q->sts.record.data, q->sts.record.len);
        r->len = q->sts.record.len;
    }
    *(q->type == VAULT_STS_PUT ? &puts_asked : &dels_asked) += 1;
    defer_set(loop, &a->later, reply, a);
    return OK;
}

/* ---- tests ---- */

static void wake(void *arg)
{
    loop_stop(loop);
}

static void settle(void)
{
    struct timer *t = timer_create_in(loop, wake, NULL);

    timer_set(t, 1);
    assert_int_equal(loop_run(loop), OK);
    timer_destroy(t);
    nanswers = 0;
}

static void write_one(uint64_t fetched, const char *text)
{
    const struct sts_policy p = policy("d.example", fetched, 1000, text);

    sts_kept_write(kept, &p);
    settle();
}

static const char *there(void)
{
    static struct sts_policy p;

    if (sts_kept_read(kept, "d.example", &p) != OK)
        return "";
    assert_in_range(p.len, 1, sizeof(p.text) - 1);
    p.text[p.len] = '\0';
    return (const char *)p.text;
}

static int up(void **state)
{
    static const uint8_t root[RECORD_KEY_SIZE] = {1};

    loop = loop_create();
    keys = record_keys_of_root(root);
    kept = sts_kept_create(loop, NULL, NULL, now);
    clock_now = 1000000;
    nrecords = nanswers = puts_asked = dels_asked = 0;
    meanwhile = NULL;
    return loop && keys && kept ? 0 : -1;
}

static int down(void **state)
{
    sts_kept_destroy(kept);
    record_keys_destroy(keys);
    loop_destroy(loop);
    return 0;
}

static void the_newest_one_stays(void **state)
{
    assert_string_equal(there(), "");
    write_one(999000, "first");
    assert_string_equal(there(), "first");
    write_one(999500, "second");
    assert_string_equal(there(), "second");
    write_one(999400, "late");
    assert_string_equal(there(), "second");
    assert_int_equal(puts_asked, 2);
    store("d.example", clock_now + 1, 1000, "of a wrong clock");
    write_one(999600, "third");
    assert_string_equal(there(), "third");
    records[0].sealed[60] ^= 1; /* damage is written over */
    assert_string_equal(there(), "");
    write_one(999000, "fourth");
    assert_string_equal(there(), "fourth");
}

static void another_writes_newer(void)
{
    meanwhile = NULL;
    store("d.example", 999900, 1000, "newer");
}

static void another_writes_older(void)
{
    meanwhile = NULL;
    store("d.example", 999100, 1000, "older");
}

static void another_never_ends(void)
{
    store("d.example", 999100, 1000, "older");
}

static void of_two_at_once_the_newest_one_stays(void **state)
{
    meanwhile = another_writes_newer;
    write_one(999500, "mine");
    assert_string_equal(there(), "newer");
    assert_int_equal(puts_asked, 1);
    nrecords = 0;
    meanwhile = another_writes_older;
    write_one(999500, "mine");
    assert_string_equal(there(), "mine");
    assert_int_equal(puts_asked, 3);
    meanwhile = another_never_ends;
    write_one(999600, "mine");
    assert_in_range(puts_asked, 5, 10); /* and then it is left */
}

static void who_ends_waits_for_nobody(void **state)
{
    const struct sts_policy p = policy("d.example", 999500, 1000, "mine");

    sts_kept_write(kept, &p);
    sts_kept_destroy(kept);
    defer_cancel(loop, &answers[0].later);
    assert_non_null(kept = sts_kept_create(loop, NULL, NULL, now));
}

static void what_is_over_goes(void **state)
{
    char name[32];
    unsigned left = 0;

    for (int i = 0; i < RECORDS; i++) {
        snprintf(name, sizeof(name), "d%d.example", i);
        store(name, clock_now - 100, i % 2 ? 100 : 101, "text");
    }
    qsort(records, nrecords, sizeof(records[0]), by_hash);
    for (int i = 0; i < 4; i++) {
        sts_kept_prune(kept);
        settle();
    }
    assert_int_equal(dels_asked, RECORDS / 2);
    for (int i = 0; i < RECORDS; i++) {
        snprintf(name, sizeof(name), "d%d.example", i);
        struct sts_policy p;
        const int err = sts_kept_read(kept, name, &p);
        assert_int_equal(err, i % 2 ? ERR_NOT_FOUND : OK);
        left += err == OK;
    }
    assert_int_equal(left, RECORDS / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_newest_one_stays, up, down),
        cmocka_unit_test_setup_teardown(of_two_at_once_the_newest_one_stays, up, down),
        cmocka_unit_test_setup_teardown(who_ends_waits_for_nobody, up, down),
        cmocka_unit_test_setup_teardown(what_is_over_goes, up, down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
