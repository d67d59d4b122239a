#include "tests/support/vault_one_of_each.h"

#include "store/correspondent_impl.h"
#include "tests/support/published_cert.h"
#include "tests/support/signin_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

bool numbers_differ;

static int hash_one(void *arg, struct slice key, struct slice value)
{
    if (numbers_differ && key.len == 1 && key.data[0] == 'I')
        return 0;
    crypto_generichash_state *st = arg;
    uint64_t len[2] = {key.len, value.len};
    crypto_generichash_update(st, (const uint8_t *)len, sizeof(len));
    crypto_generichash_update(st, key.data, key.len);
    crypto_generichash_update(st, value.data, value.len);
    return 0;
}

static int hash_part(void *arg, uint64_t part)
{
    void **a = arg;
    struct schema_keybuf k;
    return engine_scan(a[1], part, key_simple(&k, '\0'), slice_of("", 0), 0, hash_one, a[0]);
}

struct state state_of(struct bench *b)
{
    struct state s;
    struct engine_txn *t;
    crypto_generichash_state st;
    crypto_generichash_init(&st, NULL, 0, sizeof(s.hash));
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    void *a[2] = {&st, t};
    assert_int_equal(engine_partitions(t, hash_part, a), OK);
    (void)engine_read_end(t);
    crypto_generichash_final(&st, s.hash, sizeof(s.hash));
    return s;
}

int cert_add(struct setting *s, struct pgp_verdict v)
{
    const struct vault_request q = {.type = VAULT_KEY_ADD,
                                    .account = s->b.account,
                                    .key = {.verdict = v, .cert_len = 300}};
    return request(&s->b, &q, s->cert);
}

void setting_make(struct setting *s)
{
    struct pgp_verdict expired = verdict_of(1);
    uint8_t cert[300];
    expired.enc_expires = (uint32_t)test_now;
    bench_mem(&s->b, true);
    bench_account(&s->b);
    s->parcel = parcel_of(OUTER, 1, 33000);
    memset(cert, 2, sizeof(cert));
    assert_int_equal(parcel_make_plain(cert, sizeof(cert), &s->cert), OK);
    assert_int_equal(cert_add(s, expired), OK); /* which may be told */
    s->published_len = published_cert(9, (const char *const[]){"<alice@example.org>", NULL}, s->published, &expired);
    assert_true(s->published_len > 0);
    expired.enc_expires = (uint32_t)test_now;
    assert_int_equal(cert_add(s, expired), OK);
    uint8_t waits[PUBLISHED_CERT_MAX];
    struct pgp_verdict same;
    const size_t len = published_cert(9, (const char *const[]){"Alice <alice@example.org>", NULL}, waits, &same);
    const struct vault_request upload = {.type = VAULT_UPLOAD_ADD,
                                         .publish = {slice_str("alice@example.org"), slice_of(waits, len), 0}};
    assert_int_equal(request(&s->b, &upload, -1), OK);
    memcpy(s->token, s->b.r.token, sizeof(s->token));
    for (int i = 0; i < 4; i++) {
        struct letter l = {.mailbox = 1,
                           .flags = i == 2 ? FLAG_DELETED : 0,
                           .id = (uint8_t)(100 + i),
                           .keyword = i ? NULL : "first"};
        assert_int_equal(deliver_call(&s->b, &l, s->parcel), OK);
    }
    assert_int_equal(create_call(&s->b, "deep/er", &s->deep), OK);
    assert_int_equal(copy_call(&s->b, 1, s->deep, 0, (uint32_t[]){1, 2}, 1), OK);
    store_recount(s->b.engine, s->b.keys, s->b.account);
}

void setting_end(struct setting *s)
{
    close(s->parcel);
    close(s->cert);
    bench_close(&s->b);
}

int key_add(struct setting *s)
{
    return cert_add(s, verdict_of(2));
}

static int key_state(struct setting *s, enum vault_msg type, int fd)
{
    uint8_t fpr[20];
    const struct vault_request q = {.type = type,
                                    .account = s->b.account,
                                    .key = {.fpr = slice_of(fpr, sizeof(fpr)), .cert_len = 300}};
    memset(fpr, 2, sizeof(fpr));
    return request(&s->b, &q, fd);
}

