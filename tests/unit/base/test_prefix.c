/* Ranges of addresses as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "server/core/error.h"
#include "server/base/prefix.h"

static bool holds(const struct prefix *p, const char *address)
{
    uint8_t octets[16];
    const bool v6 = strchr(address, ':');

    assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, address, octets), 1);
    return prefix_holds(p, octets, v6 ? 16 : 4);
}

static void test_texts(void **state)
{
    static const char *const bad[] = {
        "",
        "/",
        "@",
        "10.0.0.0/",
        "10.0.0.0@",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/8/8",
        "10.0.0.0@0",
        "10.0.0.0@65536",
        "10.0.0.0@1/8",
        "10.0.0.0/ 8",
        "10.0.0.1/8",
        "10.0.0.128/24",
        "10/8",
        "0x0a.0.0.0/8",
        "010.0.0.0x",
        "::/129",
        "::1/127",
        "fe80::1%lo",
        "[::1]",
        "[::1]@443",
        "a.test",
        "10.0.0.0/8@x",
        "10.0.0.0/0000008",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee",
    };
    struct prefix p;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (prefix_parse(bad[i], &p) != ERR_FORMAT)
            fail_msg("%s", bad[i]);
    assert_int_equal(prefix_parse("10.0.0.0/8@443", &p), OK);
    assert_true(p.len == 4 && p.bits == 8 && p.port == 443);
    assert_int_equal(prefix_parse("2001:db8::1@65535", &p), OK);
    assert_true(p.len == 16 && p.bits == 128 && p.port == 65535);
}

static void test_what_they_hold(void **state)
{
    struct prefix p;

    assert_int_equal(prefix_parse("0.0.0.0/0", &p), OK);
    assert_true(holds(&p, "255.1.2.3") && !holds(&p, "::"));
    assert_int_equal(prefix_parse("172.16.0.0/12", &p), OK);
    assert_true(holds(&p, "172.16.0.0") && holds(&p, "172.31.255.255"));
    assert_true(!holds(&p, "172.15.255.255") && !holds(&p, "172.32.0.0") && !holds(&p, "::ffff:172.16.0.1"));
    assert_int_equal(prefix_parse("192.0.2.7", &p), OK);
    assert_true(holds(&p, "192.0.2.7") && !holds(&p, "192.0.2.6"));
    assert_int_equal(prefix_parse("2001::/23", &p), OK);
    assert_true(holds(&p, "2001:1ff::1") && !holds(&p, "2001:200::") && !holds(&p, "2000:1::"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_what_they_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
