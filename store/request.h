/* What clients ask of the vault, over ipc. Every request has an id and gets exactly one reply: u32 status (negated
 * ERR_), str text (for people, may be empty), then what the request
 * type says. The vault trusts no field. Encoding: base/wire. "admin": only on channels that master marked so. */
#ifndef STORE_REQUEST_H
#define STORE_REQUEST_H

#include "store/schema.h"

enum vault_request {
    /* ingest: u64 account, u32 mailbox, u8 kind, u8 policy, u64 internaldate, raw16 delivery id (zeros: none), raw16
     * thread, raw16 own_id, u32 expiry_hour, u64 flags,
     *         u32 nkeywords, str...; fd: parcel. Reply: u8 duplicate, u32 uidvalidity, u32 uid, u64 message, u64
     * modseq */
    VAULT_DELIVER = 1,
    /* access: u64 account, u32 mailbox, u8 op (0 set, 1 add, 2 remove), u64 flags (system bits), u8 n, n str
     * keywords, u64 unchangedsince (~0: none), u32 n, n times (u32 first, u32 last).
     * Reply: u64 modseq, u32 n, n times (u32 uid, u64 flags, u64 modseq) changed, u32 n, n times u32 uid failed by
     * unchangedsince. A set may name at most VAULT_SET_MAX ranges and UIDS. */
    VAULT_STORE_FLAGS,
    /* u64 account, u32 from, u32 to, u8 move, ranges. Reply: u32 uidvalidity of to, u64 modseq of from, u32 n, n
     * times (u32 old uid, u32 new uid). */
    VAULT_COPY,
    /* u64 account, u32 mailbox, u8 only_deleted, ranges. Reply: u64 modseq, u32 n, n times u32 uid. */
    VAULT_EXPUNGE,
    /* u64 account, str name, u8 use. Reply: u32 mailbox, u32 uidvalidity. Parents are made as well. */
    VAULT_MAILBOX_CREATE,
    VAULT_MAILBOX_DELETE,    /* u64 account, u32 mailbox */
    VAULT_MAILBOX_RENAME,    /* u64 account, u32 mailbox, str name (children move along; INBOX: its messages move to
                                a new mailbox) */
    VAULT_MAILBOX_SUBSCRIBE, /* u64 account, u32 mailbox, u8 on */
    /* access: u32 mailbox and u32 uid of a message that goes in the same commit, then as VAULT_DELIVER; fd: parcel.
     * Reply: as VAULT_DELIVER. ERR_NOT_FOUND also: the message is not there (any more). */
    VAULT_REPLACE,
    /* ingest: as VAULT_DELIVER, then bytes fpr, u8 events (enum key_event), u32 keys_version; fd: parcel. The notice is
     * delivered and its events are noted with the key in one commit; if they are noted already, the reply says
     * duplicate and nothing is stored: it takes no delivery id. ERR_CONFLICT also: the account's keys have changed
     * since keys_version, or the events have not happened. */
    VAULT_KEY_NOTICE,

    /* admin */
    VAULT_ACCOUNT_ADD = 50, /* str address, u8 policy, u64 quota, u8 trial, raw PGP_VERDICT_SIZE, u32 cert_len; fd:
                                certificate. Reply: u64 account. One commit with its mailboxes and key */
    VAULT_ACCOUNT_REMOVE,   /* u64 account. All of it goes, in batches, the address first */
    VAULT_ACCOUNT_SET,      /* u64 account, u8 policy (255: keep), u64 quota (~0: keep) */
    VAULT_ADDRESS_ADD,      /* str address, u8 kind, u64 account */
    VAULT_ADDRESS_REMOVE,   /* str address (not a primary one) */
    VAULT_DOMAIN_ADD,       /* str domain */
    VAULT_DOMAIN_REMOVE,
    VAULT_KEY_ADD,             /* u64 account, raw verdict, u32 cert_len; fd: certificate. Current from now on, others
                                stay as they are; a known fingerprint is renewed. Refused: a revoked one
                                (ERR_DENIED), one that no engine seals to together with a current one
                                (ERR_UNSUPPORTED) */
    VAULT_KEY_RETIRE,          /* u64 account, bytes fpr. The last current key is refused (ERR_CONFLICT) */
    VAULT_APP_PASSWORD_ADD,    /* u64 account, raw16 hash, u8 scope, raw32 stored_key, raw32 server_key, str label.
                                Reply: u32 number */
    VAULT_APP_PASSWORD_REVOKE, /* u64 account, u32 number */
    VAULT_BACKUP,              /* fd: an empty file open for writing. Reply when the compacted copy is synced: u64
                                bytes */
    VAULT_STAT,                /* Reply: u32 n, n times (str name, u64 value) */
    VAULT_RESTORED,            /* after a restore, before anything is served: every mailbox of every account gets a new,
                                larger UIDVALIDITY (old, then max(old, accounts' last) + 1 or the time, whichever is
                                larger). No payload */
    VAULT_KEY_REVOKED,         /* u64 account, bytes fpr, u32 cert_len; fd: the certificate with its revocation. Never
                                current again; the last current key too: mail then waits at its senders */
    VAULT_KEY_CURRENT,         /* as VAULT_KEY_RETIRE: a retired key seals again. Refused: as VAULT_KEY_ADD */
    VAULT_KEY_ENC_REVOKED,     /* as VAULT_KEY_RETIRE, the last one too: the encryption key is revoked */

    VAULT_REPLY = 200,
    /* vault -> every client, id 0, after a commit: u32 n, n times (u64 account, u32 mailbox (0: account-wide), u64
     * modseq, u32 exists). */
    VAULT_NOTICE,
};

/* Messages that one set may meet (a reply must fit into one message), and ranges that may name them, in any order. */
enum { VAULT_SET_MAX = 2048, VAULT_RANGES_MAX = 4096 };

#endif
