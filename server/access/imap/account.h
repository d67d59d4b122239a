/* What one account may have at a time, over the role's processes and from whatever addresses: sessions, and octets of
 * messages in flight. As with peers, it may have its even share in this process whatever the others say. */
#ifndef IMAP_ACCOUNT_H
#define IMAP_ACCOUNT_H

#include "server/access/imap/session.h"

/* Whether it may have a session more. */
bool imap_account_room(const struct access *a, uint64_t account);

/* Octets of a message that the session's client sends, from the account's share and the budget. ERR_LIMIT: the account
 * has its share; ERR_FULL: there is no room, or its peer has its share. */
int imap_account_take(struct imap_session *s, uint64_t octets);
void imap_account_give(struct imap_session *s, uint64_t octets);

#endif
