/* Each role's own channel asks for everything that can be asked, and only what is its own is answered: of what it
 * may not ask nothing happens to the store. The rights stand here a second time, so that no table is held against
 * itself. */
#include "tests/support/vault_requests.h"

#include <sodium.h>

#include "store/vault/vault.h"
#include "tests/support/published_cert.h"
#include "tests/support/signin_support.h"

static const struct {
    unsigned role;
    bool admin;
    enum vault_msg may[31];
} rights[] = {
    {ROLE_INGEST,
     false,
     {VAULT_DELIVER, VAULT_KEY_NOTICE, VAULT_DELIVERED_SEEN, VAULT_QUEUE_ADD, VAULT_COMPLAINT, VAULT_UPLOAD_ADD,
      VAULT_UPLOAD_CONFIRM, VAULT_CORRESPONDENT_PUT, VAULT_DMARC_REPORT}},
    {ROLE_RELAY,
     false,
     {VAULT_QUEUE_UPDATE, VAULT_SUPPRESS_PUT, VAULT_SUPPRESS_DEL, VAULT_STS_PUT, VAULT_STS_DEL, VAULT_TALLY_PUT,
      VAULT_TALLY_DEL}},
    {ROLE_ACCESS,
     false,
     {VAULT_DELIVER, VAULT_STORE_FLAGS, VAULT_COPY, VAULT_EXPUNGE, VAULT_MAILBOX_CREATE, VAULT_MAILBOX_DELETE,
      VAULT_MAILBOX_RENAME, VAULT_MAILBOX_SUBSCRIBE, VAULT_REPLACE, VAULT_DELIVERED_SEEN, VAULT_COPY_UNDO}},
    {ROLE_MASTER,
     true,
     {VAULT_ACCOUNT_ADD,
      VAULT_ACCOUNT_REMOVE,
      VAULT_ACCOUNT_SET,
      VAULT_ADDRESS_ADD,
      VAULT_ADDRESS_REMOVE,
      VAULT_DOMAIN_ADD,
      VAULT_DOMAIN_REMOVE,
      VAULT_KEY_ADD,
      VAULT_KEY_RETIRE,
      VAULT_APP_PASSWORD_ADD,
      VAULT_APP_PASSWORD_REVOKE,
      VAULT_BACKUP,
      VAULT_STAT,
      VAULT_RESTORED,
      VAULT_KEY_REVOKED,
      VAULT_KEY_CURRENT,
      VAULT_KEY_ENC_REVOKED,
      VAULT_UPGRADE,
      VAULT_QUEUE_UPDATE,
      VAULT_DKIM_PUT,
      VAULT_DKIM_DEL,
      VAULT_ACCOUNT_HOLD,
      VAULT_SUPPRESS_PUT,
      VAULT_SUPPRESS_DEL,
      VAULT_KEY_PUBLISH,
      VAULT_CORRESPONDENT_PUT,
      VAULT_CORRESPONDENT_DEL,
      VAULT_SESSION_DEL,
      VAULT_FACTOR_DEL,
      VAULT_INVITE_PUT,
      VAULT_INVITE_DEL}},
    {ROLE_GPG_SEAL, false, {0}},
    {ROLE_GPG_JUDGE, false, {0}},
    {ROLE_RESOLVER, false, {0}},
    {ROLE_FETCHER, false, {0}},
    {ROLE_WEB,
     false,
     {VAULT_UPLOAD_CONFIRM, VAULT_APP_PASSWORD_ADD, VAULT_APP_PASSWORD_REVOKE, VAULT_SIGNIN_SET, VAULT_WRAPPED_PUT,
      VAULT_SESSION_ADD, VAULT_SESSION_USED, VAULT_SESSION_DEL, VAULT_FACTOR_PUT, VAULT_FACTOR_DEL, VAULT_FACTOR_USED}},
    {ROLE_VAULT, false, {0}},
};

static bool may(size_t row, enum vault_msg type)
{
    for (size_t i = 0; i < sizeof(rights[row].may) / sizeof(rights[row].may[0]); i++)
        if (rights[row].may[i] == type && type != 0)
            return true;
    return false;
}

