/* Records of signing in: their fields, and the texts and hashes about them. See signin.h. */
#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "store/schema_impl.h"
#include "store/signin_impl.h"

enum {
    SIGNIN_VERSION = 1,
    SIGNIN_PLAIN = 1 + 8 + 8 + 4 + 4 + 4 + 1 + OPAQUE_RECORD_SIZE + 2 * SIGNIN_KEY_SIZE,
    SESSION_VERSION = 1,
    SESSION_PLAIN = 1 + 4 + 4 + 1 + 8 + 8 + 8 + LABEL_MAX,
    FACTOR_VERSION = 1,
    FACTOR_HEAD = 1 + 4 + 1 + 8 + LABEL_MAX,
    FACTOR_PLAIN = FACTOR_HEAD + 1 + 1 + PASSKEY_ID_MAX + 2 + PASSKEY_KEY_MAX + 4,
    INVITATION_VERSION = 1,
    INVITATION_PLAIN = 1 + 8 + 8 + 4 + 1 + 4 + ADDRESS_MAX,
};
_Static_assert(FACTOR_PLAIN <= (int)FACTOR_PACKED_MAX, "a factor fits");
_Static_assert(TOTP_SECRET_SIZE + 8 + FACTOR_HEAD <= FACTOR_PLAIN, "and the other kinds");
_Static_assert(1 + FACTOR_CODES * RECORD_HASH_SIZE + FACTOR_HEAD <= FACTOR_PLAIN, "");

/* A label takes the same octets whatever it says. */
static void pack_label(struct pack *p, const char label[LABEL_MAX])
{
    char all[LABEL_MAX] = {0};
    if (text_ends(label, LABEL_MAX))
        memcpy(all, label, strlen(label));
    else
        p->failed = 1;
    pack_raw(p, all, sizeof(all));
}

static void unpack_label(struct unpack *u, char ret[LABEL_MAX])
{
    const struct slice all = unpack_raw(u, LABEL_MAX);
    if (u->failed || !text_ends((const char *)all.data, LABEL_MAX))
        u->failed = 1;
    else
        memcpy(ret, all.data, LABEL_MAX);
}

static void copy_raw(struct unpack *u, uint8_t *ret, size_t len)
{
    const struct slice s = unpack_raw(u, len);
    if (!u->failed)
        memcpy(ret, s.data, len);
}

/* ---- 'O' ---- */

static int signin_fields(const uint8_t *plain, size_t len, void *ret)
{
    struct signin *s = ret;
    struct unpack u;
    unpack_init(&u, plain, len);
    int err = fields_version(&u, SIGNIN_VERSION);
    if (err != OK)
        return err;
    s->since = unpack_u64(&u);
    s->changed = unpack_u64(&u);
    s->version = unpack_u32(&u);
    s->serial = unpack_u32(&u);
    s->number_next = unpack_u32(&u);
    s->profile = unpack_u8(&u);
    copy_raw(&u, s->record, sizeof(s->record));
    copy_raw(&u, s->password_key, sizeof(s->password_key));
    copy_raw(&u, s->phrase_key, sizeof(s->phrase_key));
    return unpack_done(&u) && s->version && s->serial && s->number_next && s->profile ? OK : ERR_FORMAT;
}

int schema_get_signin(struct engine_txn *t, const struct record_keys *k, uint64_t account, struct signin *ret)
{
    struct schema_keybuf kb;
    struct slice value;
    struct signin s;
    uint8_t plain[SIGNIN_PLAIN];
    const struct slice key = key_simple(&kb, 'O');
    int err = engine_get(t, account, key, &value);
    if (err == OK)
        err = sealed_unpack(k, account, key, value, plain, sizeof(plain), signin_fields, &s);
    if (err == OK)
        *ret = s;
    secmem_wipe(&s, sizeof(s));
    return err;
}

int schema_put_signin(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct signin *s)
{
    struct schema_keybuf kb;
    uint8_t plain[SIGNIN_PLAIN];
    struct pack p;
    if (!s->version || !s->serial || !s->number_next || !s->profile)
        return ERR_LIMIT;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, SIGNIN_VERSION);
    pack_u64(&p, s->since);
    pack_u64(&p, s->changed);
    pack_u32(&p, s->version);
    pack_u32(&p, s->serial);
    pack_u32(&p, s->number_next);
    pack_u8(&p, s->profile);
    pack_raw(&p, s->record, sizeof(s->record));
    pack_raw(&p, s->password_key, sizeof(s->password_key));
    pack_raw(&p, s->phrase_key, sizeof(s->phrase_key));
    return sealed_put(t, k, account, key_simple(&kb, 'O'), &p);
}

/* ---- 'o' ---- */

