/* The capsule: what it says of ordinary mail, that odd mail cannot break it, what it costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "server/format/capsule.h"
#include "server/core/error.h"
#include "server/mail/address.h"

static struct header_view parse(const void *mail, size_t len)
{
    static struct header_field fields[HEADER_FIELDS_MAX];
    struct header_view v;
    assert_int_equal(header_parse(mail, len, fields, HEADER_FIELDS_MAX, &v), OK);
    return v;
}

static json_t *make(const void *mail, size_t len, int foreign)
{
    struct capsule_params p = {.sealed_by = "mail.example.org",
                               .sealed_at = 1700000000,
                               .tls = "TLSv1.3 X",
                               .auth_results = "spf=pass \"q\"",
                               .warnings = "key-expired,x",
                               .return_path = foreign ? "" : "s\"@example.net",
                               .received = foreign ? "Received: y\r\n" : NULL,
                               .foreign = foreign};
    struct buf out;
    json_error_t e;
    buf_init(&out, CAPSULE_MAX, true);
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, mail, len);
    struct header_view v = parse(copy, len);
    assert_int_equal(capsule_make(&p, &v, &out), OK);
    free(copy);
    json_t *j = json_loadb((char *)out.data, out.len, JSON_REJECT_DUPLICATES, &e);
    if (!j)
        fail_msg("%s at %d: %.*s", e.text, e.position, (int)out.len, out.data);
    buf_free(&out);
    return j;
}

static const char *str(json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    assert_non_null(s);
    return s;
}

static void ordinary(void **state)
{
    static const char mail[] = "From: =?iso-8859-1?q?J=F6rg?= <joerg@example.org>\r\nTo: \"B, C\" <bc@example.net>, g: "
                               "d@example.net;\r\nCc: e@example.net\r\n"
                               "Subject: =?utf-8?b?w6RiYw==?= d\r\n =?utf-8?q?_e?=\r\nDate: Tue, 1 Jul 2003 10:52:37 "
                               "+0200\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n"
                               "--q\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: "
                               "quoted-printable\r\n\r\nHello  =E4=\r\n\r\n\r\n  there\r\n"
                               "--q\r\nContent-Type: application/pdf; name=\"a \\\"b\\\".pdf\"\r\nContent-Disposition: "
                               "attachment; filename*=utf-8''%C3%A4.pdf\r\n\r\nx\r\n--q--\r\n";
    json_t *j = make(mail, sizeof(mail) - 1, 0);
    assert_int_equal(json_integer_value(json_object_get(j, "v")), 1);
    json_t *from = json_array_get(json_object_get(j, "from"), 0);
    assert_string_equal(str(from, "name"), "J\xc3\xb6rg");
    assert_string_equal(str(from, "email"), "joerg@example.org");
    assert_int_equal(json_array_size(json_object_get(j, "to")), 2);
    assert_string_equal(str(json_array_get(json_object_get(j, "to"), 1), "email"), "d@example.net");
    assert_string_equal(str(json_array_get(json_object_get(j, "cc"), 0), "email"), "e@example.net");
    assert_string_equal(str(j, "subject"), "\xc3\xa4"
                                           "bc d  e"); /* the fold's blank and the word's */
    assert_int_equal(json_integer_value(json_object_get(j, "date")), 1057049557);
    assert_string_equal(str(j, "preview"), "Hello \xc3\xa4 there");
    assert_string_equal(json_string_value(json_array_get(json_object_get(j, "attachments"), 0)), "\xc3\xa4.pdf");
    assert_string_equal(str(j, "auth"), "spf=pass \"q\"");
    assert_int_equal(json_array_size(json_object_get(j, "warnings")), 2);
    json_t *sealed = json_object_get(j, "sealed");
    assert_string_equal(str(sealed, "by"), "mail.example.org");
    assert_int_equal(json_integer_value(json_object_get(sealed, "at")), 1700000000);
    assert_null(json_object_get(j, "header"));
    assert_string_equal(str(j, "return_path"), "s\"@example.net");
    assert_null(json_object_get(j, "received"));
    json_decref(j);
    j = make(mail, sizeof(mail) - 1, 1);
    assert_true(!strncmp(str(j, "header"), mail, strlen(str(j, "header"))));
    assert_int_equal(strlen(str(j, "header")), strstr(mail, "\r\n\r\n") + 4 - mail);
    assert_string_equal(str(j, "received"), "Received: y\r\n");
    assert_string_equal(str(j, "return_path"), "");
    json_decref(j);
}