int key_retire(struct setting *s)
{
    return key_state(s, VAULT_KEY_RETIRE, -1);
}

int key_current(struct setting *s)
{
    return key_state(s, VAULT_KEY_CURRENT, -1);
}

int key_enc_revoked(struct setting *s)
{
    return key_state(s, VAULT_KEY_ENC_REVOKED, -1);
}

int key_revoked(struct setting *s)
{
    return key_state(s, VAULT_KEY_REVOKED, s->cert);
}

int key_notice(struct setting *s)
{
    uint8_t fpr[20];
    struct engine_txn *t;
    struct schema_account a;
    struct letter l = {.mailbox = 1, .keyword = "told"};
    memset(fpr, 1, sizeof(fpr));
    assert_int_equal(engine_read_begin(s->b.engine, &t), OK);
    assert_int_equal(schema_get_account(t, s->b.keys, s->b.account, &a), OK);
    (void)engine_read_end(t);
    struct vault_request q = letter_request(s->b.account, &l);
    q.type = VAULT_KEY_NOTICE;
    q.deliver.notice.fpr = slice_of(fpr, sizeof(fpr));
    q.deliver.notice.events = KEY_EVENT_EXPIRED;
    q.deliver.notice.keys_version = a.keys_version;
    return request(&s->b, &q, s->parcel);
}

int account_only(struct setting *s, enum vault_msg type)
{
    const struct vault_request q = {.type = type, .account = s->b.account, .new = {.policy = 1, .quota = 5000000}};
    return request(&s->b, &q, -1);
}

static int name_only(struct setting *s, enum vault_msg type, const char *name)
{
    const struct vault_request q = {.type = type, .account = s->b.account, .name = {slice_str(name), ADDRESS_ALIAS}};
    return request(&s->b, &q, -1);
}

static int password(struct setting *s, enum vault_msg type)
{
    const struct vault_request q = {.type = type,
                                    .account = s->b.account,
                                    .password = {.hash = {3},
                                                 .scope = SCOPE_SMTP,
                                                 .stored_key = {3},
                                                 .server_key = {3},
                                                 .label = slice_str("l"),
                                                 .number = 1}};
    return request(&s->b, &q, -1);
}

int deliver_plain(struct setting *s)
{
    struct letter l = {.mailbox = 1, .id = 7, .keyword = "new"};
    return deliver_call(&s->b, &l, s->parcel);
}

int delivered_seen(struct setting *s)
{
    const struct vault_seen_row rows[] = {{s->b.account, {100}}, {s->b.account, {99}}, {s->b.account, {101}}};
    const struct vault_request q = {.type = VAULT_DELIVERED_SEEN, .seen = {3, rows}};
    return request(&s->b, &q, -1);
}

static int replace_uid(struct setting *s, uint32_t uid, uint32_t to, uint8_t id)
{
    struct letter l = {.mailbox = to, .id = id, .keyword = "newest"};
    return replace_call(&s->b, 1, uid, &l, s->parcel);
}

int replace_here(struct setting *s)
{
    return replace_uid(s, 5, 1, 8);
}

int replace_shared(struct setting *s)
{
    return replace_uid(s, 1, 4, 0);
} /* another mailbox has it too */
int flags_add(struct setting *s)
{
    return flags_call(&s->b, 1, 1, FLAG_SEEN, "newer", UINT64_MAX, (uint32_t[]){1, 3}, 1);
}

int copy(struct setting *s)
{
    return copy_call(&s->b, 1, 5, 0, (uint32_t[]){1, 3}, 1);
}

static int piece(struct setting *s, enum vault_piece piece, uint64_t number)
{
    static const struct uid_range some = {1, 3};
    const struct vault_request q = {.type = VAULT_COPY,
                                    .account = s->b.account,
                                    .mailbox = 1,
                                    .copy = {.to = 5, .piece = (uint8_t)piece, .number = number, .set = {1, &some}}};
    return request(&s->b, &q, -1);
}

