/* What the vault tells of changes, handed to the sessions whom it concerns. */
#ifndef IMAP_NOTICE_H
#define IMAP_NOTICE_H

#include "server/access/imap/access.h"

/* arg: the access. Of account 0, what a vault says first, every session looks for itself. */
void imap_notice(void *arg, uint64_t account, uint32_t mailbox, uint64_t modseq, uint32_t exists);

#endif
