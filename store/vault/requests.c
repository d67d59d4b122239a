/* The table of everything that can be asked, and by whom. What each request holds, store/request.c knows: one that is
 * not exactly so ends its channel. */
#include "store/vault/vault.h"

enum {
    INGEST = VAULT_MAY_INGEST,
    ACCESS = VAULT_MAY_ACCESS,
    ADMIN = VAULT_MAY_ADMIN,
    RELAY = VAULT_MAY_RELAY,
    WEB = VAULT_MAY_WEB
};

static const struct verb verbs[] = {
    {VAULT_DELIVER, "deliver", INGEST | ACCESS, NEEDS_FD | GROWS, run_deliver},
    {VAULT_STORE_FLAGS, "store-flags", ACCESS, 0, run_store_flags},
    {VAULT_COPY, "copy", ACCESS, GROWS, run_copy, vault_copy_stored},
    {VAULT_EXPUNGE, "expunge", ACCESS, 0, run_expunge},
    {VAULT_MAILBOX_CREATE, "mailbox-create", ACCESS, CHANGES_ACCOUNT | GROWS, run_mailbox_create, NULL, MANY_ENTRIES},
    {VAULT_MAILBOX_DELETE, "mailbox-delete", ACCESS, CHANGES_ACCOUNT, run_mailbox_delete, NULL, MANY_ENTRIES},
    {VAULT_MAILBOX_RENAME, "mailbox-rename", ACCESS, CHANGES_ACCOUNT, run_mailbox_rename, NULL, VAULT_SET_MAX},
    {VAULT_MAILBOX_SUBSCRIBE, "mailbox-subscribe", ACCESS, CHANGES_ACCOUNT, run_mailbox_subscribe, NULL, MANY_ENTRIES},
    {VAULT_REPLACE, "replace", ACCESS, NEEDS_FD | GROWS, run_deliver},
    {VAULT_KEY_NOTICE, "key-notice", INGEST, NEEDS_FD | GROWS, run_key_notice},
    {VAULT_DELIVERED_SEEN, "delivered-seen", INGEST | ACCESS, RIDES, run_delivered_seen},
    {VAULT_COPY_UNDO, "copy-undo", ACCESS, 0, run_copy_undo, NULL, MANY_ENTRIES},
    {VAULT_ACCOUNT_ADD, "account-add", ADMIN, NEEDS_FD | STEPS, run_account_add},
    {VAULT_ACCOUNT_REMOVE, "account-remove", ADMIN, STEPS, run_account_remove},
    {VAULT_ACCOUNT_SET, "account-set", ADMIN, CHANGES_ACCOUNT, run_account_set},
    {VAULT_ADDRESS_ADD, "address-add", ADMIN, CHANGES_ACCOUNT, run_address_add},
    {VAULT_ADDRESS_REMOVE, "address-remove", ADMIN, 0, run_address_remove},
    {VAULT_DOMAIN_ADD, "domain-add", ADMIN, 0, run_domain_add},
    {VAULT_DOMAIN_REMOVE, "domain-remove", ADMIN, 0, run_domain_remove},
    {VAULT_KEY_ADD, "key-add", ADMIN, NEEDS_FD | CHANGES_ACCOUNT, run_key_add},
    {VAULT_KEY_RETIRE, "key-retire", ADMIN, CHANGES_ACCOUNT, run_key_retire},
    {VAULT_APP_PASSWORD_ADD, "password-add", WEB | ADMIN, CHANGES_ACCOUNT, run_password_add},
    {VAULT_APP_PASSWORD_REVOKE, "password-revoke", WEB | ADMIN, CHANGES_ACCOUNT, run_password_revoke},
    {VAULT_BACKUP, "backup", ADMIN, NEEDS_FD | DIRECT | ANY_STEP, run_backup},
    {VAULT_STAT, "stat", ADMIN, DIRECT | ANY_STEP, run_stat},
    {VAULT_RESTORED, "restored", ADMIN, STEPS, run_restored},
    {VAULT_KEY_REVOKED, "key-revoked", ADMIN, NEEDS_FD | CHANGES_ACCOUNT, run_key_revoked},
    {VAULT_KEY_CURRENT, "key-current", ADMIN, MAY_FD | CHANGES_ACCOUNT, run_key_current},
    {VAULT_KEY_ENC_REVOKED, "key-enc-revoked", ADMIN, CHANGES_ACCOUNT, run_key_enc_revoked},
    {VAULT_UPGRADE, "upgrade", ADMIN, STEPS | ANY_STEP, run_upgrade},
    {VAULT_QUEUE_ADD, "queue-add", INGEST, NEEDS_FD | GROWS, run_queue_add, queue_stored},
    {VAULT_QUEUE_UPDATE, "queue-update", RELAY | ADMIN, 0, run_queue_update, queue_stored},
    {VAULT_COMPLAINT, "complaint", INGEST, 0, run_complaint, queue_stored},
    {VAULT_CORRESPONDENT_PUT, "correspondent-put", INGEST | ADMIN, GROWS, run_correspondent_put},
    {VAULT_CORRESPONDENT_DEL, "correspondent-del", ADMIN, 0, run_correspondent_del},
    {VAULT_DMARC_REPORT, "dmarc-report", INGEST, GROWS, run_dmarc_report},
    {VAULT_DKIM_PUT, "dkim-put", ADMIN, 0, run_dkim_put},
    {VAULT_DKIM_DEL, "dkim-del", ADMIN, 0, run_dkim_del},
    {VAULT_ACCOUNT_HOLD, "account-hold", ADMIN, CHANGES_ACCOUNT, run_account_hold, queue_stored},
    {VAULT_SUPPRESS_PUT, "suppress-put", RELAY | ADMIN, GROWS, run_suppress_put, queue_stored},
    {VAULT_SUPPRESS_DEL, "suppress-del", RELAY | ADMIN, 0, run_suppress_del, queue_stored},
    {VAULT_STS_PUT, "sts-put", RELAY, GROWS, run_sts_put, queue_stored},
    {VAULT_STS_DEL, "sts-del", RELAY, 0, run_sts_del, queue_stored},
    {VAULT_TALLY_PUT, "tally-put", RELAY, GROWS, run_tally_put, queue_stored},
    {VAULT_TALLY_DEL, "tally-del", RELAY, 0, run_tally_del, queue_stored},
    {VAULT_KEY_PUBLISH, "key-publish", ADMIN, 0, run_key_publish},
    {VAULT_UPLOAD_ADD, "upload-add", INGEST, GROWS, run_upload_add},
    {VAULT_UPLOAD_CONFIRM, "upload-confirm", WEB | INGEST, 0, run_upload_confirm},
    {VAULT_SIGNIN_SET, "signin-set", WEB, MAY_FD, run_signin_set},
    {VAULT_WRAPPED_PUT, "wrapped-put", WEB, MAY_FD | GROWS, run_wrapped_put},
    {VAULT_SESSION_ADD, "session-add", WEB, 0, run_session_add},
    {VAULT_SESSION_USED, "session-used", WEB, 0, run_session_used},
    {VAULT_SESSION_DEL, "session-del", WEB | ADMIN, 0, run_session_del},
    {VAULT_FACTOR_PUT, "factor-put", WEB, GROWS, run_factor_put},
    {VAULT_FACTOR_DEL, "factor-del", WEB | ADMIN, 0, run_factor_del},
    {VAULT_FACTOR_USED, "factor-used", WEB, 0, run_factor_used},
    {VAULT_INVITE_PUT, "invite-put", ADMIN, GROWS, run_invite_put},
    {VAULT_INVITE_DEL, "invite-del", ADMIN, 0, run_invite_del},
};

const struct verb *verb_find(uint32_t type)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (verbs[i].type == type)
            return &verbs[i];
    return NULL;
}
