/* The read side: what ingest, access and the command line see of the store, through snapshots of one turn. Nothing here
 * writes. */
#ifndef STORE_VIEW_H
#define STORE_VIEW_H

#include "store/complaint.h"
#include "store/contact.h"
#include "store/correspondent.h"
#include "store/dkim.h"
#include "store/dmarc_day.h"
#include "store/published.h"
#include "store/records.h"
#include "store/sending.h"
#include "store/signin.h"
#include "store/sts_policy.h"
#include "store/suppression.h"
#include "store/tls_tally.h"

struct view;
struct engine;

/* Opens DIR/store read-only; before the sandbox. the keys are copied. ERR_VERSION, ERR_NOT_FOUND (no
 * store yet), ERR_CRYPTO (another store's key), ERR_CONFLICT (a copied or restored store that no vault has opened yet),
 * ERR_OVERRUN, ERR_IO. */
int view_open(const char *dir, const struct record_bundle *keys, uint32_t turn_ms, struct view **ret);
/* Over an engine already open, for tests and the vault (not owned). */
int view_over(struct engine *e, const struct record_keys *keys, struct view **ret);
void view_close(struct view *v);
const struct record_keys *view_keys(const struct view *v);

/* Runs fn in a snapshot. If the snapshot lived too long, what fn returned is void and fn runs again in a new one: it
 * must begin anew each time. Gives back what fn returned; ERR_OVERRUN: every one of VIEW_TRIES snapshots lived too
 * long, nothing is known, and trying later may help; ERR_MEMORY, ERR_IO: none could be had; ERR_CONFLICT: they do not
 * nest. */
enum { VIEW_TRIES = 5 };
int view_run(struct view *v, int (*fn)(void *arg, struct view *v), void *arg);
uint64_t view_overruns(const struct view *v); /* snapshots that lived too long, ever */

/* All below are asked inside view_run: without a snapshot they answer ERR_CONFLICT. What is damaged is ERR_FORMAT or
 * ERR_CRYPTO; a snapshot over its turn ERR_OVERRUN, which view_run sees to. */

/* Where mail for this address goes: exact, then without its plus detail, then the domain's catch-all. ERR_NOT_FOUND:
 * nobody; ERR_DENIED: not a domain of ours (no relaying). */
int view_route(struct view *v, const char *address, size_t len, struct schema_address *ret);
/* The account that has an address, normalized, without a look at plus details or a catch-all. */
int view_address(struct view *v, const char *address, struct schema_address *ret);
int view_account(struct view *v, uint64_t account, struct schema_account *ret);
/* What is approved (store/approval.h). ERR_UNAPPROVED: this is not; view_route, view_address and view_login ask about
 * the address that they find. keys: all of the account's. */
int view_keys_approved(struct view *v, const struct schema_account *a, const struct schema_key *keys, size_t n);
int view_address_approved(struct view *v, const struct schema_address *a);
int view_uuid(struct view *v, uint8_t ret[16]);
int view_next_account(struct view *v, uint64_t *ret); /* the number that the next one gets */
int view_usage(struct view *v, uint64_t account, struct schema_usage *ret);
/* Counts what the account's records are charged, at most max of them a call; walk begins zeroed. 1: there are more. In
 * the end walk->sum is what the account's usage must say. */
int view_usage_walk(struct view *v, uint64_t account, uint32_t max, struct usage_walk *walk);
/* OK: the account was removed and its data goes step by step; ERR_NOT_FOUND: it was not. */
int view_account_erasing(struct view *v, uint64_t account);
int view_domain_known(struct view *v, const char *domain);
/* Login: ERR_DENIED whatever is wrong, after the same work. scope: SCOPE_*. */
struct view_user {
    uint64_t account;
    char primary[ADDRESS_MAX]; /* the account's, as the approval of the name that was given has it */
};
int view_login(struct view *v, const char *user, size_t user_len, const char *password, size_t password_len,
               unsigned scope, struct view_user *ret);
