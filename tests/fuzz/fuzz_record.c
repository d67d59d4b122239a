/* A record's fields under a right seal or tag, as a vault in a stranger's hands writes them, read by its schema, by
 * what ingest, access and the command line ask of a view, and by audit. Input: octet: which record; u64: where in a
 * message's packets is read; the rest is the fields. Every input meets the same store. */
#include "server/core/bug.h"
#include "store/check.h"
#include "store/content.h"
#include "store/schema_impl.h"
#include "store/view.h"
#include "tests/support/schema_records.h"

enum { PIECE = 4096, PACKETS = 3000, HEAD = 600, CAPSULE = 500, PIECES = 64 };

static struct view *view;
static struct schema_message message; /* of records' own number, with its content */
static uint64_t where;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int err)
{
    bug_if(err != OK);
}

static void setup(void)
{
    static uint8_t octets[PACKETS + CAPSULE];
    struct engine_txn *t;
    must(records_setup(NULL));
    must(records_each_setup(NULL));
    message = records_message;
    message.kind = MESSAGE_SERVER_SEALED;
    message.packets_len = PACKETS;
    message.head_len = HEAD;
    message.capsule_len = CAPSULE;
    message.padding = 7;
    t = records_group();
    must(schema_put_message(t, records_keys, A, &message));
    must(content_write(t, records_keys, A, &message, slice_of(octets, PACKETS), slice_of(octets + PACKETS, CAPSULE)));
    must(engine_group_commit(t));
    must(view_over(records_engine(), records_keys, &view));
}

/* ---- what the readers ask ---- */

static int read_content(struct view *v, const struct schema_message *m)
{
    static uint8_t out[PIECE];
    uint64_t at = m->packets_len ? where % m->packets_len : 0, left = m->packets_len - at;
    size_t len = left < PIECE ? (size_t)left : PIECE;
    struct blob_want want;
    uint32_t chunks;
    (void)view_packets(v, A, m, at, out, len);
    view_want_packets(A, m, at, len, &want);
    (void)view_capsule(v, A, m, 0, out, m->capsule_len < PIECE ? m->capsule_len : PIECE);
    return view_check_packets(v, A, m, (uint32_t)where, &chunks);
}

static int see_name(void *arg, const struct schema_mailbox_name *n, const struct schema_mailbox *b)
{
    return strlen(n->name) > MAILBOX_NAME_MAX;
}

static int see_entry(void *arg, uint32_t uid, const struct schema_entry *e)
{
    struct schema_facts f;
    return uid == 0 || (view_entry_facts(arg, A, 5, uid, e, &f) == OK && f.size > SCHEMA_RENDERED_MAX);
}

static int see_block(void *arg, uint32_t n, const struct schema_block *b)
{
    return b->count > 1024;
}

static int see_range(void *arg, uint64_t modseq, uint32_t first, uint32_t last)
{
    return first > last;
}

static int see_text(void *arg, const char *text)
{
    return strlen(text) >= ADDRESS_MAX + MAILBOX_NAME_MAX;
}

static int see_password(void *arg, const struct schema_app_password *p)
{
    return strlen(p->label) >= LABEL_MAX;
}

static int see_address(void *arg, const struct schema_address *a)
{
    return strlen(a->address) >= ADDRESS_MAX;
}

static int see_account(void *arg, uint64_t account, const char *address)
{
    return strlen(address) >= ADDRESS_MAX;
}

static int see_recipient(void *arg, uint32_t n, int err, const struct queue_recipient *r)
{
    bug_if(err == OK && (strlen(r->to) >= ADDRESS_MAX || strlen(r->last_reply) > QUEUE_REPLY_MAX));
    return 0;
}

static int see_queued(void *arg, uint64_t id)
{
    static uint8_t out[PIECE];
    struct queue_envelope e;
    struct schema_message m;
    uint8_t seen[QUEUE_SEEN_SIZE];
    bug_if(view_queued(arg, id, &e, seen) == OK && strlen(e.from) >= ADDRESS_MAX);
    if (view_queue_message(arg, id, &m) == OK)
        (void)view_queue_packets(arg, &m, 0, out, m.packets_len < PIECE ? (size_t)m.packets_len : PIECE);
    return view_queue_recipients(arg, id, 0, see_recipient, NULL);
}

