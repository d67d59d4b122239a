/* Every key and every value of the store, versioned. Keys begin with one letter; integers in them are big-endian, so
 * that order is numeric. Values are written with base/wire; those that name something are sealed under the store key
 * (crypto/record), their place being (partition, key). docs/store-format.md says the same in prose. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/pgp_cert.h"
#include "crypto/record.h"
#include "server/core/wire.h"
#include "server/format/outer.h"
#include "store/engine.h"

enum { SCHEMA_VERSION = 1 };

/* Partitions: 0 the instance, 1 the outgoing queue (reserved for relay), accounts from 16 on. */
enum { PART_INSTANCE = 0, PART_QUEUE = 1, PART_ACCOUNT_FIRST = 16 };

/* Instance partition:
 *   'V'                      version: u32 schema, u64 created, 16 raw store uuid
 *   'I'                      u64 next account id
 *   'C'                      sealed: 16 raw store uuid: shows at once that a store key is another store's
 *   'S'                      u64: the commit's own number, written by the LMDB engine (see there)
 *   'a' hash16(address)      sealed: struct schema_address (addresses and aliases, lower-cased, domain in ASCII;
 *                            "@domain": catch-all)
 *   'd' hash16(domain)       sealed: u64 added, str domain
 *   'N' account8             sealed: str primary address         (the list of accounts)
 *   'Z' account8             empty: an account that is being erased, step by step
 * Account partition:
 *   'A'                      sealed: struct schema_account
 *   'q'                      struct schema_usage
 *   'K' fpr                  struct schema_key: u8 state, u64 added, u64 ended, u64 blob (KEY_BLOB | n, the sealed
 *                            certificate), u32 cert_len, raw verdict, u8 noticed, u8 n, n times (u8 length, raw 32
 *                            fingerprint of a former encryption key, padded with zeros)
 *   'P' hash16               struct schema_app_password, label sealed
 *   'B' mailbox4             sealed: struct schema_mailbox_name
 *   'b' mailbox4             struct schema_mailbox
 *   'k' mailbox4 block4      struct schema_block: UIDs block*1024 .. +1023
 *   'u' mailbox4 uid4        struct schema_entry
 *   'x' mailbox4 modseq8     tombstones: u32 n, n times (u32 first, u32 last)
 *   'w' mailbox4 modseq8 uid4  empty: the change index (CONDSTORE); one key a message, moved on change
 *   'm' message8             struct schema_message; the outer header is sealed inside it
 *   'D' id16                 u64 time, u64 message, u32 mailbox, u32 uidvalidity, u32 uid, u64 modseq:
 *                            delivered already
 *   'e' day4 id16            empty: the index by which they expire after 7 days
 *   'Z' mailbox4             u8 enum mailbox_job, u32 to, u32 end of UIDs: a mailbox that is being erased (it has
 *                            neither 'B' nor 'b' any more) or emptied, step by step
 *   'X' hour4 message8       expiry index (expiry seal reserved: schema_message.expiry_*)
 * Blobs of an account: id = message id: the packets; CAPSULE_BLOB | id: the capsule; KEY_BLOB | n: a sealed
 * certificate. Every chunk but a blob's last is full. A certificate's chunks are sealed one by one, their place being
 * (partition, 'K', blob, chunk number, certificate length). */

#define CAPSULE_BLOB (UINT64_C(1) << 63)
#define KEY_BLOB (UINT64_C(1) << 62)

enum {
    ADDRESS_MAX = 320,
    DOMAIN_CAP = 256,
    MAILBOX_NAME_MAX = 512,
    MAILBOXES_MAX = 2000,
    KEYWORDS_MAX = 32,
    KEYWORD_LEN_MAX = 64,
    LABEL_MAX = 128
};

enum address_kind { ADDRESS_PRIMARY = 1, ADDRESS_ALIAS = 2, ADDRESS_CATCH_ALL = 3 };
struct schema_address {
    uint64_t account;
    uint8_t kind;
    char address[ADDRESS_MAX];
};

