/* Values that name somebody or something: accounts, addresses, mailbox names, keywords, labels. */
#include "store/schema_impl.h"

#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"

/* Accounts. */

enum {
    ACCOUNT_VERSION = 1,
    ACCOUNT_PLAIN = 1 + 8 * 3 + 1 + 1 + 1 + 4 * 3 + 16 + 4 + 32 + 4 + 4 + ADDRESS_MAX + 1 + 4 + ADDRESS_MAX
};

enum {
    ACCOUNT_TRIAL_KEY = 1,
    ACCOUNT_SEAL_V1 = 2,
    ACCOUNT_UNPUBLISHED = 4,
    ACCOUNT_NO_AUTOCRYPT = 8,
    ACCOUNT_KEY_CHANGES = 16,
    ACCOUNT_FLAGS = 31
};

static bool forward_valid(const struct schema_account *a)
{
    return a->forward_how <= (FORWARD_ONLY | FORWARD_OWN_KEYS) && (a->forward[0] != '\0' || a->forward_how == 0);
}

static int account_unpack(const uint8_t *plain, size_t len, struct schema_account *ret)
{
    struct unpack u;
    unpack_init(&u, plain, len);
    int err = fields_version(&u, ACCOUNT_VERSION);
    if (err)
        return err;
    ret->id = unpack_u64(&u);
    ret->created = unpack_u64(&u);
    ret->quota_bytes = unpack_u64(&u);
    ret->policy = unpack_u8(&u);
    uint8_t flags = unpack_u8(&u);
    ret->trial_key = flags & ACCOUNT_TRIAL_KEY;
    ret->seal_v2 = flags & ACCOUNT_SEAL_V1 ? SEAL_V2_NEVER : SEAL_V2_AUTO;
    ret->unpublished = flags & ACCOUNT_UNPUBLISHED;
    ret->no_autocrypt = flags & ACCOUNT_NO_AUTOCRYPT;
    ret->key_changes = flags & ACCOUNT_KEY_CHANGES;
    ret->encrypt = unpack_u8(&u);
    ret->keys_version = unpack_u32(&u);
    ret->uidvalidity_last = unpack_u32(&u);
    ret->mailbox_next = unpack_u32(&u);
    struct slice salt = unpack_raw(&u, sizeof(ret->auth_salt));
    ret->auth_iterations = unpack_u32(&u);
    struct slice pseudonym = unpack_raw(&u, sizeof(ret->pseudonym_key));
    ret->password_next = unpack_u32(&u);
    unpack_str(&u, ret->address, sizeof(ret->address));
    ret->forward_how = unpack_u8(&u);
    unpack_str(&u, ret->forward, sizeof(ret->forward));
    if (!unpack_done(&u) || (flags & ~ACCOUNT_FLAGS) || ret->encrypt > ENCRYPT_ALWAYS || !forward_valid(ret))
        return ERR_FORMAT;
    memcpy(ret->auth_salt, salt.data, salt.len);
    memcpy(ret->pseudonym_key, pseudonym.data, pseudonym.len);
    return OK;
}

int schema_get_account(struct engine_txn *t, const struct record_keys *k, uint64_t account, struct schema_account *ret)
{
    struct schema_keybuf kb;
    struct schema_account a;
    uint8_t plain[ACCOUNT_PLAIN];
    struct slice key = key_simple(&kb, 'A');
    size_t len;
    int err = sealed_get(t, k, account, key, plain, sizeof(plain), &len);
    if (err)
        return err;
    err = account_unpack(plain, len, &a);
    secmem_wipe(plain, len);
    if (!err && a.id != account)
        err = ERR_FORMAT;
    if (!err)
        *ret = a;
    return err;
}

