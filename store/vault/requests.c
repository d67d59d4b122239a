/* The table of everything that can be asked, and the decoding of each request. The vault trusts no field: a request
 * that is not exactly as request.h says ends its channel. */
#include <string.h>

#include "server/core/error.h"
#include "server/format/outer.h"
#include "store/vault/vault.h"

#define DATE_MAX UINT64_C(253402300799) /* the year 9999 ends: later dates have no text */

/* A string as bytes: no NUL inside. */
static struct slice take_str(struct unpack *u, size_t max)
{
    struct slice s = unpack_bytes(u, max);
    if (s.len > 0 && memchr(s.data, '\0', s.len) != NULL)
        u->failed = 1;
    return s;
}

static void take_keywords(struct unpack *u, struct args *a)
{
    if (a->nkeywords > KEYWORDS_MAX) {
        u->failed = 1;
        return;
    }
    a->keywords = *u;
    for (uint32_t i = 0; i < a->nkeywords; i++)
        take_str(u, KEYWORD_LEN_MAX);
}

static void take_ranges(struct unpack *u, struct args *a)
{
    a->nranges = unpack_u32(u);
    if (a->nranges > VAULT_RANGES_MAX)
        u->failed = 1;
    else
        a->ranges = unpack_raw(u, (size_t)a->nranges * 8);
}

static void take_verdict(struct unpack *u, struct args *a)
{
    struct slice v = unpack_raw(u, PGP_VERDICT_SIZE);
    a->cert_len = unpack_u32(u);
    if (u->failed || pgp_verdict_unpack(v.data, v.len, &a->verdict) != OK || a->cert_len == 0 ||
        a->cert_len > PGP_CERT_MAX)
        u->failed = 1;
}

static void decode_nothing(struct unpack *u, struct args *a)
{
    (void)u;
    (void)a;
}

static void decode_deliver(struct unpack *u, struct args *a)
{
    a->account = unpack_u64(u);
    a->mailbox = unpack_u32(u);
    a->kind = unpack_u8(u);
    a->policy = unpack_u8(u);
    a->internaldate = unpack_u64(u);
    a->delivery = unpack_raw(u, RECORD_HASH_SIZE);
    a->thread = unpack_raw(u, RECORD_HASH_SIZE);
    a->own_id = unpack_raw(u, RECORD_HASH_SIZE);
    a->expiry_hour = unpack_u32(u);
    a->flags = unpack_u64(u);
    a->nkeywords = unpack_u32(u);
    take_keywords(u, a);
    if (a->kind < MESSAGE_SERVER_SEALED || a->kind > MESSAGE_CLIENT || a->internaldate > DATE_MAX ||
        (a->flags & ~(uint64_t)FLAGS_SYSTEM) != 0)
        u->failed = 1;
}

static void decode_replace(struct unpack *u, struct args *a)
{
    a->replaced_in = unpack_u32(u);
    a->replaced = unpack_u32(u);
    decode_deliver(u, a);
    if (a->replaced == 0)
        u->failed = 1;
}

static void decode_store_flags(struct unpack *u, struct args *a)
{
    a->account = unpack_u64(u);
    a->mailbox = unpack_u32(u);
    a->op = unpack_u8(u);
    a->flags = unpack_u64(u);
    a->nkeywords = unpack_u8(u);
    take_keywords(u, a);
    a->since = unpack_u64(u);
    take_ranges(u, a);
    if (a->op > 2 || (a->flags & ~(uint64_t)FLAGS_SYSTEM) != 0)
        u->failed = 1;
}

static void decode_copy(struct unpack *u, struct args *a)
{
    a->account = unpack_u64(u);
    a->mailbox = unpack_u32(u);
    a->to = unpack_u32(u);
    a->op = unpack_u8(u);
    take_ranges(u, a);
    if (a->op > 1)
        u->failed = 1;
}

static void decode_expunge(struct unpack *u, struct args *a)
{
    a->account = unpack_u64(u);
    a->mailbox = unpack_u32(u);
    a->op = unpack_u8(u);
    take_ranges(u, a);
    if (a->op > 1)
        u->failed = 1;
}

