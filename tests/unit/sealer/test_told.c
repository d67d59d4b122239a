/* Deliveries that clients were told of: what the vault is asked, what it could not forget, and when an id is free. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/core/error.h"
#include "server/sealer/told.h"

/* ---- the vault's place ---- */

enum { ASKED_MAX = 64 };

static struct {
    uint32_t n;
    vault_reply_fn *fn;
    void *arg;
    uint8_t first;
} asked[ASKED_MAX];
static size_t nasked, nanswered;
static int refuse;

int vault_client_request(struct vault_client *c, const struct vault_request *q, int fd, vault_reply_fn *fn, void *arg,
                         uint64_t *ret_id)
{
    assert_int_equal(q->type, VAULT_DELIVERED_SEEN);
    if (refuse)
        return refuse;
    assert_true(nasked < ASKED_MAX && q->seen.n <= VAULT_SEEN_MAX);
    asked[nasked].n = q->seen.n;
    asked[nasked].fn = fn;
    asked[nasked].arg = arg;
    asked[nasked++].first = q->seen.v[0].delivery[0];
    return OK;
}

static void answer(int status)
{
    struct unpack none;
    assert_true(nanswered < nasked);
    unpack_init(&none, "", 0);
    asked[nanswered].fn(asked[nanswered].arg, status, &none);
    nanswered++;
}

static struct loop *l;
static struct told_seen seen;
static struct told told;
static size_t gone;

static void on_gone(void *arg, const struct vault_seen_row *row)
{
    gone++;
}

static int setup(void **state)
{
    l = loop_create();
    assert_non_null(l);
    told_seen_init(&seen, l, NULL);
    seen.gone = on_gone;
    told = (struct told){0};
    nasked = nanswered = gone = 0;
    refuse = OK;
    return 0;
}

static int teardown(void **state)
{
    told_free(&told);
    told_seen_free(&seen);
    loop_destroy(l);
    return 0;
}

static void tell(uint8_t id)
{
    const uint8_t delivery[RECORD_HASH_SIZE] = {id};
    assert_int_equal(told_add(&told, 7, delivery), OK);
}

static bool open_still(uint8_t id)
{
    const uint8_t delivery[RECORD_HASH_SIZE] = {id};
    return told_seen_has(&seen, 7, delivery);
}

static void test_forgotten(void **state)
{
    const uint8_t one[RECORD_HASH_SIZE] = {1};
    tell(1);
    tell(2);
    assert_true(told_has(&told, 7, one) && !told_has(&told, 8, one) && !open_still(1));
    told_heard(&told, &seen);
    assert_true(!told_has(&told, 7, one) && open_still(1) && open_still(2));
    told_seen_flush(&seen);
    assert_int_equal(nasked, 1);
    assert_int_equal(asked[0].n, 2);
    assert_true(open_still(1)); /* asked, and not answered */
    answer(OK);
    assert_true(!open_still(1) && !open_still(2));
    assert_int_equal(gone, 2);
    told_seen_flush(&seen);
    assert_int_equal(nasked, 1);
}

/* Not done, it is asked for with the next, and in use until then. */
static void test_not_forgotten(void **state)
{
    tell(1);
    told_heard(&told, &seen);
    told_seen_flush(&seen);
    answer(ERR_FULL);
    assert_true(open_still(1));
    tell(2);
    told_heard(&told, &seen);
    refuse = ERR_GONE;
    told_seen_flush(&seen);
    assert_true(open_still(1) && open_still(2));
    refuse = OK;
    told_seen_flush(&seen);
    assert_int_equal(nasked, 2);
    assert_int_equal(asked[1].n, 2);
    answer(OK);
    assert_true(!open_still(1) && !open_still(2));
    assert_int_equal(gone, 2);
}

/* A vault that forgets nothing is asked for so many at most; the rest is left to its days, and free. */
static void test_bounded(void **state)
{
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < VAULT_SEEN_MAX; i++)
            tell((uint8_t)round);
        told_heard(&told, &seen);
        nasked = nanswered = 0;
        told_seen_flush(&seen);
        while (nanswered < nasked)
            answer(ERR_IO);
        assert_true(nasked <= 20);
    }
    assert_true(gone >= 20 * VAULT_SEEN_MAX && gone < 40 * VAULT_SEEN_MAX);
}

static void test_a_session_has_so_many(void **state)
{
    const uint8_t more[RECORD_HASH_SIZE] = {9};
    for (int i = 0; i < TOLD_MAX; i++)
        tell(1);
    assert_int_equal(told_add(&told, 7, more), ERR_LIMIT);
    assert_int_equal(told.n, TOLD_MAX);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_forgotten), TEST(test_not_forgotten), TEST(test_bounded),
                                       TEST(test_a_session_has_so_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