int schema_put_account(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                       const struct schema_account *v)
{
    struct schema_keybuf kb;
    uint8_t plain[ACCOUNT_PLAIN];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, ACCOUNT_VERSION);
    pack_u64(&p, account);
    pack_u64(&p, v->created);
    pack_u64(&p, v->quota_bytes);
    pack_u8(&p, v->policy);
    pack_u8(&p, (uint8_t)((v->trial_key ? ACCOUNT_TRIAL_KEY : 0) | (v->seal_v2 == SEAL_V2_NEVER ? ACCOUNT_SEAL_V1 : 0) |
                          (v->unpublished ? ACCOUNT_UNPUBLISHED : 0) | (v->no_autocrypt ? ACCOUNT_NO_AUTOCRYPT : 0) |
                          (v->key_changes ? ACCOUNT_KEY_CHANGES : 0)));
    pack_u8(&p, v->encrypt);
    pack_u32(&p, v->keys_version);
    pack_u32(&p, v->uidvalidity_last);
    pack_u32(&p, v->mailbox_next);
    pack_raw(&p, v->auth_salt, sizeof(v->auth_salt));
    pack_u32(&p, v->auth_iterations);
    pack_raw(&p, v->pseudonym_key, sizeof(v->pseudonym_key));
    pack_u32(&p, v->password_next);
    pack_str(&p, v->address);
    pack_u8(&p, v->forward_how);
    pack_str(&p, v->forward);
    return sealed_put(t, k, account, key_simple(&kb, 'A'), &p);
}

/* Addresses. */

enum { ADDRESS_PLAIN = 8 + 1 + 4 + ADDRESS_MAX + APPROVAL_SIZE };

int schema_unpack_address(const struct record_keys *k, struct slice key, struct slice value, struct schema_address *ret)
{
    uint8_t plain[ADDRESS_PLAIN];
    struct schema_address a;
    struct unpack u;
    size_t len;
    int err = sealed_open(k, PART_INSTANCE, key, value, plain, sizeof(plain), &len);
    if (err)
        return err;
    unpack_init(&u, plain, len);
    a.account = unpack_u64(&u);
    a.kind = unpack_u8(&u);
    unpack_str(&u, a.address, sizeof(a.address));
    struct slice approval = unpack_raw(&u, sizeof(a.approval));
    bool right =
        unpack_done(&u) && a.kind >= ADDRESS_PRIMARY && a.kind <= ADDRESS_CATCH_ALL && a.account >= PART_ACCOUNT_FIRST;
    if (right)
        memcpy(a.approval, approval.data, approval.len);
    secmem_wipe(plain, len);
    if (!right)
        return ERR_FORMAT;
    *ret = a;
    return OK;
}

int schema_get_address(struct engine_txn *t, const struct record_keys *k, const char *address,
                       struct schema_address *ret)
{
    struct schema_keybuf kb;
    struct schema_address a;
    struct slice key = key_address(&kb, k, address), value;
    int err = engine_get(t, PART_INSTANCE, key, &value);
    if (!err)
        err = schema_unpack_address(k, key, value, &a);
    if (err)
        return err;
    if (strcmp(a.address, address) != 0)
        return ERR_FORMAT;
    *ret = a;
    return OK;
}

int schema_put_address(struct engine_txn *t, const struct record_keys *k, const struct schema_address *v)
{
    struct schema_keybuf kb;
    uint8_t plain[ADDRESS_PLAIN];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u64(&p, v->account);
    pack_u8(&p, v->kind);
    pack_str(&p, v->address);
    pack_raw(&p, v->approval, sizeof(v->approval));
    return sealed_put(t, k, PART_INSTANCE, key_address(&kb, k, v->address), &p);
}

/* The names of mailboxes. */

enum { MAILBOX_VERSION = 1, MAILBOX_PLAIN = 1 + 4 + MAILBOX_NAME_MAX + 1 };

