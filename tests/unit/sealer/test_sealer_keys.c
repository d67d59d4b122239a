/* Keys that change, expire, are missing or broken, or that only gpg seals to: every way to fail leaves nothing
 * behind. */
#include "tests/support/sealer_bench.h"

static int retire_key(struct store_write *w, void *arg)
{
    struct test_key *k = arg;

    struct slice none = slice_of("", 0);
    const struct slice fpr = slice_of(k->verdict.primary_fpr, k->verdict.primary_fpr_len);
    const struct vault_approval approval =
        approval_for((struct vault_request){.type = VAULT_KEY_RETIRE, .account = w->account, .key.fpr = fpr}, none);

    return account_key_state(w, fpr.data, fpr.len, KEY_RETIRED, none, &approval);
}

static int end_key(struct store_write *w, void *arg)
{
    struct test_key *k = arg;
    struct slice none = slice_of("", 0);
    const struct slice fpr = slice_of(k->verdict.primary_fpr, k->verdict.primary_fpr_len);
    const struct vault_approval approval =
        approval_for((struct vault_request){.type = VAULT_KEY_ENC_REVOKED, .account = w->account, .key.fpr = fpr},
                     none);

    return account_key_state(w, fpr.data, fpr.len, KEY_ENC_REVOKED, none, &approval);
}

static int unlist_account(struct store_write *w, void *arg)
{
    return account_unlist(w);
}

static int close_account(struct store_write *w, void *arg)
{
    return account_close(w);
}

static void test_keys_change(void **state)
{
    struct outcome o = seal(MAIL, strlen(MAIL), 0);

    check_sealed(&o, &keys[0], MAIL, strlen(MAIL));
    write_group(add_key, &keys[1]);
    for (int i = 0; i < 2; i++) {
        o = seal(MAIL, strlen(MAIL), 0);
        check_sealed(&o, &keys[i], MAIL, strlen(MAIL)); /* either opens it */
    }
    write_group(retire_key, &keys[0]);
    o = seal(MAIL, strlen(MAIL), 0);
    check_sealed(&o, &keys[1], MAIL, strlen(MAIL));
    struct parcel p;
    struct test_session ses;
    uint8_t plain[8192];
    size_t n;
    o = seal(MAIL, strlen(MAIL), 0);
    assert_int_equal(parcel_open(o.r.parcel_fd, 1 << 20, &p), OK);
    assert_int_not_equal(test_open(&keys[0], p.packets.data, p.packets.len, plain, &n, &ses), 0);
    parcel_close(&p);
    close(o.r.parcel_fd);
}

static void test_expired_key(void **state)
{
    struct parcel p;
    struct test_session ses;
    uint8_t plain[8192];
    size_t n;

    keys[0].verdict.enc_expires = NOW - 1;
    write_group(add_key, &keys[0]); /* a known fingerprint is replaced */
    struct outcome o = seal(MAIL, strlen(MAIL), 0);
    assert_int_equal(o.status, OK);
    assert_int_equal(parcel_open(o.r.parcel_fd, 1 << 20, &p), OK);
    assert_int_equal(test_open(&keys[0], p.capsule.data, p.capsule.len, plain, &n, &ses), 0);
    assert_non_null(memmem(plain, n, "key-expired", 11));
    parcel_close(&p);
    check_sealed(&o, &keys[0], MAIL, strlen(MAIL));
}

static void check_fails(int status)
{
    int before = open_fds();
    struct outcome o = seal(MAIL, strlen(MAIL), 0);

    if (status)
        assert_int_equal(o.status, status);
    assert_int_not_equal(o.status, OK);
    assert_int_equal(open_fds(), before); /* no parcel */
}

static void check_can_seal(int want)
{
    assert_int_equal(view_begin(view), OK);
    assert_int_equal(sealer_can_seal(sealer, alice), want);
    assert_int_equal(view_end(view), OK);
}

