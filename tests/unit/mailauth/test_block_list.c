/* Block lists: how they are asked (RFC 5782), and which answers say that an address is listed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/mailauth/block_list.h"
#include "tests/support/records_zone.h"

#define N(v) (sizeof(v) / sizeof((v)[0]))

static const uint8_t four[16] = {192, 0, 2, 99}, six[16] = {0x20, 0x01, 0x0d, 0xb8, [14] = 0x12, 0x34};

static void test_names(void **state)
{
    char name[200];

    assert_int_equal(block_list_name(BLOCK_LIST_HAS, four, false, "bad.example.net", name, sizeof(name)), OK);
    assert_string_equal(name, "99.2.0.192.bad.example.net"); /* section 2.1 */
    assert_int_equal(block_list_name(BLOCK_LIST_TEST, four, false, "x", name, sizeof(name)), OK);
    assert_string_equal(name, "2.0.0.127.x");
    assert_int_equal(block_list_name(BLOCK_LIST_NEVER, four, false, "x", name, sizeof(name)), OK);
    assert_string_equal(name, "1.0.0.127.x");
    assert_int_equal(block_list_name(BLOCK_LIST_HAS, six, true, "x", name, sizeof(name)), OK);
    assert_string_equal(name, "4.3.2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.x");
    assert_int_equal(block_list_name(BLOCK_LIST_TEST, six, true, "x", name, sizeof(name)), OK);
    assert_string_equal(name, "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.x");
    assert_int_equal(block_list_name(BLOCK_LIST_NEVER, six, true, "x", name, sizeof(name)), OK);
    assert_string_equal(name, "1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.x");
    assert_int_equal(block_list_name(BLOCK_LIST_HAS, six, true, "x", name, 66), OK);
    assert_int_equal(block_list_name(BLOCK_LIST_HAS, six, true, "x", name, 65), ERR_LIMIT);
}

static void test_answers(void **state)
{
    static const struct {
        uint8_t a[2][4];
        unsigned n;
        enum block_list_entry e;
    } rows[] = {
        {.n = 0, .e = BLOCK_LIST_NONE},
        {{{127, 0, 0, 2}}, 1, BLOCK_LIST_LISTED},
        {{{127, 0, 0, 4}, {127, 0, 0, 10}}, 2, BLOCK_LIST_LISTED},
        {{{127, 1, 255, 255}}, 1, BLOCK_LIST_LISTED},
        {{{127, 0, 0, 1}}, 1, BLOCK_LIST_REFUSES},
        {{{127, 255, 255, 252}}, 1, BLOCK_LIST_REFUSES}, /* no such list */
        {{{127, 255, 255, 254}}, 1, BLOCK_LIST_REFUSES}, /* asked by an open resolver */
        {{{127, 255, 255, 255}}, 1, BLOCK_LIST_REFUSES}, /* too many questions */
        {{{127, 0, 0, 2}, {127, 255, 255, 255}}, 2, BLOCK_LIST_REFUSES},
        {{{127, 255, 255, 255}, {127, 0, 0, 2}}, 2, BLOCK_LIST_REFUSES},
        {{{192, 0, 2, 1}}, 1, BLOCK_LIST_REFUSES},
        {{{128, 0, 0, 2}}, 1, BLOCK_LIST_REFUSES},
        {{{0, 0, 0, 0}}, 1, BLOCK_LIST_REFUSES},
    };

    for (size_t i = 0; i < N(rows); i++) {
        enum block_list_entry e = BLOCK_LIST_NONE;
        for (unsigned n = 0; n < rows[i].n; n++)
            e = block_list_add(e, rows[i].a[n]);
        if (e != rows[i].e)
            fail_msg("row %zu: %d", i, e);
    }
}

/* Every way in which the three names may answer. */
static void test_what_it_says(void **state)
{
    static const uint8_t never[4] = {127, 0, 0, 1};
    unsigned said[3] = {0};

    for (int has = 0; has < 3; has++)
        for (int test = 0; test < 3; test++)
            for (int no = 0; no < 3; no++) {
                const enum block_list_entry e[] = {(enum block_list_entry)has, (enum block_list_entry)test,
                                                   (enum block_list_entry)no};
                const bool works = test == BLOCK_LIST_LISTED && has != BLOCK_LIST_REFUSES;
                const enum block_list_says says = block_list_says(four, false, e);
                said[says]++;
                assert_int_equal(says != BLOCK_LIST_NOTHING, works && no == BLOCK_LIST_NONE);
                if (says != BLOCK_LIST_NOTHING)
                    assert_int_equal(says == BLOCK_LIST_YES, has == BLOCK_LIST_LISTED);
                assert_int_equal(block_list_says(six, true, e), says);
                /* who has that address itself is asked for by it */
                assert_int_equal(block_list_says(never, false, e) != BLOCK_LIST_NOTHING, works);
            }
    assert_true(said[BLOCK_LIST_NO] == 1 && said[BLOCK_LIST_YES] == 1);
}

static enum block_list_says ask(const struct zone_row *v, size_t n, const uint8_t *octets, int *ret_err)
{
    struct zone z = {.v = v, .n = n};
    struct records *r = records_create();
    enum block_list_says says = BLOCK_LIST_NO;

    assert_int_equal(block_list_check(octets, false, "bl.test", r, &says), ERR_AGAIN);
    assert_int_equal(zone_answer(&z, r), 3); /* at once */
    *ret_err = block_list_check(octets, false, "bl.test", r, &says);
    assert_int_not_equal(*ret_err, ERR_AGAIN);
    records_destroy(r);
    return says;
}

static void test_asked_and_answered(void **state)
{
    static const struct zone_row works = {"2.0.0.127.bl.test", RECORDS_A, "127.0.0.2"},
                                 listed = {"99.2.0.192.bl.test", RECORDS_A, "127.0.0.9"},
                                 ended = {"1.0.0.127.bl.test", RECORDS_A, "127.0.0.2"},
                                 silent = {"1.0.0.127.bl.test", RECORDS_A, NULL};
    int err;

    assert_int_equal(ask((struct zone_row[]){works, listed}, 2, four, &err), BLOCK_LIST_YES);
    assert_int_equal(err, OK);
    assert_int_equal(ask((struct zone_row[]){works}, 1, four, &err), BLOCK_LIST_NO);
    assert_int_equal(err, OK);
    assert_int_equal(ask((struct zone_row[]){listed}, 1, four, &err), BLOCK_LIST_NOTHING);
    assert_int_equal(ask((struct zone_row[]){works, listed, ended}, 3, four, &err), BLOCK_LIST_NOTHING);
    assert_int_equal(err, OK);
    (void)ask((struct zone_row[]){works, listed, silent}, 3, four, &err);
    assert_int_equal(err, ERR_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_what_it_says),
        cmocka_unit_test(test_asked_and_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
