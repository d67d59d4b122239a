/* Signing in: who may register and change it, what counts once, what is over, how much there may be. */
#include "tests/support/signin_support.h"
#include "tests/support/vault_requests.h"

#include <sodium.h>

#include "store/check.h"
#include "store/view.h"

#define NONE slice_of("", 0)
enum { DAY = 86400, INVITED = 7 };

static void house(struct bench *b)
{
    bench_mem(b, false);
    bench_account(b);
}

static struct check_found found;

static int check_fn(void *arg, struct view *v)
{
    struct bench *b = arg;
    const uint64_t parts[] = {PART_INSTANCE, b->account};
    found = (struct check_found){0};
    for (size_t i = 0; i < 2; i++) {
        struct check_walk walk = {0};
        assert_int_equal(view_check(v, parts[i], 1000000, &walk, NULL, &found), OK);
    }
    return OK;
}

/* How much the audit finds wrong. */
static size_t faults_of(struct bench *b)
{
    struct view *v;
    assert_int_equal(view_over(b->engine, b->keys, &v), OK);
    assert_int_equal(view_run(v, check_fn, b), OK);
    view_close(v);
    return found.n;
}

static void sound(struct bench *b)
{
    if (faults_of(b) > 0)
        fail_msg("%s", found.line[0]);
}

static int set_invited(struct bench *b, uint8_t seed, const struct owner *to)
{
    const struct invited i = invited_of(b, seed);
    const struct vault_request q = signin_request(b, NULL, SIGNIN_BY_INVITATION, i.token, to, NONE, NONE);
    return signin_call(b, &q, NONE, NONE);
}

static int set_signed(struct bench *b, const struct owner *from, enum signin_proof by, const struct owner *to)
{
    const struct vault_request q = signin_request(b, from, by, NULL, to, NONE, NONE);
    return signin_call(b, &q, NONE, NONE);
}

/* ---- who may register ---- */

static void test_nobody_registers_uninvited(void **state)
{
    struct bench b;
    const struct owner o = owner_of(1, true), other = owner_of(3, false);
    house(&b);
    assert_int_equal(set_invited(&b, INVITED, &o), ERR_DENIED);
    assert_int_equal(set_signed(&b, &o, SIGNIN_BY_PASSWORD, &o), ERR_DENIED);
    assert_int_equal(signin_seen(&b).serial, 0);
    assert_int_equal(invite_call(&b, INVITED, 1, false), OK);
    assert_int_equal(set_invited(&b, INVITED + 1, &o), ERR_DENIED);
    assert_int_equal(set_invited(&b, INVITED, &o), OK);
    assert_int_equal(b.r.version, 1);
    assert_int_equal(set_invited(&b, INVITED, &o), OK); /* asked again */
    assert_int_equal(signin_seen(&b).serial, 1);
    assert_int_equal(set_invited(&b, INVITED, &other), ERR_DENIED); /* it was good once */
    sound(&b);
    bench_close(&b);
}

/* Octets behind the token: a request has one form. */
static void test_a_token_is_a_token(void **state)
{
    struct bench b;
    const struct owner o = owner_of(1, false);
    house(&b);
    assert_int_equal(invite_call(&b, INVITED, 1, false), OK);
    const struct invited i = invited_of(&b, INVITED);
    struct vault_request q = signin_request(&b, NULL, SIGNIN_BY_INVITATION, i.token, &o, NONE, NONE);
    q.signin.secret[INVITE_TOKEN_SIZE] = 1;
    assert_int_equal(signin_call(&b, &q, NONE, NONE), ERR_DENIED);
    bench_close(&b);
}

