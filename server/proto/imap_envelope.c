/* ENVELOPE from header fields (RFC 3501 section 7.4.2). What is not an address is shown as a local part with an empty
 * host, so that a client sees it rather than nothing: without a host (NIL) it would begin or end a group. */
#include <string.h>

#include "server/core/error.h"
#include "server/mail/address.h"
#include "server/proto/imap_out.h"

enum { ADDRESSES_MAX = 1000, WORD_MAX = 1024 };

/* nil: a piece that says nothing is NIL. */
static int put_piece(struct buf *out, struct slice piece, bool nil)
{
    uint8_t text[WORD_MAX];
    size_t n = address_text(piece, text, sizeof(text));
    return imap_out_string(out, n || !nil ? slice_of(text, n) : (struct slice){0});
}

/* address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")" */
static int put_mailbox(struct buf *out, struct slice name, struct slice route, struct slice local, struct slice host)
{
    const struct slice pieces[4] = {name, route, local, host};
    int err = buf_puts(out, "(");
    for (unsigned i = 0; !err && i < 4; i++) {
        if (i)
            err = buf_puts(out, " ");
        if (!err)
            err = put_piece(out, pieces[i], i < 2);
    }
    return err ? err : buf_puts(out, ")");
}

/* Start of group syntax: the host is NIL, the mailbox is the group's name. */
static int put_group(struct buf *out, struct slice name)
{
    int err = buf_puts(out, "(NIL NIL ");
    if (!err)
        err = put_piece(out, name, false);
    return err ? err : buf_puts(out, " NIL)");
}

static bool says_nothing(const struct address_item *a)
{
    uint8_t text[1];
    return !a->name.data && !address_text(a->local, text, 1) && !address_text(a->domain, text, 1);
}

static int put_item(struct buf *out, const struct address_item *a, bool *in_group)
{
    bool nested = *in_group && a->kind == ADDRESS_GROUP;
    if (a->kind == ADDRESS_GROUP_END || (a->kind == ADDRESS_GROUP && !nested)) {
        *in_group = a->kind == ADDRESS_GROUP;
        return *in_group ? put_group(out, a->name) : buf_puts(out, "(NIL NIL NIL NIL)");
    }
    if (nested) /* there are no groups in groups */
        return put_mailbox(out, (struct slice){0}, (struct slice){0}, a->name, (struct slice){0});
    return says_nothing(a) ? OK : put_mailbox(out, a->name, a->route, a->local, a->domain);
}

static int address_list(struct buf *out, struct slice value)
{
    struct address_reader r = {.s = value.data, .len = value.len};
    struct address_item item;
    size_t start = out->len;
    bool in_group = false;
    int err = buf_puts(out, "(");
    for (unsigned n = 0; !err && n < ADDRESSES_MAX && address_read(&r, &item); n++)
        err = put_item(out, &item, &in_group);
    if (!err && in_group)
        err = buf_puts(out, "(NIL NIL NIL NIL)");
    if (err)
        return err;
    if (out->len == start + 1) { /* no address: NIL, not an empty list */
        out->len = start;
        return buf_puts(out, "NIL");
    }
    return buf_puts(out, ")");
}

/* A value on one line: folds are taken out, the blanks after them stay (RFC 5322 section 2.2.3). */
static int unfolded(struct buf *out, struct slice v)
{
    uint8_t line[8192];
    size_t n = 0;
    for (size_t i = 0; i < v.len && n < sizeof(line); i++)
        if (v.data[i] != '\r' && v.data[i] != '\n')
            line[n++] = v.data[i];
    return imap_out_string(out, slice_of(line, n));
}

/* Octets of out once more at its end. */
static int repeat(struct buf *out, size_t from, size_t len)
{
    uint8_t *p;
    int err = buf_reserve(out, len, &p);
    if (err)
        return err;
    memcpy(p, out->data + from, len);
    buf_commit(out, len);
    return OK;
}

int imap_out_envelope(struct buf *out, struct slice header)
{
    enum { DATE, SUBJECT, FROM, SENDER, REPLY_TO, TO, CC, BCC, IN_REPLY_TO, MESSAGE_ID, FIELDS };
    static const char *const names[FIELDS] = {"Date", "Subject", "From", "Sender",      "Reply-To",
                                              "To",   "Cc",      "Bcc",  "In-Reply-To", "Message-ID"};
    struct slice values[FIELDS];
    size_t start, from = 0, from_len = 0;
    int err = buf_puts(out, "(");
    imap_fields_find(header, names, FIELDS, values);
    for (unsigned i = 0; !err && i < FIELDS; i++) {
        if (i)
            err = buf_puts(out, " ");
        start = out->len;
        if (err)
            break;
        if ((i == SENDER || i == REPLY_TO) && !values[i].len) /* lacking ones take From's value (section 7.4.2) */
            err = repeat(out, from, from_len);
        else if (!values[i].data)
            err = buf_puts(out, "NIL");
        else
            err = i >= FROM && i <= BCC ? address_list(out, values[i]) : unfolded(out, values[i]);
        if (i == FROM) {
            from = start;
            from_len = out->len - start;
        }
    }
    return err ? err : buf_puts(out, ")");
}
