/* Telling a client what changed in its mailbox. */
#ifndef IMAP_SYNC_H
#define IMAP_SYNC_H

#include "server/access/imap/session.h"

/* Tells the client what changed since it was last told. Called at a command's end and while idling. Not OK: the session
 * is ending. Many changed flags are told in pieces: sel->dirty says that there is more, for when output has drained. */
int imap_sync(struct imap_session *s, bool expunge);
void imap_sync_own(struct imap_session *s, uint64_t modseq); /* the client knows of this change */

#endif
