#include "server/mail/mime_repair.h"

#include <gmime/gmime.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/mime.h"
#include "server/mail/text_impl.h"
#include "server/mail/token.h"

enum {
    VALUE_MAX = 8 * 1024,
    PARAMETERS_MAX = 100,
    PARAMETER_MAX = 900 /* octets of a value: its line is to be no longer than 998 */
};

/* Whether an unquoted boundary ends here. Of RFC 2045's tspecials others are common inside one. */
static bool ends_boundary(uint8_t c)
{
    return token_is_space(c) || strchr(";,\"(", c);
}

/* The value of the first "boundary" that has one. */
static bool find_boundary(struct slice s, struct slice *ret)
{
    static const char word[] = "boundary";
    const size_t n = sizeof(word) - 1;
    for (size_t i = 0; i + n < s.len; i++) {
        if (strncasecmp((const char *)s.data + i, word, n) != 0 ||
            (i && !token_is_space(s.data[i - 1]) && s.data[i - 1] != ';'))
            continue;
        size_t at = i + n;
        while (at < s.len && token_is_space(s.data[at]))
            at++;
        if (at == s.len || s.data[at++] != '=')
            continue;
        while (at < s.len && token_is_space(s.data[at]))
            at++;
        bool quotes = at < s.len && s.data[at] == '"';
        size_t from = at += quotes;
        while (at < s.len && (quotes ? s.data[at] != '"' : !ends_boundary(s.data[at])))
            at++;
        *ret = slice_of(s.data + from, at - from);
        if (ret->len)
            return true;
    }
    return false;
}

static bool is_printable(const char *s)
{
    for (; *s; s++)
        if (*s < ' ' || *s > '~')
            return false;
    return true;
}

/* In quotes; what is no ASCII as RFC 2231 section 4 has it. */
static int put_parameter(struct buf *out, const char *name, const char *value)
{
    char text[3 * PARAMETER_MAX + 64];
    bool plain = is_printable(value);
    size_t n = (size_t)snprintf(text, sizeof(text), plain ? ";\r\n\t%s=\"" : ";\r\n\t%s*=utf-8''", name);
    for (const char *s = value; *s; s++) {
        if (!plain) {
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%%%02X", (uint8_t)*s);
            continue;
        }
        if (*s == '"' || *s == '\\')
            text[n++] = '\\';
        text[n++] = *s;
    }
    if (plain)
        text[n++] = '"';
    return buf_append(out, text, n);
}

static bool is_name(const char *s)
{
    size_t n = strlen(s);
    return n && n < 32 && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n;
}

static bool named_before(GMimeParamList *list, int i, const char *name)
{
    for (int k = 0; k < i; k++) {
        const char *before = g_mime_param_get_name(g_mime_param_list_get_parameter_at(list, k));
        if (before && !strcasecmp(before, name))
            return true;
    }
    return false;
}

static int put_parameters(struct buf *out, GMimeParamList *list, bool has_boundary)
{
    int err = OK;
    for (int i = 0; err == OK && i < g_mime_param_list_length(list) && i < PARAMETERS_MAX; i++) {
        GMimeParam *p = g_mime_param_list_get_parameter_at(list, i);
        const char *name = g_mime_param_get_name(p), *value = g_mime_param_get_value(p);
        value += value && *value == '"'; /* a quote that never closed */
        if (!name || !value || !*value || !is_name(name) ||
            strlen(value) > PARAMETER_MAX / (is_printable(value) ? 1 : 3))
            continue;
        if (!strcasecmp(name, "hp") || !strcasecmp(name, "protected-headers") ||
            (has_boundary && !strcasecmp(name, "boundary")) || named_before(list, i, name))
            continue;
        err = put_parameter(out, name, value);
    }
    return err;
}

static int put_boundary(struct buf *out, struct slice boundary)
{
    int err = buf_puts(out, ";\r\n\tboundary=\"");
    if (err == OK)
        err = buf_append(out, boundary.data, boundary.len);
    return err == OK ? buf_puts(out, "\"") : err;
}

static int put_type(struct buf *out, struct slice type, struct slice subtype)
{
    int err = buf_append(out, type.data, type.len);
    if (err == OK)
        err = buf_puts(out, "/");
    return err == OK ? buf_append(out, subtype.data, subtype.len) : err;
}

static int repair(struct slice value, struct buf *out)
{
    char text[VALUE_MAX];
    struct slice type, subtype, boundary = {0};
    size_t n = 0;
    struct mime_reader r = mime_read(value, false);
    if (!mime_read_type(&r, &type, &subtype))
        return ERR_NOT_FOUND;
    /* GMime gets one line. */
    for (size_t i = 0; i < value.len && n + 1 < sizeof(text); i++)
        if (value.data[i] != '\r' && value.data[i] != '\n')
            text[n++] = value.data[i] ? (char)value.data[i] : ' ';
    text[n] = '\0';
    bool has_boundary = mime_is(type, "multipart") && find_boundary(slice_of(text, n), &boundary) &&
                        boundary.len <= PARAMETER_MAX && !memchr(boundary.data, '\\', boundary.len);
    GMimeContentType *ct = g_mime_content_type_parse(text_options(), text);
    int err = put_type(out, type, subtype);
    if (err == OK && has_boundary)
        err = put_boundary(out, boundary);
    if (err == OK && ct)
        err = put_parameters(out, g_mime_content_type_get_parameters(ct), has_boundary);
    if (ct)
        g_object_unref(ct);
    sodium_memzero(text, sizeof(text));
    return err;
}

int mime_repair_type(struct slice value, struct buf *out)
{
    struct mime_type scanned;
    mime_type_scan(value, &scanned);
    return scanned.ok ? mime_type_without_hp(value, out) : repair(value, out);
}
