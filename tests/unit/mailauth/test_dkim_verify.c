/* DKIM verified: the published example, each of its octets changed, each tag, each kind of key record. Others'
 * signatures: tests/interop/test_dkim_verdicts.py. */
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

/* RFC 8463 appendix A.3. */
#define ED_FIELD                                                      \
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"   \
    " d=football.example.com; i=@football.example.com;\r\n"           \
    " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"         \
    " subject : date : message-id : from : subject : date;\r\n"       \
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"           \
    " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n" \
    " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
#define RSA_FIELD                                                     \
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"       \
    " d=football.example.com; i=@football.example.com;\r\n"           \
    " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"   \
    " date : message-id : from : subject : date;\r\n"                 \
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"           \
    " b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n" \
    " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n" \
    " dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
#define MESSAGE                                                        \
    "From: Joe SixPack <joe@football.example.com>\r\n"                 \
    "To: Suzie Q <suzie@shopping.example.net>\r\n"                     \
    "Subject: Is dinner ready?\r\n"                                    \
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"                  \
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n" \
    "\r\n"                                                             \
    "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
static const char example[] = ED_FIELD RSA_FIELD MESSAGE;
static const char rsa_record[] =
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16"
    "JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/"
    "K4w3QIDAQAB";

/* By the records of the example. */
static int published(const char *name, const struct slice **ret)
{
    static struct slice record;

    record = slice_str(strcmp(name, FORGE_NAME) == 0 ? FORGE_RECORD : rsa_record);
    *ret = &record;
    return strcmp(name, FORGE_NAME) == 0 || strcmp(name, "test._domainkey.football.example.com") == 0;
}

static void judge_example(const char *mail, size_t len, size_t cut, struct dkim_verdicts *ret)
{
    judge_with(mail, len, cut, published, ret);
}

static void as_published(void **state)
{
    struct dkim_verdicts v;

    for (size_t cut = 0; cut < sizeof(example); cut++) {
        judge_example(example, sizeof(example) - 1, cut, &v);
        assert_int_equal(v.n, 2);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(v.v[i].result, AUTH_PASS);
            assert_string_equal(v.v[i].domain, "football.example.com");
            assert_string_equal(v.v[i].identity, "football.example.com");
        }
        assert_int_equal(v.v[0].algorithm, DKIM_ED25519_SHA256);
        assert_string_equal(v.v[0].selector, "brisbane");
        assert_int_equal(v.v[1].algorithm, DKIM_RSA_SHA256);
        assert_int_equal(v.v[1].bits, 1024);
        assert_false(v.more);
        assert_int_equal(v.arc.result, AUTH_NONE);
    }
}

/* Names count in either case. */
static bool is_name(size_t i)
{
    const char *end = strstr(example, "\r\n\r\n"), *line = example + i;

    while (line > example && line[-1] != '\n')
        line--;
    return example + i < end && *line != ' ' && !memchr(line, ':', (size_t)(example + i - line)) && example[i] != ':';
}

/* No octet of what is signed can be changed, by any bit; a change in the one field leaves the other's verdict. */
static void each_octet_counts(void **state)
{
    const size_t fields[] = {0, strlen(ED_FIELD), strlen(ED_FIELD RSA_FIELD)}, len = sizeof(example) - 1;
    char *mail = malloc(len);
    struct dkim_verdicts v;
    unsigned passed = 0;

    assert_non_null(mail);
    for (size_t i = 0; i < len; i++)
        for (int bit = 0; bit < 8; bit++) {
            memcpy(mail, example, len);
            mail[i] = (char)(mail[i] ^ 1 << bit);
            judge_example(mail, len, 0, &v);
            for (size_t k = 0; k < v.n; k++) {
                const bool other = i < fields[2] && (v.n < 2 || (k == 0) != (i < fields[1]));
                passed += v.v[k].result == AUTH_PASS;
                /* The last digit of base64 has bits that mean nothing. */
                const bool nothing = (bit == 5 && is_name(i)) || example[i + 1] == '=';
                if (v.v[k].result == AUTH_PASS && !other && !nothing)
                    fail_msg("octet %zu, bit %d: signature %zu passes", i, bit, k);
            }
        }
    assert_true(passed > 8 * fields[2] / 2); /* the others' */
    free(mail);
}

/* ---- tags ---- */

