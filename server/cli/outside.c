#include "server/cli/outside.h"

#include <unistd.h>

#include "server/base/ipc.h"
#include "server/core/error.h"

void outside_stop(struct outside *o)
{
    offline_stop(o->fetcher);
    offline_stop(o->resolver);
}

int outside_start(const struct cli *c, const struct instance *i, struct outside *o, int *ret_resolver, int *ret_fetcher)
{
    struct offline_params p = instance_offline(c, i);
    char why[256] = "";
    int pair[2];
    int err = ipc_pair(pair);
    *o = (struct outside){NULL, NULL};
    if (err)
        return cli_fail(c, "%s", err_str(err));
    p.peer = ROLE_FETCHER, p.peer_fd = pair[0];
    err = offline_role(ROLE_RESOLVER, &p, &o->resolver, ret_resolver, why, sizeof(why));
    p.peer = ROLE_RESOLVER, p.peer_fd = pair[1];
    if (!err && (err = offline_role(ROLE_FETCHER, &p, &o->fetcher, ret_fetcher, why, sizeof(why))))
        close(*ret_resolver);
    close(pair[0]);
    close(pair[1]);
    if (!err)
        return EXIT_DONE;
    outside_stop(o);
    return cli_fail(c, "DNS and web servers cannot be asked: %s", *why ? why : err_str(err));
}
