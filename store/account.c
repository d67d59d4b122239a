/* Accounts on the write side, from their first commit to the last step of their erasure. */
#include "store/account.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/error.h"
#include "store/mailbox.h"

enum { PASSWORDS_MAX = 200, AUTH_ITERATIONS = 4096 /* RFC 7677 section 4; the passwords are random */,
       COLLECT = 64, RESTORED_IDS_SHIFT = 24 /* more messages a second than any account gets */ };

int store_init(struct engine *e, const struct record_keys *keys, uint64_t now)
{
    struct engine_txn *t;
    int r = engine_group_begin(e, &t);
    if (r != OK)
        return r;
    r = schema_init(t, keys, now);
    if (r == OK)
        return engine_group_commit(t);
    if (r == ERR_EXISTS) {
        r = schema_check_version(t, NULL);
        if (r == OK)
            r = schema_check_key(t, keys);
        if (r == OK)
            return engine_group_commit(t); /* it is ours: a copy becomes readable */
    }
    engine_group_abort(t);
    return r;
}

static int instance_del(struct store_write *w, struct slice key)
{
    w->wrote = true;
    int r = engine_del(w->t, PART_INSTANCE, key);
    return r == ERR_NOT_FOUND ? OK : r;
}

/* ---- addresses and domains ---- */

static int domain_is_ours(struct store_write *w, const char *domain)
{
    uint64_t added;
    return schema_get_domain(w->t, w->keys, domain, &added);
}

/* Normalized, in one of our domains, not taken. "@domain" is a catch-all. */
static int address_free(struct store_write *w, const char *in, bool catch_all, char out[ADDRESS_MAX])
{
    size_t at = 0, plus;
    int r;
    if (catch_all) {
        if (in[0] != '@')
            return ERR_FORMAT;
        out[0] = '@';
        r = domain_normalize(in + 1, strlen(in + 1), out + 1);
    } else {
        r = address_normalize(in, strlen(in), out, &at, &plus);
    }
    if (r == OK)
        r = domain_is_ours(w, out + at + 1);
    if (r != OK)
        return r;
    struct schema_address taken;
    r = schema_get_address(w->t, w->keys, out, &taken);
    return r == OK ? ERR_EXISTS : r == ERR_NOT_FOUND ? OK : r;
}

int address_add(struct store_write *w, const char *address, uint8_t kind)
{
    struct schema_address a = { .account = w->account, .kind = kind };
    struct schema_account account;
    int r = schema_get_account(w->t, w->keys, w->account, &account);
    if (r == OK)
        r = address_free(w, address, kind == ADDRESS_CATCH_ALL, a.address);
    if (r != OK)
        return r;
    w->wrote = true;
    return schema_put_address(w->t, w->keys, &a);
}

int address_remove(struct store_write *w, const char *address)
{
    char out[ADDRESS_MAX];
    size_t at, plus;
    struct schema_address found;
    struct schema_keybuf k;
    int r;
    if (address[0] == '@') {
        out[0] = '@';
        r = domain_normalize(address + 1, strlen(address + 1), out + 1);
    } else {
        r = address_normalize(address, strlen(address), out, &at, &plus);
    }
    if (r == OK)
        r = schema_get_address(w->t, w->keys, out, &found);
    if (r != OK)
        return r;
    if (found.kind == ADDRESS_PRIMARY)
        return ERR_DENIED;
    return instance_del(w, key_address(&k, w->keys, out));
}

int domain_add(struct store_write *w, const char *domain)
{
    char out[DOMAIN_CAP];
    int r = domain_normalize(domain, strlen(domain), out);
    if (r != OK)
        return r;
    r = domain_is_ours(w, out);
    if (r != ERR_NOT_FOUND)
        return r == OK ? ERR_EXISTS : r;
    w->wrote = true;
    return schema_put_domain(w->t, w->keys, out, w->now);
}

struct address_scan {
    struct store_write *w;
    const char *domain; /* any in it; or NULL: */
    uint64_t account;   /* all of it */
    uint32_t n;
    uint8_t keys[COLLECT][1 + RECORD_HASH_SIZE];
};

