/* A copy in pieces: whole when its last piece is there, and otherwise taken back, whoever goes away in the middle. */
#include "tests/support/vault_requests.h"

#include <sys/socket.h>

enum { FROM = 1, TO = 5, MAIL = 40, NUMBER = 9 };

static struct bench b;

static void more_mail(uint32_t mailbox, int n)
{
    int fd = parcel_of(OUTER, 1, 1);
    struct letter l = {.mailbox = mailbox};
    for (int i = 0; i < n; i++)
        assert_int_equal(deliver_call(&b, &l, fd), OK);
    close(fd);
}

static int up(void **state)
{
    bench_mem(&b, false);
    bench_account(&b);
    more_mail(FROM, MAIL);
    more_mail(TO, 3);
    return 0;
}

static int down(void **state)
{
    store_recount(b.engine, b.keys, b.account);
    bench_close(&b);
    return 0;
}

static struct vault_request piece_of(enum vault_piece piece, uint32_t first, uint32_t last)
{
    static struct uid_range r;
    r = (struct uid_range){first, last};
    return (struct vault_request){
        .type = VAULT_COPY,
        .account = b.account,
        .mailbox = FROM,
        .copy = {.to = TO, .piece = (uint8_t)piece, .number = piece ? NUMBER : 0, .set = {1, &r}}};
}

static int piece(enum vault_piece piece, uint32_t first, uint32_t last)
{
    struct vault_request q = piece_of(piece, first, last);
    return request(&b, &q, -1);
}

static int undo(void)
{
    const struct vault_request q = {.type = VAULT_COPY_UNDO, .account = b.account, .copy.number = NUMBER};
    return request(&b, &q, -1);
}

static int count_one(void *arg, struct slice key, struct slice value)
{
    ++*(unsigned *)arg;
    return 0;
}

static unsigned notes(void)
{
    struct engine_txn *t;
    struct schema_keybuf from, to;
    unsigned n = 0;
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(engine_scan(t, b.account, key_simple(&from, 'Y'), key_simple(&to, 'Y' + 1), 0, count_one, &n), OK);
    (void)engine_read_end(t);
    return n;
}

static void chores(void)
{
    while (vault_chores(b.vault))
        ;
}

/* Mail that comes in between stays, whatever becomes of the copy. */
static void begin(void)
{
    assert_int_equal(piece(VAULT_PIECE_FIRST, 1, 10), OK);
    assert_int_equal(piece(VAULT_PIECE_MORE, 11, 20), OK);
    assert_int_equal(notes(), 1);
    more_mail(TO, 1);
    assert_int_equal(piece(VAULT_PIECE_MORE, 21, 30), OK);
    assert_int_equal(notes(), 2);
    chores(); /* which let alone what is under way */
    assert_int_equal(box_of(&b, TO).exists, 3 + 30 + 1);
}

static void is_taken_back(void)
{
    struct schema_mailbox box = box_of(&b, TO);
    assert_int_equal(box.exists, 3 + 1);
    assert_int_equal(box.unseen, 3 + 1);
    assert_int_equal(box.uidnext, 3 + 30 + 1 + 1);
    assert_int_equal(notes(), 0);
}

static void test_whole(void **state)
{
    begin();
    assert_int_equal(piece(VAULT_PIECE_LAST, 31, MAIL), OK);
    assert_int_equal(notes(), 0);
    chores();
    assert_int_equal(undo(), OK);
    assert_false(b.r.more);
    assert_int_equal(box_of(&b, TO).exists, 3 + MAIL + 1);
}

static void test_taken_back(void **state)
{
    struct schema_usage before = usage_of(&b);
    begin();
    unsigned steps = 0;
    do {
        assert_int_equal(undo(), OK);
        steps++;
    } while (b.r.more);
    assert_int_equal(steps, 3);
    is_taken_back();
    assert_int_equal(usage_of(&b).messages, before.messages + 1);
    assert_int_equal(piece(VAULT_PIECE_MORE, 31, MAIL), ERR_GONE);
    assert_int_equal(piece(VAULT_PIECE_LAST, 31, MAIL), ERR_GONE);
    is_taken_back();
}

/* One that its client has given up goes on being taken back when it does not ask any more. */
static void test_taken_back_by_itself(void **state)
{
    begin();
    assert_int_equal(undo(), OK);
    chores();
    is_taken_back();
}

static void test_the_client_goes(void **state)
{
    begin();
    close(b.end);
    b.end = -1;
    vault_copies_drop(b.vault, b.client); /* as the loop would see to */
    chores();
    is_taken_back();
}

static void test_the_vault_dies(void **state)
{
    struct vault *next;
    begin();
    assert_int_equal(vault_create(b.loop, b.engine, b.keys, 1 << 20, 1000, &next), OK);
    next->clock = test_clock;
    while (vault_chores(next))
        ;
    is_taken_back();
    vault_destroy(next);
}

static void test_the_mailbox_goes(void **state)
{
    begin();
    const struct vault_request gone = {.type = VAULT_MAILBOX_DELETE, .account = b.account, .mailbox = TO};
    assert_int_equal(request(&b, &gone, -1), OK);
    assert_int_equal(piece(VAULT_PIECE_MORE, 31, MAIL), ERR_NOT_FOUND);
    do
        assert_int_equal(undo(), OK);
    while (b.r.more);
    assert_int_equal(notes(), 0);
    chores();
}