static void test_no_key(void **state)
{
    check_can_seal(OK);
    write_group(end_key, &keys[0]);
    check_can_seal(ERR_NO_KEY);
    check_fails(ERR_NO_KEY);
}

/* ---- what a vault without the root may write ---- */

static uint32_t next_version(struct store_write *w, uint8_t seal_v2)
{
    struct schema_account a;

    assert_int_equal(schema_get_account(w->t, w->keys, w->account, &a), OK);
    a.seal_v2 = seal_v2;
    a.keys_version++;
    assert_int_equal(schema_put_account(w->t, w->keys, w->account, &a), OK);
    return a.keys_version;
}

/* The last approval, for whatever version is wanted. */
static void approval_again(struct store_write *w, uint32_t version)
{
    uint8_t approval[APPROVAL_SIZE];
    uint32_t was;

    assert_int_equal(schema_get_approval(w->t, w->keys, w->account, &was, approval), OK);
    assert_int_equal(schema_put_approval(w->t, w->keys, w->account, version, approval), OK);
}

static struct schema_key record_of(struct store_write *w, const struct test_key *k)
{
    struct schema_key all[PGP_KEYS_MAX];
    size_t n = 0;

    assert_int_equal(schema_get_keys(w->t, w->keys, w->account, all, &n), OK);
    for (size_t i = 0; i < n; i++)
        if (key_is(&all[i], k->verdict.primary_fpr, 20))
            return all[i];
    fail();
    return (struct schema_key){0};
}

static int drop_key(struct store_write *w, void *arg)
{
    struct schema_keybuf k;

    return write_del(w, key_certificate(&k, w->keys, w->account, keys[1].verdict.primary_fpr, 20));
}

static int slip_in_key(struct store_write *w, void *arg)
{
    struct schema_key k = key_added(NULL, &keys[2].verdict, slice_of(keys[2].cert, keys[2].cert_len), NOW);

    k.blob = 1000;
    assert_int_equal(schema_put_cert(w->t, w->keys, w->account, k.blob, slice_of(keys[2].cert, keys[2].cert_len)), OK);
    return schema_put_key(w->t, w->keys, w->account, &k);
}

static int bring_back(struct store_write *w, void *arg)
{
    struct schema_key k = record_of(w, &keys[1]);

    k.state = k.state == KEY_CURRENT ? KEY_RETIRED : KEY_CURRENT;
    return schema_put_key(w->t, w->keys, w->account, &k);
}

static int other_verdict(struct store_write *w, void *arg)
{
    struct schema_key k = record_of(w, &keys[0]);

    k.verdict.enc_expires = NOW - 1;
    return schema_put_key(w->t, w->keys, w->account, &k);
}

static int other_certificate(struct store_write *w, void *arg)
{
    struct schema_key k = record_of(w, &keys[0]);

    k.cert_len = (uint32_t)keys[2].cert_len;
    key_cert_hash(slice_of(keys[2].cert, keys[2].cert_len), k.cert_hash);
    assert_int_equal(schema_put_cert(w->t, w->keys, w->account, k.blob, slice_of(keys[2].cert, keys[2].cert_len)), OK);
    return schema_put_key(w->t, w->keys, w->account, &k);
}

static int nothing_but_seal_v2(struct store_write *w, void *arg)
{
    (void)next_version(w, SEAL_V2_NEVER);
    return OK;
}

static int nothing_but_encrypt(struct store_write *w, void *arg)
{
    struct schema_account a;

    assert_int_equal(schema_get_account(w->t, w->keys, w->account, &a), OK);
    a.encrypt = ENCRYPT_ALWAYS;
    return schema_put_account(w->t, w->keys, w->account, &a);
}

static int nothing_but_forward(struct store_write *w, void *arg)
{
    struct schema_account a;

    assert_int_equal(schema_get_account(w->t, w->keys, w->account, &a), OK);
    memcpy(a.forward, "mallory@example.net", 20);
    return schema_put_account(w->t, w->keys, w->account, &a);
}