/* ---- requests that their own role would be granted ---- */

static const uint8_t ONE[20] = {[0 ... 19] = 1}, TWO[20] = {[0 ... 19] = 2};
enum { SEEN_ID = 77 /* of a delivery */, COPY = 78 /* one in pieces that has begun */ };
static const struct uid_range EVERYTHING = {1, UINT32_MAX};

static struct vault_deliver letter(void)
{
    return (struct vault_deliver){.kind = MESSAGE_SERVER_SEALED};
}

static struct vault_seen_row seen = {0, {SEEN_ID}};

/* The queue has message 77, and a key that signs. */
enum { QUEUED = 77 };
static uint8_t sealed[60] = {2, 1}, sealed_anew[60] = {2, 9};
static const struct vault_queue_row recipient = {.n = 1, .len = sizeof(sealed), .record = sealed},
                                    recipient_anew = {.n = 1,
                                                      .len = sizeof(sealed),
                                                      .record = sealed_anew,
                                                      .seen = sealed + 1};

static void fill_queue(struct vault_request *q)
{
    switch (q->type) {
    case VAULT_QUEUE_ADD:
        q->queue_add = (struct vault_queue_add){.id = QUEUED + 1,
                                                .envelope = slice_of(sealed, sizeof(sealed)),
                                                .n = 1,
                                                .v = &recipient};
        break;
    case VAULT_QUEUE_UPDATE:
        q->queue_update = (struct vault_queue_update){.id = QUEUED, .n = 1, .v = &recipient_anew};
        break;
    case VAULT_TALLY_PUT:
    case VAULT_STS_PUT: q->sts = (struct vault_sts){{4}, slice_of(sealed, sizeof(sealed)), NULL}; break;
    case VAULT_TALLY_DEL:
    case VAULT_STS_DEL: q->sts = (struct vault_sts){.hash = {3}, .seen = sealed + 1}; break;
    case VAULT_SUPPRESS_PUT: q->suppress = (struct vault_dkim){{4}, slice_of(sealed, sizeof(sealed))}; break;
    case VAULT_DKIM_PUT: q->dkim = (struct vault_dkim){{4}, slice_of(sealed, sizeof(sealed))}; break;
    default: q->dkim.hash[0] = 3; break;
    }
}

static bool is_of_the_queue(enum vault_msg type)
{
    return type == VAULT_QUEUE_ADD || type == VAULT_QUEUE_UPDATE || type == VAULT_DKIM_PUT || type == VAULT_DKIM_DEL ||
           type == VAULT_SUPPRESS_PUT || type == VAULT_SUPPRESS_DEL || type == VAULT_STS_PUT || type == VAULT_STS_DEL ||
           type == VAULT_TALLY_PUT || type == VAULT_TALLY_DEL;
}

/* The account writes to Carl, whose record is there, and for the first time to Bob. */
static struct slice correspondent_of(const char *address)
{
    static struct correspondent c;
    static uint8_t packed[CORRESPONDENT_PACKED_MAX];
    size_t len;
    c.key = (struct correspondent_key){KNOWN_DOMAIN, 20, {1}, 2};
    strcpy(c.address, address);
    assert_int_equal(correspondent_pack(&c, packed, &len), OK);
    return slice_of(packed, len);
}

