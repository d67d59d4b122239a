/* The command table. */
#include <string.h>

#include "server/access/imap/commands.h"

static const struct imap_command_def commands[] = {
#define ROW(name, states, flags, run) {name, states, flags, run},
    IMAP_COMMANDS(ROW)
#undef ROW
};

const struct imap_command_def *imap_command_find(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}