int copy_first(struct setting *s)
{
    return piece(s, VAULT_PIECE_FIRST, 9);
}

int copy_more(struct setting *s)
{
    return piece(s, VAULT_PIECE_MORE, 9);
}

int copy_last(struct setting *s)
{
    return piece(s, VAULT_PIECE_LAST, 9);
}

int copy_begun(struct setting *s)
{
    return piece(s, VAULT_PIECE_FIRST, 10);
}

int copy_undone(struct setting *s)
{
    const struct vault_request q = {.type = VAULT_COPY_UNDO, .account = s->b.account, .copy.number = 10};
    return request(&s->b, &q, -1);
}

int move(struct setting *s)
{
    return copy_call(&s->b, 1, 5, 1, (uint32_t[]){1, 3}, 1);
}

int move_self(struct setting *s)
{
    return copy_call(&s->b, 1, 1, 1, (uint32_t[]){1, 3}, 1);
}

int expunge(struct setting *s)
{
    return expunge_call(&s->b, 1, 0, (uint32_t[]){1, 4}, 1);
}

int expunge_deleted(struct setting *s)
{
    return expunge_call(&s->b, 1, 1, (uint32_t[]){1, 4}, 1);
}

int box_create(struct setting *s)
{
    return create_call(&s->b, "one/two/three", NULL);
}

int box_delete(struct setting *s)
{
    return mailbox_call(&s->b, VAULT_MAILBOX_DELETE, s->deep, NULL, -1);
}

int box_rename(struct setting *s)
{
    return mailbox_call(&s->b, VAULT_MAILBOX_RENAME, s->deep - 1, "new/place", -1);
}

int inbox_rename(struct setting *s)
{
    return mailbox_call(&s->b, VAULT_MAILBOX_RENAME, 1, "saved", -1);
}

int subscribe(struct setting *s)
{
    return mailbox_call(&s->b, VAULT_MAILBOX_SUBSCRIBE, 0, "Drafts", 0);
}

int account_new(struct setting *s)
{
    uint64_t mine = s->b.account;
    int err = account_add_call(&s->b, "bob@example.org", 0, 0, 2);
    s->b.account = mine;
    return err;
}

int account_gone(struct setting *s)
{
    return account_only(s, VAULT_ACCOUNT_REMOVE);
}

int account_change(struct setting *s)
{
    return account_only(s, VAULT_ACCOUNT_SET);
}

int alias_add(struct setting *s)
{
    return name_only(s, VAULT_ADDRESS_ADD, "al@example.org");
}

int alias_remove(struct setting *s)
{
    return name_only(s, VAULT_ADDRESS_REMOVE, "al@example.org");
}

int domain_new(struct setting *s)
{
    return name_only(s, VAULT_DOMAIN_ADD, "example.net");
}

int domain_gone(struct setting *s)
{
    return name_only(s, VAULT_DOMAIN_REMOVE, "example.net");
}

int password_new(struct setting *s)
{
    return password(s, VAULT_APP_PASSWORD_ADD);
}

int password_gone(struct setting *s)
{
    return password(s, VAULT_APP_PASSWORD_REVOKE);
}

static int hold(struct setting *s, bool on)
{
    return request(&s->b, &(struct vault_request){.type = VAULT_ACCOUNT_HOLD, .account = s->b.account, .hold = on}, -1);
}

int account_held(struct setting *s)
{
    return hold(s, true);
}

int account_released(struct setting *s)
{
    return hold(s, false);
}

/* About another message each time. */
int complaint(struct setting *s)
{
    struct vault_request q = {.type = VAULT_COMPLAINT, .account = s->b.account};
    randombytes_buf(q.complaint, sizeof(q.complaint));
    return request(&s->b, &q, -1);
}

