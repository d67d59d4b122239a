/* What is known of an account's certificates, in words; see key_facts.c. */
#ifndef CLI_KEY_FACTS_H
#define CLI_KEY_FACTS_H

#include <jansson.h>

#include "server/cli/cli.h"
#include "server/keys/keys.h"

/* keys_read and keys_count (server/keys/keys.h). Print why; return an exit status. */
int key_list_read(const struct cli *c, struct instance *i, uint64_t account, struct keys_list *ret);
int key_list_count(const struct cli *c, struct instance *i, struct keys_list *l);

const char *key_state_name(uint8_t state);
void key_print_line(const struct keys_entry *f);
void key_print_block(const struct keys_entry *f);
json_t *key_to_json(const struct keys_entry *f);

/* key_messages.c: mailbox, UIDVALIDITY and UID of every message that the key opens. */
int key_messages(const struct cli *c, struct instance *i, const struct keys_list *l, const struct keys_entry *f);

/* A key that is about to become current. */
struct key_bytes {
    uint8_t fpr[PGP_FPR_MAX];
    size_t len;
};
/* Has the account's other current keys told of it. *ret_fd is for the request: the certificate (or nothing, if there is
 * none), with the notice behind it; -1: neither. The caller's to close. Prints why on failure; returns an exit
 * status. */
int key_tell_others(const struct cli *c, struct instance *i, const struct schema_account *a, const struct keys_list *l,
                    const struct key_bytes *key, struct slice cert, struct vault_key_told *ret, int *ret_fd);

#endif
