/* Who stands well, and who is ended when places or memory are short. Time is what the test makes of it: it moves what a
 * place has into the past. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "server/core/error.h"
#include "server/service/budget.h"
#include "server/service/place_impl.h"

enum { N = 200, SESSIONS = 100, BUDGET = 6400000 };

static struct loop *l;
static struct peers *peers;
static struct places *ps;

static struct session {
    struct place place;
    bool there, kept;
    enum place_why why; /* it was ended */
} s[N];

static struct session *of(const struct place *p)
{
    return (struct session *)((char *)p - offsetof(struct session, place));
}

static bool may_end(const struct place *p, enum place_why why)
{
    return !of(p)->kept;
}

static void leave(unsigned i)
{
    budget_give(&s[i].place, s[i].place.held);
    place_end(&s[i].place);
    s[i].there = false;
}

static void on_end(struct place *p, enum place_why why)
{
    of(p)->why = why;
    leave((unsigned)(of(p) - s));
}

static int setup(void **state)
{
    memset(s, 0, sizeof(s));
    l = loop_create();
    peers = peers_create(1000);
    ps = places_create(&(struct places_params){.loop = l, .peers = peers, .may_end = may_end, .end = on_end});
    places_limit(ps, &(struct places_limits){
                         .sessions = SESSIONS, .octets = BUDGET, .sessions_peer = 50, .octets_peer = BUDGET});
    return 0;
}

static int teardown(void **state)
{
    for (unsigned i = 0; i < N; i++)
        if (s[i].there)
            leave(i);
    assert_int_equal(places_sessions(ps), 0);
    assert_int_equal(budget_taken(ps), 0);
    assert_int_equal(peers_networks(peers), 0);
    places_destroy(ps);
    peers_destroy(peers);
    loop_destroy(l);
    return 0;
}

/* Session i, of the address. */
static struct place *come(unsigned i, uint32_t address)
{
    struct sockaddr_storage ss = {.ss_family = AF_INET};
    uint32_t peer;

    ((struct sockaddr_in *)&ss)->sin_addr.s_addr = htonl(address);
    assert_int_equal(places_enter(ps, &ss, &peer), OK);
    place_begin(ps, &s[i].place, peer);
    s[i].there = true;
    return &s[i].place;
}

static void later(struct place *p, uint64_t ms)
{
    p->came_ms -= ms;
    p->good_ms -= ms;
    p->calm_ms -= ms;
    if (p->content_ms) {
        p->content_ms -= ms;
        p->flow_ms -= ms;
    }
}

static void stop(void *arg)
{
    loop_stop(arg);
}

static void turn(uint64_t ms)
{
    struct timer *t = timer_create_in(l, stop, l);

    timer_set(t, ms);
    assert_int_equal(loop_run(l), OK);
    timer_destroy(t);
}

static int64_t stands(const struct place *p)
{
    return (int64_t)(p->good_ms - loop_now_ms(l));
}

static void test_standing(void **state)
{
    struct place *p = come(0, 0x0a000001);

    turn(100);
    later(p, 100000); /* the loop's clock stands still in a test's turn */
    p->good_ms = loop_now_ms(l) + 1000;
    place_content_begin(p);
    assert_int_equal(stands(p), 1000); /* beginning buys nothing by itself */
    place_content(p, 2000);
    assert_int_equal(stands(p), 3000);
    place_content(p, 1 << 20);
    assert_int_equal(stands(p), PLACE_CONTENT_MS);
    later(p, PLACE_CONTENT_MS + 8000);
    place_content(p, 5000);
    assert_int_equal(stands(p), -3000); /* what is owed is paid first */
    place_step(p);
    assert_int_equal(stands(p), PLACE_STEP_MS);
    place_content(p, 4000);
    place_step(p);
    assert_int_equal(stands(p), 9000); /* takes nothing away */
}

