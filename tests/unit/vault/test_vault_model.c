/* Random operations, from a fixed seed, against a model that is too simple to be wrong; afterwards everything is
 * compared and counted again. Over memory and over LMDB. */
#include "tests/support/vault_recount.h"

#include <sys/stat.h>

enum { BOXES = 40, HELD = 400, STEPS_MEM = 4000, STEPS_LMDB = 1500, COMPARE_EVERY = 50 };

struct held {
    uint32_t uid;
    uint64_t message, flags, modseq;
};
struct box {
    bool here;
    uint32_t id, uidvalidity, uidnext, n;
    uint64_t told_modseq; /* what a client knows that hears of changes alone */
    uint32_t told_exists;
    char name[64];
    struct held v[HELD];
};

static struct box boxes[BOXES];
static uint8_t noted; /* events of the key's end that the reader has been told of */
static uint64_t seed;
static uint64_t next_message;
static uint32_t highest_validity;

static uint32_t rnd(uint32_t n) /* splitmix64 */
{
    uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) >> 16) % n;
}

static struct box *by_name(const char *name)
{
    for (int i = 0; i < BOXES; i++)
        if (boxes[i].here && strcmp(boxes[i].name, name) == 0)
            return &boxes[i];
    return NULL;
}

static struct box *some_box(void)
{
    for (;;) {
        struct box *x = &boxes[rnd(BOXES)];
        if (x->here)
            return x;
    }
}

static struct box *fresh_box(void)
{
    for (int i = 0; i < BOXES; i++)
        if (!boxes[i].here) {
            memset(&boxes[i], 0, sizeof(boxes[i]));
            return &boxes[i];
        }
    return NULL;
}

static struct schema_mailbox box_of(struct bench *b, uint32_t id)
{
    struct engine_txn *t;
    struct schema_mailbox box;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    assert_int_equal(schema_get_mailbox(t, b->keys, b->account, id, &box), OK);
    (void)engine_read_end(t);
    return box;
}

static uint32_t id_of(struct bench *b, const char *name)
{
    struct store_write w = {.keys = b->keys, .account = b->account};
    uint32_t id = 0;
    assert_int_equal(engine_read_begin(b->engine, &w.t), OK);
    (void)mailbox_find(&w, name, &id);
    (void)engine_read_end(w.t);
    return id;
}

static void learn(struct bench *b, struct box *x, const char *name)
{
    x->here = true;
    snprintf(x->name, sizeof(x->name), "%s", name);
    x->id = id_of(b, name);
    assert_true(x->id != 0);
    struct schema_mailbox box = box_of(b, x->id);
    assert_true(box.uidvalidity > highest_validity); /* grows whatever happens */
    highest_validity = box.uidvalidity;
    x->uidvalidity = box.uidvalidity;
    x->uidnext = 1;
    x->told_modseq = x->told_exists = 0;
}

static void look(struct bench *b)
{
    for (int i = 0; i < BOXES; i++)
        if (boxes[i].here) {
            struct schema_mailbox box = box_of(b, boxes[i].id);
            boxes[i].told_modseq = box.highestmodseq;
            boxes[i].told_exists = box.exists;
        }
}

/* What the vault has told of changes. Of the account as a whole: whoever hears it looks at everything. */
static void take_notices(struct bench *b)
{
    uint64_t none;
    bool all = false;
    assert_int_equal(hear(b, &none), ERR_TIMEOUT);
    assert_true(b->notices <= CHANGES_MAX);
    for (unsigned k = 0; k < b->notices; k++) {
        const struct vault_change *c = &b->notice[k];
        assert_int_equal(c->account, b->account);
        all = all || c->mailbox == 0;
        for (int i = 0; i < BOXES; i++)
            if (boxes[i].here && boxes[i].id == c->mailbox) {
                assert_true(c->modseq >= boxes[i].told_modseq); /* an INBOX without messages is renamed: the same */
                boxes[i].told_modseq = c->modseq;
                boxes[i].told_exists = c->exists;
            }
    }
    b->notices = 0;
    if (all)
        look(b);
}

