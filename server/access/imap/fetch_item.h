/* One message as FETCH sees it within a turn, and its items. */
#ifndef IMAP_FETCH_ITEM_H
#define IMAP_FETCH_ITEM_H

#include "server/access/imap/access.h"
#include "server/proto/imap_fetch.h"
#include "server/format/render.h"

enum { RENDERED_HEADER_MAX = SCHEMA_OUTER_MAX + 1024, PART_HEADER_MAX = 1024 };

struct imap_fetch_message {
    struct access *a;
    uint64_t account;
    uint32_t uid;
    struct schema_entry entry;
    struct schema_facts facts;
    bool have_message;
    struct schema_message m;
    struct render_source source;
    struct render_layout layout;
    struct render_crc *crc;
    uint64_t asked; /* from where packets are needed for what is rendered; UINT64_MAX: none yet */
    bool read;      /* packets have been read */
    bool missed;    /* the last that were asked for are not at hand */
    bool only_ask;  /* reading is ERR_AGAIN: it is only asked what would be read */
    const struct schema_keywords *keywords;
    uint8_t *header; /* RENDERED_HEADER_MAX, the rendered header */
};

/* What an item needs besides the entry. */
bool imap_fetch_needs_message(const struct imap_fetch_item *it);
bool imap_fetch_needs_facts(const struct imap_fetch_item *it);
bool imap_fetch_needs_entry(const struct imap_fetch_item *it);
/* Reads record and outer header; a snapshot is open. */
int imap_fetch_open_message(struct imap_fetch_message *m, uint8_t *outer);

/* An item that is text of a mail: octets [*ret_from, *ret_to) of the rendered message, already cut to its partial
 * range. ERR_NOT_FOUND: NIL; ERR_UNSUPPORTED: not such an item, or one that is built (imap_fetch_put_item). */
int imap_fetch_extent(const struct imap_fetch_item *it, const struct render_layout *l, uint64_t *ret_from,
                      uint64_t *ret_to);
/* Any other item: name and value. */
int imap_fetch_put_item(struct imap_fetch_message *m, const struct imap_fetch_item *it, struct buf *out);

#endif
