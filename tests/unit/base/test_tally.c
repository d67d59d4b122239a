/* Counting over processes: what others have counts, what they say bounds nobody below the least, and nobody writes on
 * another's page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "server/base/peers.h"
#include "server/core/error.h"

enum { N = 3 };

static const uint8_t key[TALLY_KEY_SIZE] = "a key of tallies";
static int own[N], read_only[N];
static struct tally *tally[N];
static struct peers *peers[N];
static uint32_t peer_at[N][256]; /* by the last octet of the address */
static uint64_t always_sessions, always_octets;

static struct sockaddr_storage v4(uint32_t a)
{
    struct sockaddr_storage ss = {.ss_family = AF_INET};

    ((struct sockaddr_in *)&ss)->sin_addr.s_addr = htonl(a);
    return ss;
}

static void open_one(int i)
{
    int others[N], n = 0;

    for (int k = 0; k < N; k++)
        if (k != i)
            others[n++] = read_only[k];
    assert_int_equal(tally_open(own[i], others, (size_t)n, &tally[i]), OK);
    peers[i] = peers_create(100);
    peers_share(peers[i], tally[i]);
}

static void limit(int i, uint64_t sessions, uint64_t octets)
{
    peers_limit(peers[i], &(struct peers_limits){.sessions = 10000,
                                                 .octets = 1 << 20,
                                                 .sessions_peer = sessions,
                                                 .octets_peer = octets,
                                                 .sessions_always = always_sessions,
                                                 .octets_always = always_octets});
}

static int enter(int i, const struct sockaddr_storage *a, uint64_t max)
{
    uint32_t peer;
    int err;

    limit(i, max, 0);
    err = peers_enter(peers[i], a, false, &peer);
    if (err == OK)
        peer_at[i][((const struct sockaddr_in *)a)->sin_addr.s_addr >> 24] = peer;
    return err;
}

static uint32_t peer_of(int i, const struct sockaddr_storage *a)
{
    return peer_at[i][((const struct sockaddr_in *)a)->sin_addr.s_addr >> 24];
}

static void leave(int i, const struct sockaddr_storage *a)
{
    peers_leave(peers[i], peer_of(i, a));
}

static int take(int i, const struct sockaddr_storage *a, uint64_t octets, uint64_t max)
{
    limit(i, 0, max);
    if (!peers_room(peers[i], peer_of(i, a), octets))
        return ERR_LIMIT;
    peers_take(peers[i], peer_of(i, a), octets);
    return OK;
}

static int setup(void **state)
{
    always_sessions = always_octets = 0;
    for (int i = 0; i < N; i++)
        assert_int_equal(tally_page(key, &own[i], &read_only[i]), OK);
    for (int i = 0; i < N; i++)
        open_one(i);
    return 0;
}

static int teardown(void **state)
{
    for (int i = 0; i < N; i++) {
        peers_destroy(peers[i]);
        tally_close(tally[i]);
        close(own[i]);
        close(read_only[i]);
    }
    tally_close(NULL);
    return 0;
}

static void test_together(void **state)
{
    struct sockaddr_storage a = v4(0x0a000001), b = v4(0x0a000002);

    for (int i = 0; i < 7; i++) /* all on one */
        assert_int_equal(enter(0, &a, 7), OK);
    for (int i = 0; i < N; i++) {
        assert_int_equal(enter(i, &a, 7), ERR_LIMIT);
        assert_int_equal(enter(i, &b, 7), OK);
    }
    leave(0, &a);
    assert_int_equal(enter(2, &a, 7), OK);
    assert_int_equal(enter(0, &a, 7), ERR_LIMIT);
    assert_int_equal(enter(0, &a, 8), OK); /* raised */
    assert_int_equal(enter(1, &a, 5), ERR_LIMIT);

    assert_int_equal(enter(1, &a, 9), OK);
    assert_int_equal(take(0, &a, 600, 1000), OK);
    assert_int_equal(take(1, &a, 401, 1000), ERR_LIMIT);
    assert_int_equal(take(1, &a, 400, 1000), OK);
    assert_int_equal(take(2, &a, 1, 1000), ERR_LIMIT);
    assert_int_equal(take(2, &b, 1000, 1000), OK);
    peers_give(peers[0], peer_of(0, &a), 600);
    assert_int_equal(take(2, &a, 600, 1000), OK);
}

