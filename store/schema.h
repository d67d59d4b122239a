/* Every key and every value of the store, versioned. Keys begin with one letter; integers in them are big-endian, so
 * that order is numeric. Values are written with core/wire and stand sealed, or clear with a tag, or are empty
 * (schema_table.h says which). docs/store-format.md says the same in prose. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include "store/engine.h"
#include "store/key_rules.h"
#include "store/records.h"

/* The schema, and the newest step of upgrades within it (store/upgrade.h). */
enum { SCHEMA_VERSION = 2, SCHEMA_STEP = 1 };

/* Partitions: 0 the instance, 1 the outgoing queue (store/queue.h), 2 the directory of published certificates
 * (store/published.h), accounts from 16 on. */
enum { PART_INSTANCE = 0, PART_QUEUE = 1, PART_KEYSERVER = 2, PART_ACCOUNT_FIRST = 16 };

/* Instance partition:
 *   'V'                      clear: struct schema_version: u32 schema, u64 created, 16 raw store uuid, u32 step
 *   'I'                      u64 next account id
 *   'C'                      what 'V' has: shows at once that a store key is another store's, or 'V' changed
 *   'S'                      u64: the commit's own number, written by the LMDB engine (see there)
 *   'a' hash16(address)      struct schema_address (addresses and aliases, lower-cased, domain in ASCII; "@domain":
 *                            catch-all)
 *   'd' hash16(domain)       u64 added, str domain
 *   'N' account8             str primary address         (the list of accounts)
 *   'Z' account8             empty: a partition that no 'N' names (any more, or yet): it is erased, step by step
 *   'L' hash16(domain)       struct schema_sent: what its accounts have sent (store/sending.h)
 *   'J' hash16(token)        struct invitation (store/signin.h)
 *   'D' hash16(domain) day4  struct dmarc_day: what others report of it (store/dmarc_day.h)
 *   'R'                      u64: after a restore, the first account whose mailboxes have no new UIDVALIDITY yet
 * Account partition:
 *   'A'                      struct schema_account
 *   'q'                      struct schema_usage
 *   'K' hash16(fingerprint)  struct schema_key: u8 version, u8 state, u64 added, u64 ended, u64 2^62 + number
 *                            of the blob with the sealed certificate, u32 cert_len, raw 32 its hash, raw verdict, u8
 *                            noticed, u8 n, n times (u8 length, raw 32 fingerprint of a former encryption key, padded
 *                            with zeros)
 *   'G'                      u8 version, u32 keys_version, raw 64: the approval of the certificates
 *   'P' hash16               struct schema_app_password
 *   'O'                      struct signin (store/signin.h)
 *   'W' kind1 hash16(id) n4  octets of an envelope; the first piece begins with struct wrapped
 *   'o' hash16(token)        struct session
 *   'E' number4              struct factor
 *   'L'                      struct schema_sent
 *   'l' bucket4              u8 version, u32 n, n times (raw 8 hash of a recipient, u16 day): those written to
 *   'f' bucket4              the same of those who have written to it
 *   'y'                      struct schema_complaints
 *   'r' hash16(address)      struct correspondent (store/correspondent.h)
 *   'i' hash16(address)      struct correspondent, of keys that came with mail
 *   'U'                      struct correspondents
 *   'B' mailbox4             struct schema_mailbox_name
 *   'b' mailbox4             struct schema_mailbox
 *   'F' number4              u32 entries that carry it, str: a keyword
 *   's' hash16(name)         str name: a subscription, whether there is such a mailbox or not
 *   'k' mailbox4 block4      struct schema_block: UIDs block*1024 .. +1023
 *   'u' mailbox4 uid4        struct schema_entry
 *   'x' mailbox4 modseq8     struct schema_tombstones: u32 n, n times (u32 first, u32 last)
 *   'w' mailbox4 modseq8 uid4  empty: the change index (CONDSTORE); one key a message, moved on change
 *   'm' message8             sealed: struct schema_message with its outer header
 *   'n'                      u8 version: a fence (store/fence.h)
 *   'D' id16                 sealed: struct schema_delivery: delivered already
 *   'e' day4 id16            empty: the index by which they expire after 7 days
 *   'Z' mailbox4             struct schema_job: a mailbox that is being erased (it has neither 'B' nor 'b' any more) or
 *                            emptied, step by step
 *   'Y' number8 uid4         struct schema_copy: u32 mailbox, u32 last UID: what a copy in pieces has put there, until
 *                            its last piece
 *   'X' hour4 message8       expiry index (expiry seal reserved: schema_message.expiry_*)
 * Queue partition (store/queue.h):
 *   'Q' id8                  struct queue_envelope
 *   'T' id8 n4               struct queue_recipient
 *   'M' id8                  struct schema_message
 *   'D' hash16               a key that signs
 *   'S' hash16               struct suppressed (store/suppression.h)
 *   'p' hash16               struct sts_policy (store/sts_policy.h)
 *   't' hash16               struct tls_tally (store/tls_tally.h)
 *   'H' account8             struct schema_hold (store/sending.h)
 * Keyserver partition (store/published.h):
 *   'p' hash16(address)      struct published, with the front of its certificate
 *   'c' hash16(address) n4   octets of the rest
 *   'w' hash16(domain, WKD's hash) hash16(address)  empty: the index by which WKD asks
 *   'f' hash16(fingerprint or key id) hash16(address)  empty: the index by keys
 *   'l' number8              struct published_change
 *   'h'                      struct published_head
 *   'u' hash16(address) place4    struct upload, without its certificate (store/upload.h)
 *   'v' hash16(address) n4   octets of its certificate; n: 13 a place
 *   'x' until8 hash16(address) place4  empty: the index by which they go
 *   'n'                      struct upload_head
 * Blobs of an account (store/blob.h): a message's head and body under its id (store/content.h), certificates under
 * numbers from the same counter (store/sealed_blob.h), fences (store/fence.h). */

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
struct slice key_u64_u32(struct schema_keybuf *k, char letter, uint64_t a, uint32_t b);
struct slice key_u32_hash(struct schema_keybuf *k, char letter, uint32_t a, const uint8_t hash[RECORD_HASH_SIZE]);
struct slice key_u64(struct schema_keybuf *k, char letter, uint64_t v);
struct slice key_hash_u32(struct schema_keybuf *k, char letter, const uint8_t hash[RECORD_HASH_SIZE], uint32_t v);
/* Of a certificate, by its primary key's fingerprint. */
struct slice key_certificate(struct schema_keybuf *k, const struct record_keys *keys, uint64_t account,
                             const uint8_t *fpr, size_t len);