static void test_who_costs_most(void **state)
{
    for (unsigned i = 0; i < 10; i++)
        later(come(i, 0x0a000001 + (i << 8)), i < 5 ? 1000 : 6000 + 100 * i);
    later(come(10, 0x0a000701), 5500); /* two of one network are no crowd */
    turn(10);
    budget_take(&s[6].place, 64000);
    assert_true(places_shed(ps));
    assert_true(!s[6].there && s[6].why == PLACE_SHED); /* holds more */
    s[9].kept = true;
    assert_true(places_shed(ps) && !s[8].there);
    assert_true(places_shed(ps) && !s[7].there);
    assert_true(places_shed(ps) && !s[5].there);
    assert_true(places_shed(ps) && !s[10].there);
    assert_false(places_shed(ps));
    assert_int_equal(places_sessions(ps), 6);
    assert_int_equal(places_ended(ps, PLACE_SHED), 5);
}

/* A network with more than its share goes first, though others have been silent for longer; within it as well. */
static void test_networks_first(void **state)
{
    unsigned n = 0;

    for (; n < 10; n++) /* one each, and four of one address */
        later(come(n, 0x0a000001 + (n << 8)), 60000);
    for (; n < 13; n++)
        later(come(n, 0x0a000001), 60000);
    for (; n < 53; n++) /* a /24 of many */
        later(come(n, 0x0b000001 + n), 5100 + n);
    turn(10);
    for (unsigned i = 0; i < 30; i++) {
        assert_true(places_shed(ps));
        assert_true(!s[52 - i].there);
    }
}

/* A network that has all it may have, of sessions that bring nothing: one goes for each neighbour that comes. */
static void test_neighbours(void **state)
{
    struct sockaddr_storage ss = {.ss_family = AF_INET};
    uint32_t peer;

    places_limit(ps, &(struct places_limits){.sessions = SESSIONS, .sessions_peer = 5, .octets = BUDGET});
    for (unsigned i = 0; i < 40; i++)
        come(i, 0x0a000001 + i / 5);
    turn(100);
    ((struct sockaddr_in *)&ss)->sin_addr.s_addr = htonl(0x0a0000ff);
    assert_int_equal(places_enter(ps, &ss, &peer), ERR_LIMIT); /* all stand well */
    turn(60);
    later(&s[7].place, 9000);
    later(&s[8].place, 8000);
    come(40, 0x0a0000ff);
    assert_true(!s[7].there && s[7].why == PLACE_SHED && s[8].there);
    assert_int_equal(places_enter(ps, &ss, &peer), ERR_LIMIT); /* not so often */
    turn(60);
    ((struct sockaddr_in *)&ss)->sin_addr.s_addr = htonl(0x0a000001);
    assert_int_equal(places_enter(ps, &ss, &peer), ERR_LIMIT); /* for its own limit nobody goes */
    assert_true(s[8].there);
    come(41, 0x0a0000fe);
    assert_true(!s[8].there);
}

/* Where all stand well, standing becomes dearer, until somebody's is over. */
static void test_dear(void **state)
{
    struct place *slow = come(0, 0x0a000001), *fast = come(1, 0x0a000101);
    unsigned price = ps->price;

    assert_false(places_shed(ps));
    assert_int_equal(ps->price, 1); /* not at once */

    for (unsigned i = 0; i < 12 && s[0].there; i++) {
        turn(1);
        for (unsigned second = 0; second < 5; second++) {
            later(slow, 1000);
            later(fast, 1000);
            place_content(slow, 1500);
            place_content(fast, 20000);
        }
        ps->dry_ms -= 6000;
        places_shed(ps);
        assert_true(ps->price >= price && ps->price <= PLACE_DEAREST);
        price = ps->price;
    }
    assert_false(s[0].there);
    assert_true(s[1].there && stands(fast) > 0);
}

/* Steps cost who makes them next to nothing: while standing is dear they keep nobody for long. */
static void test_steps_without_end(void **state)
{
    struct place *steps = come(0, 0x0a000001), *known = come(1, 0x0a000101);

    for (unsigned second = 0; second < 600; second++) {
        later(steps, 1000);
        later(known, 1000);
        place_step(steps);
        place_step(known);
    }
    turn(1);
    assert_true(stands(steps) > PLACE_STEP_MS - 1000);
    ps->price = PLACE_DEAREST;
    for (unsigned second = 0; second < 6; second++) {
        later(steps, 1000);
        place_step(steps);
        later(known, 1000);
        place_anew(known);
    }
    assert_true(stands(steps) < 0);
    assert_true(stands(known) > 0);
    assert_true(places_shed(ps));
    assert_true(!s[0].there && s[1].there);
}

