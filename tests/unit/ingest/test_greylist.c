/* Who is put off, and until when: tries and origins, several processes, one that lies, floods. */
#include "server/ingest/mx/greylist.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "server/core/error.h"

enum { N = 3, WAIT = 300, KEEP = 35 * 24 * 3600 };
#define S(n) (START + (uint64_t)(n)*1000)
static const uint64_t START = 1000000;
static const char A[] = "192.0.2.1", SENDER[] = "a@one.test", TO[] = "alice@example.org";
static struct greylist *one, *lists[N];
static struct tally *tally[N];

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage ss = {.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET};
    void *at = ss.ss_family == AF_INET ? (void *)&((struct sockaddr_in *)&ss)->sin_addr
                                       : (void *)&((struct sockaddr_in6 *)&ss)->sin6_addr;

    assert_int_equal(inet_pton(ss.ss_family, text, at), 1);
    return ss;
}

static bool try(struct greylist *g, const char *peer, const char *sender, const char *to, uint64_t now)
{
    const struct sockaddr_storage ss = address(peer);

    return greylist_try(g, &(struct greylist_origin){&ss, ""}, sender, to, now);
}

static bool passed(struct greylist *g, const char *peer, uint64_t now)
{
    const struct sockaddr_storage ss = address(peer);

    return greylist_has_passed(g, &(struct greylist_origin){&ss, ""}, now);
}

static void pass(struct greylist *g, const char *peer, uint64_t now)
{
    const struct sockaddr_storage ss = address(peer);

    greylist_pass(g, &(struct greylist_origin){&ss, ""}, now);
}

static int setup_one(void **state)
{
    one = greylist_create(NULL);
    greylist_limits(one, WAIT, KEEP);
    return 0;
}

static int teardown_one(void **state)
{
    greylist_destroy(one);
    return 0;
}

static int setup(void **state)
{
    static const uint8_t key[TALLY_KEY_SIZE] = "sixteen octets.";
    int own[N], others[N], fds[N - 1];

    for (int i = 0; i < N; i++)
        assert_int_equal(tally_page(key, &own[i], &others[i]), OK);
    for (int i = 0; i < N; i++) {
        for (int k = 0, n = 0; k < N; k++)
            if (k != i)
                fds[n++] = others[k];
        assert_int_equal(tally_open(own[i], fds, N - 1, &tally[i]), OK);
        lists[i] = greylist_create(tally[i]);
        greylist_limits(lists[i], WAIT, KEEP);
    }
    for (int i = 0; i < N; i++) {
        close(own[i]);
        close(others[i]);
    }
    return 0;
}

static int teardown(void **state)
{
    for (int i = 0; i < N; i++) {
        greylist_destroy(lists[i]);
        tally_close(tally[i]);
    }
    return 0;
}

static void test_the_same_try_after_the_wait(void **state)
{
    assert_false(try(one, A, SENDER, TO, START));
    assert_false(try(one, A, SENDER, TO, S(WAIT - 1))); /* which does not begin it anew */
    assert_false(try(one, A, "b@one.test", TO, S(WAIT)));
    assert_false(try(one, A, SENDER, "bob@example.org", S(WAIT)));
    assert_false(try(one, "198.51.100.1", SENDER, TO, S(WAIT)));
    assert_true(try(one, "192.0.2.254", SENDER, TO, S(WAIT))); /* of its network */
    assert_true(try(one, A, SENDER, TO, S(GREYLIST_TRY)));
    assert_false(try(one, A, SENDER, TO, S(GREYLIST_TRY + 1)));
    assert_true(try(one, A, SENDER, TO, S(GREYLIST_TRY + 1 + WAIT)));
}

/* What ends one field and begins the next counts. */
static void test_fields_are_apart(void **state)
{
    char longest[600];

    assert_false(try(one, A, "a@one.test", "b@example.org", START));
    assert_false(try(one, A, "a@one.testb", "@example.org", S(WAIT)));
    assert_false(try(one, A, "", TO, START));
    assert_true(try(one, A, "", TO, S(WAIT)));
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_false(try(one, A, longest, longest, START));
    assert_true(try(one, A, longest, longest, S(WAIT)));
    assert_false(try(one, "2001:db8:1:1::1", SENDER, TO, START));
    assert_true(try(one, "2001:db8:1:2::1", SENDER, TO, S(WAIT)));
    assert_false(try(one, "2001:db8:2:1::1", SENDER, TO, S(WAIT)));
}

static void test_a_network_that_has_passed(void **state)
{
    assert_false(passed(one, A, START));
    pass(one, A, START);
    assert_true(passed(one, "192.0.2.77", S(KEEP))); /* and counts anew from here */
    assert_true(passed(one, A, S(2 * KEEP)));
    assert_false(passed(one, "192.0.3.1", S(KEEP)));
    assert_false(passed(one, A, S(3 * KEEP + 1)));
    greylist_limits(one, WAIT, 3600); /* as a reload has it */
    pass(one, A, START);
    assert_false(passed(one, A, S(3601)));
}

