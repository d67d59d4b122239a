/* Who asks outside for a command: a resolver and a fetcher of its own. What the server's resolver keeps may be older
 * than what was just put right. */
#ifndef CLI_OUTSIDE_H
#define CLI_OUTSIDE_H

#include "server/cli/cli.h"
#include "server/master/offline.h"

struct outside {
    struct offline *resolver, *fetcher;
};
/* Channels to both, the caller's. Prints why; returns an exit status. */
int outside_start(const struct cli *c, const struct instance *i, struct outside *o, int *ret_resolver,
                  int *ret_fetcher);
void outside_stop(struct outside *o);

#endif
