/* The asker's side of pages: a fetcher that says what it likes is believed in nothing that is no answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/ipc.h"
#include "server/fetch/message.h"

static struct loop *loop;
static struct fetch *fetch;
static int far = -1;
static int calls, last;
static uint32_t last_status;
static size_t last_len;
static uint8_t buf[IPC_MAX];
static const uint8_t zeros[FETCH_BODY_MAX + 1];

static void answered(void *arg, int err, const struct fetch_answer *a)
{
    assert_true((err == OK) == (a != NULL));
    calls++;
    last = err;
    last_status = a ? a->status : 0;
    last_len = a ? a->body.len : 0;
    loop_stop(loop);
}

static int up(void **state)
{
    int pair[2];

    loop = loop_create();
    fetch = fetch_create(loop);
    assert_int_equal(ipc_pair(pair), OK);
    fetch_channel(fetch, pair[0]);
    far = pair[1];
    calls = 0;
    return 0;
}

static int down(void **state)
{
    fetch_destroy(fetch);
    loop_destroy(loop);
    close(far);
    return 0;
}

static int ask(enum fetch_kind kind, const char *url, const char *type, size_t len, struct fetch_request **ret)
{
    return fetch_ask(fetch, kind, url, type, slice_of(zeros, len), answered, NULL, ret);
}

/* What comes to the fetcher; its id. */
static uint64_t heard(unsigned kind, const char *url, const char *type, size_t len)
{
    struct fetch_question q;
    struct ipc_msg m;
    struct unpack u;

    assert_int_equal(ipc_recv_blocking(far, buf, &m, 60000), OK);
    assert_int_equal(m.type, FETCH_ASK);
    unpack_init(&u, m.payload.data, m.payload.len);
    assert_int_equal(fetch_question_unpack(&u, &q), OK);
    assert_true(q.kind == kind && q.body.len == len);
    assert_string_equal(q.url, url);
    assert_string_equal(q.type, type);
    return m.id;
}

struct made {
    uint32_t status;
    const char *type;
    size_t body;
    bool rest;
};

static void say(uint64_t id, const struct made *a)
{
    const struct fetch_answer answer = {a->status, a->type, slice_of(zeros, a->body)};
    struct pack p;

    pack_init(&p, buf, sizeof(buf));
    pack_u32(&p, 0);
    pack_str(&p, "");
    fetch_answer_pack(&p, &answer);
    if (a->rest)
        pack_u8(&p, 0);
    assert_false(p.failed);
    assert_int_equal(ipc_send_blocking(far, FETCH_REPLY, id, buf, p.len, NULL, 0), OK);
}

static void test_what_is_no_answer(void **state)
{
    static const struct {
        struct made a;
        enum fetch_kind kind;
        int err;
    } rows[] = {
        {{200, "text/plain", FETCH_BODY_MAX, false}, FETCH_MTA_STS, OK},
        {{404, "text/html", 9, false}, FETCH_MTA_STS, OK},
        {{204, "", 0, false}, FETCH_TLS_REPORT, OK},
        {{599, "x", 0, false}, FETCH_DOCTOR, OK},
        {{200, "text/html", 9, false}, FETCH_MTA_STS, ERR_FORMAT},
        {{200, "", 9, false}, FETCH_MTA_STS, ERR_FORMAT},
        {{200, "text/plain; a=b", 9, false}, FETCH_MTA_STS, ERR_FORMAT},
        {{200, "Text/plain", 9, false}, FETCH_DOCTOR, ERR_FORMAT},
        {{200, "text/plain\r", 9, false}, FETCH_DOCTOR, ERR_FORMAT},
        {{200, "text/pl\xc3\xa4in", 9, false}, FETCH_DOCTOR, ERR_FORMAT},
        {{200, "", FETCH_BODY_MAX + 1, false}, FETCH_DOCTOR, ERR_FORMAT},
        {{200, "", 4097, false}, FETCH_TLS_REPORT, ERR_FORMAT},
        {{200, "", 0, true}, FETCH_DOCTOR, ERR_FORMAT},
        {{0, "", 0, false}, FETCH_DOCTOR, ERR_FORMAT},
        {{100, "", 0, false}, FETCH_DOCTOR, ERR_FORMAT},
        {{301, "", 0, false}, FETCH_DOCTOR, ERR_FORMAT},
        {{600, "", 0, false}, FETCH_DOCTOR, ERR_FORMAT},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const bool post = rows[i].kind == FETCH_TLS_REPORT;
        const char *type = post ? "a/b" : "";

        assert_int_equal(ask(rows[i].kind, "https://a.test/", type, post ? 100 : 0, NULL), OK);
        assert_int_equal(calls, (int)i);
        say(heard(rows[i].kind, "https://a.test/", type, post ? 100 : 0), &rows[i].a);
        assert_int_equal(loop_run(loop), OK);
        assert_int_equal(calls, (int)i + 1);
        if (last != rows[i].err)
            fail_msg("row %zu: %d", i, last);
        if (last == OK)
            assert_true(last_status == rows[i].a.status && last_len == rows[i].a.body);
    }
}

