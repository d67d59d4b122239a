/* Addresses and domains to their one spelling, and the pieces they are made of. What does not fit is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/address.h"

#define L16 "aaaaaaaaaaaaaaaa"
#define L64 L16 L16 L16 L16
#define LABEL63 "aaaaaaaaaaaaaaa" L16 L16 L16
#define D251                            \
    LABEL63 "." LABEL63 "." LABEL63 "." \
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* out NULL: refused. plus: where the detail begins, 0 for none. */
static const struct {
    const char *in, *out;
    size_t plus;
} addresses[] = {
    {"anna@example.org", "anna@example.org", 0},
    {"Anna.B@Example.ORG", "anna.b@example.org", 0},
    {"a@b", "a@b", 0},
    {"!#$%&'*/=?^_`{|}~-@x.org", "!#$%&'*/=?^_`{|}~-@x.org", 0},
    {"anna+list@example.org", "anna+list@example.org", 4},
    {"anna+a+b@example.org", "anna+a+b@example.org", 4},
    {"anna+@example.org", "anna+@example.org", 4},
    {"+list@example.org", "+list@example.org", 0}, /* no base: not a detail */
    /* Quoted local parts: the quotes go where they are not needed. */
    {"\"anna\"@example.org", "anna@example.org", 0},
    {"\"An\\na\"@example.org", "anna@example.org", 0},
    {"\"anna+x\"@example.org", "anna+x@example.org", 4},
    {"\"anna b\"@example.org", "\"anna b\"@example.org", 0},
    {"\"a@b\"@example.org", "\"a@b\"@example.org", 0},
    {"\"a+b c\"@example.org", "\"a+b c\"@example.org", 0},
    {"\"a\\\"b\\\\\"@example.org", "\"a\\\"b\\\\\"@example.org", 0},
    {"\"a..b\"@example.org", "\"a..b\"@example.org", 0},
    {"\"\"@example.org", "\"\"@example.org", 0},
    {"\"\xc3\xa9 x\"@example.org", "\"\xc3\xa9 x\"@example.org", 0},
    {"\"anna@example.org", NULL, 0},
    {"\"anna\"x@example.org", NULL, 0},
    {"x\"anna\"@example.org", NULL, 0},
    {"\"an\nna\"@example.org", NULL, 0},
    {"\"an\\\nna\"@example.org", NULL, 0},
    {"\"an\x7fna\"@example.org", NULL, 0},
    {"\"a\\\xc3\xa9\"@example.org", NULL, 0}, /* quoted-pairSMTP is ASCII */
    {"\"anna\\\"@example.org", NULL, 0},
    {"\"", NULL, 0},
    {"\"\\", NULL, 0},
    /* UTF-8 (RFC 6531) */
    {"\xc3\xa9va@example.org", "\xc3\xa9va@example.org", 0},
    {"\xe7\x94\xa8\xe6\x88\xb7@example.org", "\xe7\x94\xa8\xe6\x88\xb7@example.org", 0},
    {"\xf0\x9f\x98\x80@example.org", "\xf0\x9f\x98\x80@example.org", 0},
    {"\xc3@example.org", NULL, 0},
    {"\xc0\xaf@example.org", NULL, 0}, /* overlong */
    {"\xe0\x80\xaf@example.org", NULL, 0},
    {"\xed\xa0\x80@example.org", NULL, 0},     /* surrogate */
    {"\xf4\x90\x80\x80@example.org", NULL, 0}, /* above U+10FFFF */
    {"\xff@example.org", NULL, 0},
    {"\xc2\x85@example.org", NULL, 0}, /* C1 control */
    /* case and composition of local parts (RFC 6532 section 3.1) */
    {"J\xc3\x96RG@example.org", "j\xc3\xb6rg@example.org", 0},
    {"j\xc3\xb6rg@example.org", "j\xc3\xb6rg@example.org", 0},
    {"jo\xcc\x88rg@example.org", "j\xc3\xb6rg@example.org", 0}, /* NFD */
    {"JO\xcc\x88RG@EXAMPLE.org", "j\xc3\xb6rg@example.org", 0},
    {"\"J\xc3\x96RG\"@example.org", "j\xc3\xb6rg@example.org", 0},
    {"J\xc3\x96RG+X@example.org", "j\xc3\xb6rg+x@example.org", 5},
    {"\xd0\x98\xd0\x92\xd0\x90\xd0\x9d@example.org", "\xd0\xb8\xd0\xb2\xd0\xb0\xd0\xbd@example.org", 0},
    {"\xce\x9d\xce\x99\xce\x9a\xce\x9f\xce\xa3@example.org", "\xce\xbd\xce\xb9\xce\xba\xce\xbf\xcf\x83@example.org", 0},
    {"\xce\xbd\xce\xb9\xce\xba\xce\xbf\xcf\x82@example.org", "\xce\xbd\xce\xb9\xce\xba\xce\xbf\xcf\x83@example.org",
     0},                                                     /* final sigma */
    {"\xe1\xba\x9e@example.org", "\xc3\x9f@example.org", 0}, /* capital sharp s, which is not "ss" */
    {"stra\xc3\x9f"
     "e@example.org",
     "stra\xc3\x9f"
     "e@example.org",
     0},
    {"\xe2\x84\xab@example.org", "\xc3\xa5@example.org", 0},     /* the sign for Angstrom */
    {"\xc4\xb1@example.org", "\xc4\xb1@example.org", 0},         /* dotless i is not i */
    {"\xc4\xb0@example.org", "\xc4\xb0@example.org", 0},         /* nor is I with a dot */
    {"\xc5\xbf@example.org", "\xc5\xbf@example.org", 0},         /* nor the long s an s */
    {"\xef\xbc\xa1@example.org", "\xef\xbd\x81@example.org", 0}, /* full width stays so: NFC, not NFKC */
    {"\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab@example.org", "\xed\x95\x9c@example.org", 0}, /* Hangul */
    /* IDN */
    {"anna@b\xc3\xbc"
     "cher.example",
     "anna@xn--bcher-kva.example", 0},
    {"anna@B\xc3\x9c"
     "CHER.example",
     "anna@xn--bcher-kva.example", 0},
    {"anna@bu\xcc\x88"
     "cher.example",
     "anna@xn--bcher-kva.example", 0}, /* not composed */
    {"anna@xn--bcher-kva.EXAMPLE", "anna@xn--bcher-kva.example", 0},
    {"anna@\xe4\xbe\x8b\xe3\x80\x82\xe4\xbe\x8b", "anna@xn--fsq.xn--fsq", 0}, /* ideographic full stop */
    {"anna@\xe2\x80\x8b.example", NULL, 0},
    {"anna@b\xc3\xbc"
     "cher..example",
     NULL, 0},
    {"anna@b\xc3\xbc"
     "cher.example.",
     NULL, 0},
    {"anna@b\xc3\xbc cher.example", NULL, 0},
    {"anna@b\xc3.example", NULL, 0},
    {"anna@b\xc3\xbc"
     "cher@example",
     NULL, 0},
    {"anna@\xe2\x84\x80.example", NULL, 0}, /* a/c in one character: maps to a solidus */
    /* what is not an address */
    {"", NULL, 0},
    {"@", NULL, 0},
    {"anna", NULL, 0},
    {"anna@", NULL, 0},
    {"@example.org", NULL, 0},
    {".anna@example.org", NULL, 0},
    {"anna.@example.org", NULL, 0},
    {"an..na@example.org", NULL, 0},
    {"an na@example.org", NULL, 0},
    {" anna@example.org", NULL, 0},
    {"anna@example.org ", NULL, 0},
    {"anna @example.org", NULL, 0},
    {"anna\t@example.org", NULL, 0},
    {"anna\r\n@example.org", NULL, 0},
    {"an\x01na@example.org", NULL, 0},
    {"anna@exa\nmple.org", NULL, 0},
    {"anna@exam ple.org", NULL, 0},
    {"<anna@example.org>", NULL, 0},
    {"anna@@example.org", NULL, 0},
    {"anna@x@example.org", NULL, 0},
    {"an,na@example.org", NULL, 0},
    {"an;na@example.org", NULL, 0},
    {"an(na)@example.org", NULL, 0},
    {"an[na]@example.org", NULL, 0},
    {"an\\na@example.org", NULL, 0},
    {"an:na@example.org", NULL, 0},
    {"anna@example.org.", NULL, 0},
    {"anna@.example.org", NULL, 0},
    {"anna@example..org", NULL, 0},
    {"anna@-example.org", NULL, 0},
    {"anna@example-.org", NULL, 0},
    {"anna@_exam_ple.Org", "anna@_exam_ple.org", 0}, /* somebody's elsewhere */
    {"anna@[127.0.0.1]", NULL, 0},
    {"anna@[IPv6:::1]", NULL, 0},
    {"anna@example.org/x", NULL, 0},
    {"anna@*.org", NULL, 0},
    /* lengths */
    {L64 "@x.org", L64 "@x.org", 0},
    {L64 "a@x.org", NULL, 0},
    {"a@" LABEL63 ".org", "a@" LABEL63 ".org", 0},
    {"a@" LABEL63 "a.org", NULL, 0},
    {L64 "@" D251 ".x", L64 "@" D251 ".x", 0},
    {L64 "@" D251 ".xx", NULL, 0},
};

