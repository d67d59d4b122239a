/* Sets of messages: what a client names, as UIDs that its session knows, cut into what the vault takes at once. */
#ifndef IMAP_SETS_H
#define IMAP_SETS_H

#include "server/access/imap/session.h"
#include "server/proto/imap_args.h"

/* sequence-set argument to ascending UID ranges; in a command with IMAP_CMD_MAP. ERR_FORMAT: syntax; ERR_NOT_FOUND: a
 * sequence number beyond the mailbox. */
int imap_arg_uids(struct imap_session *s, const struct imap_node *n, bool uid, struct imap_set *ret);

/* Members of a set that the session's map knows, and of them those whose flag (IMAP_SEEN or IMAP_DELETED) is on or off,
 * or (flag 0) that were expunged meanwhile; the block bitmaps tell. */
struct imap_pick {
    unsigned flag;
    bool on;
};
/* The next of them from *pos on (a UID; start with 1), at most `most` (<= IMAP_BATCH_MAX) messages, as tight ranges.
 * *pos becomes where to go on; 0: that was all. Fewer, or none, before the end: the turn's work is done.
 * pick NULL: what the map knows, which cannot fail; else in a snapshot of its own. */
enum { IMAP_BATCH_MAX = 1024 };
int imap_set_pick(struct imap_session *s, const struct imap_set *set, const struct imap_pick *pick, uint32_t *pos,
                  size_t most, struct uid_range out[IMAP_BATCH_MAX], size_t *ret_n);

#endif