static const struct {
    const char *tags;
    enum dkim_reason reason;
} tags[] = {
    {FORGE_TAGS "c=relaxed/relaxed; h=from:to:subject", DKIM_VERIFIED},
    {FORGE_TAGS "c=simple/simple; h=from:to:subject", DKIM_VERIFIED},
    {FORGE_TAGS "c=relaxed/simple; h=from:to:subject", DKIM_VERIFIED},
    {FORGE_TAGS "c=simple/relaxed; h=from:to:subject", DKIM_VERIFIED},
    {FORGE_TAGS "c=relaxed; h=from:to:subject", DKIM_VERIFIED},
    {FORGE_TAGS "h=from", DKIM_VERIFIED},
    {FORGE_TAGS "h=FROM : tO\r\n\t:\tsubject", DKIM_VERIFIED},
    {FORGE_TAGS "h=from:from:to:to:none:dkim-signature", DKIM_VERIFIED},
    {FORGE_TAGS "h=from;;", DKIM_SYNTAX},
    {FORGE_TAGS "h=from; unknown=x; t=1700000000; x=1800000000; q=other:dns/txt; z=From:x", DKIM_VERIFIED},
    {FORGE_TAGS "h=from; i=joe@football.example.com", DKIM_VERIFIED},
    {FORGE_TAGS "h=from; i=joe@mail.FOOTBALL.example.com", DKIM_VERIFIED},
    {FORGE_TAGS "h=from; i=\"a@b\"=40x@football.example.com", DKIM_VERIFIED},
    {FORGE_TAGS "h=from; i=joe@xfootball.example.com", DKIM_IDENTITY},
    {FORGE_TAGS "h=from; i=joe@example.com", DKIM_IDENTITY},
    {FORGE_TAGS "h=from; i=joe@football.example.com.", DKIM_SYNTAX},
    {FORGE_TAGS "h=from; i=joe", DKIM_SYNTAX},
    {FORGE_TAGS "h=from; i=", DKIM_SYNTAX},
    {FORGE_TAGS "h=", DKIM_SYNTAX},
    {FORGE_TAGS "h=to:subject", DKIM_FROM_UNSIGNED},
    {FORGE_TAGS "h=from::to", DKIM_SYNTAX},
    {FORGE_TAGS "h=from:", DKIM_SYNTAX},
    {FORGE_TAGS "h=from:a b", DKIM_SYNTAX},
    {FORGE_TAGS "c=relaxed/simple", DKIM_SYNTAX},
    {FORGE_TAGS "c=; h=from", DKIM_SYNTAX},
    {FORGE_TAGS "c=nofws; h=from", DKIM_SYNTAX},
    {FORGE_TAGS "c=relaxed/; h=from", DKIM_SYNTAX},
    {FORGE_TAGS "c=relaxed/relaxed/relaxed; h=from", DKIM_SYNTAX},
    {FORGE_TAGS "h=from; l=5", DKIM_IN_PART},
    {FORGE_TAGS "h=from; l=0", DKIM_IN_PART},
    {FORGE_TAGS "h=from; l=55", DKIM_IN_PART}, /* all of it, and anything may be added */
    {FORGE_TAGS "h=from; l=56", DKIM_BODY_CHANGED},
    {FORGE_TAGS "h=from; l=18446744073709551615", DKIM_BODY_CHANGED},
    {FORGE_TAGS "h=from; l=99999999999999999999999999", DKIM_BODY_CHANGED},
    {FORGE_TAGS "h=from; l=-1", DKIM_SYNTAX},
    {FORGE_TAGS "h=from; l=", DKIM_SYNTAX},
    {FORGE_TAGS "h=from; x=1799999999", DKIM_EXPIRED},
    {FORGE_TAGS "h=from; x=1800000000", DKIM_VERIFIED},
    {FORGE_TAGS "h=from; t=1900000000; x=1900000000", DKIM_SYNTAX},
    {FORGE_TAGS "h=from; t=", DKIM_SYNTAX},
    {FORGE_TAGS "h=from; t=1e9", DKIM_SYNTAX},
    {FORGE_TAGS "h=from; x=1234567890123", DKIM_SYNTAX},
    {FORGE_TAGS "h=from; q=", DKIM_UNSUPPORTED},
    {FORGE_TAGS "h=from; q=http", DKIM_UNSUPPORTED},
    {FORGE_TAGS "h=from; v=1", DKIM_SYNTAX}, /* twice */
    {FORGE_TAGS "h=from; h=from", DKIM_SYNTAX},
    {FORGE_TAGS "h=from; d=other.example", DKIM_SYNTAX},
    {FORGE_TAGS "h=from; ü=x", DKIM_SYNTAX},
    {FORGE_TAGS "h=from; 1=x", DKIM_SYNTAX},
    {FORGE_TAGS "h=from; =x", DKIM_SYNTAX},
    {FORGE_TAGS "h=from; n", DKIM_SYNTAX},
    {FORGE_TAGS "h=from; n=\x01", DKIM_SYNTAX},
    {"v=2; a=ed25519-sha256; d=football.example.com; s=brisbane; bh=@; h=from", DKIM_UNSUPPORTED},
    {"v=01; a=ed25519-sha256; d=football.example.com; s=brisbane; bh=@; h=from", DKIM_UNSUPPORTED},
    {"a=ed25519-sha256; d=football.example.com; s=brisbane; bh=@; h=from", DKIM_SYNTAX},
    {"v=1; d=football.example.com; s=brisbane; bh=@; h=from", DKIM_SYNTAX},
    {"v=1; a=; d=football.example.com; s=brisbane; bh=@; h=from", DKIM_SYNTAX},
    {"v=1; a=rsa-sha1; d=football.example.com; s=brisbane; bh=@; h=from", DKIM_UNSUPPORTED},
    {"v=1; a=ed25519-sha512; d=football.example.com; s=brisbane; bh=@; h=from", DKIM_UNSUPPORTED},
    {"v=1; a=rsa-sha256; d=football.example.com; s=brisbane; bh=@; h=from", DKIM_KEY_OTHER},
    {"v=1; a=Ed25519-SHA256; d=Football.Example.Com; s=Brisbane; bh=@; h=from", DKIM_VERIFIED},
    {"v=1; a=ed25519-sha256; d=; s=brisbane; bh=@; h=from", DKIM_SYNTAX},
    {"v=1; a=ed25519-sha256; d=football.example.com.; s=brisbane; bh=@; h=from", DKIM_SYNTAX},
    {"v=1; a=ed25519-sha256; d=football..example.com; s=brisbane; bh=@; h=from", DKIM_SYNTAX},
    {"v=1; a=ed25519-sha256; d=football.example.com/../x; s=brisbane; bh=@; h=from", DKIM_SYNTAX},
    {"v=1; a=ed25519-sha256; d=football.example.com; s=; bh=@; h=from", DKIM_SYNTAX},
    {"v=1; a=ed25519-sha256; d=football.example.com; s=a..b; bh=@; h=from", DKIM_SYNTAX},
    {"v=1; a=ed25519-sha256; d=football.example.com; s=a\\.b; bh=@; h=from", DKIM_SYNTAX},
    {"v=1; a=ed25519-sha256; d=football.example.com; bh=@; h=from", DKIM_SYNTAX},
    {"v=1; a=ed25519-sha256; d=football.example.com; s=brisbane; h=from", DKIM_SYNTAX},
    {"v=1; a=ed25519-sha256; d=football.example.com; s=brisbane; bh=; h=from", DKIM_SYNTAX},
    {"v=1; a=ed25519-sha256; d=football.example.com; s=brisbane; bh=AAAA; h=from", DKIM_SYNTAX},
    {"v=1; a=ed25519-sha256; d=football.example.com; s=brisbane; bh=!@; h=from", DKIM_SYNTAX},
    {"v=1; a=ed25519-sha256; d=football.example.com; s=brisbane; h=from; "
     "bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
     DKIM_BODY_CHANGED},
};

