/* What strangers try, so that a verifier and a reader see different mails, or that verifying costs us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sodium.h>

#include "server/mailauth/dkim_record.h"
#include "tests/support/dkim_forge.h"
#include "tests/support/dkim_judge.h"

#define MESSAGE                                                                               \
    "From: joe@football.example.com\r\nTo: suzie@shopping.example.net\r\nSubject: dinner\r\n" \
    "Content-Type: text/plain\r\n\r\nHi.\r\n"
#define USUAL FORGE_TAGS "c=relaxed/relaxed; h=from:to:subject:content-type"

static void mail_of(struct buf *mail, const char *text)
{
    buf_init(mail, 4 * 1024 * 1024, false);
    assert_int_equal(buf_puts(mail, text), OK);
}

/* What octets are, where strings cannot say it. */
static void judge_text(const char *text, size_t len, struct dkim_verdicts *v)
{
    const struct slice record = slice_str(FORGE_RECORD);

    judge_by(text, len, 0, &record, 1, v);
}

/* ---- fields added, moved and changed ---- */

static const struct {
    const char *tags;
    const char *above; /* put on top of what was signed */
    const char *below; /* put behind its last field */
    enum dkim_reason reason;
} added[] = {
    {USUAL, "", "", DKIM_VERIFIED},
    {USUAL, "Received: from x\r\n", "X-Spam: no\r\n", DKIM_VERIFIED},
    {USUAL, "From: boss@football.example.com\r\n", "", DKIM_AUTHORS},
    {USUAL, "", "From: boss@football.example.com\r\n", DKIM_AUTHORS},
    {USUAL, "fRoM: boss@football.example.com\r\n", "", DKIM_AUTHORS},
    {USUAL, "From : boss@football.example.com\r\n", "", DKIM_HEADER_ODD},
    {USUAL, "From\t: boss@football.example.com\r\n", "", DKIM_HEADER_ODD},
    {USUAL, "From:\r\n", "", DKIM_AUTHORS},
    {FORGE_TAGS "h=from:from", "From: boss@football.example.com\r\n", "", DKIM_AUTHORS},
    {USUAL, "Subject: pay now\r\n", "", DKIM_ADDED},
    {USUAL, "", "Subject: pay now\r\n", DKIM_ADDED},
    {USUAL, "To: x@example.net\r\n", "", DKIM_ADDED},
    {USUAL, "Content-Type: text/html\r\n", "", DKIM_ADDED},
    {FORGE_TAGS "h=from:subject:subject", "Subject: pay now\r\n", "", DKIM_SIGNATURE_WRONG},
    {FORGE_TAGS "h=from:date", "Date: now\r\n", "", DKIM_SIGNATURE_WRONG}, /* signed as missing */
    {FORGE_TAGS "h=from", "Subject: pay now\r\n", "", DKIM_VERIFIED},      /* nobody said a word of it */
    {USUAL, "", "a line that is no field\r\n", DKIM_HEADER_ODD},           /* the body begins there for some */
    {USUAL, "From boss@football.example.com Mon\r\n", "", DKIM_HEADER_ODD},
    {USUAL, "X-Bare: a\rFrom: boss@football.example.com\r\n", "", DKIM_HEADER_ODD},
    {USUAL, "X-Bare: a\nFrom: boss@football.example.com\r\n", "", DKIM_HEADER_ODD},
    {USUAL, "X-Bare: a\n From: boss@football.example.com\r\n", "", DKIM_HEADER_ODD},
    {USUAL, "X-Folded: a\r\n From: boss@football.example.com\r\n", "", DKIM_VERIFIED}, /* a fold is no field */
};

