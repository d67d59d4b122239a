/* What a client believes of its mailbox is what the mailbox is: random changes by others, told late or at once, over
 * several blocks of UIDs. The client here knows only what it was told; a wrong number anywhere shows. */
#include <errno.h>

#include "tests/support/access_bench.h"

enum { FIRST = 2100, ROUNDS = 250, UIDS_MAX = 8000 };

/* The truth. */
static bool there[UIDS_MAX];
static uint64_t flags_of[UIDS_MAX];
static uint32_t uidnext;

/* What a client was told: by sequence number, 0 where the UID was not named yet. */
struct belief {
    struct client_end c;
    uint32_t uid[UIDS_MAX], n;
};

static uint32_t seed = 12345;
static uint32_t rnd(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

static void believe(struct belief *b)
{
    char *line = b->c.text, *end;
    for (; line < b->c.text + b->c.len && (end = strstr(line, "\r\n")); line = end + 2) {
        unsigned n, uid;
        char word[16];
        if (sscanf(line, "* %u %15s", &n, word) != 2)
            continue;
        if (strcmp(word, "EXPUNGE") == 0) {
            assert_in_range(n, 1, b->n);
            memmove(b->uid + n - 1, b->uid + n, (b->n - n) * sizeof(*b->uid));
            b->n--;
        } else if (strcmp(word, "EXISTS") == 0) {
            assert_true(n >= b->n); /* it shrinks by EXPUNGE alone */
            while (b->n < n)
                b->uid[b->n++] = 0;
        } else if (strcmp(word, "FETCH") == 0 && sscanf(line, "* %u FETCH (UID %u", &n, &uid) == 2) {
            assert_in_range(n, 1, b->n);
            assert_true(b->uid[n - 1] == 0 || b->uid[n - 1] == uid);
            b->uid[n - 1] = uid;
            const char *f = strstr(line, "FLAGS (");
            if (f && f < end && there[uid]) { /* flags told are flags that are */
                const char *flagged = strstr(f, "\\Flagged");
                assert_int_equal(flagged && flagged < end, (flags_of[uid] & FLAG_FLAGGED) != 0);
            }
        }
    }
}

static void agree(struct belief *b)
{
    say(&b->c, "NOOP");
    believe(b);
    say(&b->c, "FETCH 1:* (UID FLAGS)");
    believe(b);
    uint32_t k = 0;
    for (uint32_t uid = 1; uid < uidnext; uid++)
        if (there[uid]) {
            assert_true(k < b->n);
            assert_int_equal(b->uid[k++], uid);
        }
    assert_int_equal(k, b->n);
}

static void add(void)
{
    deliver(MAILBOX_INBOX, 0, 10);
    there[uidnext] = true;
    flags_of[uidnext++] = 0;
}

static void range_of(uint32_t r[2], uint32_t most)
{
    r[0] = 1 + rnd(uidnext);
    r[1] = r[0] + rnd(most);
}

static void expunge_some(uint32_t most)
{
    uint32_t r[2];
    range_of(r, most);
    assert_int_equal(expunge_call(&bench, MAILBOX_INBOX, 0, r, 1), OK);
    for (uint32_t uid = r[0]; uid <= r[1] && uid < uidnext; uid++)
        there[uid] = false;
}

static void flag_some(void)
{
    uint32_t r[2];
    bool on = rnd(2);
    range_of(r, 20);
    assert_int_equal(flags_call(&bench, MAILBOX_INBOX, on ? 1 : 2, FLAG_FLAGGED, NULL, UINT64_MAX, r, 1), OK);
    for (uint32_t uid = r[0]; uid <= r[1] && uid < uidnext; uid++)
        flags_of[uid] = on ? flags_of[uid] | FLAG_FLAGGED : flags_of[uid] & ~(uint64_t)FLAG_FLAGGED;
}

static void begin_client(struct belief *b)
{
    memset(b, 0, sizeof(*b));
    client_in(&b->c);
    say(&b->c, "SELECT INBOX");
    believe(b);
}

/* A command whose answer names UIDs: while it runs numbers must not shift, whatever happened meanwhile. */
static void poke(struct belief *b)
{
    uint32_t n = b->n;
    switch (rnd(5)) {
    case 0: say(&b->c, "NOOP"); break;
    case 1:
        if (n)
            say(&b->c, "FETCH %u:%u (UID)", 1 + rnd(n), 1 + rnd(n));
        break;
    case 2: say(&b->c, "UID FETCH %u:* (FLAGS)", 1 + rnd(uidnext)); break;
    case 3: say(&b->c, "SEARCH UNFLAGGED"); break;
    default:
        if (n) {
            uint32_t seq = 1 + rnd(n), uid = b->uid[seq - 1];
            say(&b->c, "STORE %u +FLAGS (\\Flagged)", seq);
            if (uid && there[uid])
                flags_of[uid] |= FLAG_FLAGGED;
            else if (!uid) /* it was never named: ask */
                for (uint32_t u = 1; u < uidnext; u++)
                    flags_of[u] = there[u] ? flags_of[u] : 0;
        }
    }
    believe(b);
}

static void test_model(void **state)
{
    static struct belief b[3];
    bench_up();
    uidnext = 1;
    for (int i = 0; i < FIRST; i++)
        add();
    for (int i = 0; i < 3; i++)
        begin_client(&b[i]);
    agree(&b[0]); /* has its map from the beginning; b[1] comes to need one late, b[2] never syncs but at the end */
    for (int round = 0; round < ROUNDS; round++) {
        switch (rnd(6)) {
        case 0: add(); break;
        case 1: expunge_some(3); break;
        case 2: expunge_some(rnd(10) ? 5 : 300); break;
        default: flag_some();
        }
        if (rnd(2))
            poke(&b[0]);
        if (round % 40 == 39) {
            agree(&b[0]);
            agree(&b[1]);
        }
    }
    for (int i = 0; i < 3; i++)
        agree(&b[i]);
    for (int i = 0; i < 3; i++)
        client_close(&b[i].c);
    bench_down();
}

/* The store keeps tombstones for so many expunges only. Who has the map of then is told still; who has not must select
 * again, and is not told nonsense. */
static void test_forgotten_tombstones(void **state)
{
    static struct belief b[2];
    bench_up();
    memset(there, 0, sizeof(there));
    uidnext = 1;
    for (int i = 0; i < 10; i++)
        add();
    begin_client(&b[0]);
    begin_client(&b[1]);
    agree(&b[0]);
    imap_session_unselect(acc.sessions); /* b[1], the newest: without a map that it could share */
    say(&b[1].c, "SELECT INBOX");
    uint32_t one[2] = {5, 5};
    assert_int_equal(expunge_call(&bench, MAILBOX_INBOX, 0, one, 1), OK);
    there[5] = false;
    struct schema_mailbox box;
    struct engine_txn *t;
    assert_int_equal(engine_group_begin(bench.engine, &t), OK);
    assert_int_equal(schema_get_mailbox(t, bench.keys, bench.account, MAILBOX_INBOX, &box), OK);
    struct schema_keybuf k;
    assert_int_equal(engine_del(t, bench.account, key_u32_u64(&k, 'x', MAILBOX_INBOX, box.highestmodseq)), OK);
    box.tombstones_from = box.highestmodseq;
    assert_int_equal(schema_put_mailbox(t, bench.keys, bench.account, &box), OK);
    assert_int_equal(engine_group_commit(t), OK);
    agree(&b[0]);
    client_close(&b[0].c);
    struct client_end *c = &b[1].c;
    c->len = 0;
    send_bytes(c, "x NOOP\r\n", 8);
    wait_for(c, NULL);
    assert_non_null(strstr(c->text, "* BYE [UNAVAILABLE]"));
    client_close(c);
    bench_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model), cmocka_unit_test(test_forgotten_tombstones)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
