/* The lifecycle of keys as the vault keeps it: which state may follow which, what a renewal keeps, and notices, each of
 * which is delivered and noted in one commit. */
#include "tests/support/vault_requests.h"

#include "store/view_impl.h"

static int key_call(struct bench *b, enum vault_msg type, uint8_t tag)
{
    uint8_t fpr[20];
    const struct vault_request q = {.type = type, .account = b->account, .key.fpr = slice_of(fpr, sizeof(fpr))};
    memset(fpr, tag, sizeof(fpr));
    return request(b, &q, -1);
}

static int cert_call(struct bench *b, enum vault_msg type, const struct pgp_verdict *v, size_t len)
{
    uint8_t cert[300];
    const struct vault_request q = {.type = type,
                                    .account = b->account,
                                    .key = {.fpr = slice_of(v->primary_fpr, v->primary_fpr_len),
                                            .verdict = *v,
                                            .cert_len = (uint32_t)len}};
    memset(cert, v->primary_fpr[0], sizeof(cert));
    return request_cert(b, &q, cert, len);
}

static int add(struct bench *b, uint8_t tag, uint8_t enc, uint32_t expires)
{
    struct pgp_verdict v = verdict_of(tag);
    memset(v.enc_fpr, enc ^ 0x80, 20);
    v.enc_expires = expires;
    return cert_call(b, VAULT_KEY_ADD, &v, 100);
}

static int end_key(struct bench *b, uint8_t tag)
{
    struct pgp_verdict v = verdict_of(tag);
    return cert_call(b, VAULT_KEY_REVOKED, &v, 200);
}

struct wanted {
    uint8_t tag;
    bool found;
    struct schema_key key;
};

static int see(void *arg, const struct schema_key *k)
{
    struct wanted *w = arg;
    if (k->verdict.primary_fpr[0] == w->tag) {
        w->found = true;
        w->key = *k;
    }
    return 0;
}

static struct schema_key key_of(struct bench *b, uint8_t tag)
{
    struct wanted w = {.tag = tag};
    struct view *v;
    assert_int_equal(view_over(b->engine, b->keys, &v), OK);
    assert_int_equal(view_begin(v), OK);
    assert_int_equal(view_keys_each(v, b->account, see, &w), OK);
    static uint8_t cert[PGP_CERT_MAX];
    size_t len;
    assert_true(w.found);
    assert_int_equal(view_key_cert(v, b->account, &w.key, cert, &len), OK);
    assert_int_equal(len, w.key.cert_len);
    assert_int_equal(view_end(v), OK);
    view_close(v);
    return w.key;
}

static uint32_t keys_version(struct bench *b)
{
    struct engine_txn *t;
    struct schema_account a;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    assert_int_equal(schema_get_account(t, b->keys, b->account, &a), OK);
    (void)engine_read_end(t);
    return a.keys_version;
}

/* Whether mail sealed to this encryption key gets in. */
static int seals(struct bench *b, uint8_t enc)
{
    int fd = parcel_of(OUTER, enc, 100);
    struct letter l = {.mailbox = MAILBOX_INBOX};
    int err = deliver_call(b, &l, fd);
    close(fd);
    return err;
}

static void open_bench(struct bench *b)
{
    bench_mem(b, false);
    bench_account(b);
}

/* ---- states ---- */