static void fields_added(void **state)
{
    for (size_t i = 0; i < sizeof(added) / sizeof(*added); i++) {
        struct dkim_verdicts v;
        struct buf mail, all;
        mail_of(&mail, MESSAGE);
        forge_sign(&mail, "DKIM-Signature", added[i].tags);
        const size_t end = (size_t)((uint8_t *)memmem(mail.data, mail.len, "\r\n\r\n", 4) - mail.data) + 2;
        buf_init(&all, 64 * 1024, false);
        assert_int_equal(buf_puts(&all, added[i].above), OK);
        assert_int_equal(buf_append(&all, mail.data, end), OK);
        assert_int_equal(buf_puts(&all, added[i].below), OK);
        assert_int_equal(buf_append(&all, mail.data + end, mail.len - end), OK);
        judge(&all, &v);
        if (v.n != 1 || v.v[0].reason != added[i].reason)
            fail_msg("row %zu: %zu, %s", i, v.n, dkim_reason_text(v.v[0].reason));
        buf_free(&all);
        buf_free(&mail);
    }
}

/* A message without From, signed as that. */
static void no_author(void **state)
{
    struct dkim_verdicts v;
    struct buf mail;

    mail_of(&mail, "To: suzie@shopping.example.net\r\n\r\nHi.\r\n");
    forge_sign(&mail, "DKIM-Signature", FORGE_TAGS "h=from:to");
    judge(&mail, &v);
    assert_int_equal(v.v[0].reason, DKIM_AUTHORS);
    buf_free(&mail);
}

static void replace(struct buf *mail, const char *from, const char *to)
{
    uint8_t *at = memmem(mail->data, mail->len, from, strlen(from));
    struct buf all;

    assert_non_null(at);
    buf_init(&all, mail->max, false);
    assert_int_equal(buf_append(&all, mail->data, (size_t)(at - mail->data)), OK);
    assert_int_equal(buf_puts(&all, to), OK);
    at += strlen(from);
    assert_int_equal(buf_append(&all, at, mail->len - (size_t)(at - mail->data)), OK);
    buf_free(mail);
    *mail = all;
}

static const struct {
    const char *tags, *from, *to;
    enum dkim_reason reason;
} changed[] = {
    /* relaxed: folds, blanks at the end, their number, names' case */
    {USUAL, "Subject: dinner\r\n", "SUBJECT:\r\n\t dinner  \r\n", DKIM_VERIFIED},
    {USUAL, "Subject: dinner\r\n", "Subject : dinner\r\n", DKIM_VERIFIED},
    {USUAL, "Hi.\r\n", "Hi. \t\r\n\r\n\r\n", DKIM_VERIFIED},
    {USUAL, "Hi.\r\n", "Hi.", DKIM_VERIFIED},
    {USUAL, "Hi.\r\n", "Hi. x\r\n", DKIM_BODY_CHANGED},
    {USUAL, "Hi.\r\n", " Hi.\r\n", DKIM_BODY_CHANGED},
    {USUAL, "Hi.\r\n", "\r\nHi.\r\n", DKIM_BODY_CHANGED},
    {USUAL, "Hi.\r\n", "Hi.\n", DKIM_BODY_CHANGED},
    {USUAL, "Hi.\r\n", "Hi.\r", DKIM_BODY_CHANGED},
    {USUAL, "Hi.\r\n", "Hi.\r\r\n", DKIM_BODY_CHANGED},
    {USUAL, "Subject: dinner\r\n", "Subject: din ner\r\n", DKIM_SIGNATURE_WRONG},
    {USUAL, "Subject: dinner\r\n", "Subject: Dinner\r\n", DKIM_SIGNATURE_WRONG},
    {USUAL, "Subject: dinner\r\n", "", DKIM_SIGNATURE_WRONG},
    /* simple: nothing of that, but for empty lines at the end */
    {FORGE_TAGS "h=from:subject", "Hi.\r\n", "Hi.\r\n\r\n\r\n", DKIM_VERIFIED},
    {FORGE_TAGS "h=from:subject", "Hi.\r\n", "Hi. \r\n", DKIM_BODY_CHANGED},
    {FORGE_TAGS "h=from:subject", "Subject: dinner\r\n", "Subject:  dinner\r\n", DKIM_SIGNATURE_WRONG},
    {FORGE_TAGS "h=from:subject", "Subject: dinner\r\n", "subject: dinner\r\n", DKIM_SIGNATURE_WRONG},
    {FORGE_TAGS "h=from:subject", "Subject: dinner\r\n", "Subject: dinner \r\n", DKIM_SIGNATURE_WRONG},
    /* b= in other places, and what stands around it */
    {USUAL, "; b=", "; b= ", DKIM_VERIFIED},
    {USUAL, "; b=", ";\r\n\tb = \r\n\t", DKIM_SIGNATURE_WRONG}, /* the fold before it is signed */
    {USUAL, "; b=", "; b=!", DKIM_SYNTAX},
    {USUAL, "; b=", "; b=; xb=", DKIM_SYNTAX},
    {USUAL, "; b=", "; b=\r\n\r\n", DKIM_SYNTAX}, /* the header ends there */
    {USUAL, "; b=", "; B=", DKIM_SYNTAX},
    {USUAL, "; b=", "; b=AAAA; b=", DKIM_SYNTAX},
    {USUAL, "; b=", "; c=simple/simple; b=", DKIM_SYNTAX},
    {USUAL, "v=1; ", "v=1;; ", DKIM_SYNTAX},
    {USUAL, "v=1; ", "v=1; l=99999; ", DKIM_BODY_CHANGED},
    {USUAL, "h=from", "h=from:from", DKIM_SIGNATURE_WRONG},
};

