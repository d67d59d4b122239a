/* relay.policy: what each line says, and that what does not fit is refused with its number. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/relay_policy.h"
#include "server/core/error.h"

static void lines_say_what_they_say(void **state)
{
    static const char text[] = "# mail's ways\n\n"
                               "Example.ORG route=MX.example.net:2525 tls=verify\r\n"
                               "\tb.example tls=dane # by DNSSEC\n"
                               "c.example route=[2001:db8::1]\n"
                               "d.example route=192.0.2.7:26 "
                               "tls=000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F\n"
                               "@ours.example source=2001:db8::2,192.0.2.1\n"
                               "@too.example source=192.0.2.2";
    const struct relay_source *s;
    const struct relay_route *r;
    struct relay_policy *p;
    char why[200], addr[64];

    assert_int_equal(relay_policy_parse(text, strlen(text), &p, why, sizeof(why)), OK);
    r = relay_policy_route(p, "EXAMPLE.org");
    assert_string_equal(r->host, "mx.example.net");
    assert_int_equal(r->port, 2525);
    assert_true(r->tls_said);
    assert_int_equal(r->tls, TLS_VERIFY);
    r = relay_policy_route(p, "b.example");
    assert_string_equal(r->host, "");
    assert_int_equal(r->tls, TLS_DANE);
    r = relay_policy_route(p, "c.example");
    assert_string_equal(r->host, "2001:db8::1");
    assert_int_equal(r->port, 0);
    assert_false(r->tls_said);
    r = relay_policy_route(p, "d.example");
    assert_int_equal(r->port, 26);
    assert_int_equal(r->tls, TLS_FINGERPRINT);
    for (int i = 0; i < 32; i++)
        assert_int_equal(r->fingerprint[i], i);
    assert_null(relay_policy_route(p, "e.example"));
    assert_null(relay_policy_route(p, "ours.example"));
    s = relay_policy_source(p, "ours.example");
    assert_true(s->has4 && s->has6);
    assert_string_equal(inet_ntop(AF_INET6, &s->v6, addr, sizeof(addr)), "2001:db8::2");
    s = relay_policy_source(p, "TOO.example");
    assert_true(s->has4 && !s->has6);
    assert_null(relay_policy_source(p, "example.org"));
    assert_null(relay_policy_route(NULL, "example.org"));
    relay_policy_free(p);
}

static void what_does_not_fit_is_refused(void **state)
{
    static const char *const bad[] = {
        "a.example",
        "a.example tls=maybe",
        "a.example tls=may tls=may",
        "a.example route=x route=y",
        "a.example route=",
        "a.example route=x:0",
        "a.example route=x:65536",
        "a.example route=x:25x",
        "a.example route=[::1",
        "a.example route=[::g]",
        "a.example route=[192.0.2.1]",
        "a.example route=::1",
        "a.example route=-x",
        "a.example tls=0123",
        "a.example tls=zz0102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F",
        "a..example tls=may",
        "a.example. tls=may",
        ".example tls=may",
        "m\xc3\xbcller.example tls=may",
        "@ours.example",
        "@ours.example source=",
        "@ours.example source=host",
        "@ours.example source=192.0.2.1,192.0.2.2",
        "@ours.example source=192.0.2.1,",
        "@ours.example source=192.0.2.1 tls=may",
        "@ source=192.0.2.1",
        "a.example tls=may\nA.example tls=may",
        "@a.example source=::1\n@A.example source=::1",
    };
    struct relay_policy *p = NULL;
    char why[200], *large = malloc(RELAY_POLICY_TEXT_MAX + 1);

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[256];
        unsigned line = strchr(bad[i], '\n') ? 4 : 3;
        snprintf(text, sizeof(text), "# first\n\n%s\n", bad[i]);
        if (relay_policy_parse(text, strlen(text), &p, why, sizeof(why)) != ERR_FORMAT)
            fail_msg("taken: %s", bad[i]);
        assert_null(p);
        assert_int_equal(strncmp(why, line == 3 ? "line 3:" : "line 4:", 7), 0);
    }
    assert_int_equal(relay_policy_parse("a\0b", 3, &p, why, sizeof(why)), ERR_FORMAT);
    memset(large, '\n', RELAY_POLICY_TEXT_MAX + 1);
    assert_int_equal(relay_policy_parse(large, RELAY_POLICY_TEXT_MAX, &p, why, sizeof(why)), ERR_FORMAT);
    assert_int_equal(relay_policy_parse(large, RELAY_POLICY_TEXT_MAX + 1, &p, why, sizeof(why)), ERR_FORMAT);
    assert_null(p);
    free(large);
}

static void an_empty_one_says_nothing(void **state)
{
    struct relay_policy *p;
    char why[200];

    assert_int_equal(relay_policy_parse("", 0, &p, why, sizeof(why)), OK);
    assert_null(relay_policy_route(p, "a.example"));
    relay_policy_free(p);
}

static void what_others_do_not_see(void **state)
{
    static const struct {
        const char *text;
        bool is_private;
    } rows[] = {{"192.0.2.1", false},
                {"10.1.2.3", true},
                {"172.31.0.1", true},
                {"172.32.0.1", false},
                {"192.168.0.1", true},
                {"100.127.0.1", true},
                {"2001:db8::1", false},
                {"fd12::1", true},
                {"192.0.2.1,fc00::1", true},
                {"10.0.0.1,2001:db8::1", true},
                {"192.0.2.1,2001:db8::1", false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct relay_source s;
        assert_int_equal(relay_source_parse(rows[i].text, &s), OK);
        if (relay_source_is_private(&s) != rows[i].is_private)
            fail_msg("%s", rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_say_what_they_say),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(an_empty_one_says_nothing),
        cmocka_unit_test(what_others_do_not_see),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
