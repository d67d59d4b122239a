/* The table of kinds: letters, reserved ones, and that the length of a value says no more of a name than its step. */
#include "store/queue.h"
#include "store/schema_table.h"
#include "tests/support/schema_records.h"

static void test_letters(void **st)
{
    unsigned n, reserved = 0;
    const struct schema_kind *kinds = schema_kinds(&n);
    for (unsigned i = 0; i < n; i++) {
        const uint64_t part = kinds[i].home == HOME_INSTANCE    ? PART_INSTANCE
                              : kinds[i].home == HOME_ACCOUNT   ? A
                              : kinds[i].home == HOME_KEYSERVER ? PART_KEYSERVER
                                                                : PART_QUEUE;
        assert_ptr_equal(schema_kind_find(part, kinds[i].letter), &kinds[i]); /* one a letter and home */
        const unsigned use = kinds[i].use;
        const bool queue = use == RECORD_QUEUE || use == RECORD_QUEUE_CONTENT || use == RECORD_DKIM;
        assert_true(kinds[i].form != FORM_SEALED
                        ? kinds[i].step == 0
                        : kinds[i].step >= 16 &&
                              (kinds[i].home == HOME_QUEUE
                                   ? queue
                                   : use <= RECORD_CONTENT || use == RECORD_SIGNIN ||
                                         (kinds[i].home == HOME_KEYSERVER && use == RECORD_PUBLISHED) ||
                                         (kinds[i].home == HOME_INSTANCE && use == RECORD_REPORT)));
        reserved += kinds[i].form == FORM_RESERVED;
    }
    assert_in_range(reserved, 6, n - 10);
    assert_null(schema_kind_find(A, 'V'));
    assert_null(schema_kind_find(PART_INSTANCE, 'm'));
    assert_null(schema_kind_find(PART_QUEUE, 'm'));
    assert_null(schema_kind_find(A, 'T'));
    assert_null(schema_kind_find(A, '\0'));
    assert_ptr_equal(schema_kind_find(UINT64_MAX, 'm'), schema_kind_find(A, 'm'));
}

/* ---- lengths ---- */

static int put_account(struct engine_txn *t, const char *name)
{
    struct schema_account v = records_account;
    strcpy(v.address, name);
    return schema_put_account(t, records_keys, B, &v);
}

static int put_address(struct engine_txn *t, const char *name)
{
    struct schema_address v = records_address;
    strcpy(v.address, name);
    return schema_put_address(t, records_keys, &v);
}

static int put_domain(struct engine_txn *t, const char *name)
{
    return schema_put_domain(t, records_keys, name, 1);
}

static int put_listed(struct engine_txn *t, const char *name)
{
    return schema_put_listed(t, records_keys, B, name);
}

static int put_label(struct engine_txn *t, const char *name)
{
    struct schema_app_password v = records_password;
    memset(v.label, 0, sizeof(v.label));
    strcpy(v.label, name);
    return schema_put_app_password(t, records_keys, B, records_password_hash, &v);
}

static int put_mailbox_name(struct engine_txn *t, const char *name)
{
    static struct schema_mailbox_name v;
    memset(&v, 0, sizeof(v));
    strcpy(v.name, name);
    return schema_put_mailbox_name(t, records_keys, B, 1, &v);
}

static int put_keyword(struct engine_txn *t, const char *name)
{
    struct schema_keyword v = {.entries = 1};
    strcpy(v.text, name);
    return schema_put_keyword(t, records_keys, B, 1, &v);
}

static int put_subscription(struct engine_txn *t, const char *name)
{
    return schema_put_subscription(t, records_keys, B, name);
}

static int put_sealed(struct engine_txn *t, struct slice key, const uint8_t *sealed, size_t len)
{
    return engine_put(t, PART_QUEUE, key, slice_of(sealed, len));
}

static int put_envelope(struct engine_txn *t, const char *name)
{
    struct schema_keybuf kb;
    struct queue_envelope v = {.id = 7};
    uint8_t sealed[QUEUE_ENVELOPE_MAX];
    size_t len;
    strcpy(v.from, name);
    int err = queue_seal_envelope(records_keys, &v, sealed, &len);
    return err ? err : put_sealed(t, key_u64(&kb, 'Q', 7), sealed, len);
}

