/* Every message to and from the vault, described once: each function below walks the fields of one payload in their
 * order, and packs or unpacks them as its codec says (so do the routines of XDR, RFC 4506). docs/ipc.md's table is
 * checked against these functions. */
#include "store/request_queue.h"
#include "store/request_reply.h"
#include "store/request_signin.h"

#include <string.h>

#include "server/core/bug.h"
#include "server/core/error.h"

static void keyword(struct codec *c, void *row)
{
    str(c, row, KEYWORD_LEN_MAX);
}

static void keywords(struct codec *c, struct vault_keywords *k)
{
    (void)list(c, &k->n, k->v, k->v, sizeof(k->v[0]), VAULT_KEYWORDS_MAX, keyword);
}

static void range(struct codec *c, void *row)
{
    struct uid_range *r = row;
    u32(c, &r->first);
    u32(c, &r->last);
}

static void ranges(struct codec *c, struct vault_set *s)
{
    s->v = list(c, &s->n, s->v, c->room, sizeof(*s->v), VAULT_RANGES_MAX, range);
}

/* ---- requests ---- */

bool vault_deliver_has_id(const struct vault_deliver *d)
{
    static const uint8_t none[sizeof(d->delivery)];
    return memcmp(d->delivery, none, sizeof(none)) != 0;
}

static void nothing(struct codec *c, struct vault_request *q)
{
    (void)c;
    (void)q;
}

static void account(struct codec *c, struct vault_request *q)
{
    u64_account(c, &q->account);
}

static void deliver(struct codec *c, struct vault_request *q)
{
    struct vault_deliver *d = &q->deliver;
    account(c, q);
    u32(c, &q->mailbox);
    u8(c, &d->kind, MESSAGE_SERVER_SEALED, MESSAGE_CLIENT);
    u8(c, &d->policy, 0, UINT8_MAX);
    u64_date(c, &d->internaldate);
    raw(c, d->delivery, sizeof(d->delivery));
    raw(c, d->thread, sizeof(d->thread));
    raw(c, d->own_id, sizeof(d->own_id));
    u32(c, &d->expiry_hour);
    u64_flags(c, &d->flags);
    keywords(c, &d->keywords);
    raw(c, d->contact, sizeof(d->contact));
    (void)list(c, &d->nfeatures, d->features, d->features, sizeof(d->features[0]), MESSAGE_FEATURES_MAX, u64_row);
}

static void replace(struct codec *c, struct vault_request *q)
{
    u32(c, &q->deliver.replaced.mailbox);
    u32(c, &q->deliver.replaced.uid);
    deliver(c, q);
    must(c, q->deliver.replaced.uid != 0);
}

static void key_notice(struct codec *c, struct vault_request *q)
{
    struct vault_deliver *d = &q->deliver;
    deliver(c, q);
    bytes_fpr(c, &d->notice.fpr);
    u8(c, &d->notice.events, 1, KEY_EVENT_EXPIRING | KEY_EVENT_EXPIRED | KEY_EVENT_REVOKED);
    u32(c, &d->notice.keys_version);
    must(c, d->kind == MESSAGE_SERVER_SEALED && !vault_deliver_has_id(d)); /* another mail's would note it unsent */
}

static void seen_row(struct codec *c, void *row)
{
    struct vault_seen_row *s = row;
    u64_account(c, &s->account);
    raw(c, s->delivery, sizeof(s->delivery));
}

static void delivered_seen(struct codec *c, struct vault_request *q)
{
    q->seen.v = list(c, &q->seen.n, q->seen.v, c->room, sizeof(*q->seen.v), VAULT_SEEN_MAX, seen_row);
}

static void store_flags(struct codec *c, struct vault_request *q)
{
    account(c, q);
    u32(c, &q->mailbox);
    u8(c, &q->flags.op, VAULT_FLAGS_SET, VAULT_FLAGS_REMOVE);
    u64_flags(c, &q->flags.flags);
    keywords(c, &q->flags.keywords);
    u64(c, &q->flags.unchangedsince);
    ranges(c, &q->flags.set);
}

