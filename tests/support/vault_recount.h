/* The recount: everything that the store counts, counted again from what it holds. */
#ifndef TESTS_SUPPORT_VAULT_RECOUNT_H
#define TESTS_SUPPORT_VAULT_RECOUNT_H

#include "store/check.h"
#include "store/content.h"
#include "store/sealed_blob.h"
#include "tests/support/vault_support.h"

enum { RECOUNT_BOXES = 4096, RECOUNT_MESSAGES = 65536 };

struct recount {
    const struct record_keys *keys;
    struct engine_txn *t;
    uint64_t account;
    uint32_t nboxes;
    struct {
        uint32_t id;
        bool doomed, named;
    } boxes[RECOUNT_BOXES];
    uint32_t *references; /* by message id */
    struct schema_usage usage;
    uint32_t carried[KEYWORDS_MAX];
    /* one mailbox */
    uint32_t box, exists, unseen, deleted, last_uid, first_unseen, index, gone;
    uint64_t bytes, highest, last_modseq;
    struct schema_block *blocks;
};

uint32_t key_part32(struct slice key, size_t at);
int recount_one(void *arg, struct slice key, struct slice value);

/* What letterlock audit says of the records of the instance and of an account, and of all blobs. */
void store_check_all(struct engine *e, const struct record_keys *keys, uint64_t account, struct check_found *found);

/* Fails the test where what is counted is not what is there. */
void store_recount(struct engine *e, const struct record_keys *keys, uint64_t account);

#endif