static void test_invitations_end(void **state)
{
    struct bench b;
    const struct owner o = owner_of(1, false), second = owner_of(3, false), third = owner_of(5, false);
    const struct vault_request revoke = {.type = VAULT_INVITE_DEL, .account = 16};
    house(&b);
    assert_int_equal(invite_call(&b, INVITED, 1, false), OK);
    test_now += DAY;
    assert_int_equal(set_invited(&b, INVITED, &o), ERR_DENIED);
    assert_int_equal(invite_call(&b, INVITED, 1, false), OK);
    assert_int_equal(invite_call(&b, INVITED + 1, 1, false), OK); /* takes the place of the other */
    assert_int_equal(set_invited(&b, INVITED, &o), ERR_DENIED);
    assert_int_equal(request(&b, &revoke, -1), OK);
    assert_int_equal(request(&b, &revoke, -1), ERR_NOT_FOUND);
    assert_int_equal(set_invited(&b, INVITED + 1, &o), ERR_DENIED);
    assert_int_equal(invite_call(&b, INVITED, 2, true), OK);
    assert_int_equal(set_invited(&b, INVITED, &o), OK);
    assert_int_equal(set_invited(&b, INVITED, &second), OK); /* a second use, and it may */
    assert_int_equal(set_invited(&b, INVITED, &third), ERR_DENIED);
    assert_int_equal(invite_call(&b, INVITED, 1, false), OK); /* of no reset */
    assert_int_equal(set_invited(&b, INVITED, &third), ERR_DENIED);
    bench_close(&b);
}

static void test_an_invitation_is_of_one_account(void **state)
{
    struct bench b;
    const struct owner o = owner_of(1, false);
    house(&b);
    const uint64_t alice = b.account;
    assert_int_equal(invite_call(&b, INVITED, 1, true), OK);
    assert_int_equal(account_add_call(&b, "bob@example.org", 1, 0, 2), OK);
    assert_int_equal(set_invited(&b, INVITED, &o), ERR_DENIED);
    assert_int_equal(signin_seen(&b).serial, 0);
    b.account = alice;
    const struct vault_request gone = {.type = VAULT_ACCOUNT_REMOVE, .account = b.account};
    assert_int_equal(request(&b, &gone, -1), OK); /* and goes with it */
    struct engine_txn *t;
    struct invitation there;
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(schema_get_invitation(t, b.keys, invited_of(&b, INVITED).hash, &there), ERR_NOT_FOUND);
    (void)engine_read_end(t);
    assert_true(set_invited(&b, INVITED, &o) < 0);
    bench_close(&b);
}

/* ---- who may change it ---- */

static void test_its_holder_changes_it(void **state)
{
    struct bench b;
    const struct owner first = owner_of(1, true), second = owner_of(3, true), stranger = owner_of(9, true);
    house(&b);
    signin_register(&b, &first, 0, 0);
    assert_int_equal(set_signed(&b, &stranger, SIGNIN_BY_PASSWORD, &stranger), ERR_DENIED);
    assert_int_equal(set_signed(&b, &stranger, SIGNIN_BY_PHRASE, &stranger), ERR_DENIED);
    assert_int_equal(set_signed(&b, &first, SIGNIN_BY_PASSWORD, &second), OK);
    assert_int_equal(b.r.version, 2);
    assert_int_equal(set_signed(&b, &first, SIGNIN_BY_PASSWORD, &first), ERR_DENIED); /* the old password */
    assert_int_equal(set_signed(&b, &second, SIGNIN_BY_PHRASE, &first), OK);
    assert_memory_equal(signin_seen(&b).password_key, first.s.password_key, SIGNIN_KEY_SIZE);
    sound(&b);
    bench_close(&b);
}

/* Where there is no phrase its key is zeros, by which everything would be signed. */
static void test_no_phrase_signs_nothing(void **state)
{
    struct bench b;
    const struct owner o = owner_of(1, false), to = owner_of(3, false);
    house(&b);
    signin_register(&b, &o, 0, 0);
    struct vault_request q = signin_request(&b, &o, SIGNIN_BY_PHRASE, NULL, &to, NONE, NONE);
    assert_int_equal(signin_call(&b, &q, NONE, NONE), ERR_DENIED);
    memset(q.signin.secret, 0, sizeof(q.signin.secret));
    assert_int_equal(signin_call(&b, &q, NONE, NONE), ERR_DENIED);
    q.signin.secret[0] = 1; /* the neutral element */
    assert_int_equal(signin_call(&b, &q, NONE, NONE), ERR_DENIED);
    bench_close(&b);
}

