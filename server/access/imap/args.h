/* What arguments and answers of several commands have in common: mailbox names, their uses, flags. */
#ifndef IMAP_ACCESS_ARGS_H
#define IMAP_ACCESS_ARGS_H

#include "server/core/error.h"
#include "server/proto/imap_args.h"
#include "store/view.h"

/* Wire to UTF-8; of a mailbox, INBOX in upper case. ERR_FORMAT: not what a name may be written with; ERR_UNSUPPORTED:
 * bad modified UTF-7, ERR_LIMIT: too long, so no mailbox has that name. */
int imap_arg_mailbox(const struct imap_node *n, char out[MAILBOX_NAME_MAX]);
int imap_arg_utf7(struct slice s, char out[MAILBOX_NAME_MAX]);
int imap_put_mailbox(struct buf *out, const char *utf8); /* UTF-8 to wire, as astring */
size_t imap_arg_count(const struct imap_node *n);

/* "(\Seen kw)"; e NULL: all there are */
int imap_put_flags(struct buf *out, const struct schema_entry *e, const struct schema_keywords *keywords);
/* FLAGS and PERMANENTFLAGS: every keyword of the account may be used in each of its mailboxes. */
int imap_put_flag_lines(struct buf *out, const struct schema_keywords *keywords, bool readonly);
uint32_t imap_keywords_digest(const struct schema_keywords *keywords); /* another one when others are to be told */

/* RFC 6154 section 2; ends with NULL. */
extern const struct imap_use_name {
    const char *name;
    uint8_t use;
} imap_use_names[];

#endif