static void what_changes_is_seen(void **state)
{
    for (size_t i = 0; i < sizeof(changed) / sizeof(*changed); i++) {
        struct dkim_verdicts v;
        struct buf mail;
        mail_of(&mail, MESSAGE);
        forge_sign(&mail, "DKIM-Signature", changed[i].tags);
        replace(&mail, changed[i].from, changed[i].to);
        judge(&mail, &v);
        if (v.n != 1 || v.v[0].reason != changed[i].reason)
            fail_msg("row %zu: %zu, %s", i, v.n, dkim_reason_text(v.v[0].reason));
        buf_free(&mail);
    }
}

/* l=: whatever is added behind, it never passes, nor as the body was. */
static void length_never_passes(void **state)
{
    struct dkim_verdicts v;
    struct buf mail;
    char tags[256];

    for (int l = 0; l <= 8; l++) {
        mail_of(&mail, MESSAGE);
        snprintf(tags, sizeof(tags), FORGE_TAGS "c=relaxed/relaxed; h=from; l=%d", l);
        forge_sign(&mail, "DKIM-Signature", tags);
        assert_int_equal(buf_puts(&mail, "Pay now.\r\n"), OK);
        judge(&mail, &v);
        assert_int_equal(v.v[0].result == AUTH_PASS, false);
        assert_int_equal(v.v[0].reason, l <= 5 ? DKIM_IN_PART : DKIM_BODY_CHANGED);
        buf_free(&mail);
    }
}

/* Octets of which text is not made. A NUL in the header ends it for some readers. */
static void odd_octets(void **state)
{
    struct dkim_verdicts v;
    struct buf mail;

    mail_of(&mail, MESSAGE);
    forge_sign(&mail, "DKIM-Signature", FORGE_TAGS "h=from:subject");
    uint8_t *at = memmem(mail.data, mail.len, "dinner", 6);
    at[2] = 0;
    judge(&mail, &v);
    assert_int_equal(v.v[0].reason, DKIM_HEADER_ODD);
    buf_free(&mail);

    judge_text("", 0, &v);
    assert_int_equal(v.n, 0);
    assert_int_equal(v.arc.result, AUTH_NONE);
    judge_text("\r\n", 2, &v);
    assert_int_equal(v.n, 0);
    judge_text("DKIM-Signature", 14, &v);
    assert_int_equal(v.n, 0);
    judge_text("DKIM-Signature:", 15, &v);
    assert_int_equal(v.n, 1);
    assert_int_equal(v.v[0].reason, DKIM_SYNTAX);
    judge_text("DKIM-Signature:\0\0;=", 19, &v);
    assert_int_equal(v.v[0].reason, DKIM_SYNTAX);
    judge_text("From: a@example.com\r\nDKIM-Signature:\r\n;\r\n\r\n", 43, &v);
    assert_true(v.n == 1 && v.v[0].result != AUTH_PASS);
}

