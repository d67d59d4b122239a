/* What peers owe: bursts, waiting in a line, what is forgiven, networks, several processes, and one that lies. */
#include "server/base/debts.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "server/core/error.h"

enum { BURST = 20, MINUTE = 30, ERROR_MS = 60 * 1000 / MINUTE, NONE = -1 };
static const uint64_t START = 1000000;

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage ss = {.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET};
    void *at = ss.ss_family == AF_INET ? (void *)&((struct sockaddr_in *)&ss)->sin_addr
                                       : (void *)&((struct sockaddr_in6 *)&ss)->sin6_addr;

    assert_int_equal(inet_pton(ss.ss_family, text, at), 1);
    return ss;
}

/* The wait, or NONE when refused. */
static int64_t ask(struct debts *d, const char *peer, uint64_t now)
{
    struct sockaddr_storage ss = address(peer);
    uint64_t wait = 12345;
    int err = debts_ask(d, &ss, now, &wait);

    if (err == OK)
        return (int64_t)wait;
    assert_int_equal(err, ERR_LIMIT);
    assert_int_equal(wait, 12345);
    return NONE;
}

static int64_t add(struct debts *d, const char *peer, uint64_t now)
{
    struct sockaddr_storage ss = address(peer);
    uint64_t wait = 12345;
    int err = debts_add(d, &ss, now, &wait);

    if (err == OK)
        return (int64_t)wait;
    assert_int_equal(err, ERR_LIMIT);
    return NONE;
}

static void forgive(struct debts *d, const char *peer, uint64_t now)
{
    struct sockaddr_storage ss = address(peer);

    debts_forgive(d, &ss, now);
}

static struct debts *make(struct tally *t)
{
    struct debts *d = debts_create(t, DEBTS_PEERS);

    debts_limits(d, BURST, MINUTE);
    return d;
}

static void burst(struct debts *d, const char *peer, uint64_t now)
{
    for (int i = 0; i < BURST; i++) {
        assert_int_equal(ask(d, peer, now), 0);
        assert_int_equal(add(d, peer, now), 0);
    }
}

static void test_burst_line_and_refusal(void **state)
{
    struct debts *d = make(NULL);
    uint64_t now = START;

    burst(d, "192.0.2.1", now);
    for (int i = 1; i <= DEBTS_WAIT_MS / ERROR_MS; i++) /* each waits for those before it */
        assert_int_equal(ask(d, "192.0.2.1", now), i * ERROR_MS);
    assert_int_equal(ask(d, "192.0.2.1", now), NONE);
    assert_int_equal(ask(d, "192.0.2.1", now), NONE); /* which costs nothing more */
    now += ERROR_MS;
    assert_int_equal(ask(d, "192.0.2.1", now), DEBTS_WAIT_MS);
    assert_int_equal(ask(d, "198.51.100.1", now), 0); /* others do not wait */
    now += 2 * DEBTS_WAIT_MS + BURST * ERROR_MS;
    burst(d, "192.0.2.1", now); /* all is forgiven */
    assert_int_equal(ask(d, "192.0.2.1", now), ERROR_MS);
    debts_destroy(d);
    debts_destroy(NULL);
}

/* However it asks, in any time: never more tries than the burst and what was forgiven. */
static void test_rate(void **state)
{
    struct debts *d = make(NULL);
    unsigned tried = 0, seconds = 600;
    uint64_t due[64] = {0};

    for (uint64_t now = START; now < START + seconds * 1000; now += 7) {
        for (int i = 0; i < 64; i++) {
            int64_t wait = 0;
            if (due[i] > now)
                continue;
            if (due[i]) {
                tried++; /* it fails: it was counted when it was asked for */
                due[i] = 0;
            }
            wait = ask(d, "192.0.2.1", now);
            if (wait == 0) {
                tried++;
                add(d, "192.0.2.1", now);
            } else if (wait != NONE) {
                due[i] = now + (uint64_t)wait;
            }
        }
    }
    assert_in_range(tried, seconds * MINUTE / 60, BURST + seconds * MINUTE / 60);
    debts_destroy(d);
}

static void test_right_answers_are_free(void **state)
{
    struct debts *d = make(NULL);
    uint64_t now = START;

    burst(d, "192.0.2.1", now);
    for (int i = 0; i < 1000; i++) { /* the first waits, and those behind it find its place free */
        int64_t wait = ask(d, "192.0.2.1", now);
        assert_int_equal(wait, i == 0 ? ERROR_MS : 0);
        now += (uint64_t)wait;
        if (wait)
            forgive(d, "192.0.2.1", now);
    }
    assert_int_equal(add(d, "192.0.2.1", now), 0);
    assert_int_equal(ask(d, "192.0.2.1", now), ERROR_MS);
    debts_destroy(d);
}