/* A process that is subverted says what it likes: of numbers that add up to anything, and of its own end. */
static void test_liar(void **state)
{
    struct sockaddr_storage a = v4(0x0a000001), b = v4(0x0a000002);
    static const uint64_t says[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63, 1000};
    struct stat st;

    always_sessions = 3;
    always_octets = 50;
    assert_int_equal(fstat(own[2], &st), 0);
    for (size_t k = 0; k < sizeof(says) / sizeof(says[0]); k++) {
        uint64_t v = says[k];
        for (off_t at = TALLY_KEY_SIZE; at < st.st_size; at += (off_t)sizeof(v)) {
            assert_int_equal(pwrite(own[1], &v, sizeof(v), at), sizeof(v));
            assert_int_equal(pwrite(own[2], &v, sizeof(v), at), sizeof(v));
        }
        for (int i = 0; i < 3; i++)
            assert_int_equal(enter(0, &a, 10), OK);
        assert_int_equal(enter(0, &a, 10), ERR_LIMIT);
        assert_int_equal(take(0, &a, 50, 1000), OK);
        assert_int_equal(take(0, &a, 1, 1000), ERR_LIMIT);
        assert_int_equal(enter(0, &a, 3), ERR_LIMIT);
        assert_int_equal(enter(0, &b, 3), OK); /* nor is its network held to nothing */
        leave(0, &b);
        for (int i = 0; i < 3; i++)
            leave(0, &a);
        assert_int_equal(enter(0, &a, 2), OK); /* never more than the limit itself */
        assert_int_equal(enter(0, &a, 2), OK);
        assert_int_equal(enter(0, &a, 2), ERR_LIMIT);
        leave(0, &a);
        leave(0, &a);
        peers_give(peers[0], peer_of(0, &a), 50);
    }
}

/* Its process died: what it counted is gone, and the one that comes begins anew. */
static void test_clear(void **state)
{
    struct sockaddr_storage a = v4(0x0a000001);

    for (int i = 0; i < 5; i++)
        assert_int_equal(enter(1, &a, 5), OK);
    assert_int_equal(enter(0, &a, 5), ERR_LIMIT);
    peers_destroy(peers[1]);
    tally_close(tally[1]);
    tally_clear(own[1], key);
    for (int i = 0; i < 4; i++)
        assert_int_equal(enter(0, &a, 5), OK);
    open_one(1);
    assert_int_equal(enter(1, &a, 5), OK);
    assert_int_equal(enter(1, &a, 5), ERR_LIMIT);
}

static void test_held(void **state)
{
    uint32_t one = tally_slot(tally[0], "one", 3), other = tally_slot(tally[0], "other", 5);

    assert_false(tally_held(tally[0], one));
    tally_hold(tally[0], one, 1);
    tally_hold(tally[0], one, 1);
    assert_false(tally_held(tally[0], one)); /* one's own is not another's */
    assert_true(tally_held(tally[1], one));
    assert_false(tally_held(tally[1], other));
    tally_hold(tally[0], one, -1);
    assert_true(tally_held(tally[1], one));
    tally_hold(tally[0], one, -1);
    assert_false(tally_held(tally[1], one));
    tally_hold(tally[1], other, 1);
    assert_true(tally_held(tally[0], other));
    tally_clear(own[1], key);
    assert_false(tally_held(tally[0], other));
}

static void test_only_the_owner_writes(void **state)
{
    struct stat st;
    void *at;

    assert_int_equal(fstat(read_only[0], &st), 0);
    at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, read_only[0], 0);
    assert_true(at != MAP_FAILED);
    assert_int_equal(mprotect(at, (size_t)st.st_size, PROT_READ | PROT_WRITE), -1);
    assert_int_equal(munmap(at, (size_t)st.st_size), 0);
    assert_true(mmap(NULL, (size_t)st.st_size, PROT_WRITE, MAP_SHARED, read_only[0], 0) == MAP_FAILED);
    assert_int_equal(pwrite(read_only[0], "x", 1, 0), -1);
    assert_int_equal(ftruncate(read_only[0], 0), -1);
    assert_int_equal(ftruncate(own[0], 0), -1); /* it would end who reads there */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_together), TEST(test_liar), TEST(test_clear), TEST(test_held), TEST(test_only_the_owner_writes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