static void test_refused(void **state)
{
    struct vault_request q = piece_of(VAULT_PIECE_FIRST, 1, 10);
    q.copy.move = true;
    assert_int_equal(request(&b, &q, -1), ERR_FORMAT);
    q = piece_of(VAULT_PIECE_WHOLE, 1, 10);
    q.copy.number = NUMBER;
    assert_int_equal(request(&b, &q, -1), ERR_FORMAT);
    assert_int_equal(piece(VAULT_PIECE_MORE, 1, 10), ERR_GONE);
    assert_int_equal(piece(VAULT_PIECE_FIRST, 1, 10), OK);
    assert_int_equal(piece(VAULT_PIECE_FIRST, 1, 10), ERR_EXISTS);
    b.vault->copies[0].from = NULL; /* another client's */
    assert_int_equal(piece(VAULT_PIECE_LAST, 11, 20), ERR_GONE);
    assert_int_equal(undo(), ERR_DENIED);
    assert_int_equal(box_of(&b, TO).exists, 3 + 10);
}

/* Whoever begins all the copies that it may leaves as much room to others. */
static void test_one_client_begins_all_it_can(void **state)
{
    struct vault_request q = piece_of(VAULT_PIECE_FIRST, 1, 1);
    int err, pair[2], end = b.end;
    uint64_t n = 0;
    for (q.copy.number = 1; (err = request(&b, &q, -1)) == OK && n < COPIES_MAX; q.copy.number++)
        n++;
    assert_int_equal(err, ERR_LIMIT);
    assert_int_equal(n, COPIES_MAX / 2);
    assert_int_equal(ipc_pair(pair), OK);
    assert_int_equal(vault_client_add(b.vault, pair[0], ~0u), OK);
    b.client = b.vault->clients;
    b.end = pair[1];
    q.copy.number = n + 1;
    assert_int_equal(request(&b, &q, -1), OK);
    q.copy.piece = VAULT_PIECE_LAST;
    assert_int_equal(request(&b, &q, -1), OK);
    close(end);
}

/* What reads or writes all names of an account is large, though it names no messages. */
static void test_names_wait(void **state)
{
    struct vault_request q = {.type = VAULT_MAILBOX_RENAME, .account = b.account, .mailbox = TO};
    uint64_t id, first = b.ids + 1;
    for (int i = 0; i < 4; i++) {
        q.box.name = slice_str(i % 2 ? "one" : "another");
        ask_for(&b, &q, -1);
    }
    for (int i = 0; i < 4; i++) {
        vault_run(b.vault);
        assert_int_equal(hear(&b, &id), OK);
        assert_int_equal(id, first + (uint64_t)i);
        assert_int_equal(hear(&b, &id), ERR_TIMEOUT);
    }
}

static void test_fewer_than_asked(void **state)
{
    struct vault_request q = piece_of(VAULT_PIECE_WHOLE, 1, 10);
    assert_int_equal(expunge_call(&b, FROM, false, (uint32_t[]){4, 4}, 1), OK);
    q.copy.least = 10;
    assert_int_equal(request(&b, &q, -1), ERR_CONFLICT);
    q.copy.move = true;
    assert_int_equal(request(&b, &q, -1), ERR_CONFLICT);
    assert_int_equal(box_of(&b, TO).exists, 3);
    q.copy.least = 9;
    assert_int_equal(request(&b, &q, -1), OK);
    assert_int_equal(box_of(&b, TO).exists, 3 + 9);
}

/* What waits with many messages neither fills a group nor holds others up; those of one account keep their order. */
static void test_many_messages_wait(void **state)
{
    int fd = parcel_of(OUTER, 1, 1);
    struct letter l = {.mailbox = TO};
    const struct vault_request deliver = letter_request(b.account, &l);
    for (int i = 0; i < 5; i++) {
        struct vault_request q = piece_of(VAULT_PIECE_WHOLE, (uint32_t)(1 + i), 1000);
        ask_for(&b, &q, -1);
    }
    uint64_t copies = b.ids, id;
    ask_for(&b, &deliver, fd);
    close(fd);
    vault_run(b.vault);
    assert_int_equal(hear(&b, &id), OK);
    assert_int_equal(id, copies - 4);
    assert_int_equal(hear(&b, &id), OK);
    assert_int_equal(id, copies + 1); /* the delivery */
    assert_int_equal(hear(&b, &id), ERR_TIMEOUT);
    for (uint64_t i = 3; i + 1 > 0; i--) {
        vault_run(b.vault);
        assert_int_equal(hear(&b, &id), OK);
        assert_int_equal(id, copies - i);
        assert_int_equal(hear(&b, &id), ERR_TIMEOUT);
    }
    assert_null(b.vault->waiting);
    assert_int_equal(b.vault->nwaiting, 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, up, down)
    const struct CMUnitTest tests[] = {
        T(test_one_client_begins_all_it_can),
        T(test_names_wait),
        T(test_whole),
        T(test_taken_back),
        T(test_taken_back_by_itself),
        T(test_the_client_goes),
        T(test_the_vault_dies),
        T(test_the_mailbox_goes),
        T(test_refused),
        T(test_fewer_than_asked),
        T(test_many_messages_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