/* Who signs in over HTTP by this name: an account's primary address, no other, or two names of one account would be
 * told apart from two accounts. VIEW_NOBODY after the same steps; ret_name then, as else, is how the name is spelt
 * ("@": it is none). Approved or not: view_account_name says that later, when its time tells nothing any more. */
enum { VIEW_NOBODY = 1 };
int view_login_name(struct view *v, const char *user, size_t user_len, uint64_t *ret_account,
                    char ret_name[ADDRESS_MAX]);
/* An account's primary address, if it is approved. ERR_NOT_FOUND: it is gone. */
int view_account_name(struct view *v, uint64_t account, char ret_name[ADDRESS_MAX]);
/* SCRAM-SHA-256 (RFC 7677): what a client must know to make its proof. For a name that is nobody's the salt is a keyed
 * hash of it: the same each time, and like any. */
enum { SCRAM_SALT_LEN = 16 };
int view_scram_salt(struct view *v, const char *user, size_t user_len, uint8_t salt[SCRAM_SALT_LEN],
                    uint32_t *ret_iterations);
/* view_login by a proof, which is tried with the keys of each app password, and with nothing as often as is needed for
 * the same work whoever it is. */
typedef bool view_proof_fn(void *arg, const uint8_t stored_key[32], const uint8_t server_key[32]);
int view_login_scram(struct view *v, const char *user, size_t user_len, view_proof_fn *fits, void *arg, unsigned scope,
                     struct view_user *ret, uint8_t ret_hash[RECORD_HASH_SIZE]);
/* ERR_NOT_FOUND: the app password was revoked since. hash: of app_password_hash. */
int view_password_lives(struct view *v, uint64_t account, const uint8_t hash[RECORD_HASH_SIZE]);

/* Listings: fn returns 0 to go on; anything else ends the listing and is given back. fn may look up, but not begin or
 * end a snapshot. */
/* By the time they were added, then by fingerprint; ret is also written when it fails. */
int view_keys_read(struct view *v, uint64_t account, struct schema_key ret[PGP_KEYS_MAX], size_t *ret_n);
int view_keys_each(struct view *v, uint64_t account, int (*fn)(void *arg, const struct schema_key *key), void *arg);
/* buf has key->cert_len bytes at least (PGP_CERT_MAX always does); the certificate, opened. */
int view_key_cert(struct view *v, uint64_t account, const struct schema_key *key, uint8_t *buf, size_t *ret_len);

int view_mailboxes_each(struct view *v, uint64_t account,
                        int (*fn)(void *arg, const struct schema_mailbox_name *name, const struct schema_mailbox *box),
                        void *arg);
/* Names that are subscribed to, with or without a mailbox. */
int view_subscriptions_each(struct view *v, uint64_t account, int (*fn)(void *arg, const char *name), void *arg);
int view_mailbox_find(struct view *v, uint64_t account, const char *name,
                      uint32_t *ret_mailbox); /* INBOX in any case */
int view_mailbox(struct view *v, uint64_t account, uint32_t mailbox, struct schema_mailbox *ret);
int view_keywords(struct view *v, uint64_t account, struct schema_keywords *ret);
int view_accounts_each(struct view *v, int (*fn)(void *arg, uint64_t account, const char *address), void *arg);
/* Those after an account's number: for walks in slices, each in a snapshot of its own. */
int view_accounts_after(struct view *v, uint64_t after, int (*fn)(void *arg, uint64_t account, const char *address),
                        void *arg);
/* Every account that has anything in the store, listed or not. */
int view_account_numbers_each(struct view *v, int (*fn)(void *arg, uint64_t account), void *arg);
int view_addresses_each(struct view *v, int (*fn)(void *arg, const struct schema_address *a), void *arg);
int view_domains_each(struct view *v, int (*fn)(void *arg, const char *domain), void *arg);
int view_app_passwords_each(struct view *v, uint64_t account, int (*fn)(void *arg, const struct schema_app_password *p),
                            void *arg);

