/* The table of everything that can be asked. What each request holds, store/request.c knows: one that is not exactly so
 * ends its channel. */
#include "store/vault/vault.h"

static const struct verb verbs[] = {
    {VAULT_DELIVER, "deliver", NEEDS_FD, run_deliver},
    {VAULT_STORE_FLAGS, "store-flags", 0, run_store_flags},
    {VAULT_COPY, "copy", 0, run_copy},
    {VAULT_EXPUNGE, "expunge", 0, run_expunge},
    {VAULT_MAILBOX_CREATE, "mailbox-create", CHANGES_ACCOUNT, run_mailbox_create},
    {VAULT_MAILBOX_DELETE, "mailbox-delete", CHANGES_ACCOUNT, run_mailbox_delete},
    {VAULT_MAILBOX_RENAME, "mailbox-rename", CHANGES_ACCOUNT, run_mailbox_rename},
    {VAULT_MAILBOX_SUBSCRIBE, "mailbox-subscribe", CHANGES_ACCOUNT, run_mailbox_subscribe},
    {VAULT_REPLACE, "replace", NEEDS_FD, run_deliver},
    {VAULT_KEY_NOTICE, "key-notice", NEEDS_FD, run_key_notice},
    {VAULT_ACCOUNT_ADD, "account-add", NEEDS_ADMIN | NEEDS_FD | CHANGES_ACCOUNT, run_account_add},
    {VAULT_ACCOUNT_REMOVE, "account-remove", NEEDS_ADMIN | CHANGES_ACCOUNT, run_account_remove},
    {VAULT_ACCOUNT_SET, "account-set", NEEDS_ADMIN | CHANGES_ACCOUNT, run_account_set},
    {VAULT_ADDRESS_ADD, "address-add", NEEDS_ADMIN | CHANGES_ACCOUNT, run_address_add},
    {VAULT_ADDRESS_REMOVE, "address-remove", NEEDS_ADMIN, run_address_remove},
    {VAULT_DOMAIN_ADD, "domain-add", NEEDS_ADMIN, run_domain_add},
    {VAULT_DOMAIN_REMOVE, "domain-remove", NEEDS_ADMIN, run_domain_remove},
    {VAULT_KEY_ADD, "key-add", NEEDS_ADMIN | NEEDS_FD | CHANGES_ACCOUNT, run_key_add},
    {VAULT_KEY_RETIRE, "key-retire", NEEDS_ADMIN | CHANGES_ACCOUNT, run_key_retire},
    {VAULT_APP_PASSWORD_ADD, "password-add", NEEDS_ADMIN | CHANGES_ACCOUNT, run_password_add},
    {VAULT_APP_PASSWORD_REVOKE, "password-revoke", NEEDS_ADMIN | CHANGES_ACCOUNT, run_password_revoke},
    {VAULT_BACKUP, "backup", NEEDS_ADMIN | NEEDS_FD | DIRECT, run_backup},
    {VAULT_STAT, "stat", NEEDS_ADMIN | DIRECT, run_stat},
    {VAULT_RESTORED, "restored", NEEDS_ADMIN, run_restored},
    {VAULT_KEY_REVOKED, "key-revoked", NEEDS_ADMIN | NEEDS_FD | CHANGES_ACCOUNT, run_key_revoked},
    {VAULT_KEY_CURRENT, "key-current", NEEDS_ADMIN | CHANGES_ACCOUNT, run_key_current},
    {VAULT_KEY_ENC_REVOKED, "key-enc-revoked", NEEDS_ADMIN | CHANGES_ACCOUNT, run_key_enc_revoked},
};

const struct verb *verb_find(uint32_t type)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (verbs[i].type == type)
            return &verbs[i];
    return NULL;
}
