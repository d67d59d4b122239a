/* The read side: where mail goes, who may log in (and that a refusal costs the same whatever its reason), blobs,
 * opening. */
#include "tests/support/view_sample.h"

static void test_routes(void **st)
{
    static const struct {
        const char *address;
        int err;
        uint64_t account;
        uint8_t kind;
    } table[] = {
        {"anna@example.org", OK, A, ADDRESS_PRIMARY},
        {"ANNA@EXAMPLE.ORG", OK, A, ADDRESS_PRIMARY},
        {"\"anna\"@example.org", OK, A, ADDRESS_PRIMARY},
        {"post@example.org", OK, A, ADDRESS_ALIAS},
        {"anna+list@example.org", OK, A, ADDRESS_PRIMARY},
        {"anna+exact@example.org", OK, B, ADDRESS_ALIAS},
        {"anna+exact+more@example.org", OK, A, ADDRESS_PRIMARY},
        {"nobody@example.org", ERR_NOT_FOUND, 0, 0},
        {"nobody+anna@example.org", ERR_NOT_FOUND, 0, 0},
        {"+anna@example.org", ERR_NOT_FOUND, 0, 0},
        {"\"anna+x y\"@example.org", ERR_NOT_FOUND, 0, 0},
        {"postmaster@example.org", ERR_NOT_FOUND, 0, 0},
        {"postmaster@example.net", OK, A, ADDRESS_ALIAS},
        {"whoever@example.net", OK, B, ADDRESS_CATCH_ALL},
        {"bert+x@example.net", OK, B, ADDRESS_PRIMARY},
        {"anna@example.com", ERR_DENIED, 0, 0},
        {"anna@mail.example.org", ERR_DENIED, 0, 0},
        {"anna@org", ERR_DENIED, 0, 0},
        {"@example.net", ERR_FORMAT, 0, 0},
        {"", ERR_FORMAT, 0, 0},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct schema_address a = {0};
        int err = view_route(sample_view, table[i].address, strlen(table[i].address), &a);
        if (err != table[i].err || a.account != table[i].account || a.kind != table[i].kind)
            fail_msg("%s: %d, account %u, kind %u", table[i].address, err, (unsigned)a.account, a.kind);
    }
    assert_int_equal(view_domain_known(sample_view, "example.org"), OK);
    assert_int_equal(view_domain_known(sample_view, "example.com"), ERR_NOT_FOUND);
}

static int login(const char *user, const char *pw, unsigned scope, struct view_user *ret)
{
    sample_lookups = 0;
    return view_login(sample_view, user, strlen(user), pw, strlen(pw), scope, ret);
}

