/* The way of input: from the connection through the parser to a command. */
#ifndef IMAP_DISPATCH_H
#define IMAP_DISPATCH_H

#include "server/access/imap/access.h"

enum {
    IMAP_BAD_COMMANDS_MAX = 20,
    IMAP_COMMANDS_A_TURN = 8, /* of one session */
};

/* Serves a client: takes fd. */
void imap_serve(struct access *a, int fd, bool tls_at_once);

#endif