static void test_addresses(void **st)
{
    for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
        char out[ADDRESS_MAX] = "untouched";
        size_t at = 4711, plus = 4711;
        int err = address_normalize(addresses[i].in, strlen(addresses[i].in), out, &at, &plus);
        if (!addresses[i].out) {
            if (err != ERR_FORMAT || strcmp(out, "untouched") != 0 || at != 4711 || plus != 4711)
                fail_msg("\"%s\": %d \"%s\"", addresses[i].in, err, out);
            continue;
        }
        if (err || strcmp(out, addresses[i].out) != 0 || plus != addresses[i].plus || strrchr(out, '@') != out + at)
            fail_msg("\"%s\": %d \"%s\" %zu %zu", addresses[i].in, err, out, at, plus);
        char again[ADDRESS_MAX]; /* the normal form is its own */
        assert_int_equal(address_normalize(out, strlen(out), again, &at, &plus), OK);
        assert_string_equal(out, again);
    }
}

/* NUL, and every prefix of good addresses: never past the end, never a NUL inside. */
static void test_cuts_and_nul(void **st)
{
    char out[ADDRESS_MAX];
    size_t at, plus;
    assert_int_equal(address_normalize("an\0na@example.org", 17, out, &at, &plus), ERR_FORMAT);
    assert_int_equal(address_normalize("anna@exa\0mple.org", 17, out, &at, &plus), ERR_FORMAT);
    assert_int_equal(address_normalize("\"an\0na\"@example.org", 19, out, &at, &plus), ERR_FORMAT);
    assert_int_equal(address_normalize("anna@b\xc3\xbc\0cher.org", 18, out, &at, &plus), ERR_FORMAT);
    for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++)
        for (size_t len = 0; len < strlen(addresses[i].in); len++) {
            char *exact = malloc(len ? len : 1); /* the sanitizer guards its end */
            memcpy(exact, addresses[i].in, len);
            int err = address_normalize(exact, len, out, &at, &plus);
            assert_true(err == OK || err == ERR_FORMAT);
            free(exact);
        }
}