/* Bad commands are counted past what anybody waits for, but what is owed has an end. */
static void test_added_without_asking(void **state)
{
    struct debts *d = make(NULL);

    burst(d, "192.0.2.1", START);
    for (int i = 1; i <= DEBTS_WAIT_MS / ERROR_MS; i++)
        assert_int_equal(add(d, "192.0.2.1", START), i * ERROR_MS);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(add(d, "192.0.2.1", START), NONE);
    assert_int_equal(ask(d, "192.0.2.1", START + DEBTS_WAIT_MS), ERROR_MS);
    assert_int_equal(ask(d, "192.0.2.1", START + DEBTS_WAIT_MS + BURST * ERROR_MS), 0);
    debts_destroy(d);
}

static uint64_t take(struct debts *d, const char *peer, uint64_t now)
{
    struct sockaddr_storage ss = address(peer);
    uint64_t wait = 12345;

    debts_take(d, &ss, now, &wait);
    return wait;
}

/* What is had at once or not at all: the burst, then one each time that one is forgiven, however often it is asked. */
static void test_taken(void **state)
{
    struct debts *d = make(NULL);
    uint64_t now = START;
    unsigned had = 0;

    for (int i = 0; i < BURST; i++)
        assert_int_equal(take(d, "2001:db8::1", now), 0);
    for (int i = 0; i < 1000; i++) /* by its neighbours in the /64 as well, and it costs nothing more */
        assert_int_equal(take(d, i % 2 ? "2001:db8::1" : "2001:db8::ffff:1", now), ERROR_MS);
    assert_int_equal(take(d, "2001:db8:0:1::1", now), 0);
    assert_int_equal(take(d, "192.0.2.1", now), 0);
    assert_int_equal(take(d, "2001:db8::1", now + ERROR_MS / 2), ERROR_MS / 2);
    for (; now < START + 60 * 1000; now += 100)
        had += take(d, "2001:db8::1", now) == 0;
    assert_in_range(had, MINUTE - 1, MINUTE);
    for (int i = 0, all = 0; i < 100; i++) { /* a /48 has a multiple */
        char peer[64];

        snprintf(peer, sizeof(peer), "2001:db8:7:%x::1", i);
        for (int k = 0; k < BURST; k++)
            all += take(d, peer, now) == 0;
        assert_in_range(all, 0, BURST * DEBTS_NETWORK);
        assert_true(i < DEBTS_NETWORK || all == BURST * DEBTS_NETWORK);
    }
    debts_destroy(d);
}

static void test_networks(void **state)
{
    static const char *const of_one[] = {"192.0.2.%d", "2001:db8:7:%x::1"};
    static const char *const elsewhere[] = {"192.0.3.1", "2001:db8:8::1"};
    char peer[64];

    for (int f = 0; f < 2; f++) {
        struct debts *d = make(NULL);
        int errors = 0, waiting = 0;

        for (int i = 1; i < 200; i++) {
            int64_t wait;
            snprintf(peer, sizeof(peer), of_one[f], i);
            for (int k = 0; k < 5; k++) {
                wait = ask(d, peer, START);
                if (wait == 0)
                    errors++, add(d, peer, START);
                else if (wait != NONE)
                    waiting++;
            }
        }
        assert_int_equal(errors, DEBTS_NETWORK * BURST);
        assert_int_equal(waiting, DEBTS_NETWORK * DEBTS_WAIT_MS / ERROR_MS);
        assert_int_equal(ask(d, elsewhere[f], START), 0);
        debts_destroy(d);
    }
    /* An IPv6 peer is its /64. */
    struct debts *d = make(NULL);
    burst(d, "2001:db8::1", START);
    assert_int_equal(ask(d, "2001:db8::2:1", START), ERROR_MS);
    assert_int_equal(ask(d, "2001:db8:0:1::1", START), 0);
    debts_destroy(d);
}