struct schema_account {
    uint64_t id, created, quota_bytes /* 0: none */;
    uint8_t policy;            /* enum header_policy, and POLICY_DISPLAY */
    uint8_t trial_key;         /* made by --new-key */
    uint32_t keys_version;     /* grows whenever keys change: readers cache by it */
    uint32_t uidvalidity_last; /* only grows, across delete and re-create */
    uint32_t mailbox_next;
    uint64_t message_next;
    uint8_t auth_salt[16];
    uint32_t auth_iterations; /* SCRAM, one an account */
    uint8_t pseudonym_key[32];
    uint32_t password_next;    /* the next app password's number: none is used again */
    char address[ADDRESS_MAX]; /* primary */
};
struct schema_usage {
    uint64_t bytes, messages;
};

enum key_state {
    KEY_CURRENT = 1,
    KEY_RETIRED = 2,
    KEY_REVOKED = 3,    /* the certificate: never current again */
    KEY_ENC_REVOKED = 4 /* its encryption key: current again only with another one */
};
/* Which notices its reader has had. */
enum key_event { KEY_EVENT_EXPIRING = 1, KEY_EVENT_EXPIRED = 2, KEY_EVENT_REVOKED = 4 };
enum { KEY_FORMER_MAX = 16 };
struct schema_key {
    uint8_t state;
    uint64_t added, ended /* retired or revoked; 0: current */, blob;
    uint32_t cert_len;
    struct pgp_verdict verdict;
    uint8_t noticed, nformer;
    struct {
        uint8_t fpr[PGP_FPR_MAX], fpr_len;
    } former[KEY_FORMER_MAX]; /* encryption keys that sealed before a
                                                                            renewal, oldest first: of old mail */
};

enum { SCOPE_IMAP = 1, SCOPE_POP3 = 2, SCOPE_SMTP = 4 };
struct schema_app_password {
    uint8_t scope;
    uint64_t created;
    uint32_t number;                        /* what `list` shows and `revoke` takes */
    uint8_t stored_key[32], server_key[32]; /* SCRAM-SHA-256 */
    char label[LABEL_MAX];
};

/* SPECIAL-USE (RFC 6154), as bits. */
enum { USE_DRAFTS = 1, USE_SENT = 2, USE_JUNK = 4, USE_TRASH = 8, USE_ARCHIVE = 16 };
enum { MAILBOX_INBOX = 1 };
struct schema_mailbox_name {
    char name[MAILBOX_NAME_MAX]; /* UTF-8, "/" between levels */
    uint8_t use, subscribed;
    uint8_t nkeywords;
    char keywords[KEYWORDS_MAX][KEYWORD_LEN_MAX + 1];
};
struct schema_mailbox {
    uint32_t id, uidvalidity, uidnext, exists, unseen, deleted, first_unseen_hint /* no unseen UID below it */;
    uint64_t highestmodseq, bytes, created, tombstones_from /* QRESYNC knows expunges after this modseq */;
};

/* Flags of a message: system bits, then keyword i of its mailbox at bit FLAG_KEYWORD0 + i. */
enum {
    FLAG_SEEN = 1,
    FLAG_ANSWERED = 2,
    FLAG_FLAGGED = 4,
    FLAG_DELETED = 8,
    FLAG_DRAFT = 16,
    FLAGS_SYSTEM = FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT,
    FLAG_KEYWORD0 = 32 /* bit 5 */
};
#define FLAG_KEYWORD(i) (UINT64_C(32) << (i))

enum { BLOCK_UIDS = 1024, BLOCK_BITMAP = BLOCK_UIDS / 8 };
struct schema_block {
    uint16_t count, unseen, deleted;
    uint8_t here[BLOCK_BITMAP], seen[BLOCK_BITMAP], answered[BLOCK_BITMAP], flagged[BLOCK_BITMAP],
        deleted_bits[BLOCK_BITMAP], draft[BLOCK_BITMAP];
};
struct schema_entry {
    uint64_t message, flags, modseq, size /* rendered octets */, internaldate;
};