static void test_login(void **st)
{
    struct view_user user = {0};
    assert_int_equal(login("anna@example.org", sample_password, SCOPE_IMAP, &user), OK);
    assert_int_equal(user.account, A);
    assert_string_equal(user.primary, "anna@example.org");
    user = (struct view_user){0};
    assert_int_equal(login("POST@example.org", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", SCOPE_IMAP, &user), OK); /* an alias */
    assert_int_equal(user.account, A);
    assert_string_equal(user.primary, "anna@example.org");
    static const struct {
        const char *user, *password;
        unsigned scope;
    } refused[] = {
        {"anna@example.org", "abcde-fghij-klmno-pqrst-uvwxya", SCOPE_IMAP},
        {"anna@example.org", "", SCOPE_IMAP},
        {"anna@example.org", sample_password, SCOPE_SMTP},
        {"anna@example.org", sample_password, SCOPE_IMAP | SCOPE_SMTP},
        {"anna@example.org", sample_password, 0},
        {"nobody@example.org", sample_password, SCOPE_IMAP},
        {"bert@example.net", sample_password, SCOPE_IMAP},
        {"whoever@example.net", sample_password, SCOPE_IMAP},
        {"@example.net", sample_password, SCOPE_IMAP},
        {"@", sample_password, SCOPE_IMAP},
        {"", sample_password, SCOPE_IMAP},
        {"anna", sample_password, SCOPE_IMAP},
        {"anna@example.com", sample_password, SCOPE_IMAP},
        {"anna+x@example.org", sample_password, SCOPE_IMAP},
        {"not an address", sample_password, SCOPE_IMAP},
    };
    assert_int_equal(login(refused[0].user, refused[0].password, SCOPE_IMAP, &user), ERR_DENIED);
    unsigned work = sample_lookups;
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        user = (struct view_user){4711, "as it was"};
        int err = login(refused[i].user, refused[i].password, refused[i].scope, &user);
        if (err != ERR_DENIED || user.account != 4711 || strcmp(user.primary, "as it was") != 0 ||
            sample_lookups != work)
            fail_msg("\"%s\": %d, account %u, %u look-ups of %u", refused[i].user, err, (unsigned)user.account,
                     sample_lookups, work);
    }
    char big[2000];
    memset(big, 'a', sizeof(big));
    assert_int_equal(view_login(sample_view, big, sizeof(big), sample_password, strlen(sample_password), SCOPE_IMAP,
                                &user),
                     ERR_DENIED);
    assert_int_equal(view_login(sample_view, "anna@example.org", 16, big, sizeof(big), SCOPE_IMAP, &user), ERR_DENIED);
}

/* ---- SCRAM ---- */

struct proofs {
    unsigned asked, right; /* which of them fits: the first is 1, 0 none */
};

static bool fits(void *arg, const uint8_t stored_key[32], const uint8_t server_key[32])
{
    struct proofs *p = arg;
    return ++p->asked == p->right;
}

static int prove(const char *user, unsigned scope, unsigned right, struct view_user *ret)
{
    struct proofs p = {.right = right};
    uint8_t hash[RECORD_HASH_SIZE];
    sample_lookups = 0;
    int err = view_login_scram(sample_view, user, strlen(user), fits, &p, scope, ret, hash);
    assert_int_equal(p.asked, ACCOUNT_PASSWORDS_MAX); /* whoever it is, and whatever fits */
    return err;
}

static void test_login_scram(void **st)
{
    static const char *const refused[] = {
        "nobody@example.org", "bert@example.net",  "whoever@example.net", "@", "", "anna",
        "anna@example.com",   "anna+x@example.org"};
    struct view_user user = {0};
    assert_int_equal(prove("POST@example.org", SCOPE_IMAP, 1, &user), OK);
    assert_int_equal(user.account, A);
    assert_string_equal(user.primary, "anna@example.org");
    user = (struct view_user){4711, "as it was"};
    assert_int_equal(prove("anna@example.org", SCOPE_IMAP, 0, &user), ERR_DENIED);
    unsigned work = sample_lookups;
    assert_int_equal(prove("anna@example.org", SCOPE_SMTP, 1, &user), ERR_DENIED);
    assert_int_equal(sample_lookups, work);
    assert_int_equal(prove("anna@example.org", 0, 1, &user), ERR_DENIED);
    /* What fills up the number is nobody's, were it right. */
    assert_int_equal(prove("anna@example.org", SCOPE_IMAP, 2, &user), ERR_DENIED);
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        assert_int_equal(prove(refused[i], SCOPE_IMAP, 1, &user), ERR_DENIED);
        assert_int_equal(sample_lookups, work);
    }
    assert_int_equal(user.account, 4711);
}

static void test_scram_salt(void **st)
{
    static const char *const users[] = {"anna@example.org", "nobody@example.org", "other@example.org",
                                        "who@elsewhere.example", "not an address"};
    uint8_t salts[5][SCRAM_SALT_LEN], again[SCRAM_SALT_LEN];
    uint32_t iterations, first = 0;
    unsigned work = 0;
    for (size_t i = 0; i < 5; i++) {
        sample_lookups = 0;
        assert_int_equal(view_scram_salt(sample_view, users[i], strlen(users[i]), salts[i], &iterations), OK);
        assert_int_equal(iterations, i ? first : iterations);
        assert_int_equal(sample_lookups, i ? work : sample_lookups);
        first = iterations;
        work = sample_lookups;
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(salts[i], salts[k], SCRAM_SALT_LEN);
        assert_int_equal(view_scram_salt(sample_view, users[i], strlen(users[i]), again, &iterations), OK);
        assert_memory_equal(again, salts[i], SCRAM_SALT_LEN);
    }
    /* However it is written, as an account's is. */
    assert_int_equal(view_scram_salt(sample_view, "NOBODY@Example.ORG", 18, again, &iterations), OK);
    assert_memory_equal(again, salts[1], SCRAM_SALT_LEN);
}

