/* A header as SEARCH looks through it: folds out, encoded words decoded, and that once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/mail/date.h"
#include "server/proto/imap_search.h"

static struct imap_words words;

static void test_words(void **state)
{
    static const struct {
        const char *value, *needle;
        bool found;
    } table[] = {
        {"Hello World", "lo wo", 1},
        {"Hello", "x", 0},
        {"", "", 1},
        {"a\r\n b", "a b", 1},
        {"=?utf-8?q?Gr=C3=BC=C3=9Fe?=",
         "gr\xc3\xbc\xc3\x9f"
         "e",
         1},
        {"=?UTF-8?B?R3LDvMOfZQ==?=", "\xc3\xbc\xc3\x9f", 1},
        {"=?iso-8859-1?Q?Gr=FC=DFe?=", "\xc3\xbc\xc3\x9f", 1},
        {"=?utf-8?q?a?= =?utf-8?q?b?=", "ab", 1},
        {"=?utf-8?q?a?= b", "a b", 1},
        {"=?utf-8?q?a_b?=", "a b", 1},
        {"=?koi8-r?q?a?=", "koi8", 1},
        {"=?utf-8?q?unended", "=?utf", 1},
        {"=?utf-8?x?a?=", "=?utf", 1},
        {"=?", "=?", 1},
        {"=?utf-8?q?a?==?utf-8?q?b?=", "ab", 1},
        {"=?utf-8?b?*?=", "*", 0},
        {"=?utf-8?q?=4?=", "=4", 1},
    };
    char header[200];
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        sprintf(header, "A: 1\r\nSubject: %s\r\nB: 2\r\n", table[i].value);
        imap_words_begin(&words, slice_str(header));
        for (int named = 0; named < 2; named++) {
            if (imap_words_have(&words, named ? "SUBJECT" : "", slice_str(table[i].needle)) != table[i].found)
                print_error("%s / %s\n", table[i].value, table[i].needle);
            assert_int_equal(imap_words_have(&words, named ? "SUBJECT" : "", slice_str(table[i].needle)),
                             table[i].found);
        }
    }
    assert_true(imap_words_have(&words, "", slice_str("subject: ="))); /* TEXT finds names, HEADER does not */
    assert_false(imap_words_have(&words, "Subject", slice_str("subject")));
    assert_false(imap_words_have(&words, "Subject", slice_str("2")));
    assert_false(imap_words_have(&words, "C", slice_str("")));
}

/* However many keys there are, a header is decoded once, and what beginnings of encoded words cost is counted. */
static void test_words_are_read_once(void **state)
{
    static char header[IMAP_WORDS_HEADER_MAX + 1] = "Subject: ";
    while (strlen(header) + 30 < sizeof(header))
        strcat(header, "=?utf-8?q?. ");
    strcat(header, "\r\n");
    imap_words_begin(&words, slice_str(header));
    assert_false(imap_words_have(&words, "", slice_str("zz")));
    uint64_t first = words.work;
    assert_true(first > 10 * strlen(header));
    for (int i = 0; i < 100; i++)
        assert_false(imap_words_have(&words, "", slice_str("zz")));
    assert_true(words.work - first < 101 * strlen(header));
    int32_t day;
    assert_false(imap_words_day(&words, &day));
    assert_true(words.work - first < 102 * strlen(header));
    imap_words_begin(&words, slice_str("Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n"));
    assert_true(imap_words_day(&words, &day));
    assert_int_equal(day, date_day_of(1795255200));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_words_are_read_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
