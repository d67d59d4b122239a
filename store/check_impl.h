/* Between the files of the check. */
#ifndef STORE_CHECK_IMPL_H
#define STORE_CHECK_IMPL_H

#include <string.h>

#include "store/check.h"
#include "store/schema_table.h"
#include "store/view_impl.h"

struct check {
    struct engine_txn *t;
    const struct record_keys *k;
    uint64_t part;
    struct check_walk *walk;
    struct check_refs *refs;
    struct check_found *found;
    int err; /* what ends the walk, and is no damage */
    struct slice key;
    const struct schema_kind *kind;
    /* Of the account. whole: its record is there; one that is being made or erased has none, and what is left of it
     * names what is gone. */
    bool whole;
    bool orphan; /* it is neither there nor being made or erased: said with the first record */
    struct schema_account account;
    struct schema_keywords keywords;
    uint64_t number_next; /* of messages and certificates */
    /* The mailbox and the block at hand. */
    struct schema_mailbox box;
    struct schema_block block;
    uint32_t box_id, block_no, block_box; /* 0, and UINT32_MAX for block_no: none */
    bool box_there;
};

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* A line about the record at hand. */
void check_fault(struct check *c, const char *form, ...) __attribute__((format(printf, 2, 3)));
/* Whether an answer of the schema is OK. What is damage is said, about the record at hand; "not there" too, unless
 * ret_there is given, which then says it. */
bool check_opened(struct check *c, int err);
bool check_found_there(struct check *c, int err, bool *ret_there);
/* Whether a key of the partition is there. */
bool check_has(struct check *c, uint64_t part, struct slice key);

typedef void check_record(struct check *c, struct slice key, struct slice value);
check_record check_number, check_restored, check_doomed, check_address, check_domain, check_dmarc_day,
    check_listed; /* instance */
check_record check_account, check_usage, check_key, check_approval, check_password, check_keyword, check_subscription,
    check_correspondent, check_correspondents; /* account */
check_record check_message, check_fence, check_delivery, check_delivery_day, check_expiry, check_copy,
    check_job;                                                                                    /* account */
check_record check_box_name, check_box, check_block, check_entry, check_change, check_tombstones; /* mailbox */
check_record check_queued, check_queue_recipient, check_queue_message, check_dkim;                /* queue */
check_record check_sent, check_known, check_complaints, check_hold, check_suppressed;             /* queue, sent */
check_record check_sts_policy, check_tls_tally; /* queue, of domains elsewhere */
check_record check_published, check_published_chunk, check_published_index, check_published_change,
    check_published_head;                                                             /* keyserver */
check_record check_upload, check_upload_chunk, check_upload_until, check_upload_head; /* keyserver, what waits */
check_record check_signin, check_session, check_factor, check_wrapped, check_invitation;

#endif