static void test_mailbox_find(void **st)
{
    static const struct {
        const char *name;
        uint32_t id;
    } table[] = {
        {"INBOX", 1}, {"inbox", 1}, {"InBoX/Work", 2}, {"inbox/work", 0}, {"Sent", 300},
        {"sent", 0},  {"", 0},      {"INBOXES", 0},    {"INBOX/", 0},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        uint32_t id = 0;
        assert_int_equal(view_mailbox_find(sample_view, A, table[i].name, &id), table[i].id ? OK : ERR_NOT_FOUND);
        assert_int_equal(id, table[i].id);
    }
    char big[MAILBOX_NAME_MAX + 10];
    uint32_t id;
    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = 0;
    assert_int_equal(view_mailbox_find(sample_view, A, big, &id), ERR_NOT_FOUND);
}

static int read_packets(const struct schema_message *m, uint64_t offset, uint8_t *out, size_t len)
{
    return view_packets(sample_view, A, m, offset, out, len);
}

static void test_packets(void **st)
{
    static uint8_t out[sizeof(sample_packets) + 1];
    enum { C = CONTENT_CHUNK, H = 20000 /* the head, more than a chunk */ };
    static const struct {
        uint64_t offset;
        size_t len;
    } table[] = {
        {0, 2 * ENGINE_BLOB_CHUNK},
        {0, 0},
        {0, 1},
        {C - 1, 2},
        {C, C},
        {C + 1, C},
        {2 * C - 1, 1},
        {H - 1, 1},
        {H - 1, 2},
        {H, 1},
        {H + 5, 9},
        {16326, 3},
        {2 * ENGINE_BLOB_CHUNK, 0},
        {H - 3, 12000},
    };
    const struct schema_message *const both[] = {&sample_hidden, &sample_marked};
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
            assert_int_equal(read_packets(both[k], table[i].offset, out, table[i].len), OK);
            assert_memory_equal(out, sample_packets + table[i].offset, table[i].len);
        }
    assert_int_equal(read_packets(&sample_hidden, 0, out, sizeof(sample_packets)), OK);
    assert_memory_equal(out, sample_packets, sizeof(sample_packets));
    assert_int_equal(read_packets(&sample_hidden, 0, out, sizeof(sample_packets) + 1), ERR_NOT_FOUND);
    assert_int_equal(read_packets(&sample_hidden, sizeof(sample_packets), out, 1), ERR_NOT_FOUND);
    assert_int_equal(read_packets(&sample_hidden, UINT64_MAX - 5, out, 4), ERR_NOT_FOUND);
    assert_int_equal(read_packets(&sample_marked, 0, out, 2 * ENGINE_BLOB_CHUNK + 1), ERR_NOT_FOUND);
    struct schema_message none = sample_marked;
    none.id = 79;
    assert_int_equal(read_packets(&none, 0, out, 1), ERR_NOT_FOUND);
    assert_int_equal(view_capsule(sample_view, A, &sample_hidden, 5, out, sizeof(sample_capsule) - 5), OK);
    assert_memory_equal(out, sample_capsule + 5, sizeof(sample_capsule) - 5);
    assert_int_equal(view_capsule(sample_view, A, &sample_hidden, 5, out, sizeof(sample_capsule) - 4), ERR_NOT_FOUND);
}

struct runs {
    unsigned n;
    int answer;
};

static int count_run(void *arg, struct view *w)
{
    struct runs *r = arg;
    struct schema_account a;
    assert_int_equal(view_account(w, A, &a), OK);
    assert_int_equal(view_run(w, count_run, arg), ERR_CONFLICT); /* they do not nest */
    r->n++;
    return r->answer;
}

