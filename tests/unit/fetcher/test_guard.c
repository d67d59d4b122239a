/* Where the fetcher may go. What a web server can do to it is in tests/script/test_fetch.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "server/core/error.h"
#include "server/fetcher/guard.h"

static bool passes(const struct guard *g, const char *address, uint16_t *ret_port)
{
    uint8_t octets[16];
    const bool v6 = strchr(address, ':');

    assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, address, octets), 1);
    return guard_address(g, octets, v6 ? 16 : 4, ret_port);
}

/* The first and the last of each range that is not of the open Internet. */
static void test_special_addresses(void **state)
{
    static const char *const bad[] = {
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.0",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.255",
        "192.0.2.0",
        "192.0.2.255",
        "192.88.99.0",
        "192.88.99.255",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.0",
        "198.51.100.255",
        "203.0.113.0",
        "203.0.113.255",
        "224.0.0.0",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:8.8.8.8",
        "::ffff:0:1.1.1.1",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::",
        "100::",
        "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001::",
        "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db8::",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        "2002::",
        "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "3fff::",
        "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
        "4000::",
        "5f00::",
        "fc00::",
        "fdff::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    };
    static const char *const good[] = {
        "1.1.1.1",         "8.8.8.8",         "9.255.255.255", "11.0.0.0",     "100.63.255.255", "100.128.0.0",
        "126.255.255.255", "128.0.0.0",       "169.253.0.1",   "169.255.0.0",  "172.15.0.1",     "172.32.0.0",
        "192.0.1.0",       "192.0.3.0",       "192.88.98.1",   "192.88.100.0", "192.167.0.1",    "192.169.0.0",
        "198.17.255.255",  "198.20.0.0",      "198.51.99.1",   "198.51.101.0", "203.0.112.1",    "203.0.114.0",
        "223.255.255.255", "2000::",          "2001:200::",    "2001:db7::1",  "2001:db9::",     "2001:4860::8888",
        "2003::",          "2606:4700::1111", "2a00:1450::1",  "3ffe:ffff::",  "3fff:1000::",
    };
    struct guard *g;
    uint16_t port = 0;

    assert_int_equal(guard_create("", &g), OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (passes(g, bad[i], &port))
            fail_msg("%s", bad[i]);
    assert_int_equal(port, 0);
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        if (!passes(g, good[i], &port) || port != GUARD_PORT)
            fail_msg("%s", good[i]);
    guard_destroy(g);
}

static void test_exceptions(void **state)
{
    uint16_t port, ports[GUARD_PORTS_MAX];
    struct guard *g;
    char many[1024] = "";

    assert_int_equal(guard_create("127.0.0.1@8443, 10.1.0.0/16,fd00::/8@444,10.0.0.0/9@445", &g), OK);
    assert_true(passes(g, "127.0.0.1", &port) && port == 8443);
    assert_false(passes(g, "127.0.0.2", &port));
    assert_false(passes(g, "::ffff:127.0.0.1", &port));
    assert_true(passes(g, "10.1.255.255", &port) && port == GUARD_PORT); /* the first that fits */
    assert_true(passes(g, "10.127.0.1", &port) && port == 445);
    assert_false(passes(g, "10.128.0.1", &port));
    assert_true(passes(g, "fd12::1", &port) && port == 444);
    assert_false(passes(g, "fc12::1", &port));
    assert_int_equal(guard_ports(g, ports), 4);
    assert_true(ports[0] == GUARD_PORT && ports[1] == 8443 && ports[2] == 444 && ports[3] == 445);
    guard_destroy(g);
    assert_int_equal(guard_create("127.0.0.1,nonsense", &g), ERR_FORMAT);
    for (int i = 0; i < 64; i++)
        strcat(many, "10.0.0.1@1,");
    many[strlen(many) - 1] = '\0';
    assert_int_equal(guard_create(many, &g), OK);
    assert_int_equal(guard_ports(g, ports), GUARD_PORTS_MAX);
    guard_destroy(g);
    strcat(many, ",10.0.0.1");
    assert_int_equal(guard_create(many, &g), ERR_LIMIT);
}

static void test_urls(void **state)
{
    static const struct {
        const char *url, *host; /* NULL: not taken */
    } rows[] = {
        {"https://a.test/", "a.test"},
        {"https://a.test", "a.test"},
        {"HTTPS://A.Test:443/x?y=https://b.test@c/", "a.test"},
        {"https://xn--bcher-kva.example/", "xn--bcher-kva.example"},
        {"https://1.2.3.4.example/", "1.2.3.4.example"},
        {"https://a.test?b", "a.test"},
        {"https://a.test:/", "a.test"}, /* RFC 3986 section 3.2.3: the default */
        {"https://a.test/%2e%2e/%00", "a.test"},
        {"http://a.test/", NULL},
        {"https://a.test:0443/x", "a.test"}, /* the same number */
        {"https://a.test:444/", NULL},
        {"https://a.test:443x/", NULL},
        {"https://a.test:99999999999/", NULL},
        {"https://u@a.test/", NULL},
        {"https://a.test/#", NULL},
        {"https://a.test\\", NULL},
        {"https://a_b.test/", NULL},
        {"https://a/", NULL},
        {"https://a.test./", NULL},
        {"https://a.b.7/", NULL},
        {"https://a.b.0x7/", NULL},
        {"https://[2606:4700::1111]/", NULL},
        {"https://8.8.8.8/", NULL},
        {"https://134744072/", NULL},
        {"https://a%2etest/", NULL},
        {"https:///a.test/", NULL},
        {"https:a.test", NULL},
        {" https://a.test/", NULL},
        {"https://a.test/\t", NULL},
        {"https://a.test/\x7f", NULL},
        {"https://a.test/\xc3\xa4", NULL},
        {"", NULL},
    };
    char host[GUARD_HOST_MAX + 1], url[400] = "https://";
    CURLU *u;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const int err = guard_url(rows[i].url, &u, host);
        if (err != (rows[i].host ? OK : ERR_DENIED) || (err == OK && strcmp(host, rows[i].host) != 0))
            fail_msg("%s: %d", rows[i].url, err);
        if (err == OK)
            curl_url_cleanup(u);
    }
    for (int i = 0; i < 125; i++)
        strcat(url, "a.");
    strcat(url, "bcd"); /* 253 */
    assert_int_equal(guard_url(url, &u, host), OK);
    curl_url_cleanup(u);
    strcat(url, "e");
    assert_int_equal(guard_url(url, &u, host), ERR_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_special_addresses),
        cmocka_unit_test(test_exceptions),
        cmocka_unit_test(test_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