static void test_states(void **state)
{
    struct bench b;
    open_bench(&b);
    test_now = 1800000000;
    assert_int_equal(add(&b, 2, 2, 0), OK);
    uint32_t version = keys_version(&b);
    assert_int_equal(key_call(&b, VAULT_KEY_CURRENT, 2), OK); /* it is: nothing changes, nobody is told */
    assert_true(keys_version(&b) == version && b.notices == 0);
    assert_int_equal(key_call(&b, VAULT_KEY_CURRENT, 9), ERR_NOT_FOUND);
    test_now += 5;
    assert_int_equal(key_call(&b, VAULT_KEY_RETIRE, 2), OK);
    assert_true(key_of(&b, 2).state == KEY_RETIRED && key_of(&b, 2).ended == test_now && b.notices == 1);
    assert_int_equal(seals(&b, 2), ERR_REFUSED);
    assert_int_equal(key_call(&b, VAULT_KEY_CURRENT, 2), OK);
    assert_true(key_of(&b, 2).state == KEY_CURRENT && key_of(&b, 2).ended == 0);
    assert_true(keys_version(&b) == version + 2);
    assert_int_equal(seals(&b, 2), OK);
    /* the end, with the certificate that says so */
    assert_int_equal(end_key(&b, 9), ERR_NOT_FOUND);
    assert_int_equal(end_key(&b, 2), OK);
    assert_true(key_of(&b, 2).state == KEY_REVOKED && key_of(&b, 2).cert_len == 200);
    assert_int_equal(seals(&b, 2), ERR_REFUSED);
    version = keys_version(&b);
    test_now += 5;
    assert_int_equal(key_call(&b, VAULT_KEY_CURRENT, 2), ERR_DENIED);
    assert_int_equal(add(&b, 2, 2, 0), ERR_DENIED);
    assert_int_equal(add(&b, 2, 3, 0), ERR_DENIED);
    assert_int_equal(key_call(&b, VAULT_KEY_RETIRE, 2), OK);
    assert_int_equal(key_call(&b, VAULT_KEY_ENC_REVOKED, 2), OK);
    assert_int_equal(end_key(&b, 2), OK);
    assert_true(key_of(&b, 2).state == KEY_REVOKED && key_of(&b, 2).ended == test_now - 5);
    assert_int_equal(keys_version(&b), version);
    /* the last one cannot be retired, but revoked */
    assert_int_equal(key_call(&b, VAULT_KEY_RETIRE, 1), ERR_CONFLICT);
    assert_int_equal(key_call(&b, VAULT_KEY_ENC_REVOKED, 1), OK);
    assert_int_equal(key_of(&b, 1).state, KEY_ENC_REVOKED);
    assert_int_equal(seals(&b, 1), ERR_NO_KEY);
    assert_int_equal(key_call(&b, VAULT_KEY_CURRENT, 1), ERR_DENIED);
    assert_int_equal(add(&b, 1, 1, 0), ERR_DENIED);
    assert_int_equal(add(&b, 1, 4, 0), OK); /* another encryption key */
    assert_int_equal(seals(&b, 4), OK);
    assert_int_equal(key_call(&b, VAULT_KEY_ENC_REVOKED, 1), OK);
    assert_int_equal(end_key(&b, 1), OK); /* and then the whole */
    assert_int_equal(key_of(&b, 1).state, KEY_REVOKED);
    recount_all(&b);
    bench_close(&b);
}

static void test_no_more_current_ones_than_a_seal_takes(void **state)
{
    struct bench b;
    open_bench(&b);
    for (uint8_t tag = 2; tag <= 16; tag++)
        assert_int_equal(add(&b, tag, tag, 0), OK);
    assert_int_equal(key_call(&b, VAULT_KEY_RETIRE, 1), OK);
    assert_int_equal(add(&b, 17, 17, 0), OK);
    assert_int_equal(key_call(&b, VAULT_KEY_CURRENT, 1), ERR_LIMIT);
    assert_int_equal(key_of(&b, 1).state, KEY_RETIRED);
    assert_int_equal(add(&b, 1, 1, 0), ERR_LIMIT);
    assert_int_equal(key_call(&b, VAULT_KEY_RETIRE, 5), OK);
    assert_int_equal(key_call(&b, VAULT_KEY_CURRENT, 1), OK);
    bench_close(&b);
}

static int add_kind(struct bench *b, uint8_t tag, uint8_t primary, uint8_t enc, size_t enc_len, bool native)
{
    struct pgp_verdict v = verdict_of(tag);
    v.primary_algo = primary;
    v.enc_algo = enc;
    v.enc_fpr_len = (uint8_t)enc_len;
    v.native = native;
    return cert_call(b, VAULT_KEY_ADD, &v, 100);
}

/* One seal is for all current keys: GnuPG's ElGamal and kinds that GnuPG does not know exclude each other, whichever
 * comes first and however it becomes current; a key is in no way of its own renewal. */
