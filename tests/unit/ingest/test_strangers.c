/* Keys of people elsewhere as the sessions of a process share them: looked for once, by so many at a time, kept within
 * bounds, and not lost because a domain does not answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/dns/dns.h"
#include "server/fetch/fetch.h"
#include "server/ingest/submission/strangers.h"
#include "tests/support/published_cert.h"

static struct loop *loop;
static struct strangers *s;
static struct config config;

/* ---- in place of resolver's and fetcher's clients: each page is answered when the test says so ---- */

struct fetch_request {
    struct fetch_request *next, **at;
    fetch_fn *fn;
    void *arg;
};
struct dns_question {
    struct defer later;
    dns_fn *fn;
    void *arg;
};
static struct fetch_request *pages;
static unsigned npages, asked;

static void on_name(void *arg)
{
    static const struct dns_answer nothing = {.exists = false, .ttl = 60, .canonical = "x"};
    struct dns_question *q = arg;
    q->fn(q->arg, OK, &nothing);
    free(q);
}

int dns_ask(struct dns *d, enum dns_type type, const char *name, dns_fn *fn, void *arg, struct dns_question **ret)
{
    struct dns_question *q = calloc(1, sizeof(*q));
    assert_non_null(q);
    q->fn = fn, q->arg = arg;
    defer_set(loop, &q->later, on_name, q);
    *ret = q;
    return OK;
}

void dns_cancel(struct dns_question *q)
{
    defer_cancel(loop, &q->later);
    free(q);
}

static void leave(struct fetch_request *q)
{
    *q->at = q->next;
    if (q->next)
        q->next->at = q->at;
    npages--;
}

int fetch_ask(struct fetch *f, enum fetch_kind kind, const char *url, const char *type, struct slice body, fetch_fn *fn,
              void *arg, struct fetch_request **ret)
{
    struct fetch_request *q = calloc(1, sizeof(*q));
    assert_non_null(q);
    assert_int_equal(kind, FETCH_KEY);
    *q = (struct fetch_request){.next = pages, .at = &pages, .fn = fn, .arg = arg};
    if (pages)
        pages->at = &q->next;
    pages = q;
    npages++;
    asked++;
    *ret = q;
    return OK;
}

void fetch_cancel(struct fetch_request *q)
{
    leave(q);
    free(q);
}

static void answer(int err, struct slice cert)
{
    const struct fetch_answer a = {.status = cert.len ? 200 : 404, .type = "", .body = cert};
    struct fetch_request *q = pages;
    leave(q);
    q->fn(q->arg, err, err ? NULL : &a);
    free(q);
}

/* ---- turns of the loop ---- */

static void on_turn(void *arg)
{
    loop_stop(loop);
}

static void turn(void)
{
    struct timer *t = timer_create_in(loop, on_turn, NULL);
    assert_non_null(t);
    timer_set(t, 1);
    assert_int_equal(loop_run(loop), OK);
    timer_destroy(t);
}

/* All that is asked for, and is asked for then. */
static void answer_all(int err, struct slice cert)
{
    do {
        while (pages)
            answer(err, cert);
        turn();
    } while (pages);
}

static const struct slice none;
static unsigned woken;

static void ready(void *arg)
{
    woken++;
    if (arg)
        *(struct strangers_wait **)arg = NULL;
}

static int ask_for(uint64_t account, const char *address, struct known **ret, struct strangers_wait **wait)
{
    const struct strangers_asker who = {account, ready, wait};
    return submission_strangers_ask(s, address, &who, ret, wait);
}

static int setup(void **state)
{
    loop = loop_create();
    s = loop ? submission_strangers_create(loop, NULL, NULL) : NULL;
    config = (struct config){.discover_wait = 60};
    asked = woken = 0;
    if (s)
        submission_strangers_configure(s, &config);
    return s ? 0 : -1;
}

static int teardown(void **state)
{
    submission_strangers_destroy(s);
    assert_int_equal(npages, 0);
    loop_destroy(loop);
    return 0;
}

/* ---- the tests ---- */

static struct slice cert_of(const char *uid)
{
    static uint8_t cert[PUBLISHED_CERT_MAX];
    const char *const uids[] = {uid, NULL};
    struct pgp_verdict v;
    return slice_of(cert, published_cert(1, uids, cert, &v));
}

static void looked_for_once(void **state)
{
    struct strangers_wait *one = NULL, *two = NULL, *gone = NULL;
    struct known *k = NULL;
    assert_int_equal(ask_for(1, "ann@example.org", &k, &one), STRANGERS_LATER);
    assert_int_equal(ask_for(2, "ANN@Example.ORG", &k, &two), STRANGERS_LATER);
    assert_int_equal(ask_for(3, "ann@example.org", &k, &gone), STRANGERS_LATER);
    assert_int_equal(ask_for(4, "ann@example.org", &k, NULL), STRANGERS_LATER);
    assert_true(one && two && gone);
    submission_strangers_cancel(gone);
    turn();
    assert_int_equal(woken, 0);
    answer_all(OK, cert_of("ann@example.org"));
    assert_int_equal(woken, 2);
    assert_null(one);
    assert_int_equal(asked, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask_for(5, "ann@example.org", &k, &one), OK);
        assert_int_equal(k->from, KNOWN_DOMAIN);
        assert_int_equal(k->n, 1);
        assert_non_null(k->keys[0].native);
        known_free(k);
    }
    assert_int_equal(asked, 1);
    assert_int_equal(submission_strangers_counts(s).found, 1);
}