static void decode_mailbox_create(struct unpack *u, struct args *a)
{
    a->account = unpack_u64(u);
    a->name = take_str(u, MAILBOX_NAME_MAX);
    a->use = unpack_u8(u);
    if (a->use >= 2 * USE_ARCHIVE)
        u->failed = 1;
}

static void decode_mailbox(struct unpack *u, struct args *a)
{
    a->account = unpack_u64(u);
    a->mailbox = unpack_u32(u);
}

static void decode_mailbox_rename(struct unpack *u, struct args *a)
{
    decode_mailbox(u, a);
    a->name = take_str(u, MAILBOX_NAME_MAX);
}

static void decode_mailbox_subscribe(struct unpack *u, struct args *a)
{
    decode_mailbox(u, a);
    a->op = unpack_u8(u);
    if (a->op > 1)
        u->failed = 1;
}

static void decode_account_add(struct unpack *u, struct args *a)
{
    a->name = take_str(u, ADDRESS_MAX - 1);
    a->policy = unpack_u8(u);
    a->quota = unpack_u64(u);
    a->op = unpack_u8(u);
    take_verdict(u, a);
    if (!outer_policy_valid(a->policy) || a->op > 1)
        u->failed = 1;
}

static void decode_account(struct unpack *u, struct args *a)
{
    a->account = unpack_u64(u);
}

static void decode_account_set(struct unpack *u, struct args *a)
{
    a->account = unpack_u64(u);
    a->policy = unpack_u8(u);
    a->quota = unpack_u64(u);
    if (!outer_policy_valid(a->policy) && a->policy != 255)
        u->failed = 1;
}

static void decode_address_add(struct unpack *u, struct args *a)
{
    a->name = take_str(u, ADDRESS_MAX - 1);
    a->kind = unpack_u8(u);
    a->account = unpack_u64(u);
    if (a->kind != ADDRESS_ALIAS && a->kind != ADDRESS_CATCH_ALL)
        u->failed = 1;
}

static void decode_name(struct unpack *u, struct args *a)
{
    a->name = take_str(u, ADDRESS_MAX - 1);
}

static void decode_key_add(struct unpack *u, struct args *a)
{
    a->account = unpack_u64(u);
    take_verdict(u, a);
}

static void decode_key_retire(struct unpack *u, struct args *a)
{
    a->account = unpack_u64(u);
    a->fpr = unpack_bytes(u, PGP_FPR_MAX);
    if (a->fpr.len != 20 && a->fpr.len != 32)
        u->failed = 1;
}

static void decode_key_revoked(struct unpack *u, struct args *a)
{
    decode_key_retire(u, a);
    a->cert_len = unpack_u32(u);
    if (a->cert_len == 0 || a->cert_len > PGP_CERT_MAX)
        u->failed = 1;
}

static void decode_key_notice(struct unpack *u, struct args *a)
{
    static const uint8_t none[RECORD_HASH_SIZE];
    decode_deliver(u, a);
    if (!u->failed && memcmp(a->delivery.data, none, sizeof(none)) != 0) /* another mail's would note it unsent */
        u->failed = 1;
    a->fpr = unpack_bytes(u, PGP_FPR_MAX);
    a->op = unpack_u8(u);
    a->number = unpack_u32(u);
    if ((a->fpr.len != 20 && a->fpr.len != 32) || a->op == 0 || a->kind != MESSAGE_SERVER_SEALED ||
        a->op > (KEY_EVENT_EXPIRING | KEY_EVENT_EXPIRED | KEY_EVENT_REVOKED))
        u->failed = 1;
}

static void decode_password_add(struct unpack *u, struct args *a)
{
    a->account = unpack_u64(u);
    a->hash = unpack_raw(u, RECORD_HASH_SIZE);
    a->scope = unpack_u8(u);
    a->stored_key = unpack_raw(u, 32);
    a->server_key = unpack_raw(u, 32);
    a->name = take_str(u, LABEL_MAX - 1);
    if (a->scope == 0 || a->scope > (SCOPE_IMAP | SCOPE_POP3 | SCOPE_SMTP))
        u->failed = 1;
}

static void decode_password_revoke(struct unpack *u, struct args *a)
{
    a->account = unpack_u64(u);
    a->number = unpack_u32(u);
}

