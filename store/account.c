/* Accounts on the write side, from their first commit to the last step of their erasure. */
#include "store/account.h"

#include <sodium.h>
#include <string.h>

#include "crypto/wkd.h"
#include "server/core/bug.h"
#include "server/core/error.h"
#include "store/approval.h"
#include "store/dmarc_day_impl.h"
#include "store/fence.h"
#include "store/key_rules.h"
#include "store/mailbox.h"
#include "store/sending_impl.h"
#include "store/signin_impl.h"

enum { COLLECT = 64 };

int store_init(struct engine *e, const struct record_keys *keys, uint64_t now)
{
    struct engine_txn *t;
    int err = engine_group_begin(e, &t);
    if (err != OK)
        return err;
    err = schema_init(t, keys, now);
    if (err == OK)
        return engine_group_commit(t);
    engine_group_abort(t);
    return err == ERR_EXISTS ? store_check(e, keys, false) : err;
}

int store_check(struct engine *e, const struct record_keys *keys, bool upgrade)
{
    struct engine_txn *t;
    int err = engine_group_begin(e, &t);
    if (err != OK)
        return err;
    err = upgrade ? schema_check_key(t, keys) : schema_check(t, keys);
    if (err == OK)
        return engine_group_commit(t); /* it is ours: a copy becomes readable */
    engine_group_abort(t);
    return err;
}

/* ---- addresses and domains ---- */

static int domain_is_ours(struct store_write *w, const char *domain)
{
    uint64_t added;
    return schema_get_domain(w->t, w->keys, domain, &added);
}

int address_fold(const char *in, bool catch_all, char out[ADDRESS_MAX])
{
    size_t at, plus;
    if (!catch_all)
        return address_normalize(in, strlen(in), out, &at, &plus);
    if (in[0] != '@')
        return ERR_FORMAT;
    out[0] = '@';
    return address_domain_normalize(in + 1, strlen(in + 1), out + 1);
}

/* The server's own in each of its domains (server/ingest/reserved). */
static bool is_reserved(const char *address)
{
    return strncmp(address, WKS_LOCAL_PART "@", sizeof(WKS_LOCAL_PART)) == 0 ||
           strncmp(address, ADDRESS_DMARC_REPORTS "@", sizeof(ADDRESS_DMARC_REPORTS)) == 0;
}

/* Normalized, in one of our domains, not taken, not the server's own. */
static int address_free(struct store_write *w, const char *in, bool catch_all, char out[ADDRESS_MAX])
{
    int err = address_fold(in, catch_all, out);
    if (err == OK && is_reserved(out))
        err = ERR_REFUSED;
    if (err == OK)
        err = domain_is_ours(w, strrchr(out, '@') + 1);
    if (err != OK)
        return err;
    struct schema_address taken;
    err = schema_get_address(w->t, w->keys, out, &taken);
    return err == OK ? ERR_EXISTS : err == ERR_NOT_FOUND ? OK : err;
}

static int address_approved(struct store_write *w, const struct schema_address *a, const char *primary)
{
    uint8_t uuid[STORE_UUID_SIZE];
    struct approval_text text;
    int err = schema_get_uuid(w->t, uuid);
    if (err != OK)
        return err;
    approval_of_address(uuid, a, primary, &text);
    return approval_check(w->keys, &text, a->approval);
}

/* The account's own address once more, where nothing stands, or what is damaged, or what nobody approved. */
static int address_own(struct store_write *w, const char *in, const char *primary, char out[ADDRESS_MAX])
{
    struct schema_address there;
    struct schema_account other;
    int err = address_fold(in, false, out);
    if (err == OK && strcmp(out, primary) != 0)
        err = ERR_DENIED;
    if (err == OK)
        err = domain_is_ours(w, strrchr(out, '@') + 1);
    if (err != OK)
        return err;
    err = schema_get_address(w->t, w->keys, out, &there);
    if (err == OK && there.account != w->account)
        err = schema_get_account(w->t, w->keys, there.account, &other);
    else if (err == OK)
        return OK;
    if (err == OK)
        err = address_approved(w, &there, other.address);
    sodium_memzero(&other, sizeof(other));
    if (err == OK)
        return ERR_EXISTS;
    return err == ERR_UNAPPROVED || err == ERR_NOT_FOUND || err == ERR_CRYPTO || err == ERR_FORMAT ? OK : err;
}

