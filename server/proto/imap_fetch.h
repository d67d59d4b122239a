/* fetch-att: what FETCH asks for (RFC 3501 section 6.4.5). */
#ifndef PROTO_IMAP_FETCH_H
#define PROTO_IMAP_FETCH_H

#include "server/proto/imap.h"

enum imap_fetch_kind {
    FETCH_UID,
    FETCH_FLAGS,
    FETCH_INTERNALDATE,
    FETCH_RFC822_SIZE,
    FETCH_ENVELOPE,
    FETCH_BODY,
    FETCH_BODYSTRUCTURE,
    FETCH_RFC822,
    FETCH_RFC822_HEADER,
    FETCH_RFC822_TEXT,
    FETCH_SECTION
};
enum imap_section_text {
    SECTION_ALL,
    SECTION_HEADER,
    SECTION_HEADER_FIELDS,
    SECTION_HEADER_FIELDS_NOT,
    SECTION_TEXT,
    SECTION_MIME
};
enum { FETCH_ITEMS_MAX = 64, SECTION_PARTS_MAX = 8 };

struct imap_fetch_item {
    struct imap_fetch_item *next;
    enum imap_fetch_kind kind;
    bool peek, partial;
    enum imap_section_text text;
    uint8_t nparts;
    uint32_t parts[SECTION_PARTS_MAX];
    const struct imap_node *fields; /* HEADER.FIELDS: astrings */
    uint64_t offset, count;         /* partial */
};

/* "ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")". Exactly the nodes from n to the end.
 * ERR_FORMAT, ERR_LIMIT. */
int imap_fetch_parse(struct arena *a, const struct imap_node *n, struct imap_fetch_item **ret);
/* Whether it sets \Seen. */
bool imap_fetch_sees(const struct imap_fetch_item *item);

/* Writes the name under which the item is answered: BODY[1.MIME]<0>, BODY[HEADER.FIELDS (FROM "x y")]. */
int imap_fetch_name(const struct imap_fetch_item *item, struct buf *out);

#endif
