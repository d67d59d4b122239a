/* What follows from a verdict: a row a case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "server/ingest/judge/judge_impl.h"

static const struct judge_rules usual = {.reject = true, .junk = true};
static const struct judge_rules mild = {.reject = false, .junk = true};
static const struct judge_rules none = {.reject = false};
static const struct judge_rules wary = {.reject = true, .junk = true, .defer_unknown = true};
static const struct judge_rules strict = {
    .reject = true, .junk = true, .author_reject = true, .spf_reject = true, .helo_reject = true};
static const struct judge_rules trusting = {.reject = true, .junk = true, .trusted = "b.test, a.test"};

struct row {
    const struct judge_rules *rules;
    enum auth_result dmarc;
    enum dmarc_policy policy;
    bool published;
    enum author_fault author;
    enum auth_result spf;
    unsigned sealers; /* a.test, b.test, c.test */
    enum judge_action action;
    enum event_REASON why;
};

static void test_rows(void **state)
{
    static const struct row rows[] = {
        {&usual, AUTH_PASS, DMARC_REJECT, true, AUTHOR_OK, AUTH_FAIL, 0, JUDGE_ACCEPT, EVENT_REASON_ACCEPTED},
        {&usual, AUTH_NONE, DMARC_NONE, false, AUTHOR_OK, AUTH_FAIL, 0, JUDGE_ACCEPT, EVENT_REASON_ACCEPTED},
        {&usual, AUTH_FAIL, DMARC_NONE, true, AUTHOR_OK, AUTH_FAIL, 0, JUDGE_ACCEPT, EVENT_REASON_ACCEPTED},
        {&usual, AUTH_FAIL, DMARC_QUARANTINE, true, AUTHOR_OK, AUTH_NONE, 0, JUDGE_JUNK, EVENT_REASON_DMARC},
        {&usual, AUTH_FAIL, DMARC_REJECT, true, AUTHOR_OK, AUTH_PASS, 0, JUDGE_REJECT, EVENT_REASON_DMARC},
        {&mild, AUTH_FAIL, DMARC_REJECT, true, AUTHOR_OK, AUTH_PASS, 0, JUDGE_JUNK, EVENT_REASON_DMARC},
        {&none, AUTH_FAIL, DMARC_REJECT, true, AUTHOR_OK, AUTH_PASS, 0, JUDGE_ACCEPT, EVENT_REASON_ACCEPTED},
        /* nobody can tell */
        {&usual, AUTH_TEMPERROR, DMARC_NONE, false, AUTHOR_OK, AUTH_NONE, 0, JUDGE_ACCEPT, EVENT_REASON_ACCEPTED},
        {&wary, AUTH_TEMPERROR, DMARC_NONE, false, AUTHOR_OK, AUTH_NONE, 0, JUDGE_DEFER, EVENT_REASON_UNJUDGED},
        {&wary, AUTH_TEMPERROR, DMARC_NONE, true, AUTHOR_OK, AUTH_NONE, 0, JUDGE_ACCEPT, EVENT_REASON_ACCEPTED},
        {&usual, AUTH_TEMPERROR, DMARC_REJECT, true, AUTHOR_OK, AUTH_NONE, 0, JUDGE_DEFER, EVENT_REASON_UNJUDGED},
        {&usual, AUTH_TEMPERROR, DMARC_QUARANTINE, true, AUTHOR_OK, AUTH_NONE, 0, JUDGE_DEFER, EVENT_REASON_UNJUDGED},
        {&none, AUTH_TEMPERROR, DMARC_REJECT, true, AUTHOR_OK, AUTH_NONE, 0, JUDGE_ACCEPT, EVENT_REASON_ACCEPTED},
        /* nobody can tell who */
        {&usual, AUTH_PERMERROR, DMARC_NONE, false, AUTHOR_SEVERAL, AUTH_PASS, 0, JUDGE_JUNK, EVENT_REASON_NO_AUTHOR},
        {&usual, AUTH_PERMERROR, DMARC_NONE, false, AUTHOR_MISSING, AUTH_PASS, 0, JUDGE_JUNK, EVENT_REASON_NO_AUTHOR},
        {&usual, AUTH_PERMERROR, DMARC_NONE, false, AUTHOR_UNREADABLE, AUTH_PASS, 0, JUDGE_JUNK,
         EVENT_REASON_NO_AUTHOR},
        {&usual, AUTH_NONE, DMARC_NONE, false, AUTHOR_NO_DOMAIN, AUTH_PASS, 0, JUDGE_ACCEPT, EVENT_REASON_ACCEPTED},
        {&strict, AUTH_PERMERROR, DMARC_NONE, false, AUTHOR_SEVERAL, AUTH_PASS, 0, JUDGE_REJECT,
         EVENT_REASON_NO_AUTHOR},
        /* SPF */
        {&strict, AUTH_NONE, DMARC_NONE, false, AUTHOR_OK, AUTH_FAIL, 0, JUDGE_REJECT, EVENT_REASON_SPF},
        {&strict, AUTH_NONE, DMARC_NONE, false, AUTHOR_OK, AUTH_SOFTFAIL, 0, JUDGE_ACCEPT, EVENT_REASON_ACCEPTED},
        {&strict, AUTH_PASS, DMARC_NONE, true, AUTHOR_OK, AUTH_FAIL, 0, JUDGE_ACCEPT, EVENT_REASON_ACCEPTED},
        /* lists */
        {&trusting, AUTH_FAIL, DMARC_REJECT, true, AUTHOR_OK, AUTH_NONE, 1, JUDGE_ACCEPT, EVENT_REASON_ACCEPTED},
        {&trusting, AUTH_FAIL, DMARC_REJECT, true, AUTHOR_OK, AUTH_NONE, 2, JUDGE_ACCEPT, EVENT_REASON_ACCEPTED},
        {&trusting, AUTH_FAIL, DMARC_REJECT, true, AUTHOR_OK, AUTH_NONE, 3, JUDGE_REJECT, EVENT_REASON_DMARC},
        {&usual, AUTH_FAIL, DMARC_REJECT, true, AUTHOR_OK, AUTH_NONE, 1, JUDGE_REJECT, EVENT_REASON_DMARC},
        {&trusting, AUTH_PERMERROR, DMARC_NONE, false, AUTHOR_SEVERAL, AUTH_NONE, 1, JUDGE_JUNK,
         EVENT_REASON_NO_AUTHOR},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct row *r = &rows[i];
        struct judge_result ret = {.verdict.spf.result = r->spf};
        struct mailauth_verdict *v = &ret.verdict;

        v->dmarc.result = r->dmarc;
        v->dmarc.policy = r->policy;
        strcpy(v->dmarc.published, r->published ? "a.test" : "");
        v->author.fault = r->author;
        v->dkim.arc.sets = r->sealers;
        v->dkim.arc.result = r->sealers ? AUTH_PASS : AUTH_NONE;
        for (unsigned k = 0; k < r->sealers; k++)
            strcpy(v->dkim.arc.sealers[k], k == 0 ? "A.test" : k == 1 ? "b.test" : "c.test");
        judge_decide(r->rules, &ret);
        if (ret.action != r->action || ret.why != r->why)
            fail_msg("row %zu: %d %d", i, (int)ret.action, (int)ret.why);
        v->dkim.arc.result = AUTH_FAIL; /* a chain that fails is none */
        judge_decide(r->rules, &ret);
        if (r->sealers)
            assert_true(ret.action >= JUDGE_JUNK);
    }
}

