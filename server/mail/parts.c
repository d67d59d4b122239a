#include "server/mail/parts.h"

#include <string.h>

#include "server/core/error.h"
#include "server/mail/encoding.h"
#include "server/mail/token.h"

/* ---- its header ---- */

static void read_type(struct part *p)
{
    const struct header_field *f = header_find(&p->header, "Content-Type");
    struct mime_parameter m;

    if (!f)
        return;
    p->content_type = header_field_value(p->header.s, f);
    struct mime_reader r = mime_read(p->content_type, false);
    if (!mime_read_type(&r, &p->type, &p->subtype)) {
        p->content_type = p->type = p->subtype = (struct slice){0};
        return;
    }
    while (mime_read_parameter(&r, &m) == MIME_PARAMETER)
        if (mime_is(m.name, "boundary") && !p->boundary_len) {
            size_t n = mime_unquote(m.value, p->boundary, sizeof(p->boundary));
            p->boundary_len = n <= sizeof(p->boundary) ? n : 0;
        }
}

static enum transfer read_transfer(const struct header_view *v)
{
    const struct header_field *f = header_find(v, "Content-Transfer-Encoding");

    return f ? mime_read_transfer(header_field_value(v->s, f)) : TRANSFER_NONE;
}

int part_read(struct slice s, struct header_field *fields, struct part *ret)
{
    struct part p = {0};
    int err = header_parse(s.data, s.len, fields, HEADER_FIELDS_MAX, &p.header);

    if (err != OK)
        return err;
    read_type(&p);
    p.transfer = read_transfer(&p.header);
    p.body = slice_of(s.data + p.header.header_len, s.len - p.header.header_len);
    *ret = p;
    return OK;
}

bool part_is(const struct part *p, const char *type, const char *subtype)
{
    return mime_is(p->type, type) && (!subtype || mime_is(p->subtype, subtype));
}

/* ---- parts within ---- */

static size_t line_end(struct slice s, size_t at)
{
    const uint8_t *nl = memchr(s.data + at, '\n', s.len - at);

    return nl ? (size_t)(nl - s.data) + 1 : s.len;
}

enum line { LINE_TEXT, LINE_NEXT, LINE_LAST };

/* RFC 2046 section 5.1.1: white space may stand behind it. */
static enum line look(const struct part *p, struct slice line)
{
    size_t at = 2 + p->boundary_len;
    enum line found = LINE_NEXT;

    if (line.len < at || line.data[0] != '-' || line.data[1] != '-' ||
        memcmp(line.data + 2, p->boundary, p->boundary_len) != 0)
        return LINE_TEXT;
    if (line.len >= at + 2 && line.data[at] == '-' && line.data[at + 1] == '-') {
        found = LINE_LAST;
        at += 2;
    }
    while (at < line.len && token_is_space(line.data[at]))
        at++;
    return at == line.len ? found : LINE_TEXT;
}

int part_each(const struct part *p, part_fn *fn, void *arg)
{
    const struct slice body = p->body;
    size_t begin = body.len, at = 0;
    enum line line = LINE_TEXT;
    bool inside = false;
    int err = OK;

    while (p->boundary_len && err == OK && line != LINE_LAST && at < body.len) {
        const size_t next = line_end(body, at);
        line = look(p, slice_of(body.data + at, next - at));
        if (line != LINE_TEXT && inside)
            err = fn(arg, slice_of(body.data + begin, at - begin));
        if (line != LINE_TEXT) {
            inside = true;
            begin = next;
        }
        at = next;
    }
    if (err == OK && inside && line != LINE_LAST)
        err = fn(arg, slice_of(body.data + begin, body.len - begin));
    return err;
}

/* ---- its body ---- */

int part_decode(const struct part *p, bool strict, uint8_t *out, size_t *ret_len)
{
    const bool base64 = p->transfer == TRANSFER_BASE64, quoted = p->transfer == TRANSFER_QUOTED_PRINTABLE;

    if (strict && p->transfer == TRANSFER_UNKNOWN)
        return ERR_FORMAT;
    if (strict && base64)
        return encoding_decode_base64(p->body, out, ret_len);
    if (strict && quoted)
        return encoding_decode_quoted_printable(p->body, out, ret_len);
    if (base64) {
        *ret_len = encoding_read_base64(p->body, out);
    } else if (quoted) {
        *ret_len = encoding_read_quoted_printable(p->body, out);
    } else {
        if (p->body.len)
            memmove(out, p->body.data, p->body.len);
        *ret_len = p->body.len;
    }
    return OK;
}
