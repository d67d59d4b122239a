/* What is known of an account's certificates; see key_facts.c. */
#ifndef CLI_KEY_FACTS_H
#define CLI_KEY_FACTS_H

#include <jansson.h>

#include "server/cli/cli.h"
#include "store/key_rules.h"

struct key_facts {
    struct schema_key key;
    uint8_t *cert;
    size_t cert_len;
    struct pgp_key primary, enc; /* material points into cert */
    uint64_t messages, only;     /* stored messages sealed to it; of these, to no other key of the account */
};
struct key_list {
    uint64_t account;
    struct key_facts keys[PGP_KEYS_MAX]; /* current, retired, revoked ones */
    size_t n;
    uint64_t hidden; /* messages that name no key of the account: came encrypted to hidden recipients */
};

/* Prints why; returns an exit status. key_list_free after EXIT_DONE. */
int key_list_read(const struct cli *c, struct instance *i, uint64_t account, struct key_list *ret);
void key_list_free(struct key_list *l);
/* Fills in the counts, in slices of snapshots: what changes meanwhile may be counted or not. */
int key_list_count(const struct cli *c, struct instance *i, struct key_list *l);
struct key_facts *key_list_find(struct key_list *l, const uint8_t *fpr, size_t len);

/* Whether a certificate in binary has the encryption key that the account's copy of it has: an older one has not. */
bool key_knows_encryption(const struct key_facts *f, const uint8_t *cert, size_t len);
int key_older_copy(const struct cli *c); /* refuses such a one */

/* Which of the list's certificates open the message: bit k is keys[k]. */
uint64_t key_list_opening(const struct key_list *l, const struct schema_message *m);

const char *key_state_name(uint8_t state);
void key_print_line(const struct key_facts *f);
void key_print_block(const struct key_facts *f);
json_t *key_to_json(const struct key_facts *f);

/* key_messages.c: mailbox, UIDVALIDITY and UID of every message that the key opens. */
int key_messages(const struct cli *c, struct instance *i, const struct key_list *l, const struct key_facts *f);

#endif