static void mail_of(struct buf *mail, const char *text)
{
    buf_init(mail, 4 * 1024 * 1024, false);
    assert_int_equal(buf_puts(mail, text), OK);
}

static void each_tag(void **state)
{
    for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++) {
        struct dkim_verdicts v;
        struct buf mail;
        mail_of(&mail, MESSAGE);
        forge_sign(&mail, "DKIM-Signature", tags[i].tags);
        judge(&mail, &v);
        if (v.n != 1 || v.v[0].reason != tags[i].reason)
            fail_msg("%s: %s", tags[i].tags, dkim_reason_text(v.v[0].reason));
        assert_int_equal(v.v[0].result, dkim_result_of(tags[i].reason));
        buf_free(&mail);
    }
}

/* Each reason has words and a result, and one alone is a pass. */
static void reasons_are_told(void **state)
{
    for (int i = 0; i < DKIM_REASONS; i++) {
        assert_true(strlen(dkim_reason_text((enum dkim_reason)i)) > 3);
        assert_int_equal(dkim_result_of((enum dkim_reason)i) == AUTH_PASS, i == DKIM_VERIFIED);
    }
}

/* ---- key records ---- */

#define P "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
static const struct {
    const char *records[4];
    enum dkim_reason reason;
} records[] = {
    {{"v=DKIM1; k=ed25519; p=" P}, DKIM_VERIFIED},
    {{"k=ed25519; p=" P}, DKIM_VERIFIED},
    {{" v = DKIM1 ; k = ED25519 ; p = 11qYAYKxCrfVS/7TyWQH Og7hcvPapiMlrwIaaPcHURo= ; "}, DKIM_VERIFIED},
    {{"v=DKIM1; k=ed25519; h=sha1:sha256; s=other:email; t=x; n=a note; p=" P}, DKIM_VERIFIED},
    {{"v=DKIM1; k=ed25519; s=*; p=" P}, DKIM_VERIFIED},
    {{"v=DKIM1; k=ed25519; s=tlsrpt; p=" P}, DKIM_KEY_OTHER},
    {{"v=DKIM1; k=ed25519; s=; p=" P}, DKIM_KEY_OTHER},
    {{"v=DKIM1; k=ed25519; h=sha1; p=" P}, DKIM_KEY_OTHER},
    {{"v=DKIM1; k=rsa; p=" P}, DKIM_KEY_OTHER},
    {{"v=DKIM1; p=" P}, DKIM_KEY_OTHER},
    {{"v=DKIM1; k=ed448; p=" P}, DKIM_KEY_OTHER},
    {{"v=DKIM1; k=ed25519; t=y; p=" P}, DKIM_TESTING},
    {{"v=DKIM1; k=ed25519; t=s:y; p=" P}, DKIM_TESTING},
    {{"v=DKIM1; k=ed25519; t=yes; p=" P}, DKIM_VERIFIED},
    {{"v=DKIM1; k=ed25519; p="}, DKIM_KEY_REVOKED},
    {{"v=DKIM1; p="}, DKIM_KEY_REVOKED},
    {{"v=DKIM1; k=ed25519"}, DKIM_KEY_SYNTAX},
    {{"v=DKIM1; k=ed25519; p=" P "!"}, DKIM_KEY_SYNTAX},
    {{"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHUR"}, DKIM_KEY_SYNTAX},
    {{"v=DKIM1; k=ed25519; p=" P "; p=" P}, DKIM_KEY_SYNTAX},
    {{"v=DKIM1; k=ed25519; p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}, DKIM_SIGNATURE_WRONG},
    {{"k=ed25519; v=DKIM1; p=" P}, DKIM_KEY_SYNTAX},
    {{"v=DKIM2; k=ed25519; p=" P}, DKIM_KEY_SYNTAX},
    {{"v=dkim1; k=ed25519; p=" P}, DKIM_KEY_SYNTAX},
    {{"v=spf1 -all"}, DKIM_KEY_SYNTAX},
    {{""}, DKIM_KEY_SYNTAX},
    {{";"}, DKIM_KEY_SYNTAX},
    {{NULL}, DKIM_KEY_NONE},
    {{"v=spf1 -all", FORGE_RECORD, "some-site-verification=x y"}, DKIM_VERIFIED}, /* a wildcard's */
    {{FORGE_RECORD, FORGE_RECORD}, DKIM_VERIFIED},
    {{FORGE_RECORD, FORGE_RECORD ";"}, DKIM_KEY_SEVERAL},
    {{FORGE_RECORD, "v=DKIM1; p="}, DKIM_KEY_SEVERAL},
};

static void each_record(void **state)
{
    struct dkim_verdicts v;
    struct buf mail;

    mail_of(&mail, MESSAGE);
    forge_sign(&mail, "DKIM-Signature", FORGE_TAGS "h=from");
    for (size_t i = 0; i < sizeof(records) / sizeof(*records); i++) {
        struct slice r[4];
        size_t n = 0;
        for (; n < 4 && records[i].records[n]; n++)
            r[n] = slice_str(records[i].records[n]);
        judge_by(mail.data, mail.len, 0, r, (int)n, &v);
        if (v.v[0].reason != records[i].reason)
            fail_msg("record %zu, %s: %s", i, n ? records[i].records[0] : "none", dkim_reason_text(v.v[0].reason));
    }
    buf_free(&mail);
}

/* t=s: no subdomain in i=. */
static void strict_identity(void **state)
{
    static const struct {
        const char *identity;
        enum dkim_reason reason;
    } rows[] = {{"", DKIM_VERIFIED},
                {"; i=x@football.example.com", DKIM_VERIFIED},
                {"; i=x@a.football.example.com", DKIM_IDENTITY}};
    const struct slice record = slice_str("v=DKIM1; k=ed25519; t=s; p=" P);

    for (size_t i = 0; i < 3; i++) {
        struct dkim_verdicts v;
        struct buf mail;
        char text[256];
        mail_of(&mail, MESSAGE);
        snprintf(text, sizeof(text), FORGE_TAGS "h=from%s", rows[i].identity);
        forge_sign(&mail, "DKIM-Signature", text);
        judge_by(mail.data, mail.len, 0, &record, 1, &v);
        assert_int_equal(v.v[0].reason, rows[i].reason);
        buf_free(&mail);
    }
}

/* ---- questions ---- */

static int asked;

static int some(const char *name, const struct slice **ret)
{
    static struct slice record;

    record = slice_str(FORGE_RECORD);
    *ret = &record;
    switch (asked++) {
    case 0: assert_string_equal(name, "s12._domainkey.football.example.com"); return 1;
    case 1: return -1;
    case 2: return 0;
    default: return 1;
    }
}

/* Of the ten signatures that were added last, two a name. */
static void questions(void **state)
{
    static const enum dkim_reason want[] = {DKIM_VERIFIED,    DKIM_VERIFIED, DKIM_KEY_UNKNOWN,
                                            DKIM_KEY_UNKNOWN, DKIM_KEY_NONE, DKIM_KEY_NONE};
    struct dkim_verdicts v;
    struct buf mail;

    mail_of(&mail, MESSAGE);
    for (int i = 0; i < 14; i++) {
        char text[256];
        snprintf(text, sizeof(text), "v=1; a=ed25519-sha256; d=football.example.com; s=s%d; bh=@; h=from", i / 2 * 2);
        forge_sign(&mail, "DKIM-Signature", text);
    }
    judge_with(mail.data, mail.len, 0, some, &v);
    assert_int_equal(asked, 5);
    assert_int_equal(v.n, DKIM_SIGNATURES_MAX);
    assert_true(v.more);
    for (size_t i = 0; i < v.n; i++)
        assert_int_equal(v.v[i].reason, i < sizeof(want) / sizeof(*want) ? want[i] : DKIM_VERIFIED);
    assert_int_equal(v.v[2].result, AUTH_TEMPERROR);
    buf_free(&mail);
}

/* What is lost anyway asks for nothing, and a name that is too long for DNS exists nowhere. */
static void no_questions(void **state)
{
    static const char *const lost[] = {FORGE_TAGS "h=to", FORGE_TAGS "h=from; l=3", FORGE_TAGS "h=from; x=1",
                                       "v=1; a=rsa-sha1; d=football.example.com; s=brisbane; bh=@; h=from",
                                       "v=1; a=ed25519-sha256; d=football.example.com; s=brisbane; h=from; bh=" P};
    const struct iovec none = {NULL, 0};
    struct dkim_verdicts v;
    struct records *r = records_create();
    struct dkim_check *c;
    struct buf mail;
    char text[1024], label[64];

    for (size_t i = 0; i < sizeof(lost) / sizeof(*lost); i++) {
        mail_of(&mail, MESSAGE);
        forge_sign(&mail, "DKIM-Signature", lost[i]);
        const struct iovec all = {mail.data, mail.len};
        c = judge_check(&all, 1);
        assert_int_equal(dkim_check_judge(c, r, &v), OK);
        dkim_check_destroy(c);
        assert_int_not_equal(v.v[0].result, AUTH_PASS);
        buf_free(&mail);
    }
    memset(label, 'a', 63);
    label[63] = '\0';
    snprintf(text, sizeof(text), "v=1; a=ed25519-sha256; d=%s.%s.%s.example; s=%s; bh=@; h=from", label, label, label,
             label);
    mail_of(&mail, MESSAGE);
    forge_sign(&mail, "DKIM-Signature", text);
    const struct iovec all = {mail.data, mail.len};
    c = judge_check(&all, 1);
    assert_int_equal(dkim_check_judge(c, r, &v), OK);
    assert_int_equal(v.v[0].reason, DKIM_KEY_NONE);
    dkim_check_destroy(c);
    buf_free(&mail);
    c = judge_check(&none, 0);
    assert_int_equal(dkim_check_judge(c, r, &v), OK);
    assert_int_equal(v.n, 0);
    dkim_check_destroy(c);
    records_destroy(r);
}

static char other_record[sizeof(rsa_record)];

static int by_other_record(const char *name, const struct slice **ret)
{
    static struct slice record;

    record = slice_str(strcmp(name, FORGE_NAME) == 0 ? FORGE_RECORD : other_record);
    *ret = &record;
    return 1;
}

/* A key is kept for the next signature of its own alone: whichever digit of it another one has otherwise, that one is
 * another key. */
static void a_key_is_no_other(void **state)
{
    const size_t begin = (size_t)(strstr(rsa_record, "p=") - rsa_record) + 2;
    struct dkim_verdicts v;

    for (size_t i = begin; i < sizeof(rsa_record) - 1; i++) {
        judge_example(example, sizeof(example) - 1, 0, &v);
        assert_int_equal(v.v[1].result, AUTH_PASS);
        strcpy(other_record, rsa_record);
        other_record[i] = other_record[i] == 'A' ? 'B' : 'A';
        judge_with(example, sizeof(example) - 1, 0, by_other_record, &v);
        assert_int_equal(v.v[0].result, AUTH_PASS);
        assert_int_not_equal(v.v[1].result, AUTH_PASS);
    }
}

static void reasons_with(const struct buf *mail, const enum dkim_reason *want, size_t n)
{
    struct dkim_verdicts v;

    judge(mail, &v);
    assert_int_equal(v.n, n);
    for (size_t i = 0; i < n; i++)
        if (v.v[i].reason != want[i])
            fail_msg("signature %zu: %s", i, dkim_reason_text(v.v[i].reason));
}

/* One that verifies spares others of its own domain, and nobody else. */
static void spared(void **state)
{
    static const char of_other[] = "v=1; a=ed25519-sha256; d=a.football.example.com; s=brisbane; bh=@; h=from";
    struct dkim_verdicts v;
    struct buf mail;

    judge_spares = true;
    judge_example(example, sizeof(example) - 1, 0, &v); /* RSA first, wherever it stands */
    assert_int_equal(v.v[0].reason, DKIM_SPARED);
    assert_int_equal(v.v[0].result, AUTH_NEUTRAL);
    assert_int_equal(v.v[1].result, AUTH_PASS);
    strcpy(other_record, rsa_record);
    strstr(other_record, "p=")[40] ^= 1;
    judge_with(example, sizeof(example) - 1, 0, by_other_record, &v);
    assert_int_equal(v.v[0].result, AUTH_PASS);
    assert_int_not_equal(v.v[1].result, AUTH_PASS);
    assert_int_not_equal(v.v[1].reason, DKIM_SPARED);

    mail_of(&mail, MESSAGE);
    forge_sign(&mail, "DKIM-Signature", of_other);
    for (int i = 0; i < 3; i++)
        forge_sign(&mail, "DKIM-Signature", FORGE_TAGS "h=from");
    reasons_with(&mail, (const enum dkim_reason[]){DKIM_VERIFIED, DKIM_SPARED, DKIM_SPARED, DKIM_VERIFIED}, 4);
    mail.data[strstr((char *)mail.data, " b=") - (char *)mail.data + 10] ^= 1; /* of the first alone */
    reasons_with(&mail, (const enum dkim_reason[]){DKIM_SIGNATURE_WRONG, DKIM_VERIFIED, DKIM_SPARED, DKIM_VERIFIED}, 4);
    forge_set(&mail, 1, "none", NULL);
    judge(&mail, &v);
    assert_int_equal(v.arc.result, AUTH_PASS);
    buf_free(&mail);
    judge_spares = false;
}

int main(void)
{
    const struct CMUnitTest tests_of[] = {
        cmocka_unit_test(as_published),     cmocka_unit_test(each_octet_counts), cmocka_unit_test(each_tag),
        cmocka_unit_test(reasons_are_told), cmocka_unit_test(each_record),       cmocka_unit_test(strict_identity),
        cmocka_unit_test(questions),        cmocka_unit_test(no_questions),      cmocka_unit_test(a_key_is_no_other),
        cmocka_unit_test(spared),
    };

    return cmocka_run_group_tests(tests_of, NULL, NULL);
}
