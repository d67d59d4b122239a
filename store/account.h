/* Accounts, addresses, domains, keys and app passwords on the write side. Names come as the administrator typed them
 * and are checked and folded here. */
#ifndef STORE_ACCOUNT_H
#define STORE_ACCOUNT_H

#include "store/request.h"
#include "store/write.h"

/* Checks version and key: ERR_VERSION, ERR_CRYPTO. ERR_NOT_FOUND: an engine without a store in it. */
int store_check(struct engine *e, const struct record_keys *keys, bool upgrade);
/* The same, and makes the instance's first records in an empty store. */
int store_init(struct engine *e, const struct record_keys *keys, uint64_t now);
struct account_new {
    const char *address;
    uint8_t policy;
    uint64_t quota;
    bool trial, unpublished, no_autocrypt;
    struct pgp_verdict verdict;
    struct slice cert;
    uint64_t expected; /* the account's number, as it was approved */
    struct vault_approval approval;
};
/* No commit spans the directory (the instance's partition) and an account's: making and removing an account are steps,
 * each in a commit of its own and right alone. A partition that the directory does not name is marked there as doomed,
 * so whatever is cut short is erased step by step, before or after there is something in it.
 *
 * Making: begin takes a number and dooms it (ERR_EXISTS: the address is taken; ERR_NOT_FOUND: not a domain of ours;
 * ERR_FORMAT; ERR_REFUSED: the verdict; ERR_OVERRUN: another number is next; ERR_UNAPPROVED); fill makes the account,
 * its key and the usual mailboxes (RFC 6154) in its own partition; list names it in the directory and lifts the doom
 * (errors as of begin). w->account: the number. */
int account_begin(struct store_write *w, const struct account_new *a, uint64_t *ret_account);
int account_fill(struct store_write *w, const struct account_new *a);
int account_list(struct store_write *w, const struct account_new *a);
/* Removing: unlist takes addresses and account out of the directory and dooms it (ERR_NOT_FOUND); close ends it for
 * those who know its number. Everything else goes step by step. */
int account_unlist(struct store_write *w);
int account_close(struct store_write *w);
/* One step of the erasure of the first account that is doomed. ERR_NOT_FOUND: none. was_open: it was not closed before,
 * so those who know its number have still found it. */
int account_erase_step(struct store_write *w, bool *ret_was_open);
/* Whether what new changes is approved: anything that a reader's mail is sealed by, or goes by. */
bool account_set_is_approved(const struct vault_account *new);
void account_set_forward(struct schema_account *a, const struct vault_account *new); /* forward.len < ADDRESS_MAX */
/* a: of what is approved. */
int account_set(struct store_write *w, const struct vault_account *new, const struct vault_approval *a);

/* In its one spelling; catch-all: "@domain". ERR_FORMAT */
int address_fold(const char *in, bool catch_all, char out[ADDRESS_MAX]);
/* For w->account. ERR_UNAPPROVED */
int address_add(struct store_write *w, const char *address, uint8_t kind, const uint8_t approval[APPROVAL_SIZE]);
int address_remove(struct store_write *w, const char *address); /* ERR_DENIED: a primary one */
int domain_add(struct store_write *w, const char *domain);
int domain_remove(struct store_write *w, const char *domain); /* ERR_CONFLICT: addresses in it remain */

/* ---- after a restore ---- */

/* Every mailbox of every account gets a new, larger UIDVALIDITY, some accounts a commit; done twice is no harm. A mark
 * in the directory says how far it is: it is put before the first account, moved on after each commit, and taken away
 * at the end. */
int restored_mark(struct store_write *w, uint64_t next /* 0: the end */);
int restored_next(struct store_write *w, uint64_t *ret); /* ERR_NOT_FOUND: nothing is under way */
/* Those from this number on, as many as one commit takes. *ret_next 0: there are no more. */
int restored_accounts(struct store_write *w, uint64_t from, uint64_t *ret_next);

/* ---- keys (account_key.c) ---- */

/* Every change comes with its approval, which must be of what is then put: ERR_OVERRUN: the keys have moved since;
 * ERR_UNAPPROVED. */
/* Current from now on; puts the account too. A known fingerprint is renewed: verdict and certificate are replaced.
 * Errors besides: key_may_add's (key_rules.h). */
int account_key_add(struct store_write *w, struct schema_account *account, const struct pgp_verdict *v,
                    struct slice cert, const struct vault_approval *a);
/* Whether it would do it, and nothing is written. *ret_told: key_must_be_told. */
int account_key_may_add(struct store_write *w, const struct schema_account *account, const struct pgp_verdict *v,
                        struct slice cert, const struct vault_approval *a, bool *ret_told);
/* The same of account_key_state with KEY_CURRENT. */
int account_key_may_be_current(struct store_write *w, const uint8_t *fpr, size_t len, const struct vault_approval *a,
                               bool *ret_told);
/* What is in that state already, or beyond it, stays as it is (key_stays). cert: KEY_REVOKED alone, with the
 * revocation, kept instead of the other. Errors: ERR_NOT_FOUND, key_may_become's, and the approval's. */
int account_key_state(struct store_write *w, const uint8_t *fpr, size_t len, enum key_state to, struct slice cert,
                      const struct vault_approval *a);
/* Of an account that is yet to be made. */
int account_key_first_approved(struct store_write *w, const struct schema_account *account, const struct pgp_verdict *v,
                               struct slice cert, const struct vault_approval *a);
/* For a change of the account alone under a new keys_version: whether that is approved, and putting it. */
int account_keys_approved(struct store_write *w, const struct schema_account *account, const struct vault_approval *a);
int account_keys_put_version(struct store_write *w, struct schema_account *account, const struct vault_approval *a);
/* The record as it is to be put when a notice of these events (a set of enum key_event) is delivered. ERR_EXISTS: it
 * has been; ERR_CONFLICT: the account's keys have changed since keys_version, or the events have not happened. */
int account_key_notice_due(struct store_write *w, const uint8_t *fpr, size_t len, uint8_t events, uint32_t keys_version,
                           struct schema_key *ret);

/* ---- app passwords ---- */

/* sets p->number, which no other ever had */
int account_password_add(struct store_write *w, const uint8_t hash[RECORD_HASH_SIZE], struct schema_app_password *p);
int account_password_revoke(struct store_write *w, uint32_t number);

#endif