static void copy(struct codec *c, struct vault_request *q)
{
    account(c, q);
    u32(c, &q->mailbox);
    u32(c, &q->copy.to);
    u8_bool(c, &q->copy.move);
    u8(c, &q->copy.piece, VAULT_PIECE_WHOLE, VAULT_PIECE_LAST);
    u64(c, &q->copy.number);
    u32(c, &q->copy.least);
    ranges(c, &q->copy.set);
}

static void copy_undo(struct codec *c, struct vault_request *q)
{
    account(c, q);
    u64(c, &q->copy.number);
}

static void expunge(struct codec *c, struct vault_request *q)
{
    account(c, q);
    u32(c, &q->mailbox);
    u8_bool(c, &q->expunge.only_deleted);
    ranges(c, &q->expunge.set);
}

static void mailbox_create(struct codec *c, struct vault_request *q)
{
    account(c, q);
    str(c, &q->box.name, MAILBOX_NAME_MAX);
    u8(c, &q->box.use, 0, 2 * USE_ARCHIVE - 1);
}

static void mailbox(struct codec *c, struct vault_request *q)
{
    account(c, q);
    u32(c, &q->mailbox);
}

static void mailbox_rename(struct codec *c, struct vault_request *q)
{
    mailbox(c, q);
    str(c, &q->box.name, MAILBOX_NAME_MAX);
}

static void mailbox_subscribe(struct codec *c, struct vault_request *q)
{
    account(c, q);
    str(c, &q->box.name, MAILBOX_NAME_MAX);
    u8_bool(c, &q->box.on);
}

static void raw_approval(struct codec *c, struct vault_request *q)
{
    u32(c, &q->approval.keys_version);
    raw(c, q->approval.keys, sizeof(q->approval.keys));
}

static void account_add(struct codec *c, struct vault_request *q)
{
    account(c, q);
    str(c, &q->new.address, ADDRESS_MAX - 1);
    u8(c, &q->new.policy, 0, UINT8_MAX);
    u64(c, &q->new.quota);
    u8_bool(c, &q->new.trial);
    u8(c, &q->new.publish, 0, 1);
    u8(c, &q->new.autocrypt, 0, 1);
    raw_verdict(c, &q->new.verdict);
    u32_cert_len(c, &q->new.cert_len);
    raw_approval(c, q);
    raw(c, q->approval.address, sizeof(q->approval.address));
    must(c, outer_policy_valid(q->new.policy));
}

static void account_set(struct codec *c, struct vault_request *q)
{
    account(c, q);
    u8(c, &q->new.policy, 0, UINT8_MAX);
    u64(c, &q->new.quota);
    u8(c, &q->new.seal_v2, 0, UINT8_MAX);
    u8(c, &q->new.encrypt, 0, UINT8_MAX);
    u8_wish(c, &q->new.publish);
    u8_wish(c, &q->new.autocrypt);
    u8_wish(c, &q->new.key_changes);
    u8_bool(c, &q->new.forwards);
    u8(c, &q->new.forward_how, 0, FORWARD_ONLY | FORWARD_OWN_KEYS);
    str(c, &q->new.forward, ADDRESS_MAX - 1);
    raw_approval(c, q);
    must(c, outer_policy_valid(q->new.policy) || q->new.policy == VAULT_POLICY_KEEP);
    must(c, q->new.seal_v2 <= SEAL_V2_NEVER || q->new.seal_v2 == VAULT_SEAL_V2_KEEP);
    must(c, q->new.encrypt <= ENCRYPT_ALWAYS || q->new.encrypt == VAULT_ENCRYPT_KEEP);
    must(c, q->new.forwards || q->new.forward.len == 0);
    must(c, q->new.forward.len > 0 || q->new.forward_how == 0);
}

