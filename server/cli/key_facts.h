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

#endif
