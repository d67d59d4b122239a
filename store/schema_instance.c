/* The instance's own records: version, key check, account ids, domains, the list of accounts. */
#include "store/schema_impl.h"

#include <sodium.h>
#include <string.h>

#include "server/core/error.h"

enum { UUID = 16, VERSION_1 = 4 + 8 + UUID, VERSION = VERSION_1 + 4 };
enum { DOMAIN_PLAIN = 8 + 4 + DOMAIN_CAP, LISTED_PLAIN = 4 + ADDRESS_MAX };

static void pack_version(struct pack *p, const struct schema_version *v)
{
    pack_u32(p, SCHEMA_VERSION);
    pack_u64(p, v->created);
    pack_raw(p, v->uuid, UUID);
    pack_u32(p, v->step);
}

/* Of what another schema has behind its number nothing is known here. Schema 1 had no step. */
int schema_get_version(struct engine_txn *t, uint32_t newest_step, struct schema_version *ret)
{
    struct schema_keybuf kb;
    struct schema_version v;
    struct slice value, uuid;
    struct unpack u;
    int err = engine_get(t, PART_INSTANCE, key_simple(&kb, 'V'), &value);
    if (err)
        return err;
    unpack_init(&u, value.data, value.len);
    uint32_t version = unpack_u32(&u);
    if (!u.failed && version > SCHEMA_VERSION)
        return ERR_VERSION;
    if (version == 1 && value.len == VERSION_1)
        return ERR_OLD;
    v.created = unpack_u64(&u);
    uuid = unpack_raw(&u, UUID);
    v.step = unpack_u32(&u);
    if (!unpack_done(&u) || version != SCHEMA_VERSION)
        return ERR_FORMAT;
    if (v.step > newest_step)
        return ERR_VERSION;
    memcpy(v.uuid, uuid.data, UUID);
    *ret = v;
    return OK;
}

int schema_get_uuid(struct engine_txn *t, uint8_t ret[UUID])
{
    struct schema_version v;
    int err = schema_get_version(t, UINT32_MAX, &v);
    if (!err)
        memcpy(ret, v.uuid, UUID);
    return err;
}

int schema_put_version(struct engine_txn *group, const struct record_keys *k, const struct schema_version *v)
{
    struct schema_keybuf kb;
    struct pack p;
    uint8_t buf[VERSION];
    pack_init(&p, buf, sizeof(buf));
    pack_version(&p, v);
    int err = engine_put(group, PART_INSTANCE, key_simple(&kb, 'V'), slice_of(p.data, p.len));
    return err ? err : sealed_put(group, k, PART_INSTANCE, key_simple(&kb, 'C'), &p);
}

int schema_check_key(struct engine_txn *t, const struct record_keys *k)
{
    struct schema_keybuf kb;
    struct schema_version v;
    struct slice key = key_simple(&kb, 'C'), value;
    struct pack p;
    uint8_t clear[VERSION], plain[VERSION];
    size_t len;
    int err = schema_get_version(t, SCHEMA_STEP, &v);
    if (!err && !record_keys_have(k, RECORD_DIRECTORY))
        return OK; /* who has no key to check opens nothing of it either, and the vault has checked */
    if (!err)
        err = engine_get(t, PART_INSTANCE, key, &value);
    if (!err)
        err = sealed_open(k, PART_INSTANCE, key, value, plain, sizeof(plain), &len);
    if (err)
        return err;
    pack_init(&p, clear, sizeof(clear));
    pack_version(&p, &v);
    return len == p.len && !memcmp(plain, clear, len) ? OK : ERR_FORMAT;
}

int schema_check(struct engine_txn *t, const struct record_keys *k)
{
    struct schema_version v;
    int err = schema_check_key(t, k);
    if (!err)
        err = schema_get_version(t, SCHEMA_STEP, &v);
    return !err && v.step < SCHEMA_STEP ? ERR_UPGRADE : err;
}

static int put_next_account(struct engine_txn *group, const struct record_keys *k, uint64_t id)
{
    struct schema_keybuf kb;
    struct pack p;
    uint8_t buf[8];
    pack_init(&p, buf, sizeof(buf));
    pack_u64(&p, id);
    return tagged_put(group, k, PART_INSTANCE, key_simple(&kb, 'I'), &p);
}

