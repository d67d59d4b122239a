/* Answers as strangers make them: what is whole is read as it says, and nothing else is read at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/resolver/answer.h"

enum { CAP = 65535, QNAME = 12 /* where the question's name stands */ };

static uint8_t wire[CAP + 1];
static size_t len;
static struct dns_space space;

static void u16(unsigned v)
{
    wire[len++] = (uint8_t)(v >> 8);
    wire[len++] = (uint8_t)v;
}

static void u32(uint32_t v)
{
    u16(v >> 16);
    u16(v & 0xffff);
}

/* Labels with dots between them. */
static void name(const char *text)
{
    while (*text) {
        size_t n = strcspn(text, ".");
        wire[len++] = (uint8_t)n;
        memcpy(wire + len, text, n);
        len += n;
        text += n + (text[n] == '.');
    }
    wire[len++] = 0;
}

static void count(size_t at)
{
    wire[at + 1]++;
    wire[at] += wire[at + 1] == 0;
}

static void begin(const char *question, unsigned code)
{
    memset(wire, 0, 12);
    wire[2] = 0x80;
    wire[3] = (uint8_t)code;
    wire[5] = 1;
    len = 12;
    name(question);
    u32(1 << 16 | 1);
}

static size_t rr_begin(unsigned type, unsigned class, uint32_t ttl, size_t section)
{
    count(section);
    u16(type);
    u16(class);
    u32(ttl);
    u16(0);
    return len;
}

static void rr_end(size_t data)
{
    wire[data - 2] = (uint8_t)((len - data) >> 8);
    wire[data - 1] = (uint8_t)(len - data);
}

/* A record of the question's own name, or of another. */
static size_t record(const char *owner, unsigned type, uint32_t ttl)
{
    if (owner)
        name(owner);
    else
        u16(0xc000 | QNAME);
    return rr_begin(type, 1, ttl, 6);
}

static void address(const char *owner, uint32_t a)
{
    size_t data = record(owner, DNS_A, 300);
    u32(a);
    rr_end(data);
}

static void alias(const char *from, const char *to)
{
    size_t data = record(from, 5, 200);
    name(to);
    rr_end(data);
}

static void exchange(unsigned preference, const char *host)
{
    size_t data = record(NULL, DNS_MX, 100);
    u16(preference);
    name(host);
    rr_end(data);
}

static int read_as(enum dns_type type, const char *of)
{
    /* A copy of its own length, so that a sanitizer sees each octet read behind it. */
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, wire, len);
    int err = answer_read(copy, len, type, of, &space);
    free(copy);
    return err;
}

static void test_records(void **state)
{
    begin("a.test", 0);
    address("A.Test", 0x7f000001);
    address("b.test", 0x7f000002); /* nobody asked */
    address(NULL, 0x7f000003);
    assert_int_equal(read_as(DNS_A, "a.test"), OK);
    assert_int_equal(space.answer.n, 2);
    assert_memory_equal(space.v[0].data.data, "\x7f\0\0\1", 4);
    assert_memory_equal(space.v[1].data.data, "\x7f\0\0\3", 4);
    assert_true(space.answer.exists && space.answer.ttl == 300);
    assert_string_equal(space.answer.canonical, "a.test");
    assert_int_equal(read_as(DNS_AAAA, "a.test"), OK);
    assert_int_equal(space.answer.n, 0);
    /* another class */
    begin("a.test", 0);
    u16(0xc000 | QNAME);
    size_t data = rr_begin(DNS_A, 3, 300, 6);
    u32(1);
    rr_end(data);
    assert_int_equal(read_as(DNS_A, "a.test"), OK);
    assert_int_equal(space.answer.n, 0);
}

static void test_exchanges(void **state)
{
    begin("test", 0);
    exchange(20, "c.test");
    exchange(10, "B.test");
    exchange(20, "a.test");
    exchange(0, "");
    assert_int_equal(read_as(DNS_MX, "test"), OK);
    assert_int_equal(space.answer.n, 4);
    assert_string_equal(space.v[0].name, "");
    assert_string_equal(space.v[1].name, "b.test");
    assert_string_equal(space.v[2].name, "c.test"); /* those alike as they came */
    assert_string_equal(space.v[3].name, "a.test");
    assert_int_equal(space.v[2].preference, 20);
}