int schema_unpack_mailbox_name(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                               struct schema_mailbox_name *ret)
{
    uint8_t plain[MAILBOX_PLAIN];
    struct schema_mailbox_name m;
    struct unpack u;
    size_t len;
    int err = sealed_open(k, account, key, value, plain, sizeof(plain), &len);
    if (err)
        return err;
    memset(&m, 0, sizeof(m));
    unpack_init(&u, plain, len);
    err = fields_version(&u, MAILBOX_VERSION);
    unpack_str(&u, m.name, sizeof(m.name));
    m.use = unpack_u8(&u);
    if (!err && !unpack_done(&u))
        err = ERR_FORMAT;
    secmem_wipe(plain, len);
    if (!err)
        *ret = m;
    return err;
}

int schema_get_mailbox_name(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                            struct schema_mailbox_name *ret)
{
    struct schema_keybuf kb;
    struct slice key = key_u32(&kb, 'B', mailbox), value;
    int err = engine_get(t, account, key, &value);
    return err ? err : schema_unpack_mailbox_name(k, account, key, value, ret);
}

int schema_put_mailbox_name(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                            const struct schema_mailbox_name *v)
{
    struct schema_keybuf kb;
    uint8_t plain[MAILBOX_PLAIN];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, MAILBOX_VERSION);
    pack_str(&p, v->name);
    pack_u8(&p, v->use);
    return sealed_put(t, k, account, key_u32(&kb, 'B', mailbox), &p);
}

/* Keywords. */

enum { KEYWORD_PLAIN = 4 + 4 + KEYWORD_LEN_MAX };

struct keyword_load {
    const struct record_keys *k;
    uint64_t account;
    struct schema_keywords *to;
};

static int keyword_unpack(const uint8_t *plain, size_t len, struct schema_keyword *ret)
{
    struct unpack u;
    unpack_init(&u, plain, len);
    ret->entries = unpack_u32(&u);
    unpack_str(&u, ret->text, sizeof(ret->text));
    return unpack_done(&u) && ret->entries && ret->text[0] ? OK : ERR_FORMAT;
}

static int keyword_one(void *arg, struct slice key, struct slice value)
{
    struct keyword_load *l = arg;
    struct schema_keyword v;
    uint8_t plain[KEYWORD_PLAIN];
    struct unpack u = key_fields(key);
    size_t len = 0;
    uint32_t number = unpack_u32(&u);
    if (!unpack_done(&u) || number >= KEYWORDS_MAX)
        return ERR_FORMAT;
    int err = sealed_open(l->k, l->account, key, value, plain, sizeof(plain), &len);
    if (!err)
        err = keyword_unpack(plain, len, &v);
    secmem_wipe(plain, len);
    if (err)
        return err;
    while (l->to->n < number)
        l->to->v[l->to->n++] = (struct schema_keyword){0};
    l->to->v[l->to->n++] = v;
    return OK;
}

int schema_get_keywords(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                        struct schema_keywords *ret)
{
    struct schema_keybuf from, to;
    struct keyword_load l = {k, account, ret};
    ret->n = 0;
    return engine_scan(t, account, key_simple(&from, 'F'), key_simple(&to, 'F' + 1), 0, keyword_one, &l);
}

int schema_put_keyword(struct engine_txn *t, const struct record_keys *k, uint64_t account, unsigned number,
                       const struct schema_keyword *v)
{
    struct schema_keybuf kb;
    uint8_t plain[KEYWORD_PLAIN];
    struct pack p;
    if (number >= KEYWORDS_MAX || strlen(v->text) > KEYWORD_LEN_MAX)
        return ERR_LIMIT;
    if (v->entries == 0)
        return engine_del(t, account, key_u32(&kb, 'F', number));
    pack_init(&p, plain, sizeof(plain));
    pack_u32(&p, v->entries);
    pack_str(&p, v->text);
    return sealed_put(t, k, account, key_u32(&kb, 'F', number), &p);
}