enum { MESSAGE_FPRS_MAX = 16, MESSAGE_FPR_SIZE = 20 };
struct schema_message {
    uint64_t id;
    uint32_t references /* mailbox entries */;
    uint8_t kind, render_version;
    uint64_t packets_len;
    uint32_t capsule_len, outer_len;
    uint64_t size;     /* rendered octets */
    uint64_t received; /* seconds since 1970 */
    uint8_t thread[RECORD_HASH_SIZE], own_id[RECORD_HASH_SIZE];
    uint8_t expiry_scheme; /* 0: none; 1 reserved: sealed once more under the hourly expiry key */
    uint32_t expiry_hour;  /* hours since 1970; 0: never */
    uint32_t keys_used;    /* of pgp_check_result, by the order of fprs below */
    uint8_t nfprs;
    uint8_t fprs[MESSAGE_FPRS_MAX][MESSAGE_FPR_SIZE]; /* of the account's encryption keys that it is
                                                                       sealed to: the fingerprints' first octets */
    struct slice outer; /* plaintext outer header, outer_len bytes; unpack puts it into the caller's buffer */
};

/* Keys. Each writes into out (ENGINE_KEY_MAX) and returns the slice. */
struct schema_keybuf {
    uint8_t b[ENGINE_KEY_MAX];
};
struct slice key_simple(struct schema_keybuf *k, char letter);
struct slice key_hash(struct schema_keybuf *k, char letter, const uint8_t hash[RECORD_HASH_SIZE]);
struct slice key_u32(struct schema_keybuf *k, char letter, uint32_t v);
struct slice key_u32_u32(struct schema_keybuf *k, char letter, uint32_t a, uint32_t b);
struct slice key_u32_u64(struct schema_keybuf *k, char letter, uint32_t a, uint64_t b);
struct slice key_u32_u64_u32(struct schema_keybuf *k, char letter, uint32_t a, uint64_t b, uint32_t c);
struct slice key_u32_hash(struct schema_keybuf *k, char letter, uint32_t a, const uint8_t hash[RECORD_HASH_SIZE]);
struct slice key_u64(struct schema_keybuf *k, char letter, uint64_t v);
struct slice key_fpr(struct schema_keybuf *k, const uint8_t *fpr, size_t len);
/* The first key after all that begin with prefix: the end of a scan. Empty (the partition's end) if there is none. */
struct slice key_after(struct schema_keybuf *k, struct slice prefix);
/* The keys of an address ("@domain": catch-all) and of a domain, both normalized. */
struct slice key_address(struct schema_keybuf *k, const struct record_keys *keys, const char *address);
struct slice key_domain(struct schema_keybuf *k, const struct record_keys *keys, const char *domain);

/* Values. get: OK, ERR_NOT_FOUND, ERR_FORMAT/ERR_CRYPTO (a damaged store), ERR_VERSION. put: as engine_put. t may be a
 * snapshot or a group. */
/* ERR_VERSION: newer; ERR_NOT_FOUND: no store. ret_uuid may be NULL */
int schema_check_version(struct engine_txn *t, uint8_t ret_uuid[16]);
/* ERR_CRYPTO: not the key this store is sealed under */
int schema_check_key(struct engine_txn *t, const struct record_keys *k);
/* Version, uuid, next account id and key check into an empty store. ERR_EXISTS: there is one (of whatever version). */
int schema_init(struct engine_txn *group, const struct record_keys *k, uint64_t now);
int schema_take_account_id(struct engine_txn *group, uint64_t *ret);
int schema_get_account(struct engine_txn *t, const struct record_keys *k, uint64_t account, struct schema_account *ret);
int schema_put_account(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                       const struct schema_account *v);
int schema_get_address(struct engine_txn *t, const struct record_keys *k, const char *address,
                       struct schema_address *ret);