/* The first key after all that begin with prefix: the end of a scan. Empty (the partition's end) if there is none. */
struct slice key_after(struct schema_keybuf *k, struct slice prefix);
/* The keys of an address ("@domain": catch-all) and of a domain, both normalized. */
struct slice key_address(struct schema_keybuf *k, const struct record_keys *keys, const char *address);
struct slice key_domain(struct schema_keybuf *k, const struct record_keys *keys, const char *domain);

struct slice key_subscription(struct schema_keybuf *k, const struct record_keys *keys, uint64_t account,
                              const char *name);

/* Values. get: OK, ERR_NOT_FOUND, ERR_FORMAT/ERR_CRYPTO (a damaged store), ERR_VERSION, ERR_DENIED (k has not the key
 * of the record's use). put: as engine_put. t may be a snapshot or a group. */
struct schema_version {
    uint64_t created;
    uint8_t uuid[16];
    uint32_t step; /* the last step of upgrades that was done */
};
/* Of a store with at most so many steps. ERR_VERSION: newer; ERR_OLD: of schema 1; ERR_NOT_FOUND: no store. */
int schema_get_version(struct engine_txn *t, uint32_t newest_step, struct schema_version *ret);
int schema_get_uuid(struct engine_txn *t, uint8_t ret[16]);
int schema_put_version(struct engine_txn *group, const struct record_keys *k, const struct schema_version *v);
/* Also that 'C' opens and says what 'V' says. ERR_CRYPTO: not the key this store is sealed under; ERR_FORMAT: 'V' was
 * changed. */
int schema_check_key(struct engine_txn *t, const struct record_keys *k);
/* Also that nothing is to be upgraded: ERR_UPGRADE. */
int schema_check(struct engine_txn *t, const struct record_keys *k);
/* Version, uuid, next account id and key check into an empty store. ERR_EXISTS: there is one (of whatever version). */
int schema_init(struct engine_txn *group, const struct record_keys *k, uint64_t now);
int schema_next_account_id(struct engine_txn *t, const struct record_keys *k, uint64_t *ret);
int schema_take_account_id(struct engine_txn *group, const struct record_keys *k, uint64_t *ret);
int schema_get_account(struct engine_txn *t, const struct record_keys *k, uint64_t account, struct schema_account *ret);
int schema_put_account(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                       const struct schema_account *v);
int schema_get_address(struct engine_txn *t, const struct record_keys *k, const char *address,
                       struct schema_address *ret);
int schema_put_address(struct engine_txn *t, const struct record_keys *k, const struct schema_address *v);
int schema_get_domain(struct engine_txn *t, const struct record_keys *k, const char *domain, uint64_t *ret_added);
int schema_put_domain(struct engine_txn *t, const struct record_keys *k, const char *domain, uint64_t added);
int schema_put_listed(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                      const char *address); /* 'N' */
int schema_get_usage(struct engine_txn *t, const struct record_keys *k, uint64_t account, struct schema_usage *ret);
int schema_put_usage(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_usage *v);
int schema_get_mailbox_name(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                            struct schema_mailbox_name *ret);
int schema_put_mailbox_name(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                            const struct schema_mailbox_name *v);
int schema_get_mailbox(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                       struct schema_mailbox *ret);
int schema_put_mailbox(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                       const struct schema_mailbox *v);
int schema_get_block(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                     uint32_t block, struct schema_block *ret); /* absent: zeros */
int schema_put_block(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                     uint32_t block, const struct schema_block *v); /* empty: deletes */
int schema_get_entry(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                     uint32_t uid, struct schema_entry *ret);
int schema_put_entry(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                     uint32_t uid, const struct schema_entry *v);
/* What stands in v->facts, which is its own place's, and how it comes there. */
int schema_entry_facts(const struct record_keys *k, uint64_t account, uint32_t mailbox, uint32_t uid,
                       const struct schema_entry *v, struct schema_facts *ret);
