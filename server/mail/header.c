/* Taking a header block apart into fields (RFC 5322 section 2.2), without judging their values. Lines end with LF;
 * whether a CR stands before it is the sender's affair, since any bytes must be protected. */
#include <string.h>

#include "server/mail/header.h"
#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/mail/token.h"

/* A field's first line: name, white space (obsolete, RFC 5322 4.5), colon. 0: no field. */
static size_t field_start(const uint8_t *s, size_t len, size_t *ret_name_len)
{
    size_t i = 0;
    while (i < len && s[i] > ' ' && s[i] < 0x7f && s[i] != ':')
        i++;
    size_t name = i;
    while (i < len && (s[i] == ' ' || s[i] == '\t'))
        i++;
    if (!name || i == len || s[i] != ':')
        return 0;
    *ret_name_len = name;
    return i + 1;
}

int header_parse(const uint8_t *msg, size_t len, struct header_field *fields, size_t cap, struct header_view *ret)
{
    struct header_view v = {.fields = fields};
    size_t i = 0;
    while (i < len) {
        if (i >= HEADER_MAX)
            return ERR_LIMIT;
        const uint8_t *lf = memchr(msg + i, '\n', len - i);
        size_t line = lf ? (size_t)(lf - (msg + i)) + 1 : len - i;
        if (msg[i] == '\n' || (msg[i] == '\r' && line == 2 && lf)) {
            i += line;
            break;
        }
        if ((msg[i] == ' ' || msg[i] == '\t') && v.count) {
            fields[v.count - 1].len += line;
            i += line;
            continue;
        }
        size_t name_len, value = field_start(msg + i, line, &name_len);
        if (!value) {
            v.malformed = 1;
            break;
        }
        if (v.count == cap)
            return ERR_LIMIT;
        fields[v.count++] =
            (struct header_field){.offset = i, .len = line, .name_len = name_len, .value_offset = i + value};
        i += line;
    }
    if (i > HEADER_MAX)
        return ERR_LIMIT;
    v.header_len = v.body_offset = i;
    *ret = v;
    return OK;
}

const struct header_field *header_find(const struct header_view *v, const uint8_t *msg, const char *name, size_t nth)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < v->count; i++)
        if (v->fields[i].name_len == n && !strncasecmp((const char *)msg + v->fields[i].offset, name, n) && !nth--)
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

bool header_field_is_plain(const uint8_t *s, size_t len)
{
    if (len > HEADER_PLAIN_MAX || len < 2 || s[len - 2] != '\r')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!s[i] || (s[i] == '\r') != (i + 1 < len && s[i + 1] == '\n'))
            return false;
    return true;
}

bool header_describes_content(const struct header_field *f, const uint8_t *msg)
{
    return f->name_len >= 8 && !strncasecmp((const char *)msg + f->offset, "Content-", 8);
}
