/* Questions and answers of a message: what is asked, once, and what hostile answers cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/mailauth/records.h"

static struct records *r;

static int setup(void **state)
{
    r = records_create();
    assert_non_null(r);
    return 0;
}

static int teardown(void **state)
{
    records_destroy(r);
    return 0;
}

static void put(const struct records_question *q, struct records_value *v, size_t n)
{
    struct records_answer a = {.exists = true, .n = n, .v = v};
    assert_non_null(q);
    records_put(r, q, &a);
}

static void test_one_question_each(void **state)
{
    struct records_value v = {.data = slice_str("text")};
    assert_null(records_get(r, RECORDS_TXT, "A.Example."));
    assert_null(records_get(r, RECORDS_TXT, "a.example"));
    assert_null(records_get(r, RECORDS_A, "a.example"));
    assert_int_equal(records_open(r), 2);
    const struct records_question *q = records_take(r);
    assert_string_equal(q->name, "a.example");
    assert_int_equal(q->type, RECORDS_TXT);
    const struct records_question *second = records_take(r);
    assert_int_equal(second->type, RECORDS_A);
    assert_null(records_take(r));
    put(q, &v, 1);
    assert_int_equal(records_open(r), 1);
    const struct records_answer *a = records_get(r, RECORDS_TXT, "a.example");
    assert_non_null(a);
    assert_int_equal(a->n, 1);
    assert_memory_equal(a->v[0].data.data, "text", 4);
    assert_ptr_not_equal(a->v[0].data.data, v.data.data);
    put(q, &v, 0); /* twice: the first counts */
    assert_int_equal(records_get(r, RECORDS_TXT, "a.example")->n, 1);
    assert_int_equal(records_open(r), 1);
}

static void test_what_is_no_name(void **state)
{
    char label[65], name[300] = "";
    memset(label, 'x', 64);
    label[64] = '\0';
    const char *const bad[] = {"", ".", "..", "a..b", ".a", "a..", "a\x01.b", "b\xc3\xbc.example", "a\x7f.b", label};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const struct records_answer *a = records_get(r, RECORDS_TXT, bad[i]);
        if (!a || a->err != OK || a->exists || a->n)
            fail_msg("%s", bad[i]);
    }
    for (int i = 0; i < 126; i++)
        strcat(name, "a.");
    strcat(name, "a"); /* 253 octets */
    assert_true(records_name_valid(name));
    strcat(name, ".");
    assert_true(records_name_valid(name));
    strcat(name, "b");
    assert_false(records_name_valid(name));
    label[63] = '\0';
    assert_true(records_name_valid(label));
    assert_int_equal(records_open(r), 0);
}

static void test_answers_without_their_form(void **state)
{
    static const struct {
        enum records_type type;
        struct records_value v;
    } rows[] = {
        {RECORDS_A, {.data = {(const uint8_t *)"12345", 5}}},
        {RECORDS_A, {.data = {(const uint8_t *)"", 0}}},
        {RECORDS_AAAA, {.data = {(const uint8_t *)"1234", 4}}},
        {RECORDS_PTR, {.name = NULL}},
        {RECORDS_PTR, {.name = ""}},
        {RECORDS_PTR, {.name = "a\nb"}},
        {RECORDS_MX, {.name = "a..b"}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char name[32];
        struct records_value v = rows[i].v;
        snprintf(name, sizeof(name), "n%zu.example", i);
        assert_null(records_get(r, rows[i].type, name));
        put(records_take(r), &v, 1);
        assert_int_equal(records_get(r, rows[i].type, name)->err, ERR_FORMAT);
        assert_int_equal(records_get(r, rows[i].type, name)->n, 0);
    }
}

static void test_long_answers(void **state)
{
    struct records_value v[RECORDS_VALUES_MAX + 1];
    size_t len = 1 << 20;
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, 'x', len);
    for (size_t i = 0; i < RECORDS_VALUES_MAX + 1; i++)
        v[i] = (struct records_value){.data = slice_of(text, i ? 1 : len)};
    assert_null(records_get(r, RECORDS_TXT, "long.example"));
    put(records_take(r), v, 1);
    assert_int_equal(records_get(r, RECORDS_TXT, "long.example")->err, ERR_LIMIT);
    assert_null(records_get(r, RECORDS_TXT, "many.example"));
    put(records_take(r), v + 1, RECORDS_VALUES_MAX);
    assert_int_equal(records_get(r, RECORDS_TXT, "many.example")->n, RECORDS_VALUES_MAX);
    v[0].data.len = 1;
    assert_null(records_get(r, RECORDS_TXT, "more.example"));
    put(records_take(r), v, RECORDS_VALUES_MAX + 1);
    assert_int_equal(records_get(r, RECORDS_TXT, "more.example")->err, ERR_LIMIT);
    free(text);
}