/* A header beyond its share: unknown fields go first, then those of the way, each whole; and that is said. */
static void a_cut_header(void **state)
{
    static char mail[200000];
    size_t n = (size_t)sprintf(mail, "Received: from a by b\r\nFrom: a@example.org\r\n");
    for (int i = 0; i < 30; i++)
        n += (size_t)sprintf(mail + n, "X-%d: %0900d\r\n", i, i);
    for (int i = 0; i < 20; i++)
        n += (size_t)sprintf(mail + n, "ARC-Seal: %d;\r\n %0400d\r\n", i, i);
    n += (size_t)sprintf(mail + n, "x-last: small\r\nList-Id: <l.example.org>\r\nAutocrypt: %06000d\r\n", 0);
    n += (size_t)sprintf(mail + n, "Subject: \xff\xfe\"s\"\r\n\r\nbody");
    json_t *j = make(mail, n, 1);
    const char *header = str(j, "header");
    assert_non_null(strstr(header, "From: a@example.org\r\n"));
    assert_non_null(strstr(header, "List-Id: <l.example.org>\r\nAutocrypt: 000"));
    assert_non_null(strstr(header, "Subject: \xef\xbf\xbd"));
    assert_non_null(strstr(header, "Received: from a by b\r\nFrom"));
    assert_non_null(strstr(header, "ARC-Seal: 0;\r\n 000"));
    assert_non_null(strstr(header, "x-last: small\r\n")); /* what still fits */
    assert_null(strstr(header, "X-29"));
    assert_in_range(strlen(header), 14000, 16384);
    assert_string_equal(header + strlen(header) - 4, "\r\n\r\n");
    unsigned fields = 0;
    for (const char *at = header; (at = strstr(at, "\r\n")) != NULL; at += 2)
        fields += at[2] != ' ' && at[2] != '\0';
    assert_int_equal(json_integer_value(json_object_get(j, "header_cut")) + fields, 2 + 30 + 20 + 4 + 1 - 1);
    json_decref(j);
    /* fields that nothing would make fit */
    n = (size_t)sprintf(mail, "Subject: %0100000d\r\nFrom: a@example.org\r\n\r\nbody", 0);
    j = make(mail, n, 1);
    assert_string_equal(str(j, "header"), "From: a@example.org\r\n\r\n");
    assert_int_equal(json_integer_value(json_object_get(j, "header_cut")), 1);
    json_decref(j);
    /* one that fits is as it came */
    n = (size_t)sprintf(mail, "Subject: s\nX-Odd\nFrom: a@example.org\n\nbody");
    j = make(mail, n, 1);
    assert_null(json_object_get(j, "header_cut"));
    json_decref(j);
}

static void previews(void **state)
{
    static const struct {
        const char *mail, *expected;
    } t[] = {
        {"Subject: x\r\n\r\nplain  text\r\n", "plain text"},
        {"\r\nonly body", "only body"},
        {"Content-Type: text/html\r\n\r\n<html><head><title>T</title><style>p{}</style></head><body><!-- c > "
         "--><p>A&amp;B&nbsp;&#228;&#x20ac;</p><b>c</b>&unknown;",
         "A&B \xc3\xa4\xe2\x82\xac c &unknown;"},
        {"Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\n8NLJ18XU\r\n",
         "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82"},
        {"Content-Type: text/plain; charset=x-none-such\r\n\r\na\xe4", "a\xc3\xa4"},
        {"Content-Type: text/plain; charset=utf-8\r\n\r\na\xff"
         "b\xc3\xa4",
         "a\xef\xbf\xbd"
         "b\xc3\xa4"},
        {"Content-Type: image/png\r\n\r\nx", ""},
        {"Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\nContent-Type: "
         "text/html\r\n\r\n<b>h</b>\r\n--a\r\nContent-Type: text/plain\r\n\r\np\r\n--a--\r\n",
         "p"},
        {"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nsecret", ""},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        json_t *j = make(t[i].mail, strlen(t[i].mail), 0);
        if (strcmp(str(j, "preview"), t[i].expected))
            fail_msg("%zu: \"%s\", expected \"%s\"", i, str(j, "preview"), t[i].expected);
        json_decref(j);
    }
}

