/* Strings of responses, and the fields of a mail header block. */
#include "server/proto/imap_out.h"

#include <string.h>

#include "server/core/error.h"
#include "server/mail/header.h"
#include "server/mail/token.h"

enum { QUOTED_MAX = 1000 };

int imap_out_string(struct buf *out, struct slice s)
{
    if (!s.data)
        return buf_puts(out, "NIL");
    size_t extra = 0;
    bool quotable = s.len <= QUOTED_MAX;
    for (size_t i = 0; quotable && i < s.len; i++) {
        uint8_t c = s.data[i];
        extra += c == '"' || c == '\\';
        quotable = c >= 0x20 && c < 0x7f; /* TEXT-CHAR without CR and LF (RFC 3501 section 9) */
    }
    if (!quotable) {
        int err = buf_printf(out, "{%zu}\r\n", s.len);
        return err ? err : buf_append(out, s.data, s.len);
    }
    uint8_t *p;
    int err = buf_reserve(out, s.len + extra + 2, &p);
    if (err)
        return err;
    *p++ = '"';
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '"' || s.data[i] == '\\')
            *p++ = '\\';
        *p++ = s.data[i];
    }
    *p = '"';
    buf_commit(out, s.len + extra + 2);
    return OK;
}

int imap_out_astring(struct buf *out, struct slice s)
{
    bool atom = s.len > 0 && s.len <= QUOTED_MAX && !(s.len == 3 && strncasecmp((const char *)s.data, "NIL", 3) == 0);
    for (size_t i = 0; atom && i < s.len; i++)
        atom = s.data[i] > 0x20 && s.data[i] < 0x7f && !strchr("(){%*\"\\]", s.data[i]);
    return atom ? buf_append(out, s.data, s.len) : imap_out_string(out, s);
}

bool imap_field_next(struct slice h, size_t *pos, struct imap_field *ret)
{
    struct header_field f;
    enum header_line line;
    while ((line = header_next(h.data, h.len, pos, &f)) == HEADER_OTHER)
        ;
    if (line != HEADER_FIELD)
        return false;
    ret->name = slice_of(h.data + f.offset, f.name_len);
    ret->value = token_trim(header_field_value(h.data, &f));
    ret->whole = slice_of(h.data + f.offset, f.len);
    return true;
}

bool imap_field_is(const struct imap_field *f, const char *name)
{
    return strlen(name) == f->name.len && strncasecmp(name, (const char *)f->name.data, f->name.len) == 0;
}

void imap_fields_find(struct slice header, const char *const *names, size_t n, struct slice *ret_values)
{
    struct imap_field f;
    for (size_t k = 0; k < n; k++)
        ret_values[k] = (struct slice){0};
    for (size_t pos = 0; imap_field_next(header, &pos, &f);)
        for (size_t k = 0; k < n; k++)
            if (!ret_values[k].data && imap_field_is(&f, names[k]))
                ret_values[k] = f.value;
}