/* Entries with from <= UID <= to, ascending. */
int view_entries_each(struct view *v, uint64_t account, uint32_t mailbox, uint32_t from, uint32_t to,
                      int (*fn)(void *arg, uint32_t uid, const struct schema_entry *e), void *arg);
/* Blocks from a number on. */
int view_blocks_each(struct view *v, uint64_t account, uint32_t mailbox, uint32_t from,
                     int (*fn)(void *arg, uint32_t block, const struct schema_block *b), void *arg);
/* One block; one without messages is all zeros. */
int view_block(struct view *v, uint64_t account, uint32_t mailbox, uint32_t block, struct schema_block *ret);
int view_entry(struct view *v, uint64_t account, uint32_t mailbox, uint32_t uid, struct schema_entry *ret);
/* e: of view_entry or view_entries_each. */
int view_entry_facts(struct view *v, uint64_t account, uint32_t mailbox, uint32_t uid, const struct schema_entry *e,
                     struct schema_facts *ret);
/* What became of a mailbox after a MODSEQ: ranges of UIDs that were expunged (all of them, if
 * schema_mailbox.tombstones_from is not beyond it), at most 1,024 ranges a MODSEQ; and messages that came or were
 * changed, by MODSEQ and UID, after this one (UINT32_MAX: after all of that MODSEQ). Both by ascending MODSEQ. */
int view_expunged_since(struct view *v, uint64_t account, uint32_t mailbox, uint64_t modseq,
                        int (*fn)(void *arg, uint64_t modseq, uint32_t first, uint32_t last), void *arg);
int view_changed_since(struct view *v, uint64_t account, uint32_t mailbox, uint64_t modseq, uint32_t uid,
                       int (*fn)(void *arg, uint64_t modseq, uint32_t uid), void *arg);
/* The numbers of messages after a number, whatever their records hold. */
int view_message_ids_after(struct view *v, uint64_t account, uint64_t after, int (*fn)(void *arg, uint64_t message),
                           void *arg);
/* Message records after a number, without their outer headers. */
int view_messages_after(struct view *v, uint64_t account, uint64_t after,
                        int (*fn)(void *arg, const struct schema_message *m), void *arg);
/* Message record with its outer header in outer_buf (SCHEMA_OUTER_MAX; NULL: not wanted). */
int view_message(struct view *v, uint64_t account, uint64_t message, struct schema_message *ret, uint8_t *outer_buf);
/* Octets offset .. offset+len of a message's packets, or of its capsule. m: of view_message. ERR_NOT_FOUND: they are
 * not all there; ERR_CRYPTO, ERR_FORMAT: damaged, or another message's (of packets that this server sealed the reader's
 * OpenPGP finds that, and view_check_packets). ERR_AGAIN: they are not at hand; view_fetch brings them (engine_fetch in
 * store/engine.h says how; in LMDB everything is at hand). */
int view_packets(struct view *v, uint64_t account, const struct schema_message *m, uint64_t offset, uint8_t *out,
                 size_t len);
int view_capsule(struct view *v, uint64_t account, const struct schema_message *m, uint32_t offset, uint8_t *out,
                 size_t len);
/* What view_fetch is to bring for these octets of the packets. */
void view_want_packets(uint64_t account, const struct schema_message *m, uint64_t offset, uint64_t len,
                       struct blob_want *ret);
/* Checks the outer seal on chunk n of a message's packets: ERR_CRYPTO, ERR_FORMAT; ERR_NOT_FOUND: it is not there.
 * *ret_chunks: how many there are to be. */
int view_check_packets(struct view *v, uint64_t account, const struct schema_message *m, uint32_t n,
                       uint32_t *ret_chunks);

