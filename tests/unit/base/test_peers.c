/* Counting by peer: limits, and a table that does not grow. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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

static void test_sessions_and_bytes(void **state)
{
    struct peers *p = peers_create(100);
    struct sockaddr_storage a = v4(0x0a000001), b = v4(0x0a000002), c = v6("2001:db8::1"), d = v6("2001:db8::ffff");

    for (int i = 0; i < 3; i++)
        assert_int_equal(peers_enter(p, &a, 3), OK);
    assert_int_equal(peers_enter(p, &a, 3), ERR_LIMIT);
    assert_int_equal(peers_enter(p, &b, 3), OK);
    assert_int_equal(peers_enter(p, &c, 1), OK);
    assert_int_equal(peers_enter(p, &d, 1), ERR_LIMIT); /* the same /64 */
    peers_leave(p, &a);
    assert_int_equal(peers_enter(p, &a, 3), OK);

    assert_int_equal(peers_take(p, &a, 60, 100), OK);
    assert_int_equal(peers_take(p, &a, 41, 100), ERR_LIMIT);
    assert_int_equal(peers_take(p, &a, UINT64_MAX, UINT64_MAX), ERR_LIMIT);
    assert_int_equal(peers_take(p, &a, 40, 100), OK);
    assert_int_equal(peers_take(p, &a, 1, 50), ERR_LIMIT); /* a limit that was lowered meanwhile */
    assert_int_equal(peers_take(p, &a, 0, 0), OK);
    assert_int_equal(peers_take(p, &b, 100, 100), OK);
    peers_give(p, &a, 100);
    assert_int_equal(peers_take(p, &a, 100, 100), OK);
    peers_destroy(p);
    peers_destroy(NULL);
}

/* Strangers come by in numbers: those in use stay, the others' places are used again, memory stays the same. */
static void test_places(void **state)
{
    struct peers *p = peers_create(64);
    struct sockaddr_storage busy[32], a;

    for (uint32_t i = 0; i < 32; i++) {
        busy[i] = v4(0x0a000000 + i);
        assert_int_equal(i % 2 ? peers_enter(p, &busy[i], 1) : peers_take(p, &busy[i], 10, 10), OK);
    }
    for (uint32_t i = 0; i < 50000; i++) {
        a = v4(0x0b000000 + i);
        if (i % 3) {
            assert_int_equal(peers_take(p, &a, 7, 7), OK);
            assert_int_equal(peers_enter(p, &a, 0), ERR_LIMIT);
            peers_give(p, &a, 7);
        } else {
            assert_int_equal(peers_enter(p, &a, 1), OK);
            assert_int_equal(peers_take(p, &a, 2, 1), ERR_LIMIT);
            peers_leave(p, &a);
        }
        assert_int_equal(peers_enter(p, &a, 0), ERR_LIMIT); /* what was refused keeps no place */
    }
    for (uint32_t i = 0; i < 32; i++) {
        assert_int_equal(i % 2 ? peers_enter(p, &busy[i], 1) : peers_take(p, &busy[i], 1, 10), ERR_LIMIT);
        if (i % 2)
            peers_leave(p, &busy[i]);
        else
            peers_give(p, &busy[i], 10);
    }
    for (uint32_t i = 0; i < 64; i++) { /* fill it: refused, not grown */
        a = v4(0x0c000000 + i);
        assert_int_equal(peers_enter(p, &a, 1), OK);
    }
    a = v4(0x0d000000);
    assert_int_equal(peers_enter(p, &a, 1), ERR_FULL);
    assert_int_equal(peers_take(p, &a, 1, 1), ERR_FULL);
    peers_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions_and_bytes),
        cmocka_unit_test(test_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
