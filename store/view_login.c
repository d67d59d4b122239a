/* Logins: an app password, or a proof that somebody has one, against what the account has of it. */
#include <string.h>

#include "store/view_impl.h"
#include "server/core/error.h"
#include "server/core/secmem.h"

/* Nobody's account and nobody's address: what a login with an unknown name is checked against, so that it takes the
 * steps of every other. */
enum { NOBODY = PART_QUEUE };

static void open_nothing(const struct record_keys *k)
{
    static const uint8_t sealed[RECORD_OVERHEAD + 128] = {2}; /* as an address is */
    uint8_t plain[128];
    size_t len;
    (void)record_open(k, RECORD_DIRECTORY, "", 0, sealed, sizeof(sealed), plain, &len);
}

/* The account of a name, or NOBODY, after the same steps. ret_a is written for an account alone. */
static int find(struct view *v, const char *user, size_t user_len, char name[ADDRESS_MAX], struct schema_address *ret_a,
                uint64_t *ret_account)
{
    size_t at, plus;
    name[0] = '@';
    name[1] = '\0';
    bool right = address_normalize(user, user_len, name, &at, &plus) == OK;
    int err = schema_get_address(v->txn, v->keys, name, ret_a);
    if (err && err != ERR_NOT_FOUND)
        return err;
    right &= err == OK;
    if (err)
        open_nothing(v->keys);
    *ret_account = right ? ret_a->account : NOBODY;
    return OK;
}

int view_login(struct view *v, const char *user, size_t user_len, const char *password, size_t password_len,
               unsigned scope, struct view_user *ret)
{
    struct schema_address a;
    struct schema_app_password p;
    struct schema_keybuf kb;
    char name[ADDRESS_MAX];
    uint8_t hash[RECORD_HASH_SIZE] = {0};
    struct slice value;
    uint64_t account;
    if (!v->txn)
        return ERR_CONFLICT;
    int err = find(v, user, user_len, name, &a, &account);
    if (err)
        return err;
    bool right = account != NOBODY;
    right &= app_password_hash(v->keys, account, password, password_len, hash) == OK;
    err = engine_get(v->txn, account, key_hash(&kb, 'P', hash), &value);
    if (err)
        return err == ERR_NOT_FOUND ? ERR_DENIED : err;
    err = schema_unpack_app_password(v->keys, account, slice_of(kb.b, 1 + sizeof(hash)), value, &p);
    if (err)
        return err;
    if (!right || !scope || (p.scope & scope) != scope)
        return ERR_DENIED;
    err = view_address_primary(v, &a, ret->primary); /* not before: its time would tell which names there are */
    if (err == OK)
        ret->account = account;
    return err;
}

int view_password_lives(struct view *v, uint64_t account, const uint8_t hash[RECORD_HASH_SIZE])
{
    struct schema_keybuf kb;
    struct slice ignored;
    return v->txn ? engine_get(v->txn, account, key_hash(&kb, 'P', hash), &ignored) : ERR_CONFLICT;
}

/* ---- names ---- */

int view_login_name(struct view *v, const char *user, size_t user_len, uint64_t *ret_account,
                    char ret_name[ADDRESS_MAX])
{
    _Static_assert((int)VIEW_NOBODY == (int)NOBODY, "");
    struct schema_address a = {0};
    uint64_t account;
    if (!v->txn)
        return ERR_CONFLICT;
    int err = find(v, user, user_len, ret_name, &a, &account);
    if (err == OK)
        *ret_account = a.kind == ADDRESS_PRIMARY ? account : NOBODY;
    return err;
}

int view_account_name(struct view *v, uint64_t account, char ret_name[ADDRESS_MAX])
{
    struct schema_account a;
    struct schema_address address;
    int err = view_account(v, account, &a);
    if (err == OK)
        err = view_address(v, a.address, &address); /* approved, or ERR_UNAPPROVED */
    if (err == OK && address.account != account)
        err = ERR_NOT_FOUND;
    if (err == OK)
        memcpy(ret_name, a.address, sizeof(a.address));
    secmem_wipe(&a, sizeof(a));
    return err;
}

/* ---- SCRAM ---- */

int view_scram_salt(struct view *v, const char *user, size_t user_len, uint8_t salt[SCRAM_SALT_LEN],
                    uint32_t *ret_iterations)
{
    struct schema_address a;
    struct schema_account account = {.auth_iterations = AUTH_ITERATIONS};
    uint8_t hash[RECORD_HASH_SIZE];
    char name[ADDRESS_MAX];
    uint64_t id;
    if (!v->txn)
        return ERR_CONFLICT;
    int err = find(v, user, user_len, name, &a, &id);
    if (err)
        return err;
    struct record_part part = {name, strlen(name)};
    record_hash(v->keys, RECORD_APP_PASSWORD, NOBODY, &part, 1, hash);
    _Static_assert(sizeof(hash) >= sizeof(account.auth_salt) && sizeof(account.auth_salt) == SCRAM_SALT_LEN, "");
    if (id != NOBODY) {
        err = view_account(v, id, &account);
    } else {
        struct schema_account nobody;
        (void)view_account(v, NOBODY, &nobody); /* there is none; the look-up counts */
        open_nothing(v->keys);
        memcpy(account.auth_salt, hash, sizeof(account.auth_salt));
    }
    if (err == OK) {
        memcpy(salt, account.auth_salt, sizeof(account.auth_salt));
        *ret_iterations = account.auth_iterations;
    }
    secmem_wipe(&account, sizeof(account));
    return err;
}

struct proving {
    struct view *v;
    uint64_t account;
    unsigned scope;
    view_proof_fn *fits;
    void *arg;
    unsigned tried;
    bool found;
    uint8_t hash[RECORD_HASH_SIZE];
};

static int prove(void *arg, struct slice key, struct slice value)
{
    struct proving *q = arg;
    struct schema_app_password p;
    int err = schema_unpack_app_password(q->v->keys, q->account, key, value, &p);
    if (err)
        return err;
    bool fits = q->fits(q->arg, p.stored_key, p.server_key);
    q->tried++;
    if (fits && q->scope && (p.scope & q->scope) == q->scope && key.len == 1 + RECORD_HASH_SIZE) {
        q->found = true;
        memcpy(q->hash, key.data + 1, RECORD_HASH_SIZE);
    }
    secmem_wipe(&p, sizeof(p));
    return OK;
}

int view_login_scram(struct view *v, const char *user, size_t user_len, view_proof_fn *fits, void *arg, unsigned scope,
                     struct view_user *ret, uint8_t ret_hash[RECORD_HASH_SIZE])
{
    static const uint8_t nothing[32];
    struct schema_address a;
    struct schema_keybuf kb, end;
    struct slice prefix = key_simple(&kb, 'P');
    char name[ADDRESS_MAX];
    struct proving q = {.v = v, .scope = scope, .fits = fits, .arg = arg};
    if (!v->txn)
        return ERR_CONFLICT;
    int err = find(v, user, user_len, name, &a, &q.account);
    if (err == OK)
        err = engine_scan(v->txn, q.account, prefix, key_after(&end, prefix), 0, prove, &q);
    if (err)
        return err;
    for (; q.tried < ACCOUNT_PASSWORDS_MAX; q.tried++) { /* as many whoever it is */
        open_nothing(v->keys);
        (void)fits(arg, nothing, nothing);
    }
    if (!q.found || q.account == NOBODY)
        return ERR_DENIED;
    err = view_address_primary(v, &a, ret->primary);
    if (err == OK) {
        ret->account = q.account;
        memcpy(ret_hash, q.hash, RECORD_HASH_SIZE);
    }
    return err;
}
