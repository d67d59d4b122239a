/* The asker's side of names: a resolver that says what it likes is believed in nothing that is no answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/ipc.h"
#include "server/dns/message.h"
#include "tests/support/patience.h"

static struct loop *loop;
static struct dns *dns;
static int far = -1;
static int calls, last;
static uint32_t last_n;

static void answered(void *arg, int err, const struct dns_answer *a)
{
    calls++;
    last = err;
    last_n = a ? a->n : 0;
    assert_true((err == OK) == (a != NULL));
    loop_stop(loop);
}

static int up(void **state)
{
    int pair[2];
    loop = loop_create();
    dns = dns_create(loop);
    assert_int_equal(ipc_pair(pair), OK);
    dns_channel(dns, pair[0]);
    far = pair[1];
    calls = 0;
    return 0;
}

static int down(void **state)
{
    dns_destroy(dns);
    loop_destroy(loop);
    if (far >= 0)
        close(far);
    return 0;
}

static uint8_t buf[IPC_MAX];

/* What comes to the resolver; its id. */
static uint64_t heard(unsigned type, const char *name)
{
    struct ipc_msg m;
    struct unpack u;
    char text[DNS_NAME_MAX + 1];
    assert_int_equal(ipc_recv_blocking(far, buf, &m, PATIENCE_MS), OK);
    assert_int_equal(m.type, DNS_ASK);
    unpack_init(&u, m.payload.data, m.payload.len);
    assert_int_equal(unpack_u16(&u), type);
    unpack_str(&u, text, sizeof(text));
    assert_string_equal(text, name);
    assert_true(unpack_done(&u));
    return m.id;
}

struct made {
    uint16_t type, n, preference[2];
    uint8_t trust, exists, usage;
    const char *canonical, *name;
    size_t data;
    bool rest;
};

static void say(uint64_t id, const struct made *a)
{
    static const uint8_t zeros[DNS_ANSWER_MAX];
    struct pack p;
    pack_init(&p, buf, sizeof(buf));
    pack_u32(&p, 0);
    pack_str(&p, "");
    pack_u16(&p, a->type);
    pack_u8(&p, a->trust);
    pack_u8(&p, a->exists);
    pack_u32(&p, 60);
    pack_str(&p, a->canonical);
    pack_u16(&p, a->n);
    for (unsigned i = 0; i < a->n; i++) {
        pack_u16(&p, a->preference[i % 2]);
        pack_u8(&p, a->usage);
        pack_u8(&p, 0);
        pack_u8(&p, 0);
        pack_str(&p, a->name);
        pack_bytes(&p, zeros, a->data);
    }
    if (a->rest)
        pack_u8(&p, 0);
    assert_false(p.failed);
    assert_int_equal(ipc_send_blocking(far, DNS_REPLY, id, buf, p.len, NULL, 0), OK);
}

