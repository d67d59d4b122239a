/* Slowing down: delays that grow and are forgotten, tries in hand, a table that is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/master/throttle.h"

static struct throttle_key v4(uint32_t a)
{
    const uint8_t b[4] = {(uint8_t)(a >> 24), (uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint8_t)a};
    struct throttle_key k = {.peer = {4}, .network = {3}};

    memcpy(k.peer + 1, b, 4);
    memcpy(k.network + 1, b, 3);
    return k;
}

/* A peer that waits as long as it is told, and then fails. */
static void fails(struct throttle *t, const struct throttle_key *k, uint64_t now)
{
    assert_int_equal(throttle_ask(t, k, UINT64_MAX, now), 0);
    throttle_done(t, k, true, now);
}

/* What it would be told now; nothing changes. */
static uint64_t delay(struct throttle *t, const struct throttle_key *k, uint64_t now)
{
    uint64_t ms = throttle_ask(t, k, 0, now);

    if (ms == 0)
        throttle_done(t, k, false, now);
    return ms;
}

static void test_delay(void **state)
{
    struct throttle *t = throttle_create(1024);
    struct throttle_key a = v4(0x0a000001), other = v4(0x0a000102);
    uint64_t now = 1000000, before = 0, d;

    assert_int_equal(delay(t, &a, now), 0);
    fails(t, &a, now);
    assert_int_equal(delay(t, &a, now), 0);
    fails(t, &a, now);
    assert_int_equal(delay(t, &a, now), 0);
    fails(t, &a, now);
    assert_int_equal(delay(t, &a, now), 500);
    assert_int_equal(throttle_ask(t, &a, 300, now), 200);
    for (int i = 0; i < 20; i++) {
        fails(t, &a, now);
        d = delay(t, &a, now);
        assert_true(d >= before && d <= 30000);
        before = d;
    }
    assert_int_equal(before, 30000);
    assert_int_equal(delay(t, &other, now), 0); /* another network */
    d = delay(t, &a, now + 60000);
    assert_true(d <= 30000 && d > 0);
    assert_int_equal(delay(t, &a, now - 500), 30000);       /* a clock read earlier */
    for (uint64_t at = now; at < now + 600000; at += 777) { /* only ever less */
        d = delay(t, &a, at);
        assert_true(d <= before);
        before = d;
    }
    assert_int_equal(before, 0);
    for (int i = 0; i < 1000; i++)
        fails(t, &a, now + 600000);
    assert_int_equal(delay(t, &a, now + 1500000), 0); /* not locked out for ever */
    throttle_destroy(t);
    throttle_destroy(NULL);
}

/* Many peers of one network, each trying twice: the network waits. Its neighbour does not. */
static void test_network_is_slowed(void **state)
{
    struct throttle *t = throttle_create(1024);
    struct throttle_key k, fresh = v4(0x0a0000fe), neighbour = v4(0x0a0001fe);

    for (uint32_t i = 0; i < 30; i++) {
        k = v4(0x0a000000 + i);
        fails(t, &k, 5000);
        fails(t, &k, 5000);
    }
    assert_true(delay(t, &fresh, 5000) > 0);
    assert_int_equal(delay(t, &neighbour, 5000), 0);
    throttle_destroy(t);
}

/* What is in hand counts as failed, so that many at once get no more tries than one after the other; those that were
 * right are taken back, and are not in the way of others for longer than they last. */
static void test_in_hand(void **state)
{
    struct throttle *t = throttle_create(1024);
    struct throttle_key a = v4(0x0a000001), other = v4(0x0b000001);
    int let = 0;

    for (int i = 0; i < 50; i++)
        let += throttle_ask(t, &a, 0, 1000) == 0;
    assert_int_equal(let, 3);
    assert_int_equal(throttle_ask(t, &a, 0, 1000), 10);
    assert_int_equal(delay(t, &other, 1000), 0);
    throttle_done(t, &a, false, 1000);
    assert_int_equal(throttle_ask(t, &a, 0, 1000), 0);
    for (int i = 0; i < 3; i++)
        throttle_done(t, &a, true, 1000);
    assert_int_equal(delay(t, &a, 1000), 500);
    throttle_done(t, &a, false, 1000); /* there is none */
    assert_int_equal(delay(t, &a, 1000), 500);
    for (int i = 0; i < 100; i++) { /* right ones are forgotten at once */
        assert_int_equal(throttle_ask(t, &other, 0, 1000), 0);
        throttle_done(t, &other, false, 1000);
    }
    throttle_destroy(t);
}

