/* All mailboxes of an account as the tree that LIST shows: each after the one above it. */
#ifndef IMAP_BOXES_H
#define IMAP_BOXES_H

#include "store/view.h"

struct imap_box {
    char *name;
    uint8_t use;
    bool exists; /* else a name that is subscribed to, or a level above one */
    bool subscribed, children;
    bool match, selected_below, unlisted_below; /* LIST's own */
    int parent;                                 /* its place; -1: none */
    struct schema_mailbox box;                  /* of one that exists */
};
struct imap_boxes {
    struct imap_box *v; /* in malloc'd memory: there may be thousands */
    size_t n, cap;
};

/* In a snapshot; what was read before is given back. */
int imap_boxes_read(struct imap_boxes *b, struct view *v, uint64_t account, bool subscriptions);
/* Once, after reading: one entry a name, in order, the levels that are missing above absent ones put in. INBOX comes
 * first. ERR_MEMORY. */
int imap_boxes_arrange(struct imap_boxes *b);
void imap_boxes_free(struct imap_boxes *b);
int imap_boxes_order(const char *a, const char *b); /* as strcmp: INBOX first, each name before those below it */

#endif
