/* Requests and replies as bytes: what is packed comes back as it was, and whatever is shorter, longer or out of bounds
 * is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/ipc.h"
#include "server/core/error.h"
#include "store/approve.h"
#include "store/request.h"
#include "store/schema.h"
#include "tests/support/request_samples.h"

static uint8_t buf[IPC_MAX], again[IPC_MAX];

static size_t pack(const struct vault_request *q, uint8_t out[IPC_MAX])
{
    struct pack p;
    pack_init(&p, out, IPC_MAX);
    vault_request_pack(&p, q);
    assert_false(p.failed);
    return p.len;
}

static bool is_refused(const struct vault_request *q)
{
    struct pack p;
    pack_init(&p, buf, sizeof(buf));
    vault_request_pack(&p, q);
    return p.failed;
}

/* From memory of exactly this size, so that a sanitizer sees what reads or writes past it. */
static int unpack(enum vault_msg type, const uint8_t *bytes, size_t len, struct vault_request *ret, uint8_t **ret_copy,
                  struct uid_range **ret_room)
{
    *ret_copy = malloc(len > 0 ? len : 1);
    *ret_room = malloc(VAULT_ROOM(len) * sizeof(**ret_room));
    assert_non_null(*ret_copy);
    assert_non_null(*ret_room);
    memcpy(*ret_copy, bytes, len);
    return vault_request_unpack(type, slice_of(*ret_copy, len), *ret_room, ret);
}

static int refusal(enum vault_msg type, const uint8_t *bytes, size_t len)
{
    static const struct vault_request untouched = {.type = 77, .account = 78};
    struct vault_request q = untouched;
    uint8_t *copy;
    struct uid_range *room;
    int err = unpack(type, bytes, len, &q, &copy, &room);
    if (err != OK) /* a failure leaves what it was to fill */
        assert_true(q.type == untouched.type && q.account == untouched.account);
    free(copy), free(room);
    return err;
}

static void assert_slice(struct slice a, struct slice b)
{
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
}

static void assert_set(const struct vault_set *a, const struct vault_set *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->v, b->v, a->n * sizeof(a->v[0]));
}

static void assert_keywords(const struct vault_keywords *a, const struct vault_keywords *b)
{
    assert_int_equal(a->n, b->n);
    for (uint32_t i = 0; i < a->n; i++)
        assert_slice(a->v[i], b->v[i]);
}

static void assert_deliver(const struct vault_deliver *a, const struct vault_deliver *b)
{
    assert_true(a->kind == b->kind && a->policy == b->policy && a->internaldate == b->internaldate);
    assert_true(a->expiry_hour == b->expiry_hour && a->flags == b->flags);
    assert_memory_equal(a->delivery, b->delivery, sizeof(a->delivery));
    assert_memory_equal(a->thread, b->thread, sizeof(a->thread));
    assert_memory_equal(a->own_id, b->own_id, sizeof(a->own_id));
    assert_keywords(&a->keywords, &b->keywords);
    assert_true(a->replaced.mailbox == b->replaced.mailbox && a->replaced.uid == b->replaced.uid);
    assert_slice(a->notice.fpr, b->notice.fpr);
    assert_true(a->notice.events == b->notice.events && a->notice.keys_version == b->notice.keys_version);
    assert_memory_equal(a->contact, b->contact, CONTACT_WHO);
    assert_int_equal(a->nfeatures, b->nfeatures);
    assert_memory_equal(a->features, b->features, a->nfeatures * sizeof(a->features[0]));
}

static void assert_verdict(const struct pgp_verdict *a, const struct pgp_verdict *b)
{
    uint8_t x[PGP_VERDICT_SIZE], y[PGP_VERDICT_SIZE];
    pgp_verdict_pack(a, x);
    pgp_verdict_pack(b, y);
    assert_memory_equal(x, y, sizeof(x));
}

