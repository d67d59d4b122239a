/* Sessions and second factors: how many there are, when they are over, that what was used is used. */
#include "tests/support/signin_support.h"
#include "tests/support/vault_requests.h"

#include "store/view.h"

#define NONE slice_of("", 0)
enum { DAY = 86400 };

static struct token me; /* a session of the account */

static void house(struct bench *b)
{
    const struct owner o = owner_of(1, true);
    bench_mem(b, false);
    bench_account(b);
    signin_register(b, &o, 0, 0);
    me = token_new(b);
    assert_int_equal(session_call(b, &me, "first"), OK);
    b->client->who = VAULT_MAY_WEB;
}

struct wanted {
    const uint8_t *token;
    uint64_t account;
    uint8_t hash[RECORD_HASH_SIZE];
    struct session s;
};

static int read_session(void *arg, struct view *v)
{
    struct wanted *x = arg;
    return view_session(v, x->token, test_now, &x->account, x->hash, &x->s);
}

/* The number of the session of this token, if it lives; 0: it does not. */
static uint32_t number_of(struct bench *b, const uint8_t *token)
{
    struct wanted x = {.token = token};
    struct view *v;
    assert_int_equal(view_over(b->engine, b->keys, &v), OK);
    int err = view_run(v, read_session, &x);
    view_close(v);
    assert_true(err == OK || err == ERR_NOT_FOUND);
    if (err == OK)
        assert_int_equal(x.account, b->account);
    return err == OK ? x.s.number : 0;
}

static int count_one(void *arg, const struct session *s)
{
    (void)s;
    ++*(unsigned *)arg;
    return OK;
}

struct counted {
    uint64_t account;
    unsigned n;
};

static int count_all(void *arg, struct view *v)
{
    struct counted *c = arg;
    c->n = 0;
    return view_sessions_each(v, c->account, count_one, &c->n);
}

static unsigned sessions_of(struct bench *b)
{
    struct counted c = {.account = b->account};
    struct view *v;
    assert_int_equal(view_over(b->engine, b->keys, &v), OK);
    assert_int_equal(view_run(v, count_all, &c), OK);
    view_close(v);
    return c.n;
}

static int count_record(void *arg, struct slice key, struct slice value)
{
    (void)key;
    (void)value;
    ++*(unsigned *)arg;
    return OK;
}

/* Whether they live or not. */
static unsigned records_of(struct bench *b)
{
    struct schema_keybuf from, to;
    struct engine_txn *t;
    unsigned n = 0;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    assert_int_equal(engine_scan(t, b->account, key_simple(&from, 'o'), key_simple(&to, 'o' + 1), 0, count_record, &n),
                     OK);
    (void)engine_read_end(t);
    return n;
}

static int end(struct bench *b, enum session_which which, uint32_t number)
{
    const struct vault_request q = {.type = VAULT_SESSION_DEL,
                                    .account = b->account,
                                    .session = {.which = (uint8_t)which, .number = number}};
    return request(b, &q, -1);
}

static int used(struct bench *b, const struct token *t)
{
    struct vault_request q = {.type = VAULT_SESSION_USED, .account = b->account};
    memcpy(q.session.hash, t->hash, sizeof(t->hash));
    return request(b, &q, -1);
}

/* ---- sessions ---- */

static void test_a_session_lives(void **state)
{
    struct bench b;
    house(&b);
    struct token wrong = me;
    const uint32_t number = number_of(&b, me.b);
    assert_int_equal(number, 1);
    wrong.b[SESSION_TOKEN_SIZE - 1] ^= 1;
    assert_int_equal(number_of(&b, wrong.b), 0);
    wrong = me;
    wrong.b[7] ^= 1; /* of another account, or of a partition that is none */
    assert_int_equal(number_of(&b, wrong.b), 0);
    memset(wrong.b, 0, 8);
    assert_int_equal(number_of(&b, wrong.b), 0);
    memset(wrong.b, 0xff, 8);
    assert_int_equal(number_of(&b, wrong.b), 0);
    assert_int_equal(session_call(&b, &me, "first"), OK); /* asked again */
    assert_int_equal(b.r.number, number);
    assert_int_equal(sessions_of(&b), 1);
    test_now += DAY;
    assert_int_equal(number_of(&b, me.b), 0);
    assert_int_equal(used(&b, &me), ERR_NOT_FOUND);
    bench_close(&b);
}

