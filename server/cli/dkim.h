/* A domain's keys that sign what goes out, for the commands: read, made, erased. */
#ifndef CLI_DKIM_H
#define CLI_DKIM_H

#include "server/cli/cli.h"

struct signing_key {
    struct dkim_record record; /* wiped by signing_keys_free */
    uint8_t hash[RECORD_HASH_SIZE];
    struct dkim_due due;
    char *txt; /* what its DNS record says; NULL: what is there is no key */
};
struct signing_keys {
    uint64_t now;
    struct signing_key *v; /* in dkim_record_order */
    size_t n;
    uint8_t (*lost)[RECORD_HASH_SIZE]; /* of records that this queue.key does not open */
    size_t nlost;
};

/* Those of a domain, or of all (domain NULL). Prints why on failure; returns an exit status. */
int signing_keys_read(const struct cli *c, struct instance *i, const char *domain, struct signing_keys *ret);
void signing_keys_free(struct signing_keys *k);

/* One more, used from that time on, with a selector that the domain's keys k (NULL: there are none) have not. vault: an
 * admin channel. why gets a sentence on failure. */
int signing_key_make(const struct record_bundle *keys, int vault, const char *domain, uint8_t algorithm,
                     const struct signing_keys *k, uint64_t use_from, char why[CLI_WHY_MAX]);
/* One of each algorithm that the domain has no key of, used at once. */
int signing_keys_make_first(const struct record_bundle *keys, int vault, const char *domain,
                            const struct signing_keys *k, char why[CLI_WHY_MAX]);
/* Puts a record, in the place of its former state if there is one. */
int signing_key_put(const struct record_bundle *keys, int vault, const struct dkim_record *r, char why[CLI_WHY_MAX]);
/* Prints why on failure; returns an exit status. */
int signing_key_erase(const struct cli *c, struct instance *i, const uint8_t hash[RECORD_HASH_SIZE]);

/* How it is with a key, on one line without a line feed: "signs since 2026-11-29T20:00:00Z". */
void signing_key_say(FILE *out, const struct signing_key *k);
/* Its record as a zone file has it. */
void signing_key_print(FILE *out, const struct signing_key *k);

#endif
