/* letterlock serve and reload: the running server itself. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/ipc.h"
#include "server/cli/cli.h"
#include "server/master/control.h"
#include "server/master/master.h"

int command_serve(struct cli *c)
{
    return master_serve(c->dir);
}

int command_reload(struct cli *c)
{
    static uint8_t reply[IPC_MAX];
    unsigned long len = sizeof(reply);
    struct unpack u;
    char why[CONTROL_WHY_MAX] = "", *save;
    int fd, none = -1, err = control_connect(c->dir, &fd);
    if (err)
        return err == ERR_DENIED
                   ? cli_fail(c, "the server on %s is another user's: run this as root or its owner", c->dir)
                   : cli_fail(c, "no server runs on %s; letterlock serve starts one", c->dir);
    err = control_call(fd, CONTROL_RELOAD, reply, &len, &none);
    close(fd);
    if (none >= 0)
        close(none);
    if (err)
        return cli_fail(c, "the server did not answer: %s", err_str(err));
    unpack_init(&u, reply, len);
    uint32_t status = unpack_u32(&u);
    unpack_str(&u, why, sizeof(why));
    if (u.failed)
        return cli_fail(c, "the server's answer cannot be read; restart it if it is of another version");
    if (status)
        return cli_fail(c, "%s; the server goes on with what it had", *why ? why : err_str(-(int)status));
    for (char *line = strtok_r(why, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        cli_mind(c, "%s", line);
    return EXIT_DONE;
}