static void test_sessions_end_with_the_password(void **state)
{
    struct bench b;
    const struct owner from = owner_of(1, true), to = owner_of(3, true);
    house(&b);
    struct token old = token_new(&b), late = token_new(&b);
    assert_int_equal(session_call(&b, &old, "old"), OK);
    struct vault_request q = {.type = VAULT_SESSION_ADD, .account = b.account}; /* made under the old one */
    q.session = (struct vault_session){.version = 1, .how = SESSION_PASSWORD, .until = test_now + DAY};
    memcpy(q.session.hash, late.hash, sizeof(late.hash));
    const struct vault_request change = signin_request(&b, &from, SIGNIN_BY_PASSWORD, NULL, &to, NONE, NONE);
    assert_int_equal(signin_call(&b, &change, NONE, NONE), OK);
    assert_int_equal(number_of(&b, me.b) + number_of(&b, old.b), 0);
    assert_int_equal(sessions_of(&b) + records_of(&b), 0);
    assert_int_equal(request(&b, &q, -1), ERR_CONFLICT);
    q.session.version = 2;
    assert_int_equal(request(&b, &q, -1), OK);
    assert_int_equal(b.r.number, 3); /* none is given out twice */
    bench_close(&b);
}

static void test_so_many_and_the_oldest_goes(void **state)
{
    struct bench b;
    struct token t[SESSIONS_MAX];
    house(&b);
    for (unsigned i = 0; i < SESSIONS_MAX - 1; i++) {
        test_now++;
        t[i] = token_new(&b);
        assert_int_equal(session_call(&b, &t[i], "more"), OK);
    }
    assert_int_equal(sessions_of(&b), SESSIONS_MAX);
    test_now += SESSION_USED_EVERY;
    assert_int_equal(used(&b, &me), OK);
    t[SESSIONS_MAX - 1] = token_new(&b);
    assert_int_equal(session_call(&b, &t[SESSIONS_MAX - 1], "one too many"), OK);
    assert_int_equal(sessions_of(&b), SESSIONS_MAX);
    assert_int_equal(number_of(&b, t[0].b), 0);
    assert_true(number_of(&b, me.b) && number_of(&b, t[1].b) && number_of(&b, t[SESSIONS_MAX - 1].b));
    test_now += DAY - 10; /* all but the last are over: they make room, nothing that lives does */
    const uint32_t last = number_of(&b, t[SESSIONS_MAX - 1].b);
    assert_true(last != 0);
    t[0] = token_new(&b);
    assert_int_equal(session_call(&b, &t[0], "new"), OK);
    assert_int_equal(sessions_of(&b), 2);
    assert_int_equal(records_of(&b), 2); /* nothing is left of the others */
    assert_int_equal(number_of(&b, t[SESSIONS_MAX - 1].b), last);
    bench_close(&b);
}

static void test_sessions_are_ended(void **state)
{
    struct bench b;
    house(&b);
    struct token other[3];
    for (unsigned i = 0; i < 3; i++) {
        other[i] = token_new(&b);
        assert_int_equal(session_call(&b, &other[i], "other"), OK);
    }
    assert_int_equal(end(&b, SESSION_ONE, number_of(&b, other[1].b)), OK);
    assert_int_equal(number_of(&b, other[1].b), 0);
    assert_int_equal(end(&b, SESSION_ONE, 77), ERR_NOT_FOUND);
    assert_int_equal(end(&b, SESSION_OTHERS, 77), ERR_NOT_FOUND);
    assert_int_equal(sessions_of(&b), 3);
    assert_int_equal(end(&b, SESSION_OTHERS, number_of(&b, me.b)), OK);
    assert_int_equal(sessions_of(&b), 1);
    assert_true(number_of(&b, me.b) != 0);
    assert_int_equal(end(&b, SESSION_ALL, 0), OK);
    assert_int_equal(number_of(&b, me.b), 0);
    bench_close(&b);
}

