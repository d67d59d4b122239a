/* Counting by peer: limits, and a table that does not grow. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/conn.h"
#include "server/core/error.h"
#include "server/base/peers.h"

static struct sockaddr_storage v4(uint32_t a)
{
    struct sockaddr_storage ss = {.ss_family = AF_INET};

    ((struct sockaddr_in *)&ss)->sin_addr.s_addr = htonl(a);
    return ss;
}

static struct sockaddr_storage v6(const char *text)
{
    struct sockaddr_storage ss = {.ss_family = AF_INET6};

    assert_int_equal(inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&ss)->sin6_addr), 1);
    return ss;
}

static struct peers *p;

static int create(void **state)
{
    p = peers_create(128);
    return p ? 0 : -1;
}

static int destroy(void **state)
{
    peers_destroy(p);
    return 0;
}

static void limit(uint64_t sessions, uint64_t octets)
{
    peers_limit(p, &(struct peers_limits){
                       .sessions = 1000, .octets = 1 << 20, .sessions_peer = sessions, .octets_peer = octets});
}

static int enter(const struct sockaddr_storage *a, uint64_t max, uint32_t *ret)
{
    limit(max, 0);
    return peers_enter(p, a, false, ret);
}

static int take(uint32_t peer, uint64_t octets, uint64_t max)
{
    limit(0, max);
    if (!peers_room(p, peer, octets))
        return ERR_LIMIT;
    peers_take(p, peer, octets);
    return OK;
}

static void test_sessions_and_octets(void **state)
{
    struct sockaddr_storage a = v4(0x0a000001), b = v4(0x0a000002), c = v6("2001:db8::1"), d = v6("2001:db8::ffff");
    uint32_t at_a, at_b, at;

    for (int i = 0; i < 3; i++)
        assert_int_equal(enter(&a, 3, &at_a), OK);
    assert_int_equal(enter(&a, 3, &at), ERR_LIMIT);
    assert_int_equal(enter(&b, 3, &at_b), OK);
    assert_int_equal(enter(&c, 1, &at), OK);
    assert_int_equal(enter(&d, 1, &at), ERR_LIMIT); /* the same /64 */
    peers_leave(p, at_a);
    assert_int_equal(enter(&a, 3, &at_a), OK);

    assert_int_equal(take(at_a, 60, 100), OK);
    assert_int_equal(take(at_a, 41, 100), ERR_LIMIT);
    assert_int_equal(take(at_a, UINT64_MAX, UINT64_MAX), ERR_LIMIT);
    assert_int_equal(take(at_a, 40, 100), OK);
    assert_int_equal(take(at_a, 1, 50), ERR_LIMIT); /* a limit that was lowered meanwhile */
    assert_int_equal(take(at_b, 100, 100), OK);
    peers_give(p, at_a, 100);
    assert_int_equal(take(at_a, 100, 100), OK);
    peers_destroy(NULL);
}

/* Strangers come by in numbers: those in use stay, the others' places are used again, memory stays the same. */
static void test_places(void **state)
{
    struct sockaddr_storage busy[32], a;
    uint32_t at[32], peer, none;

    for (uint32_t i = 0; i < 32; i++) {
        busy[i] = v4(0x0a000000 + (i << 8));
        assert_int_equal(enter(&busy[i], 1, &at[i]), OK);
    }
    for (uint32_t i = 0; i < 50000; i++) {
        a = v4(0x0b000000 + (i << 7));
        assert_int_equal(enter(&a, 1, &peer), OK);
        assert_int_equal(take(peer, 2, 1), ERR_LIMIT);
        assert_int_equal(take(peer, 7, 7), OK);
        assert_int_equal(enter(&a, 1, &none), ERR_LIMIT);
        peers_give(p, peer, 7);
        peers_leave(p, peer);
        assert_int_equal(enter(&a, 0, &none), ERR_LIMIT); /* what was refused keeps no place */
    }
    assert_int_equal(peers_networks(p), 32);
    for (uint32_t i = 0; i < 32; i++) {
        assert_int_equal(enter(&busy[i], 1, &none), ERR_LIMIT);
        peers_leave(p, at[i]);
    }
    assert_int_equal(peers_networks(p), 0);
    for (uint32_t i = 0; i < 64; i++) { /* fill it, each with a network: refused, not grown */
        a = v4(0x0c000000 + (i << 8));
        assert_int_equal(enter(&a, 1, &none), OK);
    }
    a = v4(0x0d000000);
    assert_int_equal(enter(&a, 1, &none), ERR_FULL);
    assert_int_equal(peers_networks(p), 64);
}

