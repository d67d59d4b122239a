#include "server/web/head.h"

#include <string.h>

enum { VERSION_LEN = 8 };

/* Where a line's end, which was CRLF, ends; NULL: it is another. */
static char *line_end(char *p, const char *end)
{
    return end - p >= 2 && p[0] == '\0' && p[1] == '\0' ? p + 2 : NULL;
}

static unsigned read_request_line(const struct head_block *b, struct http_head *h, char **ret_next)
{
    size_t method = strnlen(b->data, b->len);
    char *version = b->data + b->target_at + b->target_len + 1;
    const char *end = b->data + b->len;

    /* one blank after the method, one after the target */
    if (b->target_at != method + 1 || b->target_len > b->len || end - version < VERSION_LEN || version[-1] != '\0')
        return 400;
    if (memcmp(version, "HTTP/1.", VERSION_LEN - 1) != 0)
        return 400;
    if (version[VERSION_LEN - 1] != '0' && version[VERSION_LEN - 1] != '1')
        return 505;
    *ret_next = line_end(version + VERSION_LEN, end);
    if (!*ret_next)
        return 400;
    h->method = b->data;
    h->http_1_0 = version[VERSION_LEN - 1] == '0';
    return 0;
}

static bool is_blank(char c)
{
    return strchr(" \t", c) != NULL && c != '\0';
}

/* name NUL *blank value NUL NUL. NULL: it is no such line. */
static char *read_field(char *p, const char *end, struct http_field *ret)
{
    size_t name = strnlen(p, (size_t)(end - p));
    char *value = p + name + 1, *after;
    size_t len;

    if (value >= end || !http_name_valid(slice_of(p, name)))
        return NULL;
    while (value < end && is_blank(*value))
        value++;
    len = strnlen(value, (size_t)(end - value));
    after = line_end(value + len, end);
    if (!after || !http_value_valid(slice_of(value, len)))
        return NULL;
    while (len > 0 && is_blank(value[len - 1]))
        value[--len] = '\0';
    *ret = (struct http_field){p, value};
    return after;
}

unsigned head_read(const struct head_block *b, struct http_field *fields, struct http_head *ret)
{
    struct http_head h = {.fields = fields};
    const char *end = b->data + b->len;
    char *p = NULL;
    unsigned status = read_request_line(b, &h, &p);

    if (status)
        return status;
    while (p < end && *p != '\0') {
        if (h.nfields == HTTP_FIELDS_MAX)
            return 431;
        p = read_field(p, end, &fields[h.nfields++]);
        if (!p)
            return 400;
    }
    if (line_end(p, end) != end)
        return 400;
    *ret = h;
    return 0;
}
