/* From a domain to hosts, with answers that the test gives. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/relay/route.h"

#include "tests/support/names_stand_in.h"
#include "tests/support/pages_stand_in.h"

static uint64_t now(void)
{
    return 1000;
}

/* ---- asking ---- */

static struct router router = {.own_name = "mail.ours.example", .port = 25};
static struct route got;
static bool has_route;
static enum obstacle why;

static void on_route(void *arg, const struct route *r, enum obstacle o)
{
    has_route = r != NULL;
    if (r)
        got = *r;
    why = o;
    loop_stop(loop);
}

/* Of a host that is not used. */
static unsigned unused;
static struct route_name unused_name;

static void on_unused(void *arg, const struct route *r, uint32_t name)
{
    unused++;
    unused_name = r->names[name];
}

static void wake(void *arg)
{
}

static int none_is_kept(void *arg, const char *domain, struct sts_policy *ret)
{
    return ERR_NOT_FOUND;
}

static void keep_none(void *arg, const struct sts_policy *p)
{
}

static const struct sts_shelf shelf = {none_is_kept, keep_none, NULL};

static void find(const char *destination, const struct row *v, size_t n)
{
    struct route_op *op;
    struct timer *t;

    loop = loop_create();
    router.sts = sts_create(loop, NULL, NULL, now, &shelf);
    t = timer_create_in(loop, wake, NULL); /* the loop has something to wait for */
    timer_set(t, 1);
    rows = v;
    nrows = n;
    unused = 0;
    router.unused = on_unused;
    memset(&got, 0, sizeof(got));
    assert_int_equal(route_find(loop, &router, destination, on_route, NULL, &op), OK);
    assert_int_equal(loop_run(loop), OK);
    timer_destroy(t);
    sts_destroy(router.sts);
    loop_destroy(loop);
}

static const char *host(uint32_t i)
{
    static char text[INET6_ADDRSTRLEN + 300];
    const struct sockaddr_storage *ss = &got.hosts[i].addr;
    char addr[INET6_ADDRSTRLEN];
    bool six = ss->ss_family == AF_INET6;

    inet_ntop(ss->ss_family,
              six ? (const void *)&((const struct sockaddr_in6 *)ss)->sin6_addr
                  : (const void *)&((const struct sockaddr_in *)ss)->sin_addr,
              addr, sizeof(addr));
    snprintf(text, sizeof(text), "%s %s %u", got.names[got.hosts[i].name].name, addr,
             ntohs(six ? ((const struct sockaddr_in6 *)ss)->sin6_port : ((const struct sockaddr_in *)ss)->sin_port));
    return text;
}