static void assert_rows(const struct vault_queue_row *a, const struct vault_queue_row *b, uint32_t na, uint32_t nb)
{
    assert_int_equal(na, nb);
    for (uint32_t i = 0; i < na; i++) {
        assert_slice(slice_of(a[i].record, a[i].len), slice_of(b[i].record, b[i].len));
        assert_true(a[i].n == b[i].n && (a[i].seen == NULL || memcmp(a[i].seen, b[i].seen, QUEUE_SEEN_SIZE) == 0));
        assert_true(a[i].whom == NULL || memcmp(a[i].whom, b[i].whom, SENDING_WHOM) == 0);
    }
}

static void assert_told(const struct dmarc_told *a, const struct dmarc_told *b)
{
    assert_slice(a->domain, b->domain);
    assert_slice(a->reporter, b->reporter);
    assert_slice(a->id, b->id);
    assert_true(a->day == b->day && a->proven == b->proven);
    assert_memory_equal(&a->sums, &b->sums, sizeof(a->sums));
    assert_int_equal(a->nnetworks, b->nnetworks);
    for (uint32_t i = 0; i < a->nnetworks; i++)
        assert_memory_equal(&a->networks[i], &b->networks[i], sizeof(a->networks[i]));
}

static void assert_mail(const struct vault_request *a, const struct vault_request *b)
{
    switch (a->type) {
    case VAULT_DELIVER:
    case VAULT_REPLACE:
    case VAULT_KEY_NOTICE: assert_deliver(&a->deliver, &b->deliver); break;
    case VAULT_STORE_FLAGS:
        assert_true(a->flags.op == b->flags.op && a->flags.flags == b->flags.flags);
        assert_true(a->flags.unchangedsince == b->flags.unchangedsince);
        assert_keywords(&a->flags.keywords, &b->flags.keywords);
        assert_set(&a->flags.set, &b->flags.set);
        break;
    case VAULT_COPY:
        assert_true(a->copy.to == b->copy.to && a->copy.move == b->copy.move && a->copy.piece == b->copy.piece);
        assert_true(a->copy.number == b->copy.number && a->copy.least == b->copy.least);
        assert_set(&a->copy.set, &b->copy.set);
        break;
    case VAULT_COPY_UNDO: assert_int_equal(a->copy.number, b->copy.number); break;
    case VAULT_EXPUNGE:
        assert_true(a->expunge.only_deleted == b->expunge.only_deleted);
        assert_set(&a->expunge.set, &b->expunge.set);
        break;
    case VAULT_DELIVERED_SEEN:
        assert_int_equal(a->seen.n, b->seen.n);
        for (uint32_t i = 0; i < a->seen.n; i++) {
            assert_int_equal(a->seen.v[i].account, b->seen.v[i].account);
            assert_memory_equal(a->seen.v[i].delivery, b->seen.v[i].delivery, RECORD_HASH_SIZE);
        }
        break;
    case VAULT_MAILBOX_CREATE:
    case VAULT_MAILBOX_RENAME:
    case VAULT_MAILBOX_SUBSCRIBE:
        assert_slice(a->box.name, b->box.name);
        assert_true(a->box.use == b->box.use && a->box.on == b->box.on);
        break;
    case VAULT_QUEUE_ADD:
        assert_true(a->queue_add.id == b->queue_add.id && a->queue_add.account == b->queue_add.account &&
                    a->queue_add.counts == b->queue_add.counts && a->queue_add.forwarded == b->queue_add.forwarded);
        assert_slice(a->queue_add.envelope, b->queue_add.envelope);
        assert_rows(a->queue_add.v, b->queue_add.v, a->queue_add.n, b->queue_add.n);
        break;
    case VAULT_QUEUE_UPDATE:
        assert_int_equal(a->queue_update.id, b->queue_update.id);
        assert_memory_equal(a->queue_update.seen, b->queue_update.seen, QUEUE_SEEN_SIZE);
        assert_slice(a->queue_update.envelope, b->queue_update.envelope);
        assert_rows(a->queue_update.v, b->queue_update.v, a->queue_update.n, b->queue_update.n);
        break;
    case VAULT_STS_PUT:
    case VAULT_STS_DEL:
    case VAULT_TALLY_PUT:
    case VAULT_TALLY_DEL: assert_memory_equal(a->sts.seen, b->sts.seen, QUEUE_SEEN_SIZE); /* fall through */
    case VAULT_SUPPRESS_PUT:
    case VAULT_DKIM_PUT: assert_slice(a->dkim.record, b->dkim.record); /* fall through */
    case VAULT_SUPPRESS_DEL:                                           /* the same fields */
    case VAULT_DKIM_DEL: assert_memory_equal(a->dkim.hash, b->dkim.hash, RECORD_HASH_SIZE); break;
    case VAULT_ACCOUNT_HOLD: assert_int_equal(a->hold, b->hold); break;
    case VAULT_COMPLAINT: assert_memory_equal(a->complaint, b->complaint, COMPLAINT_MESSAGE); break;
    case VAULT_CORRESPONDENT_PUT:
        assert_memory_equal(a->correspondent.seen, b->correspondent.seen, CORRESPONDENT_SEEN); /* fall through */
    case VAULT_CORRESPONDENT_DEL:
        assert_int_equal(a->correspondent.kind, b->correspondent.kind);
        assert_slice(a->correspondent.record, b->correspondent.record);
        break;
    case VAULT_DMARC_REPORT: assert_told(&a->dmarc, &b->dmarc); break;
    case VAULT_UPLOAD_CONFIRM: assert_memory_equal(a->token, b->token, sizeof(a->token)); break;
    case VAULT_UPLOAD_ADD:
    case VAULT_KEY_PUBLISH:
        assert_slice(a->publish.address, b->publish.address);
        assert_slice(a->publish.cert, b->publish.cert);
        assert_int_equal(a->publish.why, b->publish.why);
        break;
    default: break;
    }
}