int schema_unpack_subscription(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                               char ret_name[MAILBOX_NAME_MAX])
{
    uint8_t plain[4 + MAILBOX_NAME_MAX];
    char name[MAILBOX_NAME_MAX];
    struct unpack u;
    size_t len;
    int err = sealed_open(k, account, key, value, plain, sizeof(plain), &len);
    if (err)
        return err;
    unpack_init(&u, plain, len);
    unpack_str(&u, name, sizeof(name));
    if (!unpack_done(&u))
        return ERR_FORMAT;
    memcpy(ret_name, name, strlen(name) + 1);
    return OK;
}

int schema_put_subscription(struct engine_txn *t, const struct record_keys *k, uint64_t account, const char *name)
{
    struct schema_keybuf kb;
    uint8_t plain[4 + MAILBOX_NAME_MAX];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_str(&p, name);
    return sealed_put(t, k, account, key_subscription(&kb, k, account, name), &p);
}

/* App passwords: a keyed hash as key. */

enum { APP_PASSWORD_VERSION = 1, APP_PASSWORD_PLAIN = 1 + 1 + 8 + 4 + 32 + 32 + 4 + LABEL_MAX };

static int app_password_unpack(const uint8_t *plain, size_t len, struct schema_app_password *ret)
{
    struct unpack u;
    memset(ret, 0, sizeof(*ret));
    unpack_init(&u, plain, len);
    int err = fields_version(&u, APP_PASSWORD_VERSION);
    if (err)
        return err;
    ret->scope = unpack_u8(&u);
    ret->created = unpack_u64(&u);
    ret->number = unpack_u32(&u);
    struct slice stored = unpack_raw(&u, sizeof(ret->stored_key)), server = unpack_raw(&u, sizeof(ret->server_key));
    unpack_str(&u, ret->label, sizeof(ret->label));
    if (!unpack_done(&u) || (ret->scope & ~SCOPE_ALL))
        return ERR_FORMAT;
    memcpy(ret->stored_key, stored.data, stored.len);
    memcpy(ret->server_key, server.data, server.len);
    return OK;
}

int schema_unpack_app_password(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                               struct schema_app_password *ret)
{
    struct schema_app_password a;
    uint8_t plain[APP_PASSWORD_PLAIN];
    size_t len = 0;
    int err = sealed_open(k, account, key, value, plain, sizeof(plain), &len);
    if (!err)
        err = app_password_unpack(plain, len, &a);
    secmem_wipe(plain, len);
    if (!err)
        *ret = a;
    return err;
}

int schema_put_app_password(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                            const uint8_t hash[RECORD_HASH_SIZE], const struct schema_app_password *v)
{
    struct schema_keybuf kb;
    uint8_t plain[APP_PASSWORD_PLAIN];
    struct pack p;
    if (!memchr(v->label, 0, sizeof(v->label)))
        return ERR_LIMIT;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, APP_PASSWORD_VERSION);
    pack_u8(&p, v->scope);
    pack_u64(&p, v->created);
    pack_u32(&p, v->number);
    pack_raw(&p, v->stored_key, sizeof(v->stored_key));
    pack_raw(&p, v->server_key, sizeof(v->server_key));
    pack_str(&p, v->label);
    return sealed_put(t, k, account, key_hash(&kb, 'P', hash), &p);
}

enum { APP_PASSWORD_TYPED_MAX = 128 };

int app_password_hash(const struct record_keys *k, uint64_t account, const char *password, size_t len,
                      uint8_t out[RECORD_HASH_SIZE])
{
    char plain[APP_PASSWORD_TYPED_MAX];
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (password[i] == ' ' || password[i] == '-')
            continue;
        if (n == sizeof(plain)) {
            secmem_wipe(plain, sizeof(plain));
            return ERR_FORMAT;
        }
        plain[n++] = password[i] >= 'A' && password[i] <= 'Z' ? (char)(password[i] + 32) : password[i];
    }
    struct record_part part = {plain, n};
    record_hash(k, RECORD_APP_PASSWORD, account, &part, 1, out);
    secmem_wipe(plain, n);
    return OK;
}
