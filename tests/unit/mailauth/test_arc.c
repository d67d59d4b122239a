/* ARC chains (RFC 8617). The public suite's cases: tests/script/test_arc.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/dkim_forge.h"
#include "tests/support/dkim_judge.h"

#define MESSAGE "From: joe@football.example.com\r\nTo: suzie@shopping.example.net\r\nSubject: dinner\r\n\r\nHi.\r\n"
#define AMS "a=ed25519-sha256; d=football.example.com; s=brisbane; c=relaxed/relaxed; bh=@; "

static void chain_of(struct buf *mail, unsigned sets)
{
    buf_init(mail, 4 * 1024 * 1024, false);
    assert_int_equal(buf_puts(mail, MESSAGE), OK);
    for (unsigned i = 1; i <= sets; i++)
        forge_set(mail, i, i == 1 ? "none" : "pass", NULL);
}

static void put_in_front(struct buf *mail, const char *text)
{
    struct buf all;

    buf_init(&all, mail->max, false);
    assert_int_equal(buf_puts(&all, text), OK);
    assert_int_equal(buf_append(&all, mail->data, mail->len), OK);
    buf_free(mail);
    *mail = all;
}

static void is(const struct buf *mail, enum auth_result result, enum dkim_reason reason, unsigned failed)
{
    struct dkim_verdicts v;

    judge(mail, &v);
    if (v.arc.result != result || v.arc.reason != reason || v.arc.failed != failed)
        fail_msg("%s, %s, set %u", auth_result_name(v.arc.result), dkim_reason_text(v.arc.reason), v.arc.failed);
    assert_true(result == AUTH_PASS || v.arc.oldest_pass == 0);
}

static void chains(void **state)
{
    for (unsigned n = 0; n <= ARC_SETS_MAX; n++) {
        struct dkim_verdicts v;
        struct buf mail;
        chain_of(&mail, n);
        judge(&mail, &v);
        assert_int_equal(v.arc.result, n ? AUTH_PASS : AUTH_NONE);
        assert_int_equal(v.arc.sets, n);
        assert_int_equal(v.arc.oldest_pass, n ? 1 : 0);
        assert_string_equal(v.arc.sealers[n ? n - 1 : 0], n ? "football.example.com" : "");
        assert_int_equal(v.n, 0);
        buf_free(&mail);
    }
}

/* Each costs two keys: more than ARC_SETS_MAX are not followed, and more than 50 are no chain. */
static void long_chains(void **state)
{
    struct dkim_verdicts v;
    struct records *r = records_create();
    struct dkim_check *c;
    struct buf mail;

    chain_of(&mail, ARC_SETS_MAX + 1);
    is(&mail, AUTH_FAIL, DKIM_CHAIN_LONG, 0);
    const struct iovec all = {mail.data, mail.len};
    c = judge_check(&all, 1);
    assert_int_equal(dkim_check_judge(c, r, &v), OK); /* nothing is asked */
    dkim_check_destroy(c);
    records_destroy(r);
    buf_free(&mail);
    chain_of(&mail, 50);
    is(&mail, AUTH_FAIL, DKIM_CHAIN_LONG, 0);
    forge_set(&mail, 51, "pass", NULL);
    is(&mail, AUTH_FAIL, DKIM_CHAIN_BROKEN, 0);
    buf_free(&mail);
}

/* A hop that changes the mail makes the older message signatures void, and the chain stays; without a hop it fails. */
static void changed_on_the_way(void **state)
{
    struct dkim_verdicts v;
    struct buf mail;

    chain_of(&mail, 3);
    assert_int_equal(buf_puts(&mail, "-- the list\r\n"), OK);
    is(&mail, AUTH_FAIL, DKIM_BODY_CHANGED, 3);
    forge_set(&mail, 4, "pass", NULL);
    forge_set(&mail, 5, "pass", NULL);
    judge(&mail, &v);
    assert_int_equal(v.arc.result, AUTH_PASS);
    assert_int_equal(v.arc.oldest_pass, 4);
    buf_free(&mail);
}

/* Every octet of three sets, by one bit: the chain as it was is not there any more. */
static void each_octet_counts(void **state)
{
    struct dkim_verdicts v;
    struct buf mail;
    char *changed;

    chain_of(&mail, 2);
    const size_t fields = (size_t)((uint8_t *)memmem(mail.data, mail.len, "From: joe", 9) - mail.data);
    const struct slice record = slice_str(FORGE_RECORD);
    changed = malloc(mail.len);
    assert_non_null(changed);
    for (size_t i = 0; i < fields; i++) {
        memcpy(changed, mail.data, mail.len);
        changed[i] ^= 1;
        judge_by(changed, mail.len, 0, &record, 1, &v);
        if (v.arc.result == AUTH_PASS)
            fail_msg("octet %zu of %s", i, changed + i);
    }
    free(changed);
    buf_free(&mail);
}

/* Whoever seals a chain that was broken before him makes it no better. */
static void broken_before(void **state)
{
    static const char *const names[] = {"ARC-Seal", "ARC-Authentication-Results"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct buf mail;
        chain_of(&mail, 1);
        uint8_t *at = memmem(mail.data, mail.len, names[i], strlen(names[i]));
        at = memmem(at, mail.len - (size_t)(at - mail.data), i ? "pass" : "; b=", 4);
        assert_non_null(at);
        at[i ? 0 : 5] ^= 3;
        forge_set(&mail, 2, "pass", NULL);
        forge_set(&mail, 3, "pass", NULL);
        is(&mail, AUTH_FAIL, DKIM_SIGNATURE_WRONG, 1);
        buf_free(&mail);
    }
}

