/* What the vault does with approvals: it writes what is approved and nothing else, and seals to nothing else; and what
 * the command line signs. */
#include "tests/support/vault_requests.h"

#include <sodium.h>

#include "store/approval.h"
#include "store/approve.h"
#include "store/view_impl.h"
#include "tests/support/approving.h"
#include "tests/support/vault_recount.h"

static const uint8_t OTHER_ROOT[32] = {77};
static const char CERT[] = "a certificate that nobody parses";

static struct bench b;

static int setup(void **state)
{
    bench_mem(&b, false);
    bench_account(&b);
    return 0;
}

static int teardown(void **state)
{
    bench_close(&b);
    return 0;
}

static int hash_one(void *arg, struct slice key, struct slice value)
{
    crypto_generichash_state *st = arg;
    crypto_generichash_update(st, key.data, key.len);
    crypto_generichash_update(st, value.data, value.len);
    return 0;
}

struct digest {
    uint8_t b[32];
};

/* Of all that the store holds. */
static struct digest digest(void)
{
    struct digest d;
    crypto_generichash_state st;
    struct engine_txn *t;
    crypto_generichash_init(&st, NULL, 0, sizeof(d.b));
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(engine_scan(t, PART_INSTANCE, slice_of("", 0), slice_of("", 0), 0, hash_one, &st), OK);
    for (uint64_t part = PART_ACCOUNT_FIRST; part < b.account + 3; part++)
        assert_int_equal(engine_scan(t, part, slice_of("", 0), slice_of("", 0), 0, hash_one, &st), OK);
    (void)engine_read_end(t);
    crypto_generichash_final(&st, d.b, sizeof(d.b));
    return d;
}

static uint8_t FPR_ONE[20], FPR_TWO[20];

/* One of each that comes with an approval; an account whose first key has tag 1 and whose second, current too, 2. */
static size_t requests(struct vault_request q[10])
{
    size_t n = 0;
    memset(FPR_ONE, 1, sizeof(FPR_ONE));
    memset(FPR_TWO, 2, sizeof(FPR_TWO));
    const uint32_t len = sizeof(CERT);
    const struct slice two = slice_of(FPR_TWO, sizeof(FPR_TWO));
    q[n++] = (struct vault_request){.type = VAULT_KEY_ADD, .key = {.verdict = verdict_of(3), .cert_len = len}};
    q[n++] = (struct vault_request){.type = VAULT_KEY_RETIRE, .key.fpr = two};
    q[n++] = (struct vault_request){.type = VAULT_KEY_REVOKED, .key = {.fpr = two, .cert_len = len}};
    q[n++] = (struct vault_request){.type = VAULT_KEY_ENC_REVOKED, .key.fpr = two};
    q[n++] = (struct vault_request){.type = VAULT_ACCOUNT_SET,
                                    .new = {.policy = VAULT_POLICY_KEEP, .quota = VAULT_QUOTA_KEEP, .seal_v2 = 1}};
    for (size_t i = 0; i < n; i++)
        q[i].account = b.account;
    q[n++] = (struct vault_request){.type = VAULT_ACCOUNT_ADD,
                                    .new = {.address = slice_str("bob@example.org"),
                                            .verdict = verdict_of(9),
                                            .cert_len = len}};
    q[n++] = (struct vault_request){.type = VAULT_ADDRESS_ADD,
                                    .account = b.account,
                                    .name = {slice_str("al@example.org"), ADDRESS_ALIAS}};
    return n;
}

static void add_key(uint8_t tag)
{
    const struct vault_request q = {.type = VAULT_KEY_ADD,
                                    .account = b.account,
                                    .key = {.verdict = verdict_of(tag), .cert_len = sizeof(CERT)}};
    assert_int_equal(request_cert(&b, &q, CERT, sizeof(CERT)), OK);
}

static void approve_by(const uint8_t root[32], struct vault_request *q)
{
    approving(b.inner, b.keys, root, q, slice_of(CERT, sizeof(CERT)));
}

static void refused(const struct vault_request *q, int want)
{
    const struct digest before = digest();
    assert_int_equal(request_cert(&b, q, CERT, sizeof(CERT)), want);
    const struct digest after = digest();
    assert_memory_equal(&before, &after, sizeof(after));
}

