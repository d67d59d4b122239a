/* What `status` knows, for whoever says it otherwise. */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include <jansson.h>

#include "server/cli/cli.h"

/* The object that status --json prints. Prints why on failure; returns an exit status. i->view is opened if it can
 * be. */
int status_read(const struct cli *c, struct instance *i, json_t **ret);

#endif
