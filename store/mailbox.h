/* Mailboxes on the write side: names, UIDs, MODSEQs, flags, tombstones and the counts that the store keeps because its
 * engine does not count. Everything a mailbox says of itself changes in the same commit as its entries. */
#ifndef STORE_MAILBOX_H
#define STORE_MAILBOX_H

#include "store/request.h"
#include "store/write.h"

enum { MAILBOX_DEPTH_MAX = 16 };

/* Names: valid UTF-8 without control characters, "/" between levels, no empty level, at most MAILBOX_DEPTH_MAX levels
 * and MAILBOX_NAME_MAX - 1 octets. ERR_FORMAT, ERR_LIMIT. */
int mailbox_name_check(const char *name);
/* INBOX in any case, alone or as first level, to "INBOX" (RFC 9051 section 5.1). */
void mailbox_name_fold(char *name);

/* ---- entries: one change of one mailbox ---- */

struct mailbox_edit {
    struct store_write *w;
    struct schema_mailbox box;
    uint64_t modseq; /* of this change */
    bool changed;
    struct schema_block block; /* the block at hand */
    uint32_t block_no;
    bool block_loaded, block_dirty, block_there /* in the store */;
    struct schema_tombstones gone; /* collected */
};

/* ERR_NOT_FOUND: no such mailbox. The edit is large: keep it off small stacks. */
int mailbox_edit_begin(struct mailbox_edit *e, struct store_write *w, uint32_t mailbox);
/* Appends: gives the entry its UID and MODSEQ, and the facts. ERR_LIMIT: the UIDs are used up. */
int mailbox_edit_add(struct mailbox_edit *e, const struct schema_entry *entry, const struct schema_facts *facts,
                     uint32_t *ret_uid);
/* entry: as it is now; gets flags, keywords and modseq. */
int mailbox_edit_flags(struct mailbox_edit *e, uint32_t uid, struct schema_entry *entry, uint64_t flags,
                       const struct schema_keyset *keywords);
/* Removes the entry and leaves a tombstone; the message's reference is the caller's matter. UIDs come in ascending
 * order. */
int mailbox_edit_remove(struct mailbox_edit *e, uint32_t uid, const struct schema_entry *entry);
/* Writes block, tombstones and mailbox record. */
int mailbox_edit_end(struct mailbox_edit *e);

/* A set of messages, looked up before anything is written. */
struct mailbox_set {
    uint32_t n;
    struct {
        uint32_t uid;
        struct schema_entry entry;
    } v[VAULT_SET_MAX];
};
/* ranges: ascending, disjoint. ERR_LIMIT: more than VAULT_SET_MAX messages. */
int mailbox_set_find(struct store_write *w, uint32_t mailbox, const struct uid_range *ranges, size_t n,
                     struct mailbox_set *ret);
/* Sorts and joins ranges in place. ERR_FORMAT: a zero, or an end before its beginning. */
int mailbox_ranges_tidy(struct uid_range *ranges, size_t *n);

/* ---- mailboxes ---- */

int mailbox_find(struct store_write *w, const char *name, uint32_t *ret_mailbox); /* ERR_NOT_FOUND */
/* The first with this use (one bit of USE_). ERR_NOT_FOUND. */
int mailbox_find_use(struct store_write *w, uint8_t use, uint32_t *ret_mailbox);
/* Makes the mailbox and the parents it lacks (RFC 9051 section 6.3.4). account is changed and put. ERR_EXISTS,
 * ERR_LIMIT, ERR_FORMAT. */
int mailbox_create(struct store_write *w, struct schema_account *account, const char *name, uint8_t use,
                   uint32_t *ret_mailbox, uint32_t *ret_uidvalidity);
/* Takes the mailbox out of sight at once; its messages go step by step (mailbox_job_step). ERR_DENIED: INBOX;
 * ERR_CONFLICT: it has children (RFC 9051 section 6.3.5). */
int mailbox_delete(struct store_write *w, uint32_t mailbox);
/* Children move along; missing parents are made. ERR_EXISTS, ERR_CONFLICT (into itself), ERR_DENIED (INBOX: see
 * mailbox_rename_inbox). */
int mailbox_rename(struct store_write *w, struct schema_account *account, uint32_t mailbox, const char *name);
/* RFC 9051 section 6.3.6: the messages of INBOX move to a new mailbox; its children stay. Moves the first step; the
 * rest follow by mailbox_job_step. */
int mailbox_rename_inbox(struct store_write *w, struct schema_account *account, const char *name,
                         uint32_t *ret_mailbox);
/* ERR_NOT_FOUND: on, and there is no such mailbox. A subscription outlives its mailbox (RFC 3501 section 6.3.6) and
 * moves with its name. ERR_LIMIT past SUBSCRIPTIONS_MAX. */
int mailbox_subscribe(struct store_write *w, const char *name, bool on);

/* Unfinished work of the account, key 'Z' mailbox4. One step of the first job; ERR_NOT_FOUND: none left. from and to
 * (0: none) are the mailboxes that visibly changed. */
struct mailbox_job_step {
    uint32_t from, to;
};
int mailbox_job_step(struct store_write *w, struct mailbox_job_step *ret);

/* A copy in pieces (mailbox_copies.c), key 'Y' number8 first UID4. Each piece but the last notes the UIDs it has put
 * into the mailbox; the last forgets the notes. One step of taking back what a copy has put there; ERR_NOT_FOUND:
 * nothing is left of it. *ret_to: the mailbox that visibly changed, 0: none. */
int mailbox_copy_note(struct store_write *w, uint64_t number, uint32_t to, uint32_t first, uint32_t last);
int mailbox_copy_forget(struct store_write *w, uint64_t number);
int mailbox_copy_undo(struct store_write *w, uint64_t number, uint32_t *ret_to);
/* The copy with the least number from this one on that has notes; ERR_NOT_FOUND. */
int mailbox_copy_next(struct store_write *w, uint64_t from, uint64_t *ret_number);

/* Moves or copies what the set holds. new_uids gets set->n UIDs. */
int mailbox_copy(struct store_write *w, uint32_t from, uint32_t to, bool move, const struct mailbox_set *set,
                 uint32_t *new_uids, uint32_t *ret_uidvalidity, uint64_t *ret_modseq);

#endif