static void assert_accounts(const struct vault_request *a, const struct vault_request *b)
{
    switch (a->type) {
    case VAULT_ACCOUNT_ADD: assert_verdict(&a->new.verdict, &b->new.verdict); /* fall through */
    case VAULT_ACCOUNT_SET:
        assert_slice(a->new.address, b->new.address);
        assert_true(a->new.policy == b->new.policy && a->new.quota == b->new.quota &&
                    a->new.seal_v2 == b->new.seal_v2 && a->new.encrypt == b->new.encrypt &&
                    a->new.publish == b->new.publish && a->new.autocrypt == b->new.autocrypt &&
                    a->new.key_changes == b->new.key_changes);
        assert_true(a->new.forwards == b->new.forwards && a->new.forward_how == b->new.forward_how);
        assert_slice(a->new.forward, b->new.forward);
        assert_true(a->new.trial == b->new.trial && a->new.cert_len == b->new.cert_len);
        break;
    case VAULT_ADDRESS_ADD:
    case VAULT_ADDRESS_REMOVE:
    case VAULT_DOMAIN_ADD:
    case VAULT_DOMAIN_REMOVE:
        assert_slice(a->name.text, b->name.text);
        assert_int_equal(a->name.kind, b->name.kind);
        break;
    case VAULT_KEY_ADD: assert_verdict(&a->key.verdict, &b->key.verdict); /* fall through */
    case VAULT_KEY_RETIRE:
    case VAULT_KEY_CURRENT:
    case VAULT_KEY_REVOKED:
    case VAULT_KEY_ENC_REVOKED:
        assert_slice(a->key.fpr, b->key.fpr);
        assert_true(a->key.told.how == b->key.told.how && a->key.told.policy == b->key.told.policy);
        assert_true(a->key.told.date == b->key.told.date);
        assert_memory_equal(a->key.told.thread, b->key.told.thread, RECORD_HASH_SIZE);
        assert_memory_equal(a->key.told.own_id, b->key.told.own_id, RECORD_HASH_SIZE);
        assert_int_equal(a->key.cert_len, b->key.cert_len);
        break;
    case VAULT_APP_PASSWORD_ADD:
    case VAULT_APP_PASSWORD_REVOKE:
        assert_memory_equal(a->password.hash, b->password.hash, sizeof(a->password.hash));
        assert_memory_equal(a->password.stored_key, b->password.stored_key, 32);
        assert_memory_equal(a->password.server_key, b->password.server_key, 32);
        assert_slice(a->password.label, b->password.label);
        assert_true(a->password.scope == b->password.scope && a->password.number == b->password.number);
        break;
    default: break;
    }
}