static void test_times_of_sessions(void **state)
{
    struct bench b;
    house(&b);
    const uint64_t until[] = {0, test_now, test_now + SESSION_LIFE_MAX + 1, UINT64_MAX};
    for (size_t i = 0; i < 4; i++) {
        const struct token t = token_new(&b);
        struct vault_request q = {.type = VAULT_SESSION_ADD, .account = b.account};
        q.session = (struct vault_session){.version = 1, .how = SESSION_PASSWORD, .until = until[i]};
        memcpy(q.session.hash, t.hash, sizeof(t.hash));
        assert_int_equal(request(&b, &q, -1), ERR_LIMIT);
    }
    const uint64_t commits = b.vault->count.groups;
    assert_int_equal(used(&b, &me), OK); /* noted within the hour */
    struct engine_txn *t;
    struct session s;
    test_now += SESSION_USED_EVERY;
    assert_int_equal(used(&b, &me), OK);
    assert_true(b.vault->count.groups > commits);
    assert_int_equal(engine_read_begin(b.engine, &t), OK);
    assert_int_equal(schema_get_session(t, b.keys, b.account, me.hash, &s), OK);
    (void)engine_read_end(t);
    assert_int_equal(s.used, test_now);
    bench_close(&b);
}

/* A store that was restored: what was ended since would live again, and what was signed would count again. */
static void test_after_a_restore(void **state)
{
    struct bench b;
    const struct owner from = owner_of(1, true), to = owner_of(3, true);
    house(&b);
    const struct vault_request change = signin_request(&b, &from, SIGNIN_BY_PASSWORD, NULL, &to, NONE, NONE);
    b.client->who = VAULT_MAY_ADMIN;
    assert_int_equal(request(&b, &(struct vault_request){.type = VAULT_RESTORED}, -1), OK);
    b.client->who = VAULT_MAY_WEB;
    assert_int_equal(number_of(&b, me.b), 0);
    assert_int_equal(signin_call(&b, &change, NONE, NONE), ERR_CONFLICT);
    const struct vault_request again = signin_request(&b, &from, SIGNIN_BY_PASSWORD, NULL, &to, NONE, NONE);
    assert_int_equal(signin_call(&b, &again, NONE, NONE), OK);
    bench_close(&b);
}

/* ---- who asks ---- */

static int password_by(struct bench *b, const struct token *t)
{
    static uint8_t n;
    struct vault_request q = {.type = VAULT_APP_PASSWORD_ADD, .account = b->account};
    q.password = (struct vault_app_password){.hash = {++n}, .scope = SCOPE_HTTP, .label = slice_str("x")};
    memcpy(q.session.hash, t->hash, sizeof(t->hash));
    return request(b, &q, -1);
}

static void test_app_passwords_by_session(void **state)
{
    static const struct token none;
    struct bench b;
    house(&b);
    const uint64_t alice = b.account;
    assert_int_equal(password_by(&b, &none), ERR_DENIED);
    assert_int_equal(password_by(&b, &me), OK);
    struct vault_request q = {.type = VAULT_APP_PASSWORD_REVOKE, .account = b.account, .password.number = b.r.number};
    assert_int_equal(request(&b, &q, -1), ERR_DENIED);
    memcpy(q.session.hash, me.hash, sizeof(me.hash));
    assert_int_equal(request(&b, &q, -1), OK);
    b.client->who = VAULT_MAY_ADMIN;
    assert_int_equal(account_add_call(&b, "bob@example.org", 1, 0, 2), OK);
    assert_int_equal(password_by(&b, &none), OK); /* the administrator needs none */
    b.client->who = VAULT_MAY_WEB;
    assert_int_equal(password_by(&b, &me), ERR_DENIED); /* a session of Alice's for Bob's account */
    b.account = alice;
    assert_int_equal(end(&b, SESSION_ALL, 0), OK);
    assert_int_equal(password_by(&b, &me), ERR_DENIED);
    bench_close(&b);
}

