/* What others report of a domain's mail: each report once, whoever floods with them, and for 13 months. */
#include "tests/support/vault_support.h"

#include <stdio.h>

#include "store/dmarc_day_impl.h"

enum { DAY = 86400, TODAY = 19675 };

static struct bench b;

static int setup(void **state)
{
    (void)state;
    test_now = (uint64_t)TODAY * DAY + 40000;
    bench_mem(&b, true);
    bench_account(&b);
    assert_int_equal(domain_add_call(&b, "example.com"), OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bench_close(&b);
    return 0;
}

static struct vault_request report(const char *reporter, const char *id, bool proven)
{
    return (struct vault_request){.type = VAULT_DMARC_REPORT,
                                  .dmarc = {.domain = slice_str("example.org"),
                                            .day = TODAY - 1,
                                            .proven = proven,
                                            .reporter = slice_str(reporter),
                                            .id = slice_str(id),
                                            .sums = {10, 7, 6, 5, 2, 1}}};
}

static int tell(const char *reporter, const char *id, bool proven)
{
    const struct vault_request q = report(reporter, id, proven);
    return request(&b, &q, -1);
}

static int tell_new(const char *reporter, const char *id, bool proven)
{
    int err = tell(reporter, id, proven);
    if (err == OK)
        assert_false(b.r.duplicate);
    return err;
}

static const struct dmarc_day *day_of(const char *domain, uint32_t day)
{
    static struct dmarc_day d;
    struct engine_txn *t;
    assert_int_equal(engine_read_begin(b.inner, &t), OK);
    assert_int_equal(schema_get_dmarc_day(t, b.keys, domain, day, &d), OK);
    (void)engine_read_end(t);
    return &d;
}

static const struct dmarc_day *yesterday(void)
{
    return day_of("example.org", TODAY - 1);
}

static int count_one(void *arg, struct slice key, struct slice value)
{
    ++*(uint32_t *)arg;
    assert_in_range(value.len, 1, ENGINE_VALUE_MAX);
    return key.len == 21 ? 0 : ERR_FORMAT;
}

static uint32_t records(void)
{
    struct schema_keybuf from, to;
    struct engine_txn *t;
    uint32_t n = 0;
    assert_int_equal(engine_read_begin(b.inner, &t), OK);
    assert_int_equal(engine_scan(t, PART_INSTANCE, key_simple(&from, 'D'), key_simple(&to, 'E'), 0, count_one, &n), OK);
    (void)engine_read_end(t);
    return n;
}

/* The id is who brought it, and what they call it: nobody takes another's place by knowing it. */
static void test_once(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        assert_int_equal(tell("example.net", "1", true), OK);
        assert_int_equal(b.r.duplicate, round > 0);
        assert_int_equal(tell("example.net", "1", false), OK); /* who says to be it */
        assert_int_equal(b.r.duplicate, round > 0);
        assert_int_equal(tell("other.example.net", "1", true), OK);
        assert_int_equal(b.r.duplicate, round > 0);
        assert_int_equal(tell("example.net", "2", true), OK);
        assert_int_equal(b.r.duplicate, round > 0);
    }
    const struct dmarc_day *d = yesterday();
    assert_int_equal(d->n, 4);
    assert_int_equal(d->more, 0);
    assert_true(d->v[0].proven && !d->v[1].proven);
    assert_string_equal(d->v[2].reporter, "other.example.net");
    assert_int_equal(d->v[3].sums.passed, 7);
    assert_int_equal(records(), 1);
}

static void test_what_does_not_count(void **state)
{
    static const struct {
        const char *domain;
        uint32_t day;
        int err;
    } rows[] = {
        {"example.net", TODAY, ERR_NOT_FOUND},
        {"", TODAY, ERR_NOT_FOUND},
        {"EXAMPLE.org", TODAY, ERR_NOT_FOUND},
        {"example.org", TODAY + 2, ERR_REFUSED},
        {"example.org", UINT32_MAX, ERR_REFUSED},
        {"example.org", TODAY - DMARC_DAYS_LATE - 1, ERR_REFUSED},
        {"example.org", 0, ERR_REFUSED},
        {"example.org", TODAY + 1, OK}, /* their clock, or their time zone */
        {"example.org", TODAY - DMARC_DAYS_LATE, OK},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct vault_request q = report("example.net", "1", true);
        q.dmarc.domain = slice_str(rows[i].domain);
        q.dmarc.day = rows[i].day;
        assert_int_equal(request(&b, &q, -1), rows[i].err);
    }
    assert_int_equal(records(), 2);
}