static void assert_signing_in(const struct vault_request *a, const struct vault_request *b)
{
    switch (a->type) {
    case VAULT_SIGNIN_SET:
    case VAULT_WRAPPED_PUT:
        assert_true(a->signin.proof == b->signin.proof && a->signin.serial == b->signin.serial &&
                    a->signin.profile == b->signin.profile && a->signin.kind == b->signin.kind &&
                    a->signin.password_len == b->signin.password_len && a->signin.phrase_len == b->signin.phrase_len);
        assert_memory_equal(a->signin.secret, b->signin.secret, SIGNIN_SIGNATURE_SIZE);
        assert_memory_equal(a->signin.record, b->signin.record, OPAQUE_RECORD_SIZE);
        assert_memory_equal(a->signin.password_key, b->signin.password_key, SIGNIN_KEY_SIZE);
        assert_memory_equal(a->signin.phrase_key, b->signin.phrase_key, SIGNIN_KEY_SIZE);
        assert_memory_equal(a->signin.id, b->signin.id, WRAPPED_ID_SIZE);
        break;
    case VAULT_FACTOR_PUT:
    case VAULT_FACTOR_DEL:
    case VAULT_FACTOR_USED:
        assert_slice(a->factor.record, b->factor.record);
        assert_true(a->factor.number == b->factor.number && a->factor.kind == b->factor.kind &&
                    a->factor.value == b->factor.value);
        assert_memory_equal(a->factor.code, b->factor.code, RECORD_HASH_SIZE);
        break;
    case VAULT_INVITE_PUT:
        assert_memory_equal(a->invite.hash, b->invite.hash, RECORD_HASH_SIZE);
        assert_true(a->invite.until == b->invite.until && a->invite.uses == b->invite.uses &&
                    a->invite.reset == b->invite.reset);
        break;
    default: break;
    }
    assert_memory_equal(a->session.hash, b->session.hash, RECORD_HASH_SIZE);
    assert_slice(a->session.label, b->session.label);
    assert_true(a->session.version == b->session.version && a->session.how == b->session.how &&
                a->session.until == b->session.until && a->session.which == b->session.which &&
                a->session.number == b->session.number);
}

static void assert_body(const struct vault_request *a, const struct vault_request *b)
{
    assert_int_equal(a->approval.keys_version, b->approval.keys_version);
    assert_memory_equal(a->approval.keys, b->approval.keys, APPROVAL_SIZE);
    assert_memory_equal(a->approval.address, b->approval.address, APPROVAL_SIZE);
    assert_mail(a, b);
    assert_accounts(a, b);
    assert_signing_in(a, b);
}

static void test_identity(void **state)
{
    struct vault_request all[REQUEST_SAMPLES_MAX], got;
    size_t n = request_samples(all);
    uint8_t *copy;
    struct uid_range *room;
    for (size_t i = 0; i < n; i++) {
        size_t len = pack(&all[i], buf);
        assert_int_equal(unpack(all[i].type, buf, len, &got, &copy, &room), OK);
        assert_true(got.type == all[i].type && got.account == all[i].account && got.mailbox == all[i].mailbox);
        assert_body(&all[i], &got);
        assert_int_equal(pack(&got, again), len);
        assert_memory_equal(again, buf, len);
        free(copy), free(room);
    }
}