/* Everything at its share at once still fits, and stays JSON. */
static void everything_long(void **state)
{
    static char mail[300000];
    size_t n = 0;
    static const char *const lists[] = {"From", "To", "Cc"};
    for (int k = 0; k < 3; k++) {
        n += (size_t)sprintf(mail + n, "%s: ", lists[k]);
        for (int i = 0; i < 150; i++)
            n += (size_t)sprintf(mail + n, "%s\"\x01%s%d\" <u%d@example.org>", i ? ",\r\n " : "",
                                 "\\\"\\\"\xff\xfe\x1b", i, i);
        n += (size_t)sprintf(mail + n, "\r\n");
    }
    n += (size_t)sprintf(mail + n, "Subject: ");
    memset(mail + n, 1, 6000);
    n += 6000;
    n += (size_t)sprintf(mail + n, "\r\nContent-Type: multipart/mixed; boundary=q\r\n");
    memcpy(mail + n, "X: ", 3);
    memset(mail + n + 3, '"', 2000);
    n += 2003;
    n += (size_t)sprintf(mail + n, "\r\n\r\n--q\r\n\r\n");
    memset(mail + n, '\\', 2000);
    n += 2000;
    for (int i = 0; i < 300; i++)
        n += (size_t)sprintf(mail + n, "\r\n--q\r\nContent-Type: a/b; name=\"\\\"\\\"%d\xff\"\r\n\r\n", i);
    json_decref(make(mail, n, 1));
    memset(mail, 1, 100000);
    memcpy(mail, "X:", 2);
    json_decref(make(mail, 100000, 1));
    n = 0;
    while (n < 60000) /* as deep as multiparts go */
        n += (size_t)sprintf(mail + n, "Content-Type:multipart/x;boundary=a\r\n\r\n--a\r\n");
    json_decref(make(mail, n, 0));
    n = 0;
    while (n < 60000)
        n += (size_t)sprintf(mail + n, "Content-Type:message/rfc822\r\n\r\n");
    json_decref(make(mail, n, 0));
}

/* GMime loses what stands in a domain literal before a comment that does not end: the leak sanitizer looks. */
static void literals_with_comments(void **state)
{
    static const char *const lists[] = {"a@[192.0.2.1](b", "a@[192.0.2.1] (", "a@[x]\r\n (b(]",
                                        "g: a@[x](c;(]]",  "a@[x] (b) (c",    "\"[x]\" (y) <a@[z](\"\"]>, b@[w](",
                                        "a@[x](ok) , d@e"};
    static const char part[] =
        "Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\nContent-Type: message/rfc822\r\n\r\n";
    char mail[1024];
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        for (int inside = 0; inside < 2; inside++) {
            int n =
                snprintf(mail, sizeof(mail), "%sFrom: %s\r\nto : %s\r\nCC:%s\r\nReply-To: %s\r\n\r\n[a](b) text\r\n",
                         inside ? part : "", lists[i], lists[i], lists[i], lists[i]);
            json_decref(make(mail, (size_t)n, 0));
        }
    }
    static const char good[] = "From: a@[192.0.2.1]\r\n\r\n[a](b) text\r\n";
    json_t *j = make(good, sizeof(good) - 1, 0);
    assert_string_equal(str(json_array_get(json_object_get(j, "from"), 0), "email"), "a@[192.0.2.1]");
    assert_string_equal(str(j, "preview"), "[a](b) text");
    json_decref(j);
}

/* Addresses as the outer header has them, names and all. */
static void senders(void **state)
{
    static const struct {
        const char *fields, *name, *email;
    } t[] = {
        {"From: =?utf-8?q?J=C3=B6rg?= <j@x.example>", "J\xc3\xb6rg", "j@x.example"},
        {"From: j@x.example (=?utf-8?q?J=C3=B6rg?= (x))", "J\xc3\xb6rg (x)", "j@x.example"},
        {"From: \"A, =?utf-8?q?B?= \" (c) <j . k@x.example>", "A, B", "j.k@x.example"},
        {"From: \"=?utf-8?q?_x=1B_?=\" <j@x.example>", "x\x1b", "j@x.example"},
        {"From: J\xe4 <j@x.example>", "J\xc3\xa4", "j@x.example"},
        {"From: Bank <security@pay pal.com>", "security@pay pal.com", ADDRESS_UNREADABLE},
        {"From: root", "root", ADDRESS_UNREADABLE},
        {"From: X,(<a@b>)", "X", ADDRESS_UNREADABLE},
        {"From: <aviso@%x.com>", "", "aviso@%x.com"},
        {"From: <a@b,com>", "a@b,com", ADDRESS_UNREADABLE},
        {"From: \"Facebook\" <>", "Facebook", ADDRESS_UNREADABLE},
        {"From: list:;", "", ADDRESS_UNREADABLE},
        {"X: y", "", ADDRESS_UNREADABLE},
        {"From: a@b\r\nFrom: c@d", "", "a@b"},
    };
    char mail[256];
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        snprintf(mail, sizeof(mail), "%s\r\n\r\nx", t[i].fields);
        json_t *j = make(mail, strlen(mail), 0), *list = json_object_get(j, "from"), *from = json_array_get(list, 0);
        const char *name = json_string_value(json_object_get(from, "name"));
        if (json_array_size(list) != 1 || strcmp(name ? name : "", t[i].name) || strcmp(str(from, "email"), t[i].email))
            fail_msg("%s: \"%s\" <%s>", t[i].fields, name ? name : "", str(from, "email"));
        json_decref(j);
    }
}

