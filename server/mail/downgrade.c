/* The walk over a message's parts; how octets are encoded is transfer.c's. See downgrade.h. */
#include "server/mail/downgrade.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/header.h"
#include "server/mail/mime.h"
#include "server/mail/token.h"
#include "server/mail/transfer.h"

enum { BOUNDARY_MAX = 200 /* RFC 2046 section 5.1.1 says 70 */ };

struct walk {
    bool to_7bit;
    unsigned depth, parts;
    struct header_field *fields; /* of the header at hand */
    struct secmem_msg *out;
};

/* ---- what octets need ---- */

struct shape {
    bool high, bare;
    size_t longest, highs;
};

static void look(const uint8_t *s, size_t len, struct shape *ret)
{
    size_t line = 0;

    *ret = (struct shape){0};
    for (size_t i = 0; i < len; i++) {
        const bool crlf = s[i] == '\r' && i + 1 < len && s[i + 1] == '\n';

        ret->highs += s[i] > 127;
        ret->bare |= s[i] == '\0' || s[i] == '\n' || (s[i] == '\r' && !crlf);
        if (crlf) {
            ret->longest = line > ret->longest ? line : ret->longest;
            line = 0;
            i++;
        } else {
            line++;
        }
    }
    ret->longest = line > ret->longest ? line : ret->longest;
    ret->high = ret->highs > 0;
}

static bool fits(const struct walk *w, struct slice s)
{
    struct shape sh;

    look(s.data, s.len, &sh);
    return !sh.bare && !(w->to_7bit && sh.high) && sh.longest <= DOWNGRADE_LINE_MAX;
}

static int put(struct walk *w, const void *data, size_t len)
{
    return len ? secmem_msg_append(w->out, data, len) : OK;
}

/* ---- an entity's header ---- */

enum part { PART_LEAF, PART_MULTIPART, PART_MESSAGE, PART_KEPT /* what a signature covers, or is encrypted */ };

struct entity {
    struct slice header, body;
    enum part part;
    bool text;
    enum transfer transfer;
    uint8_t boundary[BOUNDARY_MAX];
    size_t boundary_len;
};

static void read_type(struct slice value, struct entity *e)
{
    struct mime_reader r = mime_read(value, false);
    struct slice type, subtype;
    struct mime_parameter p;

    if (!mime_read_type(&r, &type, &subtype))
        return;
    e->text = mime_is(type, "text");
    if (mime_is(type, "message") && (mime_is(subtype, "rfc822") || mime_is(subtype, "global")))
        e->part = PART_MESSAGE;
    if (!mime_is(type, "multipart"))
        return;
    if (mime_is(subtype, "signed") || mime_is(subtype, "encrypted")) {
        e->part = PART_KEPT;
        return;
    }
    while (mime_read_parameter(&r, &p) == MIME_PARAMETER) {
        if (!mime_is(p.name, "boundary"))
            continue;
        e->boundary_len = mime_unquote(p.value, e->boundary, sizeof(e->boundary));
        e->part = e->boundary_len > 0 && e->boundary_len <= BOUNDARY_MAX ? PART_MULTIPART : PART_KEPT;
        return;
    }
    e->part = PART_KEPT;
}

static int read_entity(struct walk *w, struct slice s, struct header_view *v, struct entity *ret)
{
    const struct header_field *type, *transfer;
    int err = header_parse(s.data, s.len, w->fields, HEADER_FIELDS_MAX, v);

    if (err != OK)
        return err;
    *ret = (struct entity){.header = slice_of(s.data, v->header_len),
                           .body = slice_of(s.data + v->header_len, s.len - v->header_len),
                           .text = true};
    type = header_find(v, "Content-Type");
    transfer = header_find(v, "Content-Transfer-Encoding");
    if (type) {
        ret->text = false;
        read_type(header_field_value(s.data, type), ret);
    }
    if (transfer)
        ret->transfer = mime_read_transfer(header_field_value(s.data, transfer));
    return OK;
}

/* A field whose lines are too long is folded where it has blanks (RFC 5322 section 2.2.3). */
static int put_field(struct walk *w, const uint8_t *s, size_t len)
{
    size_t from = 0, blank = 0, line = 0;

    for (size_t i = 0; i < len; i++) {
        if (w->to_7bit && s[i] > 127)
            return ERR_UNSUPPORTED; /* no encoding is right in every field */
        if (s[i] == '\n')
            line = i + 1;
        else if (token_is_blank(s[i]) && i > line)
            blank = i;
        if (i - line < DOWNGRADE_LINE_MAX || s[i] == '\r' || s[i] == '\n')
            continue;
        if (blank <= line)
            return ERR_UNSUPPORTED;
        int err = put(w, s + from, blank - from);
        if (err == OK)
            err = put(w, "\r\n", 2);
        if (err != OK)
            return err;
        from = line = blank;
    }
    return put(w, s + from, len - from);
}