static void add(struct box *x, uint64_t message, uint64_t flags)
{
    assert_true(x->n < HELD);
    x->v[x->n++] = (struct held){.uid = x->uidnext++, .message = message, .flags = flags};
}

static void drop(struct box *x, uint32_t i)
{
    memmove(&x->v[i], &x->v[i + 1], (x->n - i - 1) * sizeof(x->v[0]));
    x->n--;
}

static bool within(uint32_t uid, const uint32_t *r, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (uid >= r[2 * i] && uid <= r[2 * i + 1])
            return true;
    return false;
}

static uint32_t some_ranges(const struct box *x, uint32_t *r)
{
    uint32_t n = 1 + rnd(3);
    for (uint32_t i = 0; i < n; i++) {
        r[2 * i] = 1 + rnd(x->uidnext + 3);
        r[2 * i + 1] = r[2 * i] + rnd(4);
    }
    return n;
}

/* ---- operations ---- */

static void op_deliver(struct bench *b)
{
    static const uint64_t flags[] = {
        0, 0, 0, FLAG_SEEN, FLAG_DELETED, FLAG_FLAGGED | FLAG_ANSWERED, FLAG_DRAFT | FLAG_SEEN};
    static int parcels[4];
    struct box *x = some_box();
    if (x->n + 8 > HELD)
        return;
    uint32_t which = rnd(4), n = 1 + rnd(4);
    if (parcels[which] == 0)
        parcels[which] = parcel_of(OUTER, 1, which * 15900);
    for (uint32_t i = 0; i < n; i++) { /* in one group */
        struct letter l = {.mailbox = x->id, .flags = flags[rnd(7)]};
        const struct vault_request q = letter_request(b->account, &l);
        ask_for(b, &q, parcels[which]);
        add(x, next_message++, l.flags);
    }
    vault_run(b->vault);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(hear(b, NULL), OK);
        struct where w = where_of(b);
        assert_int_equal(w.uid, x->v[x->n - n + i].uid);
        assert_int_equal(w.message, x->v[x->n - n + i].message);
        assert_int_equal(w.uidvalidity, x->uidvalidity);
    }
    uint64_t none;
    assert_int_equal(hear(b, &none), ERR_TIMEOUT);
}

/* Replaces a message by another, in the same mailbox or elsewhere; what is not there refuses the whole. */
static void op_replace(struct bench *b)
{
    static int parcels[3];
    struct box *x = some_box(), *y = rnd(2) ? x : some_box();
    uint32_t which = rnd(3), uid = 1 + rnd(x->uidnext + 2), i = 0;
    if (y->n + 8 > HELD)
        return;
    if (parcels[which] == 0)
        parcels[which] = parcel_of(OUTER, 1, which * 16100);
    if (x->n && rnd(4))
        uid = x->v[rnd(x->n)].uid;
    while (i < x->n && x->v[i].uid != uid)
        i++;
    struct letter l = {.mailbox = y->id, .flags = rnd(32)};
    int err = replace_call(b, x->id, uid, &l, parcels[which]);
    if (i == x->n) {
        assert_int_equal(err, ERR_NOT_FOUND);
        return;
    }
    assert_int_equal(err, OK);
    struct where w = where_of(b);
    add(y, next_message++, l.flags);
    assert_int_equal(w.uid, y->v[y->n - 1].uid);
    assert_int_equal(w.message, y->v[y->n - 1].message);
    drop(x, i);
}

static void op_flags(struct bench *b)
{
    struct box *x = some_box();
    uint32_t r[6], n = some_ranges(x, r);
    uint8_t op = (uint8_t)rnd(3);
    uint64_t flags = rnd(32);
    assert_int_equal(flags_call(b, x->id, op, flags, NULL, UINT64_MAX, r, n), OK);
    uint32_t changed = b->r.flags.nchanged, expect = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        uint64_t old = x->v[i].flags;
        if (!within(x->v[i].uid, r, n))
            continue;
        x->v[i].flags = op == 0 ? flags : op == 1 ? old | flags : old & ~flags;
        expect += x->v[i].flags != old;
    }
    assert_int_equal(changed, expect);
}

