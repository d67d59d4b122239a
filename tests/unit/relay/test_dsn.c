/* Who is told of what, and what a DSN says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/proto/smtp.h"
#include "server/relay/dsn.h"

static void senders_are_told_what_they_asked_for(void **state)
{
    static const struct {
        uint8_t notify;
        bool failed, delayed, relayed;
    } rows[] = {
        {0, true, true, false},
        {SMTP_NOTIFY_NEVER, false, false, false},
        {SMTP_NOTIFY_SUCCESS, false, false, true},
        {SMTP_NOTIFY_FAILURE, true, false, false},
        {SMTP_NOTIFY_DELAY | SMTP_NOTIFY_SUCCESS, false, true, true},
    };
    const struct queue_envelope null = {.from = ""}, sender = {.from = "a@ours.example"};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct queue_recipient r = {.notify = rows[i].notify};
        assert_int_equal(dsn_wanted(&sender, &r, DSN_FAILED), rows[i].failed);
        assert_int_equal(dsn_wanted(&sender, &r, DSN_DELAYED), rows[i].delayed);
        assert_int_equal(dsn_wanted(&sender, &r, DSN_RELAYED), rows[i].relayed);
        assert_int_equal(dsn_wanted(&sender, &r, DSN_DELIVERED), rows[i].relayed);
        /* Nobody is told of what a DSN met. */
        for (int k = DSN_FAILED; k <= DSN_DELIVERED; k++)
            assert_false(dsn_wanted(&null, &r, (enum dsn_kind)k));
    }
}

static char *make(struct dsn *d, struct queue_envelope *e, const struct queue_recipient *r, const char *mail)
{
    const struct queue_recipient *v[] = {r};
    const struct iovec io = {(void *)(uintptr_t)mail, mail ? strlen(mail) : 0};
    struct secmem_msg out = {0};
    char *text;
    size_t n = 0;

    d->domain = "ours.example";
    d->envelope = e;
    d->recipients = v;
    d->n = 1;
    d->mail = &io;
    d->mail_n = mail != NULL;
    assert_int_equal(dsn_make(d, &out), OK);
    text = malloc(out.len + 1);
    for (struct secmem_chunk *c = out.first; c; c = c->next) {
        memcpy(text + n, c->data, c->len);
        n += c->len;
    }
    text[n] = '\0';
    secmem_msg_release(&out);
    for (size_t i = 0; i < n; i++) /* no line stands alone */
        assert_true((text[i] == '\n') == (i > 0 && text[i - 1] == '\r'));
    return text;
}

#define HAS(text, words)                            \
    do {                                            \
        if (!strstr(text, words))                   \
            fail_msg("lacks %s:\n%s", words, text); \
    } while (0)
#define LACKS(text, words)                        \
    do {                                          \
        if (strstr(text, words))                  \
            fail_msg("has %s:\n%s", words, text); \
    } while (0)

static const char mail[] = "From: a@ours.example\r\nSubject: secret\r\n\r\nbody of it\r\n";

static void a_failure_says_what_failed(void **state)
{
    struct queue_envelope e = {.from = "a@ours.example", .envid = "QQ+2B314", .queued_at = 1700000000};
    const struct queue_recipient r = {.to = "b@there.example",
                                      .orcpt = "rfc822;b+40there.example",
                                      .last_reply = "450 4.2.1 no",
                                      .host = "mx.there.example",
                                      .last_try = 1700000100};
    struct dsn d = {.kind = DSN_FAILED, .now = 1700000200};
    char *text = make(&d, &e, &r, mail);

    HAS(text, "From: Mail Delivery System <mailer-daemon@ours.example>\r\nTo: a@ours.example\r\n");
    HAS(text, "Auto-Submitted: auto-replied\r\n");
    HAS(text, "report-type=delivery-status");
    HAS(text, "Original-Envelope-Id: QQ+314\r\nReporting-MTA: dns; ours.example\r\n");
    HAS(text, "Original-Recipient: rfc822; b@there.example\r\nFinal-Recipient: rfc822; b@there.example\r\n");
    HAS(text, "Action: failed\r\nStatus: 5.2.1\r\n"); /* deferred so often that it failed */
    HAS(text, "Remote-MTA: dns; mx.there.example\r\nDiagnostic-Code: smtp; 450 4.2.1 no\r\n");
    HAS(text, "text/rfc822-headers");
    HAS(text, "Subject: secret\r\n");
    LACKS(text, "body of it");
    LACKS(text, "Will-Retry");
    free(text);
    e.ret = 1;
    text = make(&d, &e, &r, mail);
    HAS(text, "Content-Type: message/rfc822\r\n");
    HAS(text, "\r\nbody of it\r\n");
    free(text);
    text = make(&d, &e, &r, NULL);
    LACKS(text, "Subject: secret");
    free(text);
}