/* A reload may leave far more sessions than places; and nobody is accepted then for whom others would go. */
static void test_fewer_places(void **state)
{
    for (unsigned i = 0; i < 60; i++)
        later(come(i, 0x0a000001 + (i << 8)), i < 20 ? 0 : 6000);
    places_limit(ps, &(struct places_limits){
                         .sessions = SESSIONS / 10, .octets = BUDGET, .sessions_peer = 50, .octets_peer = BUDGET});
    turn(1200);
    assert_int_equal(places_sessions(ps), 20);
    for (unsigned i = 0; i < 20; i++)
        later(&s[i].place, 6000);
    turn(1200);
    assert_true(places_sessions(ps) == SESSIONS / 10);
}

static void test_memory(void **state)
{
    struct place *a = come(0, 0x0a000001), *b = come(1, 0x0a000101), *c = come(2, 0x0a000201), *d = come(3, 0x0a000301);

    turn(1);
    assert_int_equal(budget_take(a, BUDGET / 2), OK);
    assert_int_equal(budget_take(b, BUDGET / 4), OK);
    place_content_begin(a);
    place_content_begin(b);
    place_content(a, BUDGET / 2);
    place_content(b, BUDGET / 4);
    assert_true(places_stressed(ps) || ps->octets == BUDGET / 4 * 3);
    /* The last quarter is for who holds little. */
    assert_int_equal(budget_take(b, BUDGET / 8), ERR_AGAIN);
    assert_int_equal(budget_take(c, BUDGET / 64), OK);
    assert_int_equal(budget_take(c, BUDGET / 64), ERR_AGAIN);
    assert_true(budget_little(c, BUDGET / 64) && !budget_little(c, BUDGET / 64 + 1));
    assert_true(s[0].there && s[1].there);
    /* Who brings nothing makes room; who does stays. */
    turn(1);
    later(a, PLACE_STALL_MS + 100);
    later(d, 60000); /* holds nothing */
    assert_int_equal(budget_take(b, BUDGET / 8), OK);
    assert_true(!s[0].there && s[0].why == PLACE_OCTETS);
    assert_true(s[3].there && places_ended(ps, PLACE_OCTETS) == 1);
    /* Not the one that asks; nor whose message is whole. */
    turn(1);
    later(b, 20000);
    assert_int_equal(budget_fits(b, BUDGET / 8 * 5), ERR_AGAIN);
    assert_true(s[1].there);
    s[1].kept = true;
    assert_int_equal(budget_take(d, BUDGET / 4 * 3), ERR_AGAIN);
    assert_int_equal(budget_take(d, BUDGET + 1), ERR_LIMIT);
    assert_true(s[1].there);
    /* A message that has been coming for more than a minute may go as well, however well it stands. */
    s[1].kept = false;
    turn(1);
    later(b, PLACE_HOLD_MS);
    b->flow_ms = loop_now_ms(l) + PLACE_STALL_MS;
    assert_int_equal(budget_take(d, BUDGET / 4 * 3), OK);
    assert_true(!s[1].there && s[2].there);
}

/* A small message that has just come, or has just begun to, is not ended because larger ones stand as well. */
static void test_a_small_message(void **state)
{
    struct place *a = come(0, 0x0a000001), *b = come(1, 0x0a000101), *c = come(2, 0x0a000201);

    turn(1);
    later(b, 10000); /* it was slow to begin */
    place_content_begin(a);
    assert_int_equal(budget_take(a, BUDGET / 8 * 7), OK);
    place_content(a, BUDGET / 8 * 7);
    place_content_begin(b);
    assert_int_equal(budget_take(b, 500), OK);
    place_content(b, 500);
    assert_int_equal(budget_take(c, BUDGET / 8), ERR_AGAIN);
    assert_true(s[0].there && s[1].there);
    /* Who waits until it brings nothing has the larger one's. */
    turn(1);
    later(b, PLACE_STALL_MS - 100);
    assert_int_equal(budget_take(c, BUDGET / 8), ERR_AGAIN);
    assert_true(s[0].there && s[1].there);
    turn(1);
    later(a, PLACE_STALL_MS + 100);
    later(b, 200);
    assert_int_equal(budget_take(c, BUDGET / 8), OK);
    assert_true(!s[0].there && s[1].there);
    /* An octet now and then does not keep what is held. */
    turn(1);
    place_content(b, 1);
    assert_int_equal(budget_take(c, BUDGET / 8 * 7), OK);
    assert_true(!s[1].there);
}

