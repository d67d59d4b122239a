/* What the vault tells of changes, handed to the sessions whom it concerns. */
#ifndef IMAP_NOTICE_H
#define IMAP_NOTICE_H

#include "server/access/imap/access.h"

void imap_notice(void *arg, uint64_t account, uint32_t mailbox, uint64_t modseq, uint32_t exists); /* arg: the access */
/* The last vault's last notices may be lost: every session looks for itself. */
void imap_new_vault(struct access *a);

#endif