/* ---- keys that are none, or not to be trusted ---- */

/* An element of DER: octets behind tag and length. */
static size_t element(uint8_t tag, const uint8_t *octets, size_t n, uint8_t *out)
{
    size_t head = 0;

    out[head++] = tag;
    if (n > 0xff)
        out[head++] = 0x82;
    else if (n > 0x7f)
        out[head++] = 0x81;
    if (n > 0xff)
        out[head++] = (uint8_t)(n >> 8);
    out[head++] = (uint8_t)n;
    memmove(out + head, octets, n);
    return head + n;
}

static size_t number(size_t bits, uint8_t last, uint8_t *out)
{
    uint8_t octets[2048];
    const size_t zero = bits % 8 == 0, n = (bits + 7) / 8 + zero;

    memset(octets, 0x5a, n);
    octets[0] = 0;
    octets[zero] = (uint8_t)(1 << (bits + 7) % 8);
    octets[n - 1] = last | (n - 1 == zero ? octets[zero] : 0);
    return element(2, octets, n, out);
}

/* An RSA key of numbers with so many bits and such last octets, as a record: a SubjectPublicKeyInfo. */
static void rsa_record(size_t bits, uint8_t n_last, size_t e_bits, uint8_t e_last, char out[4096])
{
    static const uint8_t rsa[] = {0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0};
    uint8_t a[2048], b[2048];
    size_t n = number(bits, n_last, a);

    n += number(e_bits, e_last, a + n);
    n = element(0x30, a, n, b + 1);
    b[0] = 0;
    n = element(3, b, n + 1, a);
    memcpy(b, rsa, sizeof(rsa));
    memcpy(b + sizeof(rsa), a, n);
    n = element(0x30, b, sizeof(rsa) + n, a);
    strcpy(out, "v=DKIM1; p=");
    sodium_bin2base64(out + strlen(out), 4000, a, n, sodium_base64_VARIANT_ORIGINAL);
}