/* A message waits for so long in all, however its waits are cut up, and has as much again as it comes on. */
static void test_waits_for_room(void **state)
{
    static const struct {
        uint64_t waits, moves;
        unsigned times; /* until it is refused; 0: never */
    } table[] = {
        {BUDGET_WAIT_MS, 0, 1},
        {BUDGET_WAIT_MS / 4, 0, 4},
        {BUDGET_WAIT_MS / 4, BUDGET_WAIT_MS / 8, 7},
        {BUDGET_WAIT_MS / 4, BUDGET_WAIT_MS / 4, 0},
        {BUDGET_WAIT_MS - 1, BUDGET_WAIT_MS, 0},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct budget_wait w = {0};
        uint64_t now = 1000000;
        unsigned n = 0;
        bool waits = true;
        for (; waits && n < 20; n++) {
            assert_true(budget_wait(&w, now, false));
            waits = budget_wait(&w, now += table[i].waits, false);
            if (waits)
                assert_false(budget_wait(&w, now, true));
            now += table[i].moves;
        }
        assert_int_equal(waits ? 0 : n, table[i].times);
    }
}

static void test_one_that_takes_all(void **state)
{
    struct place *a = come(0, 0x0a000001), *b = come(1, 0x0a000101);

    assert_int_equal(budget_take(b, BUDGET / 8), OK);
    for (int i = 0; i < 14; i++)
        assert_int_equal(budget_take(a, BUDGET / 16), OK);
    assert_int_equal(budget_take(a, BUDGET / 16), ERR_AGAIN);
}

static void test_pressure(void **state)
{
    unsigned n = 0;

    for (; n < SESSIONS * 3 / 4; n++)
        later(come(n, 0x0a000001 + (n << 8)), 60000);
    turn(1200);
    assert_false(places_stressed(ps)); /* and nobody is ended: the role's own timeouts do that */
    assert_int_equal(places_ended(ps, PLACE_SLOW), 0);
    come(n, 0x0b000001);
    assert_true(places_stressed(ps));
    later(come(n + 1, 0x0b000101), PLACE_STEP_MS + PLACE_STRESS_MS - 2500);
    come(n + 2, 0x0b000201)->came_ms -= PLACE_STRESS_SESSION_MS;
    s[0].kept = true;
    turn(1500);
    assert_int_equal(places_sessions(ps), 3);
    assert_int_equal(places_ended(ps, PLACE_SLOW), SESSIONS * 3 / 4);
    assert_true(s[0].there && s[n].there && s[n + 1].there && !s[n + 2].there);
    assert_false(places_stressed(ps));
}

/* Without pressure too a message must come at some rate. */
static void test_calm(void **state)
{
    struct place *drips = come(0, 0x0a000001), *steady = come(1, 0x0a000101);

    place_content_begin(drips);
    place_content_begin(steady);
    for (int i = 0; i < 20; i++) {
        later(drips, 10000);
        later(steady, 10000);
        place_content(drips, 10);
        place_content(steady, 600);
    }
    turn(10500);
    assert_true(!s[0].there && s[0].why == PLACE_SLOW && s[1].there);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_standing),           TEST(test_who_costs_most), TEST(test_networks_first),
        TEST(test_neighbours),         TEST(test_dear),           TEST(test_steps_without_end),
        TEST(test_fewer_places),       TEST(test_memory),         TEST(test_waits_for_room),
        TEST(test_one_that_takes_all), TEST(test_pressure),       TEST(test_calm),
        TEST(test_a_small_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