static void test_texts(void **state)
{
    size_t data;
    begin("test", 0);
    data = record(NULL, DNS_TXT, 9);
    memcpy(wire + len, "\3one\0\4 two", 10);
    len += 10;
    rr_end(data);
    data = record(NULL, DNS_TXT, 9);
    rr_end(data); /* none at all */
    data = record(NULL, DNS_TXT, 9);
    memcpy(wire + len, "\3one\5two", 8); /* longer than the record */
    len += 8;
    rr_end(data);
    assert_int_equal(read_as(DNS_TXT, "test"), OK);
    assert_int_equal(space.answer.n, 2);
    assert_int_equal(space.v[0].data.len, 7);
    assert_memory_equal(space.v[0].data.data, "one two", 7);
    assert_int_equal(space.v[1].data.len, 0);
}

static void test_authorizations(void **state)
{
    static const char *const rows[] = {"\0\5Issueletsencrypt.org", "\200\5issue;", "\0\5iodef"};
    static const size_t lens[] = {22, 8, 7};
    static const char *const bad[] = {"", "\0", "\0\0x", "\0\6issue", "\0\5iss.e;"};
    static const size_t bad_lens[] = {0, 1, 3, 7, 8};
    begin("test", 0);
    for (size_t i = 0; i < 3; i++) {
        size_t data = record(NULL, DNS_CAA, 9);
        memcpy(wire + len, rows[i], lens[i]);
        len += lens[i];
        rr_end(data);
    }
    assert_int_equal(read_as(DNS_CAA, "test"), OK);
    assert_int_equal(space.answer.n, 3);
    assert_string_equal(space.v[0].name, "issue");
    assert_int_equal(space.v[0].data.len, 15);
    assert_memory_equal(space.v[0].data.data, "letsencrypt.org", 15);
    assert_int_equal(space.v[1].usage, 128);
    assert_string_equal(space.v[2].name, "iodef");
    assert_int_equal(space.v[2].data.len, 0);
    for (size_t i = 0; i < 5; i++) {
        begin("test", 0);
        size_t data = record(NULL, DNS_CAA, 9);
        memcpy(wire + len, bad[i], bad_lens[i]);
        len += bad_lens[i];
        rr_end(data);
        name("behind");
        assert_int_equal(read_as(DNS_CAA, "test"), ERR_FORMAT);
    }
}

static void test_services(void **state)
{
    static const unsigned bad[] = {0, 2, 6};

    begin("_imaps._tcp.test", 0);
    for (unsigned i = 0; i < 3; i++) {
        size_t data = record(NULL, DNS_SRV, 9);
        u32((30 - 10 * i) << 16 | 5);
        u16(993 + i);
        name(i == 2 ? "" : "mx.test");
        rr_end(data);
    }
    assert_int_equal(read_as(DNS_SRV, "_imaps._tcp.test"), OK);
    assert_int_equal(space.answer.n, 3);
    assert_int_equal(space.v[0].preference, 10);
    assert_string_equal(space.v[0].name, ""); /* there is no such service */
    assert_string_equal(space.v[2].name, "mx.test");
    assert_int_equal(space.v[2].data.len, 2);
    assert_int_equal(space.v[2].data.data[0] << 8 | space.v[2].data.data[1], 993);
    for (size_t i = 0; i < 3; i++) {
        begin("test", 0);
        size_t data = record(NULL, DNS_SRV, 9);
        for (unsigned n = 0; n < bad[i]; n++)
            wire[len++] = 0;
        rr_end(data);
        name("behind");
        assert_int_equal(read_as(DNS_SRV, "test"), ERR_FORMAT);
    }
}

static void test_certificates(void **state)
{
    for (size_t octets = 0; octets < 3; octets++) {
        begin("x._openpgpkey.test", 0);
        size_t data = record(NULL, DNS_OPENPGPKEY, 9);
        for (size_t i = 0; i < octets; i++)
            wire[len++] = (uint8_t)(0x98 + i);
        rr_end(data);
        assert_int_equal(read_as(DNS_OPENPGPKEY, "x._openpgpkey.test"), octets ? OK : ERR_FORMAT);
        if (!octets)
            continue;
        assert_int_equal(space.answer.n, 1);
        assert_int_equal(space.v[0].data.len, octets);
        assert_int_equal(space.v[0].data.data[octets - 1], 0x98 + octets - 1);
    }
}

