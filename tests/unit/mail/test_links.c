#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/mail/links.h"

/* "host", "host:port", "@host" of mailto; blanks between them. */
static void say(const struct links *l, char *out, size_t cap)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < l->n; i++) {
        n += (size_t)snprintf(out + n, cap - n, "%s%s%s", i ? " " : "", l->v[i].kind == LINK_MAIL ? "@" : "",
                              l->v[i].host);
        if (l->v[i].port)
            n += (size_t)snprintf(out + n, cap - n, ":%u", l->v[i].port);
    }
}

/* From memory that ends where the text does. */
static void expect(const char *text, size_t len, bool html, const char *want)
{
    struct links l = {0};
    char got[8192];
    uint8_t *s = malloc(len ? len : 1);
    memcpy(s, text, len);
    links_add_text(s, len, html, &l);
    free(s);
    say(&l, got, sizeof(got));
    if (strcmp(got, want) != 0)
        fail_msg("%s\n  has  %s\n  want %s", text, got, want);
}

struct row {
    const char *text, *want;
};

static void in_text(void **state)
{
    static const struct row rows[] = {
        {"", ""},
        {"nothing: here", ""},
        {"see http://example.com/ and HTTPS://B.Example:8443/x", "example.com b.example:8443"},
        {"(http://example.com)", "example.com"},
        {"http://example.com.", "example.com"},
        {"http://example.com, http://example.com!", "example.com"},
        {"<http://example.com>", "example.com"},
        {"http://example.com?x http://b.example#y", "example.com b.example"},
        {"http://bank.example@evil.example/", "evil.example"},
        {"http://bank.example:443@evil.example:81/", "evil.example:81"},
        {"http://a@b@evil.example/@bank.example", "evil.example"},
        {"http://evil.example\\@bank.example/", "evil.example"},
        {"http:///evil.example", "evil.example"},
        {"http:evil.example", ""}, /* no link in text */
        {"http://[2001:DB8:0::1]:80/ http://[::ffff:192.0.2.1]", "[2001:db8::1]:80 [::ffff:192.0.2.1]"},
        {"http://[2001:db8::1 http://[nonsense]/ http://[]/ http://[", ""},
        {"http://192.0.2.1/ http://3221225985/ http://0xC0000201 http://0300.0.2.1 http://192.0.513", "192.0.2.1"},
        {"http://256.1.1.1/ http://1.2.3.4.5/ http://4294967296/ http://1..2/ http://09.1.1.1/", ""},
        {"http://0x/", "0.0.0.0"},
        {"http://b\303\274cher.example/ http://B\303\234CHER.example", "xn--bcher-kva.example"},
        {"http://xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"http://example.com\357\274\211 and", "example.com"}, /* a bracket in another script */
        {"http://ex%61mple.c%6Fm/ http://a%00b.example http://a%2Fb.example", "example.com"},
        {"http://1%392.0.2.1/", "192.0.2.1"},
        {"http://foo_bar.example/ http://-a-.example/", "foo_bar.example -a-.example"},
        {"http://example.com:0/ http://b.example:65536/ http://c.example:x/ http://d.example:/",
         "example.com b.example c.example d.example"},
        {"http:// http://. http://.. http://@ http://: http://:80/", ""},
        {"mailto:a@example.com mailto:%61%40b.example?subject=x@y mailto:nobody", "@example.com @b.example"},
        {"mailto:a@x.example,b@y.example", "@x.example"},
        {"xhttp://example.com", "example.com"},
        {"javascript:alert('http://example.com')", "example.com"},
        {"ftp://example.com gopher:example.com", ""},
        {"http", ""},
        {":", ""},
        {"http://exa\xffmple.com/", "exa"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect(rows[i].text, strlen(rows[i].text), false, rows[i].want);
}

static void in_html(void **state)
{
    static const struct row rows[] = {
        {"<a href=\"http://example.com/\">http://bank.example</a>", "example.com bank.example"},
        {"<A HREF=http://example.com>", "example.com"},
        {"<a href='http://example.com'>", "example.com"},
        {"<a href = \"http://example.com\" >", "example.com"},
        {"<a href=\"&#104;ttp&colon;&sol;&#x2F;example&period;com\">", "example.com"},
        {"<a href=\"&#0000000104&#x74tp://example.com\">", "example.com"},
        {"<a href=\"  \x01 ht\ntp\t:/\r\n/exam\nple.com\">", "example.com"},
        {"<a href=\"http:example.com\">", "example.com"},
        {"<a href=\"http:/\\\\//example.com\\x\">", "example.com"},
        {"<a href=\"//example.com/x\"><a href=\"\\\\b.example\">", "example.com b.example"},
        {"<a href=\"/just/a/path:x\"><a href=\"#http\">", ""},
        {"<a href=\"http://b\xc3\xbc"
         "cher.example\">",
         "xn--bcher-kva.example"},
        {"<a href=\"http://b&#252;cher.example\">", "xn--bcher-kva.example"},
        {"<a href=\"http://exa&shy;mple.com\">", "example.com"},
        {"<img/src=http://example.com/x.png>", "example.com"},
        {"<img srcset=\"http://a.example/1 1x, http://b.example/2 2x\">", "a.example b.example"},
        {"<div style=\"background:url('http://example.com/')\">", "example.com"},
        {"<meta http-equiv=refresh content=\"0;url=http://example.com\">", "example.com"},
        {"<style>@import url(http://example.com/x.css)</style>", "example.com"},
        {"<form action=https://example.com>", "example.com"},
        {"<a href=\"http://a.example/?u=http://b.example\">", "a.example b.example"},
        {"<base href=\"http://example.com/\">", "example.com"},
        {"<!-- http://hidden.example -->http://example.com", "example.com"},
        {"<!-->http://example.com", "example.com"},
        {"<!-- <a href=http://hidden.example>", ""},
        {"<!doctype html \"http://hidden.example\"><a href=http://example.com>", "example.com"},
        {"1 < 2 http://example.com", "example.com"},
        {"<a href=\"http://example.com", "example.com"},
        {"<a href=\"http://example.com\" href", "example.com"},
        {"<a href", ""},
        {"<a href=", ""},
        {"<a", ""},
        {"<", ""},
        {"</a href=http://example.com>", "example.com"},
        {"<a title=\"x > y\" href=http://example.com>", "example.com"},
        {"<a href=\"mailto:a@example.com\">", "@example.com"},
        {"<a href=\"javascript:location='http://example.com'\">", "example.com"},
        {"&#x &# & &; &#xD800; &#99999999999; <a href=&#x>", ""},
        {"http&#58;//example.com", "example.com"},
        {"<a href=\"http://bank.example&#64;evil.example/\">", "evil.example"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect(rows[i].text, strlen(rows[i].text), true, rows[i].want);
}

static void in_two_octets_a_character(void **state)
{
    static const char text[] = "h\0t\0t\0p\0:\0/\0/\0a\0.\0e\0x\0a\0m\0p\0l\0e\0";
    expect(text, sizeof(text) - 1, false, "a.example");
}

static void expect_mail(const char *mail, const char *want)
{
    struct links l;
    char got[8192];
    const size_t len = strlen(mail);
    uint8_t *s = malloc(len ? len : 1);
    memcpy(s, mail, len);
    assert_int_equal(links_read(s, len, &l), OK);
    free(s);
    say(&l, got, sizeof(got));
    if (strcmp(got, want) != 0)
        fail_msg("%s\n  has  %s\n  want %s", mail, got, want);
}

#define PARTS(x) "Content-Type: multipart/mixed; boundary=\"b c\"\r\n\r\n--b c\r\n" x "\r\n--b c--\r\n"

static void in_mail(void **state)
{
    static const struct row rows[] = {
        {"", ""},
        {"Subject: http://subject.example\r\n\r\nhttp://example.com\r\n", "example.com"},
        {"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<a href=3D\"http://exam=\r\n"
         "ple.com\">",
         "example.com"},
        /* what no encoder writes, and readers show all the same */
        {"Content-Transfer-Encoding: quoted-printable\r\n\r\nhttp://example.com/?a=b http=3A//b.example",
         "example.com b.example"},
        {"Content-Transfer-Encoding: base64\r\n\r\naHR0cDovL2V4YW1wbGUuY29t\r\n", "example.com"},
        {"Content-Transfer-Encoding: base64\r\n\r\naHR0cDovL2-V4YW-1wbGUuY29t\r\n!", "example.com"},
        {"Content-Transfer-Encoding: base64\r\n\r\naHR0cDovL2EuZXhhbXBsZQ==IGh0dHA6Ly9iLmV4YW1wbGU",
         "a.example b.example"},
        {"Content-Transfer-Encoding: x-unknown\r\n\r\nhttp://example.com", "example.com"},
        {PARTS("\r\nhttp://a.example\r\n--b c\r\nContent-Type: text/html\r\n\r\n<a href=http://b.example>"),
         "a.example b.example"},
        {PARTS("Content-Type: image/png\r\n\r\nhttp://a.example"), ""},
        {PARTS("Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nhttp://a.example"), "a.example"},
        {"Content-Type: multipart/alternative\r\n\r\n--x\r\n\r\nhttp://example.com", "example.com"},
        {"Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=x\r\n\r\n--x\r\n"
         "Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--x\r\nContent-Type: "
         "application/octet-stream\r\n\r\nhttp://example.com\r\n--x--\r\n",
         ""},
        {"Content-Type: TEXT/HTML; charset=utf-8\r\n\r\n<a href=http://example.com>x", "example.com"},
        {"Content-Type: ;;;\r\n\r\nhttp://example.com", "example.com"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_mail(rows[i].text, rows[i].want);
}

/* What a stranger makes as many of as fit: it ends, and soon. */
static void as_many_as_fit(void **state)
{
    static const char *const unit[] = {"http://a",  "http://b\303\274.example ",
                                       "mailto:",   "<a href=",
                                       "<!--",      "&#",
                                       "&amp",      "<a b=\"http://c\">",
                                       "http:\\\\", "--x\r\n",
                                       "[",         "@",
                                       ":",         "<"};
    const size_t cap = LINKS_LOOK_MAX + 64;
    uint8_t *s = malloc(cap);
    for (size_t i = 0; i < sizeof(unit) / sizeof(unit[0]); i++)
        for (int html = 0; html < 2; html++) {
            struct links l = {0};
            for (size_t at = 0; at < cap; at++)
                s[at] = (uint8_t)unit[i][at % strlen(unit[i])];
            links_add_text(s, cap, html, &l);
            assert_true(l.n <= LINKS_MAX && l.tried <= LINKS_TRIED_MAX + 2);
        }
    free(s);
}

static void the_first_ones_are_kept(void **state)
{
    char text[LINKS_MAX * 40 + 40] = "";
    struct links l = {0};
    for (int i = 0; i <= LINKS_MAX; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "http://h%d.example ", i);
    links_add_text((uint8_t *)text, strlen(text), false, &l);
    assert_int_equal(l.n, LINKS_MAX);
    assert_string_equal(l.v[0].host, "h0.example");
    assert_string_equal(l.v[LINKS_MAX - 1].host, "h31.example");
}

/* Whether the one link of such a mail is found: within so many multiparts, behind so many parts, behind so many octets
 * of text. */
static bool found(int within, int behind, size_t octets)
{
    char *mail = malloc(2 * LINKS_LOOK_MAX), *at = mail;
    struct links l;

    for (int i = 0; i < within; i++)
        at += sprintf(at, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
    for (int i = 0; i < behind; i++)
        at += sprintf(at, "\r\nx\r\n--b%d\r\n", within - 1);
    at += sprintf(at, "\r\n");
    memset(at, ' ', octets);
    at += octets;
    at += sprintf(at, " http://there.example ");
    assert_int_equal(links_read((uint8_t *)mail, (size_t)(at - mail), &l), OK);
    free(mail);
    return l.n == 1;
}

static void up_to_its_limits(void **state)
{
    assert_true(found(LINKS_DEPTH_MAX - 1, 0, 0));
    assert_false(found(LINKS_DEPTH_MAX, 0, 0));
    assert_true(found(1, LINKS_PARTS_MAX - 2, 0)); /* the mail is one */
    assert_false(found(1, LINKS_PARTS_MAX - 1, 0));
    assert_true(found(0, 0, LINKS_LOOK_MAX - 64));
    assert_false(found(0, 0, LINKS_LOOK_MAX));
    assert_false(found(1, 1, LINKS_LOOK_MAX - 64)); /* of the whole mail, not of each part */
}

static void as_much_of_a_text(void **state)
{
    char *text = malloc(LINKS_LOOK_MAX + 64);

    for (int html = 0; html < 2; html++)
        for (size_t at = LINKS_LOOK_MAX - 64; at <= LINKS_LOOK_MAX; at += 64) {
            struct links l = {0};
            memset(text, ' ', LINKS_LOOK_MAX + 64);
            const char *link = html ? "<a href=\"http://a.example\">" : "http://a.example";
            memcpy(text + at, link, strlen(link));
            links_add_text((uint8_t *)text, LINKS_LOOK_MAX + 64, html, &l);
            assert_int_equal(l.n, at < LINKS_LOOK_MAX);
        }
    free(text);
}

/* Parts in parts, and parts without end. */
static void deep_and_many(void **state)
{
    char *mail = malloc(LINKS_LOOK_MAX + 1);
    struct links l;
    size_t n = 0;
    for (int i = 0; i < 200; i++)
        n += (size_t)snprintf(mail + n, LINKS_LOOK_MAX - n,
                              "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
    snprintf(mail + n, LINKS_LOOK_MAX - n, "\r\nhttp://deep.example");
    assert_int_equal(links_read((uint8_t *)mail, strlen(mail), &l), OK);
    assert_int_equal(l.n, 0);
    n = (size_t)snprintf(mail, LINKS_LOOK_MAX, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
    for (int i = 0; i < 20000; i++)
        n += (size_t)snprintf(mail + n, LINKS_LOOK_MAX - n, "--b\r\n\r\n");
    assert_int_equal(links_read((uint8_t *)mail, n, &l), OK);
    free(mail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_text),
        cmocka_unit_test(in_html),
        cmocka_unit_test(in_two_octets_a_character),
        cmocka_unit_test(in_mail),
        cmocka_unit_test(as_many_as_fit),
        cmocka_unit_test(the_first_ones_are_kept),
        cmocka_unit_test(deep_and_many),
        cmocka_unit_test(up_to_its_limits),
        cmocka_unit_test(as_much_of_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
