/* Certificates that came over HTTP to `web` (server/keys/upload.h), or by mail: each is held against whose it could be,
 * waits in the vault, and a mail asks whoever has the mailbox. One at a time. */
#ifndef INGEST_VERIFY_H
#define INGEST_VERIFY_H

#include "server/ingest/ingest.h"

/* A channel of a `web` process; takes fd. It ends with that process, or when it says what it may not. */
void verify_open(struct ingest *in, int fd);
/* The same by mail. address: in its one spelling; cert: of the form that is published. ERR_FULL, ERR_MEMORY. */
int verify_mailed(struct ingest *in, const char *address, struct slice cert);
void verify_close_all(struct ingest *in); /* what is under way may be stored all the same */

#endif
