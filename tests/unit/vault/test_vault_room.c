/* A disk that is nearly full, pretended: what grows is refused and told beforehand, what makes room goes on, and what
 * was kept is given up for it when a commit finds the disk full. tests/fault/test_disk_full.py has real ones. */
#include "tests/support/vault_requests.h"

enum { MEGA = 1 << 20 };

static const uint64_t SPACIOUS = UINT64_C(1) << 40;

static void room(struct bench *b, uint64_t disk_free, uint64_t map_free)
{
    const struct engine_room r = {disk_free, UINT64_C(2000) * MEGA, map_free};
    engine_fail_room(b->fail, &r);
}

static void disk(struct bench *b, uint64_t megabytes)
{
    room(b, megabytes * MEGA, SPACIOUS);
}

/* Kept: 100 MB, a twentieth of the disk; in a file, 16 MB. */
static void open_disk(struct bench *b)
{
    bench_mem(b, true);
    bench_account(b);
    b->vault->room.wanted = UINT64_C(1000) * MEGA;
    disk(b, 500);
    room_look(b->vault);
    assert_int_equal(b->vault->room.reserve, 100 * MEGA);
    assert_int_equal(b->vault->room.file, 16 * MEGA);
    assert_false(b->vault->room.full);
}

/* The next message to the client, which must say so. */
static void hear_room(struct bench *b, bool full)
{
    static uint8_t buf[IPC_MAX];
    struct ipc_msg m;
    assert_int_equal(ipc_recv_blocking(b->end, buf, &m, 0), OK);
    assert_int_equal(m.type, VAULT_FULL);
    assert_int_equal(m.id, 0);
    assert_int_equal(m.payload.len, 1);
    assert_int_equal(m.payload.data[0], full);
}

static void hear_nothing(struct bench *b)
{
    static uint8_t buf[IPC_MAX];
    struct ipc_msg m;
    assert_int_equal(ipc_recv_blocking(b->end, buf, &m, 0), ERR_TIMEOUT);
}

static void test_nearly_full(void **state)
{
    struct bench b;
    struct letter l = {.mailbox = 1};
    open_disk(&b);
    int fd = parcel_of(OUTER, 1, 100);
    for (int i = 0; i < 3; i++)
        deliver_ok(&b, 1, 0, 100);
    disk(&b, 99);
    room_look(b.vault);
    hear_room(&b, true);
    room_look(b.vault);
    hear_nothing(&b); /* once */
    assert_int_equal(deliver_call(&b, &l, fd), ERR_FULL);
    assert_int_equal(replace_call(&b, 1, 1, &l, fd), ERR_FULL);
    assert_int_equal(copy_call(&b, 1, 2, false, (uint32_t[]){1, 1}, 1), ERR_FULL);
    assert_int_equal(create_call(&b, "new", NULL), ERR_FULL);
    assert_int_equal(b.vault->count.refused_full, 4);
    assert_int_equal(copy_call(&b, 1, 2, true, (uint32_t[]){1, 1}, 1), OK);
    assert_int_equal(flags_call(&b, 1, VAULT_FLAGS_ADD, FLAG_DELETED, NULL, UINT64_MAX, ALL_UIDS, 1), OK);
    assert_int_equal(expunge_call(&b, 1, true, ALL_UIDS, 1), OK);
    assert_int_equal(b.r.expunged.n, 2);
    assert_int_equal(mailbox_call(&b, VAULT_MAILBOX_DELETE, 2, NULL, -1), OK);
    disk(&b, 105); /* not enough more, or it would come and go */
    room_look(b.vault);
    assert_int_equal(deliver_call(&b, &l, fd), ERR_FULL);
    disk(&b, 113);
    room_look(b.vault);
    hear_room(&b, false);
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    close(fd);
    recount_all(&b);
    bench_close(&b);
}

/* A client that comes while it is full hears so at once. */
static void test_new_client(void **state)
{
    struct bench b;
    int pair[2];
    open_disk(&b);
    disk(&b, 0);
    room_look(b.vault);
    hear_room(&b, true);
    assert_int_equal(ipc_pair(pair), OK);
    assert_int_equal(vault_client_add(b.vault, pair[0], VAULT_MAY_INGEST), OK);
    int mine = b.end;
    b.end = pair[1];
    hear_room(&b, true);
    b.end = mine;
    close(pair[1]);
    bench_close(&b);
}

/* No question a message: only when what was written since the last look may have brought it near. */
static void test_looked_at_seldom(void **state)
{
    struct bench b;
    struct letter l = {.mailbox = 1};
    open_disk(&b);
    int fd = parcel_of(OUTER, 1, 100);
    disk(&b, 0); /* which nobody has seen yet */
    for (int i = 0; i < 50; i++)
        assert_int_equal(deliver_call(&b, &l, fd), OK);
    assert_false(b.vault->room.full);
    room_spend(b.vault, 150 * MEGA);
    assert_false(b.vault->room.full);
    room_spend(b.vault, 51 * MEGA);
    assert_true(b.vault->room.full);
    hear_room(&b, true);
    close(fd);
    bench_close(&b);
}