static void test_noise(void **st)
{
    static const char some[] = "ab@.+\"\\ -\xc3\xa9\xe2\x82\xac[]\n";
    for (unsigned round = 0; round < 200000; round++) {
        char in[400], out[ADDRESS_MAX], again[ADDRESS_MAX];
        size_t len = randombytes_uniform(round % 50 ? 12 : sizeof(in)), at, plus;
        for (size_t i = 0; i < len; i++)
            in[i] = some[randombytes_uniform(sizeof(some) - 1)];
        if (address_normalize(in, len, out, &at, &plus))
            continue;
        assert_true(strlen(out) < ADDRESS_MAX && out[at] == '@' && plus < at);
        assert_int_equal(address_normalize(out, strlen(out), again, &at, &plus), OK);
        assert_string_equal(out, again);
    }
}

static void test_domains(void **st)
{
    static const struct {
        const char *in, *out;
    } table[] = {
        {"Example.ORG", "example.org"},
        {"localhost", "localhost"},
        {"1.2.3.example", "1.2.3.example"},
        {"My_Host.example", "my_host.example"},
        {"", NULL},
        {".", NULL},
        {"a.", NULL},
        {"a b", NULL},
        {"@a", NULL},
        {"[::1]", NULL},
        {"fa\xc3\x9f.de", "xn--fa-hia.de"},
        {D251 ".xx", NULL},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        char out[DOMAIN_CAP] = "untouched";
        int err = address_domain_normalize(table[i].in, strlen(table[i].in), out);
        assert_int_equal(err, table[i].out ? OK : ERR_FORMAT);
        assert_string_equal(out, table[i].out ? table[i].out : "untouched");
    }
    char big[5000], out[DOMAIN_CAP];
    memset(big, '\xc3', sizeof(big));
    assert_int_equal(address_domain_normalize(big, sizeof(big), out), ERR_FORMAT);
    for (size_t i = 1; i < sizeof(big); i += 2)
        big[i] = '\xa9';
    assert_int_equal(address_domain_normalize(big, sizeof(big), out), ERR_FORMAT);
    assert_int_equal(address_domain_normalize(big, 600, out), ERR_FORMAT);
}

