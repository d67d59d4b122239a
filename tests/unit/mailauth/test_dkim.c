/* DKIM: canonical forms, keys, and what a signature covers. Others' verifiers: tests/interop/test_dkim_others.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "server/core/error.h"
#include "server/mailauth/canon.h"
#include "server/mailauth/dkim.h"

struct text {
    char s[4096];
    size_t len;
};

static void into_text(void *arg, const uint8_t *data, size_t len)
{
    struct text *t = arg;

    assert_true(t->len + len < sizeof(t->s));
    memcpy(t->s + t->len, data, len);
    t->len += len;
    t->s[t->len] = '\0';
}

static void field_is(const char *name, const char *value, bool end, const char *wanted)
{
    struct text t = {.len = 0};

    canon_field((const uint8_t *)name, strlen(name), (const uint8_t *)value, strlen(value), end, into_text, &t);
    assert_string_equal(t.s, wanted);
}

static void fields(void **state)
{
    /* RFC 6376 section 3.4.5 */
    field_is("A", " X\r\n", true, "a:X\r\n");
    field_is("B ", " Y\t\r\n\tZ  \r\n", true, "b:Y Z\r\n");
    field_is("Subject", "\r\n", true, "subject:\r\n");
    field_is("X", " \r\n \r\n a\r\n", true, "x:a\r\n");
    field_is("X", "a\r\n b", false, "x:a b");
    field_is("A-name-that-is-far-longer-than-the-eighty-octets-that-are-made-lower-case-at-a-time-Indeed", "v\r\n",
             true, "a-name-that-is-far-longer-than-the-eighty-octets-that-are-made-lower-case-at-a-time-indeed:v\r\n");
}

/* Whatever the cut, the same. */
static void body_becomes(enum canon form, const char *body, const char *wanted)
{
    size_t len = strlen(body);

    for (size_t cut = 0; cut <= len; cut++) {
        struct canon_body b = {.form = form};
        struct text t = {.len = 0};

        canon_body_feed(&b, (const uint8_t *)body, cut, into_text, &t);
        canon_body_feed(&b, (const uint8_t *)body + cut, len - cut, into_text, &t);
        canon_body_end(&b, into_text, &t);
        t.s[t.len] = '\0';
        assert_string_equal(t.s, wanted);
    }
}

static void body_is(const char *body, const char *wanted)
{
    body_becomes(CANON_RELAXED, body, wanted);
}

static void simple_body_is(const char *body, const char *wanted)
{
    body_becomes(CANON_SIMPLE, body, wanted);
}

static void bodies(void **state)
{
    body_is(" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"); /* section 3.4.5 */
    body_is("", "");
    body_is("\r\n\r\n", "");
    body_is("  \r\n\t\r\n", ""); /* lines of blanks alone are empty lines */
    body_is("a", "a\r\n");
    body_is("a\r\n\r\nb \r\n", "a\r\n\r\nb\r\n");
    body_is("a\r\n \r\n  b", "a\r\n\r\n b\r\n");
    body_is("a\rb\r\n", "a\rb\r\n");
    body_is("a\r", "a\r\r\n");
    body_is("a\nb\r\n", "a\nb\r\n");
}

static void simple_bodies(void **state)
{
    simple_body_is(" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n"); /* RFC 6376 section 3.4.6 */
    simple_body_is("", "\r\n");                                       /* section 3.4.3 */
    simple_body_is("\r\n\r\n", "\r\n");
    simple_body_is(" \r\n\r\n", " \r\n");
    simple_body_is("a", "a\r\n");
    simple_body_is("a\r\n\r\n\tb \r\n", "a\r\n\r\n\tb \r\n");
    simple_body_is("a\r\r\n", "a\r\r\n");
    simple_body_is("a\r", "a\r\r\n");
    simple_body_is("a\n", "a\n\r\n");
    simple_body_is("\r", "\r\r\n");
}

/* ---- keys ---- */

