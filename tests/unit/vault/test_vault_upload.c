/* Certificates that were sent in: who may be asked, how many wait, what a token is good for, and for how long. */
#include "tests/support/published_cert.h"
#include "tests/support/vault_requests.h"

#include "store/check.h"
#include "store/upload.h"
#include "store/view.h"

#define ALICE "alice@example.org"
#define POST "post@example.org"

enum { OWN = 9, STRANGE = 30 /* seeds of primary keys */ };

static struct made make(uint8_t seed, const char *user_id)
{
    return made_of(seed, user_id, NULL);
}

/* The n-th that differs, of one key and address. */
static struct made another(uint8_t seed, unsigned n, const char *address)
{
    char id[100];
    snprintf(id, sizeof(id), "Name %u <%s>", n, address);
    return make(seed, id);
}

static int upload(struct bench *b, const char *address, const struct made *m)
{
    const struct vault_request q = {.type = VAULT_UPLOAD_ADD,
                                    .publish = {slice_str(address), slice_of(m->cert, m->len), 0}};
    return request(b, &q, -1);
}

static int confirm(struct bench *b, const uint8_t token[UPLOAD_TOKEN_SIZE])
{
    struct vault_request q = {.type = VAULT_UPLOAD_CONFIRM};
    memcpy(q.token, token, sizeof(q.token));
    return request(b, &q, -1);
}

struct token {
    uint8_t b[UPLOAD_TOKEN_SIZE];
};

static struct token waiting(struct bench *b, const char *address, const struct made *m)
{
    struct token t;
    assert_int_equal(upload(b, address, m), OK);
    memcpy(t.b, b->r.token, sizeof(t.b));
    return t;
}

static void house(struct bench *b)
{
    const struct made m = make(OWN, ALICE);
    bench_mem(b, true);
    bench_account(b);
    own(b, &m.verdict);
    house_address(b, POST, ADDRESS_ALIAS);
    house_address(b, "@example.org", ADDRESS_CATCH_ALL);
}

struct counted {
    unsigned entries, waiting, records, faults;
};

static int count_record(void *arg, struct slice key, struct slice value)
{
    struct counted *c = arg;
    (void)value;
    c->entries += key.data[0] == 'p';
    c->waiting += key.data[0] == 'u';
    c->records += strchr("uvx", key.data[0]) != NULL;
    return 0;
}

static int check_all(void *arg, struct view *v)
{
    static struct check_found found;
    struct check_walk walk = {.records = 0};
    found.faults = found.n = 0;
    int err = view_check(v, PART_KEYSERVER, 100000, &walk, NULL, &found);
    ((struct counted *)arg)->faults = (unsigned)found.faults;
    return err;
}

static struct counted count(struct bench *b)
{
    struct counted c = {0};
    struct engine_txn *t;
    struct schema_keybuf from;
    struct view *v;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    assert_int_equal(engine_scan(t, PART_KEYSERVER, key_simple(&from, '\0'), slice_of("", 0), 0, count_record, &c), OK);
    (void)engine_read_end(t);
    assert_int_equal(view_over(b->engine, b->keys, &v), OK);
    assert_int_equal(view_run(v, check_all, &c), OK);
    view_close(v);
    return c;
}

static void chores(struct bench *b)
{
    for (int i = 0; i < 100 && vault_chores(b->vault); i++)
        ;
}

/* ---- tests ---- */

static void who_may_be_asked(void **state)
{
    const struct made good = make(OWN, ALICE), stranger = make(STRANGE, ALICE), post = make(OWN, POST),
                      detail = make(OWN, "<alice+x@example.org>"), nobody = make(OWN, "nobody@example.org");
    struct bench b;
    (void)state;
    house(&b);
    assert_int_equal(upload(&b, "nobody@example.org", &nobody), ERR_NOT_FOUND); /* the catch-all is nobody's name */
    assert_int_equal(upload(&b, "alice@elsewhere.example", &good), ERR_NOT_FOUND);
    assert_int_equal(upload(&b, "@example.org", &good), ERR_FORMAT);
    assert_int_equal(upload(&b, ALICE, &post), ERR_REFUSED);
    assert_int_equal(upload(&b, ALICE, &detail), ERR_REFUSED);
    assert_int_equal(upload(&b, ALICE, &stranger), ERR_DENIED);
    assert_int_equal(wish(&b, 0), OK);
    assert_int_equal(upload(&b, ALICE, &good), ERR_DENIED);
    assert_int_equal(count(&b).records, 0);
    assert_int_equal(wish(&b, 1), OK);
    assert_int_equal(upload(&b, "Alice@EXAMPLE.org", &good), OK);
    b.vault->uploads_other = true;
    assert_int_equal(upload(&b, ALICE, &stranger), OK);
    const struct counted c = count(&b);
    assert_true(c.entries == 0 && c.waiting == 2 && c.faults == 0); /* nobody finds them */
    bench_close(&b);
}