int address_add(struct store_write *w, const char *address, uint8_t kind, const uint8_t approval[APPROVAL_SIZE])
{
    struct schema_address a = {.account = w->account, .kind = kind};
    struct schema_account account;
    memcpy(a.approval, approval, sizeof(a.approval));
    int err = schema_get_account(w->t, w->keys, w->account, &account);
    if (err == OK)
        err = kind == ADDRESS_PRIMARY ? address_own(w, address, account.address, a.address)
                                      : address_free(w, address, kind == ADDRESS_CATCH_ALL, a.address);
    if (err == OK)
        err = address_approved(w, &a, account.address);
    if (err != OK)
        return err;
    w->wrote = true;
    return schema_put_address(w->t, w->keys, &a);
}

int address_remove(struct store_write *w, const char *address)
{
    char out[ADDRESS_MAX];
    struct schema_address found;
    struct schema_keybuf k;
    int err;
    err = address_fold(address, address[0] == '@', out);
    if (err == OK)
        err = schema_get_address(w->t, w->keys, out, &found);
    if (err != OK)
        return err;
    if (found.kind == ADDRESS_PRIMARY)
        return ERR_DENIED;
    return write_del_instance(w, key_address(&k, w->keys, out));
}

int domain_add(struct store_write *w, const char *domain)
{
    char out[DOMAIN_CAP];
    int err = address_domain_normalize(domain, strlen(domain), out);
    if (err == OK && !address_domain_is_host(out))
        err = ERR_FORMAT; /* certificates are for hosts */
    if (err != OK)
        return err;
    err = domain_is_ours(w, out);
    if (err != ERR_NOT_FOUND)
        return err == OK ? ERR_EXISTS : err;
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
    int err = schema_unpack_address(s->w->keys, key, value, &a);
    if (err != OK)
        return err;
    if (s->domain != NULL) {
        const char *at = strrchr(a.address, '@');
        return at != NULL && strcmp(at + 1, s->domain) == 0;
    }
    if (a.account != s->account)
        return 0;
    memcpy(s->keys[s->n], key.data, sizeof(s->keys[0]));
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
    int err = address_domain_normalize(domain, strlen(domain), out);
    if (err == OK)
        err = domain_is_ours(w, out);
    if (err != OK)
        return err;
    struct address_scan s = {.w = w, .domain = out};
    err = addresses_scan(&s);
    if (err != OK)
        return err > 0 ? ERR_CONFLICT : err;
    err = write_del_instance(w, key_domain(&k, w->keys, out));
    if (err == OK)
        err = write_del_instance(w, key_domain_sent(&k, w->keys, out));
    return err == OK ? dmarc_days_forget(w, out) : err;
}

/* ---- accounts ---- */

static const struct {
    const char *name;
    uint8_t use;
} usual[] = {
    {"INBOX", 0},       {"Drafts", USE_DRAFTS}, {"Sent", USE_SENT},
    {"Junk", USE_JUNK}, {"Trash", USE_TRASH},   {"Archive", USE_ARCHIVE},
};

static int usual_mailboxes(struct store_write *w, struct schema_account *account)
{
    uint32_t mailbox, validity;
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        int err = mailbox_create(w, account, usual[i].name, usual[i].use, &mailbox, &validity);
        if (err == OK)
            err = mailbox_subscribe(w, usual[i].name, true);
        if (err != OK)
            return err;
    }
    return OK;
}

/* A partition that no entry of the directory names is doomed, from before its first octet until after its last. */
static int doom(struct store_write *w, uint64_t account)
{
    struct schema_keybuf k;
    w->wrote = true;
    return engine_put(w->t, PART_INSTANCE, key_u64(&k, 'Z', account), slice_of("", 0));
}

/* The first key's approval, and the address's, before anything is written. */
static int begin_approved(struct store_write *w, const struct account_new *a, const char *address)
{
    struct schema_address primary = {.account = a->expected, .kind = ADDRESS_PRIMARY};
    struct schema_account account = {.id = a->expected};
    memcpy(primary.address, address, strlen(address) + 1);
    memcpy(primary.approval, a->approval.address, sizeof(primary.approval));
    memcpy(account.address, primary.address, sizeof(account.address));
    int err = address_approved(w, &primary, primary.address);
    return err == OK ? account_key_first_approved(w, &account, &a->verdict, a->cert, &a->approval) : err;
}

static int any_record(void *arg, struct slice key, struct slice value)
{
    (void)arg;
    (void)key;
    (void)value;
    return ERR_CONFLICT;
}

/* Whoever can write the store may bring an earlier "next account" back: what has that number is nobody's to doom. */
static int number_is_free(const struct store_write *w, uint64_t id)
{
    struct schema_keybuf from;
    struct slice listed;
    int err = engine_get(w->t, PART_INSTANCE, key_u64(&from, 'N', id), &listed);
    if (err != ERR_NOT_FOUND)
        return err == OK ? ERR_CONFLICT : err;
    return engine_scan(w->t, id, key_simple(&from, '\0'), slice_of("", 0), 0, any_record, NULL);
}