static const struct {
    unsigned sets; /* good ones before */
    const char *cv, *tags;
    enum dkim_reason reason;
    unsigned failed;
} last[] = {
    {0, "none", NULL, DKIM_VERIFIED, 0},
    {0, "pass", NULL, DKIM_CHAIN_FAILED, 0},
    {0, "fail", NULL, DKIM_CHAIN_FAILED, 0},
    {0, "", NULL, DKIM_SYNTAX, 1},
    {0, "none; h=from", NULL, DKIM_SYNTAX, 1},
    {0, "none; cv=none", NULL, DKIM_CHAIN_BROKEN, 0},
    {0, "none; t=x", NULL, DKIM_SYNTAX, 1},
    {0, "none; bh=x; c=simple; l=3; unknown=1", NULL, DKIM_VERIFIED, 0},
    {1, "pass", NULL, DKIM_VERIFIED, 0},
    {1, "none", NULL, DKIM_CHAIN_FAILED, 0},
    {1, "fail", NULL, DKIM_CHAIN_FAILED, 0},
    {1, "maybe", NULL, DKIM_SYNTAX, 2},
    {1, "pass", AMS "h=from:to:arc-seal", DKIM_SYNTAX, 2},
    {1, "pass", AMS "h=from:arc-message-signature:arc-message-signature", DKIM_VERIFIED, 0},
    {1, "pass", AMS "h=to", DKIM_FROM_UNSIGNED, 2},
    {1, "pass", AMS "h=", DKIM_SYNTAX, 2},
    {1, "pass", AMS "h=from; l=5", DKIM_IN_PART, 2},
    {1, "pass", AMS "h=from; x=1700000000", DKIM_EXPIRED, 2},
    {1, "pass", AMS "h=from; v=1", DKIM_VERIFIED, 0}, /* not known there */
    {1, "pass", "a=rsa-sha1; d=football.example.com; s=brisbane; bh=@; h=from", DKIM_UNSUPPORTED, 2},
    {1, "pass", "a=rsa-sha256; d=football.example.com; s=brisbane; bh=@; h=from", DKIM_KEY_OTHER, 2},
};

static void last_sets(void **state)
{
    for (size_t i = 0; i < sizeof(last) / sizeof(*last); i++) {
        struct dkim_verdicts v;
        struct buf mail;
        chain_of(&mail, last[i].sets);
        forge_set(&mail, last[i].sets + 1, last[i].cv, last[i].tags);
        judge(&mail, &v);
        if (v.arc.reason != last[i].reason || v.arc.failed != last[i].failed ||
            v.arc.result != (last[i].reason == DKIM_VERIFIED ? AUTH_PASS : AUTH_FAIL))
            fail_msg("row %zu: %s, set %u", i, dkim_reason_text(v.arc.reason), v.arc.failed);
        buf_free(&mail);
    }
}

/* Fields that are none, twice, or too many. */
static void structure(void **state)
{
    static const char *const fields[] = {
        "ARC-Seal: i=1; a=rsa-sha256\r\n",
        "ARC-Seal: i=3; a=rsa-sha256\r\n",
        "ARC-Seal: a=rsa-sha256\r\n",
        "ARC-Seal: \r\n",
        "ARC-Seal: i=0; a=rsa-sha256\r\n",
        "ARC-Seal: i=01; a=rsa-sha256\r\n",
        "ARC-Seal: i=51; a=rsa-sha256\r\n",
        "ARC-Seal: i=4294967298; a=rsa-sha256\r\n",
        "ARC-Message-Signature: i=2; a=rsa-sha256\r\n",
        "ARC-Message-Signature: i=x; a=rsa-sha256\r\n",
        "arc-authentication-results: i=2; x\r\n",
        "ARC-Authentication-Results: x; i=3\r\n",
        "ARC-Authentication-Results: i=3\r\n",
        "ARC-Authentication-Results: ;\r\n",
        "ARC-Authentication-Results: j=3; x\r\n",
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        struct buf mail;
        chain_of(&mail, 2);
        put_in_front(&mail, fields[i]);
        is(&mail, AUTH_FAIL, DKIM_CHAIN_BROKEN, 0);
        buf_free(&mail);
    }
}

/* What speaks against all of a message speaks against its chain. */
static void two_authors(void **state)
{
    struct buf mail;

    chain_of(&mail, 1);
    put_in_front(&mail, "From: boss@football.example.com\r\n");
    is(&mail, AUTH_FAIL, DKIM_AUTHORS, 0);
    buf_free(&mail);
}

static void keys(void **state)
{
    static const struct {
        const char *record;
        enum dkim_reason reason;
    } rows[] = {{NULL, DKIM_KEY_NONE},
                {"v=DKIM1; p=", DKIM_KEY_REVOKED},
                {"nonsense", DKIM_KEY_SYNTAX},
                {"v=DKIM1; k=ed25519; t=y; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", DKIM_TESTING}};
    struct dkim_verdicts v;
    struct buf mail;

    chain_of(&mail, 2);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct slice r = slice_str(rows[i].record ? rows[i].record : "");
        judge_by(mail.data, mail.len, 0, &r, rows[i].record != NULL, &v);
        assert_int_equal(v.arc.result, AUTH_FAIL);
        assert_int_equal(v.arc.reason, rows[i].reason);
    }
    judge_by(mail.data, mail.len, 0, NULL, -1, &v);
    assert_int_equal(v.arc.result, AUTH_FAIL);
    assert_int_equal(v.arc.reason, DKIM_KEY_UNKNOWN);
    buf_free(&mail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains),        cmocka_unit_test(long_chains),       cmocka_unit_test(changed_on_the_way),
        cmocka_unit_test(broken_before), cmocka_unit_test(each_octet_counts), cmocka_unit_test(last_sets),
        cmocka_unit_test(structure),     cmocka_unit_test(two_authors),       cmocka_unit_test(keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