static void weak_keys(void **state)
{
    static const struct {
        size_t bits;
        uint8_t n_last;
        size_t e_bits;
        uint8_t e_last;
        enum dkim_reason reason;
    } rows[] = {
        {1024, 1, 17, 1, DKIM_SIGNATURE_WRONG}, {2048, 1, 2, 1, DKIM_SIGNATURE_WRONG},
        {4096, 1, 17, 1, DKIM_SIGNATURE_WRONG}, {2048, 1, 63, 1, DKIM_SIGNATURE_WRONG},
        {1023, 1, 17, 1, DKIM_KEY_WEAK},        {768, 1, 17, 1, DKIM_KEY_WEAK},
        {512, 1, 17, 1, DKIM_KEY_WEAK},         {8, 1, 2, 1, DKIM_KEY_WEAK},
        {4097, 1, 17, 1, DKIM_KEY_LARGE},       {8192, 1, 17, 1, DKIM_KEY_LARGE},
        {2048, 1, 1, 1, DKIM_KEY_SYNTAX},       {2048, 1, 17, 2, DKIM_KEY_SYNTAX},
        {2048, 2, 17, 1, DKIM_KEY_SYNTAX},      {2048, 1, 65, 1, DKIM_KEY_SYNTAX},
        {2048, 1, 2047, 1, DKIM_KEY_SYNTAX},
    };
    struct dkim_verdicts v;
    struct buf mail;
    char record[4096];

    mail_of(&mail, MESSAGE);
    forge_sign(&mail, "DKIM-Signature", "v=1; a=rsa-sha256; d=football.example.com; s=brisbane; bh=@; h=from");
    for (size_t k = 0; k < 2 * sizeof(rows) / sizeof(*rows); k++) { /* the second time as they are kept */
        const size_t i = k / 2;
        rsa_record(rows[i].bits, rows[i].n_last, rows[i].e_bits, rows[i].e_last, record);
        const struct slice r = slice_str(record);
        judge_by(mail.data, mail.len, 0, &r, 1, &v);
        if (v.v[0].reason != rows[i].reason)
            fail_msg("row %zu: %s", i, dkim_reason_text(v.v[0].reason));
        if (rows[i].reason == DKIM_KEY_WEAK || rows[i].reason == DKIM_SIGNATURE_WRONG)
            assert_int_equal(v.v[0].bits, rows[i].bits);
    }
    /* every octet of the DER around the numbers */
    rsa_record(1024, 1, 17, 1, record);
    for (size_t i = 11; i < 60; i++) {
        char bad[4096];
        strcpy(bad, record);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        const struct slice r = slice_str(bad);
        judge_by(mail.data, mail.len, 0, &r, 1, &v);
        assert_int_not_equal(v.v[0].result, AUTH_PASS);
    }
    buf_free(&mail);
}

static enum dkim_reason found(const struct slice *s, size_t n)
{
    struct records_value v[JUDGE_RECORDS_MAX];
    const struct dkim_record *r;

    for (size_t i = 0; i < n; i++)
        v[i] = (struct records_value){.data = s[i]};
    return dkim_record_find(v, n, DKIM_ED25519_SHA256, &r);
}

/* More records than are kept, in turn, and one that is read again and again with other words around its key. */
static void kept_records(void **state)
{
    enum { RECORDS = 300 };
    static const struct {
        const char *words;
        enum dkim_reason reason;
    } rows[] = {{"", DKIM_VERIFIED},          {"; t=y", DKIM_TESTING},
                {"; h=sha1", DKIM_KEY_OTHER}, {"; s=tlsrpt", DKIM_KEY_OTHER},
                {"; t=s", DKIM_IDENTITY},     {"; p=", DKIM_KEY_SYNTAX}};
    struct dkim_verdicts v;
    struct buf mail;
    char record[256];

    mail_of(&mail, MESSAGE);
    forge_sign(&mail, "DKIM-Signature", FORGE_TAGS "h=from; i=@a.football.example.com");
    for (unsigned i = 0; i < RECORDS; i++) {
        uint8_t key[32] = {(uint8_t)i, (uint8_t)(i >> 8), 7};
        const size_t row = i % (sizeof(rows) / sizeof(*rows));

        snprintf(record, sizeof(record), "%s%s", FORGE_RECORD, rows[row].words);
        for (int times = 0; times < 2; times++) {
            const struct slice r = slice_str(record);
            judge_by(mail.data, mail.len, 0, &r, 1, &v);
            assert_int_equal(v.v[0].reason, rows[row].reason);
        }
        strcpy(record, "v=DKIM1; k=ed25519; p=");
        sodium_bin2base64(record + strlen(record), 64, key, sizeof(key), sodium_base64_VARIANT_ORIGINAL);
        const struct slice other = slice_str(record);
        judge_by(mail.data, mail.len, 0, &other, 1, &v);
        assert_int_equal(v.v[0].reason, DKIM_SIGNATURE_WRONG);
    }
    buf_free(&mail);
}