static void a_token_is_for_one_thing_once(void **state)
{
    const struct made first = another(OWN, 1, ALICE), second = another(OWN, 2, ALICE), post = another(OWN, 3, POST);
    struct bench b;
    (void)state;
    house(&b);
    const struct token a = waiting(&b, ALICE, &first), c = waiting(&b, ALICE, &second), p = waiting(&b, POST, &post);
    for (size_t i = 0; i < UPLOAD_TOKEN_SIZE; i++) { /* every octet of it counts */
        struct token wrong = a;
        wrong.b[i] ^= 1;
        assert_int_equal(confirm(&b, wrong.b), ERR_NOT_FOUND);
        wrong.b[i] = 0xff;
        if (a.b[i] != 0xff)
            assert_int_equal(confirm(&b, wrong.b), ERR_NOT_FOUND);
    }
    struct token mixed = a; /* one's place, another's secret */
    mixed.b[RECORD_HASH_SIZE] = c.b[RECORD_HASH_SIZE];
    assert_int_equal(confirm(&b, mixed.b), ERR_NOT_FOUND);
    mixed = p;
    memcpy(mixed.b, a.b, RECORD_HASH_SIZE);
    assert_int_equal(confirm(&b, mixed.b), ERR_NOT_FOUND);
    assert_int_equal(count(&b).entries, 0);
    assert_int_equal(confirm(&b, a.b), OK);
    assert_int_equal(confirm(&b, a.b), ERR_NOT_FOUND);
    assert_int_equal(confirm(&b, p.b), OK);
    const struct counted n = count(&b);
    assert_true(n.entries == 2 && n.waiting == 3 && n.faults == 0);
    bench_close(&b);
}

static void places_are_few_and_nobody_is_pushed_out(void **state)
{
    struct bench b;
    struct token own[UPLOAD_PLACES_OWN];
    (void)state;
    house(&b);
    b.vault->uploads_other = true;
    for (unsigned i = 0; i < 20; i++) { /* what anybody can make fills its own places alone */
        const struct made m = another(STRANGE, i, ALICE);
        assert_int_equal(upload(&b, ALICE, &m), i < UPLOAD_PLACES_OTHER ? OK : ERR_QUOTA);
    }
    for (unsigned i = 0; i < UPLOAD_PLACES_OWN; i++) {
        const struct made m = another(OWN, i, ALICE);
        own[i] = waiting(&b, ALICE, &m);
    }
    const struct made more = another(OWN, 9, ALICE), post = another(OWN, 9, POST);
    assert_int_equal(upload(&b, ALICE, &more), ERR_QUOTA);
    assert_int_equal(upload(&b, POST, &post), OK);
    for (unsigned i = 0; i < UPLOAD_PLACES_OWN; i++)
        assert_int_equal(confirm(&b, own[i].b), OK);
    assert_int_equal(upload(&b, ALICE, &more), ERR_QUOTA); /* used ones count, till their day is over */
    assert_int_equal(count(&b).faults, 0);
    test_now += UPLOAD_LIFE - 1;
    assert_int_equal(upload(&b, ALICE, &more), ERR_QUOTA);
    test_now += 1;
    assert_int_equal(upload(&b, ALICE, &more), OK); /* before anybody has swept */
    struct counted c = count(&b);
    assert_true(c.waiting == UPLOAD_PLACES + 1 && c.faults == 0);
    chores(&b);
    c = count(&b);
    assert_true(c.waiting == 1 && c.records == 3 && c.faults == 0);
    test_now += UPLOAD_LIFE;
    chores(&b);
    assert_int_equal(count(&b).records, 0);
    bench_close(&b);
}

static void a_day_is_a_day(void **state)
{
    const struct made m = another(OWN, 1, ALICE);
    struct bench b;
    (void)state;
    house(&b);
    const struct token t = waiting(&b, ALICE, &m);
    test_now += UPLOAD_LIFE;
    assert_int_equal(confirm(&b, t.b), ERR_NOT_FOUND);
    assert_int_equal(count(&b).entries, 0);
    bench_close(&b);
}