static void address_add(struct codec *c, struct vault_request *q)
{
    str(c, &q->name.text, ADDRESS_MAX - 1);
    u8(c, &q->name.kind, ADDRESS_PRIMARY, ADDRESS_CATCH_ALL);
    account(c, q);
    raw(c, q->approval.address, sizeof(q->approval.address));
}

static void name(struct codec *c, struct vault_request *q)
{
    str(c, &q->name.text, ADDRESS_MAX - 1);
}

static void told(struct codec *c, struct vault_request *q)
{
    struct vault_key_told *t = &q->key.told;
    u8(c, &t->how, VAULT_TOLD_NOBODY, VAULT_TOLD);
    u8(c, &t->policy, 0, UINT8_MAX);
    u64_date(c, &t->date);
    raw(c, t->thread, sizeof(t->thread));
    raw(c, t->own_id, sizeof(t->own_id));
}

static void key_add(struct codec *c, struct vault_request *q)
{
    account(c, q);
    raw_verdict(c, &q->key.verdict);
    u32_cert_len(c, &q->key.cert_len);
    raw_approval(c, q);
    told(c, q);
}

static void key(struct codec *c, struct vault_request *q)
{
    account(c, q);
    bytes_fpr(c, &q->key.fpr);
    raw_approval(c, q);
}

static void key_current(struct codec *c, struct vault_request *q)
{
    key(c, q);
    told(c, q);
}

static void key_revoked(struct codec *c, struct vault_request *q)
{
    key(c, q);
    u32_cert_len(c, &q->key.cert_len);
}

static void password_add(struct codec *c, struct vault_request *q)
{
    struct vault_app_password *p = &q->password;
    session_name(c, q);
    raw(c, p->hash, sizeof(p->hash));
    u8(c, &p->scope, 1, SCOPE_ALL);
    raw(c, p->stored_key, sizeof(p->stored_key));
    raw(c, p->server_key, sizeof(p->server_key));
    str(c, &p->label, LABEL_MAX - 1);
}

static void password_revoke(struct codec *c, struct vault_request *q)
{
    session_name(c, q);
    u32(c, &q->password.number);
}

static void key_publish(struct codec *c, struct vault_request *q)
{
    q->account = PART_KEYSERVER; /* which is nobody's to name */
    str(c, &q->publish.address, ADDRESS_MAX - 1);
    u8(c, &q->publish.why, PUBLISH_KEY, PUBLISH_MENDED);
    bytes(c, &q->publish.cert, PGP_PUBLISHED_MAX);
}

static void upload_add(struct codec *c, struct vault_request *q)
{
    q->account = PART_KEYSERVER;
    str(c, &q->publish.address, ADDRESS_MAX - 1);
    bytes(c, &q->publish.cert, PGP_PUBLISHED_MAX);
    must(c, q->publish.cert.len > 0);
}

static void upload_confirm(struct codec *c, struct vault_request *q)
{
    q->account = PART_KEYSERVER;
    raw(c, q->token, sizeof(q->token));
}

static void account_hold(struct codec *c, struct vault_request *q)
{
    account(c, q);
    u8_bool(c, &q->hold);
}

static void complaint(struct codec *c, struct vault_request *q)
{
    account(c, q);
    raw(c, q->complaint, sizeof(q->complaint));
}

static void correspondent_kind(struct codec *c, struct vault_request *q)
{
    account(c, q);
    u8(c, &q->correspondent.kind, 0, UINT8_MAX);
    must(c, q->correspondent.kind == CORRESPONDENT_KEPT || q->correspondent.kind == CORRESPONDENT_INCOMING);
}

