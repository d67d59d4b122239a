/* The read side: where mail goes, who may log in (and that a refusal costs the same whatever its reason), listings,
 * blobs, opening. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/core/error.h"
#include "store/engine_impl.h"
#include "store/account.h"
#include "store/view_impl.h"

enum { A = 16, B = 17 };
static const char password[] = "abcde-fghij-klmno-pqrst-uvwxyz";

static struct engine *e;
static struct view *v;
static struct record_keys *keys;
static const uint8_t store_key[RECORD_KEY_SIZE] = {1};
static uint8_t packets[2 * ENGINE_BLOB_CHUNK + 100];

/* ---- counting look-ups ---- */

static struct engine_ops counting;
static const struct engine_ops *counted;
static unsigned gets;

static int count_get(struct engine_txn *t, uint64_t part, struct slice key, struct slice *ret)
{
    gets++;
    return counted->get(t, part, key, ret);
}

/* ---- the store ---- */

static void put_address(struct engine_txn *t, const char *text, uint64_t account, uint8_t kind)
{
    struct schema_address a = {.account = account, .kind = kind};
    snprintf(a.address, sizeof(a.address), "%s", text);
    assert_int_equal(schema_put_address(t, keys, &a), OK);
}

static void put_mailbox(struct engine_txn *t, uint32_t id, const char *text)
{
    struct schema_mailbox_name n = {.use = 0};
    struct schema_mailbox m = {.id = id, .uidvalidity = 1, .uidnext = 1};
    snprintf(n.name, sizeof(n.name), "%s", text);
    assert_int_equal(schema_put_mailbox_name(t, keys, A, id, &n), OK);
    assert_int_equal(schema_put_mailbox(t, A, &m), OK);
}

static void put_blob(struct engine_txn *t, uint64_t blob, const uint8_t *data, size_t len)
{
    for (uint32_t n = 0; (size_t)n * ENGINE_BLOB_CHUNK < len; n++) {
        size_t pos = (size_t)n * ENGINE_BLOB_CHUNK,
               part = len - pos < ENGINE_BLOB_CHUNK ? len - pos : ENGINE_BLOB_CHUNK;
        assert_int_equal(engine_blob_put(t, A, BLOB_PACKETS, blob, n, slice_of(data + pos, part)), OK);
    }
}

static void fill(struct engine_txn *t)
{
    struct schema_account a = {.id = A, .address = "anna@example.org"};
    assert_int_equal(schema_init(t, keys, 1), OK);
    assert_int_equal(schema_put_account(t, keys, A, &a), OK);
    assert_int_equal(schema_put_domain(t, keys, "example.org", 1), OK);
    assert_int_equal(schema_put_domain(t, keys, "example.net", 1), OK);
    put_address(t, "anna@example.org", A, ADDRESS_PRIMARY);
    put_address(t, "post@example.org", A, ADDRESS_ALIAS);
    put_address(t, "anna+exact@example.org", B, ADDRESS_ALIAS);
    put_address(t, "bert@example.net", B, ADDRESS_PRIMARY);
    put_address(t, "@example.net", B, ADDRESS_CATCH_ALL);
    put_address(t, "postmaster@example.net", A, ADDRESS_ALIAS);
    assert_int_equal(schema_put_listed(t, keys, A, "anna@example.org"), OK);
    assert_int_equal(schema_put_listed(t, keys, B, "bert@example.net"), OK);
    put_mailbox(t, 1, "INBOX");
    put_mailbox(t, 2, "INBOX/Work");
    put_mailbox(t, 300, "Sent");
    for (uint32_t uid = 1; uid <= 3000; uid += 7) {
        struct schema_entry en = {.message = uid, .modseq = uid};
        assert_int_equal(schema_put_entry(t, A, 1, uid, &en), OK);
    }
    struct schema_entry last = {.message = 1};
    assert_int_equal(schema_put_entry(t, A, 1, UINT32_MAX, &last), OK);
    assert_int_equal(schema_put_entry(t, A, 2, 1, &last), OK);
    struct schema_block b = {.count = 1, .unseen = 1, .here = {1}};
    for (uint32_t n = 0; n < 3; n++)
        assert_int_equal(schema_put_block(t, A, 1, n, &b), OK);
    assert_int_equal(schema_put_block(t, A, 2, 9, &b), OK);
    uint8_t hash[RECORD_HASH_SIZE];
    struct schema_app_password p = {.scope = SCOPE_IMAP, .number = 1, .label = "phone"};
    assert_int_equal(app_password_hash(keys, A, password, strlen(password), hash), OK);
    assert_int_equal(schema_put_app_password(t, keys, A, hash, &p), OK);
    struct schema_key k = {.state = KEY_CURRENT,
                           .blob = 0,
                           .cert_len = 9,
                           .verdict = {.primary_fpr_len = 20, .enc_fpr_len = 20}};
    assert_int_equal(schema_put_key(t, A, &k), OK);
    assert_int_equal(schema_put_cert(t, keys, A, k.blob, slice_of("some cert", 9)), OK);
    k.verdict.primary_fpr[0] = 9;
    k.state = KEY_RETIRED;
    assert_int_equal(schema_put_key(t, A, &k), OK);
    randombytes_buf(packets, sizeof(packets));
    put_blob(t, 77, packets, sizeof(packets));
    put_blob(t, 78, packets, 2 * ENGINE_BLOB_CHUNK);
}