static const char transfer_name[] = "Content-Transfer-Encoding";

static int put_fields(struct walk *w, const struct header_view *v, bool all, size_t *ret_end)
{
    int err = OK;

    *ret_end = 0;
    for (size_t i = 0; i < v->count && err == OK; i++) {
        const struct header_field *f = &v->fields[i];
        *ret_end = f->offset + f->len;
        if (all || f->name_len == 0 || !header_field_is(v->s, f, transfer_name))
            err = put_field(w, v->s + f->offset, f->len);
    }
    return err;
}

/* The header, its Content-Transfer-Encoding replaced by another; NULL: it stays. */
static int put_header(struct walk *w, const struct header_view *v, const char *transfer)
{
    const char *const line[] = {transfer_name, ": ", transfer, "\r\n"};
    size_t end;
    int err = put_fields(w, v, transfer == NULL, &end);

    for (size_t i = 0; transfer && i < sizeof(line) / sizeof(line[0]) && err == OK; i++)
        err = put(w, line[i], strlen(line[i]));
    return err == OK ? put(w, v->s + end, v->header_len - end) : err;
}

/* ---- parts ---- */

static int entity(struct walk *w, struct slice s);

static int to_out(void *arg, const uint8_t *data, size_t len)
{
    struct walk *w = arg;
    return put(w, data, len);
}

static int put_leaf(struct walk *w, const struct header_view *v, const struct entity *e)
{
    enum transfer to = e->transfer;
    struct shape sh;
    int err;

    if (fits(w, e->body)) {
        err = put_header(w, v, NULL);
        return err == OK ? put(w, e->body.data, e->body.len) : err;
    }
    look(e->body.data, e->body.len, &sh);
    if (to == TRANSFER_UNKNOWN || (to == TRANSFER_BASE64 && sh.high))
        return ERR_UNSUPPORTED;
    if (to == TRANSFER_NONE) /* quoted-printable stays legible, and is longer from a fifth of such octets on */
        to = e->text && sh.highs <= e->body.len / 5 ? TRANSFER_QUOTED_PRINTABLE : TRANSFER_BASE64;
    err = put_header(w, v, to == TRANSFER_BASE64 ? "base64" : "quoted-printable");
    return err == OK ? transfer_encode(e->transfer, to, e->body, to_out, w) : err;
}

/* What stands before the first part and behind the last is nobody's to read. */
static int put_aside(struct walk *w, struct slice s)
{
    uint8_t line[DOWNGRADE_LINE_MAX];
    size_t n = 0;
    int err = OK;

    if (fits(w, s))
        return put(w, s.data, s.len);
    for (size_t i = 0; i < s.len && err == OK; i++) {
        const uint8_t c = s.data[i];
        if (n < sizeof(line) - 2 || c == '\n')
            line[n++] = w->to_7bit && c > 127 ? '?' : c;
        if (c == '\n') {
            line[n - 1] = '\n';
            if (n < 2 || line[n - 2] != '\r')
                line[n - 1] = '\r', line[n++] = '\n';
            err = put(w, line, n);
            n = 0;
        }
    }
    return err == OK ? put(w, line, n) : err;
}

/* A delimiter line (RFC 2046 section 5.1.1) at or behind *at: where it begins, with the CRLF that is its own, and where
 * it ends. */
struct delimiter {
    size_t begin, end;
    bool last;
};
static bool next_delimiter(const struct entity *e, size_t at, struct delimiter *ret)
{
    const uint8_t *s = e->body.data;
    const size_t len = e->body.len;

    while (at < len) {
        const uint8_t *nl = memchr(s + at, '\n', len - at);
        const size_t end = nl ? (size_t)(nl - s) + 1 : len;
        size_t i = at + 2 + e->boundary_len;

        if (i <= end && s[at] == '-' && s[at + 1] == '-' && memcmp(s + at + 2, e->boundary, e->boundary_len) == 0) {
            ret->last = i + 2 <= end && s[i] == '-' && s[i + 1] == '-';
            i += ret->last ? 2 : 0;
            while (i < end && token_is_space(s[i]))
                i++;
            if (i == end) {
                ret->begin = at;
                if (at > 0)
                    ret->begin -= at > 1 && s[at - 2] == '\r' ? 2 : 1;
                ret->end = end;
                return true;
            }
        }
        at = end;
    }
    return false;
}