static void test_current_ones_that_no_engine_seals_to_together(void **state)
{
    static const struct {
        uint8_t primary, enc, len;
    } unknown[] = {{PGP_EDDSA_LEGACY, PGP_X25519, 20},
                   {PGP_ED25519, PGP_ECDH, 20},
                   {PGP_RSA, PGP_RSA, 32},
                   {PGP_EDDSA_LEGACY, PGP_X448, 20}};
    struct bench b;
    open_bench(&b);
    assert_int_equal(add_kind(&b, 2, PGP_DSA, PGP_ELGAMAL, 20, false), OK);
    for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++)
        assert_int_equal(add_kind(&b, 3, unknown[i].primary, unknown[i].enc, unknown[i].len, true), ERR_UNSUPPORTED);
    assert_int_equal(add_kind(&b, 4, PGP_RSA, PGP_RSA, 20, true), OK);
    assert_int_equal(key_call(&b, VAULT_KEY_RETIRE, 2), OK);
    assert_int_equal(add_kind(&b, 3, PGP_ED25519, PGP_X25519, 20, true), OK);
    uint32_t version = keys_version(&b);
    assert_int_equal(key_call(&b, VAULT_KEY_CURRENT, 2), ERR_UNSUPPORTED);
    assert_int_equal(add_kind(&b, 2, PGP_DSA, PGP_ELGAMAL, 20, false), ERR_UNSUPPORTED);
    assert_int_equal(add_kind(&b, 1, PGP_DSA, PGP_ELGAMAL, 20, false), ERR_UNSUPPORTED); /* by a renewal */
    assert_true(key_of(&b, 2).state == KEY_RETIRED && keys_version(&b) == version);
    assert_int_equal(key_call(&b, VAULT_KEY_RETIRE, 3), OK);
    assert_int_equal(key_call(&b, VAULT_KEY_CURRENT, 2), OK);
    assert_int_equal(add_kind(&b, 2, PGP_ED25519, PGP_X25519, 20, true), OK);
    bench_close(&b);
}

/* ---- renewal ---- */

static void test_renewal(void **state)
{
    struct bench b;
    open_bench(&b);
    assert_int_equal(add(&b, 1, 1, 5000), OK); /* the same encryption key */
    assert_true(key_of(&b, 1).nformer == 0 && key_of(&b, 1).verdict.enc_expires == 5000);
    for (uint8_t enc = 20; enc < 20 + KEY_FORMER_MAX + 3; enc++)
        assert_int_equal(add(&b, 1, enc, 0), OK);
    struct schema_key k = key_of(&b, 1);
    assert_int_equal(k.nformer, KEY_FORMER_MAX); /* the oldest are forgotten */
    assert_int_equal(k.former[0].fpr[0], (20 + 2) ^ 0x80);
    assert_int_equal(k.former[KEY_FORMER_MAX - 1].fpr[0], (20 + KEY_FORMER_MAX + 1) ^ 0x80);
    /* back to one of them: it is a former one no more */
    assert_int_equal(add(&b, 1, 25, 0), OK);
    k = key_of(&b, 1);
    assert_int_equal(k.nformer, KEY_FORMER_MAX);
    for (unsigned i = 0; i < k.nformer; i++)
        assert_int_not_equal(k.former[i].fpr[0], 25 ^ 0x80);
    assert_int_equal(seals(&b, 25), OK);
    assert_int_equal(seals(&b, 24), ERR_REFUSED);
    bench_close(&b);
}

/* A certificate of the primary key and the subkeys that subkeys names, each a packet whose body is its letter. */
static int add_copy(struct bench *b, uint8_t enc, uint32_t signed_at, const char *subkeys)
{
    struct vault_request q = {.type = VAULT_KEY_ADD, .account = b->account, .key.verdict = verdict_of(1)};
    uint8_t cert[64] = {0xc6, 1, 'p'};
    size_t len = 3;
    for (; *subkeys; subkeys++) {
        cert[len++] = 0xc0 | PGP_TAG_PUBLIC_SUBKEY;
        cert[len++] = 1;
        cert[len++] = (uint8_t)*subkeys;
    }
    memset(q.key.verdict.enc_fpr, enc ^ 0x80, 20);
    q.key.verdict.signed_at = signed_at;
    q.key.cert_len = (uint32_t)len;
    return request_cert(b, &q, cert, len);
}