/* 1 MB, NUL, controls, thousands of tags, many records. */
static void hostile_records(void **state)
{
    enum { LARGE = 1024 * 1024 };
    static const char nul[] = FORGE_RECORD "\0";
    char *text = malloc(LARGE);
    struct slice many[JUDGE_RECORDS_MAX], r = slice_of(text, LARGE);
    struct dkim_verdicts v;
    struct buf mail;

    assert_non_null(text);
    memset(text, ' ', LARGE);
    memcpy(text, FORGE_RECORD, strlen(FORGE_RECORD));
    assert_int_equal(found(&r, 1), DKIM_KEY_SYNTAX);
    r.len = DKIM_RECORD_MAX;
    assert_int_equal(found(&r, 1), DKIM_VERIFIED);
    memset(text, 'a', LARGE);
    for (size_t i = 1; i < LARGE; i += 2)
        text[i] = ';';
    r.len = LARGE;
    assert_int_equal(found(&r, 1), DKIM_KEY_SYNTAX);
    free(text);
    r = slice_of(nul, sizeof(nul) - 1);
    assert_int_equal(found(&r, 1), DKIM_KEY_SYNTAX);
    for (size_t i = 0; i < JUDGE_RECORDS_MAX; i++)
        many[i] = slice_str("v=spf1 -all");
    many[JUDGE_RECORDS_MAX - 1] = slice_str(FORGE_RECORD);
    assert_int_equal(found(many, JUDGE_RECORDS_MAX), DKIM_VERIFIED);
    many[0] = (struct slice){NULL, 0};
    many[1] = slice_str(FORGE_RECORD ";");
    assert_int_equal(found(many, JUDGE_RECORDS_MAX), DKIM_KEY_SEVERAL);
    /* and by the way that answers come */
    mail_of(&mail, MESSAGE);
    forge_sign(&mail, "DKIM-Signature", FORGE_TAGS "h=from");
    judge_by(mail.data, mail.len, 0, many, JUDGE_RECORDS_MAX, &v);
    assert_int_equal(v.v[0].reason, DKIM_KEY_SEVERAL);
    judge_by(mail.data, mail.len, 0, many, -1, &v);
    assert_int_equal(v.v[0].reason, DKIM_KEY_UNKNOWN);
    buf_free(&mail);
}

/* ---- what others were reported for ---- */

static const struct {
    const char *mail, *tags;
    enum dkim_reason reason;
} reported[] = {
    /* wttw/aboutmyemail#26: one name in h= in several cases */
    {MESSAGE, FORGE_TAGS "c=relaxed/relaxed; h=From:from:SUBJECT:subject", DKIM_VERIFIED},
    /* lieser/dkim_verifier#347: no body, and no empty line that it would stand behind */
    {"From: joe@football.example.com\r\nSubject: none\r\n", FORGE_TAGS "c=relaxed/relaxed; h=from", DKIM_VERIFIED},
    {"From: joe@football.example.com\r\nSubject: none\r\n", FORGE_TAGS "h=from", DKIM_VERIFIED},
    /* stalwartlabs/mail-auth#22: an empty body, whose hash is another one in each form */
    {"From: joe@football.example.com\r\n\r\n",
     "v=1; a=ed25519-sha256; d=football.example.com; s=brisbane; c=relaxed/relaxed; h=from; "
     "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
     DKIM_VERIFIED},
    {"From: joe@football.example.com\r\n\r\n\r\n\r\n",
     "v=1; a=ed25519-sha256; d=football.example.com; s=brisbane; h=from; "
     "bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=",
     DKIM_VERIFIED},
    /* rspamd/rspamd#1904: fields without a value, in their simple form */
    {"From: joe@football.example.com\r\nX-Has-Attach:\r\nX-Blank: \r\n\r\nHi.\r\n",
     FORGE_TAGS "h=from:x-has-attach:x-blank", DKIM_VERIFIED},
    /* lieser/dkim_verifier#137: "_" in a selector */
    {MESSAGE, "v=1; a=ed25519-sha256; d=football.example.com; s=default_1807; bh=@; h=from", DKIM_VERIFIED},
    /* PHPMailer/DKIMValidator#17: one form is the header's, the body's is then simple */
    {MESSAGE, FORGE_TAGS "c=simple; h=from", DKIM_VERIFIED},
};