static void fill_mail(struct vault_request *q)
{
    switch (q->type) {
    case VAULT_STORE_FLAGS:
        q->flags = (struct vault_flags){.op = VAULT_FLAGS_ADD,
                                        .flags = FLAG_SEEN,
                                        .unchangedsince = VAULT_UNCHANGEDSINCE_NONE,
                                        .set = {1, &EVERYTHING}};
        break;
    case VAULT_COPY: q->copy = (struct vault_copy){.to = 2, .set = {1, &EVERYTHING}}; break;
    case VAULT_COPY_UNDO: q->copy.number = COPY; break;
    case VAULT_COMPLAINT: q->complaint[0] = 5; break;
    case VAULT_DMARC_REPORT:
        q->dmarc = (struct dmarc_told){.domain = slice_str("example.com"),
                                       .day = (uint32_t)(test_now / 86400),
                                       .reporter = slice_str("example.net")};
        break;
    case VAULT_CORRESPONDENT_PUT:
        q->correspondent =
            (struct vault_correspondent){.kind = CORRESPONDENT_KEPT, .record = correspondent_of("bob@example.net")};
        break;
    case VAULT_EXPUNGE: q->expunge.set = (struct vault_set){1, &EVERYTHING}; break;
    case VAULT_MAILBOX_CREATE: q->box.name = slice_str("new"); break;
    case VAULT_MAILBOX_DELETE: q->mailbox = 6; break;
    case VAULT_MAILBOX_SUBSCRIBE: q->box.name = slice_str("Trash"); break; /* which is subscribed */
    case VAULT_MAILBOX_RENAME: q->mailbox = 5, q->box.name = slice_str("other"); break;
    case VAULT_REPLACE: q->deliver = letter(), q->deliver.replaced.mailbox = q->deliver.replaced.uid = 1; break;
    case VAULT_DELIVERED_SEEN:
        seen.account = q->account;
        q->seen = (struct vault_seen){1, &seen};
        break;
    case VAULT_KEY_NOTICE:
        q->deliver = letter();
        q->deliver.notice.fpr = slice_of(ONE, sizeof(ONE));
        q->deliver.notice.events = KEY_EVENT_EXPIRED;
        q->deliver.notice.keys_version = 4;
        break;
    default: q->deliver = letter();
    }
}

static uint8_t fit[PUBLISHED_CERT_MAX]; /* to be published */
static size_t fit_len;
static uint8_t token[UPLOAD_TOKEN_SIZE]; /* of one that waits, for the alias */

static void fill_admin(struct vault_request *q)
{
    switch (q->type) {
    case VAULT_ACCOUNT_ADD:
        q->new =
            (struct vault_account){.address = slice_str("new@example.org"), .verdict = verdict_of(3), .cert_len = 4};
        break;
    case VAULT_ACCOUNT_SET: q->new = (struct vault_account){.policy = 1, .quota = 1 << 20}; break;
    case VAULT_ADDRESS_ADD: q->name = (struct vault_name){slice_str("al@example.org"), ADDRESS_ALIAS}; break;
    case VAULT_ADDRESS_REMOVE: q->name.text = slice_str("alias@example.org"); break;
    case VAULT_DOMAIN_ADD: q->name.text = slice_str("example.net"); break;
    case VAULT_DOMAIN_REMOVE: q->name.text = slice_str("example.com"); break;
    case VAULT_KEY_ADD: q->key = (struct vault_key){.verdict = verdict_of(4), .cert_len = 4}; break;
    case VAULT_KEY_RETIRE:
    case VAULT_KEY_CURRENT:
    case VAULT_KEY_ENC_REVOKED: q->key.fpr = slice_of(TWO, sizeof(TWO)); break;
    case VAULT_KEY_REVOKED: q->key = (struct vault_key){.fpr = slice_of(TWO, sizeof(TWO)), .cert_len = 4}; break;
    case VAULT_APP_PASSWORD_ADD:
        q->password =
            (struct vault_app_password){.hash = {(uint8_t)test_now++}, .scope = SCOPE_IMAP, .label = slice_str("x")};
        break;
    case VAULT_APP_PASSWORD_REVOKE: q->password.number = 1; break;
    case VAULT_ACCOUNT_HOLD: q->hold = true; break;
    case VAULT_CORRESPONDENT_DEL:
        q->correspondent =
            (struct vault_correspondent){.kind = CORRESPONDENT_KEPT, .record = slice_str("carl@example.net")};
        break;
    case VAULT_UPLOAD_CONFIRM: memcpy(q->token, token, sizeof(token)); break;
    case VAULT_UPLOAD_ADD:
    case VAULT_KEY_PUBLISH:
        q->publish = (struct vault_publish){slice_str("alice@example.org"), slice_of(fit, fit_len), PUBLISH_KEY};
        break;
    default: break;
    }
}

