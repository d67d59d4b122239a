/* Who seals next: shares of accounts and peers, turns, room to wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <netinet/in.h>

#include "server/gpg/gpg.h"
#include "server/gpg/seal_places.h"

enum { PLACES = GPG_OPS_MAX / GPG_SHARE, WAITING = GPG_WAITING_MAX / GPG_SHARE };

static struct seal_places p;
static struct seal_place entries[1000];
static size_t n;

static int setup(void **state)
{
    p = (struct seal_places){0};
    n = 0;
    return 0;
}

static struct seal_place place(uint64_t account, uint32_t peer)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(peer)};
    struct sockaddr_storage ss = {0};
    *(struct sockaddr_in *)&ss = sin;
    return seal_place_of(account, peer ? &ss : NULL);
}

static bool comes(uint64_t account, uint32_t peer)
{
    struct seal_place e = place(account, peer);
    if (!seal_places_room(&p, &e))
        return false;
    entries[n] = e;
    seal_places_wait(&p, &entries[n++]);
    return true;
}

/* The account whose operation goes next; 0: none may. */
static uint64_t goes(void)
{
    struct seal_place *e = seal_places_next(&p);
    if (!e)
        return 0;
    seal_places_take(&p, e);
    return e->account;
}

static void one_ends(uint64_t account)
{
    for (struct seal_place *e = p.first; e; e = e->next)
        if (e->under_way && e->account == account) {
            seal_places_leave(&p, e);
            return;
        }
    fail();
}

/* From one peer and from many: an account has a quarter of the places and of the queue, and the others theirs. */
static void test_a_flood_to_one_account(void **state)
{
    for (unsigned many = 0; many < 2; many++) {
        setup(NULL);
        size_t came = 0;
        while (comes(7, many ? 1000 + (uint32_t)came : 0))
            came++;
        assert_int_equal(came, WAITING);
        size_t went = 0;
        while (goes() == 7)
            went++;
        assert_int_equal(went, PLACES);
        while (comes(7, many ? 5000 + (uint32_t)came : 0))
            came++;
        assert_int_equal(came, WAITING + PLACES);
        assert_true(comes(9, 5));
        assert_int_equal(goes(), 9);
        assert_int_equal(goes(), 0);
        one_ends(7);
        assert_int_equal(goes(), 7);
    }
}

static void test_a_flood_from_one_peer(void **state)
{
    size_t came = 0, went = 0;
    while (comes(100 + came, 1))
        came++;
    assert_int_equal(came, WAITING);
    while (goes())
        went++;
    assert_int_equal(went, PLACES);
    assert_true(comes(3, 2));
    assert_int_equal(goes(), 3);
}

/* All places are taken, many wait: who has least goes first, and of those that have alike each in its turn. */
static void test_turns(void **state)
{
    for (uint64_t account = 1; account <= 4; account++)
        for (size_t i = 0; i < WAITING; i++)
            assert_true(comes(account, 0));
    struct seal_place more = place(5, 0);
    assert_false(seal_places_room(&p, &more)); /* full for everybody */
    for (size_t i = 0; i < GPG_OPS_MAX; i++)
        assert_int_equal(goes(), i % 4 + 1);
    assert_int_equal(goes(), 0);
    assert_true(comes(5, 0));
    one_ends(2);
    assert_int_equal(goes(), 5);
    one_ends(3);
    one_ends(2);
    one_ends(2);
    assert_int_equal(goes(), 2); /* it has least now */
    one_ends(1);
    one_ends(4);
    assert_int_equal(goes(), 2);
    assert_int_equal(goes(), 3);
}

/* Within an account the peers take turns as well. */
static void test_peers_of_one_account(void **state)
{
    for (size_t i = 0; i < 20; i++)
        assert_true(comes(1, 10));
    assert_true(comes(1, 11));
    assert_int_equal(goes(), 1);
    struct seal_place *e = seal_places_next(&p);
    assert_ptr_equal(e, &entries[20]);
}

/* Who goes away while waiting or under way leaves nothing. */
static void test_leaving(void **state)
{
    for (size_t i = 0; i < 10; i++)
        assert_true(comes(i % 3 + 1, (uint32_t)i % 2 + 1));
    for (size_t i = 0; i < 5; i++)
        assert_true(goes());
    for (size_t i = 0; i < 10; i++)
        seal_places_leave(&p, &entries[i * 7 % 10]);
    assert_null(p.first);
    assert_int_equal(p.waiting, 0);
    assert_int_equal(p.under_way, 0);
    assert_true(comes(1, 1));
    assert_int_equal(goes(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_flood_to_one_account, setup),
        cmocka_unit_test_setup(test_a_flood_from_one_peer, setup),
        cmocka_unit_test_setup(test_turns, setup),
        cmocka_unit_test_setup(test_peers_of_one_account, setup),
        cmocka_unit_test_setup(test_leaving, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
