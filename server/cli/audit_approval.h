/* letterlock audit: whether what counts was approved. Each fault is a line on stdout and one more of *bad. */
#ifndef CLI_AUDIT_APPROVAL_H
#define CLI_AUDIT_APPROVAL_H

#include "server/cli/cli.h"

int audit_keys_approved(struct instance *i, uint64_t account, uint64_t *bad);
int audit_addresses_approved(struct instance *i, uint64_t *bad);

#endif
