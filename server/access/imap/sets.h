/* Sets of messages: what a client names, as UIDs that its session knows, cut into what the vault takes at once. */
#ifndef IMAP_SETS_H
#define IMAP_SETS_H

#include "server/access/imap/session.h"
#include "server/proto/imap_args.h"

/* sequence-set argument to ascending UID ranges that the session's map knows; loads the map. ERR_FORMAT: syntax;
 * ERR_NOT_FOUND: a sequence number beyond the mailbox. */
int imap_arg_uids(struct imap_session *s, const struct imap_node *n, bool uid, struct imap_set *ret);
/* The next batch of tight ranges for the vault: at most most (<= IMAP_BATCH_MAX) messages from *pos on (a UID; start
 * with 1). Returns ranges written; 0: the end. */
enum { IMAP_BATCH_MAX = 1024 };
size_t imap_ranges_count(const struct uid_range *r, size_t n); /* messages */
size_t imap_set_batch(const struct imap_map *m, const struct imap_set *set, uint32_t *pos, size_t most,
                      struct uid_range out[IMAP_BATCH_MAX]);
/* Those of set that the map knows and whose flag (IMAP_SEEN or IMAP_DELETED) is on or off, or (flag 0) that were
 * expunged meanwhile; from the block bitmaps. ret->r is malloc'd. A snapshot of its own. */
int imap_set_flagged(struct imap_session *s, const struct imap_set *set, unsigned flag, bool on, struct imap_set *ret);
int imap_set_gone(struct imap_session *s, const struct imap_set *set, bool *ret_any); /* expunged meanwhile */
int imap_put_set(struct buf *out, const uint32_t *uids, size_t n); /* compressed, in the order given */

#endif
