#include "tests/support/signin_support.h"

#include <sodium.h>

struct owner owner_of(uint8_t seed, bool phrase)
{
    struct owner o = {.s.profile = 1};
    uint8_t seeds[64];
    memset(seeds, seed, sizeof(seeds));
    memset(o.s.record, seed, sizeof(o.s.record));
    crypto_core_ristretto255_from_hash(o.s.record, seeds);
    crypto_sign_seed_keypair(o.s.password_key, o.password_secret, seeds);
    seeds[0]++;
    if (phrase)
        crypto_sign_seed_keypair(o.s.phrase_key, o.phrase_secret, seeds);
    return o;
}

struct invited invited_of(struct bench *b, uint8_t seed)
{
    struct invited i;
    memset(i.token, seed, sizeof(i.token));
    invitation_hash(b->keys, i.token, i.hash);
    return i;
}

int invite_call(struct bench *b, uint8_t seed, uint32_t uses, bool reset)
{
    const struct invited i = invited_of(b, seed);
    struct vault_request q = {.type = VAULT_INVITE_PUT, .account = b->account};
    q.invite = (struct vault_invite){.until = test_now + 86400, .uses = uses, .reset = reset};
    memcpy(q.invite.hash, i.hash, sizeof(i.hash));
    return request(b, &q, -1);
}

struct signin signin_seen(struct bench *b)
{
    struct signin s = {0};
    struct engine_txn *t;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    (void)schema_get_signin(t, b->keys, b->account, &s);
    (void)engine_read_end(t);
    return s;
}

static void uuid_of(struct bench *b, uint8_t ret[SIGNIN_UUID_SIZE])
{
    struct engine_txn *t;
    assert_int_equal(engine_read_begin(b->engine, &t), OK);
    assert_int_equal(schema_get_uuid(t, ret), OK);
    (void)engine_read_end(t);
}

static void sign(const struct owner *from, enum signin_proof by, const struct signin_text *text,
                 uint8_t ret[SIGNIN_SIGNATURE_SIZE])
{
    crypto_sign_detached(ret, NULL, text->octets, text->len,
                         by == SIGNIN_BY_PHRASE ? from->phrase_secret : from->password_secret);
}

struct vault_request signin_request(struct bench *b, const struct owner *from, enum signin_proof by,
                                    const uint8_t *token, const struct owner *to, struct slice password,
                                    struct slice phrase)
{
    struct vault_request q = {.type = VAULT_SIGNIN_SET, .account = b->account};
    struct vault_signin *a = &q.signin;
    struct signin_text text;
    uint8_t uuid[SIGNIN_UUID_SIZE];
    *a = (struct vault_signin){.proof = by,
                               .serial = signin_seen(b).serial,
                               .profile = to->s.profile,
                               .password_len = (uint32_t)password.len,
                               .phrase_len = (uint32_t)phrase.len};
    memcpy(a->record, to->s.record, sizeof(a->record));
    memcpy(a->password_key, to->s.password_key, sizeof(a->password_key));
    memcpy(a->phrase_key, to->s.phrase_key, sizeof(a->phrase_key));
    if (by == SIGNIN_BY_INVITATION) {
        memcpy(a->secret, token, INVITE_TOKEN_SIZE);
        return q;
    }
    uuid_of(b, uuid);
    signin_text_record(uuid, b->account, a->serial, &to->s, password, phrase, &text);
    sign(from, by, &text, a->secret);
    return q;
}

/* So many octets in a sealed memfd; without any, none. */
static int ask_with(struct bench *b, const struct vault_request *q, const uint8_t *octets, size_t len)
{
    int fd = -1;
    if (len > 0)
        assert_int_equal(parcel_make_plain(octets, len, &fd), OK);
    int err = request(b, q, fd);
    if (fd >= 0)
        close(fd);
    return err;
}

int signin_call(struct bench *b, const struct vault_request *q, struct slice password, struct slice phrase)
{
    static uint8_t both[2 * WRAPPED_MAX];
    if (password.len > 0)
        memcpy(both, password.data, password.len);
    if (phrase.len > 0)
        memcpy(both + password.len, phrase.data, phrase.len);
    return ask_with(b, q, both, password.len + phrase.len);
}

void signin_register(struct bench *b, const struct owner *o, size_t password, size_t phrase)
{
    const struct invited i = invited_of(b, 99);
    const struct slice first = envelope_of(1, password), second = envelope_of(2, phrase);
    assert_int_equal(invite_call(b, 99, 1, false), OK);
    const struct vault_request q = signin_request(b, NULL, SIGNIN_BY_INVITATION, i.token, o, first, second);
    assert_int_equal(signin_call(b, &q, first, second), OK);
}

struct vault_request wrapped_request(struct bench *b, const struct owner *from, enum signin_proof by, uint8_t kind,
                                     uint8_t id, struct slice envelope)
{
    struct vault_request q = {.type = VAULT_WRAPPED_PUT, .account = b->account};
    struct signin_text text;
    uint8_t uuid[SIGNIN_UUID_SIZE];
    uuid_of(b, uuid);
    q.signin = (struct vault_signin){.proof = by,
                                     .serial = signin_seen(b).serial,
                                     .kind = kind,
                                     .password_len = (uint32_t)envelope.len};
    q.signin.id[0] = id;
    signin_text_wrapped(uuid, b->account, q.signin.serial, kind, q.signin.id, envelope, &text);
    sign(from, by, &text, q.signin.secret);
    return q;
}

int wrapped_call(struct bench *b, const struct vault_request *q, struct slice envelope)
{
    return ask_with(b, q, envelope.data, envelope.len);
}

struct slice envelope_of(uint8_t seed, size_t len)
{
    static uint8_t octets[8][WRAPPED_MAX + 1];
    memset(octets[seed % 8], seed, len);
    return slice_of(octets[seed % 8], len);
}

struct token token_new(struct bench *b)
{
    struct token t;
    uint64_t account;
    session_token(b->account, t.b);
    session_hash(b->keys, t.b, &account, t.hash);
    assert_int_equal(account, b->account);
    return t;
}

int session_call(struct bench *b, const struct token *t, const char *label)
{
    struct vault_request q = {.type = VAULT_SESSION_ADD, .account = b->account};
    q.session = (struct vault_session){.version = signin_seen(b).version,
                                       .how = SESSION_PASSWORD | SESSION_TOTP,
                                       .until = test_now + 86400,
                                       .label = slice_str(label)};
    memcpy(q.session.hash, t->hash, sizeof(t->hash));
    return request(b, &q, -1);
}