int dmarc_report(struct setting *s)
{
    static uint32_t number;
    char id[16];
    snprintf(id, sizeof(id), "%u", number++);
    const struct vault_request q = {.type = VAULT_DMARC_REPORT,
                                    .dmarc = {.domain = slice_str("example.org"),
                                              .day = (uint32_t)(test_now / 86400),
                                              .proven = true,
                                              .reporter = slice_str("example.net"),
                                              .id = slice_str(id),
                                              .nnetworks = 1,
                                              .networks = {{3, {192, 0, 2}, 1}}}};
    return request(&s->b, &q, -1);
}

/* A record that changes each time, and goes. */
int key_seen(struct setting *s)
{
    static struct correspondent c = {.address = "bob@example.net",
                                     .key = {KNOWN_DOMAIN, 20, {1}, 2},
                                     .len = CORRESPONDENT_CERT_MAX};
    static uint8_t packed[CORRESPONDENT_PACKED_MAX];
    uint8_t seen[CORRESPONDENT_SEEN];
    struct engine_txn *t;
    size_t len;
    c.seen++;
    c.verdict = verdict_of(1);
    c.key.fpr_len = c.verdict.primary_fpr_len;
    memcpy(c.key.fpr, c.verdict.primary_fpr, PGP_FPR_MAX);
    assert_int_equal(correspondent_pack(&c, packed, &len), OK);
    static struct correspondent there;
    assert_int_equal(engine_read_begin(s->b.engine, &t), OK);
    (void)schema_get_correspondent(t, s->b.keys, s->b.account, CORRESPONDENT_KEPT, c.address, &there, seen);
    (void)engine_read_end(t);
    const struct vault_request q = {.type = VAULT_CORRESPONDENT_PUT,
                                    .account = s->b.account,
                                    .correspondent = {CORRESPONDENT_KEPT, seen, slice_of(packed, len)}};
    return request(&s->b, &q, -1);
}

int key_forgotten(struct setting *s)
{
    const struct vault_request q = {.type = VAULT_CORRESPONDENT_DEL,
                                    .account = s->b.account,
                                    .correspondent = {.kind = CORRESPONDENT_KEPT,
                                                      .record = slice_str("bob@example.net")}};
    return request(&s->b, &q, -1);
}

static int suppress(struct setting *s, enum vault_msg type)
{
    static const uint8_t record[60] = {2};
    const struct vault_request q = {.type = type, .suppress = {{5}, slice_of(record, sizeof(record))}};
    return request(&s->b, &q, -1);
}

int suppress_put(struct setting *s)
{
    return suppress(s, VAULT_SUPPRESS_PUT);
}

int suppress_del(struct setting *s)
{
    return suppress(s, VAULT_SUPPRESS_DEL);
}

static int sts(struct setting *s, enum vault_msg type)
{
    static const uint8_t seen[QUEUE_SEEN_SIZE];
    static const uint8_t record[60] = {2};
    const struct vault_request q = {.type = type, .sts = {{5}, slice_of(record, sizeof(record)), seen}};
    return request(&s->b, &q, -1);
}

int sts_put(struct setting *s)
{
    return sts(s, VAULT_STS_PUT);
}

int sts_del(struct setting *s)
{
    return sts(s, VAULT_STS_DEL);
}

int tally_put(struct setting *s)
{
    return sts(s, VAULT_TALLY_PUT);
}

int tally_del(struct setting *s)
{
    return sts(s, VAULT_TALLY_DEL);
}

static int publish(struct setting *s, size_t len)
{
    const struct vault_request q = {.type = VAULT_KEY_PUBLISH,
                                    .publish = {slice_str("alice@example.org"), slice_of(s->published, len),
                                                PUBLISH_KEY}};
    return request(&s->b, &q, -1);
}

int key_publish(struct setting *s)
{
    return publish(s, s->published_len);
}

int key_withdraw(struct setting *s)
{
    return publish(s, 0);
}

int upload_new(struct setting *s)
{
    const struct vault_request q = {.type = VAULT_UPLOAD_ADD,
                                    .publish = {slice_str("alice@example.org"),
                                                slice_of(s->published, s->published_len), 0}};
    return request(&s->b, &q, -1);
}

int upload_word(struct setting *s)
{
    struct vault_request q = {.type = VAULT_UPLOAD_CONFIRM};
    memcpy(q.token, s->token, sizeof(q.token));
    return request(&s->b, &q, -1);
}