static void forgive(struct throttle *t, const struct throttle_key *k, uint32_t exchange, uint64_t now)
{
    uint8_t name[LOGIN_EXCHANGE_SIZE] = {0};

    memcpy(name, &exchange, sizeof(exchange));
    throttle_forgive(t, k, name, now);
}

/* What was counted from its beginning and ended well is as if it had never been, and no more than that. */
static void test_forgiven(void **state)
{
    struct throttle *t = throttle_create(1024);
    struct throttle_key a = v4(0x0a000001), other = v4(0x0b000001);
    uint32_t n = 0;

    for (int i = 0; i < 100; i++) {
        fails(t, &a, 1000);
        forgive(t, &a, n++, 1000);
    }
    assert_int_equal(delay(t, &a, 1000), 0);
    for (int i = 0; i < 3; i++)
        fails(t, &a, 1000);
    forgive(t, &other, n++, 1000); /* nobody knows it */
    assert_int_equal(delay(t, &a, 1000), 500);
    forgive(t, &a, n++, 1000);
    assert_int_equal(delay(t, &a, 1000), 0);
    for (int i = 0; i < 10; i++)
        forgive(t, &a, n++, 1000); /* nothing is kept for later */
    for (int i = 0; i < 3; i++)
        fails(t, &a, 1000);
    assert_int_equal(delay(t, &a, 1000), 500);
    throttle_destroy(t);
}

/* One good login, said again and again, pays for itself alone. */
static void test_forgiven_once(void **state)
{
    struct throttle *t = throttle_create(1024);
    struct throttle_key a = v4(0x0a000001);

    for (int i = 0; i < 6; i++)
        fails(t, &a, 1000);
    const uint64_t before = delay(t, &a, 1000);
    fails(t, &a, 1000);
    for (int i = 0; i < 100; i++)
        forgive(t, &a, 7, 1000);
    assert_int_equal(delay(t, &a, 1000), before);
    throttle_destroy(t);
}

/* Nor do many that push the first out of what is known; later ones are forgiven again. */
static void test_forgiven_too_many(void **state)
{
    struct throttle *t = throttle_create(1024);
    struct throttle_key a = v4(0x0a000001), other = v4(0x0b000001);
    const uint64_t later = 1000 + THROTTLE_FORGIVEN_MS;

    for (int i = 0; i < 3; i++)
        fails(t, &a, 1000);
    for (uint32_t i = 0; i < 2 * THROTTLE_FORGIVEN_MAX; i++)
        forgive(t, &other, i, 1000);
    for (uint32_t i = 0; i < 2 * THROTTLE_FORGIVEN_MAX; i++)
        forgive(t, &a, i, 1000);
    assert_int_equal(delay(t, &a, 1000), 500);
    for (int i = 0; i < 3; i++)
        fails(t, &other, later);
    forgive(t, &other, 0, later);
    assert_int_equal(delay(t, &other, later), 0);
    throttle_destroy(t);
}

/* Strangers come by in numbers, more than there are places: who fails much stays, memory stays the same. */
static void test_full(void **state)
{
    struct throttle *t = throttle_create(64);
    struct throttle_key k, a = v4(0x0a000001);

    for (int i = 0; i < 10; i++)
        fails(t, &a, 1000);
    for (uint32_t i = 0; i < 50000; i++) {
        k = v4(0x0b000000 + i * 256);
        if (i % 3)
            fails(t, &k, 1000);
        else
            assert_true(throttle_ask(t, &k, UINT64_MAX, 1000) == 0);
    }
    assert_true(delay(t, &a, 1000) > 500);
    throttle_destroy(t);
    assert_null(throttle_create(0));
    assert_null(throttle_create(100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delay),         cmocka_unit_test(test_network_is_slowed),
        cmocka_unit_test(test_in_hand),       cmocka_unit_test(test_forgiven),
        cmocka_unit_test(test_forgiven_once), cmocka_unit_test(test_forgiven_too_many),
        cmocka_unit_test(test_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