static void op_copy(struct bench *b)
{
    struct box *x = some_box(), *y = some_box();
    uint32_t r[6], n = some_ranges(x, r);
    uint8_t move = (uint8_t)rnd(2);
    if (y->n + 16 > HELD)
        return;
    assert_int_equal(copy_call(b, x->id, y->id, move, r, n), OK);
    uint32_t before = x->n, i = 0;
    for (uint32_t k = 0; k < before; k++) {
        struct held h = x->v[i];
        if (!within(h.uid, r, n)) {
            i++;
            continue;
        }
        add(y, h.message, h.flags);
        if (move)
            drop(x, i);
        else
            i++;
    }
}

static void op_expunge(struct bench *b)
{
    struct box *x = some_box();
    uint32_t r[6], n = some_ranges(x, r);
    uint8_t only = (uint8_t)rnd(2);
    if (rnd(6) == 0) {
        r[0] = 1;
        r[1] = UINT32_MAX;
    }
    assert_int_equal(expunge_call(b, x->id, only, r, n), OK);
    for (uint32_t i = 0; i < x->n;)
        if (within(x->v[i].uid, r, n) && (!only || (x->v[i].flags & FLAG_DELETED)))
            drop(x, i);
        else
            i++;
}

static void op_create(struct bench *b)
{
    char name[64];
    snprintf(name, sizeof(name), rnd(3) ? "m%u" : "m%u/s", rnd(9));
    struct box *x = fresh_box();
    if (x == NULL)
        return;
    int err = create_call(b, name, NULL);
    if (by_name(name) != NULL) {
        assert_int_equal(err, ERR_EXISTS);
        return;
    }
    assert_int_equal(err, OK);
    char parent[64];
    strcpy(parent, name);
    if (strchr(parent, '/') != NULL) {
        *strchr(parent, '/') = '\0';
        if (by_name(parent) == NULL) {
            learn(b, x, parent);
            x = fresh_box();
            if (x == NULL) { /* the model is full: the mailbox goes again */
                take_notices(b);
                assert_int_equal(mailbox_call(b, VAULT_MAILBOX_DELETE, id_of(b, name), NULL, -1), OK);
            }
        }
    }
    if (x != NULL)
        learn(b, x, name);
}

static bool has_children(const struct box *x)
{
    for (int i = 0; i < BOXES; i++)
        if (boxes[i].here && strncmp(boxes[i].name, x->name, strlen(x->name)) == 0 &&
            boxes[i].name[strlen(x->name)] == '/')
            return true;
    return false;
}

static void op_delete(struct bench *b)
{
    struct box *x = some_box();
    int err = mailbox_call(b, VAULT_MAILBOX_DELETE, x->id, NULL, -1);
    if (x->id == MAILBOX_INBOX) {
        assert_int_equal(err, ERR_DENIED);
    } else if (has_children(x)) {
        assert_int_equal(err, ERR_CONFLICT);
    } else {
        assert_int_equal(err, OK);
        x->here = false;
    }
}

static void op_rename(struct bench *b)
{
    struct box *x = some_box();
    char name[64];
    snprintf(name, sizeof(name), "r%u", rnd(8));
    if (x->id == MAILBOX_INBOX)
        return;
    int err = mailbox_call(b, VAULT_MAILBOX_RENAME, x->id, name, -1);
    if (by_name(name) != NULL) {
        assert_int_equal(err, ERR_EXISTS);
        return;
    }
    assert_int_equal(err, OK);
    char old[64];
    strcpy(old, x->name);
    for (int i = 0; i < BOXES; i++) {
        struct box *y = &boxes[i];
        size_t n = strlen(old);
        if (y->here && strncmp(y->name, old, n) == 0 && (y->name[n] == '\0' || y->name[n] == '/')) {
            char moved[128];
            snprintf(moved, sizeof(moved), "%s%s", name, y->name + n);
            snprintf(y->name, sizeof(y->name), "%.63s", moved);
        }
    }
}