static int put_recipient(struct engine_txn *t, const char *name)
{
    struct schema_keybuf kb;
    struct queue_recipient v = {.n = 1, .state = QUEUE_QUEUED};
    uint8_t sealed[QUEUE_RECIPIENT_MAX];
    size_t len;
    strcpy(v.to, name);
    int err = queue_seal_recipient(records_keys, 7, &v, sealed, &len);
    assert_int_equal(len, queue_recipient_size(&v));
    return err ? err : put_sealed(t, key_u64_u32(&kb, 'T', 7, 1), sealed, len);
}

/* One of the queue's that stands by the hash of a name; behind name_field: its other fields. */
#define PUT_BY_HASH(function, type, seal, cap, letter, name_field, ...)             \
    static int function(struct engine_txn *t, const char *name)                     \
    {                                                                               \
        struct schema_keybuf kb;                                                    \
        struct type v = {__VA_ARGS__};                                              \
        uint8_t sealed[cap], hash[RECORD_HASH_SIZE];                                \
        size_t len;                                                                 \
        strcpy(v.name_field, name);                                                 \
        int err = seal(records_keys, &v, hash, sealed, &len);                       \
        return err ? err : put_sealed(t, key_hash(&kb, letter, hash), sealed, len); \
    }
PUT_BY_HASH(put_suppressed, suppressed, suppression_seal, SUPPRESSED_RECORD_MAX, 'S', address, .since = 1, .until = 2)
PUT_BY_HASH(put_policy, sts_policy, sts_policy_seal, STS_POLICY_RECORD_MAX, 'p', domain, .fetched = 1, .expires = 2)
PUT_BY_HASH(put_tally, tls_tally, tls_tally_seal, TLS_TALLY_RECORD_MAX, 't', domain, .begin = 1, .end = 2)

static int put_published(struct engine_txn *t, const char *name)
{
    static struct published v;
    v = (struct published){.since = 1, .why = PUBLISH_KEY, .len = 1};
    strcpy(v.address, name);
    return schema_put_published(t, records_keys, &v);
}

static int put_change(struct engine_txn *t, const char *name)
{
    struct published_change v = {.number = 1, .why = PUBLISH_KEY};
    strcpy(v.address, name);
    return schema_put_published_change(t, records_keys, &v);
}

static int put_upload(struct engine_txn *t, const char *name)
{
    struct upload v = {.account = A, .until = 2};
    strcpy(v.address, name);
    return schema_put_upload(t, records_keys, 0, &v);
}

static int put_correspondent(struct engine_txn *t, uint8_t kind, const char *name)
{
    static struct correspondent v;
    v = (struct correspondent){.key = {KNOWN_DOMAIN, 20, {1}, 2}};
    strcpy(v.address, name);
    return schema_put_correspondent(t, records_keys, B, kind, &v);
}

static int put_kept(struct engine_txn *t, const char *name)
{
    return put_correspondent(t, CORRESPONDENT_KEPT, name);
}

static int put_incoming(struct engine_txn *t, const char *name)
{
    return put_correspondent(t, CORRESPONDENT_INCOMING, name);
}

static int put_session(struct engine_txn *t, const char *name)
{
    static const uint8_t hash[RECORD_HASH_SIZE] = {1};
    struct session v = {.number = 1, .version = 1, .how = SESSION_PASSWORD};
    strcpy(v.label, name);
    return schema_put_session(t, records_keys, B, hash, &v);
}

static int put_factor(struct engine_txn *t, const char *name)
{
    struct factor v = {.number = 1, .kind = FACTOR_TOTP};
    strcpy(v.label, name);
    return schema_put_factor(t, records_keys, B, &v);
}

static int put_invitation(struct engine_txn *t, const char *name)
{
    static const uint8_t hash[RECORD_HASH_SIZE] = {1};
    struct invitation v = {.account = B, .until = 1, .uses = 1};
    strcpy(v.address, name);
    return schema_put_invitation(t, records_keys, hash, &v);
}

static int put_reported(struct engine_txn *t, const char *name)
{
    static struct dmarc_day v = {.n = 1};
    strcpy(v.v[0].reporter, name);
    return schema_put_dmarc_day(t, records_keys, "example.org", 1, &v);
}