static int no_approval(struct store_write *w, void *arg)
{
    struct schema_keybuf k;

    return write_del(w, key_simple(&k, 'G'));
}

static int other_primary(struct store_write *w, void *arg)
{
    struct schema_account a;

    assert_int_equal(schema_get_account(w->t, w->keys, w->account, &a), OK);
    memcpy(a.address, "mallory@example.org", 20);
    return schema_put_account(w->t, w->keys, w->account, &a);
}

static int (*forgery)(struct store_write *w, void *arg);

static int forge(struct store_write *w, void *arg)
{
    int err = forgery(w, arg);

    if (forgery != no_approval)
        approval_again(w, next_version(w, forgery == nothing_but_seal_v2 ? SEAL_V2_NEVER : SEAL_V2_AUTO));
    else
        (void)next_version(w, SEAL_V2_AUTO); /* or the set from before is still at hand */
    return err;
}

static void test_not_approved(void **state)
{
    static int (*const forgeries[])(struct store_write * w,
                                    void *arg) = {drop_key,           slip_in_key,       bring_back,
                                                  other_verdict,      other_certificate, nothing_but_seal_v2,
                                                  no_approval,        other_primary,     nothing_but_encrypt,
                                                  nothing_but_forward};

    for (size_t i = 0; i < sizeof(forgeries) / sizeof(forgeries[0]); i++) {
        if (i > 0) {
            teardown(state);
            setup(state);
        }
        write_group(add_key, &keys[1]);
        if (i % 2)
            write_group(retire_key, &keys[1]);
        check_can_seal(OK);
        forgery = forgeries[i];
        write_group(forge, NULL);
        check_can_seal(ERR_UNAPPROVED);
        check_fails(ERR_UNAPPROVED);
    }
}

/* A number that is given out again, with the keys_version that it had: keys that are at hand are somebody else's. */
static void test_number_given_again(void **state)
{
    struct outcome o = seal(MAIL, strlen(MAIL), 0);

    check_sealed(&o, &keys[0], MAIL, strlen(MAIL));
    check_can_seal(OK);
    write_group(other_primary, NULL);
    check_can_seal(ERR_UNAPPROVED);
    check_fails(ERR_UNAPPROVED);
}

/* Or it is given out between RCPT, where the address was approved, and the mail. */
static void test_number_given_meanwhile(void **state)
{
    routed_to = "alice@example.org";
    struct outcome o = seal(MAIL, strlen(MAIL), 0);
    check_sealed(&o, &keys[0], MAIL, strlen(MAIL));
    routed_to = "bob@example.org";
    check_fails(ERR_UNAPPROVED);
    routed_to = NULL;
}

/* The record is as it was approved, the certificate beside it another. */
static int swap_certificate(struct store_write *w, void *arg)
{
    struct schema_key k = record_of(w, &keys[1]);

    assert_int_equal(keys[1].cert_len, keys[2].cert_len);
    return schema_put_cert(w->t, w->keys, w->account, k.blob, slice_of(keys[2].cert, keys[2].cert_len));
}

static void test_swapped_certificate(void **state)
{
    write_group(add_key, &keys[1]); /* not in the cache yet */
    write_group(swap_certificate, NULL);
    check_can_seal(ERR_UNAPPROVED);
    check_fails(ERR_UNAPPROVED);
}

static void test_overrun(void **state)
{
    engine_fail_overrun(engine, VIEW_TRIES - 1);
    struct outcome o = seal(MAIL, strlen(MAIL), 0);
    check_sealed(&o, &keys[0], MAIL, strlen(MAIL));
    write_group(add_key, &keys[1]); /* a set that is not in the cache yet */
    engine_fail_overrun(engine, VIEW_TRIES - 1);
    o = seal(MAIL, strlen(MAIL), 0);
    check_sealed(&o, &keys[1], MAIL, strlen(MAIL));
    engine_fail_overrun(engine, VIEW_TRIES);
    check_fails(ERR_OVERRUN);
}