/* Whoever asks: a copy from before the encryption key was changed would have mail sealed to the one given up. */
static void test_older_copies(void **state)
{
    struct bench b;
    open_bench(&b);
    b.client->who = VAULT_MAY_ADMIN;
    assert_int_equal(add_copy(&b, 1, 1000, "a"), OK);
    assert_int_equal(add_copy(&b, 2, 2000, "ab"), OK);
    struct schema_key before = key_of(&b, 1), after;
    uint32_t version = keys_version(&b);
    static const struct {
        uint8_t enc;
        uint32_t signed_at;
        const char *subkeys;
    } older[] = {
        {1, 1000, "a"},  /* the very one from before */
        {1, 1999, "ab"}, /* older by its date alone */
        {2, 1999, "ab"}, /* with the present encryption key too: its expiry would go back */
        {1, 2000, "a"},  /* of the same second, by its subkeys */
        {1, 3000, "a"},  /* signed anew by somebody who has only the former key */
    };
    for (size_t i = 0; i < sizeof(older) / sizeof(older[0]); i++) {
        assert_int_equal(add_copy(&b, older[i].enc, older[i].signed_at, older[i].subkeys), ERR_CONFLICT);
        assert_non_null(strstr(b.text, "older copy"));
    }
    assert_int_equal(key_call(&b, VAULT_KEY_RETIRE, 1), ERR_CONFLICT);
    after = key_of(&b, 1);
    assert_memory_equal(&after, &before, sizeof(after));
    assert_int_equal(keys_version(&b), version);
    b.client->who = ~0u;
    assert_int_equal(seals(&b, 2), OK);
    assert_int_equal(seals(&b, 1), ERR_REFUSED);
    /* a retired one is no way round it */
    assert_int_equal(add(&b, 5, 5, 0), OK);
    assert_int_equal(key_call(&b, VAULT_KEY_RETIRE, 1), OK);
    assert_int_equal(add_copy(&b, 1, 1000, "a"), ERR_CONFLICT);
    assert_int_equal(key_of(&b, 1).state, KEY_RETIRED);
    /* the same copy again, a newer one, and one that knows both keys and names the former */
    assert_int_equal(add_copy(&b, 2, 2000, "ab"), OK);
    assert_int_equal(add_copy(&b, 2, 2001, "ab"), OK);
    assert_int_equal(add_copy(&b, 1, 2001, "ab"), OK);
    assert_int_equal(seals(&b, 1), OK);
    /* a new encryption key may come without the old ones */
    assert_int_equal(add_copy(&b, 3, 2002, "c"), OK);
    assert_int_equal(seals(&b, 3), OK);
    bench_close(&b);
}

/* Mail that came for a current key and for one from before a renewal says so in its record. */
static void test_old_keys_are_recognised(void **state)
{
    static uint8_t bytes[4096];
    struct bench b;
    struct parcel_writer *w;
    struct schema_message m;
    struct engine_txn *t;
    int fd;
    open_bench(&b);
    assert_int_equal(add(&b, 1, 30, 0), OK);
    assert_int_equal(parcel_create(&w), OK);
    assert_int_equal(parcel_put_outer(w, OUTER_CLIENT, strlen(OUTER_CLIENT)), OK);
    size_t one = packets_make(bytes, 30, 100);
    assert_int_equal(parcel_put_capsule(w, bytes, one), OK);
    size_t head = 10 + 2 + 256 + 3; /* a session-key packet and its header */
    uint8_t old[1024];
    packets_make(old, 1, 100);
    memmove(bytes + head, bytes, one);
    memcpy(bytes, old, head);
    assert_int_equal(parcel_put_packets(w, bytes, head + one), OK);
    assert_int_equal(parcel_seal(w, &fd), OK);
    struct letter l = {.mailbox = MAILBOX_INBOX, .kind = MESSAGE_FOREIGN};
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    close(fd);
    struct where where = where_of(&b);
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(schema_get_message(t, b.keys, b.account, where.message, &m, NULL), OK);
    (void)engine_read_end(t);
    assert_int_equal(m.nfprs, 2);
    assert_int_equal(m.fprs[0][0], 30 ^ 0x80);
    assert_int_equal(m.fprs[1][0], 1 ^ 0x80);
    bench_close(&b);
}

/* ---- notices ---- */

static int notice(struct bench *b, uint8_t tag, uint8_t sealed_to, uint8_t events, uint32_t version)
{
    uint8_t fpr[20];
    int fd = parcel_of(OUTER, sealed_to, 100);
    struct letter l = {.mailbox = MAILBOX_INBOX};
    memset(fpr, tag, sizeof(fpr));
    struct vault_request q = letter_request(b->account, &l);
    q.type = VAULT_KEY_NOTICE;
    q.deliver.notice.fpr = slice_of(fpr, sizeof(fpr));
    q.deliver.notice.events = events;
    q.deliver.notice.keys_version = version;
    int err = request(b, &q, fd);
    close(fd);
    return err;
}