static const struct verb verbs[] = {
    {VAULT_DELIVER, "deliver", NEEDS_FD, decode_deliver, run_deliver},
    {VAULT_STORE_FLAGS, "store-flags", 0, decode_store_flags, run_store_flags},
    {VAULT_COPY, "copy", 0, decode_copy, run_copy},
    {VAULT_EXPUNGE, "expunge", 0, decode_expunge, run_expunge},
    {VAULT_MAILBOX_CREATE, "mailbox-create", CHANGES_ACCOUNT, decode_mailbox_create, run_mailbox_create},
    {VAULT_MAILBOX_DELETE, "mailbox-delete", CHANGES_ACCOUNT, decode_mailbox, run_mailbox_delete},
    {VAULT_MAILBOX_RENAME, "mailbox-rename", CHANGES_ACCOUNT, decode_mailbox_rename, run_mailbox_rename},
    {VAULT_MAILBOX_SUBSCRIBE, "mailbox-subscribe", CHANGES_ACCOUNT, decode_mailbox_subscribe, run_mailbox_subscribe},
    {VAULT_REPLACE, "replace", NEEDS_FD, decode_replace, run_deliver},
    {VAULT_KEY_NOTICE, "key-notice", NEEDS_FD, decode_key_notice, run_key_notice},
    {VAULT_ACCOUNT_ADD, "account-add", NEEDS_ADMIN | NEEDS_FD | CHANGES_ACCOUNT, decode_account_add, run_account_add},
    {VAULT_ACCOUNT_REMOVE, "account-remove", NEEDS_ADMIN | CHANGES_ACCOUNT, decode_account, run_account_remove},
    {VAULT_ACCOUNT_SET, "account-set", NEEDS_ADMIN | CHANGES_ACCOUNT, decode_account_set, run_account_set},
    {VAULT_ADDRESS_ADD, "address-add", NEEDS_ADMIN | CHANGES_ACCOUNT, decode_address_add, run_address_add},
    {VAULT_ADDRESS_REMOVE, "address-remove", NEEDS_ADMIN, decode_name, run_address_remove},
    {VAULT_DOMAIN_ADD, "domain-add", NEEDS_ADMIN, decode_name, run_domain_add},
    {VAULT_DOMAIN_REMOVE, "domain-remove", NEEDS_ADMIN, decode_name, run_domain_remove},
    {VAULT_KEY_ADD, "key-add", NEEDS_ADMIN | NEEDS_FD | CHANGES_ACCOUNT, decode_key_add, run_key_add},
    {VAULT_KEY_RETIRE, "key-retire", NEEDS_ADMIN | CHANGES_ACCOUNT, decode_key_retire, run_key_retire},
    {VAULT_APP_PASSWORD_ADD, "password-add", NEEDS_ADMIN | CHANGES_ACCOUNT, decode_password_add, run_password_add},
    {VAULT_APP_PASSWORD_REVOKE, "password-revoke", NEEDS_ADMIN | CHANGES_ACCOUNT, decode_password_revoke,
     run_password_revoke},
    {VAULT_BACKUP, "backup", NEEDS_ADMIN | NEEDS_FD | DIRECT, decode_nothing, run_backup},
    {VAULT_STAT, "stat", NEEDS_ADMIN | DIRECT, decode_nothing, run_stat},
    {VAULT_RESTORED, "restored", NEEDS_ADMIN, decode_nothing, run_restored},
    {VAULT_KEY_REVOKED, "key-revoked", NEEDS_ADMIN | NEEDS_FD | CHANGES_ACCOUNT, decode_key_revoked, run_key_revoked},
    {VAULT_KEY_CURRENT, "key-current", NEEDS_ADMIN | CHANGES_ACCOUNT, decode_key_retire, run_key_current},
    {VAULT_KEY_ENC_REVOKED, "key-enc-revoked", NEEDS_ADMIN | CHANGES_ACCOUNT, decode_key_retire, run_key_enc_revoked},
};

const struct verb *verb_find(uint32_t type)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (verbs[i].type == type)
            return &verbs[i];
    return NULL;
}
