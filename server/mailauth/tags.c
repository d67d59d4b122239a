#include "server/mailauth/tags.h"

#include <string.h>

#include "server/core/error.h"
#include "server/mail/token.h"

static bool is_name(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (i && ((c >= '0' && c <= '9') || c == '_'))))
            return false;
    }
    return s.len > 0;
}

/* The next tag of the list, cut off it. ERR_NOT_FOUND: that was the last; ERR_FORMAT. */
static int next(struct slice *list, struct slice *ret_name, struct slice *ret_value)
{
    const uint8_t *end = memchr(list->data, ';', list->len), *equals;
    struct slice tag = slice_of(list->data, end ? (size_t)(end - list->data) : list->len);

    *list = slice_of(list->data + tag.len + (end != NULL), list->len - tag.len - (end != NULL));
    if (token_trim(tag).len == 0)
        return token_trim(*list).len ? ERR_FORMAT : ERR_NOT_FOUND;
    equals = memchr(tag.data, '=', tag.len);
    if (!equals)
        return ERR_FORMAT;
    *ret_name = token_trim(slice_of(tag.data, (size_t)(equals - tag.data)));
    *ret_value = token_trim(slice_of(equals + 1, tag.len - (size_t)(equals - tag.data) - 1));
    return is_name(*ret_name) ? OK : ERR_FORMAT;
}

int tags_get(struct slice list, const char *name, struct slice *ret)
{
    struct slice n, value, found = {0};
    bool have = false;
    int err;

    while ((err = next(&list, &n, &value)) == OK) {
        if (n.len != strlen(name) || memcmp(n.data, name, n.len) != 0)
            continue;
        if (have)
            return ERR_FORMAT;
        found = value;
        have = true;
    }
    if (err != ERR_NOT_FOUND)
        return err;
    if (have)
        *ret = found;
    return have ? OK : ERR_NOT_FOUND;
}

bool tags_begin(struct slice list, const char *version)
{
    struct slice name, value;

    return next(&list, &name, &value) == OK && name.len == 1 && name.data[0] == 'v' && value.len == strlen(version) &&
           memcmp(value.data, version, value.len) == 0;
}