/* A snapshot that lived too long is run again, and what it answered is void; a bound is set to that. */
static void test_run(void **st)
{
    static const struct {
        uint64_t overruns;
        int answer, want;
        unsigned runs;
    } table[] = {
        {0, OK, OK, 1},
        {0, 7, 7, 1},
        {0, ERR_NOT_FOUND, ERR_NOT_FOUND, 1},
        {1, OK, OK, 2},
        {VIEW_TRIES - 1, ERR_DENIED, ERR_DENIED, VIEW_TRIES},
        {VIEW_TRIES, OK, ERR_OVERRUN, VIEW_TRIES},
        {VIEW_TRIES, ERR_NOT_FOUND, ERR_OVERRUN, VIEW_TRIES},
    };
    struct engine *inner, *fail;
    struct engine_txn *t;
    struct view *w;
    assert_int_equal(engine_mem_create(&inner), OK);
    assert_int_equal(engine_fail_wrap(inner, &fail), OK);
    assert_int_equal(engine_group_begin(fail, &t), OK);
    sample_fill(t);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(view_over(fail, sample_keys, &w), OK);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct runs r = {.answer = table[i].answer};
        engine_fail_overrun(fail, table[i].overruns);
        assert_int_equal(view_run(w, count_run, &r), table[i].want);
        assert_int_equal(r.n, table[i].runs);
    }
    view_close(w);
    engine_close(fail);
}

static void test_open(void **st)
{
    char dir[] = "/tmp/letterlock-view-XXXXXX", store[64], path[80];
    static const uint8_t other_key[RECORD_KEY_SIZE] = {2};
    struct record_bundle keys, other;
    struct engine *writer;
    struct engine_txn *t;
    struct view *w;
    struct schema_keybuf kb;
    struct schema_address a;
    record_bundle_make(sample_store_key, sample_store_key, &keys);
    record_bundle_make(other_key, other_key, &other);
    assert_non_null(mkdtemp(dir));
    snprintf(store, sizeof(store), "%s/store", dir);
    assert_int_equal(view_open(dir, &keys, 1000, &w), ERR_NOT_FOUND);
    assert_int_equal(engine_lmdb_create(store, 16 << 20, 50, &writer), OK);
    assert_int_equal(view_open(dir, &keys, 1000, &w), ERR_NOT_FOUND); /* made, but nothing is in it yet */
    assert_int_equal(engine_group_begin(writer, &t), OK);
    sample_fill(t);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(view_open(dir, &other, 1000, &w), ERR_CRYPTO);
    assert_int_equal(view_open(dir, &keys, 1000, &w), OK);
    assert_int_equal(view_begin(w), OK);
    assert_int_equal(view_route(w, "anna@example.org", 16, &a), OK);
    assert_int_equal(view_end(w), OK);
    view_close(w);
    assert_int_equal(engine_group_begin(writer, &t), OK);
    assert_int_equal(engine_put(t, PART_INSTANCE, key_simple(&kb, 'V'), slice_of("\0\0\1\0whatever", 12)), OK);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(view_open(dir, &keys, 1000, &w), ERR_VERSION);
    struct engine_stat was, is;
    assert_int_equal(engine_stat_get(writer, &was), OK);
    assert_int_equal(store_init(writer, sample_keys, 1), ERR_VERSION);
    engine_close(writer);
    /* nor does a writer of ours leave a trace in it */
    assert_int_equal(engine_lmdb_create(store, 16 << 20, 50, &writer), OK);
    assert_int_equal(store_init(writer, sample_keys, 1), ERR_VERSION);
    assert_int_equal(engine_stat_get(writer, &is), OK);
    assert_int_equal(is.seq, was.seq);
    engine_close(writer);
    static const char *const files[] = {"data.mdb", "lock.mdb", "reserve"};
    for (unsigned i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", store, files[i]);
        unlink(path);
    }
    rmdir(store);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_routes),       TEST(test_login),   TEST(test_login_scram),     TEST(test_scram_salt),
        TEST(test_mailbox_find), TEST(test_packets), cmocka_unit_test(test_run), cmocka_unit_test(test_open),
    };
    return cmocka_run_group_tests(tests, sample_setup, sample_teardown);
}