/* Each of them with one bit of the approval changed, then by another root. */
static void test_nothing_is_written(void **state)
{
    struct vault_request q[10];
    add_key(2);
    size_t n = requests(q);
    for (size_t i = 0; i < n; i++) {
        struct vault_request bad = q[i];
        approve_by(STORE_KEY, &bad);
        bad.approval.keys[5] ^= 1;
        bad.approval.address[5] ^= 1;
        refused(&bad, ERR_UNAPPROVED);
        bad = q[i];
        approve_by(OTHER_ROOT, &bad);
        refused(&bad, ERR_UNAPPROVED);
    }
    struct vault_request half = q[n - 2]; /* an account has two of them */
    approve_by(STORE_KEY, &half);
    half.approval.address[63] ^= 0x20;
    refused(&half, ERR_UNAPPROVED);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(request_cert(&b, &q[i], CERT, sizeof(CERT)), OK);
}

/* What was approved is this certificate, this verdict, this account, this name, and this moment. */
static void test_of_something_else(void **state)
{
    struct vault_request q[10], other;
    add_key(2);
    size_t n = requests(q);
    other = q[0];
    approve_by(STORE_KEY, &other);
    const struct digest before = digest();
    assert_int_equal(request_cert(&b, &other, "a certificate that nobody parsed", sizeof(CERT)), ERR_UNAPPROVED);
    other.key.verdict.enc_expires = 12345;
    refused(&other, ERR_UNAPPROVED);
    other = q[n - 1];
    approve_by(STORE_KEY, &other);
    other.name.text = slice_str("postmaster@example.org");
    refused(&other, ERR_UNAPPROVED);
    other = q[n - 1];
    approve_by(STORE_KEY, &other);
    other.name = (struct vault_name){slice_str("@example.org"), ADDRESS_CATCH_ALL};
    refused(&other, ERR_UNAPPROVED);
    other = q[n - 2];
    approve_by(STORE_KEY, &other);
    other.account++;
    refused(&other, ERR_OVERRUN);
    other = q[0];
    approve_by(STORE_KEY, &other);
    other.approval.keys_version++;
    refused(&other, ERR_OVERRUN);
    const struct digest after = digest();
    assert_memory_equal(&before, &after, sizeof(after));
    approve_by(STORE_KEY, &other);
    struct vault_request first = other;
    assert_int_equal(request(&b, &q[1], -1), OK); /* it comes in between */
    refused(&first, ERR_OVERRUN);
    uint64_t alice = b.account;
    assert_int_equal(account_add_call(&b, "bob@example.org", 0, 0, 9), OK);
    first = (struct vault_request){.type = VAULT_KEY_ADD,
                                   .account = alice,
                                   .key = {.verdict = verdict_of(5), .cert_len = sizeof(CERT)}};
    approve_by(STORE_KEY, &first);
    first.account = b.account;
    first.approval.keys_version = 1;
    refused(&first, ERR_UNAPPROVED);
}

/* Two octets of a record, as somebody with the record keys writes them. */
static void slip_in(uint8_t tag, uint8_t state)
{
    struct engine_txn *t;
    const struct pgp_verdict v = verdict_of(tag);
    struct schema_key k = key_added(NULL, &v, slice_of(CERT, sizeof(CERT)), test_now);
    k.state = state;
    assert_int_equal(engine_group_begin(b.engine, &t), OK);
    assert_int_equal(schema_put_key(t, b.keys, b.account, &k), OK);
    assert_int_equal(engine_group_commit(t), OK);
}

/* The command line does not sign what somebody slipped in, whatever it is asked to change. */
static void test_a_forged_set_is_not_signed(void **state)
{
    struct vault_request q[10];
    struct view *v;
    add_key(2);
    slip_in(6, KEY_CURRENT);
    size_t n = requests(q);
    assert_int_equal(view_over(b.engine, b.keys, &v), OK);
    for (size_t i = 0; i < n; i++) {
        const bool of_keys = q[i].type != VAULT_ACCOUNT_ADD && q[i].type != VAULT_ADDRESS_ADD;
        assert_int_equal(approve(v, STORE_KEY, &q[i], slice_of(CERT, sizeof(CERT))), of_keys ? ERR_UNAPPROVED : OK);
    }
    view_close(v);
}

