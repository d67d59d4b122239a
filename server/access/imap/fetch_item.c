/* FETCH's items made from a message's entry, its outer header and its layout. */
#include <string.h>

#include "server/access/imap/args.h"
#include "server/access/imap/fetch_item.h"
#include "server/proto/imap_out.h"

bool imap_fetch_needs_message(const struct imap_fetch_item *it)
{
    return it->kind >= FETCH_ENVELOPE;
}

bool imap_fetch_needs_facts(const struct imap_fetch_item *it)
{
    return it->kind == FETCH_INTERNALDATE || it->kind == FETCH_RFC822_SIZE;
}

bool imap_fetch_needs_entry(const struct imap_fetch_item *it)
{
    return it->kind != FETCH_UID;
}

static int read_packets(void *arg, uint64_t offset, uint8_t *out, size_t len)
{
    struct imap_fetch_message *m = arg;
    if (m->asked == UINT64_MAX || offset == m->crc->at) /* a checksum never asks again for what it has had */
        m->asked = offset;
    m->missed = m->only_ask;
    if (m->only_ask)
        return ERR_AGAIN;
    int err = view_packets(m->a->view, m->account, &m->m, offset, out, len);
    (void)imap_turn_spend(m->a, IMAP_WORK_CHUNK + (uint32_t)(len / 256));
    m->missed = err == ERR_AGAIN;
    m->read = m->read || !err;
    return err;
}

int imap_fetch_open_message(struct imap_fetch_message *m, uint8_t *outer)
{
    int err = view_message(m->a->view, m->account, m->entry.message, &m->m, outer);
    if (!err && !render_known(m->m.render_version))
        err = ERR_VERSION;
    if (err)
        return err;
    m->source = (struct render_source){m->m.render_version,
                                       m->entry.message,
                                       m->m.outer.data,
                                       m->m.outer.len,
                                       m->m.packets_len,
                                       read_packets,
                                       m,
                                       m->crc};
    render_layout(m->m.render_version, m->entry.message, m->m.outer.len, m->m.packets_len, &m->layout);
    m->have_message = true;
    return m->layout.header_len <= RENDERED_HEADER_MAX ? OK : ERR_FORMAT;
}

static int section_of(const struct imap_fetch_item *it, enum imap_section_text *ret)
{
    switch (it->kind) {
    /* RFC822 is BODY[], RFC822.HEADER is BODY[HEADER], RFC822.TEXT is BODY[TEXT] (RFC 3501 section 6.4.5). */
    case FETCH_RFC822: *ret = SECTION_ALL; return OK;
    case FETCH_RFC822_HEADER: *ret = SECTION_HEADER; return OK;
    case FETCH_RFC822_TEXT: *ret = SECTION_TEXT; return OK;
    case FETCH_SECTION: *ret = it->text; return OK;
    default: return ERR_UNSUPPORTED;
    }
}

static int part_extent(const struct imap_fetch_item *it, const struct render_layout *l, uint64_t *from, uint64_t *to)
{
    if (it->nparts > 1 || it->parts[0] > (l->single ? 1 : 2) ||
        (it->text != SECTION_ALL && it->text != SECTION_MIME)) /* no part is a message or a multipart */
        return ERR_NOT_FOUND;
    bool first = it->parts[0] == 1, mime = it->text == SECTION_MIME;
    uint64_t body = first ? l->part1_body : l->part2_body;
    *from = mime ? (first ? l->part1_mime : l->part2_mime) : body;
    *to = mime ? body : first ? l->part1_end : l->part2_end;
    return OK;
}

/* Octets from offset on, count at most: beyond the end there are none, which is no error (RFC 3501 section 6.4.5). */
static void cut(const struct imap_fetch_item *it, uint64_t *from, uint64_t *to)
{
    uint64_t len = *to - *from;
    if (!it->partial)
        return;
    uint64_t skip = it->offset < len ? it->offset : len;
    *from += skip;
    len -= skip;
    *to = *from + (it->count < len ? it->count : len);
}

int imap_fetch_extent(const struct imap_fetch_item *it, const struct render_layout *l, uint64_t *ret_from,
                      uint64_t *ret_to)
{
    enum imap_section_text text;
    uint64_t from = 0, to = l->size;
    int err = section_of(it, &text);
    if (err)
        return err;
    if (it->nparts) {
        if ((err = part_extent(it, l, &from, &to)) != OK)
            return err;
    } else if (text == SECTION_HEADER) {
        to = l->header_len;
    } else if (text == SECTION_TEXT) {
        from = l->header_len;
    } else if (text != SECTION_ALL) {
        return ERR_UNSUPPORTED;
    }
    cut(it, &from, &to);
    *ret_from = from;
    *ret_to = to;
    return OK;
}