static void test_so_many_questions(void **state)
{
    char name[32];
    for (int i = 0; i < RECORDS_QUESTIONS_MAX; i++) {
        snprintf(name, sizeof(name), "n%d.example", i);
        assert_null(records_get(r, RECORDS_A, name));
    }
    const struct records_answer *a = records_get(r, RECORDS_A, "another.example");
    assert_non_null(a);
    assert_int_equal(a->err, ERR_LIMIT);
    assert_int_equal(records_open(r), RECORDS_QUESTIONS_MAX);
}

static void test_time_is_up(void **state)
{
    struct records_value v = {.data = slice_str("text")};
    assert_null(records_get(r, RECORDS_TXT, "a.example"));
    assert_null(records_get(r, RECORDS_TXT, "b.example"));
    const struct records_question *a = records_take(r), *b = records_take(r);
    put(a, &v, 1);
    records_end(r);
    assert_int_equal(records_open(r), 0);
    assert_int_equal(records_get(r, RECORDS_TXT, "a.example")->n, 1);
    assert_int_equal(records_get(r, RECORDS_TXT, "b.example")->err, ERR_TIMEOUT);
    put(b, &v, 1); /* too late */
    assert_int_equal(records_get(r, RECORDS_TXT, "b.example")->err, ERR_TIMEOUT);
    assert_int_equal(records_get(r, RECORDS_TXT, "c.example")->err, ERR_TIMEOUT);
    assert_null(records_take(r));
    assert_int_equal(records_open(r), 0);
}

static struct records_value kept = {.data = {(const uint8_t *)"text", 4}};
static const struct records_answer kept_answer = {.exists = true, .n = 1, .v = &kept};
static size_t looked;

static const struct records_answer *at_hand(void *arg, const struct records_question *q)
{
    assert_ptr_equal(arg, &looked);
    looked++;
    return strncmp(q->name, "kept", 4) == 0 ? &kept_answer : NULL;
}

/* Looked for once, and wanted only if it is not there. What has not the form of its type is no answer here either. */
static void test_what_is_at_hand(void **state)
{
    looked = 0;
    records_look_in(r, at_hand, &looked);
    assert_null(records_get(r, RECORDS_TXT, "asked.example"));
    assert_null(records_get(r, RECORDS_TXT, "asked.example"));
    assert_int_equal(looked, 1);
    for (int i = 0; i < 2; i++) {
        const struct records_answer *a = records_get(r, RECORDS_TXT, "Kept.example.");
        assert_non_null(a);
        assert_int_equal(a->n, 1);
        assert_memory_equal(a->v[0].data.data, "text", 4);
        assert_ptr_not_equal(a->v[0].data.data, kept.data.data);
    }
    assert_int_equal(looked, 2);
    assert_int_equal(records_open(r), 1);
    assert_string_equal(records_take(r)->name, "asked.example");
    assert_null(records_take(r));
    assert_int_equal(records_get(r, RECORDS_AAAA, "kept.example")->err, ERR_FORMAT);
    records_end(r);
    assert_int_equal(records_get(r, RECORDS_TXT, "kept2.example")->err, ERR_TIMEOUT);
    assert_int_equal(looked, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_question_each, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answers_without_their_form, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_so_many_questions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_is_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_at_hand, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