/* The account has a password, which changes; a session unused for an hour, a factor, and an invitation. */
static struct token signed_in;
static uint32_t session_number, factor_number;

static void fill_signin(struct bench *b, struct vault_request *q)
{
    static uint8_t packed[FACTOR_PACKED_MAX];
    const struct owner from = owner_of(1, true), to = owner_of(3, true);
    const struct factor f = {.kind = FACTOR_TOTP, .totp.secret = {(uint8_t)factor_number}}; /* another each time */
    const struct slice cert = slice_str("cert");
    size_t len;
    switch (q->type) {
    case VAULT_SIGNIN_SET: *q = signin_request(b, &from, SIGNIN_BY_PASSWORD, NULL, &to, cert, slice_of("", 0)); break;
    case VAULT_WRAPPED_PUT: *q = wrapped_request(b, &from, SIGNIN_BY_PHRASE, WRAPPED_PASSKEY, 7, cert); break;
    case VAULT_SESSION_ADD: {
        const struct token t = token_new(b);
        q->session = (struct vault_session){.version = signin_seen(b).version,
                                            .how = SESSION_PASSWORD,
                                            .until = test_now + 86400};
        memcpy(q->session.hash, t.hash, sizeof(t.hash));
        return;
    }
    case VAULT_SESSION_DEL: q->session = (struct vault_session){.which = SESSION_ONE, .number = session_number}; break;
    case VAULT_FACTOR_PUT:
        assert_int_equal(factor_pack(&f, packed, &len), OK);
        q->factor.record = slice_of(packed, len);
        break;
    case VAULT_FACTOR_DEL: q->factor.number = factor_number; break;
    case VAULT_FACTOR_USED:
        q->factor = (struct vault_factor){.number = factor_number, .kind = FACTOR_TOTP, .value = 1};
        break;
    case VAULT_INVITE_PUT: q->invite = (struct vault_invite){.hash = {1}, .until = test_now + 1, .uses = 1}; break;
    default: break;
    }
    memcpy(q->session.hash, signed_in.hash, sizeof(signed_in.hash));
}

static void house_signin(struct bench *b)
{
    const struct owner o = owner_of(1, true);
    struct vault_request q = {.type = VAULT_FACTOR_PUT, .account = b->account};
    signin_register(b, &o, 0, 0);
    signed_in = token_new(b);
    assert_int_equal(session_call(b, &signed_in, "browser"), OK);
    session_number = b->r.number;
    test_now += SESSION_USED_EVERY;
    factor_number = 0;
    fill_signin(b, &q);
    assert_int_equal(request(b, &q, -1), OK);
    factor_number = b->r.number;
    assert_int_equal(invite_call(b, 98, 1, true), OK);
}

static int descriptor_of(struct bench *b, enum vault_msg type)
{
    int fd;
    switch (type) {
    case VAULT_DELIVER:
    case VAULT_REPLACE:
    case VAULT_KEY_NOTICE: return parcel_of(OUTER, 1, 100);
    case VAULT_QUEUE_ADD: return queue_parcel_of(b->keys, 100);
    default: assert_int_equal(parcel_make_plain("cert", 4, &fd), OK); return fd; /* to a backup it is not empty */
    }
}

static struct vault_request request_of(struct bench *b, enum vault_msg type)
{
    struct vault_request q = {.type = type, .account = b->account, .mailbox = 1};
    if (is_of_the_queue(type))
        fill_queue(&q);
    else if (type < VAULT_ACCOUNT_ADD)
        fill_mail(&q);
    else if (type >= VAULT_SIGNIN_SET)
        fill_signin(b, &q);
    else
        fill_admin(&q);
    if (type == VAULT_APP_PASSWORD_ADD || type == VAULT_APP_PASSWORD_REVOKE)
        memcpy(q.session.hash, signed_in.hash, sizeof(signed_in.hash));
    return q;
}

static int ask_as(struct bench *b, enum vault_msg type)
{
    struct vault_request q = request_of(b, type);
    int fd = descriptor_of(b, type);
    int err = request(b, &q, fd);
    close(fd);
    return err;
}