static void what_others_were_reported_for(void **state)
{
    for (size_t i = 0; i < sizeof(reported) / sizeof(*reported); i++) {
        struct dkim_verdicts v;
        struct buf mail;
        mail_of(&mail, reported[i].mail);
        forge_sign(&mail, "DKIM-Signature", reported[i].tags);
        judge(&mail, &v);
        if (v.n != 1 || v.v[0].reason != reported[i].reason)
            fail_msg("row %zu: %s", i, dkim_reason_text(v.v[0].reason));
        buf_free(&mail);
    }
}

/* ---- what it costs ---- */

/* As many names in h= as a header holds, over as many fields as it may have, each name one that is hard to find. */
static void many_names(void **state)
{
    struct dkim_verdicts v;
    struct buf mail, tags;

    mail_of(&mail, "From: joe@football.example.com\r\n");
    for (int i = 0; i < 990; i++)
        assert_int_equal(buf_printf(&mail, "a%d: x\r\n", i), OK);
    assert_int_equal(buf_puts(&mail, "\r\nHi.\r\n"), OK);
    buf_init(&tags, 256 * 1024, false);
    assert_int_equal(buf_puts(&tags, FORGE_TAGS "h=from"), OK);
    for (int i = 0; tags.len < 230 * 1024; i++)
        assert_int_equal(buf_printf(&tags, ":a%d", i % 1000), OK);
    assert_int_equal(buf_append(&tags, "", 1), OK);
    forge_sign(&mail, "DKIM-Signature", (char *)tags.data);
    judge(&mail, &v);
    assert_int_equal(v.v[0].reason, DKIM_VERIFIED);
    buf_free(&tags);
    /* and no more than a header may have: nothing is taken apart */
    for (int i = 0; i < 20; i++) {
        struct buf all;
        buf_init(&all, mail.max, false);
        assert_int_equal(buf_printf(&all, "b%d: x\r\n", i), OK);
        assert_int_equal(buf_append(&all, mail.data, mail.len), OK);
        buf_free(&mail);
        mail = all;
    }
    judge(&mail, &v);
    assert_true(v.n == 0 && v.more && v.arc.result == AUTH_NONE);
    buf_free(&mail);
}

/* Ten signatures, each with another length: the body is read once, and each hash is right. */
static void many_lengths(void **state)
{
    struct dkim_verdicts v;
    struct buf mail;
    char tags[256];

    mail_of(&mail, MESSAGE "a line of the body\r\n\r\n\r\nanother  line\t of it \r\n");
    for (int i = 0; i < 10; i++) {
        snprintf(tags, sizeof(tags), FORGE_TAGS "c=relaxed/%s; h=from; l=%d", i & 1 ? "simple" : "relaxed", i * 5);
        forge_sign(&mail, "DKIM-Signature", tags);
    }
    for (size_t cut = mail.len - 60; cut <= mail.len; cut++) {
        const struct slice record = slice_str(FORGE_RECORD);
        judge_by(mail.data, mail.len, cut, &record, 1, &v);
        assert_int_equal(v.n, 10);
        for (size_t i = 0; i < 10; i++)
            assert_int_equal(v.v[i].reason, DKIM_IN_PART);
    }
    buf_free(&mail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_added),
        cmocka_unit_test(no_author),
        cmocka_unit_test(what_changes_is_seen),
        cmocka_unit_test(length_never_passes),
        cmocka_unit_test(odd_octets),
        cmocka_unit_test(weak_keys),
        cmocka_unit_test(kept_records),
        cmocka_unit_test(hostile_records),
        cmocka_unit_test(what_others_were_reported_for),
        cmocka_unit_test(many_names),
        cmocka_unit_test(many_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
