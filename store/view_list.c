/* The read side's listings: a scan, each value unpacked and handed to the caller. What the caller answers ends the scan
 * and is given back. */
#include "store/view_impl.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"

/* One for every listing; each uses the callback of its own kind. */
struct listing {
    struct view *v;
    uint64_t account;
    void *arg;
    union {
        int (*mailbox)(void *arg, const struct schema_mailbox_name *name, const struct schema_mailbox *box);
        int (*listed)(void *arg, uint64_t account, const char *address);
        int (*address)(void *arg, const struct schema_address *a);
        int (*name)(void *arg, const char *name);
        int (*password)(void *arg, const struct schema_app_password *p);
        int (*entry)(void *arg, uint32_t uid, const struct schema_entry *e);
        int (*message)(void *arg, const struct schema_message *m);
        int (*block)(void *arg, uint32_t block, const struct schema_block *b);
        int (*expunged)(void *arg, uint64_t modseq, uint32_t first, uint32_t last);
        int (*changed)(void *arg, uint64_t modseq, uint32_t uid);
        int (*id)(void *arg, uint64_t id);
    } fn;
};

static int scan_letter(struct listing *l, uint64_t part, char letter,
                       int (*each)(void *arg, struct slice key, struct slice value))
{
    struct schema_keybuf kb, end;
    struct slice prefix = key_simple(&kb, letter);
    return l->v->txn ? engine_scan(l->v->txn, part, prefix, key_after(&end, prefix), 0, each, l) : ERR_CONFLICT;
}

/* Keys of a letter and a u64, from the number after this one on. */
static int scan_after(struct listing *l, uint64_t part, char letter, uint64_t after,
                      int (*each)(void *arg, struct slice key, struct slice value))
{
    struct schema_keybuf from, last, end;
    if (!l->v->txn)
        return ERR_CONFLICT;
    if (after == UINT64_MAX)
        return OK;
    return engine_scan(l->v->txn, part, key_u64(&from, letter, after + 1), key_after(&end, key_simple(&last, letter)),
                       0, each, l);
}

/* The u32 that ends a key of letter, u32 (and perhaps u32). */
static int key_tail(struct slice key, size_t want_len, uint32_t *ret)
{
    struct unpack u;
    if (key.len != want_len)
        return ERR_FORMAT;
    unpack_init(&u, key.data + key.len - 4, 4);
    *ret = unpack_u32(&u);
    return OK;
}

int view_keys_read(struct view *v, uint64_t account, struct schema_key ret[PGP_KEYS_MAX], size_t *ret_n)
{
    return v->txn ? schema_get_keys(v->txn, v->keys, account, ret, ret_n) : ERR_CONFLICT;
}

int view_keys_each(struct view *v, uint64_t account, int (*fn)(void *arg, const struct schema_key *key), void *arg)
{
    size_t n = 0;
    struct schema_key *keys = malloc(PGP_KEYS_MAX * sizeof(*keys));
    if (!keys)
        return ERR_MEMORY;
    int err = view_keys_read(v, account, keys, &n);
    for (size_t i = 0; i < n && !err; i++)
        err = fn(arg, &keys[i]);
    free(keys);
    return err;
}

int view_key_cert(struct view *v, uint64_t account, const struct schema_key *key, uint8_t *buf, size_t *ret_len)
{
    return v->txn ? schema_get_cert(v->txn, v->keys, account, key, buf, ret_len) : ERR_CONFLICT;
}

static int each_mailbox(void *arg, struct slice key, struct slice value)
{
    struct listing *l = arg;
    struct schema_mailbox_name name;
    struct schema_mailbox box;
    uint32_t id;
    int err = key_tail(key, 5, &id);
    if (!err)
        err = schema_unpack_mailbox_name(l->v->keys, l->account, key, value, &name);
    if (!err)
        err = schema_get_mailbox(l->v->txn, l->v->keys, l->account, id, &box);
    return err ? (err == ERR_NOT_FOUND ? ERR_FORMAT : err) : l->fn.mailbox(l->arg, &name, &box);
}

int view_mailboxes_each(struct view *v, uint64_t account,
                        int (*fn)(void *arg, const struct schema_mailbox_name *name, const struct schema_mailbox *box),
                        void *arg)
{
    struct listing l = {.v = v, .account = account, .arg = arg, .fn.mailbox = fn};
    return scan_letter(&l, account, 'B', each_mailbox);
}

static int each_subscription(void *arg, struct slice key, struct slice value)
{
    struct listing *l = arg;
    char name[MAILBOX_NAME_MAX];
    int err = schema_unpack_subscription(l->v->keys, l->account, key, value, name);
    return err ? err : l->fn.name(l->arg, name);
}

int view_subscriptions_each(struct view *v, uint64_t account, int (*fn)(void *arg, const char *name), void *arg)
{
    struct listing l = {.v = v, .account = account, .arg = arg, .fn.name = fn};
    return scan_letter(&l, account, 's', each_subscription);
}

struct find {
    struct view *v;
    uint64_t account;
    const char *name;
    uint32_t id;
    bool found;
};