#define N(v) (sizeof(v) / sizeof((v)[0]))
static const struct dns_record one[] = {{.data = {(const uint8_t *)"\300\000\002\001", 4}}};
static const struct dns_record two[] = {{.data = {(const uint8_t *)"\300\000\002\002", 4}}};
static const struct dns_record six[] = {{.data = {(const uint8_t *)"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16}}};
#define SAYS(records, ...) .a = {.exists = true, .n = N(records), .v = (records), __VA_ARGS__}
#define EMPTY .a = {.exists = true}

static void mx_hosts_are_tried_in_their_order(void **state)
{
    static const struct dns_record mx[] = {{.preference = 5, .name = "a.mx"}, {.preference = 10, .name = "b.mx"}};
    static const struct row v[] = {{DNS_MX, "d.example", SAYS(mx)},
                                   {DNS_A, "a.mx", SAYS(one)},
                                   {DNS_AAAA, "a.mx", SAYS(six)},
                                   {DNS_A, "b.mx", SAYS(two)}};

    find("d.example", v, N(v));
    assert_true(has_route);
    assert_int_equal(got.nhosts, 3);
    assert_string_equal(host(0), "a.mx 2001:db8::1 25");
    assert_string_equal(host(1), "a.mx 192.0.2.1 25");
    assert_string_equal(host(2), "b.mx 192.0.2.2 25");
    assert_int_equal(got.names[0].demand, TRUST_ANY);
    assert_false(got.names[0].secure);
}

static void without_mx_it_is_the_domain_itself(void **state)
{
    static const struct row v[] = {{DNS_MX, "d.example", EMPTY}, {DNS_A, "d.example", SAYS(one)}};
    static const struct row none[] = {{DNS_MX, "d.example", EMPTY}, {DNS_A, "d.example", EMPTY}};

    find("d.example", v, N(v));
    assert_string_equal(host(0), "d.example 192.0.2.1 25");
    find("d.example", none, N(none));
    assert_false(has_route);
    assert_int_equal(why, OBSTACLE_NO_ADDRESS);
}

static void what_cannot_be_reached_is_told_apart(void **state)
{
    static const struct dns_record null_mx[] = {{.preference = 0, .name = ""}};
    static const struct dns_record ours[] = {{.preference = 5, .name = "mail.OURS.example"},
                                             {.preference = 10, .name = "b.mx"}};
    static const struct dns_record mx[] = {{.preference = 5, .name = "a.mx"}, {.preference = 6, .name = "b.mx"}};
    static const struct {
        struct row v[3];
        size_t n;
        enum obstacle why;
    } cases[] = {
        {{{DNS_NS, "other"}}, 1, OBSTACLE_NO_DOMAIN},
        {{{DNS_MX, "d.example", SAYS(null_mx)}}, 1, OBSTACLE_NULL_MX},
        {{{DNS_MX, "d.example", SAYS(ours)}}, 1, OBSTACLE_LOOP},
        {{{DNS_MX, "d.example", .err = ERR_AGAIN}}, 1, OBSTACLE_NAMES},
        {{{DNS_MX, "d.example", .err = ERR_CRYPTO}}, 1, OBSTACLE_NAMES},
        {{{DNS_MX, "d.example", SAYS(mx)}}, 1, OBSTACLE_NO_ADDRESS},
        {{{DNS_MX, "d.example", SAYS(mx)}, {DNS_A, "b.mx", .err = ERR_TIMEOUT}}, 2, OBSTACLE_NAMES},
    };

    for (size_t i = 0; i < N(cases); i++) {
        find("d.example", cases[i].v, cases[i].n);
        assert_false(has_route);
        assert_int_equal(why, cases[i].why);
    }
}

static void mx_behind_us_are_cut_off(void **state)
{
    const struct dns_record mx[] = {{.preference = 5, .name = "a"},
                                    {.preference = 10, .name = "b"},
                                    {.preference = 10, .name = "us"},
                                    {.preference = 20, .name = "c"}};
    const struct dns_record *out[4];
    enum obstacle o;

    assert_int_equal(route_pick_mx(mx, 4, "US", out, &o), 1);
    assert_string_equal(out[0]->name, "a");
    assert_int_equal(route_pick_mx(mx + 1, 3, "us", out, &o), 0);
    assert_int_equal(o, OBSTACLE_LOOP);
}

static void equals_are_shuffled(void **state)
{
    const struct dns_record mx[] = {{.preference = 1, .name = "0"},
                                    {.preference = 2, .name = "1"},
                                    {.preference = 2, .name = "2"},
                                    {.preference = 2, .name = "3"},
                                    {.preference = 3, .name = "4"}};
    unsigned first[5] = {0};
    const struct dns_record *out[5];
    enum obstacle o;

    for (int i = 0; i < 3000; i++) {
        assert_int_equal(route_pick_mx(mx, 5, "us", out, &o), 5);
        assert_string_equal(out[0]->name, "0");
        assert_string_equal(out[4]->name, "4");
        first[atoi(out[1]->name)]++;
    }
    for (int i = 1; i <= 3; i++)
        assert_true(first[i] > 800); /* of 1,000; 7 standard deviations below */
}

static void literals_need_no_names(void **state)
{
    asked = 0;
    find("[192.0.2.9]", NULL, 0);
    assert_string_equal(host(0), "[192.0.2.9] 192.0.2.9 25");
    find("[IPv6:2001:db8::9]", NULL, 0);
    assert_string_equal(host(0), "[IPv6:2001:db8::9] 2001:db8::9 25");
    find("[x]", NULL, 0);
    assert_int_equal(why, OBSTACLE_NO_DOMAIN);
    find("[", NULL, 0);
    assert_int_equal(why, OBSTACLE_NO_DOMAIN);
    assert_int_equal(asked, 0);
}

static void the_policy_comes_first(void **state)
{
    static const char text[] = "d.example route=relay.example:2525 tls=verify\n"
                               "e.example route=[::1]\n"
                               "smart.example tls=dane\n"
                               "@ours.example source=192.0.2.1\n";
    static const struct dns_record tlsa[] = {
        {.usage = 3, .selector = 1, .matching = 1, .data = {(const uint8_t *)"01234567890123456789012345678901", 32}}};
    static const struct row v[] = {{DNS_A, "relay.example", SAYS(one)},
                                   {DNS_A, "smart.example", SAYS(two, .trust = DNS_SECURE)},
                                   {DNS_TLSA, "_587._tcp.smart.example", SAYS(tlsa, .trust = DNS_SECURE)}};
    static const struct row false_tlsa[] = {{DNS_A, "smart.example", SAYS(two, .trust = DNS_SECURE)},
                                            {DNS_TLSA, "_587._tcp.smart.example", SAYS(tlsa)}};
    struct relay_policy *p;
    char whys[100], name[DESTINATION_MAX];

    assert_int_equal(relay_policy_parse(text, strlen(text), &p, whys, sizeof(whys)), OK);
    router.policy = p;
    find("d.example", v, N(v));
    assert_string_equal(host(0), "relay.example 192.0.2.1 2525");
    assert_int_equal(got.names[0].demand, TRUST_VERIFY);
    find("e.example", NULL, 0);
    assert_string_equal(host(0), "::1 ::1 25");
    assert_int_equal(relay_host_parse("smart.example:587", &router.smarthost), OK);
    router.smarthost_login = true;
    find("*", v, N(v));
    assert_string_equal(host(0), "smart.example 192.0.2.2 587");
    assert_true(got.login);
    assert_int_equal(got.names[0].demand, TRUST_DANE);
    assert_int_equal(got.names[0].ntlsa, 1);
    find("*", false_tlsa, N(false_tlsa)); /* not by DNSSEC: it proves nothing */
    assert_false(has_route);
    assert_int_equal(why, OBSTACLE_TLS);

    route_destination(&router, "x@D.example", "y@else.example", QUEUE_TLS_USUAL, name);
    assert_string_equal(name, "d.example");
    route_destination(&router, "x@f.example", "y@OURS.example", QUEUE_TLS_REQUIRED, name);
    assert_string_equal(name, "* tls @ours.example");
    router.smarthost.host[0] = '\0';
    route_destination(&router, "x@m\xc3\xbcller.example", "", QUEUE_TLS_OPTIONAL, name);
    assert_string_equal(name, "xn--mller-kva.example any");
    route_destination(&router, "x@[192.0.2.1]", "", QUEUE_TLS_USUAL, name);
    assert_string_equal(name, "[192.0.2.1]");
    relay_policy_free(p);
    router.policy = NULL;
}

/* ---- DANE (RFC 7672) ---- */

#define KEY                                                                                     \
    {                                                                                           \
        (const uint8_t *)"0123456789012345678901234567890123456789012345678901234567890123", 32 \
    }
#define TLSA(u, s, m)                                               \
    {                                                               \
        .usage = (u), .selector = (s), .matching = (m), .data = KEY \
    }
static const struct dns_record mx_a[] = {{.preference = 5, .name = "a.mx"}};
static const struct dns_record usable[] = {TLSA(3, 1, 1)};
static const struct dns_record unusable[] = {TLSA(0, 1, 1),
                                             TLSA(1, 1, 1),
                                             TLSA(4, 1, 1),
                                             TLSA(3, 2, 1),
                                             TLSA(3, 1, 3),
                                             TLSA(3, 1, 2) /* too short */,
                                             {.usage = 3, .selector = 1, .matching = 0}};
static const struct dns_record mixed[] = {TLSA(0, 1, 1), TLSA(2, 0, 1), TLSA(3, 1, 1)};
#define SECURE(records, ...) SAYS(records, .trust = DNS_SECURE, __VA_ARGS__)
#define MX                                \
    {                                     \
        DNS_MX, "d.example", SECURE(mx_a) \
    }
#define HERE                       \
    {                              \
        DNS_A, "a.mx", SECURE(one) \
    }
#define AT_A "_25._tcp.a.mx"

static const struct {
    struct row v[5];
    size_t n;
    bool found;
    int demand; /* or why there is no route */
    uint32_t tlsa;
    const char *base;
} dane_cases[] = {
    {{MX, HERE, {DNS_TLSA, AT_A, SECURE(usable)}}, 3, true, TRUST_DANE, 1, "a.mx"},
    {{MX, HERE, {DNS_TLSA, AT_A, SECURE(mixed)}}, 3, true, TRUST_DANE, 2, "a.mx"},
    {{MX, HERE, {DNS_TLSA, AT_A, SECURE(unusable)}}, 3, true, TRUST_ENCRYPT, 0, "a.mx"},
    {{MX, HERE, {DNS_TLSA, AT_A, SAYS(usable)}}, 3, true, TRUST_ANY, 0, "a.mx"},
    {{MX, HERE, {DNS_TLSA, AT_A, EMPTY}}, 3, true, TRUST_ANY, 0, "a.mx"},
    {{MX, HERE}, 2, true, TRUST_ANY, 0, "a.mx"},
    /* SERVFAIL, bogus, silence: it is not known what is asked. */
    {{MX, HERE, {DNS_TLSA, AT_A, .err = ERR_AGAIN}}, 3, false, OBSTACLE_NAMES},
    {{MX, HERE, {DNS_TLSA, AT_A, .err = ERR_CRYPTO}}, 3, false, OBSTACLE_NAMES},
    {{MX, HERE, {DNS_TLSA, AT_A, .err = ERR_TIMEOUT}}, 3, false, OBSTACLE_NAMES},
    /* An MX or an address that is not signed: no question, and no failure of it. */
    {{{DNS_MX, "d.example", SAYS(mx_a)}, HERE, {DNS_TLSA, AT_A, .err = ERR_AGAIN}}, 3, true, TRUST_ANY, 0, ""},
    {{MX, {DNS_A, "a.mx", SAYS(one)}, {DNS_TLSA, AT_A, .err = ERR_AGAIN}}, 3, true, TRUST_ANY, 0, ""},
    {{MX, HERE, {DNS_AAAA, "a.mx", SAYS(six)}, {DNS_TLSA, AT_A, SECURE(usable)}}, 4, true, TRUST_ANY, 0, ""},
    /* Without MX, the domain itself (section 2.2.1). */
    {{{DNS_MX, "d.example", .a = {.exists = true, .trust = DNS_SECURE}},
      {DNS_A, "d.example", SECURE(one)},
      {DNS_TLSA, "_25._tcp.d.example", SECURE(usable)}},
     3,
     true,
     TRUST_DANE,
     1,
     "d.example"},
    /* Aliases: where they lead first, then their own name; an unsigned end leaves the own name alone. */
    {{MX,
      {DNS_A, "a.mx", SECURE(one, .canonical = "c.mx")},
      {DNS_TLSA, "_25._tcp.c.mx", SECURE(usable)},
      {DNS_TLSA, AT_A, .err = ERR_AGAIN}},
     4,
     true,
     TRUST_DANE,
     1,
     "c.mx"},
    {{MX, {DNS_A, "a.mx", SECURE(one, .canonical = "c.mx")}, {DNS_TLSA, AT_A, SECURE(usable)}},
     3,
     true,
     TRUST_DANE,
     1,
     "a.mx"},
    {{MX,
      {DNS_A, "a.mx", SECURE(one, .canonical = "c.mx")},
      {DNS_TLSA, "_25._tcp.c.mx", .err = ERR_CRYPTO},
      {DNS_TLSA, AT_A, SECURE(usable)}},
     4,
     false,
     OBSTACLE_NAMES},
    {{MX,
      {DNS_A, "a.mx", SAYS(one, .canonical = "c.mx")},
      {DNS_TLSA, "_25._tcp.c.mx", SECURE(usable)},
      {DNS_TLSA, AT_A, EMPTY}},
     4,
     true,
     TRUST_ANY,
     0,
     "a.mx"},
    {{MX, {DNS_A, "a.mx", SAYS(one, .canonical = "c.mx")}, {DNS_TLSA, AT_A, SECURE(usable)}},
     3,
     true,
     TRUST_DANE,
     1,
     "a.mx"},
};

static void dane_is_asked_for_where_all_of_the_way_is_signed(void **state)
{
    for (size_t i = 0; i < N(dane_cases); i++) {
        find("d.example", dane_cases[i].v, dane_cases[i].n);
        if (has_route != dane_cases[i].found)
            fail_msg("case %zu", i);
        if (!has_route) {
            assert_int_equal(why, dane_cases[i].demand);
            continue;
        }
        if ((int)got.names[0].demand != dane_cases[i].demand || got.names[0].ntlsa != dane_cases[i].tlsa)
            fail_msg("case %zu: demand %d, %u records", i, got.names[0].demand, got.names[0].ntlsa);
        assert_string_equal(got.names[0].base, dane_cases[i].base);
    }
}

static void a_host_that_cannot_be_known_gives_way_to_the_next(void **state)
{
    static const struct dns_record mx[] = {{.preference = 5, .name = "a.mx"}, {.preference = 10, .name = "b.mx"}};
    static const struct row v[] = {{DNS_MX, "d.example", SECURE(mx)},
                                   HERE,
                                   {DNS_TLSA, AT_A, .err = ERR_CRYPTO},
                                   {DNS_A, "b.mx", SECURE(two)},
                                   {DNS_TLSA, "_25._tcp.b.mx", SECURE(usable)}};

    find("d.example", v, N(v));
    assert_int_equal(got.nhosts, 1);
    assert_string_equal(host(0), "b.mx 192.0.2.2 25");
    assert_int_equal(got.names[1].demand, TRUST_DANE);
    find("d.example", v, 4); /* b.mx has no records: less, but known to be so */
    assert_int_equal(got.nhosts, 1);
    assert_int_equal(got.names[1].demand, TRUST_ANY);
    find("d.example tls", v, 4);
    assert_false(has_route);
    assert_int_equal(why, OBSTACLE_NAMES); /* a.mx may be known later */
    find("d.example tls", v, N(v));
    assert_true(has_route);
}

static void wishes_of_the_sender_count(void **state)
{
    static const struct row with[] = {MX, HERE, {DNS_TLSA, AT_A, SECURE(usable)}};
    static const struct row broken[] = {MX, HERE, {DNS_TLSA, AT_A, .err = ERR_AGAIN}};

    find("d.example tls", with, N(with));
    assert_int_equal(got.names[0].demand, TRUST_DANE);
    find("d.example tls", with, 2);
    assert_false(has_route);
    assert_int_equal(why, OBSTACLE_UNPROVED);
    asked = 0;
    find("d.example any", broken, N(broken));
    assert_int_equal(got.names[0].demand, TRUST_ANY);
    assert_int_equal(asked, 3); /* MX, A, AAAA: of no use, so not asked */
}

static void long_records_and_many_have_a_bound(void **state)
{
    static uint8_t octets[ROUTE_TLSA_OCTETS + 1];
    struct dns_record many[ROUTE_TLSA_MAX + 5], full[2];
    const struct row v[] = {MX, HERE, {DNS_TLSA, AT_A, .a = {DNS_SECURE, true, 1, "", N(many), many}}};
    const struct row w[] = {MX, HERE, {DNS_TLSA, AT_A, .a = {DNS_SECURE, true, 1, "", N(full), full}}};

    for (size_t i = 0; i < N(many); i++)
        many[i] = (struct dns_record)TLSA(3, 1, 1);
    find("d.example", v, N(v));
    assert_int_equal(got.names[0].ntlsa, ROUTE_TLSA_MAX);
    full[0] = (struct dns_record){.usage = 3, .data = slice_of(octets, 2000)}; /* a whole certificate */
    full[1] = (struct dns_record){.usage = 3, .data = slice_of(octets, sizeof(octets))};
    find("d.example", w, N(w));
    assert_int_equal(got.names[0].ntlsa, 1);
    assert_int_equal(got.names[0].tlsa[0].len, 2000);
    full[0] = full[1];
    find("d.example", w, N(w));
    assert_int_equal(got.names[0].ntlsa, 0);
    assert_int_equal(got.names[0].demand, TRUST_DANE); /* which nothing fulfils: no reason to ask for less */
}

/* ---- MTA-STS (RFC 8461) ---- */

static const struct dns_record says_sts[] = {{.data = {(const uint8_t *)"v=STSv1; id=1", 13}}};
#define STS                                           \
    {                                                 \
        DNS_TXT, "_mta-sts.d.example", SAYS(says_sts) \
    }

static void a_policy_names_the_hosts(void **state)
{
    static const char text[] = "version: STSv1\nmode: %s\nmx: *.mx\nmax_age: 100\n";
    static const struct dns_record mx[] = {{.preference = 5, .name = "a.other"}, {.preference = 10, .name = "b.mx"}};
    static const struct row v[] = {{DNS_MX, "d.example", SAYS(mx)},
                                   {DNS_A, "a.other", SAYS(one)},
                                   {DNS_A, "b.mx", SAYS(two)},
                                   STS};
    static const struct row other[] = {{DNS_MX, "d.example", SAYS(mx)}, {DNS_A, "a.other", SAYS(one)}, STS};
    static const struct row dane[] = {MX, HERE, {DNS_TLSA, AT_A, SECURE(usable)}, STS};
    static const struct row useless[] = {MX, HERE, {DNS_TLSA, AT_A, SECURE(unusable)}, STS};
    char enforce[100], testing[100], said[200];

    snprintf(enforce, sizeof(enforce), text, "enforce");
    snprintf(testing, sizeof(testing), text, "testing");
    page = enforce;
    find("d.example", v, N(v));
    assert_int_equal(got.nhosts, 1);
    assert_string_equal(host(0), "b.mx 192.0.2.2 25");
    assert_int_equal(got.names[1].demand, TRUST_STS);
    assert_true(unused == 1 && !unused_name.in_policy && got.names[1].in_policy && got.own);
    snprintf(said, sizeof(said), "%.*s", (int)got.sts_len, (const char *)got.octets + got.sts_at);
    assert_string_equal(said, "version: STSv1\nmode: enforce\nmax_age: 100\nmx: *.mx\n");
    find("d.example tls", v, N(v));
    assert_int_equal(got.nhosts, 1);
    find("d.example any", v, N(v));
    assert_int_equal(got.nhosts, 2);
    find("d.example", other, N(other));
    assert_false(has_route);
    assert_int_equal(why, OBSTACLE_TLS);
    find("d.example", dane, N(dane));
    assert_int_equal(got.names[0].demand, TRUST_DANE);
    find("d.example", useless, N(useless));
    assert_int_equal(got.names[0].demand, TRUST_STS);
    page = testing;
    find("d.example", other, N(other));
    assert_int_equal(got.names[0].demand, TRUST_ANY);
    assert_true(unused == 0 && got.sts == TRUST_STS_TESTING && !got.names[0].in_policy);
    page = "version: STSv1\nmode: none\nmax_age: 100\n";
    find("d.example", other, N(other));
    assert_int_equal(got.names[0].demand, TRUST_ANY);
    assert_int_equal(got.sts, TRUST_STS_NONE);
    page = NULL;
    find("d.example", other, N(other));
    assert_int_equal(got.names[0].demand, TRUST_ANY);
    assert_true(got.sts == TRUST_STS_NONE && got.sts_fault == STS_FAULT_FETCH && got.sts_len == 0);
}

static void parts_are_taken_apart(void **state)
{
    char domain[DNS_NAME_MAX + 1], sender[DNS_NAME_MAX + 1];
    enum queue_tls tls;

    route_destination_parts("d.example tls @o.example", domain, sender, &tls);
    assert_string_equal(domain, "d.example");
    assert_string_equal(sender, "o.example");
    assert_int_equal(tls, QUEUE_TLS_REQUIRED);
    route_destination_parts("d.example @o.example", domain, sender, &tls);
    assert_string_equal(sender, "o.example");
    assert_int_equal(tls, QUEUE_TLS_USUAL);
    route_destination_parts("d.example any @o.example", domain, sender, &tls);
    assert_string_equal(sender, "o.example");
    assert_int_equal(tls, QUEUE_TLS_OPTIONAL);
    route_destination_parts("*", domain, sender, &tls);
    assert_string_equal(domain, "*");
    assert_string_equal(sender, "");
}

static void whoever_goes_is_not_called(void **state)
{
    struct route_op *op;

    loop = loop_create();
    router.sts = sts_create(loop, NULL, NULL, now, &shelf);
    rows = NULL;
    nrows = cancelled = 0;
    assert_int_equal(route_find(loop, &router, "d.example", on_route, NULL, &op), OK);
    route_cancel(op);
    assert_int_equal(cancelled, 1); /* the question for a policy is nobody's alone */
    sts_destroy(router.sts);
    loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mx_hosts_are_tried_in_their_order),
        cmocka_unit_test(without_mx_it_is_the_domain_itself),
        cmocka_unit_test(what_cannot_be_reached_is_told_apart),
        cmocka_unit_test(mx_behind_us_are_cut_off),
        cmocka_unit_test(equals_are_shuffled),
        cmocka_unit_test(literals_need_no_names),
        cmocka_unit_test(the_policy_comes_first),
        cmocka_unit_test(dane_is_asked_for_where_all_of_the_way_is_signed),
        cmocka_unit_test(a_host_that_cannot_be_known_gives_way_to_the_next),
        cmocka_unit_test(wishes_of_the_sender_count),
        cmocka_unit_test(long_records_and_many_have_a_bound),
        cmocka_unit_test(a_policy_names_the_hosts),
        cmocka_unit_test(parts_are_taken_apart),
        cmocka_unit_test(whoever_goes_is_not_called),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
