/* What a command says on stderr. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/cli/cli.h"

/* One line, whatever an operand or a file brought along. */
__attribute__((format(printf, 3, 0))) static void say(const struct cli *c, const char *kind, const char *fmt,
                                                      va_list ap)
{
    char line[2048];
    vsnprintf(line, sizeof(line), fmt, ap);
    cli_tame(line);
    fprintf(stderr, "letterlock %s: %s%s\n", c->command, kind, line);
}

const char *cli_err_str(int err)
{
    return err == ERR_IO && errno ? strerror(errno) : err_str(err);
}

int cli_fail(const struct cli *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(c, "", fmt, ap);
    va_end(ap);
    return EXIT_REFUSED;
}

int cli_usage(const struct cli *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(c, "", fmt, ap);
    va_end(ap);
    return EXIT_USAGE;
}

void cli_mind(const struct cli *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(c, "mind: ", fmt, ap);
    va_end(ap);
}