static void test_what_is_no_question(void **state)
{
    char url[FETCH_URL_MAX + 2];

    memset(url, 'x', FETCH_URL_MAX + 1);
    url[FETCH_URL_MAX + 1] = '\0';
    assert_int_equal(ask(FETCH_DOCTOR, url, "", 0, NULL), ERR_FORMAT);
    assert_int_equal(ask(FETCH_DOCTOR, url + 1, "", 0, NULL), OK);
    (void)heard(FETCH_DOCTOR, url + 1, "", 0);
    assert_int_equal(ask((enum fetch_kind)0, "x", "", 0, NULL), ERR_FORMAT);
    assert_int_equal(ask((enum fetch_kind)(FETCH_KEY + 1), "x", "", 0, NULL), ERR_FORMAT);
    assert_int_equal(ask(FETCH_DOCTOR, "", "", 0, NULL), ERR_FORMAT);
    assert_int_equal(ask(FETCH_DOCTOR, "a b", "", 0, NULL), ERR_FORMAT);
    assert_int_equal(ask(FETCH_DOCTOR, "a\r\nb", "", 0, NULL), ERR_FORMAT);
    assert_int_equal(ask(FETCH_DOCTOR, "\xc3\xa4", "", 0, NULL), ERR_FORMAT);
    assert_int_equal(ask(FETCH_DOCTOR, "x", "a/b", 0, NULL), ERR_FORMAT);
    assert_int_equal(ask(FETCH_DOCTOR, "x", "", 1, NULL), ERR_FORMAT);
    assert_int_equal(ask(FETCH_TLS_REPORT, "x", "", 1, NULL), ERR_FORMAT);
    assert_int_equal(ask(FETCH_TLS_REPORT, "x", "a/b\r\nX: y", 1, NULL), ERR_FORMAT);
    assert_int_equal(ask(FETCH_TLS_REPORT, "x", url + 800, 1, NULL), ERR_FORMAT);
    assert_int_equal(ask(FETCH_TLS_REPORT, "x", "a/b", FETCH_BODY_MAX + 1, NULL), ERR_FORMAT);
    assert_int_equal(ask(FETCH_TLS_REPORT, "x", "a/b", FETCH_BODY_MAX, NULL), OK);
    (void)heard(FETCH_TLS_REPORT, "x", "a/b", FETCH_BODY_MAX);
}

static void test_taken_back(void **state)
{
    static const struct made a = {200, "", 1, false};
    struct fetch_request *q;
    struct ipc_msg m;
    uint64_t id, other;

    assert_int_equal(ask(FETCH_DOCTOR, "a", "", 0, &q), OK);
    assert_int_equal(ask(FETCH_DOCTOR, "b", "", 0, NULL), OK);
    fetch_cancel(q);
    id = heard(FETCH_DOCTOR, "a", "", 0);
    other = heard(FETCH_DOCTOR, "b", "", 0);
    assert_int_equal(ipc_recv_blocking(far, buf, &m, 60000), OK); /* the fetcher is told, and may have answered */
    assert_true(m.type == FETCH_FORGET && m.id == id && m.payload.len == 0 && m.nfds == 0);
    say(id, &a);
    say(other, &a);
    assert_int_equal(loop_run(loop), OK);
    assert_int_equal(calls, 1);
    assert_int_equal(ask(FETCH_DOCTOR, "c", "", 0, NULL), OK); /* goes with fetch */
}

/* The fetcher dies: who has asked is told, who asks then waits for the next. */
static void test_another_fetcher(void **state)
{
    static const struct made a = {200, "", 1, false};
    int pair[2];

    assert_int_equal(ask(FETCH_DOCTOR, "a", "", 0, NULL), OK);
    (void)heard(FETCH_DOCTOR, "a", "", 0);
    close(far);
    assert_int_equal(loop_run(loop), OK);
    assert_int_equal(last, ERR_GONE);
    assert_int_equal(ask(FETCH_DOCTOR, "b", "", 0, NULL), OK);
    assert_int_equal(ipc_pair(pair), OK);
    far = pair[1];
    fetch_channel(fetch, pair[0]);
    say(heard(FETCH_DOCTOR, "b", "", 0), &a);
    assert_int_equal(loop_run(loop), OK);
    assert_int_equal(last, OK);
    assert_int_equal(calls, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_no_answer, up, down),
        cmocka_unit_test_setup_teardown(test_what_is_no_question, up, down),
        cmocka_unit_test_setup_teardown(test_taken_back, up, down),
        cmocka_unit_test_setup_teardown(test_another_fetcher, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