/* Of strangers there are as many as they like: those whom DMARC proves take their places. */
static void test_a_flood(void **state)
{
    char name[32];
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "Flood %u", i);
        assert_int_equal(tell_new(name, "1", false), OK);
    }
    const struct dmarc_day *d = yesterday();
    assert_int_equal(d->n, DMARC_DAY_REPORTS);
    assert_int_equal(d->more, 1000 - DMARC_DAY_REPORTS);
    for (unsigned i = 0; i < DMARC_DAY_REPORTS - 1; i++) {
        snprintf(name, sizeof(name), "n%u.example.net", i);
        assert_int_equal(tell_new(name, "1", true), OK);
        assert_int_equal(tell(name, "1", true), OK);
        assert_true(b.r.duplicate);
    }
    unsigned proven = 0;
    d = yesterday();
    for (unsigned i = 0; i < d->n; i++)
        proven += d->v[i].proven;
    assert_int_equal(proven, DMARC_DAY_REPORTS - 1);
    assert_int_equal(d->more, 1000 - 1);
    assert_int_equal(d->beyond.messages, 10 * (1000 - 1));
    assert_int_equal(tell_new("last.example.net", "1", true), OK);
    assert_int_equal(tell_new("too.late.example.net", "1", true), OK);
    d = yesterday();
    assert_int_equal(d->n, DMARC_DAY_REPORTS);
    assert_int_equal(d->more, 1000 + 1);
    assert_int_equal(records(), 1);
}

/* Nor has one whom DMARC proves more than some. */
static void test_one_reporter(void **state)
{
    char id[16];
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(id, sizeof(id), "%u", i);
        assert_int_equal(tell_new("example.net", id, true), OK);
    }
    assert_int_equal(tell_new("other.example.net", "1", true), OK);
    const struct dmarc_day *d = yesterday();
    assert_int_equal(d->n, DMARC_DAY_OF_ONE + 1);
    assert_int_equal(d->more, 100 - DMARC_DAY_OF_ONE);
}

static void test_sums_do_not_run_over(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DMARC_DAY_OF_ONE + 3; i++) {
        struct vault_request q = report("example.net", i % 2 ? "a" : "b", true);
        char id[16];
        snprintf(id, sizeof(id), "%u", i);
        q.dmarc.id = slice_str(id);
        q.dmarc.sums = (struct dmarc_sums){UINT32_MAX, UINT32_MAX, UINT32_MAX, 0, 0, UINT32_MAX};
        q.dmarc.nnetworks = 1;
        q.dmarc.networks[0] = (struct dmarc_network){3, {192, 0, 2}, UINT32_MAX};
        assert_int_equal(request(&b, &q, -1), OK);
    }
    const struct dmarc_day *d = yesterday();
    assert_true(d->beyond.messages == UINT32_MAX && d->beyond.passed == UINT32_MAX && d->beyond.by_spf == 0);
    assert_int_equal(d->nnetworks, 1);
    assert_true(d->networks[0].messages == UINT32_MAX);
}

/* The largest stay; of what nobody proves there are none. */
static void test_networks(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= 100; i++) {
        struct vault_request q = report("", "1", i % 2);
        char name[32];
        snprintf(name, sizeof(name), "n%u.example.net", i);
        q.dmarc.reporter = slice_str(name);
        q.dmarc.nnetworks = 2;
        q.dmarc.networks[0] = (struct dmarc_network){3, {10, 0, i}, 1000u + i};
        q.dmarc.networks[1] = (struct dmarc_network){6, {0x20, 1}, 1};
        assert_int_equal(request(&b, &q, -1), OK);
    }
    const struct dmarc_day *d = yesterday();
    assert_int_equal(d->nnetworks, DMARC_DAY_NETWORKS);
    for (uint32_t i = 0; i < d->nnetworks; i++) {
        assert_int_equal(d->networks[i].len, 3);
        assert_true(d->networks[i].octets[2] % 2 == 1);
    }
}