/* What was signed once, and what was signed for something else. */
static void test_old_signatures_are_worth_nothing(void **state)
{
    struct bench b;
    const struct owner first = owner_of(1, true), second = owner_of(3, true), third = owner_of(5, true);
    house(&b);
    signin_register(&b, &first, 0, 0);
    const struct vault_request to_second = signin_request(&b, &first, SIGNIN_BY_PHRASE, NULL, &second, NONE, NONE);
    struct vault_request again = to_second;
    assert_int_equal(signin_call(&b, &to_second, NONE, NONE), OK);
    assert_int_equal(set_signed(&b, &second, SIGNIN_BY_PASSWORD, &first), OK);
    assert_int_equal(signin_call(&b, &to_second, NONE, NONE), ERR_CONFLICT);
    again.signin.serial = signin_seen(&b).serial;
    assert_int_equal(signin_call(&b, &again, NONE, NONE), ERR_DENIED);
    struct vault_request q = signin_request(&b, &first, SIGNIN_BY_PASSWORD, NULL, &third, NONE, NONE);
    memcpy(q.signin.record, second.s.record, sizeof(q.signin.record));
    assert_int_equal(signin_call(&b, &q, NONE, NONE), ERR_DENIED);
    q = signin_request(&b, &first, SIGNIN_BY_PASSWORD, NULL, &third, NONE, NONE);
    q.signin.profile++;
    assert_int_equal(signin_call(&b, &q, NONE, NONE), ERR_DENIED);
    q = signin_request(&b, &first, SIGNIN_BY_PASSWORD, NULL, &third, NONE, NONE);
    memset(q.signin.phrase_key, 0, sizeof(q.signin.phrase_key));
    assert_int_equal(signin_call(&b, &q, NONE, NONE), ERR_DENIED);
    q = signin_request(&b, &first, SIGNIN_BY_PASSWORD, NULL, &third, NONE, NONE);
    q.signin.password_len = 5; /* an envelope that was not signed */
    assert_int_equal(signin_call(&b, &q, slice_str("other"), NONE), ERR_DENIED);
    q = signin_request(&b, &first, SIGNIN_BY_PASSWORD, NULL, &third, slice_str("a"), slice_str("b"));
    assert_int_equal(signin_call(&b, &q, slice_str("b"), slice_str("a")), ERR_DENIED);
    assert_int_equal(signin_call(&b, &q, slice_str("a"), slice_str("b")), OK);
    bench_close(&b);
}

static void test_signatures_are_of_one_account(void **state)
{
    struct bench b;
    const struct owner first = owner_of(1, true), second = owner_of(3, true);
    house(&b);
    signin_register(&b, &first, 0, 0);
    const uint64_t alice = b.account;
    assert_int_equal(account_add_call(&b, "bob@example.org", 1, 0, 2), OK);
    assert_true(b.account != alice);
    signin_register(&b, &first, 0, 0); /* the same keys, of another */
    struct vault_request q = signin_request(&b, &first, SIGNIN_BY_PASSWORD, NULL, &second, NONE, NONE);
    q.account = alice;
    assert_int_equal(signin_call(&b, &q, NONE, NONE), ERR_DENIED);
    q.account = b.account;
    assert_int_equal(signin_call(&b, &q, NONE, NONE), OK);
    bench_close(&b);
}

static void test_a_record_that_is_none(void **state)
{
    struct bench b;
    struct owner bad[4];
    house(&b);
    assert_int_equal(invite_call(&b, INVITED, 1, false), OK);
    for (size_t i = 0; i < 4; i++)
        bad[i] = owner_of(1, false);
    memset(bad[0].s.record, 0xff, 32);
    memset(bad[1].s.record, 0, 32); /* the neutral element */
    memset(bad[2].s.password_key, 0, SIGNIN_KEY_SIZE);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(set_invited(&b, INVITED, &bad[i]), ERR_FORMAT);
    const struct invited i = invited_of(&b, INVITED); /* an envelope under a phrase, and no phrase */
    const struct vault_request q =
        signin_request(&b, NULL, SIGNIN_BY_INVITATION, i.token, &bad[3], NONE, slice_str("x"));
    assert_int_equal(signin_call(&b, &q, NONE, slice_str("x")), ERR_FORMAT);
    assert_int_equal(set_invited(&b, INVITED, &bad[3]), OK);
    bench_close(&b);
}

