/* The directory of published certificates: who may be found with what, how it is looked up, the log of its changes. */
#include "tests/support/published_cert.h"
#include "tests/support/vault_requests.h"

#include "store/check.h"
#include "store/published_impl.h"
#include "store/view.h"

#define ALICE "alice@example.org"
#define POST "post@example.org"

enum { ANY = 9, OTHER = 30 }; /* seeds of primary keys */

static int publish_octets(struct bench *b, const char *address, const void *cert, size_t len)
{
    const struct vault_request q = {.type = VAULT_KEY_PUBLISH,
                                    .publish = {slice_str(address), slice_of(cert, len), PUBLISH_KEY}};
    return request(b, &q, -1);
}

static int publish(struct bench *b, const char *address, const struct made *m)
{
    return publish_octets(b, address, m->cert, m->len);
}

static int withdraw(struct bench *b, const char *address)
{
    return publish_octets(b, address, "", 0);
}

static void house(struct bench *b)
{
    const struct made m = made_of(ANY, ALICE, NULL);
    bench_mem(b, false);
    bench_account(b);
    own(b, &m.verdict);
    house_address(b, POST, ADDRESS_ALIAS);
    house_address(b, "@example.org", ADDRESS_CATCH_ALL);
}

/* ---- what stands there ---- */

struct ask {
    const char *address, *domain;
    char wkd[WKD_HASH_LEN + 1];
    const uint8_t *name;
    size_t name_len, found;
    struct published p;
    uint64_t changes, last;
    uint8_t head[PUBLISHED_HASH_SIZE], chain[PUBLISHED_HASH_SIZE];
};

static int count_one(void *arg, const struct published *p)
{
    ((struct ask *)arg)->found++;
    assert_true(p->len > 0);
    return 0;
}

static int by_address(void *arg, struct view *v)
{
    struct ask *a = arg;
    return view_published(v, a->address, &a->p);
}

static int by_wkd(void *arg, struct view *v)
{
    struct ask *a = arg;
    return view_published_wkd(v, a->domain, a->wkd, &a->p);
}

static int by_key(void *arg, struct view *v)
{
    struct ask *a = arg;
    a->found = 0;
    return view_published_key(v, a->name, a->name_len, &a->p, count_one, a);
}

static int follow(void *arg, const struct published_change *c)
{
    struct ask *a = arg;
    uint8_t hash[PUBLISHED_HASH_SIZE];
    assert_int_equal(c->number, ++a->last);
    published_change_hash(c, a->chain, hash);
    assert_memory_equal(hash, c->hash, sizeof(hash));
    memcpy(a->chain, hash, sizeof(hash));
    return 0;
}

static int the_log(void *arg, struct view *v)
{
    struct ask *a = arg;
    int err = view_published_head(v, &a->changes, a->head);
    return err ? err : view_published_changes_after(v, 0, follow, a);
}

static int see(struct bench *b, struct ask *a, int (*fn)(void *arg, struct view *v))
{
    struct view *v;
    assert_int_equal(view_over(b->engine, b->keys, &v), OK);
    int err = view_run(v, fn, a);
    view_close(v);
    return err;
}

static uint64_t changes(struct bench *b)
{
    static struct ask a;
    a = (struct ask){.last = 0};
    assert_int_equal(see(b, &a, the_log), OK);
    assert_int_equal(a.last, a.changes);
    assert_memory_equal(a.chain, a.head, sizeof(a.head));
    return a.changes;
}

struct counted {
    unsigned entries, others, faults;
};

static int count_record(void *arg, struct slice key, struct slice value)
{
    struct counted *c = arg;
    (void)value;
    if (key.data[0] == 'p')
        c->entries++;
    else if (key.data[0] != 'l' && key.data[0] != 'h')
        c->others++;
    return 0;
}