static void test_no_account(void **state)
{
    write_group(unlist_account, NULL);
    write_group(close_account, NULL);
    check_can_seal(ERR_NOT_FOUND);
    check_fails(ERR_NOT_FOUND);
    alice = 424242;
    check_fails(ERR_NOT_FOUND);
}

/* The certificate does not hold the key that the verdict names; then one that does not parse. */
static void test_broken_certificate(void **state)
{
    struct test_key broken = keys[1];

    broken.verdict.enc_fpr[5] ^= 1;
    broken.verdict.primary_fpr[0] ^= 0x40;
    write_group(add_key, &broken);
    check_fails(0);
    write_group(retire_key, &broken);
    struct outcome o = seal(MAIL, strlen(MAIL), 0);
    check_sealed(&o, &keys[0], MAIL, strlen(MAIL));
    broken = keys[1];
    broken.verdict.primary_fpr[0] ^= 0x20;
    broken.cert_len = 20;
    write_group(add_key, &broken);
    check_fails(0);
}

/* A key that was taken before numbers were looked at, with a key derivation that nobody seals with. */
static void spoil(struct test_key *k)
{
    struct pgp_key list[4];
    size_t n = 4;
    enum pgp_flaw flaw;

    assert_int_equal(pgp_cert_keys(k->cert, k->cert_len, list, &n), OK);
    for (size_t i = 0; i < n; i++)
        if (!memcmp(list[i].fpr, k->verdict.enc_fpr, 20)) {
            k->cert[list[i].material - k->cert + (ptrdiff_t)list[i].material_len - 1] = 2; /* TripleDES */
            assert_int_equal(pgp_cert_keys(k->cert, k->cert_len, list, &n), OK);
            memcpy(k->verdict.enc_fpr, list[i].fpr, 20);
        }
    k->verdict.native = false; /* as it was stored */
    assert_int_equal(pgp_cert_flaw(k->cert, k->cert_len, &k->verdict, &flaw), OK);
    assert_int_equal(flaw, PGP_FLAW_KDF);
}

/* Nobody waits for it: mail is sealed to the others, and where there are none RCPT says so. */
static void test_flawed_key(void **state)
{
    struct test_key bad = keys[1];

    spoil(&bad);
    write_group(add_key, &bad);
    check_can_seal(OK);
    sealer_keep_seen(sealer);
    struct outcome o = seal(MAIL, strlen(MAIL), 0);
    check_sealed(&o, &keys[0], MAIL, strlen(MAIL));
    assert_int_equal(gpg.calls, 0);
    write_group(retire_key, &keys[0]);
    check_can_seal(ERR_NO_KEY);
    check_fails(ERR_NO_KEY);
}

static int set_seal_v2(struct store_write *w, void *arg)
{
    const struct vault_account new = {.policy = VAULT_POLICY_KEEP,
                                      .quota = VAULT_QUOTA_KEEP,
                                      .seal_v2 = *(const uint8_t *)arg,
                                      .encrypt = VAULT_ENCRYPT_KEEP};
    const struct vault_approval approval =
        approval_for((struct vault_request){.type = VAULT_ACCOUNT_SET, .account = w->account, .new = new},
                     slice_of("", 0));

    return account_set(w, &new, &approval);
}

/* SEIPD v2 where the key asks for it, unless the account says never; what is prepared already is made anew. */
static void test_seal_v2(void **state)
{
    static const uint8_t settings[] = {SEAL_V2_AUTO, SEAL_V2_NEVER, VAULT_SEAL_V2_KEEP, SEAL_V2_AUTO};
    static const int want[] = {2, 1, 1, 2};

    keys[0].verdict.prefs.seipd_v2 = true;
    write_group(add_key, &keys[0]);
    for (size_t i = 0; i < sizeof(settings); i++) {
        struct pgp_check_result r;
        struct parcel p;
        const char *why;
        uint8_t setting = settings[i];
        const struct pgp_key_ref ref = pgp_verdict_key(&keys[0].verdict, true);

        write_group(set_seal_v2, &setting);
        check_can_seal(OK);
        if (i % 2)
            sealer_keep_seen(sealer);
        struct outcome o = seal(MAIL, strlen(MAIL), 0);
        assert_int_equal(o.status, OK);
        assert_int_equal(parcel_open(o.r.parcel_fd, 1 << 20, &p), OK);
        assert_int_equal(pgp_check_message(p.packets.data, p.packets.len, &ref, 1, PGP_CHECK_SERVER_SEAL, &r, &why),
                         OK);
        assert_int_equal(r.seipd_version, want[i]);
        parcel_close(&p);
        close(o.r.parcel_fd);
    }
    keys[0].verdict.prefs.seipd_v2 = false;
}