/* The outgoing queue (store/queue.h). The ids of messages after this one, whatever their records hold; an envelope; a
 * message's recipients from this number on. A recipient that does not open has err, its number and the nonce that was
 * seen. ERR_DENIED: we have not the key; ERR_NOT_FOUND. */
int view_queue_each(struct view *v, uint64_t after, int (*fn)(void *arg, uint64_t id), void *arg);
int view_queued(struct view *v, uint64_t id, struct queue_envelope *ret, uint8_t seen[QUEUE_SEEN_SIZE]);
int view_queue_recipients(struct view *v, uint64_t id, uint32_t from,
                          int (*fn)(void *arg, uint32_t n, int err, const struct queue_recipient *r), void *arg);
/* The message, and octets of its packets (ret->packets_len), as view_packets. */
int view_queue_message(struct view *v, uint64_t id, struct schema_message *ret);
int view_queue_packets(struct view *v, const struct schema_message *m, uint64_t offset, uint8_t *out, size_t len);
/* Keys that sign, in no order. One that does not open has err (ERR_CRYPTO, ERR_FORMAT, ERR_VERSION, ERR_DENIED). r is
 * wiped afterwards. */
int view_dkim_each(struct view *v,
                   int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct dkim_record *r),
                   void *arg);

/* What accounts send (store/sending.h). held: OK, ERR_NOT_FOUND; whoever has no key knows as well. hold: the record.
 * sent: an account that has sent nothing has zeros. */
int view_held(struct view *v, uint64_t account);
int view_hold(struct view *v, uint64_t account, struct schema_hold *ret);
int view_sent(struct view *v, uint64_t account, struct schema_sent *ret);
int view_complaints(struct view *v, uint64_t account, struct schema_complaints *ret); /* likewise */
/* What others report of a domain's day (store/dmarc_day.h); nothing: zeros. */
int view_dmarc_day(struct view *v, const char *domain, uint32_t day, struct dmarc_day *ret);
/* Has this one written to the account (store/contact.h)? Has the account written to this address? ERR_NOT_FOUND: no. */
int view_contact(struct view *v, uint64_t account, const uint8_t who[CONTACT_WHO]);
int view_written_to(struct view *v, uint64_t account, const char *address);
/* An address that bounced for good, as suppression_spell has it: its record, though it be over. Each of them, in no
 * order, after this place (NULL: all); one that does not open has err. ERR_DENIED: we have not the key. */
int view_suppressed(struct view *v, const char *address, struct suppressed *ret);
int view_suppressed_each(struct view *v, const uint8_t after[RECORD_HASH_SIZE],
                         int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err,
                                   const struct suppressed *s),
                         void *arg);
/* A domain's MTA-STS policy, though it be over. seen: of the record, also of one that does not open; zeros if there is
 * none. Each of them likewise, after this place (NULL: all). */
int view_sts_policy(struct view *v, const char *domain, struct sts_policy *ret, uint8_t seen[QUEUE_SEEN_SIZE]);
int view_sts_policies_each(struct view *v, const uint8_t after[RECORD_HASH_SIZE],
                           int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err,
                                     const struct sts_policy *p, const uint8_t seen[QUEUE_SEEN_SIZE]),
                           void *arg);
/* How TLS went with a domain in a period, which ret says (begin, end, domain). seen, and each of them, as above. */
int view_tls_tally(struct view *v, struct tls_tally *ret, uint8_t seen[QUEUE_SEEN_SIZE]);
int view_tls_tallies_each(struct view *v, const uint8_t after[RECORD_HASH_SIZE],
                          int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct tls_tally *t,
                                    const uint8_t seen[QUEUE_SEEN_SIZE]),
                          void *arg);

/* What an account knows of the key of an address, in its one spelling (store/correspondent.h). seen: of the record,
 * also of one that does not open; zeros if there is none. Each of them after this place (NULL: all), in no order; one
 * that does not open has err and no address. And how many there are. */
