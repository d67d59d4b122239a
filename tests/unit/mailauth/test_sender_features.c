#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/mailauth/sender_features.h"

static void say(const struct features *f, char *out, size_t cap)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < f->n; i++)
        n += (size_t)snprintf(out + n, cap - n, "%s%s=%s", i ? " " : "", f->v[i].kind, f->v[i].value);
}

static void expect(const struct features_question *q, const char *want)
{
    struct features f;
    char got[8192];
    features_of(q, &f);
    say(&f, got, sizeof(got));
    assert_string_equal(got, want);
}

static void registered_domains(void **state)
{
    static const char *const rows[][2] = {
        {"example.com", "example.com"},
        {"a.b.example.com", "example.com"},
        {"a.b.example.co.uk", "example.co.uk"},
        {"co.uk", "co.uk"},
        {"localhost", "localhost"},
        {"192.0.2.1", "192.0.2.1"},
        {"[2001:db8::1]", "[2001:db8::1]"},
        {"www.xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"a.somebody.github.io", "somebody.github.io"}, /* whoever is there is not the next one */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(features_registered(rows[i][0]), rows[i][1]);
}

static void what_is_there(void **state)
{
    static const uint8_t four[] = {192, 0, 2, 77}, six[16] = {0x20, 1, 0xd, 0xb8, 0, 5, 1, 2, 3};
    static const struct links links = {.n = 4,
                                       .v = {{.kind = LINK_WEB, .host = "a.example.com"},
                                             {.kind = LINK_WEB, .host = "b.example.com", .port = 81},
                                             {.kind = LINK_MAIL, .host = "mx.example.net"},
                                             {.kind = LINK_WEB, .host = "192.0.2.1"}}};
    struct features_question q = {.author = "", .organization = "", .sender = "", .result = ""};
    expect(&q, "");
    q.author = "joe@mail.example.co.uk";
    expect(&q, "from=joe@mail.example.co.uk domain=mail.example.co.uk organization=example.co.uk");
    q.organization = "mail.example.co.uk"; /* its own word counts more (RFC 9989 section 4.10.2) */
    q.sender = "bounces+5@esp.example";
    q.result = "pass";
    q.peer = four;
    q.links = &links;
    expect(&q, "from=joe@mail.example.co.uk domain=mail.example.co.uk organization=mail.example.co.uk "
               "path=esp.example result=pass net=192.0.2.0 web=example.com mailto=example.net web=192.0.2.1");
    q = (struct features_question){
        .author = "", .organization = "", .sender = "", .result = "", .peer = six, .six = true};
    expect(&q, "net=2001:db8:5::");
}

static void no_more_than_there_is_room_for(void **state)
{
    struct links links = {.n = LINKS_MAX};
    struct features f;
    char longest[ADDRESS_MAX + 10];
    for (int i = 0; i < LINKS_MAX; i++)
        snprintf(links.v[i].host, DOMAIN_CAP, "h%d.example", i);
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    longest[3] = '@';
    features_of(&(struct features_question){.author = longest,
                                            .organization = "",
                                            .sender = longest,
                                            .result = "",
                                            .links = &links},
                &f);
    assert_int_equal(f.n, FEATURES_MAX);
    for (size_t i = 0; i < f.n; i++)
        assert_true(strlen(f.v[i].value) < ADDRESS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registered_domains),
        cmocka_unit_test(what_is_there),
        cmocka_unit_test(no_more_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
