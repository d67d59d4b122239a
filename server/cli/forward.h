/* Where an account's mail goes on to, as account, status and key approve say it, and the order for it. */
#ifndef CLI_FORWARD_H
#define CLI_FORWARD_H

#include <jansson.h>
#include <stdio.h>

#include "server/cli/cli.h"

/* In a snapshot: a line of account show, the end of one of account list, a row for status; nothing if it goes nowhere.
 * plaintext: forward_plaintext of the configuration. */
int forward_print(struct view *v, const struct schema_account *a, bool plaintext, FILE *out);
int forward_print_short(struct view *v, const struct schema_account *a, bool plaintext, FILE *out);
int forward_collect(struct view *v, const struct schema_account *a, bool plaintext, json_t *list);
void forward_print_list(const json_t *list);
void forward_print_signed(const struct schema_account *a); /* a line of key approve */

/* --forward and its neighbours into q, if they are there. Exit statuses. */
int forward_read(const struct cli *c, struct vault_request *q, char address[ADDRESS_MAX]);
/* Whether the account's mail may go there. */
int forward_check(const struct cli *c, struct instance *i, const struct schema_account *a,
                  const struct vault_request *q);

#endif