static void a_delay_says_until_when(void **state)
{
    struct queue_envelope e = {.from = "a@ours.example", .ret = 1, .queued_at = 1700000000, .expires = 1700432000};
    const struct queue_recipient r = {.to = "b@there.example", .last_reply = "451 4.4.1 Nobody answers there"};
    struct dsn d = {.kind = DSN_DELAYED, .now = 1700000200};
    char *text = make(&d, &e, &r, mail);

    HAS(text, "Action: delayed\r\nStatus: 4.4.1\r\n");
    HAS(text, "Will-Retry-Until: Sun, 19 Nov 2023 22:13:20 +0000\r\n");
    LACKS(text, "Diagnostic-Code"); /* nobody there said it */
    LACKS(text, "body of it");      /* RET=FULL is for failures */
    free(text);
}

static void letters_beyond_ascii_have_their_types(void **state)
{
    struct queue_envelope e = {.from = "j\xc3\xb6rg@ours.example", .smtputf8 = 1};
    const struct queue_recipient r = {.to = "\xc3\xb6@there.example", .last_reply = "550 5.1.1 no", .host = "mx"};
    struct dsn d = {.kind = DSN_FAILED};
    char *text = make(&d, &e, &r, mail);

    HAS(text, "message/global-delivery-status");
    HAS(text, "Final-Recipient: utf-8; \xc3\xb6@there.example\r\n");
    HAS(text, "message/global-headers");
    free(text);
}

static void no_field_is_slipped_in(void **state)
{
    static const char *const bad[] = {
        "rfc822;b+0D+0AX-Evil:+20yes", "rfc822;b+C2+85X-Evil: yes", "rfc822;b+4", "rfc822;b+zz", "rfc822;", "X-Evil"};
    struct queue_envelope e = {.from = "a@ours.example", .envid = "x+0D+0AX-Evil:+20yes"};
    struct dsn d = {.kind = DSN_FAILED};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct queue_recipient r = {.to = "b@there.example", .last_reply = "550 5.1.1 no"};
        char *text;
        snprintf(r.orcpt, sizeof(r.orcpt), "%s", bad[i]);
        text = make(&d, &e, &r, NULL);
        LACKS(text, "X-Evil");
        LACKS(text, "Original-");
        free(text);
    }
}

static void a_long_header_is_cut_at_a_line(void **state)
{
    enum { LINES = 2000, LINE = 80 };
    struct queue_envelope e = {.from = "a@ours.example"};
    const struct queue_recipient r = {.to = "b@there.example", .last_reply = "550 no"};
    struct dsn d = {.kind = DSN_FAILED};
    char *big = malloc(LINES * LINE + 8), *text;

    for (int i = 0; i < LINES; i++)
        sprintf(big + i * LINE, "X-%05d: %0*d\r\n", i, LINE - 11, 0);
    text = make(&d, &e, &r, big);
    assert_true(strlen(text) < DSN_HEADER_MAX + 4096);
    HAS(text, "X-00800: ");
    LACKS(text, "X-00820: ");
    free(text);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(senders_are_told_what_they_asked_for),
        cmocka_unit_test(a_failure_says_what_failed),
        cmocka_unit_test(a_delay_says_until_when),
        cmocka_unit_test(letters_beyond_ascii_have_their_types),
        cmocka_unit_test(no_field_is_slipped_in),
        cmocka_unit_test(a_long_header_is_cut_at_a_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
