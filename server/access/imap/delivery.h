/* The delivery ids of what clients put into mailboxes (APPEND, REPLACE): by its id a command that is tried again,
 * because its OK was never read, is answered with the message that is there already. */
#ifndef IMAP_DELIVERY_H
#define IMAP_DELIVERY_H

#include "server/access/imap/session.h"
#include "server/proto/imap_args.h"

struct imap_delivery {
    uint32_t mailbox;
    struct {
        uint32_t mailbox, uid;
    } replaced; /* zeros: an APPEND */
    const struct imap_flags *flags;
    bool dated; /* the client gave a date */
    int64_t date;
    const struct iovec *mail;
    size_t mail_n;
};

/* Makes the id, which counts as in use until imap_delivery_end. One that is in use already, by this session or another
 * of the account, is not tried again but the same mail put there twice: it gets an id of its own. ret must live so
 * long. ERR_CRYPTO. */
int imap_delivery_begin(struct imap_session *s, const struct imap_delivery *d, uint8_t ret[RECORD_HASH_SIZE]);
/* stored: the client is about to be told so, and the id goes when it has shown that it read that (server/base/heard.h).
 * Until then it stays in use. Nothing if there was no beginning. */
void imap_delivery_end(struct imap_session *s, bool stored);

#endif