static int put_multipart(struct walk *w, const struct entity *e)
{
    const uint8_t *s = e->body.data;
    struct delimiter d = {0}, next;
    int err;

    if (!next_delimiter(e, 0, &d))
        return put_aside(w, e->body);
    err = put_aside(w, slice_of(s, d.begin));
    while (err == OK) {
        err = put(w, s + d.begin, d.end - d.begin);
        if (err != OK || d.last)
            break;
        if (!next_delimiter(e, d.end, &next))
            return entity(w, slice_of(s + d.end, e->body.len - d.end));
        if (next.begin > d.end)
            err = entity(w, slice_of(s + d.end, next.begin - d.end));
        else
            next.begin = d.end; /* an empty part: both lines share a CRLF */
        d = next;
    }
    return err == OK ? put_aside(w, slice_of(s + d.end, e->body.len - d.end)) : err;
}

static int put_entity(struct walk *w, struct slice s)
{
    struct header_view v;
    struct entity e;
    int err = read_entity(w, s, &v, &e);

    if (err != OK)
        return err;
    switch (e.part) {
    case PART_KEPT: return ERR_UNSUPPORTED;
    case PART_LEAF: return put_leaf(w, &v, &e);
    default: break;
    }
    /* Of what is composite no encoding but the identity is allowed (RFC 2045 section 6.4). */
    if (e.transfer != TRANSFER_NONE)
        return put_leaf(w, &v, &e);
    err = put_header(w, &v, w->to_7bit ? "7bit" : "8bit");
    if (err != OK)
        return err;
    return e.part == PART_MULTIPART ? put_multipart(w, &e) : entity(w, e.body);
}

static int entity(struct walk *w, struct slice s)
{
    int err;

    if (fits(w, s))
        return put(w, s.data, s.len);
    if (w->depth == DOWNGRADE_DEPTH_MAX || ++w->parts > DOWNGRADE_PARTS_MAX)
        return ERR_LIMIT;
    w->depth++;
    err = put_entity(w, s);
    w->depth--;
    return err;
}

/* ---- the message ---- */

void mail_shape(const struct iovec *mail, size_t n, struct mail_shape *ret)
{
    bool header = true, cr = false;
    uint64_t line = 0;

    *ret = (struct mail_shape){0};
    for (size_t p = 0; p < n; p++) {
        const uint8_t *s = mail[p].iov_base;
        for (size_t i = 0; i < mail[p].iov_len; i++) {
            const bool end = s[i] == '\n';

            if (s[i] > 127 && header)
                ret->header_8bit = true;
            else if (s[i] > 127)
                ret->body_8bit = true;
            ret->bare |= s[i] == '\0' || cr != end;
            if (end) {
                header &= line > 0;
                line = 0;
            } else if (s[i] != '\r' && ++line > ret->longest) {
                ret->longest = line;
            }
            cr = s[i] == '\r';
        }
    }
    ret->bare |= cr;
}

static bool ends_a_line(const struct secmem_msg *m)
{
    return m->last && m->last->len > 0 && m->last->data[m->last->len - 1] == '\n';
}

int mail_downgrade(const struct iovec *mail, size_t n, bool to_7bit, struct secmem_msg *out)
{
    struct walk w = {.to_7bit = to_7bit, .out = out};
    size_t len = 0, at = 0;
    uint8_t *s;
    int err = ERR_MEMORY;

    for (size_t i = 0; i < n; i++)
        len += mail[i].iov_len;
    s = secmem_map(len ? len : 1);
    w.fields = malloc(HEADER_FIELDS_MAX * sizeof(*w.fields));
    if (s && w.fields) {
        for (size_t i = 0; i < n; at += mail[i++].iov_len)
            memcpy(s + at, mail[i].iov_base, mail[i].iov_len);
        err = entity(&w, slice_of(s, len));
        if (err == OK && out->len != len && !ends_a_line(out))
            err = put(&w, "\r\n", 2); /* behind base64, where readers pass it over */
    }
    free(w.fields);
    secmem_unmap(s, len ? len : 1);
    if (err != OK)
        secmem_msg_release(out);
    return err;
}
