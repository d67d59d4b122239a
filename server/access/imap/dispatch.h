/* The way of input: from the connection through the parser to a command. */
#ifndef IMAP_DISPATCH_H
#define IMAP_DISPATCH_H

#include "server/access/imap/access.h"

enum {
    IMAP_BAD_COMMANDS_MAX = 20,
    IMAP_COMMANDS_A_TURN = 8, /* of one session */
};

/* Serves a client, which has a place counted on `on`: takes fd and the place. */
void imap_serve(struct access *a, int fd, const struct sockaddr_storage *peer, uint32_t on, bool tls_at_once);

#endif
