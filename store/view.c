/* The read side: opening the store, snapshots, where mail goes, who may log in, and single records. The listings are in
 * view_list.c. */
#include "store/view_impl.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "store/approval.h"
#include "store/usage.h"

static int check_store(void *arg, struct view *v)
{
    return schema_check(v->txn, v->keys);
}

int view_open(const char *dir, const struct record_bundle *keys, uint32_t turn_ms, struct view **ret)
{
    char path[1024];
    int n = snprintf(path, sizeof(path), "%s/store", dir);
    if (n < 0 || (size_t)n >= sizeof(path))
        return ERR_LIMIT;
    struct view *v = calloc(1, sizeof(*v));
    if (!v)
        return ERR_MEMORY;
    v->owned = true;
    v->keys = v->own_keys = record_keys_create(keys);
    int err = v->keys ? engine_lmdb_reader(path, turn_ms, &v->engine) : ERR_MEMORY;
    if (!err)
        err = outer_seal_init();
    if (!err)
        err = view_run(v, check_store, NULL);
    if (err) {
        view_close(v);
        return err;
    }
    *ret = v;
    return OK;
}

int view_over(struct engine *e, const struct record_keys *keys, struct view **ret)
{
    struct view *v = calloc(1, sizeof(*v));
    if (!v)
        return ERR_MEMORY;
    v->engine = e;
    v->keys = keys;
    *ret = v;
    return OK;
}

void view_close(struct view *v)
{
    if (!v)
        return;
    if (v->txn)
        (void)view_end(v);
    if (v->owned) {
        engine_close(v->engine);
        if (v->own_keys)
            record_keys_destroy(v->own_keys);
    }
    free(v);
}

const struct record_keys *view_keys(const struct view *v)
{
    return v->keys;
}

int view_begin(struct view *v)
{
    return v->txn ? ERR_CONFLICT : engine_read_begin(v->engine, &v->txn);
}

int view_end(struct view *v)
{
    if (!v->txn)
        return ERR_CONFLICT;
    struct engine_txn *t = v->txn;
    v->txn = NULL;
    return engine_read_end(t);
}

int view_run(struct view *v, int (*fn)(void *arg, struct view *v), void *arg)
{
    if (v->txn)
        return ERR_CONFLICT;
    for (unsigned i = 0; i < VIEW_TRIES; i++) {
        int err = view_begin(v);
        if (err && err != ERR_OVERRUN)
            return err == ERR_MEMORY ? err : ERR_IO; /* nothing that could be taken for fn's word */
        if (err)
            continue;
        int result = fn(arg, v);
        if (view_end(v) == OK)
            return result;
        v->overruns++;
    }
    return ERR_OVERRUN;
}

uint64_t view_overruns(const struct view *v)
{
    return v->overruns;
}

int view_domain_known(struct view *v, const char *domain)
{
    uint64_t added;
    return v->txn ? schema_get_domain(v->txn, v->keys, domain, &added) : ERR_CONFLICT;
}

int view_uuid(struct view *v, uint8_t ret[16])
{
    return v->txn ? schema_get_uuid(v->txn, ret) : ERR_CONFLICT;
}

int view_next_account(struct view *v, uint64_t *ret)
{
    return v->txn ? schema_next_account_id(v->txn, v->keys, ret) : ERR_CONFLICT;
}

int view_keys_approved(struct view *v, const struct schema_account *a, const struct schema_key *keys, size_t n)
{
    return v->txn ? schema_check_approval(v->txn, v->keys, a, &(struct key_set){keys, n}) : ERR_CONFLICT;
}

/* A signature takes longer to check than all else at RCPT. */
static int check_once(struct view *v, const struct approval_text *text, const uint8_t approval[APPROVAL_SIZE])
{
    uint8_t hash[sizeof(v->approved[0])];
    crypto_generichash_state st;
    crypto_generichash_init(&st, NULL, 0, sizeof(hash));
    crypto_generichash_update(&st, approval, APPROVAL_SIZE);
    crypto_generichash_update(&st, text->data, text->len);
    crypto_generichash_final(&st, hash, sizeof(hash));
    uint8_t *slot = v->approved[(hash[0] << 8 | hash[1]) % APPROVED_SLOTS];
    if (memcmp(slot, hash, sizeof(hash)) == 0)
        return OK;
    int err = approval_check(v->keys, text, approval);
    if (err == OK)
        memcpy(slot, hash, sizeof(hash));
    return err;
}

int view_address_primary(struct view *v, const struct schema_address *a, char ret_primary[ADDRESS_MAX])
{
    uint8_t uuid[STORE_UUID_SIZE];
    struct schema_account account;
    struct approval_text text;
    int err = view_uuid(v, uuid);
    if (err == OK)
        err = view_account(v, a->account, &account);
    if (err != OK)
        return err;
    approval_of_address(uuid, a, account.address, &text);
    err = check_once(v, &text, a->approval);
    if (err == OK)
        memcpy(ret_primary, account.address, sizeof(account.address));
    secmem_wipe(&account, sizeof(account));
    return err;
}