/* A proven domain is one wherever it sends from, and no network. */
static void test_a_domain_that_is_proven(void **state)
{
    const struct sockaddr_storage a = address(A), b = address("2001:db8::1");
    char longest[300];
    const struct greylist_origin from_a = {&a, "one.test"}, from_b = {&b, "one.test"}, others = {&a, "two.test"},
                                 nobodys = {&a, ""}, long_one = {&a, longest};

    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_false(greylist_try(one, &from_a, SENDER, TO, START));
    assert_false(greylist_try(one, &nobodys, SENDER, TO, S(WAIT)));
    assert_false(greylist_try(one, &others, SENDER, TO, S(WAIT)));
    assert_false(greylist_try(one, &long_one, SENDER, TO, S(WAIT)));
    assert_true(greylist_try(one, &from_b, SENDER, TO, S(WAIT)));
    greylist_pass(one, &from_b, S(WAIT));
    assert_true(greylist_has_passed(one, &from_a, S(WAIT)));
    assert_false(greylist_has_passed(one, &nobodys, S(WAIT)) || passed(one, "2001:db8::1", S(WAIT)));
    assert_false(greylist_has_passed(one, &others, S(WAIT)));
    assert_false(greylist_try(one, &(struct greylist_origin){&a, "three.test"}, "xa", TO, START));
    assert_false(greylist_try(one, &(struct greylist_origin){&a, "three.testx"}, "a", TO, S(WAIT)));
}

static void test_processes_share(void **state)
{
    assert_false(try(lists[0], A, SENDER, TO, START));
    assert_true(try(lists[1], A, SENDER, TO, S(WAIT)));
    pass(lists[1], A, S(WAIT));
    assert_true(passed(lists[2], A, S(WAIT + 1)));
    greylist_destroy(lists[1]); /* the page stays, as master has it */
    assert_true(passed(lists[0], A, S(WAIT + 1)));
    lists[1] = greylist_create(tally[1]);
    greylist_limits(lists[1], WAIT, KEEP);
    assert_true(passed(lists[1], A, S(WAIT + 1)));
}

/* A process that is subverted writes what it likes, all the time: whoever waits has waited. */
static void lie(uint32_t moment)
{
    uint64_t *words = tally_words(tally[0]);

    for (size_t i = TALLY_DEBTS_WORDS; i < TALLY_WORDS; i++)
        words[i] = words[i] >> 32 << 32 | moment;
}

static void test_lies_put_nobody_off(void **state)
{
    static const uint32_t lies[] = {0, 1, 1001, 1001 + WAIT, UINT32_MAX};

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        char sender[32];

        snprintf(sender, sizeof(sender), "%zu@one.test", i);
        try(lists[0], A, sender, TO, START);
        lie(lies[i]);
        try(lists[1], A, sender, TO, START);
        lie(lies[i]);
        assert_true(try(lists[1], A, sender, TO, S(WAIT)));
    }
    try(lists[0], A, SENDER, TO, START);
    for (uint32_t n = 0; n < WAIT; n++) { /* always as if it came for the first time */
        lie(1001 + n);
        assert_false(try(lists[1], A, SENDER, TO, S(n)));
    }
    lie(1001 + WAIT);
    assert_true(try(lists[1], A, SENDER, TO, S(WAIT)));
    pass(lists[1], A, START);
    lie(0);
    assert_true(passed(lists[1], A, START));
}

/* Whatever comes: who was told to come again is let through then, and who has passed has passed. */
static void test_floods(void **state)
{
    size_t through = 0;
    char to[64];

    pass(one, "203.0.113.1", START);
    assert_false(try(one, A, SENDER, TO, START));
    for (int i = 0; i < 4 * TALLY_GREYLIST_WORDS; i++) {
        snprintf(to, sizeof(to), "%d@example.org", i);
        through += try(one, "198.51.100.1", SENDER, to, START);
    }
    assert_in_range(through, 3 * TALLY_GREYLIST_WORDS, 4 * TALLY_GREYLIST_WORDS - 1); /* there was no room */
    assert_true(try(one, A, SENDER, TO, S(GREYLIST_RETRY)));
    assert_true(passed(one, "203.0.113.1", START));
    assert_false(try(one, "198.51.100.2", SENDER, "new@example.org", S(GREYLIST_RETRY + 1))); /* and now there is */
    for (int i = 0; i < 4 * TALLY_GREYLIST_WORDS; i++) { /* in the place of what is old */
        snprintf(to, sizeof(to), "%d@example.org", i);
        (void)try(one, "198.51.100.3", SENDER, to, S(GREYLIST_RETRY + 1));
    }
    assert_true(passed(one, "203.0.113.1", S(GREYLIST_RETRY + 1)));
}

/* A clock that was read a while before the other's. */
static void test_clocks_apart(void **state)
{
    assert_false(try(lists[0], A, SENDER, TO, S(5)));
    assert_false(try(lists[1], A, SENDER, TO, START));
    pass(lists[0], A, S(5));
    assert_true(passed(lists[1], A, START));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_same_try_after_the_wait, setup_one, teardown_one),
        cmocka_unit_test_setup_teardown(test_fields_are_apart, setup_one, teardown_one),
        cmocka_unit_test_setup_teardown(test_a_network_that_has_passed, setup_one, teardown_one),
        cmocka_unit_test_setup_teardown(test_a_domain_that_is_proven, setup_one, teardown_one),
        cmocka_unit_test_setup_teardown(test_floods, setup_one, teardown_one),
        cmocka_unit_test_setup_teardown(test_processes_share, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lies_put_nobody_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clocks_apart, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