static const uint8_t TOKEN_SEED = 98;

int invite_new(struct setting *s)
{
    return invite_call(&s->b, TOKEN_SEED, 1, false);
}

int invite_gone(struct setting *s)
{
    const struct vault_request q = {.type = VAULT_INVITE_DEL, .account = s->b.account};
    return request(&s->b, &q, -1);
}

int signin_first(struct setting *s)
{
    const struct owner o = owner_of(1, true);
    const struct invited i = invited_of(&s->b, TOKEN_SEED);
    const struct slice password = envelope_of(1, 9000), phrase = envelope_of(2, 100);
    const struct vault_request q = signin_request(&s->b, NULL, SIGNIN_BY_INVITATION, i.token, &o, password, phrase);
    return signin_call(&s->b, &q, password, phrase);
}

int signin_other(struct setting *s)
{
    const struct owner from = owner_of(1, true), to = owner_of(3, false);
    const struct slice none = slice_of("", 0);
    const struct vault_request q = signin_request(&s->b, &from, SIGNIN_BY_PHRASE, NULL, &to, none, none);
    return signin_call(&s->b, &q, none, none);
}

int wrapped_new(struct setting *s)
{
    const struct owner o = owner_of(1, true);
    const struct slice envelope = envelope_of(3, 9000);
    const struct vault_request q = wrapped_request(&s->b, &o, SIGNIN_BY_PASSWORD, WRAPPED_PASSKEY, 1, envelope);
    return wrapped_call(&s->b, &q, envelope);
}

int wrapped_gone(struct setting *s)
{
    const struct owner o = owner_of(1, true);
    const struct vault_request q = wrapped_request(&s->b, &o, SIGNIN_BY_PASSWORD, WRAPPED_PASSKEY, 1, slice_of("", 0));
    return wrapped_call(&s->b, &q, slice_of("", 0));
}

static struct token session_of(struct setting *s, uint8_t seed)
{
    struct token t;
    uint64_t account;
    session_token(s->b.account, t.b);
    memset(t.b + 8, seed, sizeof(t.b) - 8);
    session_hash(s->b.keys, t.b, &account, t.hash);
    return t;
}

int session_new(struct setting *s)
{
    const struct token t = session_of(s, 1);
    return session_call(&s->b, &t, "browser");
}

int session_seen(struct setting *s)
{
    const struct token t = session_of(s, 1);
    struct vault_request q = {.type = VAULT_SESSION_USED, .account = s->b.account};
    memcpy(q.session.hash, t.hash, sizeof(t.hash));
    test_now += SESSION_USED_EVERY;
    return request(&s->b, &q, -1);
}

int session_gone(struct setting *s)
{
    const struct vault_request q = {.type = VAULT_SESSION_DEL, .account = s->b.account, .session.which = SESSION_ALL};
    return request(&s->b, &q, -1);
}

/* The account's only one has number 2: the session had 1. */
static int factor(struct setting *s, enum vault_msg type)
{
    static uint8_t packed[FACTOR_PACKED_MAX];
    const struct factor f = {.kind = FACTOR_RECOVERY, .codes = {.n = FACTOR_CODES, .hash = {{1}, {2}}}};
    struct vault_request q = {.type = type, .account = s->b.account, .factor = {.number = 2, .kind = f.kind}};
    size_t len;
    assert_int_equal(factor_pack(&f, packed, &len), OK);
    if (type == VAULT_FACTOR_PUT)
        q.factor.record = slice_of(packed, len);
    q.factor.code[0] = 1;
    return request(&s->b, &q, -1);
}

int factor_new(struct setting *s)
{
    return factor(s, VAULT_FACTOR_PUT);
}

int factor_spent(struct setting *s)
{
    return factor(s, VAULT_FACTOR_USED);
}

int factor_gone(struct setting *s)
{
    return factor(s, VAULT_FACTOR_DEL);
}

int restored(struct setting *s)
{
    return request(&s->b, &(struct vault_request){.type = VAULT_RESTORED}, -1);
}