/* Whole networks: each address of a /24, and each /64 of a /56 and of a /48, stays within its own limit. */
static void test_networks(void **state)
{
    struct sockaddr_storage other;
    uint32_t peer = 0, taken = 0, network;
    char text[64];

    limit(4, 100);
    for (uint32_t i = 0; i < 256; i++) {
        struct sockaddr_storage a = v4(0x0a000000 + i);
        taken += peers_enter(p, &a, false, &peer) == OK;
    }
    assert_int_equal(taken, 32);
    other = v4(0x0a000000 + 200);
    network = peers_full_network(p, &other);
    assert_true(network != PEERS_NONE && peers_within(p, peer, network));
    assert_int_equal(peers_enter(p, &other, true, &peer), OK);
    assert_true(peers_within(p, peer, network));
    peers_leave(p, peer);
    other = v4(0x0a000001);
    for (int i = 0; i < 3; i++)
        assert_int_equal(peers_enter(p, &other, true, &peer), OK);
    assert_int_equal(peers_full_network(p, &other), PEERS_NONE); /* the address has all it may have */
    assert_int_equal(peers_enter(p, &other, true, &peer), ERR_LIMIT);
    for (int i = 0; i < 3; i++)
        peers_leave(p, peer);
    other = v4(0x0a000100);
    assert_int_equal(peers_full_network(p, &other), PEERS_NONE);
    assert_true(peers_room(p, peer, 100) && !peers_room(p, peer, 101));
    taken = 0;
    for (int i = 0; i < 200; i++) {
        struct sockaddr_storage a;
        snprintf(text, sizeof(text), "2001:db8:1:%x::1", 0x700 + i);
        a = v6(text);
        taken += peers_enter(p, &a, false, &peer) == OK;
    }
    assert_int_equal(taken, 8); /* a /56 */
    for (int i = 0; i < 200; i++) {
        struct sockaddr_storage a;
        snprintf(text, sizeof(text), "2001:db8:1:%x::1", i << 8);
        a = v6(text);
        taken += peers_enter(p, &a, false, &peer) == OK;
    }
    assert_int_equal(taken, 32); /* the /48 */
    assert_int_equal(peers_networks(p), 2);
    assert_int_equal(peers_crowd(p, peer, 16), 2000); /* twice its share, which is 16 for the /48 */
    assert_int_equal(peers_crowd_octets(p, peer, 16), 0);
    peers_take(p, peer, 12);
    assert_int_equal(peers_crowd_octets(p, peer, 16), 3000); /* a peer's share is 4 */
    assert_int_equal(peers_network_octets(p, peer), 12);
}

/* Never more than half of all for a network, nor less than two peers. */
static void test_halves(void **state)
{
    static const struct {
        uint64_t all, peer, network;
    } cases[] = {{100, 10, 50}, {1000, 10, 80}, {20, 20, 40}, {30, 14, 28}};

    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        uint32_t peers[64], n = 0;
        peers_limit(p, &(struct peers_limits){.sessions = cases[k].all, .sessions_peer = cases[k].peer});
        for (uint32_t i = 0; i < 120 && n < 64; i++) {
            struct sockaddr_storage a = v4(0x0a000000 + i % 8);
            n += peers_enter(p, &a, false, &peers[n]) == OK;
        }
        assert_int_equal(n, cases[k].network < 64 ? cases[k].network : 64);
        while (n > 0)
            peers_leave(p, peers[--n]);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, create, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sessions_and_octets),
        TEST(test_places),
        TEST(test_networks),
        TEST(test_halves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