static size_t keys_of(struct schema_key keys[PGP_KEYS_MAX])
{
    struct engine_txn *t;
    size_t n;
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(schema_get_keys(t, b.keys, b.account, keys, &n), OK);
    (void)engine_read_end(t);
    return n;
}

static int sign_as_shown(const struct key_set *shown, uint8_t seal_v2, struct vault_request *ret)
{
    struct view *v;
    *ret = (struct vault_request){.type = VAULT_ACCOUNT_SET,
                                  .account = b.account,
                                  .new = {.policy = VAULT_POLICY_KEEP, .quota = VAULT_QUOTA_KEEP, .seal_v2 = seal_v2}};
    assert_int_equal(view_over(b.engine, b.keys, &v), OK);
    int err = approve_as_shown(v, STORE_KEY, ret, shown);
    view_close(v);
    return err;
}

/* A way back, for what somebody has looked at and for nothing that came since. */
static void test_as_it_was_shown(void **state)
{
    static struct schema_key keys[PGP_KEYS_MAX];
    struct key_set shown = {.v = keys};
    struct letter l = {.mailbox = MAILBOX_INBOX};
    struct vault_request q;
    add_key(2);
    slip_in(6, KEY_CURRENT);
    shown.n = keys_of(keys);
    slip_in(7, KEY_CURRENT); /* one more */
    assert_int_equal(sign_as_shown(&shown, SEAL_V2_AUTO, &q), ERR_CONFLICT);
    slip_in(7, KEY_RETIRED);
    shown.n = keys_of(keys);
    slip_in(7, KEY_CURRENT); /* another state */
    assert_int_equal(sign_as_shown(&shown, SEAL_V2_AUTO, &q), ERR_CONFLICT);
    shown.n = keys_of(keys);
    keys[0].cert_hash[0] ^= 1; /* another certificate */
    assert_int_equal(sign_as_shown(&shown, SEAL_V2_AUTO, &q), ERR_CONFLICT);
    keys[0].cert_hash[0] ^= 1;
    assert_int_equal(sign_as_shown(&shown, SEAL_V2_NEVER, &q), ERR_CONFLICT);
    int fd = parcel_of(OUTER, 6, 100);
    assert_int_equal(deliver_call(&b, &l, fd), ERR_UNAPPROVED);
    assert_int_equal(sign_as_shown(&shown, SEAL_V2_AUTO, &q), OK);
    assert_int_equal(request(&b, &q, -1), OK);
    assert_int_equal(deliver_call(&b, &l, fd), OK);
    close(fd);
}

/* Nor what the rules forbid: whoever wants it signed would ask for it. */
static void test_what_the_rules_forbid_is_not_signed(void **state)
{
    static const uint8_t none[APPROVAL_SIZE];
    struct vault_request q[10];
    add_key(2);
    (void)requests(q);
    assert_int_equal(request_cert(&b, &q[2], CERT, sizeof(CERT)), OK); /* revoked */
    struct vault_request back = {.type = VAULT_KEY_CURRENT, .account = b.account, .key.fpr = q[1].key.fpr};
    approve_by(STORE_KEY, &back);
    assert_memory_equal(back.approval.keys, none, sizeof(none));
    refused(&back, ERR_DENIED);
    back = (struct vault_request){.type = VAULT_KEY_ADD,
                                  .account = b.account,
                                  .key = {.verdict = verdict_of(2), .cert_len = sizeof(CERT)}};
    approve_by(STORE_KEY, &back);
    assert_memory_equal(back.approval.keys, none, sizeof(none));
    back = (struct vault_request){.type = VAULT_KEY_RETIRE,
                                  .account = b.account,
                                  .key.fpr = slice_of(FPR_ONE, sizeof(FPR_ONE))};
    approve_by(STORE_KEY, &back);
    assert_memory_equal(back.approval.keys, none, sizeof(none)); /* the last one */
    refused(&back, ERR_CONFLICT);
}

/* ---- the account's own address ---- */