/* RFC 8463 appendix A.2: the secret and what is published of it. */
static void ed25519_as_published(void **state)
{
    static const char secret[] = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    static const uint8_t prefix[] = {0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20};
    uint8_t der[sizeof(prefix) + 33];
    char txt[DKIM_TXT_MAX];
    struct dkim_key *k;

    memcpy(der, prefix, sizeof(prefix));
    assert_int_equal(EVP_DecodeBlock(der + sizeof(prefix), (const uint8_t *)secret, (int)strlen(secret)), 33);
    assert_int_equal(dkim_key_open(DKIM_ED25519_SHA256, slice_of(der, sizeof(der) - 1), &k), OK);
    assert_int_equal(dkim_key_txt(k, txt), OK);
    assert_string_equal(txt, "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    dkim_key_free(k);
}

static void keys_that_are_none(void **state)
{
    uint8_t der[DKIM_KEY_MAX];
    struct dkim_key *k = NULL;
    size_t len;

    for (enum dkim_algorithm a = DKIM_RSA_SHA256; a <= DKIM_ED25519_SHA256; a++) {
        assert_int_equal(dkim_key_make(a, der, &len), OK);
        assert_int_equal(dkim_key_open(a, slice_of(der, len - 1), &k), ERR_FORMAT);
        assert_int_equal(dkim_key_open(a == DKIM_RSA_SHA256 ? DKIM_ED25519_SHA256 : DKIM_RSA_SHA256, slice_of(der, len),
                                       &k),
                         ERR_FORMAT);
        assert_int_equal(dkim_key_open(a, slice_of(der, 0), &k), ERR_FORMAT);
        assert_int_equal(dkim_key_open(a, slice_of(der, len), &k), OK);
        dkim_key_free(k);
    }
    assert_int_equal(dkim_key_make(0, der, &len), ERR_CRYPTO);
    EVP_PKEY *small = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(small);
    uint8_t *at = der;
    len = (size_t)i2d_PKCS8_PRIV_KEY_INFO(info, &at);
    assert_int_equal(dkim_key_open(DKIM_RSA_SHA256, slice_of(der, len), &k), ERR_FORMAT);
    PKCS8_PRIV_KEY_INFO_free(info);
    EVP_PKEY_free(small);
}

/* ---- signatures ---- */

static const char mail[] = "Received: from somewhere\r\n"
                           "From: alice@sender.test\r\n"
                           "to: bob@example.org\r\n"
                           "Subject: one\r\n"
                           " two\r\n"
                           "List-Id: <l.sender.test>\r\n"
                           "\r\n"
                           "Hello\r\n";

static struct dkim_key *fresh(enum dkim_algorithm a)
{
    uint8_t der[DKIM_KEY_MAX];
    struct dkim_key *k;
    size_t len;

    assert_int_equal(dkim_key_make(a, der, &len), OK);
    assert_int_equal(dkim_key_open(a, slice_of(der, len), &k), OK);
    return k;
}

static int sign(struct dkim_key *k, const char *text, size_t cut, struct buf *out)
{
    const struct dkim_signer s = {k, "sender.test", "sel"};
    size_t len = strlen(text);
    const struct iovec pieces[] = {{(void *)text, cut}, {(void *)(text + cut), len - cut}};

    buf_init(out, 64 * 1024, false);
    return dkim_sign(&s, 1, pieces, 2, 1700000000, out);
}

static void what_is_named(void **state)
{
    struct dkim_key *k = fresh(DKIM_ED25519_SHA256);
    struct buf out;
    char flat[4096];
    size_t n = 0;

    assert_int_equal(sign(k, mail, 0, &out), OK);
    assert_int_equal(out.data[out.len - 1], '\n');
    for (size_t i = 0; i < out.len; i++)
        if (out.data[i] != '\r' && out.data[i] != '\n' && out.data[i] != '\t' && out.data[i] != ' ')
            flat[n++] = (char)out.data[i];
    flat[n] = '\0';
    assert_non_null(strstr(flat, "h=From:From:Reply-To:To:To:Cc:Subject:Subject:Date:Message-ID:In-Reply-To:References:"
                                 "MIME-Version:Content-Type:Content-Transfer-Encoding:List-Id;"));
    assert_non_null(strstr(flat, "v=1;a=ed25519-sha256;c=relaxed/relaxed;d=sender.test;s=sel;t=1700000000;h="));
    for (size_t i = 0, line = 0; i < out.len; i++) {
        line = out.data[i] == '\n' ? 0 : line + 1;
        assert_true(line <= 77); /* 76 and the CR */
    }
    buf_free(&out);
    dkim_key_free(k);
}

static struct text fed(enum canon form, const char *body, size_t len, size_t step)
{
    struct canon_body b = {.form = form};
    struct text t = {.len = 0};

    for (size_t i = 0; i < len; i += step)
        canon_body_feed(&b, (const uint8_t *)body + i, len - i < step ? len - i : step, into_text, &t);
    canon_body_end(&b, into_text, &t);
    t.s[t.len] = '\0';
    return t;
}

/* Many octets are looked at in one step; one by one they come to the same, whatever stands among them, and where. */
static void runs_of_text(void **state)
{
    static const char *const among[] = {" ",  "  ",  "\t", " \t",    "\t ",    " \r\n",    "\r\n ",       "\r\n",
                                        "\r", " \r", "\n", "\n\r\n", "\r\r\n", "\r\n\r\n", "\r\n\t.\r\n", "\r\n.\r\n"};
    static const char text[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-abcdefghi";
    enum { AROUND = sizeof(text) - 1 };

    for (size_t i = 0; i < sizeof(among) / sizeof(among[0]); i++)
        for (size_t at = 0; at <= AROUND; at++)
            for (int form = CANON_SIMPLE; form <= CANON_RELAXED; form++) {
                char body[2 * AROUND];
                int len = snprintf(body, sizeof(body), "%.*s%s%s", (int)at, text, among[i], text + at);
                struct text one = fed(form, body, (size_t)len, 1);

                for (size_t step = (size_t)len; step > 30; step -= step / 9)
                    assert_string_equal(fed(form, body, (size_t)len, step).s, one.s);
            }
}

/* Empty lines at the end are nothing, however many, and something where another line follows. */
static void empty_lines(void **state)
{
    enum { LINES = 60 };
    char tail[2 * LINES + 1], body[2 * LINES + 80], wanted[2 * LINES + 80];

    for (size_t i = 0; i < LINES; i++)
        memcpy(tail + 2 * i, "\r\n", 3);
    for (int form = CANON_SIMPLE; form <= CANON_RELAXED; form++) {
        snprintf(body, sizeof(body), "a line that is as long as one step at least%s", tail);
        body_becomes(form, body, "a line that is as long as one step at least\r\n");
        snprintf(body, sizeof(body), "a line that is as long as one step at least%sb", tail);
        snprintf(wanted, sizeof(wanted), "%s\r\n", body);
        body_becomes(form, body, wanted);
    }
}

/* Ed25519 signs alike each time: what changes no canonical octet changes no signature, and what does, does. */
static void same(struct dkim_key *k, const char *text, bool as_before)
{
    struct buf a, b;

    assert_int_equal(sign(k, mail, 0, &a), OK);
    for (size_t cut = 0; cut <= strlen(text); cut++) {
        assert_int_equal(sign(k, text, cut, &b), OK);
        assert_int_equal(a.len == b.len && memcmp(a.data, b.data, a.len) == 0, as_before);
        buf_free(&b);
    }
    buf_free(&a);
}

static void what_is_covered(void **state)
{
    struct dkim_key *k = fresh(DKIM_ED25519_SHA256);

    same(k, mail, true);
    same(k,
         "From:  alice@sender.test \r\nTo: bob@example.org\r\nsubject: one two\r\nlist-id: <l.sender.test>\r\n"
         "X-Other: y\r\n\r\nHello \r\n\r\n\r\n",
         true);
    same(k,
         "From: alice@sender.test\r\nTo: bob@example.org\r\nSubject: one two\r\nList-Id: <l.sender.test>\r\n"
         "\r\nHallo\r\n",
         false);
    same(k,
         "From: alice@sender.test\r\nTo: bob@example.com\r\nSubject: one two\r\nList-Id: <l.sender.test>\r\n"
         "\r\nHello\r\n",
         false);
    same(k,
         "From: alice@sender.test\r\nTo: bob@example.org\r\nSubject: one two\r\nList-Id: <l.sender.test>\r\n"
         "Subject: one two\r\n\r\nHello\r\n",
         false);
    dkim_key_free(k);
}

static void mail_that_is_not_signed(void **state)
{
    struct dkim_key *k = fresh(DKIM_ED25519_SHA256);
    struct buf out;
    static const char *const bad[] = {
        "",
        "To: x@example.org\r\n\r\nno From\r\n",
        "From alice Mon\r\nFrom: alice@sender.test\r\n\r\na stray line\r\n",
        "From: alice@sender.test\r\nthe body without an empty line\r\n",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(sign(k, bad[i], strlen(bad[i]) / 2, &out), ERR_FORMAT);
        assert_int_equal(out.len, 0);
        buf_free(&out);
    }
    assert_int_equal(sign(k, "From: alice@sender.test\r\n\r\n", 3, &out), OK);
    buf_free(&out);
    dkim_key_free(k);
}

/* A header of the most fields that are taken apart, all of them covered, and one field more. */
static void many_fields(void **state)
{
    struct dkim_key *k = fresh(DKIM_RSA_SHA256);
    char *text = malloc(64 * 1024);
    struct buf out;
    size_t n = 0;

    n += (size_t)sprintf(text + n, "From: alice@sender.test\r\n");
    for (int i = 1; i < 1000; i++)
        n += (size_t)sprintf(text + n, "To: b%d@example.org\r\n", i);
    strcpy(text + n, "\r\nbody\r\n");
    assert_int_equal(sign(k, text, 1000, &out), OK);
    buf_free(&out);
    strcpy(text + n, "To: c@example.org\r\n\r\nbody\r\n");
    assert_int_equal(sign(k, text, 1000, &out), ERR_FORMAT);
    buf_free(&out);
    free(text);
    dkim_key_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields),
        cmocka_unit_test(bodies),
        cmocka_unit_test(simple_bodies),
        cmocka_unit_test(runs_of_text),
        cmocka_unit_test(empty_lines),
        cmocka_unit_test(ed25519_as_published),
        cmocka_unit_test(keys_that_are_none),
        cmocka_unit_test(what_is_named),
        cmocka_unit_test(what_is_covered),
        cmocka_unit_test(mail_that_is_not_signed),
        cmocka_unit_test(many_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