/* Where RFC 5321 and RFC 5322 differ. */
static void test_pieces(void **st)
{
    static const struct {
        const char *in;
        size_t local[3], domain[3]; /* octets under ADDRESS_HEADER, ADDRESS_SMTP, ADDRESS_ENVELOPE */
    } t[] = {
        {"anna@x", {4, 4, 4}, {4, 4, 4}},
        {"a.b+c", {5, 5, 5}, {5, 3, 3}}, /* a header's domain may be any dot-atom (RFC 5322 section 3.4.1) */
        {"%x.com", {6, 6, 6}, {6, 0, 0}},
        {".a", {0, 0, 2}, {0, 0, 0}},
        {"a.", {0, 0, 2}, {0, 0, 2}},
        {"a..b", {0, 0, 4}, {0, 0, 2}},
        {"", {0, 0, 0}, {0, 0, 0}},
        {"\"a b\"@x", {5, 5, 5}, {0, 0, 0}},
        {"\"a\\\"b\"", {6, 6, 6}, {0, 0, 0}},
        {"\"a\\\xc3\xa9\"", {6, 0, 0}, {0, 0, 0}}, /* a quoted pair of UTF-8 */
        {"\"a", {0, 0, 0}, {0, 0, 0}},
        {"\"a\r\n b\"", {0, 0, 0}, {0, 0, 0}},
        {"a_b.c", {5, 5, 5}, {5, 1, 5}}, /* stops at what is none of it */
        {"-a.b", {4, 4, 4}, {4, 0, 0}},
        {"a-.b", {4, 4, 4}, {4, 0, 0}},
        {"a.b-", {4, 4, 4}, {4, 0, 0}},
        {"a.-b", {4, 4, 4}, {4, 0, 0}},
        {LABEL63 "a.b", {66, 66, 66}, {66, 0, 0}},
        {"b\xc3\xbc"
         "cher.de",
         {10, 10, 10},
         {10, 10, 10}},
        {"b\xc2\x9b", {3, 0, 0}, {3, 0, 0}}, /* a C1 control */
        {"b\xc3", {2, 0, 0}, {2, 0, 0}},
        {D251 ".xxxx", {256, 256, 256}, {0, 0, 0}},
        {"a.b.>", {0, 0, 4}, {0, 0, 4}}, /* the root's dot */
        {"a.b..", {0, 0, 5}, {0, 0, 4}},
        {"_a._b", {5, 5, 5}, {5, 0, 5}},
        {"a.-b.", {0, 0, 5}, {0, 0, 0}},
        {D251 ".xxx", {255, 255, 255}, {255, 255, 255}},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
        for (int rules = ADDRESS_HEADER; rules <= ADDRESS_ENVELOPE; rules++) {
            size_t len = strlen(t[i].in);
            uint8_t *exact = malloc(len ? len : 1);
            memcpy(exact, t[i].in, len);
            size_t local = address_local_len(exact, len, (enum address_rules)rules);
            size_t domain = address_domain_len(exact, len, (enum address_rules)rules);
            if (local != t[i].local[rules] || domain != t[i].domain[rules])
                fail_msg("\"%s\" under %d: local %zu, domain %zu", t[i].in, rules, local, domain);
            free(exact);
        }
    uint8_t plain[16];
    char out[34];
    size_t n = address_local_plain((const uint8_t *)"\"a\\\"b c\"", 8, plain);
    assert_int_equal(n, 5);
    assert_memory_equal(plain, "a\"b c", 5);
    assert_int_equal(address_local_write(plain, n, out), 8);
    assert_memory_equal(out, "\"a\\\"b c\"", 8);
    assert_int_equal(address_local_write((const uint8_t *)"a.b", 3, out), 3);
    assert_int_equal(address_local_write(plain, 0, out), 2); /* "" */
}

static void test_literals(void **st)
{
    static const struct {
        const char *in;
        size_t len;
    } t[] = {
        {"[192.0.2.1]", 11},   {"[IPv6:2001:db8::1]x", 18}, {"[ipv6:::1]", 10}, {"[192.0.2.1", 0}, {"[192.0.2]", 0},
        {"[2001:db8::1]", 0},  {"[IPv6:192.0.2.1]", 0},     {"[]", 0},          {"[", 0},          {"", 0},
        {"[tag:anything]", 0}, {"192.0.2.1]", 0},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
        assert_int_equal(address_literal_len((const uint8_t *)t[i].in, strlen(t[i].in)), t[i].len);
    assert_int_equal(address_literal_len((const uint8_t *)"[192.0.2.1\0]", 12), 0);
}

static int setup(void **st)
{
    return sodium_init() < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_cuts_and_nul), cmocka_unit_test(test_noise),
        cmocka_unit_test(test_domains),   cmocka_unit_test(test_pieces),       cmocka_unit_test(test_literals),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
