/* The keys of this server's domains that sign what goes out: read from the store when the first mail needs them, and
 * again once they have changed. */
#ifndef QUEUE_DKIM_KEYS_H
#define QUEUE_DKIM_KEYS_H

#include <sys/uio.h>

#include "server/core/buf.h"
#include "server/mail/address.h"
#include "store/view.h"

struct dkim_keys;

/* v, which has RECORD_DKIM, must live as long. NULL: out of memory. */
struct dkim_keys *dkim_keys_create(struct view *v);
void dkim_keys_destroy(struct dkim_keys *k); /* NULL is allowed */
/* The store's are others by now: a notice about the queue has id 0, or the vault is a new one. */
void dkim_keys_changed(struct dkim_keys *k);
/* Appends a DKIM-Signature field to fields for each key of the domain in mail's From that is in use now (seconds since
 * 1970); a domain that is not ours has none. mail: as dkim_sign has it. Outside of a snapshot. ERR_FORMAT: its header
 * does not parse; ERR_LIMIT: fields has no room; ERR_MEMORY, ERR_OVERRUN, ERR_IO and the like: not now. Then nothing is
 * appended. */
int dkim_keys_sign(struct dkim_keys *k, const struct iovec *mail, size_t n, uint64_t now, struct buf *fields);
/* A domain whose mail is signed now: wish if it is one, otherwise the first by name. ERR_NOT_FOUND: there is none;
 * ERR_MEMORY, ERR_OVERRUN, ERR_IO and the like: not now. */
int dkim_keys_domain(struct dkim_keys *k, const char *wish, uint64_t now, char ret_domain[DOMAIN_CAP]);
/* How many records did not open when they were read: these keys sign nothing. */
size_t dkim_keys_unreadable(const struct dkim_keys *k);

#endif