static int address_one(void *arg, struct slice key, struct slice value)
{
    struct address_scan *s = arg;
    struct schema_address a;
    int r = schema_unpack_address(s->w->keys, key, value, &a);
    if (r != OK)
        return r;
    if (s->domain != NULL) {
        const char *at = strrchr(a.address, '@');
        return at != NULL && strcmp(at + 1, s->domain) == 0;
    }
    if (a.account != s->account)
        return 0;
    memcpy(s->keys[s->n], key.data, sizeof s->keys[0]);
    return ++s->n == COLLECT;
}

static int addresses_scan(struct address_scan *s)
{
    struct schema_keybuf from, to;
    s->n = 0;
    return engine_scan(s->w->t, PART_INSTANCE, key_simple(&from, 'a'), key_simple(&to, 'a' + 1), 0, address_one, s);
}

int domain_remove(struct store_write *w, const char *domain)
{
    char out[DOMAIN_CAP];
    struct schema_keybuf k;
    int r = domain_normalize(domain, strlen(domain), out);
    if (r == OK)
        r = domain_is_ours(w, out);
    if (r != OK)
        return r;
    struct address_scan s = { .w = w, .domain = out };
    r = addresses_scan(&s);
    if (r != OK)
        return r > 0 ? ERR_STATE : r;
    return instance_del(w, key_domain(&k, w->keys, out));
}

/* ---- accounts ---- */

static const struct { const char *name; uint8_t use; } usual[] = {
    { "INBOX", 0 }, { "Drafts", USE_DRAFTS }, { "Sent", USE_SENT }, { "Junk", USE_JUNK }, { "Trash", USE_TRASH },
        { "Archive", USE_ARCHIVE },
};

static int usual_mailboxes(struct store_write *w, struct schema_account *account)
{
    uint32_t mailbox, validity;
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        int r = mailbox_create(w, account, usual[i].name, usual[i].use, &mailbox, &validity);
        if (r == OK)
            r = mailbox_subscribe(w, mailbox, true);
        if (r != OK)
            return r;
    }
    return OK;
}

int account_add(struct store_write *w, const struct account_new *a, uint64_t *ret_account)
{
    struct schema_account account = { .created = w->now, .quota_bytes = a->quota, .policy = a->policy,
                                      .trial_key = a->trial,
                                      .mailbox_next = MAILBOX_INBOX, .message_next = 1, .password_next = 1,
                                          .auth_iterations = AUTH_ITERATIONS };
    struct schema_address address = { .kind = ADDRESS_PRIMARY };
    int r = key_verdict_valid(&a->verdict) ? address_free(w, a->address, false, address.address) : ERR_REFUSED;
    if (r != OK)
        return r;
    memcpy(account.address, address.address, sizeof account.address);
    randombytes_buf(account.auth_salt, sizeof account.auth_salt);
    randombytes_buf(account.pseudonym_key, sizeof account.pseudonym_key);
    w->wrote = true;
    if ((r = schema_take_account_id(w->t, &account.id)) != OK)
        return r;
    w->account = address.account = account.id;
    if ((r = schema_put_listed(w->t, w->keys, account.id, account.address)) == OK &&
        (r = schema_put_address(w->t, w->keys, &address)) == OK && (r = usual_mailboxes(w, &account)) == OK)
        r = account_key_add(w, &account, &a->verdict, a->cert); /* puts the account */
    sodium_memzero(account.pseudonym_key, sizeof account.pseudonym_key);
    if (r == OK)
        *ret_account = account.id;
    return r;
}

int account_set(struct store_write *w, uint8_t policy, uint64_t quota)
{
    struct schema_account account;
    int r = schema_get_account(w->t, w->keys, w->account, &account);
    if (r != OK)
        return r;
    if (policy != 255)
        account.policy = policy;
    if (quota != UINT64_MAX)
        account.quota_bytes = quota;
    w->wrote = true;
    return schema_put_account(w->t, w->keys, w->account, &account);
}