static void read_keys(struct view *v)
{
    static struct schema_key keys[PGP_KEYS_MAX];
    static uint8_t cert[PGP_CERT_MAX];
    struct schema_account a;
    size_t n = 0, len;
    int err = view_keys_read(v, A, keys, &n);
    if (!err && !view_account(v, A, &a))
        (void)view_keys_approved(v, &a, keys, n);
    for (size_t i = 0; i < n && !err; i++)
        (void)view_key_cert(v, A, &keys[i], cert, &len);
}

static int read_all(void *arg, struct view *v)
{
    static struct schema_keywords keywords;
    static uint8_t outer[SCHEMA_OUTER_MAX];
    static struct usage_walk walk;
    struct schema_usage usage;
    struct schema_address address;
    struct schema_message m;
    struct schema_mailbox box;
    struct view_user user;
    uint32_t mailbox;
    (void)view_route(v, "post@example.org", 16, &address);
    (void)view_login(v, "post@example.org", 16, "abcde", 5, SCOPE_IMAP, &user);
    (void)view_usage(v, A, &usage);
    memset(&walk, 0, sizeof(walk));
    (void)view_usage_walk(v, A, 1000, &walk);
    read_keys(v);
    bug_if(view_mailboxes_each(v, A, see_name, NULL) > 0 || view_subscriptions_each(v, A, see_text, NULL) > 0 ||
           view_accounts_each(v, see_account, NULL) > 0 || view_addresses_each(v, see_address, NULL) > 0 ||
           view_domains_each(v, see_text, NULL) > 0 || view_app_passwords_each(v, A, see_password, NULL) > 0 ||
           view_entries_each(v, A, 5, 0, UINT32_MAX, see_entry, v) > 0 ||
           view_blocks_each(v, A, 5, 0, see_block, NULL) > 0 || view_expunged_since(v, A, 5, 0, see_range, NULL) > 0);
    (void)view_queue_each(v, 0, see_queued, v);
    (void)view_mailbox_find(v, A, "INBOX", &mailbox);
    (void)view_mailbox(v, A, 5, &box);
    (void)view_keywords(v, A, &keywords);
    return view_message(v, A, message.id, &m, outer) ? OK : read_content(v, &m);
}

static int audit(void *arg, struct view *v)
{
    static const uint64_t parts[] = {0, PART_QUEUE, A, B};
    static struct check_walk walk;
    static struct check_found found;
    static uint64_t refs[PIECES];
    struct check_refs room = {refs, PIECES};
    struct blob_at at = {0};
    bool begun = false;
    memset(&found, 0, sizeof(found));
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        memset(&walk, 0, sizeof(walk));
        for (unsigned n = 0; n < PIECES && view_check(v, parts[i], 100, &walk, &room, &found) == 1; n++)
            ;
    }
    return view_check_blobs(v, 100, &at, &begun, &found);
}

/* ---- an input ---- */

static void put_back(const struct record *r, struct slice k, struct slice value)
{
    struct engine_txn *t = records_group();
    must(engine_put(t, r->part, k, value));
    must(engine_group_commit(t));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t was[ENGINE_VALUE_MAX];
    struct schema_keybuf kb;
    struct unpack u;
    if (!view)
        setup();
    unpack_init(&u, data, size);
    const struct record *r = &records[unpack_u8(&u) % RECORDS];
    where = unpack_u64(&u);
    if (u.failed || size - 9 > ENGINE_VALUE_MAX)
        return 0;
    struct engine_txn *t = records_group();
    struct slice k = record_key(t, r, &kb), v = records_value_at(t, r->part, k);
    size_t len = v.len;
    memcpy(was, v.data, len);
    if (records_put_fields(t, r, k, data + 9, size - 9) != OK) {
        engine_group_abort(t);
        return 0;
    }
    int err = r->read(t, r->part, k);
    bug_if(err != OK && err != ERR_FORMAT && err != ERR_VERSION && err != ERR_CRYPTO && err != ERR_NOT_FOUND &&
           (r->letter != 'V' || (err != ERR_OLD && err != ERR_UPGRADE)));
    must(engine_group_commit(t));
    (void)view_run(view, read_all, NULL);
    (void)view_run(view, audit, NULL);
    put_back(r, k, slice_of(was, len));
    return 0;
}