static void test_more_peers_than_there_is_room_for(void **state)
{
    struct debts *d = make(NULL);
    char peer[64];

    burst(d, "192.0.2.1", START);
    for (unsigned i = 0; i < 200000; i++) { /* each owes less than that one */
        snprintf(peer, sizeof(peer), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        add(d, peer, START);
    }
    assert_int_equal(ask(d, "192.0.2.1", START), ERROR_MS);
    debts_destroy(d);
}

/* ---- several processes ---- */

enum { N = 3 };
static const uint8_t key[TALLY_KEY_SIZE] = "0123456789abcde";
static int own[N], read_only[N];
static struct tally *tally[N];
static struct debts *debts[N];

static void open_one(int i)
{
    int others[N], n = 0;

    for (int k = 0; k < N; k++)
        if (k != i)
            others[n++] = read_only[k];
    assert_int_equal(tally_open(own[i], others, (size_t)n, &tally[i]), OK);
    debts[i] = make(tally[i]);
}

static void close_one(int i)
{
    debts_destroy(debts[i]);
    tally_close(tally[i]);
}

static int setup(void **state)
{
    for (int i = 0; i < N; i++)
        assert_int_equal(tally_page(key, &own[i], &read_only[i]), OK);
    for (int i = 0; i < N; i++)
        open_one(i);
    return 0;
}

static int teardown(void **state)
{
    for (int i = 0; i < N; i++) {
        close_one(i);
        close(own[i]);
        close(read_only[i]);
    }
    return 0;
}

static void test_together(void **state)
{
    for (int i = 0; i < BURST; i++) {
        assert_int_equal(ask(debts[i % N], "192.0.2.1", START), 0);
        assert_int_equal(add(debts[i % N], "192.0.2.1", START), 0);
    }
    for (int i = 1; i <= DEBTS_WAIT_MS / ERROR_MS; i++)
        assert_int_equal(ask(debts[i % N], "192.0.2.1", START), i * ERROR_MS);
    for (int i = 0; i < N; i++) {
        assert_int_equal(ask(debts[i], "192.0.2.1", START), NONE);
        assert_int_equal(ask(debts[i], "198.51.100.1", START), 0);
    }
}

/* What a process has counted is not forgotten when it dies. */
static void test_death(void **state)
{
    burst(debts[0], "192.0.2.1", START);
    close_one(0);
    tally_clear(own[0], key);
    assert_int_equal(ask(debts[1], "192.0.2.1", START), ERROR_MS);
    open_one(0);
    assert_int_equal(ask(debts[0], "192.0.2.1", START), 2 * ERROR_MS);
}

static int64_t pace(struct debts *d, uint64_t account, uint8_t what, uint64_t now)
{
    uint64_t wait = 12345;
    int err = debts_pace(d, account, what, now, &wait);

    if (err == OK)
        return (int64_t)wait;
    assert_int_equal(err, ERR_LIMIT);
    assert_int_equal(wait, 12345);
    return NONE;
}

/* Each account by itself, each of its doings by itself, none beside what peers owe; over all processes. */
static void test_accounts(void **state)
{
    struct debts *sending[N];
    const uint64_t mallory = 7, alice = 8;

    for (int i = 0; i < N; i++) {
        assert_non_null(sending[i] = debts_create(tally[i], DEBTS_ACCOUNTS));
        debts_limits(sending[i], BURST, MINUTE);
    }
    for (int i = 0; i < BURST; i++)
        assert_int_equal(pace(sending[i % N], mallory, 0, START), 0);
    for (int i = 1; i <= DEBTS_WAIT_MS / ERROR_MS; i++)
        assert_int_equal(pace(sending[i % N], mallory, 0, START), i * ERROR_MS);
    assert_int_equal(pace(sending[0], mallory, 0, START), NONE);
    assert_int_equal(pace(sending[1], mallory, 0, START), NONE); /* which costs nothing */
    assert_int_equal(pace(sending[0], mallory, 0, START + ERROR_MS), DEBTS_WAIT_MS);
    for (int i = 0; i < BURST; i++) {
        assert_int_equal(pace(sending[i % N], mallory, 1, START), 0);
        assert_int_equal(pace(sending[i % N], alice, 0, START), 0);
    }
    assert_int_equal(pace(sending[0], alice, 0, START), ERROR_MS);
    burst(debts[0], "192.0.2.1", START);
    assert_int_equal(ask(debts[1], "192.0.2.1", START), ERROR_MS);
    assert_int_equal(pace(sending[1], alice, 0, START + 2 * BURST * ERROR_MS), 0); /* all is forgiven */
    for (int i = 0; i < N; i++)
        debts_destroy(sending[i]);
}

/* A process that is subverted writes what it likes into its page. It can have peers wait, as long as it goes on writing
 * moments that could be; it takes away nothing. */
static void test_lies(void **state)
{
    static const uint64_t lies[] = {0, 1, START, START + 3600 * 1000, (UINT64_C(1) << 40) - 1};
    uint64_t *words = tally_words(tally[0]);

    burst(debts[1], "192.0.2.1", START);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        for (size_t k = 0; k < TALLY_WORDS; k++)
            words[k] = (words[k] >> 40 << 40) | lies[i];
        assert_int_equal(ask(debts[1], "198.51.100.1", START), 0);
        assert_int_equal(ask(debts[1], "192.0.2.1", START), (int64_t)(i + 1) * ERROR_MS);
    }
    burst(debts[0], "198.51.100.1", START); /* there is a word of this peer now */
    for (size_t k = 0; k < TALLY_WORDS; k++)
        words[k] = (words[k] >> 40 << 40) | (START + BURST * ERROR_MS + DEBTS_WAIT_MS);
    assert_int_equal(ask(debts[1], "198.51.100.1", START), NONE);
    assert_int_equal(ask(debts[1], "198.51.100.1", START + DEBTS_WAIT_MS + BURST * ERROR_MS),
                     0); /* it ends by itself */
}

/* A clock that was read a while before the other's. */
static void test_clocks_apart(void **state)
{
    for (int i = 0; i < 1000; i++)
        add(debts[0], "192.0.2.1", START + 3000);
    assert_int_equal(ask(debts[1], "192.0.2.1", START), NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_line_and_refusal),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_right_answers_are_free),
        cmocka_unit_test(test_added_without_asking),
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_more_peers_than_there_is_room_for),
        cmocka_unit_test_setup_teardown(test_together, setup, teardown),
        cmocka_unit_test_setup_teardown(test_death, setup, teardown),
        cmocka_unit_test_setup_teardown(test_accounts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clocks_apart, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