int account_remove(struct store_write *w)
{
    struct schema_account account;
    struct schema_keybuf k;
    int r = schema_get_account(w->t, w->keys, w->account, &account);
    if (r != OK)
        return r;
    struct address_scan s = { .w = w, .account = w->account };
    do {
        r = addresses_scan(&s);
        if (r < 0)
            return r;
        for (uint32_t i = 0; i < s.n; i++)
            if ((r = instance_del(w, slice_of(s.keys[i], sizeof s.keys[i]))) != OK)
                return r;
    } while (s.n == COLLECT);
    if ((r = instance_del(w, key_u64(&k, 'N', w->account))) != OK || (r = write_del(w, key_simple(&k, 'A'))) != OK)
        return r;
    return engine_put(w->t, PART_INSTANCE, key_u64(&k, 'Z', w->account), slice_of("", 0));
}

struct erase_scan {
    uint32_t nkeys, nblobs;
    struct { uint8_t len, b[ENGINE_KEY_MAX]; } keys[ERASE_KEYS];
    uint64_t blobs[2 * ERASE_MESSAGES];
};

static int erase_one(void *arg, struct slice key, struct slice value)
{
    struct erase_scan *s = arg;
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    uint8_t letter = unpack_u8(&u);
    if (letter == 'm') {
        uint64_t id = unpack_u64(&u);
        s->blobs[s->nblobs++] = id;
        s->blobs[s->nblobs++] = CAPSULE_BLOB | id;
    } else if (letter == 'K') {
        struct schema_key k;
        if (schema_unpack_key(value, &k) == OK)
            s->blobs[s->nblobs++] = k.blob;
    }
    s->keys[s->nkeys].len = (uint8_t)key.len;
    memcpy(s->keys[s->nkeys].b, key.data, key.len);
    return ++s->nkeys == ERASE_KEYS || s->nblobs + 2 > 2 * ERASE_MESSAGES;
}

static int erased_one(void *arg, struct slice key, struct slice value)
{
    (void)value;
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    unpack_u8(&u);
    *(uint64_t *)arg = unpack_u64(&u);
    return unpack_done(&u) ? 1 : ERR_FORMAT;
}

int account_erase_step(struct store_write *w)
{
    static struct erase_scan s;
    struct schema_keybuf from, to;
    int r = engine_scan(w->t, PART_INSTANCE, key_simple(&from, 'Z'), key_simple(&to, 'Z' + 1), 0, erased_one,
                        &w->account);
    if (r <= 0)
        return r == OK ? ERR_NOT_FOUND : r;
    s.nkeys = s.nblobs = 0;
    r = engine_scan(w->t, w->account, key_simple(&from, '\0'), slice_of("", 0), 0, erase_one, &s);
    if (r < 0)
        return r;
    w->wrote = true;
    for (uint32_t i = 0; i < s.nblobs; i++)
        if ((r = engine_blob_del(w->t, w->account, s.blobs[i])) != OK && r != ERR_NOT_FOUND)
            return r;
    for (uint32_t i = 0; i < s.nkeys; i++)
        if ((r = write_del(w, slice_of(s.keys[i].b, s.keys[i].len))) != OK)
            return r;
    return s.nkeys > 0 ? OK : instance_del(w, key_u64(&from, 'Z', w->account));
}

/* ---- app passwords ---- */

struct password_scan { uint64_t account; uint32_t n, wanted; bool found; uint8_t key[1 + RECORD_HASH_SIZE]; };

static int password_one(void *arg, struct slice key, struct slice value)
{
    struct password_scan *s = arg;
    struct schema_app_password p;
    int r = schema_unpack_app_password(NULL, s->account, key, value, &p);
    if (r != OK)
        return r;
    s->n++;
    if (p.number == s->wanted && key.len == sizeof s->key) {
        s->found = true;
        memcpy(s->key, key.data, key.len);
    }
    return 0;
}

static int passwords_scan(struct store_write *w, struct password_scan *s)
{
    struct schema_keybuf from, to;
    return engine_scan(w->t, w->account, key_simple(&from, 'P'), key_simple(&to, 'P' + 1), 0, password_one, s);
}

