/* The parts of letterlock audit. */
#ifndef CLI_AUDIT_H
#define CLI_AUDIT_H

#include "server/cli/cli.h"

/* Looks at every page of the store's file, unless a server writes it; prints each fault. An exit status: not done, and
 * the store must not be opened. *ret_pages is left as it is while a server runs. */
int audit_file(const struct cli *c, uint64_t *ret_pages);

#endif