/* As many current keys as the store lets an account have: one message opens with each. */
struct one_more {
    int n, err;
};

static int add_key_or_limit(struct store_write *w, void *arg)
{
    struct one_more *m = arg;
    struct test_key k = keys[0];

    k.verdict.primary_fpr[1] = (uint8_t)(keys[0].verdict.primary_fpr[1] + ++m->n);
    m->err = add_key(w, &k);
    return OK;
}

static void test_many_keys(void **state)
{
    struct one_more m = {.n = 0};

    while (m.err == OK && m.n < 100)
        write_group(add_key_or_limit, &m);
    assert_int_equal(m.err, ERR_LIMIT);
    int n = m.n;
    assert_true(n <= PGP_SEAL_RECIPIENTS_MAX); /* the store's limit is not beyond the engine's */
    struct outcome o = seal(MAIL, strlen(MAIL), 0);
    check_sealed(&o, &keys[0], MAIL, strlen(MAIL));
}

/* ---- the gpg role ---- */

static void test_gpg(void **state)
{
    use_gpg();
    struct outcome o = seal(MAIL, strlen(MAIL), 10);
    assert_int_equal(gpg.calls, 2); /* capsule and message */
    check_sealed(&o, &keys[0], MAIL, strlen(MAIL));
    /* One native key and one that is not: all through the role, one message for both. */
    write_group(add_key, &keys[1]);
    for (int i = 0; i < 2; i++) {
        o = seal(MAIL, strlen(MAIL), 0);
        check_sealed(&o, &keys[i], MAIL, strlen(MAIL));
    }
}

static void test_gpg_fails(void **state)
{
    use_gpg();
    gpg.gone = 1;
    check_fails(ERR_GONE);
    gpg.gone = 0;
    for (gpg.fail_at = 1; gpg.fail_at <= 2; gpg.fail_at++) {
        gpg.calls = 0;
        check_fails(ERR_GONE);
    }
}

static void test_gpg_cancel(void **state)
{
    static struct outcome o;
    struct iovec iov = {(char *)(uintptr_t)MAIL, strlen(MAIL)};
    struct seal_request q = {.account = alice,
                             .mail = &iov,
                             .mail_n = 1,
                             .mail_len = iov.iov_len,
                             .received = RECEIVED,
                             .auth_results = "",
                             .tls = "",
                             .now = NOW,
                             .date = NOW};
    struct seal_op *op = NULL;
    int before = open_fds();

    use_gpg();
    assert_int_equal(sealer_start(sealer, &q, on_done, &o, &op), OK);
    assert_non_null(op);
    sealer_cancel(op);
    gpg_run();
    assert_int_equal(o.calls, 0);
    assert_int_equal(open_fds(), before);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_keys_change),
        TEST(test_expired_key),
        TEST(test_no_key),
        TEST(test_overrun),
        TEST(test_no_account),
        TEST(test_broken_certificate),
        TEST(test_not_approved),
        TEST(test_number_given_again),
        TEST(test_number_given_meanwhile),
        TEST(test_swapped_certificate),
        TEST(test_flawed_key),
        TEST(test_seal_v2),
        TEST(test_many_keys),
        TEST(test_gpg),
        TEST(test_gpg_fails),
        TEST(test_gpg_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