/* ---- second factors ---- */

static int put(struct bench *b, const struct factor *f)
{
    uint8_t packed[FACTOR_PACKED_MAX];
    size_t len;
    struct vault_request q = {.type = VAULT_FACTOR_PUT, .account = b->account};
    assert_int_equal(factor_pack(f, packed, &len), OK);
    q.factor.record = slice_of(packed, len);
    memcpy(q.session.hash, me.hash, sizeof(me.hash));
    return request(b, &q, -1);
}

static int use(struct bench *b, uint32_t number, enum factor_kind kind, uint64_t value, uint8_t code)
{
    const struct vault_request q = {
        .type = VAULT_FACTOR_USED,
        .account = b->account,
        .factor = {.number = number, .kind = (uint8_t)kind, .value = value, .code = {code}}};
    return request(b, &q, -1);
}

static void test_a_code_is_good_once(void **state)
{
    struct bench b;
    house(&b);
    const uint64_t step = test_now / TOTP_STEP;
    struct factor f = {.kind = FACTOR_TOTP, .totp.secret = {7}};
    assert_int_equal(put(&b, &f), OK);
    const uint32_t n = b.r.number;
    assert_int_equal(use(&b, n, FACTOR_TOTP, step, 0), OK);
    assert_int_equal(use(&b, n, FACTOR_TOTP, step, 0), ERR_DENIED);
    assert_int_equal(use(&b, n, FACTOR_TOTP, step - 1, 0), ERR_DENIED);
    assert_int_equal(use(&b, n, FACTOR_TOTP, UINT64_MAX, 0), ERR_DENIED); /* none would be good afterwards */
    assert_int_equal(use(&b, n, FACTOR_TOTP, step + 1, 0), OK);
    assert_int_equal(use(&b, n, FACTOR_RECOVERY, step + 2, 0), ERR_NOT_FOUND);
    assert_int_equal(use(&b, n + 1, FACTOR_TOTP, step + 2, 0), ERR_NOT_FOUND);
    f = (struct factor){.kind = FACTOR_RECOVERY, .codes = {.n = 3, .hash = {{1}, {2}, {3}}}};
    assert_int_equal(put(&b, &f), OK);
    const uint32_t codes = b.r.number;
    assert_int_equal(use(&b, codes, FACTOR_RECOVERY, 0, 2), OK);
    assert_int_equal(use(&b, codes, FACTOR_RECOVERY, 0, 2), ERR_DENIED);
    assert_int_equal(use(&b, codes, FACTOR_RECOVERY, 0, 0), ERR_DENIED); /* what is behind the last one */
    assert_int_equal(use(&b, codes, FACTOR_RECOVERY, 0, 3), OK);
    assert_int_equal(use(&b, codes, FACTOR_RECOVERY, 0, 1), OK);
    assert_int_equal(use(&b, codes, FACTOR_RECOVERY, 0, 1), ERR_DENIED);
    f.number = codes; /* others take their place, of this kind alone */
    f.codes.hash[0][0] = 9;
    assert_int_equal(put(&b, &f), OK);
    assert_int_equal(b.r.number, codes);
    assert_int_equal(use(&b, codes, FACTOR_RECOVERY, 0, 9), OK);
    f.number = n;
    assert_int_equal(put(&b, &f), ERR_NOT_FOUND);
    bench_close(&b);
}

static void test_a_passkey_counts_up(void **state)
{
    struct bench b;
    struct factor f = {.kind = FACTOR_PASSKEY};
    house(&b);
    f.passkey.id_len = f.passkey.key_len = 1;
    assert_int_equal(put(&b, &f), OK);
    const uint32_t n = b.r.number;
    assert_int_equal(use(&b, n, FACTOR_PASSKEY, 0, 0), OK);
    assert_int_equal(use(&b, n, FACTOR_PASSKEY, 0, 0), OK); /* it does not count */
    assert_int_equal(use(&b, n, FACTOR_PASSKEY, 5, 0), OK);
    assert_int_equal(use(&b, n, FACTOR_PASSKEY, 5, 0), ERR_DENIED);
    assert_int_equal(use(&b, n, FACTOR_PASSKEY, 0, 0), ERR_DENIED);
    assert_int_equal(use(&b, n, FACTOR_PASSKEY, (uint64_t)UINT32_MAX + 1, 0), ERR_DENIED);
    assert_int_equal(use(&b, n, FACTOR_PASSKEY, 6, 0), OK);
    bench_close(&b);
}