int schema_init(struct engine_txn *group, const struct record_keys *k, uint64_t now)
{
    struct schema_version v = {.created = now, .step = SCHEMA_STEP};
    struct schema_keybuf kb;
    struct slice value;
    int err = engine_get(group, PART_INSTANCE, key_simple(&kb, 'V'), &value);
    if (err != ERR_NOT_FOUND)
        return err ? err : ERR_EXISTS;
    randombytes_buf(v.uuid, sizeof(v.uuid));
    err = put_next_account(group, k, PART_ACCOUNT_FIRST);
    return err ? err : schema_put_version(group, k, &v);
}

int schema_next_account_id(struct engine_txn *t, const struct record_keys *k, uint64_t *ret)
{
    struct schema_keybuf kb;
    struct unpack u;
    int err = tagged_get(t, k, PART_INSTANCE, key_simple(&kb, 'I'), &u);
    if (err)
        return err;
    uint64_t id = unpack_u64(&u);
    if (!unpack_done(&u) || id < PART_ACCOUNT_FIRST || id >= BLOB_PART_MAX)
        return ERR_FORMAT;
    *ret = id;
    return OK;
}

int schema_take_account_id(struct engine_txn *group, const struct record_keys *k, uint64_t *ret)
{
    uint64_t id;
    int err = schema_next_account_id(group, k, &id);
    if (!err)
        err = put_next_account(group, k, id + 1);
    if (!err)
        *ret = id;
    return err;
}

int schema_unpack_domain(const struct record_keys *k, struct slice key, struct slice value, char ret_domain[DOMAIN_CAP],
                         uint64_t *ret_added)
{
    uint8_t plain[DOMAIN_PLAIN];
    char domain[DOMAIN_CAP];
    struct unpack u;
    size_t len;
    int err = sealed_open(k, PART_INSTANCE, key, value, plain, sizeof(plain), &len);
    if (err)
        return err;
    unpack_init(&u, plain, len);
    uint64_t added = unpack_u64(&u);
    unpack_str(&u, domain, sizeof(domain));
    if (!unpack_done(&u))
        return ERR_FORMAT;
    memcpy(ret_domain, domain, strlen(domain) + 1);
    *ret_added = added;
    return OK;
}

int schema_get_domain(struct engine_txn *t, const struct record_keys *k, const char *domain, uint64_t *ret_added)
{
    struct schema_keybuf kb;
    struct slice key = key_domain(&kb, k, domain), value;
    char found[DOMAIN_CAP];
    uint64_t added;
    int err = engine_get(t, PART_INSTANCE, key, &value);
    if (!err)
        err = schema_unpack_domain(k, key, value, found, &added);
    if (err)
        return err;
    if (strcmp(found, domain) != 0)
        return ERR_FORMAT;
    *ret_added = added;
    return OK;
}

int schema_put_domain(struct engine_txn *t, const struct record_keys *k, const char *domain, uint64_t added)
{
    struct schema_keybuf kb;
    uint8_t plain[DOMAIN_PLAIN];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_u64(&p, added);
    pack_str(&p, domain);
    return sealed_put(t, k, PART_INSTANCE, key_domain(&kb, k, domain), &p);
}

int schema_unpack_listed(const struct record_keys *k, struct slice key, struct slice value, uint64_t *ret_account,
                         char ret_address[ADDRESS_MAX])
{
    uint8_t plain[LISTED_PLAIN];
    char address[ADDRESS_MAX];
    struct unpack u = key_fields(key);
    size_t len;
    uint64_t account = unpack_u64(&u);
    if (!unpack_done(&u))
        return ERR_FORMAT;
    int err = sealed_open(k, PART_INSTANCE, key, value, plain, sizeof(plain), &len);
    if (err)
        return err;
    unpack_init(&u, plain, len);
    unpack_str(&u, address, sizeof(address));
    if (!unpack_done(&u))
        return ERR_FORMAT;
    memcpy(ret_address, address, strlen(address) + 1);
    *ret_account = account;
    return OK;
}

int schema_put_listed(struct engine_txn *t, const struct record_keys *k, uint64_t account, const char *address)
{
    struct schema_keybuf kb;
    uint8_t plain[LISTED_PLAIN];
    struct pack p;
    pack_init(&p, plain, sizeof(plain));
    pack_str(&p, address);
    return sealed_put(t, k, PART_INSTANCE, key_u64(&kb, 'N', account), &p);
}
