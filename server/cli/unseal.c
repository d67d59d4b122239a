/* letterlock unseal: a decrypted message on stdin, the sender's original on stdout. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/format/protection.h"
#include "server/core/error.h"
#include "server/cli/cli.h"

#define MESSAGE_MAX ((size_t)2 << 30) /* twice what message_max may be */

int command_unseal(struct cli *c)
{
    char *data;
    size_t len, out_len;
    int err = cli_read_fd(STDIN_FILENO, MESSAGE_MAX, &data, &len);
    if (err)
        return cli_fail(c, "cannot read stdin: %s", cli_err_str(err));
    err = header_unprotect((uint8_t *)data, len, &out_len);
    int rc = EXIT_DONE;
    if (err)
        rc = cli_fail(c, "stdin does not begin with a whole Letterlock-Seal field: not a decrypted message that a "
                         "server sealed");
    else
        fwrite(data, 1, out_len, stdout); /* main looks whether it went out */
    explicit_bzero(data, len);
    free(data);
    return rc;
}