/* The operator lets somebody in again whose record nobody can read. What was signed for it is worth nothing. */
static void test_a_damaged_record(void **state)
{
    struct bench b;
    const struct owner o = owner_of(1, true), other = owner_of(3, true);
    struct schema_keybuf kb;
    struct engine_txn *t;
    house(&b);
    signin_register(&b, &o, 0, 0);
    const struct vault_request old = signin_request(&b, &o, SIGNIN_BY_PHRASE, NULL, &other, NONE, NONE);
    assert_int_equal(engine_group_begin(b.engine, &t), OK);
    assert_int_equal(engine_put(t, b.account, key_simple(&kb, 'O'), slice_str("\2damaged")), OK);
    assert_int_equal(engine_group_commit(t), OK);
    assert_int_equal(signin_call(&b, &old, NONE, NONE), ERR_CONFLICT);
    assert_int_equal(invite_call(&b, INVITED, 1, false), OK);
    assert_int_equal(set_invited(&b, INVITED, &o), ERR_DENIED);
    assert_int_equal(invite_call(&b, INVITED, 1, true), OK);
    assert_int_equal(set_invited(&b, INVITED, &o), OK);
    assert_true(signin_seen(&b).serial >= (uint32_t)test_now);
    assert_int_equal(signin_call(&b, &old, NONE, NONE), ERR_CONFLICT);
    sound(&b);
    bench_close(&b);
}

/* ---- what is wrapped ---- */

struct wanted {
    uint64_t account;
    uint8_t kind, id[WRAPPED_ID_SIZE];
    struct wrapped w;
    uint8_t octets[WRAPPED_MAX];
};

static int read_wrapped(void *arg, struct view *v)
{
    struct wanted *x = arg;
    return view_wrapped(v, x->account, x->kind, x->id, &x->w, x->octets);
}

static int wrapped_there(struct bench *b, uint8_t kind, uint8_t id, struct slice is)
{
    static struct wanted x;
    struct view *v;
    x = (struct wanted){.account = b->account, .kind = kind, .id = {id}};
    assert_int_equal(view_over(b->engine, b->keys, &v), OK);
    int err = view_run(v, read_wrapped, &x);
    view_close(v);
    if (err == OK) {
        assert_int_equal(x.w.len, is.len);
        assert_memory_equal(x.octets, is.data, is.len);
    }
    return err;
}

static void test_envelopes(void **state)
{
    static const size_t lengths[] = {1, 100, WRAPPED_PIECE - WRAPPED_HEAD, WRAPPED_PIECE - WRAPPED_HEAD + 1,
                                     WRAPPED_MAX};
    struct bench b;
    const struct owner o = owner_of(1, true);
    house(&b);
    signin_register(&b, &o, 9000, 20);
    assert_int_equal(wrapped_there(&b, WRAPPED_PASSWORD, 0, envelope_of(1, 9000)), OK);
    assert_int_equal(wrapped_there(&b, WRAPPED_PHRASE, 0, envelope_of(2, 20)), OK);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        const struct slice e = envelope_of((uint8_t)(3 + i), lengths[sizeof(lengths) / sizeof(lengths[0]) - 1 - i]);
        const struct vault_request q = wrapped_request(&b, &o, SIGNIN_BY_PASSWORD, WRAPPED_PASSKEY, 5, e);
        assert_int_equal(wrapped_call(&b, &q, e), OK);
        assert_int_equal(wrapped_there(&b, WRAPPED_PASSKEY, 5, e), OK);
        sound(&b);                                               /* of a longer one before nothing is left */
        assert_int_equal(wrapped_call(&b, &q, e), ERR_CONFLICT); /* it was signed for a serial that is over */
    }
    const struct vault_request gone = wrapped_request(&b, &o, SIGNIN_BY_PHRASE, WRAPPED_PASSKEY, 5, NONE);
    assert_int_equal(wrapped_call(&b, &gone, NONE), OK);
    assert_int_equal(wrapped_there(&b, WRAPPED_PASSKEY, 5, NONE), ERR_NOT_FOUND);
    assert_int_equal(wrapped_there(&b, WRAPPED_PASSWORD, 0, envelope_of(1, 9000)), OK);
    bench_close(&b);
}