static void a_small_buffer_is_an_error(void **state)
{
    struct capsule_params p = {.sealed_by = "x", .tls = "", .auth_results = "", .warnings = ""};
    for (size_t max = 0; max < 100; max++) {
        struct buf out;
        buf_init(&out, max, true);
        struct header_view v = parse("A: b\r\n\r\n", 8);
        assert_int_equal(capsule_make(&p, &v, &out), ERR_LIMIT);
        buf_free(&out);
    }
}

/* Fields nobody asks for, however many and long, hide nothing behind them. */
static void a_long_header(void **state)
{
    static char mail[200000];
    size_t n = 0;
    for (int i = 0; i < 500; i++)
        n += (size_t)sprintf(mail + n, "Received: from host%d by other; %0200d\r\n", i, i);
    n += (size_t)sprintf(mail + n, "Subject: at the end\r\nFrom: a@b\r\nContent-type: text/html\r\n\r\n<p>body");
    json_t *j = make(mail, n, 0);
    assert_string_equal(str(j, "subject"), "at the end");
    assert_string_equal(str(j, "preview"), "body");
    json_decref(j);
    n = (size_t)sprintf(mail, "Subject: x\r\nno field\r\nFrom: a@b\r\n\r\nbody");
    j = make(mail, n, 0); /* the body begins where header protection says so */
    assert_int_equal(json_array_size(json_object_get(j, "from")), 1);
    assert_string_equal(str(j, "preview"), "body");
    json_decref(j);
    n = (size_t)sprintf(mail, "Subject: x\r\nno field\r\nX-From: a@b\r\n\r\nbody");
    j = make(mail, n, 0);
    assert_string_equal(str(j, "preview"), "no field X-From: a@b body");
    json_decref(j);
    j = make("Subject: x", 10, 0);
    assert_string_equal(str(j, "subject"), "x");
    json_decref(j);
}

static void thread_ids(void **state)
{
    static const struct {
        const char *mail, *own, *root;
    } t[] = {
        {"", "", ""},
        {"Message-ID: <a@b>\r\n\r\n", "a@b", "a@b"},
        {"Message-ID: <a@b>\r\nIn-Reply-To: x <c@d> <e@f>\r\n\r\n", "a@b", "c@d"},
        {"Message-ID: <a@b>\r\nIn-Reply-To: <c@d>\r\nReferences:\r\n <r@s> <c@d>\r\n\r\n", "a@b", "r@s"},
        {"References: <r@s\r\n\r\n", "", ""},
        {"Message-ID: < a . b @ c (x) >\r\nReferences:\r\n <\"r q\"@s> <c@d>\r\n\r\n", "a.b@c", "\"r q\"@s"},
        {"Message-ID: <a@b>\r\nIn-Reply-To: Anna (x) <\"c\r\n d\" @\r\n e>\r\n\r\n", "a@b", "\"c d\"@e"},
        {"\r\nMessage-ID: <a@b>\r\n", "", ""},
    };
    char own[512], root[512];
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct header_view v = parse(t[i].mail, strlen(t[i].mail));
        capsule_thread_ids(&v, own, root);
        assert_string_equal(own, t[i].own);
        assert_string_equal(root, t[i].root);
    }
}

static void cost(void **state)
{
    static char mail[20480];
    static const size_t sizes[] = {4096, 20480};
    size_t n = (size_t)sprintf(
        mail, "Received: from a.example.org (a.example.org [192.0.2.1]) by b.example.org with ESMTPS id 123;\r\n\tTue, "
              "1 Jul 2003 10:52:37 +0200\r\n"
              "From: Alice Example <alice@example.org>\r\nTo: Bob <bob@example.net>\r\nSubject: "
              "=?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Tue, 1 Jul 2003 10:52:37 +0200\r\n"
              "Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n");
    while (n < sizeof(mail) - 72)
        n += (size_t)sprintf(mail + n, "The quick brown fox jumps over the lazy dog, again and again and again.\r\n");
    for (int k = 0; k < 2; k++) {
        struct capsule_params p = {.sealed_by = "x", .tls = "", .auth_results = "", .warnings = ""};
        struct timespec a, b;
        struct buf out;
        buf_init(&out, CAPSULE_MAX, true);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
        for (int i = 0; i < 2000; i++) {
            buf_clear(&out);
            struct header_view v = parse(mail, sizes[k]);
            capsule_make(&p, &v, &out);
        }
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
        print_message("capsule of %zu octets: %.1f microseconds\n", sizes[k],
                      ((double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3) / 2000);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ordinary),
                                       cmocka_unit_test(previews),
                                       cmocka_unit_test(senders),
                                       cmocka_unit_test(everything_long),
                                       cmocka_unit_test(literals_with_comments),
                                       cmocka_unit_test(a_small_buffer_is_an_error),
                                       cmocka_unit_test(a_long_header),
                                       cmocka_unit_test(a_cut_header),
                                       cmocka_unit_test(thread_ids),
                                       cmocka_unit_test(cost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
