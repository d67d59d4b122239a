#include "server/mailauth/tags.h"

#include <string.h>
#include <strings.h>

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

static bool same(struct slice a, struct slice b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* The next tag of the list, cut off it. ERR_NOT_FOUND: that was the last; ERR_FORMAT. */
static int next(struct slice *list, struct tag *ret)
{
    const uint8_t *end, *equals;

    if (!list->len)
        return ERR_NOT_FOUND;
    end = memchr(list->data, ';', list->len);
    struct slice tag = slice_of(list->data, end ? (size_t)(end - list->data) : list->len);

    *list = slice_of(list->data + tag.len + (end != NULL), list->len - tag.len - (end != NULL));
    if (token_trim(tag).len == 0)
        return token_trim(*list).len ? ERR_FORMAT : ERR_NOT_FOUND;
    equals = memchr(tag.data, '=', tag.len);
    if (!equals)
        return ERR_FORMAT;
    struct tag found = {.name = token_trim(slice_of(tag.data, (size_t)(equals - tag.data))),
                        .whole = slice_of(equals + 1, tag.len - (size_t)(equals - tag.data) - 1)};
    found.value = token_trim(found.whole);
    if (!is_name(found.name))
        return ERR_FORMAT;
    *ret = found;
    return OK;
}

int tags_get(struct slice list, const char *name, struct slice *ret)
{
    struct slice found = {0};
    struct tag t;
    bool have = false;
    int err;

    while ((err = next(&list, &t)) == OK) {
        if (!same(t.name, slice_str(name)))
            continue;
        if (have)
            return ERR_FORMAT;
        found = t.value;
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
    struct tag t;

    return next(&list, &t) == OK && same(t.name, slice_str("v")) && same(t.value, slice_str(version));
}

/* tval of section 3.2, with UTF-8 (RFC 8616). */
static bool is_text(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] == 0x7f || (s.data[i] <= ' ' && !token_is_space(s.data[i])))
            return false;
    return true;
}

int tags_read(struct slice list, struct tags *ret)
{
    struct tag t;
    int err;

    ret->n = 0;
    while ((err = next(&list, &t)) == OK) {
        if (ret->n == TAGS_MAX)
            return ERR_LIMIT;
        if (!is_text(t.value))
            return ERR_FORMAT;
        for (size_t i = 0; i < ret->n; i++)
            if (same(ret->v[i].name, t.name))
                return ERR_FORMAT;
        ret->v[ret->n++] = t;
    }
    return err == ERR_NOT_FOUND ? OK : err;
}

const struct tag *tags_find(const struct tags *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (same(t->v[i].name, slice_str(name)))
            return &t->v[i];
    return NULL;
}

bool tags_is(struct slice value, const char *word)
{
    return value.len == strlen(word) && strncasecmp((const char *)value.data, word, value.len) == 0;
}

bool tags_has_word(struct slice value, const char *word)
{
    while (value.len) {
        const uint8_t *colon = memchr(value.data, ':', value.len);
        const size_t n = colon ? (size_t)(colon - value.data) : value.len;
        if (tags_is(token_trim(slice_of(value.data, n)), word))
            return true;
        value = slice_of(value.data + n + (colon != NULL), value.len - n - (colon != NULL));
    }
    return false;
}