static void correspondent_put(struct codec *c, struct vault_request *q)
{
    static const uint8_t none[CORRESPONDENT_SEEN];
    struct vault_correspondent *a = &q->correspondent;
    correspondent_kind(c, q);
    a->seen = a->seen != NULL ? a->seen : none;
    raw_at(c, &a->seen, CORRESPONDENT_SEEN);
    bytes(c, &a->record, CORRESPONDENT_PACKED_MAX);
    must(c, a->record.len > 0);
}

static void correspondent_del(struct codec *c, struct vault_request *q)
{
    correspondent_kind(c, q);
    str(c, &q->correspondent.record, ADDRESS_MAX - 1);
    must(c, q->correspondent.record.len > 0);
}

static void u32_sums(struct codec *c, struct dmarc_sums *s)
{
    u32(c, &s->messages);
    u32(c, &s->passed);
    u32(c, &s->by_dkim);
    u32(c, &s->by_spf);
    u32(c, &s->quarantined);
    u32(c, &s->rejected);
    must(c, dmarc_sums_valid(s));
}

static void network_row(struct codec *c, void *row)
{
    struct dmarc_network *n = row;
    u8(c, &n->len, 3, sizeof(n->octets));
    raw(c, n->octets, sizeof(n->octets));
    u32(c, &n->messages);
    must(c, dmarc_network_valid(n));
}

static void dmarc_report(struct codec *c, struct vault_request *q)
{
    struct dmarc_told *d = &q->dmarc;
    q->account = PART_INSTANCE;
    str(c, &d->domain, DOMAIN_CAP - 1);
    u32(c, &d->day);
    u8_bool(c, &d->proven);
    str(c, &d->reporter, DOMAIN_CAP - 1);
    str(c, &d->id, DMARC_TOLD_ID_MAX);
    u32_sums(c, &d->sums);
    (void)list(c, &d->nnetworks, d->networks, d->networks, sizeof(d->networks[0]), DMARC_TOLD_NETWORKS, network_row);
}

/* ---- all of them ---- */

typedef void request_fields(struct codec *c, struct vault_request *q);
typedef void reply_fields(struct codec *c, struct vault_reply *r);