static void test_lengths_that_are_none(void **state)
{
    static const struct {
        enum dns_type type;
        size_t len;
    } bad[] = {{DNS_A, 3},  {DNS_A, 5},  {DNS_A, 0},   {DNS_AAAA, 4}, {DNS_AAAA, 17},
               {DNS_MX, 0}, {DNS_MX, 2}, {DNS_PTR, 0}, {DNS_TLSA, 3}, {DNS_TLSA, 0}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        begin("test", 0);
        size_t data = record(NULL, bad[i].type, 1);
        memset(wire + len, 1, bad[i].len);
        len += bad[i].len;
        rr_end(data);
        name("behind"); /* octets that must not be taken for the record's */
        assert_int_equal(read_as(bad[i].type, "test"), ERR_FORMAT);
    }
    /* A name that ends behind its record, one that leaves octets. */
    begin("test", 0);
    size_t data = record(NULL, DNS_MX, 1);
    u16(1);
    name("mx.test");
    rr_end(data);
    wire[data - 1]--;
    len--;
    assert_int_equal(read_as(DNS_MX, "test"), ERR_FORMAT);
    begin("test", 0);
    data = record(NULL, DNS_NS, 1);
    name("ns.test");
    u16(0);
    rr_end(data);
    assert_int_equal(read_as(DNS_NS, "test"), ERR_FORMAT);
}

/* Left out, and an error where nothing else is left. */
static void test_names_that_are_none(void **state)
{
    static const char *const odd[] = {"\5a b.c", "\3a.b", "\3a\0b", "\3a\nb", "\3\xc3\xa4x", "\2A*"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++)
        for (int beside = 0; beside < 2; beside++) {
            begin("test", 0);
            size_t data = record(NULL, DNS_MX, 1);
            u16(1);
            memcpy(wire + len, odd[i], (size_t)odd[i][0] + 1);
            len += (size_t)odd[i][0] + 1;
            name("test");
            rr_end(data);
            if (beside)
                exchange(2, "mx.test");
            assert_int_equal(read_as(DNS_MX, "test"), beside ? OK : ERR_FORMAT);
            if (beside) {
                assert_int_equal(space.answer.n, 1);
                assert_string_equal(space.v[0].name, "mx.test");
            }
        }
    /* As an owner it is nobody's. */
    begin("a.test", 0);
    count(6);
    memcpy(wire + len, "\6a.test\0", 8);
    len += 8;
    wire[7]--;
    size_t data = rr_begin(DNS_A, 1, 1, 6);
    u32(1);
    rr_end(data);
    assert_int_equal(read_as(DNS_A, "a.test"), OK);
    assert_int_equal(space.answer.n, 0);
}

static void test_aliases(void **state)
{
    begin("a.test", 0);
    address("c.test", 7);
    alias("b.test", "C.test"); /* in any order */
    alias(NULL, "b.test");
    assert_int_equal(read_as(DNS_A, "a.test"), OK);
    assert_int_equal(space.answer.n, 1);
    assert_string_equal(space.answer.canonical, "c.test");
    assert_int_equal(space.answer.ttl, 200);
    begin("a.test", 0);
    alias("a.test", "b.test");
    alias("b.test", "a.test");
    assert_int_equal(read_as(DNS_A, "a.test"), ERR_FORMAT);
    for (unsigned n = 15; n <= 16; n++) {
        char from[32], to[32];
        begin("n0.test", 0);
        for (unsigned i = 0; i < n; i++) {
            snprintf(from, sizeof(from), "n%u.test", i);
            snprintf(to, sizeof(to), "n%u.test", i + 1);
            alias(from, to);
        }
        address(to, 1);
        assert_int_equal(read_as(DNS_A, "n0.test"), n < 16 ? OK : ERR_FORMAT);
    }
    begin("a.test", 0);
    alias("a.test", "");
    assert_int_equal(read_as(DNS_A, "a.test"), ERR_FORMAT);
}

static void test_pointers(void **state)
{
    /* itself, ahead, the header, the last octet, none at all */
    static const unsigned to[] = {0xc000 | 22, 0xc000 | 40, 0xc000, 0xc00b, 0xffff, 0x4000 | QNAME, 0x8000 | QNAME};
    for (size_t i = 0; i < sizeof(to) / sizeof(*to); i++) {
        begin("test", 0);
        assert_int_equal(len, 22);
        u16(to[i]);
        size_t data = rr_begin(DNS_A, 1, 1, 6);
        u32(1);
        rr_end(data);
        assert_int_equal(read_as(DNS_A, "test"), ERR_FORMAT);
    }
    /* Many that lead back, one before the other, are a name; longer than 255 octets they are none. */
    for (unsigned n = 2; n < 7; n++) {
        char label[64], whole[600] = "";
        size_t at = 0;
        memset(label, 'x', 63);
        label[63] = '\0';
        begin("test", 0);
        size_t data = record(NULL, DNS_TXT, 1);
        for (unsigned k = 0; k < n; k++) {
            size_t here = len;
            wire[len++] = 60;
            memcpy(wire + len, label, 60);
            len += 60;
            u16(k ? 0xc000 | (unsigned)at : 0xc000 | QNAME);
            at = here;
            snprintf(whole + strlen(whole), 64, "%.60s.", label);
        }
        strcat(whole, "test");
        rr_end(data);
        u16(0xc000 | (unsigned)at);
        data = rr_begin(DNS_A, 1, 1, 6);
        u32(1);
        rr_end(data);
        if (strlen(whole) < 254) {
            assert_int_equal(read_as(DNS_A, whole), OK);
            assert_int_equal(space.answer.n, 1);
        } else
            assert_int_equal(read_as(DNS_A, "test"), ERR_FORMAT);
    }
}