/* ---- the store as it is ---- */

static int digest_one(void *arg, struct slice key, struct slice value)
{
    crypto_generichash_update(arg, key.data, key.len);
    crypto_generichash_update(arg, value.data, value.len);
    return 0;
}

struct digest {
    uint8_t b[32];
};

static struct digest digest_of(struct bench *b)
{
    struct digest d;
    struct engine_txn *t;
    struct schema_keybuf from;
    crypto_generichash_state s;
    crypto_generichash_init(&s, NULL, 0, sizeof(d.b));
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    assert_int_equal(engine_scan(t, PART_INSTANCE, key_simple(&from, '\0'), slice_of("", 0), 0, digest_one, &s), OK);
    assert_int_equal(engine_scan(t, PART_QUEUE, key_simple(&from, '\0'), slice_of("", 0), 0, digest_one, &s), OK);
    assert_int_equal(engine_scan(t, PART_KEYSERVER, key_simple(&from, '\0'), slice_of("", 0), 0, digest_one, &s), OK);
    assert_int_equal(engine_scan(t, b->account, key_simple(&from, '\0'), slice_of("", 0), 0, digest_one, &s), OK);
    (void)engine_read_end(t);
    crypto_generichash_final(&s, d.b, sizeof(d.b));
    return d;
}

/* Two keys, the first expired, mail, an alias, an app password, a domain: there is something to take away. */
static void house(struct bench *b)
{
    struct vault_request q = {.type = VAULT_KEY_ADD, .key = {.verdict = verdict_of(1), .cert_len = 4}};
    bench_mem(b, false);
    bench_account(b);
    assert_int_equal(domain_add_call(b, "example.com"), OK);
    for (uint8_t tag = 1; tag <= 2; tag++) {
        q.account = b->account;
        q.key.verdict = verdict_of(tag);
        q.key.verdict.enc_expires = (uint32_t)test_now - 10;
        assert_int_equal(request_cert(b, &q, "cert", 4), OK);
    }
    fit_len = published_cert(9, (const char *const[]){"<alice@example.org>", NULL}, fit, &q.key.verdict);
    q.key.verdict.enc_expires = (uint32_t)test_now - 10;
    assert_int_equal(request_cert(b, &q, "cert", 4), OK);
    const struct vault_request alias = {.type = VAULT_ADDRESS_ADD,
                                        .account = b->account,
                                        .name = {slice_str("alias@example.org"), ADDRESS_ALIAS}};
    assert_int_equal(request(b, &alias, -1), OK);
    static uint8_t waits[PUBLISHED_CERT_MAX];
    const size_t len = published_cert(9, (const char *const[]){"<alias@example.org>", NULL}, waits, &q.key.verdict);
    const struct vault_request upload = {.type = VAULT_UPLOAD_ADD,
                                         .publish = {slice_str("alias@example.org"), slice_of(waits, len), 0}};
    assert_int_equal(request(b, &upload, -1), OK);
    memcpy(token, b->r.token, sizeof(token));
    assert_int_equal(ask_as(b, VAULT_APP_PASSWORD_ADD), OK);
    for (int i = 0; i < 3; i++)
        deliver_ok(b, 1, FLAG_DELETED, 100);
    static const struct uid_range one = {1, 1};
    const struct vault_request piece = {
        .type = VAULT_COPY,
        .account = b->account,
        .mailbox = 1,
        .copy = {.to = 2, .piece = VAULT_PIECE_FIRST, .number = COPY, .set = {1, &one}}};
    assert_int_equal(request(b, &piece, -1), OK);
    struct letter l = {.mailbox = 1, .flags = FLAG_DELETED, .id = SEEN_ID};
    int fd = parcel_of(OUTER, 1, 100);
    assert_int_equal(deliver_call(b, &l, fd), OK);
    close(fd);
    struct vault_request queued = request_of(b, VAULT_QUEUE_ADD), dkim = request_of(b, VAULT_DKIM_PUT),
                         gone = request_of(b, VAULT_SUPPRESS_PUT), policy = request_of(b, VAULT_STS_PUT),
                         tally = request_of(b, VAULT_TALLY_PUT);
    queued.queue_add.id = QUEUED;
    dkim.dkim.hash[0] = gone.suppress.hash[0] = policy.sts.hash[0] = tally.tally.hash[0] = 3;
    struct vault_request carl = request_of(b, VAULT_CORRESPONDENT_PUT);
    carl.correspondent.record = correspondent_of("carl@example.net");
    assert_int_equal(request(b, &carl, -1), OK);
    fd = queue_parcel_of(b->keys, 100);
    assert_int_equal(request(b, &queued, fd), OK);
    close(fd);
    assert_int_equal(request(b, &dkim, -1), OK);
    assert_int_equal(request(b, &gone, -1), OK);
    assert_int_equal(request(b, &policy, -1), OK);
    assert_int_equal(request(b, &tally, -1), OK);
    house_signin(b);
}