int account_begin(struct store_write *w, const struct account_new *a, uint64_t *ret_account)
{
    char address[ADDRESS_MAX];
    uint64_t id;
    int err = key_verdict_valid(&a->verdict) ? address_free(w, a->address, false, address) : ERR_REFUSED;
    if (err == OK)
        err = schema_next_account_id(w->t, w->keys, &id);
    if (err == OK && id != a->expected)
        err = ERR_OVERRUN;
    if (err == OK)
        err = number_is_free(w, id);
    if (err == OK)
        err = begin_approved(w, a, address);
    if (err != OK)
        return err;
    w->wrote = true;
    err = schema_take_account_id(w->t, w->keys, &id);
    if (err == OK)
        err = doom(w, id);
    if (err == OK)
        *ret_account = id;
    return err;
}

int account_fill(struct store_write *w, const struct account_new *a)
{
    struct schema_account account = {.id = w->account,
                                     .created = w->now,
                                     .policy = a->policy,
                                     .trial_key = a->trial,
                                     .unpublished = a->unpublished,
                                     .no_autocrypt = a->no_autocrypt,
                                     .mailbox_next = MAILBOX_INBOX,
                                     .password_next = 1,
                                     .auth_iterations = AUTH_ITERATIONS};
    size_t at, plus;
    int err = address_normalize(a->address, strlen(a->address), account.address, &at, &plus);
    if (err != OK)
        return err;
    randombytes_buf(account.auth_salt, sizeof(account.auth_salt));
    randombytes_buf(account.pseudonym_key, sizeof(account.pseudonym_key));
    w->wrote = true;
    err = usage_begin_empty(w);
    if (err == OK)
        err = usual_mailboxes(w, &account);
    account.quota_bytes = a->quota; /* the usual mailboxes come before it counts */
    if (err == OK)
        err = account_key_add(w, &account, &a->verdict, a->cert, &a->approval); /* puts the account */
    sodium_memzero(account.pseudonym_key, sizeof(account.pseudonym_key));
    return err == OK ? fence_put(w->t, w->keys, w->account) : err;
}

int account_list(struct store_write *w, const struct account_new *a)
{
    struct schema_address address = {.account = w->account, .kind = ADDRESS_PRIMARY};
    struct schema_keybuf k;
    memcpy(address.approval, a->approval.address, sizeof(address.approval));
    int err = address_free(w, a->address, false, address.address);
    if (err == OK)
        err = schema_put_listed(w->t, w->keys, w->account, address.address);
    w->wrote = true;
    if (err == OK)
        err = schema_put_address(w->t, w->keys, &address);
    return err == OK ? write_del_instance(w, key_u64(&k, 'Z', w->account)) : err;
}

bool account_set_is_approved(const struct vault_account *new)
{
    return new->seal_v2 != VAULT_SEAL_V2_KEEP || new->encrypt != VAULT_ENCRYPT_KEEP || new->forwards;
}

void account_set_forward(struct schema_account *a, const struct vault_account *new)
{
    if (!new->forwards)
        return;
    bug_if(new->forward.len >= sizeof(a->forward));
    a->forward_how = new->forward_how;
    memset(a->forward, 0, sizeof(a->forward));
    if (new->forward.len > 0)
        memcpy(a->forward, new->forward.data, new->forward.len);
}

int account_set(struct store_write *w, const struct vault_account *new, const struct vault_approval *a)
{
    struct schema_account account;
    int err = schema_get_account(w->t, w->keys, w->account, &account);
    if (err != OK)
        return err;
    if (new->policy != VAULT_POLICY_KEEP)
        account.policy = new->policy;
    if (new->quota != VAULT_QUOTA_KEEP)
        account.quota_bytes = new->quota;
    if (new->publish != VAULT_PUBLISH_KEEP)
        account.unpublished = !new->publish;
    if (new->autocrypt != VAULT_AUTOCRYPT_KEEP)
        account.no_autocrypt = !new->autocrypt;
    if (new->key_changes != VAULT_KEY_CHANGES_KEEP)
        account.key_changes = new->key_changes;
    if (new->seal_v2 != VAULT_SEAL_V2_KEEP)
        account.seal_v2 = new->seal_v2;
    if (new->encrypt != VAULT_ENCRYPT_KEEP)
        account.encrypt = new->encrypt;
    account_set_forward(&account, new);
    if (account_set_is_approved(new)) {
        /* who has prepared the keys prepares them anew */
        err = account_keys_approved(w, &account, a);
        return err == OK ? account_keys_put_version(w, &account, a) : err;
    }
    w->wrote = true;
    return schema_put_account(w->t, w->keys, w->account, &account);
}