void schema_entry_set_facts(const struct record_keys *k, uint64_t account, uint32_t mailbox, uint32_t uid,
                            const struct schema_facts *facts, struct schema_entry *v);
int schema_put_tombstones(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t mailbox,
                          const struct schema_tombstones *v);
int schema_put_job(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_job *v);
int schema_put_copy(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_copy *v);
int schema_get_restored(struct engine_txn *t, const struct record_keys *k, uint64_t *ret); /* the next account */
int schema_put_restored(struct engine_txn *t, const struct record_keys *k, uint64_t next);
/* outer_buf (SCHEMA_OUTER_MAX) receives the opened outer header; NULL: not wanted, and ret->outer is then empty. put
 * needs v->outer whole. */
int schema_get_message(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint64_t message,
                       struct schema_message *ret, uint8_t *outer_buf);
int schema_put_message(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                       const struct schema_message *v);
/* For scans: key and value as the scan gives them; ret->outer is empty. */
int schema_unpack_message(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                          struct schema_message *ret);
int schema_get_delivery(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                        const uint8_t id[RECORD_HASH_SIZE], struct schema_delivery *ret);
int schema_put_delivery(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                        const uint8_t id[RECORD_HASH_SIZE], const struct schema_delivery *d);
int schema_unpack_key(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                      struct schema_key *ret);
int schema_put_key(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_key *v);
/* All of an account's, by the time they were added, then by fingerprint; ret is also written when it fails. */
int schema_get_keys(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                    struct schema_key ret[PGP_KEYS_MAX], size_t *ret_n);
/* 'G': the approval of all of them, and of which keys_version it is. */
int schema_get_approval(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t *ret_keys_version,
                        uint8_t ret[APPROVAL_SIZE]);
/* Whether that is the approval of these keys, which are all of the account's. ERR_UNAPPROVED */
int schema_check_approval(struct engine_txn *t, const struct record_keys *k, const struct schema_account *account,
                          const struct key_set *keys);
int schema_put_approval(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint32_t keys_version,
                        const uint8_t approval[APPROVAL_SIZE]);
/* The certificate beside a key record. get: buf has key->cert_len bytes at least; ERR_CRYPTO also: it is not the one of
 * which the record has the hash. */
int schema_put_cert(struct engine_txn *t, const struct record_keys *k, uint64_t account, uint64_t number,
                    struct slice cert);
/* ERR_UNAPPROVED: it is another one than its record names. */
int schema_get_cert(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_key *key,
                    uint8_t *buf, size_t *ret_len);
/* For scans: key and value as the scan gives them. */
int schema_unpack_entry(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                        struct schema_entry *ret);
int schema_unpack_block(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                        struct schema_block *ret);
int schema_unpack_mailbox(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                          struct schema_mailbox *ret);
int schema_unpack_tombstones(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                             struct schema_tombstones *ret);
int schema_unpack_job(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                      struct schema_job *ret);
int schema_unpack_copy(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                       struct schema_copy *ret);
int schema_unpack_address(const struct record_keys *k, struct slice key, struct slice value,
                          struct schema_address *ret);
int schema_unpack_domain(const struct record_keys *k, struct slice key, struct slice value, char ret_domain[DOMAIN_CAP],
                         uint64_t *ret_added);
int schema_unpack_listed(const struct record_keys *k, struct slice key, struct slice value, uint64_t *ret_account,
                         char ret_address[ADDRESS_MAX]);
int schema_unpack_mailbox_name(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                               struct schema_mailbox_name *ret);
/* All of them; numbers that are free have no text. */
int schema_get_keywords(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                        struct schema_keywords *ret);
int schema_put_keyword(struct engine_txn *t, const struct record_keys *k, uint64_t account, unsigned number,
                       const struct schema_keyword *v); /* that no entry carries: deletes */
int schema_put_subscription(struct engine_txn *t, const struct record_keys *k, uint64_t account, const char *name);
int schema_unpack_subscription(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                               char ret_name[MAILBOX_NAME_MAX]);
int schema_unpack_app_password(const struct record_keys *k, uint64_t account, struct slice key, struct slice value,
                               struct schema_app_password *ret);
int schema_put_app_password(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                            const uint8_t hash[RECORD_HASH_SIZE], const struct schema_app_password *v);

#endif