/* ---- tests ---- */

static void test_each_role_asks_for_everything(void **state)
{
    for (size_t r = 0; r < sizeof(rights) / sizeof(rights[0]); r++)
        for (uint32_t type = 1; type <= VAULT_INVITE_DEL; type++) {
            struct bench b;
            if (verb_find(type) == NULL)
                continue;
            house(&b);
            struct digest before = digest_of(&b), after;
            uint64_t denied = b.vault->count.denied;
            b.client->who = rights[r].admin ? VAULT_MAY_ADMIN : 1u << rights[r].role;
            int err = ask_as(&b, type);
            after = digest_of(&b);
            if (may(r, type)) {
                if (err == ERR_DENIED || b.vault->count.denied != denied)
                    fail_msg("%s may ask for %s", role_name((enum role)rights[r].role), verb_find(type)->name);
            } else {
                if (err != ERR_DENIED || b.vault->count.denied != denied + 1)
                    fail_msg("%s was answered %d to %s", role_name((enum role)rights[r].role), err,
                             verb_find(type)->name);
                assert_memory_equal(before.b, after.b, sizeof(before.b));
            }
            bench_close(&b);
        }
}

/* Else the test above would prove nothing: asked by whoever may, each request does what it says. */
static void test_each_request_is_one_that_does_something(void **state)
{
    for (uint32_t type = 1; type <= VAULT_INVITE_DEL; type++) {
        struct bench b;
        if (verb_find(type) == NULL || (verb_find(type)->needs & DIRECT) ||
            type == VAULT_UPGRADE) /* those write nothing */
            continue;
        house(&b);
        if (type == VAULT_KEY_CURRENT)
            assert_int_equal(ask_as(&b, VAULT_KEY_RETIRE), OK);
        struct digest before = digest_of(&b), after;
        int err = ask_as(&b, type);
        if (err != OK)
            fail_msg("%s: %d %s", verb_find(type)->name, err, b.text);
        after = digest_of(&b);
        if (memcmp(before.b, after.b, sizeof(before.b)) == 0)
            fail_msg("%s changed nothing", verb_find(type)->name);
        bench_close(&b);
    }
}

/* A subverted ingest in one go: what it tries in vain neither ends its channel nor keeps its mail out. */
static void test_ingest_goes_on(void **state)
{
    struct bench b;
    house(&b);
    b.client->who = VAULT_MAY_INGEST;
    assert_int_equal(ask_as(&b, VAULT_EXPUNGE), ERR_DENIED);
    assert_int_equal(ask_as(&b, VAULT_KEY_ADD), ERR_DENIED);
    assert_int_equal(ask_as(&b, VAULT_DELIVER), OK);
    assert_int_equal(b.vault->count.denied, 2);
    assert_int_equal(b.vault->count.broken_clients, 0);
    bench_close(&b);
}

/* ---- other partitions than accounts' ---- */