int account_unlist(struct store_write *w)
{
    struct schema_account account;
    struct schema_keybuf k;
    int err = schema_get_account(w->t, w->keys, w->account, &account);
    if (err != OK)
        return err;
    struct address_scan s = {.w = w, .account = w->account};
    do {
        err = addresses_scan(&s);
        if (err < 0)
            return err;
        for (uint32_t i = 0; i < s.n; i++)
            if ((err = write_del_instance(w, slice_of(s.keys[i], sizeof(s.keys[i])))) != OK)
                return err;
    } while (s.n == COLLECT);
    err = invitation_del(w, w->account);
    if (err == OK || err == ERR_NOT_FOUND)
        err = write_del_instance(w, key_u64(&k, 'N', w->account));
    return err == OK ? doom(w, w->account) : err;
}

int account_close(struct store_write *w)
{
    struct schema_keybuf k;
    return write_del(w, key_simple(&k, 'A'));
}

struct erase_scan {
    struct store_write *w;
    bool was_open;
    uint32_t nkeys, nblobs;
    struct {
        uint8_t len, b[ENGINE_KEY_MAX];
    } keys[ERASE_KEYS];
    struct {
        enum blob_kind kind;
        uint64_t id;
    } blobs[2 * ERASE_MESSAGES + FENCES];
};

static void erase_blob(struct erase_scan *s, enum blob_kind kind, uint64_t id)
{
    s->blobs[s->nblobs].kind = kind;
    s->blobs[s->nblobs++].id = id;
}

static int erase_one(void *arg, struct slice key, struct slice value)
{
    struct erase_scan *s = arg;
    struct unpack u;
    unpack_init(&u, key.data, key.len);
    uint8_t letter = unpack_u8(&u);
    s->was_open |= letter == 'A';
    if (letter == 'm') {
        uint64_t id = unpack_u64(&u);
        erase_blob(s, BLOB_PACKETS, id);
        erase_blob(s, BLOB_HEAD, id);
    } else if (letter == 'n') {
        for (size_t i = 0; i < FENCES; i++)
            erase_blob(s, fences[i].kind, fences[i].id);
    } else if (letter == 'K') {
        struct schema_key k;
        if (schema_unpack_key(s->w->keys, s->w->account, key, value, &k) == OK)
            erase_blob(s, BLOB_CERTIFICATE, k.blob);
    }
    s->keys[s->nkeys].len = (uint8_t)key.len;
    memcpy(s->keys[s->nkeys].b, key.data, key.len);
    return ++s->nkeys == ERASE_KEYS || s->nblobs >= 2 * ERASE_MESSAGES;
}

/* The first that no list names: its key alone says that an account is doomed, and anybody can write one. */
static int erased_one(void *arg, struct slice key, struct slice value)
{
    struct store_write *w = arg;
    struct schema_keybuf kb;
    struct slice listed;
    struct unpack u;
    (void)value;
    unpack_init(&u, key.data, key.len);
    unpack_u8(&u);
    w->account = unpack_u64(&u);
    if (!unpack_done(&u))
        return ERR_FORMAT;
    int err = engine_get(w->t, PART_INSTANCE, key_u64(&kb, 'N', w->account), &listed);
    return err == ERR_NOT_FOUND ? 1 : err;
}

int account_erase_step(struct store_write *w, bool *ret_was_open)
{
    static struct erase_scan s;
    s.w = w;
    struct schema_keybuf from, to;
    int err = engine_scan(w->t, PART_INSTANCE, key_simple(&from, 'Z'), key_simple(&to, 'Z' + 1), 0, erased_one, w);
    if (err <= 0)
        return err == OK ? ERR_NOT_FOUND : err;
    s.nkeys = s.nblobs = 0;
    s.was_open = false;
    err = engine_scan(w->t, w->account, key_simple(&from, '\0'), slice_of("", 0), 0, erase_one, &s);
    if (err < 0)
        return err;
    w->wrote = true;
    for (uint32_t i = 0; i < s.nblobs; i++)
        if ((err = engine_blob_del(w->t, w->account, s.blobs[i].kind, s.blobs[i].id)) != OK && err != ERR_NOT_FOUND)
            return err;
    for (uint32_t i = 0; i < s.nkeys; i++)
        if ((err = write_del(w, slice_of(s.keys[i].b, s.keys[i].len))) != OK)
            return err;
    *ret_was_open = s.was_open;
    return s.nkeys > 0 ? OK : write_del_instance(w, key_u64(&from, 'Z', w->account));
}