static int find_one(void *arg, struct slice key, struct slice value)
{
    struct find *f = arg;
    struct schema_mailbox_name name;
    uint32_t id;
    int err = key_tail(key, 5, &id);
    if (!err)
        err = schema_unpack_mailbox_name(f->v->keys, f->account, key, value, &name);
    if (err)
        return err;
    if (strcmp(name.name, f->name) == 0) {
        f->id = id;
        f->found = true;
    }
    return f->found;
}

/* INBOX is one mailbox in whatever case (RFC 3501 section 5.1), also as the first level of a longer name. */
int view_mailbox_find(struct view *v, uint64_t account, const char *name, uint32_t *ret_mailbox)
{
    struct schema_keybuf from, to;
    char folded[MAILBOX_NAME_MAX];
    size_t len = strlen(name);
    if (!v->txn)
        return ERR_CONFLICT;
    if (len >= sizeof(folded))
        return ERR_NOT_FOUND;
    memcpy(folded, name, len + 1);
    if (strncasecmp(folded, "INBOX", 5) == 0 && (folded[5] == 0 || folded[5] == '/'))
        memcpy(folded, "INBOX", 5);
    struct find f = {.v = v, .account = account, .name = folded};
    struct slice prefix = key_simple(&from, 'B');
    int err = engine_scan(v->txn, account, prefix, key_after(&to, prefix), 0, find_one, &f);
    if (err < 0)
        return err;
    if (!f.found)
        return ERR_NOT_FOUND;
    *ret_mailbox = f.id;
    return OK;
}

static int each_listed(void *arg, struct slice key, struct slice value)
{
    struct listing *l = arg;
    char address[ADDRESS_MAX];
    uint64_t account;
    int err = schema_unpack_listed(l->v->keys, key, value, &account, address);
    return err ? err : l->fn.listed(l->arg, account, address);
}

int view_accounts_each(struct view *v, int (*fn)(void *arg, uint64_t account, const char *address), void *arg)
{
    return view_accounts_after(v, 0, fn, arg);
}

int view_accounts_after(struct view *v, uint64_t after, int (*fn)(void *arg, uint64_t account, const char *address),
                        void *arg)
{
    struct listing l = {.v = v, .arg = arg, .fn.listed = fn};
    return scan_after(&l, PART_INSTANCE, 'N', after, each_listed);
}

static int each_partition(void *arg, uint64_t part)
{
    struct listing *l = arg;
    return part < PART_ACCOUNT_FIRST ? 0 : l->fn.id(l->arg, part);
}

int view_account_numbers_each(struct view *v, int (*fn)(void *arg, uint64_t account), void *arg)
{
    struct listing l = {.v = v, .arg = arg, .fn.id = fn};
    return v->txn ? engine_partitions(v->txn, each_partition, &l) : ERR_CONFLICT;
}

static int each_address(void *arg, struct slice key, struct slice value)
{
    struct listing *l = arg;
    struct schema_address a;
    int err = schema_unpack_address(l->v->keys, key, value, &a);
    return err ? err : l->fn.address(l->arg, &a);
}

int view_addresses_each(struct view *v, int (*fn)(void *arg, const struct schema_address *a), void *arg)
{
    struct listing l = {.v = v, .arg = arg, .fn.address = fn};
    return scan_letter(&l, PART_INSTANCE, 'a', each_address);
}

static int each_domain(void *arg, struct slice key, struct slice value)
{
    struct listing *l = arg;
    char domain[DOMAIN_CAP];
    uint64_t added;
    int err = schema_unpack_domain(l->v->keys, key, value, domain, &added);
    return err ? err : l->fn.name(l->arg, domain);
}

int view_domains_each(struct view *v, int (*fn)(void *arg, const char *domain), void *arg)
{
    struct listing l = {.v = v, .arg = arg, .fn.name = fn};
    return scan_letter(&l, PART_INSTANCE, 'd', each_domain);
}

static int each_password(void *arg, struct slice key, struct slice value)
{
    struct listing *l = arg;
    struct schema_app_password p;
    int err = schema_unpack_app_password(l->v->keys, l->account, key, value, &p);
    return err ? err : l->fn.password(l->arg, &p);
}

int view_app_passwords_each(struct view *v, uint64_t account, int (*fn)(void *arg, const struct schema_app_password *p),
                            void *arg)
{
    struct listing l = {.v = v, .account = account, .arg = arg, .fn.password = fn};
    return scan_letter(&l, account, 'P', each_password);
}

static int each_entry(void *arg, struct slice key, struct slice value)
{
    struct listing *l = arg;
    struct schema_entry e;
    uint32_t uid;
    int err = key_tail(key, 9, &uid);
    if (!err)
        err = schema_unpack_entry(l->v->keys, l->account, key, value, &e);
    return err ? err : l->fn.entry(l->arg, uid, &e);
}