static int rendered_header(struct imap_fetch_message *m, struct slice *ret)
{
    size_t len = 0;
    int err = render_range(&m->source, 0, (size_t)m->layout.header_len, m->header, &len);
    if (!err && len != m->layout.header_len)
        err = ERR_IO;
    if (!err)
        *ret = slice_of(m->header, len);
    return err;
}

static bool listed(const struct imap_fetch_item *it, const struct imap_field *f)
{
    for (const struct imap_node *n = it->fields; n; n = n->next)
        if (n->text.len == f->name.len &&
            strncasecmp((const char *)n->text.data, (const char *)f->name.data, f->name.len) == 0)
            return true;
    return false;
}

/* HEADER.FIELDS and .NOT: the fields in their order, then the empty line (RFC 3501 section 6.4.5). */
static int put_fields(struct imap_fetch_message *m, const struct imap_fetch_item *it, struct buf *out)
{
    struct slice header;
    struct imap_field f;
    uint8_t text[RENDERED_HEADER_MAX];
    size_t len = 0;
    int err = rendered_header(m, &header);
    if (err)
        return err;
    for (size_t pos = 0; imap_field_next(header, &pos, &f);) {
        if (listed(it, &f) != (it->text == SECTION_HEADER_FIELDS))
            continue;
        memcpy(text + len, f.whole.data, f.whole.len);
        len += f.whole.len;
    }
    if (len + 2 > sizeof(text))
        return ERR_FORMAT;
    memcpy(text + len, "\r\n", 2);
    uint64_t from = 0, to = len + 2;
    cut(it, &from, &to);
    err = buf_printf(out, " {%zu}\r\n", (size_t)(to - from));
    return err ? err : buf_append(out, text + from, (size_t)(to - from));
}

static int put_part(struct imap_fetch_message *m, struct buf *out, bool second, bool extended)
{
    uint8_t mime[PART_HEADER_MAX];
    const struct render_layout *l = &m->layout;
    uint64_t start = second ? l->part2_mime : l->part1_mime, body = second ? l->part2_body : l->part1_body;
    uint64_t end = second ? l->part2_end : l->part1_end;
    size_t len = 0;
    if (body - start > sizeof(mime))
        return ERR_FORMAT;
    int err = render_range(&m->source, start, (size_t)(body - start), mime, &len);
    return err ? err
               : imap_out_part(out, slice_of(mime, len), end - body, second ? l->part2_lines : l->part1_lines,
                               extended);
}

static int put_structure(struct imap_fetch_message *m, struct buf *out, bool extended)
{
    struct slice header;
    int err = rendered_header(m, &header);
    if (!err)
        err = buf_puts(out, m->layout.single ? " " : " (");
    if (!err)
        err = put_part(m, out, false, extended);
    if (m->layout.single)
        return err;
    if (!err)
        err = put_part(m, out, true, extended);
    return err ? err : imap_out_multipart_end(out, header, extended);
}

static int put_number(struct buf *out, uint64_t v)
{
    int err = buf_append(out, " ", 1);
    return err ? err : buf_put_number(out, v);
}

int imap_fetch_put_item(struct imap_fetch_message *m, const struct imap_fetch_item *it, struct buf *out)
{
    char date[IMAP_DATE_TIME_LEN + 1];
    int err = imap_fetch_name(it, out);
    if (err)
        return err;
    switch (it->kind) {
    case FETCH_UID: return put_number(out, m->uid);
    case FETCH_FLAGS: err = buf_puts(out, " "); return err ? err : imap_put_flags(out, &m->entry, m->keywords);
    case FETCH_INTERNALDATE: imap_date_time_write(m->facts.internaldate, date); return buf_printf(out, " \"%s\"", date);
    case FETCH_RFC822_SIZE: return put_number(out, m->facts.size);
    case FETCH_ENVELOPE: err = buf_puts(out, " "); return err ? err : imap_out_envelope(out, m->m.outer);
    case FETCH_BODY:
    case FETCH_BODYSTRUCTURE: return put_structure(m, out, it->kind == FETCH_BODYSTRUCTURE);
    default:
        if (it->text == SECTION_HEADER_FIELDS || it->text == SECTION_HEADER_FIELDS_NOT)
            return it->nparts ? buf_puts(out, " NIL") : put_fields(m, it, out);
        return buf_puts(out, " NIL"); /* no such part */
    }
}