static void put_address(uint64_t account, const char *address, bool approved)
{
    struct schema_address a = {.account = account, .kind = ADDRESS_PRIMARY};
    struct engine_txn *t;
    strcpy(a.address, address);
    if (approved) {
        struct approval_text text;
        uint8_t uuid[STORE_UUID_SIZE];
        assert_int_equal(engine_read_begin(b.engine, &t), OK);
        assert_int_equal(schema_get_uuid(t, uuid), OK);
        (void)engine_read_end(t);
        approval_of_address(uuid, &a, "bob@example.org", &text);
        approver_sign(STORE_KEY, text.data, text.len, a.approval);
    }
    assert_int_equal(engine_group_begin(b.engine, &t), OK);
    assert_int_equal(schema_put_address(t, b.keys, &a), OK);
    assert_int_equal(engine_group_commit(t), OK);
}

static uint64_t account_at(const char *address)
{
    struct engine_txn *t;
    struct schema_address a;
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    int err = schema_get_address(t, b.keys, address, &a);
    (void)engine_read_end(t);
    return err == OK ? a.account : 0;
}

static struct vault_request own_address(const char *address)
{
    struct vault_request q = {.type = VAULT_ADDRESS_ADD,
                              .account = b.account,
                              .name = {slice_str(address), ADDRESS_PRIMARY}};
    approve_by(STORE_KEY, &q);
    return q;
}

/* One that was turned elsewhere, lost or damaged comes back; one that is another's by approval stays it. */
static void test_an_own_address_comes_back(void **state)
{
    static const uint8_t damaged[RECORD_OVERHEAD + 128] = {2}; /* as a sealed one begins */
    const uint64_t alice = b.account;
    assert_int_equal(account_add_call(&b, "bob@example.org", 0, 0, 2), OK);
    const uint64_t bob = b.account;
    b.account = alice;
    struct vault_request q = own_address("Alice@Example.org"), bad = q;
    assert_int_equal(request(&b, &q, -1), OK); /* as it was */
    bad.approval.address[5] ^= 1;
    put_address(bob, "alice@example.org", false);
    refused(&bad, ERR_UNAPPROVED);
    bad = own_address("bob@example.org");
    refused(&bad, ERR_DENIED);
    bad = own_address("other@example.org");
    refused(&bad, ERR_DENIED);
    assert_int_equal(account_at("alice@example.org"), bob);
    assert_int_equal(request(&b, &q, -1), OK);
    assert_int_equal(account_at("alice@example.org"), alice);
    put_address(alice + 100, "alice@example.org", false); /* nobody's */
    assert_int_equal(request(&b, &q, -1), OK);
    assert_int_equal(account_at("alice@example.org"), alice);
    struct engine_txn *t;
    struct schema_keybuf k;
    const struct slice key = key_address(&k, b.keys, "alice@example.org");
    assert_int_equal(engine_group_begin(b.engine, &t), OK);
    assert_int_equal(engine_put(t, PART_INSTANCE, key, slice_of(damaged, sizeof(damaged))), OK);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(request(&b, &q, -1), OK);
    assert_int_equal(account_at("alice@example.org"), alice);
    assert_int_equal(engine_group_begin(b.engine, &t), OK);
    assert_int_equal(engine_del(t, PART_INSTANCE, key), OK);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(request(&b, &q, -1), OK);
    assert_int_equal(account_at("alice@example.org"), alice);
    put_address(bob, "alice@example.org", true);
    refused(&q, ERR_EXISTS);
}

/* Mail that came encrypted to a key that nobody approved is no mail for this account. */
static void test_the_gate(void **state)
{
    struct letter l = {.mailbox = MAILBOX_INBOX};
    slip_in(6, KEY_CURRENT);
    int fd = parcel_of(OUTER, 6, 100);
    assert_int_equal(deliver_call(&b, &l, fd), ERR_UNAPPROVED);
    close(fd);
}

/* A retired key is brought back by a changed state, under the last approval. */
static void test_the_gate_minds_states(void **state)
{
    struct letter l = {.mailbox = MAILBOX_INBOX};
    struct vault_request q[10];
    add_key(2);
    (void)requests(q);
    assert_int_equal(request(&b, &q[1], -1), OK);
    int fd = parcel_of(OUTER, 2, 100);
    assert_int_equal(deliver_call(&b, &l, fd), ERR_REFUSED);
    slip_in(2, KEY_CURRENT);
    gate_forget(b.vault->gate);
    assert_int_equal(deliver_call(&b, &l, fd), ERR_UNAPPROVED);
    close(fd);
}