static void test_notices(void **state)
{
    struct bench b;
    open_bench(&b);
    test_now = 1800000000;
    uint32_t soon = 1800000000 + 3600;
    assert_int_equal(add(&b, 1, 1, soon), OK);
    b.notices = 0;
    b.client->who = VAULT_MAY_INGEST;
    uint32_t version = keys_version(&b);
    assert_int_equal(notice(&b, 1, 1, KEY_EVENT_EXPIRING, version + 1), ERR_CONFLICT);
    assert_int_equal(notice(&b, 9, 1, KEY_EVENT_EXPIRING, version), ERR_NOT_FOUND);
    assert_int_equal(notice(&b, 1, 2, KEY_EVENT_EXPIRING, version), ERR_REFUSED); /* the gate is there for it too */
    assert_true(key_of(&b, 1).noticed == 0 && box_of(&b, MAILBOX_INBOX).exists == 0);
    assert_int_equal(notice(&b, 1, 1, KEY_EVENT_EXPIRING, version), OK);
    assert_int_equal(where_of(&b).duplicate, 0);
    assert_true(key_of(&b, 1).noticed == KEY_EVENT_EXPIRING && box_of(&b, MAILBOX_INBOX).exists == 1);
    assert_true(keys_version(&b) == version && b.notices == 1);
    for (int i = 0; i < 2; i++) { /* asked again, by another process or after a crash */
        assert_int_equal(notice(&b, 1, 1, KEY_EVENT_EXPIRING, version), OK);
        assert_int_equal(where_of(&b).duplicate, 1);
    }
    test_now = soon;
    assert_int_equal(notice(&b, 1, 1, KEY_EVENT_EXPIRING | KEY_EVENT_EXPIRED, version), OK);
    assert_int_equal(where_of(&b).duplicate, 0);
    assert_int_equal(box_of(&b, MAILBOX_INBOX).exists, 2);
    assert_int_equal(key_of(&b, 1).noticed, KEY_EVENT_EXPIRING | KEY_EVENT_EXPIRED);
    b.client->who = ~0u;
    /* what stays the same is not told anew; another end is */
    assert_int_equal(add(&b, 1, 1, soon), OK);
    assert_int_equal(key_of(&b, 1).noticed, KEY_EVENT_EXPIRING | KEY_EVENT_EXPIRED);
    assert_int_equal(add(&b, 1, 1, soon + 7000), OK);
    assert_int_equal(key_of(&b, 1).noticed, 0);
    assert_int_equal(notice(&b, 1, 1, KEY_EVENT_EXPIRING, version), ERR_CONFLICT);
    assert_int_equal(notice(&b, 1, 1, KEY_EVENT_EXPIRING, keys_version(&b)), OK);
    /* states keep what was told */
    assert_int_equal(add(&b, 2, 2, 0), OK);
    assert_int_equal(key_call(&b, VAULT_KEY_RETIRE, 1), OK);
    assert_int_equal(key_call(&b, VAULT_KEY_CURRENT, 1), OK);
    assert_int_equal(key_of(&b, 1).noticed, KEY_EVENT_EXPIRING);
    assert_int_equal(end_key(&b, 1), OK);
    assert_int_equal(notice(&b, 1, 2, KEY_EVENT_REVOKED, keys_version(&b)), OK);
    assert_int_equal(notice(&b, 1, 2, KEY_EVENT_REVOKED, keys_version(&b)), OK);
    assert_int_equal(where_of(&b).duplicate, 1);
    assert_int_equal(box_of(&b, MAILBOX_INBOX).exists, 6); /* two say that a key has become current */
    recount_all(&b);
    bench_close(&b);
}