static void test_what_is_no_answer(void **state)
{
    static const struct {
        struct made a;
        enum dns_type asked;
        int err;
    } rows[] = {
        {{.type = DNS_A, .exists = 1, .canonical = "a", .name = "", .n = 2, .data = 4}, DNS_A, OK},
        {{.type = DNS_MX, .exists = 1, .canonical = "a", .name = "b", .n = 2, .preference = {1, 2}}, DNS_MX, OK},
        {{.type = DNS_MX, .exists = 1, .canonical = "a", .name = "", .n = 1}, DNS_MX, OK},
        {{.type = DNS_TLSA, .exists = 1, .canonical = "a", .name = "", .n = 1, .usage = 3, .data = 32}, DNS_TLSA, OK},
        {{.type = DNS_A, .canonical = "a", .name = ""}, DNS_A, OK},
        {{.type = DNS_A, .exists = 1, .canonical = "a", .name = "", .n = 256, .data = 4}, DNS_A, OK},
        {{.type = DNS_A, .exists = 1, .canonical = "a", .name = "", .n = 257, .data = 4}, DNS_A, ERR_FORMAT},
        {{.type = DNS_A, .exists = 1, .canonical = "a", .name = "", .n = 1, .data = 5}, DNS_A, ERR_FORMAT},
        {{.type = DNS_A, .exists = 1, .canonical = "a", .name = "", .n = 1, .data = 4}, DNS_AAAA, ERR_FORMAT},
        {{.type = DNS_AAAA, .exists = 1, .canonical = "a", .name = "", .n = 1, .data = 4}, DNS_AAAA, ERR_FORMAT},
        {{.type = DNS_A, .exists = 1, .canonical = "a", .name = "b", .n = 1, .data = 4}, DNS_A, ERR_FORMAT},
        {{.type = DNS_A, .exists = 1, .canonical = "a", .name = "", .n = 1, .data = 4, .preference = {1}},
         DNS_A,
         ERR_FORMAT},
        {{.type = DNS_A, .exists = 1, .canonical = "a", .name = "", .n = 1, .data = 4, .usage = 1}, DNS_A, ERR_FORMAT},
        {{.type = DNS_A, .canonical = "a", .name = "", .n = 1, .data = 4}, DNS_A, ERR_FORMAT},
        {{.type = DNS_A, .exists = 2, .canonical = "a", .name = ""}, DNS_A, ERR_FORMAT},
        {{.type = DNS_A, .exists = 1, .trust = 2, .canonical = "a", .name = ""}, DNS_A, ERR_FORMAT},
        {{.type = DNS_A, .exists = 1, .canonical = "", .name = ""}, DNS_A, ERR_FORMAT},
        {{.type = DNS_A, .exists = 1, .canonical = "A", .name = ""}, DNS_A, ERR_FORMAT},
        {{.type = DNS_A, .exists = 1, .canonical = "a", .name = "", .rest = true}, DNS_A, ERR_FORMAT},
        {{.type = DNS_MX, .exists = 1, .canonical = "a", .name = "b", .n = 2, .preference = {2, 1}},
         DNS_MX,
         ERR_FORMAT},
        {{.type = DNS_MX, .exists = 1, .canonical = "a", .name = "b c", .n = 1}, DNS_MX, ERR_FORMAT},
        {{.type = DNS_MX, .exists = 1, .canonical = "a", .name = "b.", .n = 1}, DNS_MX, ERR_FORMAT},
        {{.type = DNS_MX, .exists = 1, .canonical = "a", .name = "b", .n = 1, .data = 1}, DNS_MX, ERR_FORMAT},
        {{.type = DNS_TLSA, .exists = 1, .canonical = "a", .name = "", .n = 1}, DNS_TLSA, ERR_FORMAT},
        {{.type = DNS_CAA, .exists = 1, .canonical = "a", .name = "issue", .n = 1, .usage = 128, .data = 9},
         DNS_CAA,
         OK},
        {{.type = DNS_CAA, .exists = 1, .canonical = "a", .name = "", .n = 1, .data = 9}, DNS_CAA, ERR_FORMAT},
        {{.type = DNS_SRV, .exists = 1, .canonical = "a", .name = "b", .n = 1, .preference = {3}, .data = 2},
         DNS_SRV,
         OK},
        {{.type = DNS_SRV, .exists = 1, .canonical = "a", .name = "b", .n = 1, .data = 3}, DNS_SRV, ERR_FORMAT},
        {{.type = DNS_OPENPGPKEY, .exists = 1, .canonical = "a", .name = "", .n = 1, .data = 1}, DNS_OPENPGPKEY, OK},
        {{.type = DNS_OPENPGPKEY, .exists = 1, .canonical = "a", .name = "", .n = 1}, DNS_OPENPGPKEY, ERR_FORMAT},
        {{.type = DNS_TXT, .exists = 1, .canonical = "a", .name = "", .n = 1, .data = DNS_ANSWER_MAX},
         DNS_TXT,
         ERR_LIMIT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(dns_ask(dns, rows[i].asked, "X.test", answered, NULL, NULL), OK);
        assert_int_equal(calls, (int)i);
        say(heard(rows[i].asked, "x.test"), &rows[i].a);
        assert_int_equal(loop_run(loop), OK);
        assert_int_equal(calls, (int)i + 1);
        if (last != rows[i].err)
            fail_msg("row %zu: %d", i, last);
        if (last == OK)
            assert_int_equal(last_n, rows[i].a.n);
    }
}

static void test_names(void **state)
{
    static const char *const bad[] = {"", ".", "a.", ".a", "a..b", "a\tb", "a\x7f", "a\n", "\xc3\xa4"};
    /* SPF's macros put in what senders say. */
    static const char *const odd[] = {"a b", "*", "joe+x=y._spf.test", "a\\b\\.c", "\"'`$(a);@\\092"};
    char label[70], name[300] = "";
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(dns_ask(dns, DNS_A, bad[i], answered, NULL, NULL), ERR_FORMAT);
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        assert_int_equal(dns_ask(dns, DNS_TXT, odd[i], answered, NULL, NULL), OK);
        (void)heard(DNS_TXT, odd[i]);
    }
    memset(label, 'x', 64);
    label[64] = '\0';
    assert_int_equal(dns_ask(dns, DNS_A, label, answered, NULL, NULL), ERR_FORMAT);
    label[63] = '\0';
    for (int i = 0; i < 3; i++)
        sprintf(name + strlen(name), "%s.", label);
    sprintf(name + strlen(name), "%.61s", label); /* 253 */
    assert_int_equal(dns_ask(dns, DNS_A, name, answered, NULL, NULL), OK);
    (void)heard(DNS_A, name);
    strcat(name, "x");
    assert_int_equal(dns_ask(dns, DNS_A, name, answered, NULL, NULL), ERR_FORMAT);
}

static void test_taken_back(void **state)
{
    static const struct made a = {.type = DNS_A, .exists = 1, .canonical = "b", .name = ""};
    struct dns_question *q;
    assert_int_equal(dns_ask(dns, DNS_A, "a", answered, NULL, &q), OK);
    assert_int_equal(dns_ask(dns, DNS_A, "b", answered, NULL, NULL), OK);
    dns_cancel(q);
    say(heard(DNS_A, "a"), &a);
    say(heard(DNS_A, "b"), &a);
    assert_int_equal(loop_run(loop), OK);
    assert_int_equal(calls, 1);
    assert_int_equal(dns_ask(dns, DNS_A, "c", answered, NULL, NULL), OK); /* goes with dns */
}

/* The resolver dies: who has asked is told, who asks then waits for the next. */
static void test_another_resolver(void **state)
{
    static const struct made a = {.type = DNS_A, .exists = 1, .canonical = "b", .name = ""};
    int pair[2];
    assert_int_equal(dns_ask(dns, DNS_A, "a", answered, NULL, NULL), OK);
    (void)heard(DNS_A, "a");
    close(far);
    assert_int_equal(loop_run(loop), OK);
    assert_int_equal(last, ERR_GONE);
    assert_int_equal(dns_ask(dns, DNS_A, "b", answered, NULL, NULL), OK);
    assert_int_equal(ipc_pair(pair), OK);
    far = pair[1];
    dns_channel(dns, pair[0]);
    say(heard(DNS_A, "b"), &a);
    assert_int_equal(loop_run(loop), OK);
    assert_int_equal(last, OK);
    assert_int_equal(calls, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_no_answer, up, down),
        cmocka_unit_test_setup_teardown(test_names, up, down),
        cmocka_unit_test_setup_teardown(test_taken_back, up, down),
        cmocka_unit_test_setup_teardown(test_another_resolver, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