int view_entries_each(struct view *v, uint64_t account, uint32_t mailbox, uint32_t from, uint32_t to,
                      int (*fn)(void *arg, uint32_t uid, const struct schema_entry *e), void *arg)
{
    struct listing l = {.v = v, .account = account, .arg = arg, .fn.entry = fn};
    struct schema_keybuf first, last, end;
    if (!v->txn)
        return ERR_CONFLICT;
    if (from > to)
        return OK;
    struct slice past = key_after(&end, key_u32_u32(&last, 'u', mailbox, to));
    return engine_scan(v->txn, account, key_u32_u32(&first, 'u', mailbox, from), past, 0, each_entry, &l);
}

/* Keys of a letter and a mailbox, from this one on. */
static int scan_on(struct listing *l, char letter, uint32_t mailbox, struct slice from,
                   int (*each)(void *arg, struct slice key, struct slice value))
{
    struct schema_keybuf last, end;
    if (!l->v->txn)
        return ERR_CONFLICT;
    return engine_scan(l->v->txn, l->account, from, key_after(&end, key_u32(&last, letter, mailbox)), 0, each, l);
}

static int each_expunged(void *arg, struct slice key, struct slice value)
{
    struct listing *l = arg;
    struct schema_tombstones gone;
    int err = schema_unpack_tombstones(l->v->keys, l->account, key, value, &gone);
    for (uint32_t i = 0; !err && i < gone.n; i++)
        err = l->fn.expunged(l->arg, gone.modseq, gone.v[i].first, gone.v[i].last);
    return err;
}

int view_expunged_since(struct view *v, uint64_t account, uint32_t mailbox, uint64_t modseq,
                        int (*fn)(void *arg, uint64_t modseq, uint32_t first, uint32_t last), void *arg)
{
    struct listing l = {.v = v, .account = account, .arg = arg, .fn.expunged = fn};
    struct schema_keybuf from;
    if (modseq == UINT64_MAX)
        return v->txn ? OK : ERR_CONFLICT;
    return scan_on(&l, 'x', mailbox, key_u32_u64(&from, 'x', mailbox, modseq + 1), each_expunged);
}

static int each_changed(void *arg, struct slice key, struct slice value)
{
    struct listing *l = arg;
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    unpack_u8(&u);
    unpack_u32(&u);
    uint64_t modseq = unpack_u64(&u);
    uint32_t uid = unpack_u32(&u);
    return unpack_done(&u) ? l->fn.changed(l->arg, modseq, uid) : ERR_FORMAT;
}

int view_changed_since(struct view *v, uint64_t account, uint32_t mailbox, uint64_t modseq, uint32_t uid,
                       int (*fn)(void *arg, uint64_t modseq, uint32_t uid), void *arg)
{
    struct listing l = {.v = v, .account = account, .arg = arg, .fn.changed = fn};
    struct schema_keybuf from;
    if (uid == UINT32_MAX && modseq == UINT64_MAX)
        return v->txn ? OK : ERR_CONFLICT;
    struct slice key = uid == UINT32_MAX ? key_u32_u64(&from, 'w', mailbox, modseq + 1)
                                         : key_u32_u64_u32(&from, 'w', mailbox, modseq, uid + 1);
    return scan_on(&l, 'w', mailbox, key, each_changed);
}

static int each_message_id(void *arg, struct slice key, struct slice value)
{
    struct listing *l = arg;
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    unpack_u8(&u);
    uint64_t id = unpack_u64(&u);
    return unpack_done(&u) ? l->fn.id(l->arg, id) : ERR_FORMAT;
}

int view_message_ids_after(struct view *v, uint64_t account, uint64_t after, int (*fn)(void *arg, uint64_t message),
                           void *arg)
{
    struct listing l = {.v = v, .account = account, .arg = arg, .fn.id = fn};
    return scan_after(&l, account, 'm', after, each_message_id);
}

static int each_message(void *arg, struct slice key, struct slice value)
{
    struct listing *l = arg;
    struct schema_message m;
    int err = schema_unpack_message(l->v->keys, l->account, key, value, &m);
    return err ? err : l->fn.message(l->arg, &m);
}

int view_messages_after(struct view *v, uint64_t account, uint64_t after,
                        int (*fn)(void *arg, const struct schema_message *m), void *arg)
{
    struct listing l = {.v = v, .account = account, .arg = arg, .fn.message = fn};
    return scan_after(&l, account, 'm', after, each_message);
}

static int each_block(void *arg, struct slice key, struct slice value)
{
    struct listing *l = arg;
    struct schema_block b;
    uint32_t block;
    int err = key_tail(key, 9, &block);
    if (!err)
        err = schema_unpack_block(l->v->keys, l->account, key, value, &b);
    return err ? err : l->fn.block(l->arg, block, &b);
}

int view_blocks_each(struct view *v, uint64_t account, uint32_t mailbox, uint32_t from,
                     int (*fn)(void *arg, uint32_t block, const struct schema_block *b), void *arg)
{
    struct listing l = {.v = v, .account = account, .arg = arg, .fn.block = fn};
    struct schema_keybuf kb;
    return scan_on(&l, 'k', mailbox, key_u32_u32(&kb, 'k', mailbox, from), each_block);
}
