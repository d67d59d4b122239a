/* STATUS items, shared with LIST RETURN (STATUS ...). */
#ifndef IMAP_STATUS_H
#define IMAP_STATUS_H

#include "server/core/buf.h"
#include "server/proto/imap.h"
#include "store/view.h"

int imap_status_items(const struct imap_node *list, unsigned *ret); /* ERR_FORMAT */
int imap_put_status(struct buf *out, const char *name, const struct schema_mailbox *box, unsigned items);

#endif
