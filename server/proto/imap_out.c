/* Strings of responses, and the fields of a mail header block. */
#include "server/proto/imap_out.h"

#include <string.h>

#include "server/core/error.h"

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
    while (*pos < h.len) {
        size_t start = *pos, end = start;
        for (;;) { /* a field goes on while the next line begins with a blank (RFC 5322 section 2.2.3) */
            const uint8_t *nl = memchr(h.data + end, '\n', h.len - end);
            end = nl ? (size_t)(nl - h.data) + 1 : h.len;
            if (end == h.len || (h.data[end] != ' ' && h.data[end] != '\t'))
                break;
        }
        *pos = end;
        const uint8_t *colon = memchr(h.data + start, ':', end - start);
        if (!colon)
            continue;
        size_t name_len = (size_t)(colon - h.data) - start, value = (size_t)(colon - h.data) + 1, value_end = end;
        while (name_len && (h.data[start + name_len - 1] == ' ' || h.data[start + name_len - 1] == '\t'))
            name_len--;
        while (value_end > value && (h.data[value_end - 1] == '\n' || h.data[value_end - 1] == '\r'))
            value_end--;
        while (value < value_end && (h.data[value] == ' ' || h.data[value] == '\t'))
            value++;
        ret->name = slice_of(h.data + start, name_len);
        ret->value = slice_of(h.data + value, value_end - value);
        ret->whole = slice_of(h.data + start, end - start);
        return true;
    }
    return false;
}

bool imap_field_is(const struct imap_field *f, const char *name)
{
    return strlen(name) == f->name.len && strncasecmp(name, (const char *)f->name.data, f->name.len) == 0;
}

bool imap_field_find(struct slice header, const char *name, struct slice *ret_value)
{
    struct imap_field f;
    for (size_t pos = 0; imap_field_next(header, &pos, &f);) {
        if (imap_field_is(&f, name)) {
            *ret_value = f.value;
            return true;
        }
    }
    return false;
}
