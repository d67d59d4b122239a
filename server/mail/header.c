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

/* Names that text hardly begins a line with: where one of them stands behind a line that is no field, the header goes
 * on. */
static bool is_telling(const uint8_t *s, const struct header_field *f)
{
    static const char *const names[] = {"From",       "To",           "Cc",           "Subject",
                                        "Date",       "Sender",       "Reply-To",     "Message-ID",
                                        "References", "In-Reply-To",  "Received",     "Return-Path",
                                        "X-Mailer",   "MIME-Version", "Content-Type", "Content-Transfer-Encoding"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (header_field_is(s, f, names[i]))
            return true;
    return false;
}

/* Where the last telling field before the empty line begins, from pos on; 0: there is none. *ret_whole: the empty line
 * is at hand, or a header would not go on for so long. */
static size_t last_telling(const uint8_t *s, size_t len, size_t pos, bool *ret_whole)
{
    struct header_field f;
    size_t last = 0;
    *ret_whole = true;
    while (pos < HEADER_MAX) {
        switch (header_next(s, len, &pos, &f)) {
        case HEADER_FIELD:
            if (is_telling(s, &f))
                last = f.offset;
            break;
        case HEADER_EMPTY: return last;
        case HEADER_END: *ret_whole = false; return last;
        case HEADER_OTHER: break;
        }
    }
    return last;
}

static int keep(struct header_view *v, size_t cap, const struct header_field *f)
{
    if (v->count == cap)
        return ERR_LIMIT;
    v->fields[v->count++] = *f;
    v->header_len = f->offset + f->len;
    return OK;
}

/* A byte order mark in front of the first field, as files have it. */
static size_t mark_len(const uint8_t *s, size_t len)
{
    return len >= 3 && !memcmp(s, "\xef\xbb\xbf", 3) ? 3 : 0;
}

/* What may stand before the first field: a mark, or an mbox's "From " line, perhaps quoted. Other text there is more
 * likely mail without a header. */
static bool may_be_first(const struct header_view *v, size_t start, size_t mark)
{
    const char *s = (const char *)v->s + start;
    size_t len = v->len - start;
    for (size_t i = 0; i < v->count; i++)
        if (v->fields[i].name_len)
            return true;
    return mark || (len >= 5 && !memcmp(s, "From ", 5)) || (len >= 6 && !memcmp(s, ">From ", 6));
}

/* The stray line at v->header_len, up to pos, with what is folded behind it. ERR_FORMAT: the header ends before it. */
static int step_over(struct header_view *v, size_t cap, size_t *pos, size_t *last)
{
    size_t start = v->header_len, mark = start ? 0 : mark_len(v->s, v->len);
    struct header_field f = {.offset = start};
    if (v->strays == HEADER_STRAYS_MAX)
        return ERR_FORMAT;
    if (!v->strays++)
        *last = last_telling(v->s, v->len, start + mark, &v->ends);
    if (*last <= start || !may_be_first(v, start, mark))
        return ERR_FORMAT;
    if (mark)
        *pos = mark;
    while (!mark && *pos < v->len && token_is_blank(v->s[*pos]))
        *pos += line_len(v->s + *pos, v->len - *pos);
    f.len = *pos - start;
    return keep(v, cap, &f);
}

int header_parse(const uint8_t *s, size_t len, struct header_field *fields, size_t cap, struct header_view *ret)
{
    struct header_view v = {.s = s, .len = len, .fields = fields};
    struct header_field f;
    bool over = false;
    size_t last = 0;
    int err = OK;
    for (size_t pos = 0; err == OK && pos < len && !over;) {
        if (pos >= HEADER_MAX)
            return ERR_LIMIT;
        switch (header_next(s, len, &pos, &f)) {
        case HEADER_FIELD: err = keep(&v, cap, &f); break;
        case HEADER_OTHER: err = step_over(&v, cap, &pos, &last); break;
        case HEADER_EMPTY:
            over = v.ends = true;
            v.header_len = pos;
            break;
        case HEADER_END: break;
        }
    }
    if (err == ERR_LIMIT || v.header_len > HEADER_MAX)
        return ERR_LIMIT;
    v.malformed = err == ERR_FORMAT;
    v.ends = v.ends && (over || v.malformed);
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