/* What was right when it was sent in counts no more. */
static void what_is_right_at_the_word_counts(void **state)
{
    const struct made m = another(OWN, 1, POST), strange = another(STRANGE, 1, ALICE);
    struct bench b;
    (void)state;
    house(&b);
    b.vault->uploads_other = true;
    const struct token t = waiting(&b, POST, &m), other = waiting(&b, ALICE, &strange);
    b.vault->uploads_other = false;
    assert_int_equal(confirm(&b, other.b), ERR_DENIED);
    assert_int_equal(wish(&b, 0), OK);
    assert_int_equal(confirm(&b, t.b), ERR_DENIED);
    assert_int_equal(wish(&b, 1), OK);
    const struct vault_request gone = {.type = VAULT_ADDRESS_REMOVE, .name.text = slice_str(POST)};
    assert_int_equal(request(&b, &gone, -1), OK);
    assert_int_equal(confirm(&b, t.b), ERR_NOT_FOUND);
    /* The address is another's by now, who has the key as well. */
    const struct vault_request all = {.type = VAULT_ADDRESS_REMOVE, .name.text = slice_str("@example.org")};
    assert_int_equal(request(&b, &all, -1), OK);
    assert_int_equal(account_add_call(&b, POST, 0, 0, 5), OK);
    struct vault_request key = {.type = VAULT_KEY_ADD,
                                .account = b.r.account,
                                .key = {.verdict = m.verdict, .cert_len = 4}};
    key.key.verdict.enc_expires = (uint32_t)test_now - 10;
    assert_int_equal(request_cert(&b, &key, "cert", 4), OK);
    b.vault->uploads_other = true;
    assert_int_not_equal(confirm(&b, t.b), OK);
    assert_int_equal(count(&b).entries, 0);
    bench_close(&b);
}

static void all_of_them_are_bounded(void **state)
{
    static struct store_write w;
    struct upload_head full = {.n = UPLOADS_MAX, .octets = 1}, large = {.n = 1, .octets = UPLOAD_OCTETS_MAX};
    const struct made m = another(OWN, 1, ALICE);
    struct bench b;
    (void)state;
    house(&b);
    for (int i = 0; i < 2; i++) {
        w = (struct store_write){.keys = b.keys, .account = PART_KEYSERVER, .now = test_now};
        assert_int_equal(engine_group_begin(b.engine, &w.t), OK);
        assert_int_equal(schema_put_upload_head(w.t, b.keys, i ? &large : &full), OK);
        assert_int_equal(engine_group_commit(w.t), OK);
        assert_int_equal(upload(&b, ALICE, &m), ERR_FULL);
        assert_int_equal(count(&b).faults, 1); /* which audit finds */
    }
    bench_close(&b);
}

/* A record that does not open goes with the rest when its day is over, and keeps nothing else from being done. */
static void what_is_damaged_goes(void **state)
{
    const struct made m = another(OWN, 1, ALICE), post = another(OWN, 2, POST);
    struct bench b;
    struct engine_txn *t;
    struct schema_keybuf kb;
    (void)state;
    house(&b);
    const struct token a = waiting(&b, ALICE, &m);
    (void)waiting(&b, POST, &post);
    uint8_t record[1024];
    struct slice there;
    assert_int_equal(engine_group_begin(b.engine, &t), OK);
    assert_int_equal(engine_get(t, PART_KEYSERVER, key_hash_u32(&kb, 'u', a.b, 0), &there), OK);
    assert_true(there.len <= sizeof(record));
    memcpy(record, there.data, there.len);
    record[there.len - 1] ^= 1;
    assert_int_equal(engine_put(t, PART_KEYSERVER, key_hash_u32(&kb, 'u', a.b, 0), slice_of(record, there.len)), OK);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_not_equal(confirm(&b, a.b), OK);
    assert_int_not_equal(count(&b).faults, 0);
    test_now += UPLOAD_LIFE;
    chores(&b);
    assert_int_equal(count(&b).records, 0);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_be_asked),
        cmocka_unit_test(a_token_is_for_one_thing_once),
        cmocka_unit_test(places_are_few_and_nobody_is_pushed_out),
        cmocka_unit_test(a_day_is_a_day),
        cmocka_unit_test(what_is_right_at_the_word_counts),
        cmocka_unit_test(all_of_them_are_bounded),
        cmocka_unit_test(what_is_damaged_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