static void op_inbox_rename(struct bench *b)
{
    struct box *inbox = by_name("INBOX"), *x = fresh_box();
    char name[64];
    snprintf(name, sizeof(name), "i%u", rnd(4));
    if (x == NULL || by_name(name) != NULL)
        return;
    assert_int_equal(mailbox_call(b, VAULT_MAILBOX_RENAME, MAILBOX_INBOX, name, -1), OK);
    learn(b, x, name);
    for (uint32_t i = 0; i < inbox->n; i++)
        add(x, inbox->v[i].message, inbox->v[i].flags);
    inbox->n = 0;
}

/* ---- notices about keys, which are mail as well ---- */

static struct slice fpr_of(uint8_t tag)
{
    static uint8_t fpr[20];
    memset(fpr, tag, sizeof(fpr));
    return slice_of(fpr, sizeof(fpr));
}

static int key_add(struct bench *b, uint8_t tag, uint32_t expires)
{
    struct vault_request q = {.type = VAULT_KEY_ADD,
                              .account = b->account,
                              .key = {.verdict = verdict_of(tag), .cert_len = 4}};
    q.key.verdict.enc_expires = expires;
    return request_cert(b, &q, "cert", 4);
}

/* A number for the certificate, if it is another one. */
static void number_again(struct bench *b)
{
    uint64_t next = usage_of(b).number_next;
    assert_true(next == next_message || next == next_message + 1);
    next_message = next;
}

/* The key's end is moved: from then on its reader is to be told anew. */
static void op_key_renewed(struct bench *b)
{
    assert_int_equal(key_add(b, 1, (uint32_t)test_now - 1 - rnd(1000)), OK);
    noted = 0;
    number_again(b);
}

static void op_key_notice(struct bench *b)
{
    struct box *inbox = by_name("INBOX");
    uint8_t events = (uint8_t)(1 + rnd(KEY_EVENT_EXPIRING | KEY_EVENT_EXPIRED));
    struct letter l = {.mailbox = MAILBOX_INBOX};
    struct vault_request q = letter_request(b->account, &l);
    struct schema_account account;
    struct engine_txn *t;
    if (inbox->n + 8 > HELD)
        return;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    assert_int_equal(schema_get_account(t, b->keys, b->account, &account), OK);
    (void)engine_read_end(t);
    q.type = VAULT_KEY_NOTICE;
    q.deliver.notice.fpr = fpr_of(1);
    q.deliver.notice.events = events;
    q.deliver.notice.keys_version = account.keys_version;
    int fd = parcel_of(OUTER, 1, 100);
    assert_int_equal(request(b, &q, fd), OK);
    close(fd);
    bool known = (noted & events) == events;
    assert_int_equal(where_of(b).duplicate, known);
    if (!known)
        add(inbox, next_message++, 0);
    noted |= events;
}

/* A second key comes and goes; the first one's reader is told of it. */
static void op_key_told(struct bench *b)
{
    struct box *inbox = by_name("INBOX");
    if (inbox->n + 8 > HELD)
        return;
    assert_int_equal(key_add(b, 2, 0), OK);
    add(inbox, next_message++, 0);
    number_again(b);
    take_notices(b);
    const struct vault_request retire = {.type = VAULT_KEY_RETIRE, .account = b->account, .key.fpr = fpr_of(2)};
    assert_int_equal(request(b, &retire, -1), OK);
}

static void op_chores(struct bench *b)
{
    (void)vault_chores(b->vault);
}

static void op_time(struct bench *b)
{
    test_now += rnd(100000);
}

/* ---- comparison ---- */

struct compare {
    const struct bench *b;
    const struct box *x;
    uint32_t n;
};

static int compare_one(void *arg, struct slice key, struct slice value)
{
    struct compare *c = arg;
    struct schema_entry e;
    assert_int_equal(schema_unpack_entry(c->b->keys, c->b->account, key, value, &e), OK);
    assert_true(c->n < c->x->n);
    assert_int_equal(key_part32(key, 5), c->x->v[c->n].uid);
    assert_int_equal(e.message, c->x->v[c->n].message);
    assert_int_equal(e.flags, c->x->v[c->n].flags);
    c->n++;
    return 0;
}