/* A subverted ingest cannot note ahead what would otherwise be told later: a revocation, an expiry. */
static void test_what_has_not_happened_is_not_noted(void **state)
{
    const uint32_t now = 1800000000, day = 86400;
    static const uint8_t others[] = {KEY_EVENT_REVOKED, KEY_EVENT_EXPIRED, KEY_EVENT_EXPIRED | KEY_EVENT_EXPIRING,
                                     KEY_EVENT_REVOKED | KEY_EVENT_EXPIRING, 7};
    struct bench b;
    open_bench(&b);
    test_now = now;
    assert_int_equal(notice(&b, 1, 1, KEY_EVENT_EXPIRING, keys_version(&b)), ERR_CONFLICT); /* it never expires */
    assert_int_equal(add(&b, 1, 1, now + 400 * day), OK);
    assert_int_equal(notice(&b, 1, 1, KEY_EVENT_EXPIRING, keys_version(&b)), ERR_CONFLICT);
    assert_int_equal(add(&b, 1, 1, now + 1), OK);
    for (size_t i = 0; i < sizeof(others); i++)
        assert_int_equal(notice(&b, 1, 1, others[i], keys_version(&b)), ERR_CONFLICT);
    assert_int_equal(add(&b, 2, 2, now - 1), OK);
    assert_int_equal(key_call(&b, VAULT_KEY_RETIRE, 2), OK);
    assert_int_equal(notice(&b, 2, 1, KEY_EVENT_EXPIRED, keys_version(&b)), ERR_CONFLICT); /* nothing is sealed to it */
    assert_int_equal(notice(&b, 2, 1, KEY_EVENT_REVOKED, keys_version(&b)), ERR_CONFLICT);
    assert_true(key_of(&b, 1).noticed == 0 && key_of(&b, 2).noticed == 0);
    assert_int_equal(box_of(&b, MAILBOX_INBOX).exists, 1); /* which says that key 2 was added */
    bench_close(&b);
}

/* A notice with a group of deliveries around it, and a full quota. */
static void test_notice_over_quota(void **state)
{
    struct bench b;
    bench_mem(&b, false);
    assert_int_equal(domain_add_call(&b, "example.org"), OK);
    assert_int_equal(account_add_call(&b, "alice@example.org", 0, 100, 1), OK);
    assert_int_equal(add(&b, 1, 1, (uint32_t)test_now), OK);
    assert_int_equal(notice(&b, 1, 1, KEY_EVENT_EXPIRING, keys_version(&b)), ERR_QUOTA);
    assert_int_equal(key_of(&b, 1).noticed, 0);
    assert_int_equal(add(&b, 2, 2, 0), OK); /* the word of an added key needs no room */
    assert_int_equal(box_of(&b, MAILBOX_INBOX).exists, 1);
    recount_all(&b);
    bench_close(&b);
}

static void bad(struct bench *b, struct pack *p)
{
    int fd = parcel_of(OUTER, 1, 100);
    assert_int_equal(ask(b, VAULT_KEY_NOTICE, p, fd), ERR_FORMAT);
    close(fd);
}

static void test_bad_notices(void **state)
{
    static const struct {
        uint8_t kind, len, events, id;
    } wrong[] = {{0, 20, 1, 7} /* a delivery id */,
                 {MESSAGE_FOREIGN, 20, 1},
                 {MESSAGE_CLIENT, 20, 1},
                 {0, 19, 1},
                 {0, 21, 1},
                 {0, 0, 1},
                 {0, 32, 0},
                 {0, 20, 8},
                 {0, 20, 255},
                 {0, 33, 1}};
    struct bench b;
    uint8_t fpr[40] = {0};
    open_bench(&b);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct letter l = {.mailbox = MAILBOX_INBOX, .kind = wrong[i].kind, .id = wrong[i].id};
        const struct vault_request q = letter_request(b.account, &l);
        PACK(p);
        vault_request_pack(&p, &q);
        pack_bytes(&p, fpr, wrong[i].len);
        pack_u8(&p, wrong[i].events);
        pack_u32(&p, 1);
        bad(&b, &p);
    }
    struct letter l = {.mailbox = MAILBOX_INBOX};
    const struct vault_request q = letter_request(b.account, &l);
    PACK(p);
    vault_request_pack(&p, &q);
    pack_bytes(&p, fpr, 20);
    pack_u8(&p, 1);
    for (size_t cut = 0; cut <= p.len; cut += 7) { /* cut short anywhere */
        struct pack part = p;
        part.len = cut;
        bad(&b, &part);
    }
    pack_u32(&p, 1);
    pack_u8(&p, 0); /* and one octet too many */
    bad(&b, &p);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_no_more_current_ones_than_a_seal_takes),
        cmocka_unit_test(test_current_ones_that_no_engine_seals_to_together),
        cmocka_unit_test(test_renewal),
        cmocka_unit_test(test_older_copies),
        cmocka_unit_test(test_old_keys_are_recognised),
        cmocka_unit_test(test_notices),
        cmocka_unit_test(test_what_has_not_happened_is_not_noted),
        cmocka_unit_test(test_notice_over_quota),
        cmocka_unit_test(test_bad_notices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