int view_address_approved(struct view *v, const struct schema_address *a)
{
    char primary[ADDRESS_MAX];
    return view_address_primary(v, a, primary);
}

static int address_get(struct view *v, const char *address, struct schema_address *ret)
{
    struct schema_address a;
    int err = schema_get_address(v->txn, v->keys, address, &a);
    if (err == OK)
        err = view_address_approved(v, &a);
    if (err == OK)
        *ret = a;
    return err;
}

/* A catch-all's record stands under "@domain"; every other address must not be found by way of it. */
static int route_catch_all(struct view *v, const char *domain, struct schema_address *ret)
{
    char all[ADDRESS_MAX];
    int n = snprintf(all, sizeof(all), "@%s", domain);
    return n > 0 && (size_t)n < sizeof(all) ? address_get(v, all, ret) : ERR_FORMAT;
}

int view_route(struct view *v, const char *address, size_t len, struct schema_address *ret)
{
    char a[ADDRESS_MAX];
    size_t at, plus;
    if (!v->txn)
        return ERR_CONFLICT;
    int err = address_normalize(address, len, a, &at, &plus);
    if (err)
        return err;
    err = address_get(v, a, ret);
    if (err == ERR_NOT_FOUND && plus) {
        char base[ADDRESS_MAX];
        memcpy(base, a, plus);
        memcpy(base + plus, a + at, strlen(a + at) + 1);
        err = address_get(v, base, ret);
    }
    if (err == ERR_NOT_FOUND)
        err = route_catch_all(v, a + at + 1, ret);
    if (err != ERR_NOT_FOUND)
        return err;
    err = view_domain_known(v, a + at + 1);
    return err == OK ? ERR_NOT_FOUND : err == ERR_NOT_FOUND ? ERR_DENIED : err;
}

int view_address(struct view *v, const char *address, struct schema_address *ret)
{
    return v->txn ? address_get(v, address, ret) : ERR_CONFLICT;
}

int view_account(struct view *v, uint64_t account, struct schema_account *ret)
{
    return v->txn ? schema_get_account(v->txn, v->keys, account, ret) : ERR_CONFLICT;
}

int view_usage(struct view *v, uint64_t account, struct schema_usage *ret)
{
    return v->txn ? schema_get_usage(v->txn, v->keys, account, ret) : ERR_CONFLICT;
}

int view_usage_walk(struct view *v, uint64_t account, uint32_t max, struct usage_walk *walk)
{
    return v->txn ? usage_walk(v->txn, v->keys, account, max, walk) : ERR_CONFLICT;
}

int view_account_erasing(struct view *v, uint64_t account)
{
    struct schema_keybuf kb;
    struct slice ignored;
    return v->txn ? engine_get(v->txn, PART_INSTANCE, key_u64(&kb, 'Z', account), &ignored) : ERR_CONFLICT;
}

int view_mailbox(struct view *v, uint64_t account, uint32_t mailbox, struct schema_mailbox *ret)
{
    return v->txn ? schema_get_mailbox(v->txn, v->keys, account, mailbox, ret) : ERR_CONFLICT;
}

int view_keywords(struct view *v, uint64_t account, struct schema_keywords *ret)
{
    return v->txn ? schema_get_keywords(v->txn, v->keys, account, ret) : ERR_CONFLICT;
}

int view_block(struct view *v, uint64_t account, uint32_t mailbox, uint32_t block, struct schema_block *ret)
{
    return v->txn ? schema_get_block(v->txn, v->keys, account, mailbox, block, ret) : ERR_CONFLICT;
}

int view_entry(struct view *v, uint64_t account, uint32_t mailbox, uint32_t uid, struct schema_entry *ret)
{
    return v->txn ? schema_get_entry(v->txn, v->keys, account, mailbox, uid, ret) : ERR_CONFLICT;
}

int view_entry_facts(struct view *v, uint64_t account, uint32_t mailbox, uint32_t uid, const struct schema_entry *e,
                     struct schema_facts *ret)
{
    return schema_entry_facts(v->keys, account, mailbox, uid, e, ret);
}

int view_message(struct view *v, uint64_t account, uint64_t message, struct schema_message *ret, uint8_t *outer_buf)
{
    return v->txn ? schema_get_message(v->txn, v->keys, account, message, ret, outer_buf) : ERR_CONFLICT;
}

int view_fetch(struct view *v, const struct blob_want *wants, size_t n, void (*done)(void *arg), void *arg,
               struct blob_fetch **ret)
{
    return engine_fetch(v->engine, wants, n, done, arg, ret);
}

void view_fetch_end(struct blob_fetch *f)
{
    engine_fetch_end(f);
}