static void check_told(void)
{
    for (int i = 0; i < BOXES; i++)
        if (boxes[i].here && boxes[i].told_exists != boxes[i].n)
            fail_msg("%s has %u messages, and %u were told", boxes[i].name, boxes[i].n, boxes[i].told_exists);
}

static void compare(struct bench *b)
{
    uint32_t named = 0, known = 0;
    for (int i = 0; i < BOXES; i++) {
        struct box *x = &boxes[i];
        if (!x->here)
            continue;
        known++;
        assert_int_equal(id_of(b, x->name), x->id);
        struct schema_mailbox box = box_of(b, x->id);
        assert_int_equal(box.exists, x->n);
        assert_int_equal(box.highestmodseq, x->told_modseq);
        assert_int_equal(box.uidnext, x->uidnext);
        assert_int_equal(box.uidvalidity, x->uidvalidity);
        struct compare c = {.b = b, .x = x};
        struct engine_txn *t;
        struct schema_keybuf from, to;
        assert_int_equal(engine_read_begin(b->engine, &t), OK);
        assert_int_equal(engine_scan(t, b->account, key_u32(&from, 'u', x->id), key_u32(&to, 'u', x->id + 1), 0,
                                     compare_one, &c),
                         OK);
        (void)engine_read_end(t);
        assert_int_equal(c.n, x->n);
    }
    struct engine_txn *t;
    struct schema_keybuf from, to;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    assert_int_equal(engine_scan(t, b->account, key_simple(&from, 'B'), key_simple(&to, 'B' + 1), 0, recount_one,
                                 &named),
                     OK);
    (void)engine_read_end(t);
    assert_int_equal(named, known);
    store_recount(b->engine, b->keys, b->account);
}

static void (*const ops[])(struct bench *b) = {
    op_deliver, op_deliver,      op_deliver, op_deliver, op_flags,       op_flags,      op_flags,    op_copy,
    op_copy,    op_expunge,      op_expunge, op_create,  op_replace,     op_replace,    op_create,   op_delete,
    op_rename,  op_inbox_rename, op_chores,  op_time,    op_key_renewed, op_key_notice, op_key_told,
};

static void run_model(struct bench *b, unsigned steps)
{
    memset(boxes, 0, sizeof(boxes));
    seed = 20261121;
    next_message = 2; /* 1 names the certificate's blob */
    highest_validity = 0;
    bench_account(b);
    static const char *const usual[] = {"INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"};
    for (int i = 0; i < 6; i++)
        learn(b, &boxes[i], usual[i]);
    look(b);
    op_key_renewed(b);
    for (unsigned i = 0; i < steps; i++) {
        ops[rnd(sizeof(ops) / sizeof(ops[0]))](b);
        take_notices(b);
        check_told();
        if (i % COMPARE_EVERY == 0)
            compare(b);
    }
    while (vault_chores(b->vault))
        ;
    take_notices(b);
    check_told();
    compare(b);
}

static void test_mem(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    run_model(&b, STEPS_MEM);
    bench_close(&b);
}

static void test_lmdb(void **state)
{
    char dir[] = "/tmp/vault-model-XXXXXX", path[64];
    struct bench b;
    struct engine *e;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(engine_lmdb_create(dir, 1 << 30, 1, &e), OK);
    bench_open(&b, e, false);
    run_model(&b, STEPS_LMDB);
    uint64_t account = b.account;
    bench_close(&b);
    /* and once more from the disk */
    assert_int_equal(engine_lmdb_create(dir, 1 << 30, 1, &e), OK);
    bench_open(&b, e, false);
    b.account = account;
    compare(&b);
    bench_close(&b);
    static const char *const files[] = {"data.mdb", "lock.mdb", "reserve"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mem), cmocka_unit_test(test_lmdb)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
