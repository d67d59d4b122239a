/* The one place where capabilities are named. */
#ifndef IMAP_CAPABILITY_H
#define IMAP_CAPABILITY_H

#include "server/access/imap/session.h"

int imap_capability_write(const struct imap_session *s, struct buf *out);
bool imap_login_allowed(const struct imap_session *s);

#endif
