/* Any bytes as a head that libmicrohttpd has left in its memory: what it does to octets that came is done here once
 * more. What is taken of what has no NUL is, octet by octet, what one head has. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/web/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* false: the library would have refused it. */
static bool take_request_line(char *line, size_t len, struct head_block *b)
{
    char *target = memchr(line, ' ', len), *version;

    if (!target)
        return false;
    *target = '\0';
    while (target < line + len && *++target == ' ')
        ;
    version = target < line + len ? memrchr(target, ' ', len - (size_t)(target - line)) : NULL;
    if (!version || line + len - version - 1 != 8)
        return false;
    *version = '\0';
    b->target_at = (size_t)(target - b->data);
    b->target_len = (size_t)(version - target);
    return true;
}

/* As parse_initial_message_line and process_header_line. Behind the empty line nothing belongs to the head. */
static bool take(struct head_block *b, const char **names, size_t *n)
{
    char *p = b->data, *end = b->data + b->len;

    for (bool first = true; p < end; first = false) {
        char *lf = memchr(p, '\n', (size_t)(end - p)), *stop = lf, *colon;

        if (!lf)
            return false;
        *lf = '\0';
        if (stop > p && stop[-1] == '\r')
            *--stop = '\0';
        if (first && !take_request_line(p, (size_t)(stop - p), b))
            return false;
        colon = first ? NULL : memchr(p, ':', strnlen(p, (size_t)(stop - p)));
        if (colon)
            *colon = '\0';
        else if (!first && stop > p && *p != ' ' && *p != '\t')
            return false;
        if (stop == p) {
            b->len = (size_t)(lf + 1 - b->data);
            return true;
        }
        if (!first && *n < HTTP_FIELDS_MAX + 1)
            names[(*n)++] = p;
        p = lf + 1;
    }
    return false;
}

static bool is_end(const uint8_t *p)
{
    return p[0] == '\r' && p[1] == '\n';
}

/* One field as it came: its name, a colon, blanks around the value, CRLF. */
static const uint8_t *follow(const uint8_t *p, const struct http_field *f)
{
    size_t name = strlen(f->name), value = strlen(f->value);

    if (memcmp(p, f->name, name) != 0 || p[name] != ':')
        abort();
    for (p += name + 1; *p == ' ' || *p == '\t'; p++)
        ;
    if (memcmp(p, f->value, value) != 0)
        abort();
    for (p += value; *p == ' ' || *p == '\t'; p++)
        ;
    if (!is_end(p))
        abort();
    return p + 2;
}

/* What is compared by exchange.c. */
static bool alike(const struct http_head *h, const char *const *names, size_t n)
{
    for (size_t i = 0; i < h->nfields && i < n; i++)
        if (h->fields[i].name != names[i])
            return false;
    return h->nfields == n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct head_block b = {.data = malloc(size + 1), .len = size};
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head h;
    const char *names[HTTP_FIELDS_MAX + 1];
    size_t n = 0;

    memcpy(b.data, data, size);
    if (take(&b, names, &n) && head_read(&b, fields, &h) == 0 && alike(&h, names, n) && !memchr(data, '\0', b.len)) {
        const uint8_t *p = data + b.target_at + b.target_len;

        if (memcmp(p, h.http_1_0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n", 11) != 0 || strlen(h.method) + 1 != b.target_at)
            abort();
        p += 11;
        for (size_t i = 0; i < h.nfields; i++)
            p = follow(p, &h.fields[i]);
        if (!is_end(p) || p + 2 != data + b.len)
            abort();
    }
    free(b.data);
    return 0;
}