/* Replies that wait, by status. */
static unsigned hear_replies(struct bench *b, int status)
{
    static uint8_t buf[IPC_MAX];
    struct ipc_msg m;
    unsigned n = 0;
    while (ipc_recv_blocking(b->end, buf, &m, 0) == OK) {
        struct unpack u;
        unpack_init(&u, m.payload.data, m.payload.len);
        n += m.type == VAULT_REPLY && unpack_u32(&u) == (uint32_t)-status;
    }
    return n;
}

/* Asks for both in one group; true: its commit failed, and not something before. */
static bool fail_commit(struct bench *b, const struct vault_request *deliver, const struct vault_request *expunge,
                        int fd, uint64_t call)
{
    disk(b, 500);
    room_look(b->vault);
    (void)hear_replies(b, OK);
    assert_int_equal(b->vault->room.file, 16 * MEGA);
    disk(b, 0);
    ask_for(b, deliver, fd);
    ask_for(b, expunge, -1);
    engine_fail_at(b->fail, call, ERR_FULL);
    vault_run(b->vault);
    engine_fail_at(b->fail, 0, OK);
    return b->vault->count.commit_failed > 0;
}

/* Somebody else has filled the disk: the group fails, what was kept is given up, and each request runs again. */
static void test_commit_finds_it_full(void **state)
{
    struct bench b;
    struct letter l = {.mailbox = 1};
    open_disk(&b);
    int fd = parcel_of(OUTER, 1, 100);
    const struct vault_request deliver = letter_request(b.account, &l);
    const struct vault_request expunge = {.type = VAULT_EXPUNGE,
                                          .account = b.account,
                                          .mailbox = 1,
                                          .expunge = {true, set_of(ALL_UIDS, 1)}};
    for (uint64_t call = 1; !fail_commit(&b, &deliver, &expunge, fd, call); call++) {
        assert_true(call < 100);
        disk(&b, 800);
        room_look(b.vault);
        (void)hear_replies(&b, OK);
        deliver_ok(&b, 1, FLAG_DELETED, 100);
    }
    unsigned refused = 0, done = 0;
    static uint8_t buf[IPC_MAX];
    struct ipc_msg m;
    while (ipc_recv_blocking(b.end, buf, &m, 0) == OK) {
        struct unpack u;
        unpack_init(&u, m.payload.data, m.payload.len);
        uint32_t status = m.type == VAULT_REPLY ? unpack_u32(&u) : UINT32_MAX;
        refused += status == -ERR_FULL;
        done += status == OK;
    }
    assert_int_equal(refused, 1); /* the mail */
    assert_int_equal(done, 1);    /* the EXPUNGE, in what was kept */
    assert_int_equal(box_of(&b, 1).deleted, 0);
    assert_false(b.vault->broken); /* nothing is opened anew for it */
    assert_int_equal(b.vault->room.file, 0);
    assert_int_equal(deliver_call(&b, &l, fd), ERR_FULL);
    disk(&b, 500);
    room_look(b.vault);
    assert_int_equal(b.vault->room.file, 16 * MEGA); /* kept again */
    hear_room(&b, false);
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    close(fd);
    recount_all(&b);
    bench_close(&b);
}

/* The map is a bound too, and one that was found too small all the same is one until there is more. */
static void test_map(void **state)
{
    struct bench b;
    struct letter l = {.mailbox = 1};
    open_disk(&b);
    int fd = parcel_of(OUTER, 1, 100);
    room(&b, 500 * MEGA, MEGA / 2);
    room_look(b.vault);
    hear_room(&b, true);
    room(&b, 500 * MEGA, 4 * MEGA);
    room_look(b.vault);
    hear_room(&b, false);
    engine_fail_at(b.fail, 3, ERR_FULL); /* no run of pages is long enough */
    const struct vault_request deliver = letter_request(b.account, &l);
    ask_for(&b, &deliver, fd);
    vault_run(b.vault);
    engine_fail_at(b.fail, 0, OK);
    hear_room(&b, true);
    assert_int_equal(hear_replies(&b, ERR_FULL), 1);
    room_look(b.vault);
    assert_true(b.vault->room.full);
    room(&b, 500 * MEGA, 6 * MEGA);
    room_look(b.vault);
    hear_room(&b, false);
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    close(fd);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearly_full),
        cmocka_unit_test(test_new_client),
        cmocka_unit_test(test_looked_at_seldom),
        cmocka_unit_test(test_commit_finds_it_full),
        cmocka_unit_test(test_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
