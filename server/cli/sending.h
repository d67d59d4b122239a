/* What account and status say of what accounts send. */
#ifndef CLI_SENDING_H
#define CLI_SENDING_H

#include <jansson.h>
#include <stdio.h>

#include "server/cli/cli.h"

/* In a snapshot: lines of account show. */
int sending_print(struct view *v, uint64_t account, uint64_t now, FILE *out);
/* In a snapshot: a row for status, if it is held, or its mail was complained about in a day. */
int sending_collect(struct view *v, uint64_t account, const char *address, uint64_t now, json_t *list);
void sending_print_list(const json_t *list);

#endif
