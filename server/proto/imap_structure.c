/* BODY and BODYSTRUCTURE from the MIME fields of what is served (RFC 3501 section 7.4.2). The header blocks are our own
 * rendering's, so the parser knows RFC 2045's plain grammar and no more; what does not fit it is left out. */
#include <string.h>

#include "server/core/error.h"
#include "server/proto/imap_out.h"

enum { PARAMS_MAX = 16 };

struct param {
    struct slice name, value;
    uint8_t unescaped[256];
};

static void blanks(struct slice s, size_t *i)
{
    while (*i < s.len && (s.data[*i] == ' ' || s.data[*i] == '\t' || s.data[*i] == '\r' || s.data[*i] == '\n'))
        ++*i;
}

static struct slice token(struct slice s, size_t *i)
{
    size_t start = *i;
    while (*i < s.len && s.data[*i] > 0x20 && s.data[*i] < 0x7f && !strchr("()<>@,;:\\\"/[]?=", s.data[*i]))
        ++*i;
    return slice_of(s.data + start, *i - start);
}

/* value = token / quoted-string */
static bool param_value(struct slice s, size_t *i, struct param *p)
{
    if (*i == s.len || s.data[*i] != '"') {
        p->value = token(s, i);
        return p->value.len > 0;
    }
    size_t n = 0;
    for (++*i; *i < s.len && s.data[*i] != '"'; ++*i) {
        if (s.data[*i] == '\\' && ++*i == s.len)
            return false;
        if (n == sizeof(p->unescaped))
            return false;
        p->unescaped[n++] = s.data[*i];
    }
    if (*i == s.len)
        return false;
    ++*i;
    p->value = slice_of(p->unescaped, n);
    return true;
}

/* *(";" attribute "=" value) as a parenthesised list, or NIL */
static int params(struct buf *out, struct slice s, size_t i)
{
    unsigned n = 0;
    int err = OK;
    while (!err && n < PARAMS_MAX) {
        struct param p;
        blanks(s, &i);
        if (i >= s.len || s.data[i++] != ';')
            break;
        blanks(s, &i);
        p.name = token(s, &i);
        blanks(s, &i);
        if (!p.name.len || i >= s.len || s.data[i++] != '=')
            break;
        blanks(s, &i);
        if (!param_value(s, &i, &p))
            break;
        err = buf_puts(out, n++ ? " " : "(");
        if (!err)
            err = imap_out_string(out, p.name);
        if (!err)
            err = buf_puts(out, " ");
        if (!err)
            err = imap_out_string(out, p.value);
    }
    return err ? err : buf_puts(out, n ? ")" : "NIL");
}

static int string_field(struct buf *out, struct slice header, const char *name, const char *otherwise)
{
    struct slice v;
    if (imap_field_find(header, name, &v))
        return imap_out_string(out, v);
    return buf_puts(out, otherwise);
}

/* body-fld-dsp = "(" string SP body-fld-param ")" / nil */
static int disposition(struct buf *out, struct slice header)
{
    struct slice v;
    size_t i = 0;
    if (!imap_field_find(header, "Content-Disposition", &v))
        return buf_puts(out, "NIL");
    struct slice word = token(v, &i);
    int err = buf_puts(out, "(");
    if (!err)
        err = imap_out_string(out, word);
    if (!err)
        err = buf_puts(out, " ");
    if (!err)
        err = params(out, v, i);
    return err ? err : buf_puts(out, ")");
}

static struct slice content_type(struct slice header, struct slice *ret_type, struct slice *ret_sub, size_t *ret_at)
{
    struct slice v = {0};
    *ret_type = slice_str("text");
    *ret_sub = slice_str("plain");
    *ret_at = 0;
    if (!imap_field_find(header, "Content-Type", &v))
        return v;
    size_t i = 0;
    struct slice type = token(v, &i);
    if (i < v.len && v.data[i] == '/' && type.len) {
        i++;
        struct slice sub = token(v, &i);
        if (sub.len) {
            *ret_type = type;
            *ret_sub = sub;
            *ret_at = i;
            return v;
        }
    }
    return (struct slice){0};
}

static bool is_text(struct slice type)
{
    return type.len == 4 && strncasecmp((const char *)type.data, "text", 4) == 0;
}

int imap_out_part(struct buf *out, struct slice header, uint64_t size, uint64_t lines, bool extended)
{
    struct slice type, sub;
    size_t at;
    struct slice v = content_type(header, &type, &sub, &at);
    int err = buf_puts(out, "(");
    if (!err)
        err = imap_out_string(out, type);
    if (!err)
        err = buf_puts(out, " ");
    if (!err)
        err = imap_out_string(out, sub);
    if (!err)
        err = buf_puts(out, " ");
    if (!err)
        err = params(out, v, at);
    if (!err)
        err = buf_puts(out, " ");
    if (!err)
        err = string_field(out, header, "Content-ID", "NIL");
    if (!err)
        err = buf_puts(out, " ");
    if (!err)
        err = string_field(out, header, "Content-Description", "NIL");
    if (!err)
        err = buf_puts(out, " ");
    if (!err)
        err = string_field(out, header, "Content-Transfer-Encoding", "\"7bit\"");
    if (!err)
        err = buf_printf(out, " %llu", (unsigned long long)size);
    if (!err && is_text(type))
        err = buf_printf(out, " %llu", (unsigned long long)lines);
    if (!err && extended) /* body-ext-1part: md5, disposition, language, location */
        err = buf_puts(out, " NIL ");
    if (!err && extended)
        err = disposition(out, header);
    if (!err && extended)
        err = buf_puts(out, " NIL NIL");
    return err ? err : buf_puts(out, ")");
}

int imap_out_multipart_end(struct buf *out, struct slice header, bool extended)
{
    struct slice type, sub;
    size_t at;
    struct slice v = content_type(header, &type, &sub, &at);
    int err = buf_puts(out, " ");
    if (!err)
        err = imap_out_string(out, sub);
    if (!err && extended)
        err = buf_puts(out, " ");
    if (!err && extended)
        err = params(out, v, at);
    if (!err && extended) /* body-ext-mpart: parameters, disposition, language, location */
        err = buf_puts(out, " NIL NIL NIL");
    return err ? err : buf_puts(out, ")");
}
