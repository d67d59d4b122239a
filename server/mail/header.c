#include "server/mail/header.h"

#include <string.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/mail/token.h"

/* The start of a field: name, white space (obsolete, RFC 5322 section 4.5). Returns where its colon is to be. */
static size_t scan_name(const uint8_t *s, size_t len, struct header_field *ret)
{
    size_t i = 0;
    while (i < len && s[i] > ' ' && s[i] < 0x7f && s[i] != ':')
        i++;
    ret->name_len = i;
    while (i < len && token_is_blank(s[i]))
        i++;
    ret->blank = i > ret->name_len;
    return i;
}

static size_t line_len(const uint8_t *s, size_t len)
{
    const uint8_t *lf = memchr(s, '\n', len);
    return lf ? (size_t)(lf - s) + 1 : len;
}

enum header_line header_next(const uint8_t *s, size_t len, size_t *pos, struct header_field *ret)
{
    size_t start = *pos;
    struct header_field f;
    if (start == len)
        return HEADER_END;
    size_t line = line_len(s + start, len - start);
    *pos += line;
    if (s[start] == '\n' || (s[start] == '\r' && line == 2 && s[start + 1] == '\n'))
        return HEADER_EMPTY;
    size_t colon = scan_name(s + start, line, &f);
    if (!f.name_len || colon == line || s[start + colon] != ':')
        return HEADER_OTHER;
    while (*pos < len && token_is_blank(s[*pos])) /* folded: section 2.2.3 */
        *pos += line_len(s + *pos, len - *pos);
    f.offset = start;
    f.len = *pos - start;
    f.value_offset = start + colon + 1;
    *ret = f;
    return HEADER_FIELD;
}

bool header_field_is(const uint8_t *s, const struct header_field *f, const char *name)
{
    return f->name_len == strlen(name) && !strncasecmp((const char *)s + f->offset, name, f->name_len);
}

struct slice header_field_value(const uint8_t *s, const struct header_field *f)
{
    return slice_of(s + f->value_offset, f->offset + f->len - f->value_offset);
}

/* A line that is no field ends the block; but one that is cut off before its colon, or an empty line before its LF,
 * only looks like one. */
static bool other_ends(const uint8_t *s, size_t len)
{
    struct header_field f;
    size_t i = scan_name(s, len, &f);
    return i < len && !(s[i] == '\r' && i + 1 == len);
}

int header_parse(const uint8_t *s, size_t len, struct header_field *fields, size_t cap, struct header_view *ret)
{
    struct header_view v = {.s = s, .len = len, .fields = fields};
    struct header_field f;
    for (size_t pos = 0; pos < len && !v.ends && !v.malformed;) {
        if (pos >= HEADER_MAX)
            return ERR_LIMIT;
        switch (header_next(s, len, &pos, &f)) {
        case HEADER_FIELD:
            if (v.count == cap)
                return ERR_LIMIT;
            fields[v.count++] = f;
            v.header_len = pos;
            break;
        case HEADER_OTHER:
            v.malformed = true;
            v.ends = other_ends(s + v.header_len, len - v.header_len);
            break;
        case HEADER_EMPTY:
            v.ends = true;
            v.header_len = pos;
            break;
        case HEADER_END: break;
        }
    }
    if (v.header_len > HEADER_MAX)
        return ERR_LIMIT;
    *ret = v;
    return OK;
}

const struct header_field *header_find(const struct header_view *v, const char *name)
{
    for (size_t i = 0; i < v->count; i++)
        if (header_field_is(v->s, &v->fields[i], name))
            return &v->fields[i];
    return NULL;
}

bool header_value_valid(const uint8_t *s, size_t len, size_t first, size_t line_max)
{
    size_t line = first;
    bool blank = false; /* inside a folded line that holds white space only so far */
    for (size_t i = 0, n; i < len; i += n) {
        uint32_t c;
        if (s[i] == '\r') { /* FWS of RFC 5322 3.2.2; not obs-FWS, whose empty lines look like the end of a header */
            if (blank || len - i < 3 || s[i + 1] != '\n' || !token_is_blank(s[i + 2]))
                return false;
            line = 0;
            blank = true;
            n = 2;
            continue;
        }
        n = utf8_decode(s + i, len - i, &c);
        if (!n || (utf8_is_control(c) && c != '\t'))
            return false;
        if (!token_is_blank(s[i]))
            blank = false;
        line += n;
        if (line > line_max)
            return false;
    }
    return !blank;
}

bool header_field_is_plain(const uint8_t *block, const struct header_field *f)
{
    const uint8_t *s = block + f->offset;
    size_t len = f->len;
    if (len > HEADER_PLAIN_MAX || len < 2 || s[len - 2] != '\r')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!s[i] || (s[i] == '\r') != (i + 1 < len && s[i + 1] == '\n'))
            return false;
    return true;
}

bool header_field_is_content(const uint8_t *s, const struct header_field *f)
{
    return f->name_len >= 8 && !strncasecmp((const char *)s + f->offset, "Content-", 8);
}
