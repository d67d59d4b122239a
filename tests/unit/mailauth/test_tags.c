/* Lists of tags (RFC 6376 section 3.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/mailauth/tags.h"

static void test_lists(void **state)
{
    static const struct {
        const char *list, *name, *value; /* NULL: err */
        int err;
    } rows[] = {
        {"v=DKIM1; k=rsa; p=abc", "p", "abc", OK},
        {"v=DKIM1;k=rsa;p=abc;", "p", "abc", OK},
        {"v = DKIM1 ; p = a b\t", "p", "a b", OK},
        {"v=DKIM1; p=", "p", "", OK},
        {"p=a=b==", "p", "a=b==", OK},
        {"v=DKIM1", "p", NULL, ERR_NOT_FOUND},
        {"", "p", NULL, ERR_NOT_FOUND},
        {" ", "p", NULL, ERR_NOT_FOUND},
        {"P=a", "p", NULL, ERR_NOT_FOUND},
        {"p=a; p=b", "p", NULL, ERR_FORMAT},
        {"p=a;; k=b", "p", NULL, ERR_FORMAT},
        {";p=a", "p", NULL, ERR_FORMAT},
        {"p=a; k", "p", NULL, ERR_FORMAT},
        {"p=a; =k", "p", NULL, ERR_FORMAT},
        {"p=a; 1=k", "p", NULL, ERR_FORMAT},
        {"p=a; b c=k", "p", NULL, ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct slice s = {0};
        int err = tags_get(slice_of(rows[i].list, strlen(rows[i].list)), rows[i].name, &s);
        if (err != rows[i].err)
            fail_msg("%s: %d", rows[i].list, err);
        if (err == OK) {
            assert_int_equal(s.len, strlen(rows[i].value));
            assert_memory_equal(s.data, rows[i].value, s.len);
        } else {
            assert_null(s.data);
        }
    }
}

static void test_versions(void **state)
{
    static const char *const yes[] = {"v=DMARC1; p=none", "v = DMARC1;p=none", "v=DMARC1"};
    static const char *const no[] = {"", "p=none; v=DMARC1", "v=DMARC", "v=DMARC10", "V=DMARC1", "v=dmarc1", "DMARC1"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++)
        assert_true(tags_begin(slice_of(yes[i], strlen(yes[i])), "DMARC1"));
    for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
        assert_false(tags_begin(slice_of(no[i], strlen(no[i])), "DMARC1"));
}

static void test_whole_lists(void **state)
{
    static const struct {
        const char *list;
        int err;
        size_t n;
    } rows[] = {
        {"", OK, 0},
        {" ; ", OK, 0},
        {"v=1; b=a\r\n b; c=", OK, 3},
        {"v=1; V=1", OK, 2},
        {"v=1; b=2; v=1", ERR_FORMAT, 0},
        {"v=1; b=\x01", ERR_FORMAT, 0},
        {"v=1; b=\x7f", ERR_FORMAT, 0},
        {"v=1; b=\xc3\xbc", OK, 2},
        {"v=1; ;b=2", ERR_FORMAT, 0},
        {"v", ERR_FORMAT, 0},
    };
    struct tags t;
    char many[256] = "";

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(tags_read(slice_str(rows[i].list), &t), rows[i].err);
        if (rows[i].err == OK)
            assert_int_equal(t.n, rows[i].n);
    }
    assert_int_equal(tags_read(slice_str("a=1; bb=\t x \t; c=3"), &t), OK);
    const struct tag *bb = tags_find(&t, "bb");
    assert_true(bb && bb->value.len == 1 && bb->whole.len == 5);
    assert_null(tags_find(&t, "b"));
    for (int i = 0; i <= TAGS_MAX; i++) {
        assert_int_equal(tags_read(slice_str(many), &t), OK);
        sprintf(many + strlen(many), "a%d=;", i);
    }
    assert_int_equal(tags_read(slice_str(many), &t), ERR_LIMIT);
}

static void test_words(void **state)
{
    assert_true(tags_has_word(slice_str("a:b"), "b") && tags_has_word(slice_str(" A :b"), "a"));
    assert_true(tags_has_word(slice_str("a:"), "a"));
    assert_false(tags_has_word(slice_str("ab"), "a") || tags_has_word(slice_str(""), "a"));
    assert_false(tags_has_word(slice_str("a b"), "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lists), cmocka_unit_test(test_versions),
                                       cmocka_unit_test(test_whole_lists), cmocka_unit_test(test_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