static int session_fields(const uint8_t *plain, size_t len, void *ret)
{
    struct session *s = ret;
    struct unpack u;
    unpack_init(&u, plain, len);
    int err = fields_version(&u, SESSION_VERSION);
    if (err != OK)
        return err;
    s->number = unpack_u32(&u);
    s->version = unpack_u32(&u);
    s->how = unpack_u8(&u);
    s->since = unpack_u64(&u);
    s->used = unpack_u64(&u);
    s->until = unpack_u64(&u);
    unpack_label(&u, s->label);
    return unpack_done(&u) && s->number && s->version && s->how && s->how <= SESSION_HOW_ALL ? OK : ERR_FORMAT;
}

int schema_unpack_session(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                          struct session *ret)
{
    struct session s;
    uint8_t plain[SESSION_PLAIN];
    int err = sealed_unpack(k, account, key, value, plain, sizeof(plain), session_fields, &s);
    if (err == OK)
        *ret = s;
    return err;
}

int schema_get_session(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                       const uint8_t hash[RECORD_HASH_SIZE], struct session *ret)
{
    struct schema_keybuf kb;
    struct slice value;
    const struct slice key = key_hash(&kb, 'o', hash);
    int err = engine_get(t, account, key, &value);
    return err == OK ? schema_unpack_session(k, account, key, value, ret) : err;
}

int schema_put_session(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                       const uint8_t hash[RECORD_HASH_SIZE], const struct session *s)
{
    struct schema_keybuf kb;
    uint8_t plain[SESSION_PLAIN];
    struct pack p;
    if (!s->number || !s->version || !s->how || s->how > SESSION_HOW_ALL)
        return ERR_LIMIT;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, SESSION_VERSION);
    pack_u32(&p, s->number);
    pack_u32(&p, s->version);
    pack_u8(&p, s->how);
    pack_u64(&p, s->since);
    pack_u64(&p, s->used);
    pack_u64(&p, s->until);
    pack_label(&p, s->label);
    return sealed_put(t, k, account, key_hash(&kb, 'o', hash), &p);
}

/* ---- 'E' ---- */

static void pack_passkey(struct pack *p, const struct factor *f)
{
    pack_u8(p, f->passkey.id_len);
    pack_u8(p, f->passkey.flags);
    pack_raw(p, f->passkey.id, sizeof(f->passkey.id));
    pack_u16(p, f->passkey.key_len);
    pack_raw(p, f->passkey.key, sizeof(f->passkey.key));
    pack_u32(p, f->passkey.counter);
}

static void unpack_passkey(struct unpack *u, struct factor *f)
{
    f->passkey.id_len = unpack_u8(u);
    f->passkey.flags = unpack_u8(u);
    copy_raw(u, f->passkey.id, sizeof(f->passkey.id));
    f->passkey.key_len = unpack_u16(u);
    copy_raw(u, f->passkey.key, sizeof(f->passkey.key));
    f->passkey.counter = unpack_u32(u);
}

static bool factor_valid(const struct factor *f)
{
    switch (f->kind) {
    case FACTOR_TOTP: return true;
    case FACTOR_PASSKEY:
        return f->passkey.id_len > 0 && f->passkey.key_len > 0 && f->passkey.key_len <= PASSKEY_KEY_MAX;
    case FACTOR_RECOVERY: return f->codes.n <= FACTOR_CODES;
    default: return false;
    }
}

int factor_pack(const struct factor *f, uint8_t out[FACTOR_PACKED_MAX], size_t *ret_len)
{
    struct pack p;
    if (!factor_valid(f))
        return ERR_LIMIT;
    pack_init(&p, out, FACTOR_PACKED_MAX);
    pack_u8(&p, FACTOR_VERSION);
    pack_u32(&p, f->number);
    pack_u8(&p, f->kind);
    pack_u64(&p, f->since);
    pack_label(&p, f->label);
    if (f->kind == FACTOR_TOTP) {
        pack_raw(&p, f->totp.secret, sizeof(f->totp.secret));
        pack_u64(&p, f->totp.last);
    } else if (f->kind == FACTOR_PASSKEY) {
        pack_passkey(&p, f);
    } else {
        pack_u8(&p, f->codes.n);
        pack_raw(&p, f->codes.hash, f->codes.n * sizeof(f->codes.hash[0]));
    }
    if (p.failed) {
        secmem_wipe(out, FACTOR_PACKED_MAX);
        return ERR_LIMIT;
    }
    *ret_len = p.len;
    return OK;
}