/* Bytes that no request has. */
static void test_hostile(void **state)
{
    static const struct dmarc_sums wrong[] = {
        {9, 10, 0, 0, 0, 0}, {9, 5, 6, 0, 0, 0}, {9, 5, 0, 6, 0, 0}, {9, 0, 0, 0, 10, 0}, {9, 0, 0, 0, 0, 10}};
    static uint8_t out[8192];
    struct pack p;
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct vault_request q = report("example.net", "1", true);
        q.dmarc.sums = wrong[i];
        pack_init(&p, out, sizeof(out));
        vault_request_pack(&p, &q);
        assert_true(p.failed);
    }
    for (uint8_t len = 0; len < 20; len++) {
        struct vault_request q = report("example.net", "1", true);
        q.dmarc.nnetworks = 1;
        q.dmarc.networks[0] = (struct dmarc_network){.len = len};
        pack_init(&p, out, sizeof(out));
        vault_request_pack(&p, &q);
        assert_int_equal(p.failed, len != 3 && len != 6);
    }
    struct vault_request q = report("example.net", "1", true);
    q.dmarc.nnetworks = 1;
    q.dmarc.networks[0] = (struct dmarc_network){3, {10, 0, 0, 1}, 1};
    pack_init(&p, out, sizeof(out));
    vault_request_pack(&p, &q);
    assert_true(p.failed);
}

static void chores(void)
{
    while (vault_chores(b.vault))
        ;
}

/* Every third day for 3 years, of two domains: 13 months of it are there. */
static void test_they_go(void **state)
{
    (void)state;
    for (uint32_t day = TODAY; day < TODAY + 3 * 365; day += 3) {
        test_now = (uint64_t)day * DAY;
        for (int i = 0; i < 2; i++) {
            struct vault_request q = report("example.net", "1", true);
            q.dmarc.domain = slice_str(i ? "example.com" : "example.org");
            q.dmarc.day = day;
            assert_int_equal(request(&b, &q, -1), OK);
        }
        if (day % 5 == 0)
            chores();
    }
    chores();
    assert_in_range(records(), 2 * (DMARC_DAYS_KEPT / 3), 2 * (DMARC_DAYS_KEPT / 3 + 1));
    assert_int_equal(day_of("example.org", TODAY + 3 * 364)->n, 1);
    assert_int_equal(day_of("example.com", TODAY + 300)->n, 0);
    test_now += (uint64_t)500 * DAY; /* and with nothing new */
    chores();
    assert_int_equal(records(), 0);
}

static void test_with_their_domain(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 90; i++) {
        struct vault_request q = report("example.net", "1", true);
        test_now += DAY;
        q.dmarc.day = TODAY + i;
        q.dmarc.domain = slice_str("example.com");
        assert_int_equal(request(&b, &q, -1), OK);
    }
    struct vault_request q = report("example.net", "1", true);
    q.dmarc.day = TODAY + 90;
    assert_int_equal(request(&b, &q, -1), OK);
    assert_int_equal(records(), 91);
    const struct vault_request gone = {.type = VAULT_DOMAIN_REMOVE, .name.text = slice_str("example.com")};
    assert_int_equal(request(&b, &gone, -1), OK);
    assert_int_equal(records(), 1);
    assert_int_equal(day_of("example.org", TODAY + 90)->n, 1);
}

/* Nobody has the address to which they come. */
static void test_reserved(void **state)
{
    static const char *const names[] = {"dmarc-reports@example.org", "DMARC-Reports@example.com",
                                        "key-submission@example.org"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(account_add_call(&b, names[i], 0, 0, 7), ERR_REFUSED);
    assert_int_equal(account_add_call(&b, "dmarc-report@example.org", 0, 0, 7), OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_once),
        TEST(test_what_does_not_count),
        TEST(test_a_flood),
        TEST(test_one_reporter),
        TEST(test_sums_do_not_run_over),
        TEST(test_networks),
        TEST(test_hostile),
        TEST(test_they_go),
        TEST(test_with_their_domain),
        TEST(test_reserved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
