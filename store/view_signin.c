/* The read side of signing in. */
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "store/schema_impl.h"
#include "store/signin_impl.h"
#include "store/view_impl.h"

int view_signin(struct view *v, uint64_t account, struct signin *ret)
{
    return v->txn ? schema_get_signin(v->txn, v->keys, account, ret) : ERR_CONFLICT;
}

int view_wrapped(struct view *v, uint64_t account, uint8_t kind, const uint8_t id[WRAPPED_ID_SIZE], struct wrapped *ret,
                 uint8_t envelope[WRAPPED_MAX])
{
    return v->txn ? schema_get_wrapped(v->txn, v->keys, account, kind, id, ret, envelope) : ERR_CONFLICT;
}

int view_session(struct view *v, const uint8_t token[SESSION_TOKEN_SIZE], uint64_t now, uint64_t *ret_account,
                 uint8_t ret_hash[RECORD_HASH_SIZE], struct session *ret)
{
    struct signin s;
    struct session found;
    uint8_t hash[RECORD_HASH_SIZE];
    uint64_t account;
    if (!v->txn)
        return ERR_CONFLICT;
    session_hash(v->keys, token, &account, hash);
    if (account < PART_ACCOUNT_FIRST || account >= BLOB_PART_MAX)
        return ERR_NOT_FOUND;
    int err = schema_get_session(v->txn, v->keys, account, hash, &found);
    if (err == OK)
        err = schema_get_signin(v->txn, v->keys, account, &s);
    if (err == OK && (found.version != s.version || found.until <= now))
        err = ERR_NOT_FOUND;
    secmem_wipe(&s, sizeof(s));
    if (err != OK)
        return err;
    *ret_account = account;
    memcpy(ret_hash, hash, sizeof(hash));
    *ret = found;
    return OK;
}

int view_factor(struct view *v, uint64_t account, uint32_t number, struct factor *ret)
{
    return v->txn ? schema_get_factor(v->txn, v->keys, account, number, ret) : ERR_CONFLICT;
}

int view_invitation(struct view *v, const uint8_t token[INVITE_TOKEN_SIZE], uint64_t now, struct invitation *ret)
{
    struct invitation i;
    uint8_t hash[RECORD_HASH_SIZE];
    if (!v->txn)
        return ERR_CONFLICT;
    invitation_hash(v->keys, token, hash);
    int err = schema_get_invitation(v->txn, v->keys, hash, &i);
    if (err == OK && i.until <= now)
        err = ERR_NOT_FOUND;
    if (err == OK)
        *ret = i;
    return err;
}

/* ---- listings ---- */

struct listing {
    struct view *v;
    uint64_t account;
    uint32_t version;
    union {
        int (*wrapped)(void *arg, const struct wrapped *w);
        int (*session)(void *arg, const struct session *s);
        int (*factor)(void *arg, int err, const struct factor *f);
        int (*invitation)(void *arg, int err, const struct invitation *i);
    };
    void *arg;
};

static int scan(struct listing *l, uint64_t part, char letter,
                int (*one)(void *arg, struct slice key, struct slice value))
{
    struct schema_keybuf from, to;
    if (!l->v->txn)
        return ERR_CONFLICT;
    return engine_scan(l->v->txn, part, key_simple(&from, letter), key_simple(&to, (char)(letter + 1)), 0, one, l);
}

static int one_wrapped(void *arg, struct slice key, struct slice value)
{
    struct listing *l = arg;
    struct wrapped w;
    uint8_t kind;
    uint32_t n;
    if (!wrapped_kind_of_piece(key, &kind, &n))
        return ERR_FORMAT;
    if (n > 0)
        return OK;
    int err = schema_unpack_wrapped(l->v->keys, l->account, key, value, &w);
    return err == OK ? l->wrapped(l->arg, &w) : err;
}

int view_wrapped_each(struct view *v, uint64_t account, int (*fn)(void *arg, const struct wrapped *w), void *arg)
{
    struct listing l = {.v = v, .account = account, .wrapped = fn, .arg = arg};
    return scan(&l, account, 'W', one_wrapped);
}

static int one_session(void *arg, struct slice key, struct slice value)
{
    struct listing *l = arg;
    struct session s;
    int err = schema_unpack_session(l->v->keys, l->account, key, value, &s);
    if (err != OK || s.version != l->version)
        return err;
    return l->session(l->arg, &s);
}

int view_sessions_each(struct view *v, uint64_t account, int (*fn)(void *arg, const struct session *s), void *arg)
{
    struct listing l = {.v = v, .account = account, .session = fn, .arg = arg};
    struct signin s;
    int err = view_signin(v, account, &s);
    if (err != OK)
        return err == ERR_NOT_FOUND ? OK : err;
    l.version = s.version;
    secmem_wipe(&s, sizeof(s));
    return scan(&l, account, 'o', one_session);
}

static int one_factor(void *arg, struct slice key, struct slice value)
{
    struct listing *l = arg;
    struct factor f;
    struct unpack u = key_fields(key);
    int err = schema_unpack_factor(l->v->keys, l->account, key, value, &f);
    if (err == ERR_FORMAT || err == ERR_CRYPTO)
        f = (struct factor){.number = unpack_u32(&u)};
    else if (err != OK)
        return err;
    err = l->factor(l->arg, err, &f);
    secmem_wipe(&f, sizeof(f));
    return err;
}

int view_factors_each(struct view *v, uint64_t account, int (*fn)(void *arg, int err, const struct factor *f),
                      void *arg)
{
    struct listing l = {.v = v, .account = account, .factor = fn, .arg = arg};
    return scan(&l, account, 'E', one_factor);
}

static int one_invitation(void *arg, struct slice key, struct slice value)
{
    struct listing *l = arg;
    struct invitation i;
    int err = schema_unpack_invitation(l->v->keys, key, value, &i);
    if (err == ERR_FORMAT || err == ERR_CRYPTO)
        i = (struct invitation){0};
    else if (err != OK)
        return err;
    return l->invitation(l->arg, err, &i);
}

int view_invitations_each(struct view *v, int (*fn)(void *arg, int err, const struct invitation *i), void *arg)
{
    struct listing l = {.v = v, .invitation = fn, .arg = arg};
    return scan(&l, PART_INSTANCE, 'J', one_invitation);
}