static const struct {
    enum vault_msg type;
    request_fields *request; /* NULL: it is no request */
    reply_fields *reply;
} messages[] = {
    {VAULT_DELIVER, deliver, delivered},
    {VAULT_STORE_FLAGS, store_flags, flags_stored},
    {VAULT_COPY, copy, copied},
    {VAULT_EXPUNGE, expunge, expunged},
    {VAULT_MAILBOX_CREATE, mailbox_create, made},
    {VAULT_MAILBOX_DELETE, mailbox, empty},
    {VAULT_MAILBOX_RENAME, mailbox_rename, empty},
    {VAULT_MAILBOX_SUBSCRIBE, mailbox_subscribe, empty},
    {VAULT_REPLACE, replace, delivered},
    {VAULT_KEY_NOTICE, key_notice, delivered},
    {VAULT_DELIVERED_SEEN, delivered_seen, empty},
    {VAULT_COPY_UNDO, copy_undo, undone},
    {VAULT_ACCOUNT_ADD, account_add, account_made},
    {VAULT_ACCOUNT_REMOVE, account, empty},
    {VAULT_ACCOUNT_SET, account_set, empty},
    {VAULT_ADDRESS_ADD, address_add, empty},
    {VAULT_ADDRESS_REMOVE, name, empty},
    {VAULT_DOMAIN_ADD, name, empty},
    {VAULT_DOMAIN_REMOVE, name, empty},
    {VAULT_KEY_ADD, key_add, empty},
    {VAULT_KEY_RETIRE, key, empty},
    {VAULT_APP_PASSWORD_ADD, password_add, password_made},
    {VAULT_APP_PASSWORD_REVOKE, password_revoke, empty},
    {VAULT_BACKUP, nothing, backed_up},
    {VAULT_STAT, nothing, stats},
    {VAULT_RESTORED, nothing, empty},
    {VAULT_KEY_REVOKED, key_revoked, empty},
    {VAULT_KEY_CURRENT, key_current, empty},
    {VAULT_KEY_ENC_REVOKED, key, empty},
    {VAULT_UPGRADE, nothing, upgraded},
    {VAULT_QUEUE_ADD, queue_add, queued},
    {VAULT_QUEUE_UPDATE, queue_update, unqueued},
    {VAULT_COMPLAINT, complaint, complained},
    {VAULT_CORRESPONDENT_PUT, correspondent_put, empty},
    {VAULT_CORRESPONDENT_DEL, correspondent_del, empty},
    {VAULT_SIGNIN_SET, signin_set, signed_in},
    {VAULT_WRAPPED_PUT, wrapped_put, empty},
    {VAULT_SESSION_ADD, session_add, password_made},
    {VAULT_SESSION_USED, session_name, empty},
    {VAULT_SESSION_DEL, session_del, empty},
    {VAULT_FACTOR_PUT, factor_put, password_made},
    {VAULT_FACTOR_DEL, factor_del, empty},
    {VAULT_FACTOR_USED, factor_used, empty},
    {VAULT_INVITE_PUT, invite_put, empty},
    {VAULT_INVITE_DEL, account, empty},
    {VAULT_DMARC_REPORT, dmarc_report, complained},
    {VAULT_DKIM_PUT, dkim_put, empty},
    {VAULT_DKIM_DEL, dkim_del, empty},
    {VAULT_ACCOUNT_HOLD, account_hold, empty},
    {VAULT_SUPPRESS_PUT, suppress_put, empty},
    {VAULT_SUPPRESS_DEL, suppress_del, empty},
    {VAULT_STS_PUT, sts_put, empty},
    {VAULT_STS_DEL, sts_del, empty},
    {VAULT_TALLY_PUT, tally_put, empty},
    {VAULT_TALLY_DEL, sts_del, empty},
    {VAULT_KEY_PUBLISH, key_publish, empty},
    {VAULT_UPLOAD_ADD, upload_add, token},
    {VAULT_UPLOAD_CONFIRM, upload_confirm, empty},
    {VAULT_NOTICE, NULL, changes},
    {VAULT_FULL, NULL, room},
};

static int find(enum vault_msg type, size_t *ret)
{
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
        if (messages[i].type == type) {
            *ret = i;
            return OK;
        }
    return ERR_FORMAT;
}

void vault_request_pack(struct pack *p, const struct vault_request *q)
{
    size_t i;
    struct codec c = {.pack = p};
    struct vault_request copy = *q; /* the walk may write what it reads */
    bug_if(find(q->type, &i) != OK || messages[i].request == NULL);
    messages[i].request(&c, &copy);
}

int vault_request_unpack(enum vault_msg type, struct slice payload, struct uid_range *room, struct vault_request *ret)
{
    size_t i;
    struct unpack u;
    struct codec c = {.unpack = &u, .room = room};
    struct vault_request q = {.type = type};
    if (find(type, &i) != OK || messages[i].request == NULL)
        return ERR_FORMAT;
    unpack_init(&u, payload.data, payload.len);
    messages[i].request(&c, &q);
    if (!unpack_done(&u))
        return ERR_FORMAT;
    *ret = q;
    return OK;
}

void vault_reply_pack(struct pack *p, enum vault_msg type, const struct vault_reply *r)
{
    size_t i;
    struct codec c = {.pack = p};
    struct vault_reply copy = *r;
    bug_if(find(type, &i) != OK);
    messages[i].reply(&c, &copy);
}

int vault_reply_unpack(enum vault_msg type, struct unpack *body, struct vault_reply *ret)
{
    size_t i;
    struct codec c = {.unpack = body};
    struct vault_reply r = {0};
    bug_if(find(type, &i) != OK);
    messages[i].reply(&c, &r);
    if (!unpack_done(body))
        return ERR_FORMAT;
    *ret = r;
    return OK;
}