int account_password_add(struct store_write *w, const uint8_t hash[RECORD_HASH_SIZE], struct schema_app_password *p)
{
    struct schema_account account;
    struct schema_keybuf k;
    struct slice taken;
    struct password_scan s = { .account = w->account };
    int r = schema_get_account(w->t, w->keys, w->account, &account);
    if (r == OK)
        r = passwords_scan(w, &s);
    if (r != OK)
        return r;
    if (s.n >= PASSWORDS_MAX || account.password_next == UINT32_MAX)
        return ERR_LIMIT;
    r = engine_get(w->t, w->account, key_hash(&k, 'P', hash), &taken);
    if (r != ERR_NOT_FOUND)
        return r == OK ? ERR_EXISTS : r;
    p->number = account.password_next++;
    w->wrote = true;
    r = schema_put_app_password(w->t, w->keys, w->account, hash, p);
    return r == OK ? schema_put_account(w->t, w->keys, w->account, &account) : r;
}

int account_password_revoke(struct store_write *w, uint32_t number)
{
    struct password_scan s = { .account = w->account, .wanted = number };
    int r = passwords_scan(w, &s);
    if (r != OK)
        return r;
    return s.found ? write_del(w, slice_of(s.key, sizeof s.key)) : ERR_NOT_FOUND;
}

/* ---- after a restore ---- */

struct id_list { uint64_t *v; size_t n, cap; };

static int id_one(void *arg, struct slice key, struct slice value)
{
    (void)value;
    struct id_list *l = arg;
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 256;
        uint64_t *v = realloc(l->v, cap * sizeof *v);
        if (v == NULL)
            return ERR_MEMORY;
        l->v = v;
        l->cap = cap;
    }
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    unpack_u8(&u);
    l->v[l->n++] = key.len == 5 ? unpack_u32(&u) : unpack_u64(&u); /* 'b' mailbox4, 'N' account8 */
    return unpack_done(&u) ? 0 : ERR_FORMAT;
}

static int ids_of(struct store_write *w, uint64_t part, char letter, struct id_list *ret)
{
    struct schema_keybuf from, to;
    ret->n = 0;
    return engine_scan(w->t, part, key_simple(&from, letter), key_simple(&to, (char)(letter + 1)), 0, id_one, ret);
}

static int account_restored(struct store_write *w, uint64_t id, struct id_list *boxes)
{
    struct schema_account account;
    struct schema_mailbox box;
    w->account = id;
    int r = schema_get_account(w->t, w->keys, id, &account);
    if (r == OK)
        r = ids_of(w, id, 'b', boxes);
    for (size_t i = 0; r == OK && i < boxes->n; i++) {
        if ((r = schema_get_mailbox(w->t, id, (uint32_t)boxes->v[i], &box)) != OK)
            break;
        uint32_t last = account.uidvalidity_last;
        uint64_t next = (uint64_t)(box.uidvalidity > last ? box.uidvalidity : last) + 1;
        if (w->now > next && w->now <= UINT32_MAX)
            next = w->now;
        if (next > UINT32_MAX)
            return ERR_LIMIT;
        account.uidvalidity_last = box.uidvalidity = (uint32_t)next;
        w->wrote = true;
        r = schema_put_mailbox(w->t, id, &box);
    }
    /* Message ids given out since the backup stay theirs: clients of POP3 know messages by them. */
    uint64_t fresh = w->now << RESTORED_IDS_SHIFT;
    if (w->now <= UINT32_MAX && fresh > account.message_next)
        account.message_next = fresh;
    return r == OK ? schema_put_account(w->t, w->keys, id, &account) : r;
}

int store_restored(struct store_write *w)
{
    struct id_list accounts = {0}, boxes = {0};
    int r = ids_of(w, PART_INSTANCE, 'N', &accounts);
    for (size_t i = 0; r == OK && i < accounts.n; i++)
        r = account_restored(w, accounts.v[i], &boxes);
    free(accounts.v);
    free(boxes.v);
    return r;
}