static bool names_an_account(enum vault_msg type)
{
    switch (type) {
    case VAULT_QUEUE_ADD: /* these know which partition is theirs */
    case VAULT_QUEUE_UPDATE:
    case VAULT_DKIM_PUT:
    case VAULT_DKIM_DEL:
    case VAULT_SUPPRESS_PUT:
    case VAULT_SUPPRESS_DEL:
    case VAULT_STS_PUT:
    case VAULT_STS_DEL:
    case VAULT_TALLY_PUT:
    case VAULT_TALLY_DEL:
    case VAULT_KEY_PUBLISH:
    case VAULT_UPLOAD_ADD:
    case VAULT_UPLOAD_CONFIRM:
    case VAULT_DMARC_REPORT:
    case VAULT_ADDRESS_REMOVE:
    case VAULT_DOMAIN_ADD:
    case VAULT_DOMAIN_REMOVE:
    case VAULT_BACKUP:
    case VAULT_STAT:
    case VAULT_RESTORED:
    case VAULT_UPGRADE: return false;
    default: return true;
    }
}

/* A request that its own role would be granted, about another partition: what vault_take says. */
static int take_about(struct bench *b, enum vault_msg type, uint64_t part)
{
    uint8_t mine[8], other[8];
    struct pack p;
    PACK(payload);
    pack_init(&p, mine, sizeof(mine));
    pack_u64(&p, b->account);
    pack_init(&p, other, sizeof(other));
    pack_u64(&p, part);
    struct vault_request q = request_of(b, type);
    int fd = descriptor_of(b, type);
    struct vault_request whole = approved(b, &q, fd);
    whole.account = b->account; /* a new one's is the next */
    vault_request_pack(&payload, &whole);
    uint8_t *at = memmem(payload.data, payload.len, mine, sizeof(mine));
    assert_non_null(at);
    memcpy(at, other, sizeof(other));
    int err = ask(b, type, &payload, fd);
    vault_run(b->vault);
    close(fd);
    return err;
}

/* In those things stand under other letters, or other things under the same ones. */
static void test_no_request_reaches_other_partitions(void **state)
{
    static const uint64_t parts[] = {PART_INSTANCE, PART_QUEUE,         2,         PART_ACCOUNT_FIRST - 1,
                                     BLOB_PART_MAX, BLOB_PART_MAX + 16, UINT64_MAX};
    struct bench b;
    unsigned asked = 0;
    house(&b);
    struct digest before = digest_of(&b), after;
    for (uint32_t type = 1; type <= VAULT_INVITE_DEL; type++) {
        if (verb_find(type) == NULL || !names_an_account(type))
            continue;
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++, asked++)
            if (take_about(&b, type, parts[i]) != ERR_FORMAT)
                fail_msg("%s about partition %llu was taken", verb_find(type)->name, (unsigned long long)parts[i]);
    }
    assert_int_equal(asked, 37 * sizeof(parts) / sizeof(parts[0]));
    assert_int_equal(b.vault->nwaiting, 0);
    after = digest_of(&b);
    assert_memory_equal(before.b, after.b, sizeof(before.b));
    bench_close(&b);
}

/* Numbers that accounts could have are refused by whoever looks for the account. */
static void test_numbers_that_nobody_has(void **state)
{
    static const uint64_t parts[] = {PART_ACCOUNT_FIRST + 2 /* not the next */, BLOB_PART_MAX - 1};
    struct bench b;
    house(&b);
    for (uint32_t type = 1; type <= VAULT_UPGRADE; type++)
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            if (verb_find(type) == NULL || !names_an_account(type))
                continue;
            assert_int_equal(take_about(&b, type, parts[i]), OK);
            int err = hear(&b, NULL);
            bool nothing_to_do =
                type == VAULT_DELIVERED_SEEN || type == VAULT_COPY_UNDO || type == VAULT_MAILBOX_SUBSCRIBE /* off */;
            if ((err == OK) != nothing_to_do)
                fail_msg("%s about %llu: %d", verb_find(type)->name, (unsigned long long)parts[i], err);
        }
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_role_asks_for_everything),
        cmocka_unit_test(test_each_request_is_one_that_does_something),
        cmocka_unit_test(test_ingest_goes_on),
        cmocka_unit_test(test_no_request_reaches_other_partitions),
        cmocka_unit_test(test_numbers_that_nobody_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