static void test_so_many_factors(void **state)
{
    struct bench b;
    struct factor f = {.kind = FACTOR_TOTP};
    house(&b);
    for (unsigned i = 0; i < FACTORS_MAX; i++) {
        f.totp.secret[0]++;
        assert_int_equal(put(&b, &f), OK);
        assert_int_equal(put(&b, &f), ERR_EXISTS); /* its codes would be good twice */
    }
    f.totp.secret[0]++;
    const uint32_t last = b.r.number;
    assert_int_equal(put(&b, &f), ERR_LIMIT);
    struct vault_request q = {.type = VAULT_FACTOR_DEL, .account = b.account, .factor.number = last};
    assert_int_equal(request(&b, &q, -1), ERR_DENIED); /* no session */
    memcpy(q.session.hash, me.hash, sizeof(me.hash));
    assert_int_equal(request(&b, &q, -1), OK);
    assert_int_equal(request(&b, &q, -1), ERR_NOT_FOUND);
    assert_int_equal(put(&b, &f), OK);
    assert_int_equal(b.r.number, last + 1);
    assert_int_equal(end(&b, SESSION_ALL, 0), OK);
    assert_int_equal(put(&b, &f), ERR_DENIED);
    bench_close(&b);
}

/* Each octet of a factor that comes in, cut, longer, and others: it is taken, or it is malformed. */
static void test_hostile_factors(void **state)
{
    struct bench b;
    static const enum factor_kind kinds[] = {FACTOR_TOTP, FACTOR_PASSKEY, FACTOR_RECOVERY};
    struct factor got;
    uint8_t packed[FACTOR_PACKED_MAX + 1] = {0};
    size_t len;
    house(&b);
    for (size_t i = 0; i < 3; i++) {
        struct factor f = {.kind = (uint8_t)kinds[i]};
        f.passkey.id_len = f.passkey.key_len = 9;
        if (kinds[i] == FACTOR_RECOVERY)
            f.codes.n = FACTOR_CODES;
        assert_int_equal(factor_pack(&f, packed, &len), OK);
        for (size_t n = 0; n < len; n++)
            assert_true(factor_unpack(packed, n, &got) != OK);
        packed[len] = 0;
        assert_int_equal(factor_unpack(packed, len + 1, &got), ERR_FORMAT);
        for (size_t at = 0; at < len; at++)
            for (unsigned bit = 0; bit < 8; bit++) {
                packed[at] ^= (uint8_t)(1u << bit);
                const int err = factor_unpack(packed, len, &got);
                assert_true(err == OK || err == ERR_FORMAT || err == ERR_VERSION);
                if (err == OK)
                    assert_true(got.kind >= FACTOR_TOTP && got.kind <= FACTOR_RECOVERY);
                packed[at] ^= (uint8_t)(1u << bit);
            }
    }
    struct vault_request q = {.type = VAULT_FACTOR_PUT, .account = b.account, .factor.record = slice_str("rubbish")};
    memcpy(q.session.hash, me.hash, sizeof(me.hash));
    assert_true(request(&b, &q, -1) < 0);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_session_lives),
        cmocka_unit_test(test_sessions_end_with_the_password),
        cmocka_unit_test(test_so_many_and_the_oldest_goes),
        cmocka_unit_test(test_sessions_are_ended),
        cmocka_unit_test(test_times_of_sessions),
        cmocka_unit_test(test_after_a_restore),
        cmocka_unit_test(test_app_passwords_by_session),
        cmocka_unit_test(test_a_code_is_good_once),
        cmocka_unit_test(test_a_passkey_counts_up),
        cmocka_unit_test(test_so_many_factors),
        cmocka_unit_test(test_hostile_factors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