static void test_limits(void **state)
{
    begin("test", 0);
    for (uint32_t i = 0; i < DNS_RECORDS_MAX; i++)
        address(NULL, i);
    assert_int_equal(read_as(DNS_A, "test"), OK);
    assert_int_equal(space.answer.n, DNS_RECORDS_MAX);
    address(NULL, 9);
    assert_int_equal(read_as(DNS_A, "test"), ERR_LIMIT);
    begin("test", 0);
    for (int i = 0; i < 5; i++) {
        size_t data = record(NULL, DNS_TLSA, 1);
        memset(wire + len, 3, 12000);
        len += 12000;
        rr_end(data);
    }
    assert_int_equal(read_as(DNS_TLSA, "test"), ERR_LIMIT);
}

static void test_codes_and_times(void **state)
{
    for (unsigned code = 1; code < 16; code++) {
        begin("test", code);
        assert_int_equal(read_as(DNS_A, "test"), code == 3 ? OK : ERR_AGAIN);
        if (code == 3)
            assert_true(!space.answer.exists && space.answer.ttl == 60);
    }
    begin("test", 0);
    wire[2] = 0; /* a question */
    assert_int_equal(read_as(DNS_A, "test"), ERR_FORMAT);
    /* Of what is not there: the SOA's own time or its last field, whichever is less. */
    for (int i = 0; i < 2; i++) {
        begin("test", 3);
        u16(0xc000 | QNAME);
        size_t data = rr_begin(6, 1, i ? 500 : 50, 8);
        name("ns");
        name("root");
        for (uint32_t k = 0; k < 5; k++)
            u32(100 + k);
        rr_end(data);
        assert_int_equal(read_as(DNS_A, "test"), OK);
        assert_int_equal(space.answer.ttl, i ? 104 : 50);
    }
    static const uint32_t ttl[][2] = {{86400, 86400}, {86401, 86400}, {0x7fffffff, 86400}, {0x80000000, 0}};
    for (size_t i = 0; i < 4; i++) {
        begin("test", 0);
        size_t data = record(NULL, DNS_A, ttl[i][0]);
        u32(1);
        rr_end(data);
        assert_int_equal(read_as(DNS_A, "test"), OK);
        assert_int_equal(space.answer.ttl, ttl[i][1]);
    }
}

/* Every beginning of an answer, and every octet of it changed. */
static void test_cut_and_changed(void **state)
{
    begin("a.test", 0);
    alias(NULL, "test");
    size_t data = record("test", DNS_MX, 1);
    u16(3);
    name("mx");
    rr_end(data);
    const size_t whole = len;
    assert_int_equal(read_as(DNS_MX, "a.test"), OK);
    for (len = 0; len < whole; len++)
        assert_true(read_as(DNS_MX, "a.test") != OK);
    for (size_t i = 0; i < whole; i++)
        for (int v = 0; v < 256; v++) {
            const uint8_t was = wire[i];
            wire[i] = (uint8_t)v;
            if (read_as(DNS_MX, "a.test") == OK) {
                static uint8_t out[DNS_ANSWER_MAX];
                static struct dns_space again;
                struct pack p;
                struct unpack u;
                pack_init(&p, out, sizeof(out));
                dns_answer_pack(&p, DNS_MX, &space.answer);
                unpack_init(&u, out, p.len);
                assert_int_equal(dns_answer_unpack(&u, DNS_MX, &again), OK);
                assert_int_equal(again.answer.n, space.answer.n);
            }
            wire[i] = was;
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_exchanges),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_authorizations),
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_lengths_that_are_none),
        cmocka_unit_test(test_names_that_are_none),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_pointers),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_codes_and_times),
        cmocka_unit_test(test_cut_and_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