static int check_all(void *arg, struct view *v)
{
    static struct check_found found;
    struct check_walk walk = {.records = 0};
    struct counted *c = arg;
    found.faults = found.n = 0;
    int err = view_check(v, PART_KEYSERVER, 10000, &walk, NULL, &found);
    c->faults = (unsigned)found.faults;
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

/* ---- tests ---- */

static void who_may_be_found_with_what(void **state)
{
    const struct made good = made_of(ANY, "Alice <Alice@Example.Org>", NULL), post = made_of(ANY, POST, NULL),
                      both = made_of(ANY, ALICE, POST), stranger = made_of(OTHER, ALICE, NULL),
                      detail = made_of(ANY, "<alice+x@example.org>", NULL), no_address = made_of(ANY, "Alice", NULL);
    struct bench b;
    (void)state;
    house(&b);
    assert_int_equal(publish(&b, "nobody@example.org", &good), ERR_NOT_FOUND);
    assert_int_equal(publish(&b, "alice@elsewhere.example", &good), ERR_NOT_FOUND);
    assert_int_equal(publish(&b, "@example.org", &good), ERR_FORMAT);
    assert_int_equal(publish(&b, "x@example.org", &good), ERR_NOT_FOUND); /* the catch-all is nobody's name */
    assert_int_equal(publish(&b, ALICE, &stranger), ERR_DENIED);
    assert_int_equal(publish(&b, ALICE, &post), ERR_REFUSED);
    assert_int_equal(publish(&b, ALICE, &both), ERR_REFUSED);
    assert_int_equal(publish(&b, ALICE, &detail), ERR_REFUSED);
    assert_int_equal(publish(&b, ALICE, &no_address), ERR_REFUSED);
    assert_int_equal(publish(&b, POST, &good), ERR_REFUSED);
    assert_int_equal(publish_octets(&b, ALICE, "cert", 4), ERR_REFUSED);
    assert_int_equal(publish_octets(&b, ALICE, good.cert, good.len - 1), ERR_REFUSED);
    assert_int_equal(wish(&b, 0), OK);
    assert_int_equal(publish(&b, ALICE, &good), ERR_DENIED);
    assert_int_equal(count(&b).entries, 0);
    assert_int_equal(changes(&b), 0);
    assert_int_equal(wish(&b, 1), OK);
    assert_int_equal(publish(&b, "ALICE@Example.ORG", &good), OK);
    assert_int_equal(publish(&b, POST, &post), OK);
    const struct counted c = count(&b);
    assert_int_equal(c.entries, 2);
    assert_int_equal(c.faults, 0);
    bench_close(&b);
}

static void how_it_is_found(void **state)
{
    static struct ask a;
    const struct made good = made_of(ANY, ALICE, NULL), post = made_of(ANY, POST, NULL);
    struct bench b;
    (void)state;
    house(&b);
    assert_int_equal(publish(&b, ALICE, &good), OK);
    assert_int_equal(publish(&b, POST, &post), OK);
    a = (struct ask){.address = ALICE, .domain = "example.org"};
    assert_int_equal(see(&b, &a, by_address), OK);
    assert_int_equal(a.p.len, good.len);
    assert_memory_equal(a.p.cert, good.cert, good.len);
    assert_string_equal(a.p.address, ALICE);
    assert_int_equal(wkd_hash("post", 4, a.wkd), OK);
    assert_int_equal(see(&b, &a, by_wkd), OK);
    assert_string_equal(a.p.address, POST);
    a.domain = "example.com";
    assert_int_equal(see(&b, &a, by_wkd), ERR_NOT_FOUND);
    /* By fingerprint and key id, of the primary key and of the subkey: both addresses have them. */
    const uint8_t *names[] = {good.verdict.primary_fpr, good.verdict.primary_fpr + 12, good.verdict.enc_fpr,
                              good.verdict.enc_fpr + 12};
    for (size_t i = 0; i < 4; i++) {
        a.name = names[i];
        a.name_len = i % 2 ? 8 : 20;
        assert_int_equal(see(&b, &a, by_key), OK);
        assert_int_equal(a.found, 2);
    }
    a.name_len = 7;
    assert_int_equal(see(&b, &a, by_key), OK);
    assert_int_equal(a.found, 0);
    assert_int_equal(withdraw(&b, ALICE), OK);
    assert_int_equal(see(&b, &a, by_address), ERR_NOT_FOUND);
    a.name = names[0], a.name_len = 20;
    assert_int_equal(see(&b, &a, by_key), OK);
    assert_int_equal(a.found, 1);
    assert_int_equal(withdraw(&b, POST), OK);
    const struct counted c = count(&b);
    assert_true(c.entries == 0 && c.others == 0 && c.faults == 0); /* nothing leads anywhere */
    bench_close(&b);
}

static void what_is_so_already_is_no_change(void **state)
{
    static struct ask a;
    const struct made first = made_of(ANY, ALICE, NULL), second = made_of(OTHER, ALICE, NULL);
    struct bench b;
    (void)state;
    house(&b);
    own(&b, &second.verdict);
    assert_int_equal(withdraw(&b, ALICE), OK);
    assert_int_equal(changes(&b), 0);
    assert_int_equal(publish(&b, ALICE, &first), OK);
    assert_int_equal(publish(&b, ALICE, &first), OK);
    assert_int_equal(changes(&b), 1);
    const struct counted before = count(&b);
    assert_int_equal(publish(&b, ALICE, &second), OK);
    assert_int_equal(changes(&b), 2);
    const struct counted after = count(&b);
    assert_true(after.entries == 1 && after.others == before.others && after.faults == 0);
    a = (struct ask){.name = first.verdict.primary_fpr, .name_len = 20};
    assert_int_equal(see(&b, &a, by_key), OK);
    assert_int_equal(a.found, 0);
    assert_int_equal(withdraw(&b, ALICE), OK);
    assert_int_equal(withdraw(&b, ALICE), OK);
    assert_int_equal(changes(&b), 3);
    bench_close(&b);
}

/* ---- what audit says ---- */

static void put(struct bench *b, struct slice key, struct slice value)
{
    struct engine_txn *t;
    assert_int_equal(engine_group_begin(b->engine, &t), OK);
    assert_int_equal(value.data ? engine_put(t, PART_KEYSERVER, key, value) : engine_del(t, PART_KEYSERVER, key), OK);
    assert_int_equal(engine_group_commit(t), OK);
}

static int first_of(void *arg, struct slice key, struct slice value)
{
    struct schema_keybuf *kb = arg;
    (void)value;
    memcpy(kb->b, key.data, key.len);
    return (int)key.len;
}

static struct slice first_key(struct bench *b, char letter, struct schema_keybuf *kb)
{
    struct engine_txn *t;
    struct schema_keybuf from, to;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    int n =
        engine_scan(t, PART_KEYSERVER, key_simple(&from, letter), key_simple(&to, (char)(letter + 1)), 0, first_of, kb);
    (void)engine_read_end(t);
    assert_true(n > 0);
    return slice_of(kb->b, (size_t)n);
}

static void audit_finds_what_does_not_fit(void **state)
{
    static const char letters[] = "pcwfl";
    static char long_id[PUBLISHED_FRONT + sizeof(" <" ALICE ">")]; /* so that not all stands in the front */
    (void)state;
    memset(long_id, 'a', PUBLISHED_FRONT);
    memcpy(long_id + PUBLISHED_FRONT, " <" ALICE ">", sizeof(" <" ALICE ">"));
    const struct made good = made_of(ANY, long_id, NULL);
    for (size_t i = 0; i <= strlen(letters) + 2; i++) {
        struct schema_keybuf kb;
        struct bench b;
        house(&b);
        assert_int_equal(publish(&b, ALICE, &good), OK);
        assert_int_equal(withdraw(&b, ALICE), OK);
        assert_int_equal(publish(&b, ALICE, &good), OK);
        assert_int_equal(count(&b).faults, 0);
        if (i < strlen(letters)) /* one record of each kind gone: of the log the first */
            put(&b, first_key(&b, letters[i], &kb), (struct slice){NULL, 0});
        else if (i == strlen(letters)) /* the end of the log too early */
            put(&b, key_u64(&kb, 'l', 3), (struct slice){NULL, 0});
        else if (i == strlen(letters) + 1) /* an index that leads to somebody else's name */
            put(&b, slice_of(memset(kb.b, 'f', 33), 33), slice_of("", 0));
        else /* whoever does not want to be found is */
            assert_int_equal(wish(&b, 0), OK);
        if (count(&b).faults == 0)
            fail_msg("case %zu: audit says nothing", i);
        bench_close(&b);
    }
}

/* What is damaged is no reason for ever to publish nothing: what comes next stands in its place, or nothing does. */
static void what_is_damaged_is_replaced(void **state)
{
    static char long_id[PUBLISHED_FRONT + sizeof(" <" ALICE ">")];
    const struct made small = made_of(ANY, ALICE, NULL);
    (void)state;
    memset(long_id, 'b', PUBLISHED_FRONT);
    memcpy(long_id + PUBLISHED_FRONT, " <" ALICE ">", sizeof(" <" ALICE ">"));
    const struct made large = made_of(ANY, long_id, NULL);
    for (unsigned i = 0; i < 6; i++) {
        struct schema_keybuf kb;
        struct bench b;
        house(&b);
        assert_int_equal(publish(&b, ALICE, &large), OK);
        put(&b, first_key(&b, i < 4 ? 'p' : 'c', &kb), slice_of("\1damaged", i % 2 ? 8 : 2));
        assert_true(count(&b).faults > 0);
        assert_int_equal(i % 4 < 2 ? publish(&b, ALICE, &small) : withdraw(&b, ALICE), OK);
        const struct counted c = count(&b);
        assert_int_equal(c.faults, 0);
        assert_int_equal(c.entries, i % 4 < 2);
        assert_int_equal(changes(&b), 2);
        bench_close(&b);
    }
}

/* The vectors of draft-koch-openpgp-webkey-service section 3.1, and of its users. */
static void test_wkd(void **state)
{
    static const struct {
        const char *local, *hash;
    } vectors[] = {
        {"Joe.Doe", "iy9q119eutrkn8s1mk4r39qejnbu3n5q"},
        {"joe.doe", "iy9q119eutrkn8s1mk4r39qejnbu3n5q"},
        {"bernhard.reiter", "it5sewh54rxz33fwmr8u6dy4bbz8itz4"},
    };
    char hash[WKD_HASH_LEN + 1], upper[WKD_HASH_LEN + 1], longest[600];
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        assert_int_equal(wkd_hash(vectors[i].local, strlen(vectors[i].local), hash), OK);
        assert_string_equal(hash, vectors[i].hash);
    }
    /* Letters outside ASCII stay as they are. */
    assert_int_equal(wkd_hash("J\xc3\x96RG", 5, upper), OK);
    assert_int_equal(wkd_hash("j\xc3\x96rg", 5, hash), OK);
    assert_string_equal(hash, upper);
    assert_int_equal(wkd_hash("j\xc3\xb6rg", 5, hash), OK);
    assert_string_not_equal(hash, upper);
    memset(longest, 'a', sizeof(longest));
    assert_int_equal(wkd_hash(longest, sizeof(longest), hash), OK);
    assert_int_equal(wkd_hash("", 0, hash), OK);
    assert_int_equal(strlen(hash), WKD_HASH_LEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_be_found_with_what),      cmocka_unit_test(how_it_is_found),
        cmocka_unit_test(what_is_so_already_is_no_change), cmocka_unit_test(audit_finds_what_does_not_fit),
        cmocka_unit_test(what_is_damaged_is_replaced),     cmocka_unit_test(test_wkd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