static void test_every_truncation_and_every_octet_more(void **state)
{
    struct vault_request all[REQUEST_SAMPLES_MAX];
    size_t n = request_samples(all);
    for (size_t i = 0; i < n; i++) {
        size_t len = pack(&all[i], buf);
        for (size_t k = 0; k < len; k++)
            if (refusal(all[i].type, buf, k) != ERR_FORMAT)
                fail_msg("type %d, %zu of %zu octets", all[i].type, k, len);
        for (int octet = 0; octet < 256; octet++) {
            buf[len] = (uint8_t)octet;
            assert_int_equal(refusal(all[i].type, buf, len + 1), ERR_FORMAT);
        }
    }
    for (uint32_t type = 0; type < 300; type++) { /* what is no request */
        size_t known;
        for (known = 0; known < n && all[known].type != type; known++)
            ;
        assert_true(known < n || refusal((enum vault_msg)type, buf, 0) == ERR_FORMAT);
    }
}

/* Each bound, from the asker's side. */
static void test_bounds(void **state)
{
    struct vault_request all[REQUEST_SAMPLES_MAX], *q = NULL;
    static char longer[2048];
    size_t n = request_samples(all), at = 0;
    memset(longer, 'x', sizeof(longer));
#define WITH(t)                              \
    n = request_samples(all);                \
    for (at = 0; all[at].type != VAULT_##t;) \
        at++;                                \
    q = &all[at];                            \
    assert_false(is_refused(q))
#define REFUSED(t, change)          \
    do {                            \
        WITH(t);                    \
        change;                     \
        assert_true(is_refused(q)); \
    } while (0)
    (void)n;
    REFUSED(DELIVER, q->deliver.kind = 0);
    REFUSED(DELIVER, q->deliver.kind = 4);
    REFUSED(DELIVER, q->deliver.internaldate = UINT64_C(253402300800)); /* the year 10000 */
    REFUSED(DELIVER, q->deliver.flags = 2 * FLAG_DRAFT);
    REFUSED(DELIVER, q->deliver.keywords.n = VAULT_KEYWORDS_MAX + 1);
    REFUSED(DELIVER, q->deliver.keywords.v[0] = slice_of(longer, KEYWORD_LEN_MAX + 1));
    REFUSED(REPLACE, q->deliver.replaced.uid = 0);
    REFUSED(KEY_NOTICE, q->deliver.delivery[0] = 1);
    REFUSED(KEY_NOTICE, q->deliver.kind = MESSAGE_FOREIGN);
    REFUSED(KEY_NOTICE, q->deliver.notice.events = 0);
    REFUSED(KEY_NOTICE, q->deliver.notice.events = 8);
    REFUSED(KEY_NOTICE, q->deliver.notice.fpr.len = 21);
    REFUSED(STORE_FLAGS, q->flags.op = 3);
    REFUSED(STORE_FLAGS, q->flags.set.n = VAULT_RANGES_MAX + 1);
    REFUSED(MAILBOX_CREATE, q->box.use = 2 * USE_ARCHIVE);
    REFUSED(MAILBOX_CREATE, q->box.name = slice_of("a\0b", 3));
    REFUSED(MAILBOX_RENAME, q->box.name = slice_of(longer, MAILBOX_NAME_MAX + 1));
    REFUSED(ACCOUNT_ADD, q->new.policy = VAULT_POLICY_KEEP);
    REFUSED(ACCOUNT_ADD, q->new.address = slice_of(longer, ADDRESS_MAX));
    REFUSED(ACCOUNT_ADD, q->new.cert_len = 0);
    REFUSED(ACCOUNT_SET, q->new.policy = 3);
    REFUSED(ACCOUNT_SET, q->new.seal_v2 = SEAL_V2_NEVER + 1);
    REFUSED(ACCOUNT_SET, q->new.encrypt = ENCRYPT_ALWAYS + 1);
    REFUSED(ADDRESS_ADD, q->name.kind = 0);
    REFUSED(ADDRESS_ADD, q->name.kind = ADDRESS_CATCH_ALL + 1);
    REFUSED(KEY_ADD, q->key.cert_len = PGP_CERT_MAX + 1);
    REFUSED(KEY_RETIRE, q->key.fpr.len = 0);
    REFUSED(APP_PASSWORD_ADD, q->password.scope = 0);
    REFUSED(APP_PASSWORD_ADD, q->password.scope = 16);
    REFUSED(APP_PASSWORD_ADD, q->password.label = slice_of(longer, LABEL_MAX));
    REFUSED(SIGNIN_SET, q->signin.proof = 0);
    REFUSED(SIGNIN_SET, q->signin.proof = SIGNIN_BY_PHRASE + 1);
    REFUSED(SIGNIN_SET, q->signin.profile = 0);
    REFUSED(SIGNIN_SET, q->signin.password_len = WRAPPED_MAX + 1);
    REFUSED(SIGNIN_SET, q->signin.phrase_len = UINT32_MAX);
    REFUSED(WRAPPED_PUT, q->signin.proof = SIGNIN_BY_INVITATION);
    REFUSED(WRAPPED_PUT, q->signin.kind = 0);
    REFUSED(WRAPPED_PUT, q->signin.kind = WRAPPED_PASSKEY + 1);
    REFUSED(WRAPPED_PUT, q->signin.kind = WRAPPED_PHRASE); /* it has an id */
    REFUSED(WRAPPED_PUT, q->signin.password_len = WRAPPED_MAX + 1);
    REFUSED(SESSION_ADD, q->session.how = 0);
    REFUSED(SESSION_ADD, q->session.how = SESSION_HOW_ALL + 1);
    REFUSED(SESSION_ADD, q->session.label = slice_of(longer, LABEL_MAX));
    REFUSED(SESSION_DEL, q->session.which = 0);
    REFUSED(SESSION_DEL, q->session.which = SESSION_OTHERS + 1);
    REFUSED(FACTOR_PUT, q->factor.record = slice_of(longer, FACTOR_PACKED_MAX + 1));
    REFUSED(FACTOR_PUT, q->factor.record = slice_of(longer, 0));
    REFUSED(FACTOR_USED, q->factor.kind = 0);
    REFUSED(FACTOR_USED, q->factor.kind = FACTOR_RECOVERY + 1);
    REFUSED(INVITE_PUT, q->invite.uses = 0);
}

/* As bytes: what no asker would pack. */
static void test_bounds_of_bytes(void **state)
{
    struct vault_request all[REQUEST_SAMPLES_MAX], *q = NULL;
    size_t n, at;
    WITH(EXPUNGE);
    size_t len = pack(q, buf);
    assert_int_equal(refusal(VAULT_EXPUNGE, buf, len), OK);
    buf[12] = 2;
    assert_int_equal(refusal(VAULT_EXPUNGE, buf, len), ERR_FORMAT);
    buf[12] = 1;
    static const uint32_t counts[] = {4, VAULT_RANGES_MAX, VAULT_RANGES_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct pack p;
        pack_init(&p, buf + 13, 4);
        pack_u32(&p, counts[i]);
        assert_int_equal(refusal(VAULT_EXPUNGE, buf, len), ERR_FORMAT);
    }
    WITH(DELIVER);
    len = pack(q, buf);
    buf[12] = 0; /* kind */
    assert_int_equal(refusal(VAULT_DELIVER, buf, len), ERR_FORMAT);
    buf[12] = MESSAGE_SERVER_SEALED;
    assert_int_equal(refusal(VAULT_DELIVER, buf, len), OK);
    static const uint32_t features[] = {1, MESSAGE_FEATURES_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        struct pack p;
        pack_init(&p, buf + len - q->deliver.nfeatures * 8 - 4, 4);
        pack_u32(&p, features[i]);
        assert_int_equal(refusal(VAULT_DELIVER, buf, len), ERR_FORMAT);
    }
    (void)n;
}

/* ---- replies ---- */

static size_t reply(enum vault_msg type, const struct vault_reply *r, struct vault_reply *ret)
{
    struct pack p;
    struct unpack u;
    pack_init(&p, buf, sizeof(buf));
    vault_reply_pack(&p, type, r);
    assert_false(p.failed);
    for (size_t k = 0; k < p.len; k++) {
        unpack_init(&u, buf, k);
        assert_int_equal(vault_reply_unpack(type, &u, ret), ERR_FORMAT);
    }
    buf[p.len] = 0;
    unpack_init(&u, buf, p.len + 1);
    assert_int_equal(vault_reply_unpack(type, &u, ret), ERR_FORMAT);
    unpack_init(&u, buf, p.len);
    assert_int_equal(vault_reply_unpack(type, &u, ret), OK);
    return p.len;
}

static void test_replies(void **state)
{
    static const struct vault_flags_row changed[] = {{1, 2, 3}, {4, 5, 6}};
    static const struct vault_copied_row rows[] = {{1, 2}, {3, 4}};
    static const struct vault_change changes[] = {{1, 2, 3, 4}, {5, 0, 6, 7}};
    static const uint32_t uids[] = {8, 9};
    const struct vault_stat stats[] = {{slice_str("one"), 1}, {slice_str(""), 2}};
    struct vault_reply r;
    reply(VAULT_DELIVER, &(struct vault_reply){.delivered = {true, 1, 2, 3, 4}}, &r);
    assert_true(r.delivered.duplicate && r.delivered.uidvalidity == 1 && r.delivered.uid == 2 &&
                r.delivered.message == 3 && r.delivered.modseq == 4);
    reply(VAULT_STORE_FLAGS, &(struct vault_reply){.flags = {7, 2, 2, changed, uids}}, &r);
    assert_true(r.flags.modseq == 7 && r.flags.nchanged == 2 && r.flags.nfailed == 2);
    assert_memory_equal(r.flags.failed, uids, sizeof(uids));
    for (int i = 0; i < 2; i++)
        assert_true(r.flags.changed[i].uid == changed[i].uid && r.flags.changed[i].flags == changed[i].flags &&
                    r.flags.changed[i].modseq == changed[i].modseq);
    reply(VAULT_COPY, &(struct vault_reply){.copied = {1, 2, 2, rows}}, &r);
    assert_true(r.copied.uidvalidity == 1 && r.copied.modseq == 2 && r.copied.n == 2);
    assert_memory_equal(r.copied.v, rows, sizeof(rows));
    reply(VAULT_EXPUNGE, &(struct vault_reply){.expunged = {1, 2, uids}}, &r);
    assert_true(r.expunged.modseq == 1 && r.expunged.n == 2);
    assert_memory_equal(r.expunged.uids, uids, sizeof(uids));
    reply(VAULT_MAILBOX_CREATE, &(struct vault_reply){.made = {1, 2}}, &r);
    assert_true(r.made.mailbox == 1 && r.made.uidvalidity == 2);
    reply(VAULT_ACCOUNT_ADD, &(struct vault_reply){.account = 16}, &r);
    assert_int_equal(r.account, 16);
    reply(VAULT_APP_PASSWORD_ADD, &(struct vault_reply){.number = 17}, &r);
    assert_int_equal(r.number, 17);
    reply(VAULT_UPLOAD_ADD, &(struct vault_reply){.token = {19}}, &r);
    assert_int_equal(r.token[0], 19);
    reply(VAULT_SIGNIN_SET, &(struct vault_reply){.version = 20}, &r);
    assert_int_equal(r.version, 20);
    reply(VAULT_SESSION_ADD, &(struct vault_reply){.number = 21}, &r);
    assert_int_equal(r.number, 21);
    reply(VAULT_FACTOR_PUT, &(struct vault_reply){.number = 22}, &r);
    assert_int_equal(r.number, 22);
    reply(VAULT_BACKUP, &(struct vault_reply){.bytes = 18}, &r);
    assert_int_equal(r.bytes, 18);
    reply(VAULT_STAT, &(struct vault_reply){.stats = {2, stats}}, &r);
    assert_int_equal(r.stats.n, 2);
    assert_slice(r.stats.v[0].name, stats[0].name);
    assert_int_equal(r.stats.v[1].value, 2);
    reply(VAULT_NOTICE, &(struct vault_reply){.changes = {2, changes}}, &r);
    for (uint32_t i = 0; i < 2; i++)
        assert_true(r.changes.v[i].account == changes[i].account && r.changes.v[i].mailbox == changes[i].mailbox &&
                    r.changes.v[i].modseq == changes[i].modseq && r.changes.v[i].exists == changes[i].exists);
    reply(VAULT_FULL, &(struct vault_reply){.full = true}, &r);
    assert_true(r.full);
    reply(VAULT_UPGRADE, &(struct vault_reply){.upgraded = {1, 2, true, slice_str("words")}}, &r);
    assert_true(r.upgraded.done == 1 && r.upgraded.steps == 2 && r.upgraded.more);
    assert_slice(r.upgraded.what, slice_str("words"));
    assert_int_equal(reply(VAULT_RESTORED, &(struct vault_reply){0}, &r), 0);
}

/* The largest sets fit into one message, both ways. */
static void test_largest(void **state)
{
    static struct uid_range ranges[VAULT_RANGES_MAX];
    static struct vault_flags_row changed[VAULT_SET_MAX];
    static uint32_t failed[VAULT_SET_MAX];
    struct vault_reply r;
    struct vault_request q = {.type = VAULT_STORE_FLAGS, .account = 16, .flags.set = {VAULT_RANGES_MAX, ranges}};
    for (uint32_t i = 0; i < VAULT_KEYWORDS_MAX; i++)
        q.flags.keywords.v[q.flags.keywords.n++] =
            slice_str("a-keyword-of-sixty-four-octets-which-is-as-long-as-it-may-be-xx");
    for (uint32_t i = 0; i < VAULT_RANGES_MAX; i++)
        ranges[i] = (struct uid_range){i, i + 1};
    size_t len = pack(&q, buf);
    struct vault_request got;
    uint8_t *copy;
    struct uid_range *room;
    assert_int_equal(unpack(VAULT_STORE_FLAGS, buf, len, &got, &copy, &room), OK);
    assert_set(&q.flags.set, &got.flags.set);
    free(copy), free(room);
    static struct vault_seen_row seen[VAULT_SEEN_MAX + 1];
    q = (struct vault_request){.type = VAULT_DELIVERED_SEEN, .seen = {VAULT_SEEN_MAX, seen}};
    memset(seen, 7, sizeof(seen));
    len = pack(&q, buf);
    assert_int_equal(unpack(VAULT_DELIVERED_SEEN, buf, len, &got, &copy, &room), OK);
    assert_int_equal(got.seen.n, VAULT_SEEN_MAX);
    assert_memory_equal(got.seen.v, seen, VAULT_SEEN_MAX * sizeof(seen[0]));
    free(copy), free(room);
    q.seen.n++;
    assert_true(is_refused(&q));
    for (uint32_t i = 0; i < VAULT_SET_MAX; i++)
        changed[i] = (struct vault_flags_row){i, i, i}, failed[i] = i;
    struct pack p;
    struct unpack u;
    pack_init(&p, buf, sizeof(buf));
    vault_reply_pack(&p, VAULT_STORE_FLAGS,
                     &(struct vault_reply){.flags = {1, VAULT_SET_MAX / 2, VAULT_SET_MAX / 2, changed, failed}});
    assert_false(p.failed);
    unpack_init(&u, buf, p.len);
    assert_int_equal(vault_reply_unpack(VAULT_STORE_FLAGS, &u, &r), OK);
    assert_int_equal(r.flags.changed[VAULT_SET_MAX / 2 - 1].uid, VAULT_SET_MAX / 2 - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity), cmocka_unit_test(test_every_truncation_and_every_octet_more),
        cmocka_unit_test(test_bounds),   cmocka_unit_test(test_bounds_of_bytes),
        cmocka_unit_test(test_replies),  cmocka_unit_test(test_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