/* A change of password takes the envelope under the old one away; the phrase stays as long as its key does. */
static void test_envelopes_of_a_change(void **state)
{
    struct bench b;
    struct owner first = owner_of(1, true), second = owner_of(3, true);
    const struct owner without = owner_of(5, false);
    house(&b);
    signin_register(&b, &first, 50, 60);
    memcpy(second.s.phrase_key, first.s.phrase_key, SIGNIN_KEY_SIZE);
    assert_int_equal(set_signed(&b, &first, SIGNIN_BY_PHRASE, &second), OK);
    assert_int_equal(wrapped_there(&b, WRAPPED_PASSWORD, 0, NONE), ERR_NOT_FOUND);
    assert_int_equal(wrapped_there(&b, WRAPPED_PHRASE, 0, envelope_of(2, 60)), OK);
    assert_int_equal(set_signed(&b, &second, SIGNIN_BY_PASSWORD, &without), OK);
    assert_int_equal(wrapped_there(&b, WRAPPED_PHRASE, 0, NONE), ERR_NOT_FOUND);
    bench_close(&b);
}

static void test_who_wraps(void **state)
{
    struct bench b;
    const struct owner o = owner_of(1, false), other = owner_of(3, true);
    const struct slice e = envelope_of(3, 40), f = envelope_of(4, 40);
    house(&b);
    struct vault_request q = wrapped_request(&b, &o, SIGNIN_BY_PASSWORD, WRAPPED_PASSKEY, 1, e);
    assert_int_equal(wrapped_call(&b, &q, e), ERR_NOT_FOUND);
    signin_register(&b, &o, 30, 0);
    q = wrapped_request(&b, &other, SIGNIN_BY_PASSWORD, WRAPPED_PASSKEY, 1, e);
    assert_int_equal(wrapped_call(&b, &q, e), ERR_DENIED);
    q = wrapped_request(&b, &o, SIGNIN_BY_PASSWORD, WRAPPED_PASSKEY, 1, e);
    assert_int_equal(wrapped_call(&b, &q, f), ERR_DENIED);
    q.signin.id[0] = 2;
    assert_int_equal(wrapped_call(&b, &q, e), ERR_DENIED);
    q.signin.id[0] = 0;
    q.signin.kind = WRAPPED_PASSWORD;
    assert_int_equal(wrapped_call(&b, &q, e), ERR_DENIED);
    q.signin.kind = WRAPPED_PASSKEY; /* to remove is another thing to sign */
    q.signin.id[0] = 1;
    q.signin.password_len = 0;
    assert_int_equal(wrapped_call(&b, &q, NONE), ERR_DENIED);
    q.signin.password_len = 41; /* another length than the descriptor has */
    assert_int_equal(wrapped_call(&b, &q, e), ERR_REFUSED);
    q.signin.password_len = 40;
    assert_int_equal(wrapped_call(&b, &q, NONE), ERR_REFUSED);
    assert_int_equal(wrapped_call(&b, &q, e), OK);
    for (uint8_t id = 2; id <= WRAPPED_PASSKEYS_MAX + 1; id++) {
        q = wrapped_request(&b, &o, SIGNIN_BY_PASSWORD, WRAPPED_PASSKEY, id, e);
        assert_int_equal(wrapped_call(&b, &q, e), id <= WRAPPED_PASSKEYS_MAX ? OK : ERR_LIMIT);
    }
    q = wrapped_request(&b, &o, SIGNIN_BY_PASSWORD, WRAPPED_PASSKEY, 2, f);
    assert_int_equal(wrapped_call(&b, &q, f), OK); /* one that is there */
    bench_close(&b);
}

/* ---- the audit ---- */

static void take_away(struct bench *b, uint64_t part, struct slice key)
{
    struct engine_txn *t;
    assert_int_equal(engine_group_begin(b->engine, &t), OK);
    assert_int_equal(engine_del(t, part, key), OK);
    assert_int_equal(engine_group_commit(t), OK);
}