static void test_helo(void **state)
{
    static const struct {
        enum helo_form form;
        enum auth_result result;
        bool ours, refused;
    } rows[] = {
        {HELO_NAME, AUTH_PASS, false, false},    {HELO_NAME, AUTH_FAIL, false, false},
        {HELO_LITERAL, AUTH_FAIL, false, false}, {HELO_SHORT, AUTH_FAIL, false, false},
        {HELO_WRONG, AUTH_FAIL, false, true},    {HELO_NAME, AUTH_FAIL, true, true},
        {HELO_NAME, AUTH_PASS, true, false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct judge_result ret = {.action = JUDGE_ACCEPT};

        ret.verdict.helo = (struct helo_verdict){rows[i].form, rows[i].result, rows[i].ours};
        judge_decide(&strict, &ret);
        assert_int_equal(ret.action, rows[i].refused ? JUDGE_REJECT : JUDGE_ACCEPT);
        judge_decide(&usual, &ret);
        assert_int_equal(ret.action, JUDGE_ACCEPT);
    }
}

static void test_warnings(void **state)
{
    struct judge_result ret = {.warnings = "former"};
    struct mailauth_verdict *v = &ret.verdict;

    judge_decide(&usual, &ret);
    assert_string_equal(ret.warnings, "");
    v->dmarc.result = AUTH_FAIL;
    v->spf.result = AUTH_FAIL;
    v->author.sender_differs = true;
    judge_decide(&usual, &ret);
    assert_string_equal(ret.warnings, "dmarc-fail,spf-fail,sender-differs");
    v->author.fault = AUTHOR_SEVERAL;
    v->dmarc.result = AUTH_TEMPERROR;
    judge_decide(&usual, &ret);
    assert_string_equal(ret.warnings, "dmarc-unknown,author-unclear,spf-fail,sender-differs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_helo),
        cmocka_unit_test(test_warnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