/* ---- a key that becomes current is told to the others ---- */

/* The certificate, and a notice that is sealed to the key of this tag; 0: none. */
static int enclosed(struct vault_request *q, size_t cert_len, uint8_t tag)
{
    int cert, both;
    assert_int_equal(parcel_make_plain(CERT, cert_len, &cert), OK);
    if (tag == 0)
        return cert;
    both = told_enclose(q, cert, tag);
    close(cert);
    return both;
}

static int add_told(uint8_t tag, uint8_t sealed_to)
{
    struct vault_request q = {.type = VAULT_KEY_ADD,
                              .account = b.account,
                              .key = {.verdict = verdict_of(tag), .cert_len = sizeof(CERT)}};
    int fd = enclosed(&q, sizeof(CERT), sealed_to);
    int err = request(&b, &q, fd);
    close(fd);
    return err;
}

static int current_told(uint8_t sealed_to)
{
    struct vault_request q = {.type = VAULT_KEY_CURRENT,
                              .account = b.account,
                              .key.fpr = slice_of(FPR_TWO, sizeof(FPR_TWO))};
    int fd = enclosed(&q, 0, sealed_to);
    int err = request(&b, &q, fd);
    close(fd);
    return err;
}

static uint32_t in_inbox(void)
{
    struct engine_txn *t;
    struct schema_mailbox box;
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(schema_get_mailbox(t, b.keys, b.account, MAILBOX_INBOX, &box), OK);
    (void)engine_read_end(t);
    return box.exists;
}

static void test_no_notice_no_key(void **state)
{
    struct vault_request q[10];
    b.tells_nobody = true;
    (void)requests(q);
    const struct digest before = digest();
    assert_int_equal(add_told(2, 0), ERR_REFUSED);
    assert_int_equal(add_told(2, 2), ERR_REFUSED); /* to the new key: those who must hear of it do not */
    assert_int_equal(add_told(2, 7), ERR_REFUSED); /* to a stranger's */
    const struct digest after = digest();
    assert_memory_equal(&before, &after, sizeof(after));
    assert_int_equal(add_told(2, 1), OK);
    assert_int_equal(in_inbox(), 1);
    assert_int_equal(add_told(2, 0), OK); /* a renewal: it is current already */
    assert_int_equal(in_inbox(), 1);
    assert_int_equal(request(&b, &q[1], -1), OK); /* retired */
    assert_int_equal(current_told(2), ERR_REFUSED);
    struct vault_request untold = {.type = VAULT_KEY_CURRENT,
                                   .account = b.account,
                                   .key.fpr = slice_of(FPR_TWO, sizeof(FPR_TWO))};
    refused(&untold, ERR_REFUSED);
    assert_int_equal(current_told(1), OK);
    assert_int_equal(in_inbox(), 2);
    store_recount(b.engine, b.keys, b.account);
}

/* Whatever write fails, there is the key and its notice, or neither. */
static void test_notice_and_key_come_together(void **state)
{
    bench_close(&b);
    bench_mem(&b, true);
    bench_account(&b);
    b.tells_nobody = true;
    unsigned failures = 0;
    for (uint64_t nth = 1;; nth++) {
        const struct digest before = digest();
        engine_fail_at(b.fail, nth, ERR_IO);
        int err = add_told(2, 1);
        engine_fail_at(b.fail, 0, OK);
        if (err == OK)
            break;
        const struct digest after = digest();
        assert_memory_equal(&before, &after, sizeof(after));
        failures++;
    }
    assert_true(failures > 10);
    assert_int_equal(in_inbox(), 1);
    store_recount(b.engine, b.keys, b.account);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_written),
        TEST(test_of_something_else),
        TEST(test_a_forged_set_is_not_signed),
        TEST(test_as_it_was_shown),
        TEST(test_an_own_address_comes_back),
        TEST(test_what_the_rules_forbid_is_not_signed),
        TEST(test_the_gate),
        TEST(test_the_gate_minds_states),
        TEST(test_no_notice_no_key),
        TEST(test_notice_and_key_come_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
