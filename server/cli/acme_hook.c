/* letterlock acme hook: what uacme calls for each challenge. The server's web role answers the ACME server; the token
 * goes there by the control socket. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/base/challenges.h"
#include "server/base/ipc.h"
#include "server/cli/cli.h"
#include "server/core/error.h"

static const char *fault(int err)
{
    switch (err) {
    case ERR_FORMAT: return "this is no challenge of ACME's";
    case ERR_LIMIT: return "too many challenges are open";
    case ERR_NOT_FOUND: return "there is no such challenge";
    case ERR_UNSUPPORTED: return "the server does not serve HTTP: set http = yes";
    default: return err_str(err);
    }
}

static int tell(const struct cli *c, bool begins)
{
    static uint8_t asked[2048], reply[IPC_MAX];
    unsigned long len = sizeof(reply);
    struct unpack u;
    struct pack p;
    int fd, err = control_connect(c->dir, &fd), status;
    if (err)
        return cli_fail(c, "no server runs on %s that could answer the challenge", c->dir);
    pack_init(&p, asked, sizeof(asked));
    pack_u8(&p, begins);
    pack_str(&p, c->arg[2]);
    pack_str(&p, c->arg[3]);
    pack_str(&p, begins ? c->arg[4] : "");
    err = p.failed ? ERR_FORMAT : control_ask(fd, CONTROL_CHALLENGE, asked, p.len, reply, &len);
    close(fd);
    if (err)
        return cli_fail(c, "the server did not take the challenge: %s", fault(err));
    unpack_init(&u, reply, len);
    status = -(int)unpack_u32(&u);
    if (status == OK || (status == ERR_NOT_FOUND && !begins)) /* it is over in any case */
        return EXIT_DONE;
    return cli_fail(c, "%s", fault(status));
}

int command_acme_hook(struct cli *c)
{
    bool begins = !strcmp(c->arg[0], "begin");
    if (!begins && strcmp(c->arg[0], "done") && strcmp(c->arg[0], "failed"))
        return cli_usage(c, "begin, done or failed, not %s", c->arg[0]);
    if (strcmp(c->arg[1], "http-01"))
        return cli_fail(c, "challenges by %s are not answered here, http-01 alone", c->arg[1]);
    return tell(c, begins);
}