static void what_is_no_address(void **state)
{
    static const char *const odd[] = {"ann", "", "ann@[192.0.2.1]", "@example.org"};
    struct strangers_wait *w = NULL;
    struct known *k = NULL;
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++)
        assert_int_equal(ask_for(1, odd[i], &k, &w), ERR_NO_KEY);
    config.discover_wait = 0;
    submission_strangers_configure(s, &config);
    assert_int_equal(ask_for(1, "ann@example.org", &k, &w), ERR_NO_KEY);
    assert_int_equal(asked, 0);
}

/* One account has its share and no more, all of them so many; who finds no place is told when there is one. */
static void so_many_at_a_time(void **state)
{
    enum { ACCOUNTS = STRANGERS_SEARCHES / STRANGERS_SEARCHES_ACCOUNT + 1, OF_EACH = 2 * STRANGERS_SEARCHES_ACCOUNT };
    static struct strangers_wait *waits[ACCOUNTS][OF_EACH];
    struct known *k = NULL;
    char address[64];
    for (unsigned a = 0; a < ACCOUNTS; a++) {
        for (unsigned i = 0; i < OF_EACH; i++) {
            snprintf(address, sizeof(address), "u%u@d%u.example", i, a);
            assert_int_equal(ask_for(a + 1, address, &k, &waits[a][i]), STRANGERS_LATER);
        }
        const unsigned all = STRANGERS_SEARCHES_ACCOUNT * (a + 1);
        assert_int_equal(npages, all < STRANGERS_SEARCHES ? all : STRANGERS_SEARCHES);
    }
    answer_all(OK, none);
    assert_int_equal(woken, ACCOUNTS * OF_EACH);
    assert_int_equal(asked, STRANGERS_SEARCHES); /* who was told asks again */
    snprintf(address, sizeof(address), "u%u@d0.example", OF_EACH - 1);
    assert_int_equal(ask_for(1, address, &k, &waits[0][0]), STRANGERS_LATER);
    answer_all(OK, none);
    assert_int_equal(ask_for(1, address, &k, &waits[0][0]), ERR_NO_KEY);
}

static void no_more_than_so_many(void **state)
{
    struct known *k = NULL;
    char address[64];
    for (unsigned i = 0; i < STRANGERS_MAX + 500; i++) {
        snprintf(address, sizeof(address), "u%u@example.org", i);
        assert_int_equal(ask_for(1, address, &k, NULL), STRANGERS_LATER);
        while (pages)
            answer(OK, none);
        if (i % 16 == 0)
            turn();
    }
    turn();
    assert_int_equal(submission_strangers_counts(s).now, STRANGERS_MAX);
    assert_int_equal(ask_for(1, address, &k, NULL), ERR_NO_KEY);               /* the last one */
    assert_int_equal(ask_for(1, "u0@example.org", &k, NULL), STRANGERS_LATER); /* the first one is forgotten */
    answer_all(OK, none);
}

static void a_domain_that_does_not_answer(void **state)
{
    static const int passing[] = {ERR_TIMEOUT, ERR_AGAIN, ERR_CRYPTO, ERR_GONE},
                     final[] = {ERR_DENIED, ERR_MOVED, ERR_LIMIT};
    struct known *k = NULL;
    char address[64];
    for (size_t i = 0; i < 4; i++) {
        snprintf(address, sizeof(address), "p%zu@example.org", i);
        assert_int_equal(ask_for(1, address, &k, NULL), STRANGERS_LATER);
        answer_all(passing[i], none);
        assert_int_equal(ask_for(1, address, &k, NULL), ERR_AGAIN);
    }
    for (size_t i = 0; i < 3; i++) {
        snprintf(address, sizeof(address), "f%zu@example.org", i);
        assert_int_equal(ask_for(1, address, &k, NULL), STRANGERS_LATER);
        answer_all(final[i], none);
        assert_int_equal(ask_for(1, address, &k, NULL), ERR_NO_KEY);
    }
}

/* Asked anew since there is another key server: nobody can take the key away by being silent, only by having none. */
static void silence_takes_no_key_away(void **state)
{
    struct known *k = NULL;
    strcpy(config.discover_key_server, "vks:keys.example");
    submission_strangers_configure(s, &config);
    assert_int_equal(ask_for(1, "ann@example.org", &k, NULL), STRANGERS_LATER);
    answer(OK, none); /* the domain */
    turn();
    answer_all(OK, cert_of("ann@example.org"));
    assert_int_equal(ask_for(1, "ann@example.org", &k, NULL), OK);
    assert_int_equal(k->from, KNOWN_SERVER);
    known_free(k);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(config.discover_key_server, sizeof(config.discover_key_server), "vks:keys%u.example", i);
        submission_strangers_configure(s, &config);
        assert_int_equal(ask_for(1, "ann@example.org", &k, NULL), STRANGERS_LATER);
        answer_all(i ? OK : ERR_TIMEOUT, none);
        assert_int_equal(ask_for(1, "ann@example.org", &k, NULL), i ? ERR_NO_KEY : OK);
        if (!i)
            known_free(k);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(looked_for_once),
        TEST(what_is_no_address),
        TEST(so_many_at_a_time),
        TEST(no_more_than_so_many),
        TEST(a_domain_that_does_not_answer),
        TEST(silence_takes_no_key_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