int view_correspondent(struct view *v, uint64_t account, uint8_t kind, const char *address, struct correspondent *ret,
                       uint8_t seen[CORRESPONDENT_SEEN]);
int view_correspondents_each(
    struct view *v, uint64_t account, uint8_t kind, const uint8_t after[RECORD_HASH_SIZE], struct correspondent *room,
    int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], int err, const struct correspondent *c), void *arg);
int view_correspondents(struct view *v, uint64_t account, struct correspondents *ret);

/* The directory of published certificates (store/published.h). ERR_NOT_FOUND: nobody is found so, and why is not known
 * here; ERR_DENIED: we have not the key. By an address as the store spells it; by WKD's hash in a domain; each that has
 * a key by this fingerprint or key id, through room. A listing's fn may look up nothing of the directory. */
int view_published(struct view *v, const char *address, struct published *ret);
int view_published_wkd(struct view *v, const char *domain, const char hash[WKD_HASH_LEN], struct published *ret);
int view_published_key(struct view *v, const uint8_t *name, size_t len, struct published *room,
                       int (*fn)(void *arg, const struct published *p), void *arg);
/* Each of them after this place (NULL: all), in no order. */
int view_published_after(struct view *v, const uint8_t after[RECORD_HASH_SIZE], struct published *room,
                         int (*fn)(void *arg, const uint8_t hash[RECORD_HASH_SIZE], const struct published *p),
                         void *arg);
/* Its log: changes after this number, and how many there are with the last one's hash. */
int view_published_changes_after(struct view *v, uint64_t after, int (*fn)(void *arg, const struct published_change *c),
                                 void *arg);
int view_published_head(struct view *v, uint64_t *ret_changes, uint8_t ret_hash[PUBLISHED_HASH_SIZE]);

/* Signing in (store/signin.h). What is registered, whose secrets whoever asks wipes; what is wrapped under a kind and
 * an id; the account and the record of a session's token, which lives now, and the hash by which requests name it; a
 * factor, whose secrets are wiped likewise; an invitation that is not over. ERR_NOT_FOUND; ERR_DENIED: we have not the
 * key. */
int view_signin(struct view *v, uint64_t account, struct signin *ret);
int view_wrapped(struct view *v, uint64_t account, uint8_t kind, const uint8_t id[WRAPPED_ID_SIZE], struct wrapped *ret,
                 uint8_t envelope[WRAPPED_MAX]);
int view_session(struct view *v, const uint8_t token[SESSION_TOKEN_SIZE], uint64_t now, uint64_t *ret_account,
                 uint8_t ret_hash[RECORD_HASH_SIZE], struct session *ret);
int view_factor(struct view *v, uint64_t account, uint32_t number, struct factor *ret);
int view_invitation(struct view *v, const uint8_t token[INVITE_TOKEN_SIZE], uint64_t now, struct invitation *ret);
/* Envelopes without their octets; sessions of the record as it is, some of which may be over; factors (wiped
 * afterwards) and invitations, of which one that does not open has err. */
int view_wrapped_each(struct view *v, uint64_t account, int (*fn)(void *arg, const struct wrapped *w), void *arg);
int view_sessions_each(struct view *v, uint64_t account, int (*fn)(void *arg, const struct session *s), void *arg);
int view_factors_each(struct view *v, uint64_t account, int (*fn)(void *arg, int err, const struct factor *f),
                      void *arg);
int view_invitations_each(struct view *v, int (*fn)(void *arg, int err, const struct invitation *i), void *arg);

/* Outside of a snapshot. done: by the loop, once, when view_packets finds what was wanted, or says why not. Until
 * view_fetch_end. */
int view_fetch(struct view *v, const struct blob_want *wants, size_t n, void (*done)(void *arg), void *arg,
               struct blob_fetch **ret);
void view_fetch_end(struct blob_fetch *f); /* NULL is allowed; done is not called any more */

#endif