int schema_put_address(struct engine_txn *t, const struct record_keys *k, const struct schema_address *v);
int schema_get_domain(struct engine_txn *t, const struct record_keys *k, const char *domain, uint64_t *ret_added);
int schema_put_domain(struct engine_txn *t, const struct record_keys *k, const char *domain, uint64_t added);
int schema_put_listed(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                      const char *address);                                             /* 'N' */
int schema_get_usage(struct engine_txn *t, uint64_t account, struct schema_usage *ret); /* absent: zeros */
int schema_put_usage(struct engine_txn *t, uint64_t account, const struct schema_usage *v);
int schema_get_mailbox_name(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                            struct schema_mailbox_name *ret);
int schema_put_mailbox_name(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                            const struct schema_mailbox_name *v);
int schema_get_mailbox(struct engine_txn *t, uint64_t account, uint32_t mailbox, struct schema_mailbox *ret);
int schema_put_mailbox(struct engine_txn *t, uint64_t account, const struct schema_mailbox *v);
int schema_get_block(struct engine_txn *t, uint64_t account, uint32_t mailbox, uint32_t block,
                     struct schema_block *ret); /* absent: zeros */
int schema_put_block(struct engine_txn *t, uint64_t account, uint32_t mailbox, uint32_t block,
                     const struct schema_block *v); /* empty: deletes */
int schema_get_entry(struct engine_txn *t, uint64_t account, uint32_t mailbox, uint32_t uid, struct schema_entry *ret);
int schema_put_entry(struct engine_txn *t, uint64_t account, uint32_t mailbox, uint32_t uid,
                     const struct schema_entry *v);
/* outer_buf (SCHEMA_OUTER_MAX) receives the opened outer header; NULL: not wanted, and ret->outer is then empty. put
 * needs v->outer whole. */
enum { SCHEMA_OUTER_MAX = 15 * 1024 };
int schema_get_message(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint64_t message,
                       struct schema_message *ret, uint8_t *outer_buf);
int schema_put_message(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                       const struct schema_message *v);
/* For scans: key and value as the scan gives them; the outer header stays sealed. */
int schema_unpack_message(struct slice key, struct slice value, struct schema_message *ret);
int schema_unpack_entry(struct slice value, struct schema_entry *ret); /* for scans */
int schema_unpack_block(struct slice value, struct schema_block *ret);
int schema_unpack_mailbox(struct slice value, struct schema_mailbox *ret);
int schema_unpack_key(struct slice value, struct schema_key *ret);
int schema_put_key(struct engine_txn *t, uint64_t account, const struct schema_key *v);
/* The certificate beside a key record. get: buf has key->cert_len bytes at least. */
int schema_put_cert(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint64_t blob,
                    struct slice cert);
int schema_get_cert(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_key *key,
                    uint8_t *buf, size_t *ret_len);
/* For scans: key and value as the scan gives them. */
int schema_unpack_address(const struct record_keys *k, struct slice key, struct slice value,
                          struct schema_address *ret);
int schema_unpack_domain(const struct record_keys *k, struct slice key, struct slice value, char ret_domain[DOMAIN_CAP],
                         uint64_t *ret_added);
int schema_unpack_listed(const struct record_keys *k, struct slice key, struct slice value, uint64_t *ret_account,
                         char ret_address[ADDRESS_MAX]);
int schema_unpack_mailbox_name(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                               struct schema_mailbox_name *ret);
/* k NULL: the label is not wanted. */
int schema_unpack_app_password(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                               struct schema_app_password *ret);
int schema_put_app_password(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                            const uint8_t hash[RECORD_HASH_SIZE], const struct schema_app_password *v);

/* Lower-cases, checks and splits an address; UTF-8 allowed (SMTPUTF8), the domain goes to ASCII through libidn2.
 * ERR_FORMAT. plus: where the detail ("+...") begins in the local part, or 0. */
int address_normalize(const char *in, size_t len, char out[ADDRESS_MAX], size_t *ret_at, size_t *ret_plus);
/* A domain to lower-case ASCII. ERR_FORMAT: also address literals, empty labels and a trailing dot. */
int domain_normalize(const char *in, size_t len, char out[DOMAIN_CAP]);

/* An app password as typed (any case, blanks and dashes ignored) to the hash that finds it. */
int app_password_hash(const struct record_keys *k, uint64_t account, const char *password, size_t len,
                      uint8_t out[RECORD_HASH_SIZE]);

#endif