static int factor_fields(const uint8_t *plain, size_t len, void *ret)
{
    struct factor *f = ret;
    struct unpack u;
    unpack_init(&u, plain, len);
    int err = fields_version(&u, FACTOR_VERSION);
    if (err != OK)
        return err;
    memset(f, 0, sizeof(*f));
    f->number = unpack_u32(&u);
    f->kind = unpack_u8(&u);
    f->since = unpack_u64(&u);
    unpack_label(&u, f->label);
    if (f->kind == FACTOR_TOTP) {
        copy_raw(&u, f->totp.secret, sizeof(f->totp.secret));
        f->totp.last = unpack_u64(&u);
    } else if (f->kind == FACTOR_PASSKEY) {
        unpack_passkey(&u, f);
    } else {
        f->codes.n = unpack_u8(&u);
        if (f->codes.n <= FACTOR_CODES)
            copy_raw(&u, f->codes.hash[0], f->codes.n * sizeof(f->codes.hash[0]));
    }
    return unpack_done(&u) && factor_valid(f) ? OK : ERR_FORMAT;
}

int factor_unpack(const uint8_t *in, size_t len, struct factor *ret)
{
    struct factor f;
    int err = factor_fields(in, len, &f);
    if (err == OK)
        *ret = f;
    secmem_wipe(&f, sizeof(f));
    return err;
}

int schema_unpack_factor(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                         struct factor *ret)
{
    struct schema_keybuf kb;
    struct factor f;
    uint8_t plain[FACTOR_PACKED_MAX];
    int err = sealed_unpack(k, account, key, value, plain, sizeof(plain), factor_fields, &f);
    if (err == OK) {
        const struct slice own = key_u32(&kb, 'E', f.number);
        if (!f.number || own.len != key.len || memcmp(own.data, key.data, key.len) != 0)
            err = ERR_FORMAT;
    }
    if (err == OK)
        *ret = f;
    secmem_wipe(&f, sizeof(f));
    return err;
}

int schema_get_factor(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t number,
                      struct factor *ret)
{
    struct schema_keybuf kb;
    struct slice value;
    const struct slice key = key_u32(&kb, 'E', number);
    int err = engine_get(t, account, key, &value);
    return err == OK ? schema_unpack_factor(k, account, key, value, ret) : err;
}

int schema_put_factor(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct factor *f)
{
    struct schema_keybuf kb;
    uint8_t plain[FACTOR_PACKED_MAX];
    struct pack p;
    size_t len;
    int err = f->number ? factor_pack(f, plain, &len) : ERR_LIMIT;
    if (err != OK)
        return err;
    pack_init(&p, plain, sizeof(plain));
    p.len = len;
    return sealed_put(t, k, account, key_u32(&kb, 'E', f->number), &p);
}

/* ---- 'J' ---- */

static int invitation_fields(const uint8_t *plain, size_t len, void *ret)
{
    struct invitation *i = ret;
    struct unpack u;
    unpack_init(&u, plain, len);
    int err = fields_version(&u, INVITATION_VERSION);
    if (err != OK)
        return err;
    i->account = unpack_u64(&u);
    i->until = unpack_u64(&u);
    i->uses = unpack_u32(&u);
    const uint8_t reset = unpack_u8(&u);
    i->reset = reset == 1;
    unpack_str(&u, i->address, sizeof(i->address));
    return unpack_done(&u) && reset <= 1 && i->uses && i->account >= PART_ACCOUNT_FIRST && i->address[0] ? OK
                                                                                                         : ERR_FORMAT;
}

int schema_unpack_invitation(const struct record_keys *k, struct slice key, struct slice value, struct invitation *ret)
{
    struct invitation i;
    uint8_t plain[INVITATION_PLAIN];
    int err = sealed_unpack(k, PART_INSTANCE, key, value, plain, sizeof(plain), invitation_fields, &i);
    if (err == OK)
        *ret = i;
    return err;
}

int schema_get_invitation(struct engine_txn *t, const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE],
                          struct invitation *ret)
{
    struct schema_keybuf kb;
    struct slice value;
    const struct slice key = key_hash(&kb, 'J', hash);
    int err = engine_get(t, PART_INSTANCE, key, &value);
    return err == OK ? schema_unpack_invitation(k, key, value, ret) : err;
}

int schema_put_invitation(struct engine_txn *t, const struct record_keys *k, const uint8_t hash[RECORD_HASH_SIZE],
                          const struct invitation *i)
{
    struct schema_keybuf kb;
    uint8_t plain[INVITATION_PLAIN];
    struct pack p;
    if (!text_ends(i->address, sizeof(i->address)) || !i->address[0] || !i->uses || i->account < PART_ACCOUNT_FIRST)
        return ERR_LIMIT;
    pack_init(&p, plain, sizeof(plain));
    pack_u8(&p, INVITATION_VERSION);
    pack_u64(&p, i->account);
    pack_u64(&p, i->until);
    pack_u32(&p, i->uses);
    pack_u8(&p, i->reset);
    pack_str(&p, i->address);
    return sealed_put(t, k, PART_INSTANCE, key_hash(&kb, 'J', hash), &p);
}