static int each_setup(void **st)
{
    struct engine_txn *t;
    assert_int_equal(engine_mem_create(&e), OK);
    counted = e->ops;
    counting = *counted;
    counting.get = count_get;
    e->ops = &counting;
    assert_int_equal(engine_group_begin(e, &t), OK);
    fill(t);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(view_over(e, keys, &v), OK);
    assert_int_equal(view_begin(v), OK);
    return 0;
}

static int each_teardown(void **st)
{
    assert_int_equal(view_end(v), OK);
    view_close(v);
    engine_close(e);
    return 0;
}

/* ---- tests ---- */

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
        int err = view_route(v, table[i].address, strlen(table[i].address), &a);
        if (err != table[i].err || a.account != table[i].account || a.kind != table[i].kind)
            fail_msg("%s: %d, account %u, kind %u", table[i].address, err, (unsigned)a.account, a.kind);
    }
    assert_int_equal(view_domain_known(v, "example.org"), OK);
    assert_int_equal(view_domain_known(v, "example.com"), ERR_NOT_FOUND);
}

static int login(const char *user, const char *pw, unsigned scope, uint64_t *ret)
{
    gets = 0;
    return view_login(v, user, strlen(user), pw, strlen(pw), scope, ret);
}

static void test_login(void **st)
{
    uint64_t account = 0;
    assert_int_equal(login("anna@example.org", password, SCOPE_IMAP, &account), OK);
    assert_int_equal(account, A);
    unsigned work = gets;
    account = 0;
    assert_int_equal(login("POST@example.org", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", SCOPE_IMAP, &account), OK);
    assert_int_equal(account, A);
    static const struct {
        const char *user, *password;
        unsigned scope;
    } refused[] = {
        {"anna@example.org", "abcde-fghij-klmno-pqrst-uvwxya", SCOPE_IMAP},
        {"anna@example.org", "", SCOPE_IMAP},
        {"anna@example.org", password, SCOPE_SMTP},
        {"anna@example.org", password, SCOPE_IMAP | SCOPE_SMTP},
        {"anna@example.org", password, 0},
        {"nobody@example.org", password, SCOPE_IMAP},
        {"bert@example.net", password, SCOPE_IMAP},
        {"whoever@example.net", password, SCOPE_IMAP},
        {"@example.net", password, SCOPE_IMAP},
        {"@", password, SCOPE_IMAP},
        {"", password, SCOPE_IMAP},
        {"anna", password, SCOPE_IMAP},
        {"anna@example.com", password, SCOPE_IMAP},
        {"anna+x@example.org", password, SCOPE_IMAP},
        {"not an address", password, SCOPE_IMAP},
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        account = 4711;
        int err = login(refused[i].user, refused[i].password, refused[i].scope, &account);
        if (err != ERR_DENIED || account != 4711 || gets != work)
            fail_msg("\"%s\": %d, account %u, %u look-ups of %u", refused[i].user, err, (unsigned)account, gets, work);
    }
    char big[2000];
    memset(big, 'a', sizeof(big));
    assert_int_equal(view_login(v, big, sizeof(big), password, strlen(password), SCOPE_IMAP, &account), ERR_DENIED);
    assert_int_equal(view_login(v, "anna@example.org", 16, big, sizeof(big), SCOPE_IMAP, &account), ERR_DENIED);
}

struct list {
    char text[300];
    unsigned n, stop;
};

static int note(struct list *l, const char *fmt, unsigned a, const char *s)
{
    size_t n = strlen(l->text);
    snprintf(l->text + n, sizeof(l->text) - n, fmt, a, s);
    return ++l->n == l->stop ? 99 : 0;
}

static int on_key(void *l, const struct schema_key *k)
{
    return note(l, "%u%s ", k->state, "");
}
static int on_box(void *l, const struct schema_mailbox_name *n, const struct schema_mailbox *b)
{
    return note(l, "%u %s, ", b->id, n->name);
}
static int on_account(void *l, uint64_t a, const char *s)
{
    return note(l, "%u %s, ", (unsigned)a, s);
}
static int on_domain(void *l, const char *s)
{
    return note(l, "%.0u%s ", 0, s);
}
static int on_password(void *l, const struct schema_app_password *p)
{
    return note(l, "%u %s", p->number, p->label);
}
static int on_address(void *l, const struct schema_address *a)
{
    return ((struct list *)l)->n++, 0;
}
static int on_id(void *l, uint64_t id)
{
    return note(l, "%u%s ", (unsigned)id, "");
}
static int on_expunged(void *l, uint32_t first, uint32_t last)
{
    char text[32];
    snprintf(text, sizeof(text), "-%u ", last);
    return note(l, "%u%s", first, text);
}
static int on_changed(void *l, uint64_t modseq, uint32_t uid)
{
    char text[32];
    snprintf(text, sizeof(text), ":%u ", uid);
    return note(l, "%u%s", (unsigned)modseq, text);
}
static int on_entry(void *l, uint32_t uid, const struct schema_entry *en)
{
    return note(l, "%u%s ", uid, "");
}
static int on_block(void *l, uint32_t n, const struct schema_block *b)
{
    return note(l, "%u%s ", n, "");
}

static void test_listings(void **st)
{
    struct list l = {0};
    assert_int_equal(view_keys_each(v, A, on_key, &l), OK);
    assert_string_equal(l.text, "1 2 ");
    l = (struct list){0};
    assert_int_equal(view_mailboxes_each(v, A, on_box, &l), OK);
    assert_string_equal(l.text, "1 INBOX, 2 INBOX/Work, 300 Sent, ");
    l = (struct list){.stop = 2};
    assert_int_equal(view_mailboxes_each(v, A, on_box, &l), 99);
    l = (struct list){0};
    assert_int_equal(view_mailboxes_each(v, B, on_box, &l), OK);
    assert_string_equal(l.text, "");
    assert_int_equal(view_accounts_each(v, on_account, &l), OK);
    assert_string_equal(l.text, "16 anna@example.org, 17 bert@example.net, ");
    l = (struct list){0};
    assert_int_equal(view_domains_each(v, on_domain, &l), OK);
    assert_true(strstr(l.text, "example.org ") && strstr(l.text, "example.net ") && strlen(l.text) == 24);
    l = (struct list){0};
    assert_int_equal(view_addresses_each(v, on_address, &l), OK);
    assert_int_equal(l.n, 6);
    l = (struct list){0};
    assert_int_equal(view_app_passwords_each(v, A, on_password, &l), OK);
    assert_string_equal(l.text, "1 phone");
}

static void expect_entries(uint32_t from, uint32_t to, const char *want)
{
    struct list l = {0};
    assert_int_equal(view_entries_each(v, A, 1, from, to, on_entry, &l), OK);
    assert_string_equal(l.text, want);
}

struct walk {
    uint64_t seen[8];
    unsigned n, max;
};

static int on_walked_account(void *arg, uint64_t account, const char *address)
{
    struct walk *w = arg;
    w->seen[w->n++] = account;
    return w->n == w->max;
}

static int on_message(void *arg, const struct schema_message *m)
{
    assert_true(m->outer.len == 0 && m->outer_len == 5 && m->nfprs == 1 && m->fprs[0][0] == (uint8_t)m->id);
    return on_walked_account(arg, m->id, NULL);
}

/* Slices: each goes on after the last one seen. */
static void test_walks(void **st)
{
    static const uint64_t ids[] = {1, 255, 256, 1ull << 32, UINT64_MAX};
    struct engine_txn *t;
    assert_int_equal(view_end(v), OK);
    assert_int_equal(engine_group_begin(e, &t), OK);
    for (size_t i = 0; i < 5; i++) {
        struct schema_message m = {.id = ids[i],
                                   .kind = MESSAGE_CLIENT,
                                   .outer_len = 5,
                                   .outer = slice_of("outer", 5),
                                   .nfprs = 1,
                                   .fprs = {{(uint8_t)ids[i]}}};
        assert_int_equal(schema_put_message(t, keys, A, &m), OK);
    }
    struct schema_keybuf kb;
    assert_int_equal(engine_put(t, A, key_u64(&kb, 'l', 3), slice_of("before", 6)), OK);
    assert_int_equal(engine_put(t, A, key_u64(&kb, 'n', 3), slice_of("behind", 6)), OK);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(view_begin(v), OK);
    uint64_t after = 0;
    for (size_t i = 0; i < 5; i++) {
        struct walk w = {.max = 1};
        assert_int_equal(view_messages_after(v, A, after, on_message, &w), 1);
        assert_true(w.seen[0] == ids[i]);
        after = w.seen[0];
    }
    struct walk all = {.max = 8}, none = {.max = 1};
    assert_int_equal(view_messages_after(v, A, after, on_message, &none), OK);
    assert_int_equal(view_messages_after(v, B, 0, on_message, &none), OK);
    assert_int_equal(view_messages_after(v, A, 0, on_message, &all), OK);
    assert_true(all.n == 5 && none.n == 0);
    struct walk accounts = {.max = 8};
    assert_int_equal(view_accounts_after(v, 0, on_walked_account, &accounts), OK);
    assert_true(accounts.n == 2 && accounts.seen[0] == A && accounts.seen[1] == B);
    accounts.n = 0;
    assert_int_equal(view_accounts_after(v, A, on_walked_account, &accounts), OK);
    assert_true(accounts.n == 1 && accounts.seen[0] == B);
    assert_int_equal(view_accounts_after(v, B, on_walked_account, &none), OK);
    assert_int_equal(view_accounts_after(v, UINT64_MAX, on_walked_account, &none), OK);
    assert_int_equal(none.n, 0);
}

static void test_entries_and_blocks(void **st)
{
    expect_entries(1, 15, "1 8 15 ");
    expect_entries(2, 14, "8 ");
    expect_entries(8, 8, "8 ");
    expect_entries(9, 8, "");
    expect_entries(2990, UINT32_MAX, "2990 2997 4294967295 ");
    expect_entries(UINT32_MAX, UINT32_MAX, "4294967295 ");
    expect_entries(0, 0, "");
    struct list l = {0};
    assert_int_equal(view_blocks_each(v, A, 1, on_block, &l), OK);
    assert_string_equal(l.text, "0 1 2 ");
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
        assert_int_equal(view_mailbox_find(v, A, table[i].name, &id), table[i].id ? OK : ERR_NOT_FOUND);
        assert_int_equal(id, table[i].id);
    }
    char big[MAILBOX_NAME_MAX + 10];
    uint32_t id;
    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = 0;
    assert_int_equal(view_mailbox_find(v, A, big, &id), ERR_NOT_FOUND);
}

static void test_blobs(void **st)
{
    static uint8_t out[sizeof(packets) + 1];
    static const struct {
        uint64_t offset;
        size_t len;
    } table[] = {
        {0, sizeof(packets)},
        {0, 0},
        {0, 1},
        {ENGINE_BLOB_CHUNK - 1, 2},
        {ENGINE_BLOB_CHUNK, ENGINE_BLOB_CHUNK},
        {ENGINE_BLOB_CHUNK + 1, ENGINE_BLOB_CHUNK},
        {2 * ENGINE_BLOB_CHUNK + 99, 1},
        {sizeof(packets), 0},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        assert_int_equal(view_blob(v, A, BLOB_PACKETS, 77, table[i].offset, out, table[i].len), OK);
        assert_memory_equal(out, packets + table[i].offset, table[i].len);
    }
    assert_int_equal(view_blob(v, A, BLOB_PACKETS, 77, 0, out, sizeof(packets) + 1), ERR_NOT_FOUND);
    assert_int_equal(view_blob(v, A, BLOB_PACKETS, 77, sizeof(packets), out, 1), ERR_NOT_FOUND);
    assert_int_equal(view_blob(v, A, BLOB_PACKETS, 77, UINT64_MAX - 5, out, 4), ERR_NOT_FOUND);
    assert_int_equal(view_blob(v, A, BLOB_PACKETS, 78, 0, out, 2 * ENGINE_BLOB_CHUNK), OK);
    assert_int_equal(view_blob(v, A, BLOB_PACKETS, 78, 0, out, 2 * ENGINE_BLOB_CHUNK + 1), ERR_NOT_FOUND);
    assert_int_equal(view_blob(v, A, BLOB_PACKETS, 79, 0, out, 1), ERR_NOT_FOUND);
}

static void test_without_snapshot(void **st)
{
    struct view *w;
    struct schema_address a;
    struct list l = {0};
    uint64_t account;
    uint32_t id;
    uint8_t out[8], hash[RECORD_HASH_SIZE] = {0};
    assert_int_equal(view_begin(v), ERR_CONFLICT); /* they do not nest */
    assert_int_equal(view_over(e, keys, &w), OK);
    assert_int_equal(view_end(w), ERR_CONFLICT);
    assert_int_equal(view_route(w, "anna@example.org", 16, &a), ERR_CONFLICT);
    assert_int_equal(view_login(w, "a@b", 3, "x", 1, 1, &account), ERR_CONFLICT);
    assert_int_equal(view_keys_each(w, A, on_key, &l), ERR_CONFLICT);
    assert_int_equal(view_mailbox_find(w, A, "INBOX", &id), ERR_CONFLICT);
    assert_int_equal(view_entries_each(w, A, 1, 1, 2, on_entry, &l), ERR_CONFLICT);
    assert_int_equal(view_messages_after(w, A, 0, on_message, &l), ERR_CONFLICT);
    assert_int_equal(view_accounts_after(w, 0, on_account, &l), ERR_CONFLICT);
    assert_int_equal(view_blob(w, A, BLOB_PACKETS, 77, 0, out, 8), ERR_CONFLICT);
    assert_int_equal(view_address(w, "anna@example.org", &a), ERR_CONFLICT);
    assert_int_equal(view_account_erasing(w, A), ERR_CONFLICT);
    assert_int_equal(view_password_lives(w, A, hash), ERR_CONFLICT);
    assert_int_equal(view_expunged_since(w, A, 1, 0, on_expunged, &l), ERR_CONFLICT);
    assert_int_equal(view_changed_since(w, A, 1, 0, on_changed, &l), ERR_CONFLICT);
    assert_int_equal(view_message_ids_after(w, A, 0, on_id, &l), ERR_CONFLICT);
    assert_int_equal(view_account_numbers_each(w, on_id, &l), ERR_CONFLICT);
    view_close(w);
}

static void put_raw(struct engine_txn *t, uint64_t part, struct slice key, const char *value, size_t len)
{
    assert_int_equal(engine_put(t, part, key, slice_of(value, len)), OK);
}

/* What became of a mailbox since a MODSEQ: another mailbox's, and what was told already, is not in it. */
static void test_since(void **st)
{
    struct engine_txn *t;
    struct schema_keybuf k;
    assert_int_equal(view_end(v), OK);
    assert_int_equal(engine_group_begin(e, &t), OK);
    put_raw(t, A, key_u32_u64(&k, 'x', 1, 5), "\0\0\0\1\0\0\0\1\0\0\0\1", 12);
    put_raw(t, A, key_u32_u64(&k, 'x', 1, 300), "\0\0\0\2\0\0\0\3\0\0\0\5\0\0\1\0\0\0\1\2", 20);
    put_raw(t, A, key_u32_u64(&k, 'x', 1, UINT64_MAX), "\0\0\0\1\0\0\0\7\0\0\0\7", 12);
    put_raw(t, A, key_u32_u64(&k, 'x', 2, 6), "\0\0\0\1\0\0\0\x9\0\0\0\x9", 12);
    put_raw(t, A, key_u32_u64_u32(&k, 'w', 1, 5, 20), "", 0);
    put_raw(t, A, key_u32_u64_u32(&k, 'w', 1, 300, 8), "", 0);
    put_raw(t, A, key_u32_u64_u32(&k, 'w', 1, 300, 9), "", 0);
    put_raw(t, A, key_u32_u64_u32(&k, 'w', 2, 7, 1), "", 0);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(view_begin(v), OK);
    static const struct {
        uint32_t mailbox;
        uint64_t modseq;
        const char *expunged, *changed;
    } table[] = {
        {1, 0, "1-1 3-5 256-258 7-7 ", "5:20 300:8 300:9 "},
        {1, 5, "3-5 256-258 7-7 ", "300:8 300:9 "},
        {1, 300, "7-7 ", ""},
        {1, UINT64_MAX - 1, "7-7 ", ""},
        {1, UINT64_MAX, "", ""},
        {2, 5, "9-9 ", "7:1 "},
        {300, 0, "", ""},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct list x = {0}, w = {0};
        assert_int_equal(view_expunged_since(v, A, table[i].mailbox, table[i].modseq, on_expunged, &x), OK);
        assert_string_equal(x.text, table[i].expunged);
        assert_int_equal(view_changed_since(v, A, table[i].mailbox, table[i].modseq, on_changed, &w), OK);
        assert_string_equal(w.text, table[i].changed);
    }
    struct list first = {.stop = 2};
    assert_int_equal(view_expunged_since(v, A, 1, 0, on_expunged, &first), 99);
    assert_int_equal(view_end(v), OK);
    /* Damaged: fewer ranges than it says, and a key that is none. */
    assert_int_equal(engine_group_begin(e, &t), OK);
    put_raw(t, A, key_u32_u64(&k, 'x', 2, 6), "\0\0\0\2\0\0\0\x9\0\0\0\x9", 12);
    put_raw(t, A, key_u32_u64(&k, 'w', 2, 8), "", 0);
    put_raw(t, A, key_u32(&k, 'm', 8), "", 0);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(view_begin(v), OK);
    struct list l = {0};
    assert_int_equal(view_expunged_since(v, A, 2, 0, on_expunged, &l), ERR_FORMAT);
    assert_int_equal(view_changed_since(v, A, 2, 0, on_changed, &l), ERR_FORMAT);
    assert_int_equal(view_message_ids_after(v, A, 0, on_id, &l), ERR_FORMAT);
}

static void test_single(void **st)
{
    struct engine_txn *t;
    struct schema_keybuf k;
    struct schema_address a;
    struct schema_usage u;
    struct schema_mailbox box;
    struct schema_mailbox_name name;
    struct schema_block b;
    struct schema_entry en;
    struct list l = {0};
    uint8_t hash[RECORD_HASH_SIZE];
    assert_int_equal(view_end(v), OK);
    assert_int_equal(engine_group_begin(e, &t), OK);
    put_raw(t, PART_INSTANCE, key_u64(&k, 'Z', 40), "", 0);
    put_raw(t, 40, key_u64(&k, 'm', 1), "damaged", 7);
    put_raw(t, 40, key_u64(&k, 'm', 300), "", 0);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(view_begin(v), OK);
    assert_int_equal(view_address(v, "anna@example.org", &a), OK);
    assert_int_equal(a.account, A);
    assert_int_equal(view_address(v, "anna+list@example.org", &a), ERR_NOT_FOUND);
    assert_int_equal(view_address(v, "whoever@example.net", &a), ERR_NOT_FOUND);
    assert_int_equal(view_usage(v, A, &u), OK);
    assert_int_equal(u.messages, 0);
    assert_int_equal(view_account_erasing(v, 40), OK);
    assert_int_equal(view_account_erasing(v, A), ERR_NOT_FOUND);
    assert_int_equal(view_account_numbers_each(v, on_id, &l), OK);
    assert_string_equal(l.text, "16 40 ");
    l = (struct list){0};
    assert_int_equal(view_message_ids_after(v, 40, 0, on_id, &l), OK);
    assert_int_equal(view_message_ids_after(v, 40, 1, on_id, &l), OK);
    assert_string_equal(l.text, "1 300 300 ");
    assert_int_equal(app_password_hash(keys, A, password, strlen(password), hash), OK);
    assert_int_equal(view_password_lives(v, A, hash), OK);
    assert_int_equal(view_password_lives(v, B, hash), ERR_NOT_FOUND);
    assert_int_equal(view_mailbox(v, A, 300, &box), OK);
    assert_int_equal(box.id, 300);
    assert_int_equal(view_mailbox(v, A, 3, &box), ERR_NOT_FOUND);
    assert_int_equal(view_mailbox_name(v, A, 300, &name), OK);
    assert_string_equal(name.name, "Sent");
    assert_int_equal(view_block(v, A, 2, 9, &b), OK);
    assert_int_equal(b.count, 1);
    assert_int_equal(view_block(v, A, 2, 8, &b), OK);
    assert_int_equal(b.count, 0);
    assert_int_equal(view_entry(v, A, 1, 8, &en), OK);
    assert_int_equal(en.message, 8);
    assert_int_equal(view_entry(v, A, 1, 9, &en), ERR_NOT_FOUND);
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
    fill(t);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(view_over(fail, keys, &w), OK);
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
    uint8_t other_key[RECORD_KEY_SIZE] = {2};
    struct engine *writer;
    struct engine_txn *t;
    struct view *w;
    struct schema_keybuf kb;
    struct schema_address a;
    assert_non_null(mkdtemp(dir));
    snprintf(store, sizeof(store), "%s/store", dir);
    assert_int_equal(view_open(dir, store_key, 1000, &w), ERR_NOT_FOUND);
    assert_int_equal(engine_lmdb_writer(store, 16 << 20, 50, &writer), OK);
    assert_int_equal(view_open(dir, store_key, 1000, &w), ERR_NOT_FOUND); /* made, but nothing is in it yet */
    assert_int_equal(engine_group_begin(writer, &t), OK);
    fill(t);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(view_open(dir, other_key, 1000, &w), ERR_CRYPTO);
    assert_int_equal(view_open(dir, store_key, 1000, &w), OK);
    assert_int_equal(view_begin(w), OK);
    assert_int_equal(view_route(w, "anna@example.org", 16, &a), OK);
    assert_int_equal(view_end(w), OK);
    view_close(w);
    assert_int_equal(engine_group_begin(writer, &t), OK);
    assert_int_equal(engine_put(t, PART_INSTANCE, key_simple(&kb, 'V'), slice_of("\0\0\1\0whatever", 12)), OK);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(view_open(dir, store_key, 1000, &w), ERR_VERSION);
    struct engine_stat was, is;
    assert_int_equal(engine_stat_get(writer, &was), OK);
    assert_int_equal(store_init(writer, keys, 1), ERR_VERSION);
    engine_close(writer);
    /* nor does a writer of ours leave a trace in it */
    assert_int_equal(engine_lmdb_writer(store, 16 << 20, 50, &writer), OK);
    assert_int_equal(store_init(writer, keys, 1), ERR_VERSION);
    assert_int_equal(engine_stat_get(writer, &is), OK);
    assert_int_equal(is.seq, was.seq);
    engine_close(writer);
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", store, files[i]);
        unlink(path);
    }
    rmdir(store);
    assert_int_equal(rmdir(dir), 0);
}

static int setup(void **st)
{
    keys = sodium_init() < 0 ? NULL : record_keys_create(store_key);
    return !keys;
}

static int teardown(void **st)
{
    record_keys_destroy(keys);
    return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, each_setup, each_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_routes),
        TEST(test_login),
        TEST(test_listings),
        TEST(test_walks),
        TEST(test_entries_and_blocks),
        TEST(test_mailbox_find),
        TEST(test_blobs),
        TEST(test_since),
        TEST(test_single),
        TEST(test_without_snapshot),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_open),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