static void put_factor(struct bench *b, uint32_t number)
{
    const struct factor f = {.number = number, .kind = FACTOR_TOTP};
    struct engine_txn *t;
    assert_int_equal(engine_group_begin(b->engine, &t), OK);
    assert_int_equal(schema_put_factor(t, b->keys, b->account, &f), OK);
    assert_int_equal(engine_group_commit(t), OK);
}

static void test_the_audit(void **state)
{
    static const uint8_t no_id[WRAPPED_ID_SIZE];
    struct bench b;
    struct schema_keybuf kb;
    const struct owner o = owner_of(1, true);
    house(&b);
    signin_register(&b, &o, 9000, 0);
    const struct token t = token_new(&b);
    assert_int_equal(session_call(&b, &t, "browser"), OK);
    sound(&b);
    put_factor(&b, 2); /* the session had 1 */
    assert_int_equal(faults_of(&b), 1);
    assert_non_null(strstr(found.line[0], "not given out yet"));
    take_away(&b, b.account, key_u32(&kb, 'E', 2));
    take_away(&b, b.account, key_wrapped(&kb, b.keys, b.account, WRAPPED_PASSWORD, no_id, 1));
    assert_int_equal(faults_of(&b), 1);
    assert_non_null(strstr(found.line[0], "not all there"));
    const struct slice e = envelope_of(1, 9000);
    struct vault_request q = wrapped_request(&b, &o, SIGNIN_BY_PASSWORD, WRAPPED_PASSWORD, 0, e);
    assert_int_equal(wrapped_call(&b, &q, e), OK);
    sound(&b);
    take_away(&b, b.account, key_wrapped(&kb, b.keys, b.account, WRAPPED_PASSWORD, no_id, 0));
    assert_int_equal(faults_of(&b), 1);
    assert_non_null(strstr(found.line[0], "a piece of nothing"));
    q = wrapped_request(&b, &o, SIGNIN_BY_PASSWORD, WRAPPED_PASSWORD, 0, NONE);
    assert_int_equal(wrapped_call(&b, &q, NONE), OK);
    sound(&b);
    take_away(&b, b.account, key_simple(&kb, 'O')); /* the session is of nothing */
    assert_int_equal(faults_of(&b), 1);
    take_away(&b, b.account, key_hash(&kb, 'o', t.hash));
    sound(&b);
    assert_int_equal(invite_call(&b, INVITED, 1, false), OK);
    sound(&b);
    take_away(&b, PART_INSTANCE, key_u64(&kb, 'N', b.account));
    assert_true(faults_of(&b) > 0);
    assert_non_null(strstr(found.line[0], "which there is not"));
    bench_close(&b);
}

/* A piece is as long whatever it holds. */
static int see_length(void *arg, struct slice key, struct slice value)
{
    size_t *len = arg;
    (void)key;
    if (*len != 0)
        assert_int_equal(*len, value.len);
    *len = value.len;
    return OK;
}

static void test_lengths_tell_nothing(void **state)
{
    struct bench b;
    const struct owner o = owner_of(1, true);
    struct schema_keybuf from, to;
    struct engine_txn *t;
    size_t len = 0;
    house(&b);
    signin_register(&b, &o, 1, 16000);
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(engine_scan(t, b.account, key_simple(&from, 'W'), key_simple(&to, 'W' + 1), 0, see_length, &len),
                     OK);
    (void)engine_read_end(t);
    assert_int_equal(len, WRAPPED_PIECE + 1 + RECORD_OVERHEAD);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_registers_uninvited),
        cmocka_unit_test(test_a_token_is_a_token),
        cmocka_unit_test(test_invitations_end),
        cmocka_unit_test(test_an_invitation_is_of_one_account),
        cmocka_unit_test(test_its_holder_changes_it),
        cmocka_unit_test(test_no_phrase_signs_nothing),
        cmocka_unit_test(test_old_signatures_are_worth_nothing),
        cmocka_unit_test(test_signatures_are_of_one_account),
        cmocka_unit_test(test_a_record_that_is_none),
        cmocka_unit_test(test_a_damaged_record),
        cmocka_unit_test(test_envelopes),
        cmocka_unit_test(test_envelopes_of_a_change),
        cmocka_unit_test(test_who_wraps),
        cmocka_unit_test(test_the_audit),
        cmocka_unit_test(test_lengths_tell_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