/* Names of up to max octets. */
static const struct {
    char letter;
    uint64_t part;
    unsigned max;
    int (*put)(struct engine_txn *t, const char *name);
} named[] = {
    {'A', B, ADDRESS_MAX - 1, put_account},    {'a', 0, ADDRESS_MAX - 1, put_address},
    {'d', 0, DOMAIN_CAP - 1, put_domain},      {'N', 0, ADDRESS_MAX - 1, put_listed},
    {'P', B, LABEL_MAX - 1, put_label},        {'B', B, MAILBOX_NAME_MAX - 1, put_mailbox_name},
    {'F', B, KEYWORD_LEN_MAX, put_keyword},    {'s', B, MAILBOX_NAME_MAX - 1, put_subscription},
    {'Q', 1, ADDRESS_MAX - 1, put_envelope},   {'T', 1, ADDRESS_MAX - 1, put_recipient},
    {'S', 1, ADDRESS_MAX - 1, put_suppressed}, {'p', 1, DOMAIN_CAP - 1, put_policy},
    {'t', 1, DOMAIN_CAP - 1, put_tally},       {'p', 2, ADDRESS_MAX - 1, put_published},
    {'r', B, ADDRESS_MAX - 1, put_kept},       {'i', B, ADDRESS_MAX - 1, put_incoming},
    {'l', 2, ADDRESS_MAX - 1, put_change},     {'u', 2, ADDRESS_MAX - 1, put_upload},
    {'o', B, LABEL_MAX - 1, put_session},      {'E', B, LABEL_MAX - 1, put_factor},
    {'J', 0, ADDRESS_MAX - 1, put_invitation}, {'D', 0, DOMAIN_CAP - 1, put_reported},
};
/* Sealed kinds without a name of their reader's choosing. */
static const char nameless[] = "CqKGbxmnDMLlfyHchvnUOW";
enum { NAMED = sizeof(named) / sizeof(named[0]) };

struct seen {
    char letter;
    size_t len;
};

static int see(void *arg, struct slice key, struct slice value)
{
    struct seen *s = arg;
    s->len = value.len;
    return 1;
}

/* The length of the value that a name of so many octets gives: the only one of its letter. */
static size_t length_of(unsigned i, unsigned octets)
{
    static char name[1024];
    struct schema_keybuf from, to;
    struct seen s = {.len = 0};
    struct engine_txn *t;
    struct engine *e;
    memset(name, 'n', octets);
    name[octets] = '\0';
    assert_int_equal(engine_mem_create(&e), OK);
    assert_int_equal(engine_group_begin(e, &t), OK);
    assert_int_equal(named[i].put(t, name), OK);
    assert_int_equal(engine_scan(t, named[i].part, key_simple(&from, named[i].letter),
                                 key_simple(&to, (char)(named[i].letter + 1)), 0, see, &s),
                     1);
    engine_group_abort(t);
    engine_close(e);
    return s.len;
}

static void test_lengths_of_names(void **st)
{
    for (unsigned i = 0; i < NAMED; i++) {
        const struct schema_kind *kind = schema_kind_find(named[i].part, named[i].letter);
        unsigned lengths = 0;
        size_t last = 0;
        for (unsigned octets = 1; octets <= named[i].max; octets++) {
            size_t len = length_of(i, octets);
            if ((len - RECORD_OVERHEAD) % kind->step != 0 || len < last)
                fail_msg("%s of %u octets: %zu", kind->what, octets, len);
            lengths += len != last;
            last = len;
        }
        if (lengths > 2 + named[i].max / kind->step)
            fail_msg("%s: %u lengths of %u octets", kind->what, lengths, named[i].max);
        assert_int_equal(length_of(i, 3), length_of(i, 40));
    }
}

/* Whoever adds a sealed kind says whether there is a name in it. */
static void test_no_sealed_kind_is_left_out(void **st)
{
    unsigned n;
    const struct schema_kind *kinds = schema_kinds(&n);
    for (unsigned i = 0; i < n; i++) {
        bool is = strchr(nameless, kinds[i].letter) != NULL;
        for (unsigned j = 0; j < NAMED; j++)
            is |= schema_kind_find(named[j].part, named[j].letter) == &kinds[i];
        if (kinds[i].form == FORM_SEALED && !is)
            fail_msg("%c, %s: neither named nor nameless", kinds[i].letter, kinds[i].what);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_letters),
        cmocka_unit_test(test_lengths_of_names),
        cmocka_unit_test(test_no_sealed_kind_is_left_out),
    };
    return cmocka_run_group_tests(tests, records_setup, records_teardown);
}
