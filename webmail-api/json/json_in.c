/* See json_in.h. */
#include "webmail-api/json/json_in.h"

#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/base64url.h"
#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/core/utf8.h"

void json_in_prepare(void)
{
    json_object_seed(1 + randombytes_uniform(UINT32_MAX)); /* by itself it would open a file */
}

static int fail(struct json_in_why *why, int err, const char *what, const char *name)
{
    *why = (struct json_in_why){what, name};
    return err;
}

/* ---- limits, on everything that came ---- */

/* Before jansson sees it, whose work a text of 64 KB can make a hundred times as much: how deep, and how many values.
 * What is in strings does not count. */
static int measure(struct slice text, struct json_in_why *why)
{
    unsigned depth = 0, values = 1;
    bool in_string = false;

    if (text.len > JSON_IN_MAX)
        return fail(why, ERR_LIMIT, "it is too large", NULL);
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.data[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            depth++;
        else if (!in_string && (c == '}' || c == ']'))
            depth -= depth > 0;
        else
            values += !in_string && c == ',';
        if (depth > JSON_IN_DEPTH_MAX)
            return fail(why, ERR_LIMIT, "it is nested too deeply", NULL);
        if (values > JSON_IN_VALUES_MAX)
            return fail(why, ERR_LIMIT, "it has too many members", NULL);
    }
    return OK;
}

static int check_number(const json_t *v, struct json_in_why *why)
{
    const json_int_t n = json_integer_value(v);

    if (json_is_real(v)) /* 1.0 and 1e3 as well */
        return fail(why, ERR_FORMAT, "a number is not an integer", NULL);
    if (n > (json_int_t)JSON_IN_NUMBER_MAX || n < -(json_int_t)JSON_IN_NUMBER_MAX)
        return fail(why, ERR_LIMIT, "a number is too large", NULL);
    return OK;
}

static int check(json_t *v, struct json_in_why *why)
{
    const char *name;
    json_t *inner;
    size_t i;
    int err = OK;

    if (json_is_number(v))
        return check_number(v, why);
    if (json_object_size(v) > JSON_IN_KEYS_MAX || json_array_size(v) > JSON_IN_KEYS_MAX)
        return fail(why, ERR_LIMIT, "it has too many members", NULL);
    json_object_foreach(v, name, inner)
    {
        if (err == OK)
            err = check(inner, why);
    }
    json_array_foreach(v, i, inner)
    {
        if (err == OK)
            err = check(inner, why);
    }
    return err;
}

/* ---- values ---- */

static struct slice text_of(const json_t *v)
{
    return slice_of(json_string_value(v), json_string_length(v));
}

static int put_text(const struct json_in_member *m, json_t *v, uint8_t *at)
{
    const struct slice s = text_of(v);

    if (!json_is_string(v) || s.len >= m->size || !utf8_printable(s.data, s.len))
        return ERR_FORMAT;
    memcpy(at, s.data, s.len);
    at[s.len] = '\0';
    return OK;
}

static int put_octets(const struct json_in_member *m, json_t *v, uint8_t *at)
{
    return json_is_string(v) && base64url_read(text_of(v), at, m->size) == (long)m->size ? OK : ERR_FORMAT;
}

static int put_span(const struct json_in_member *m, json_t *v, uint8_t *at)
{
    const long len = json_is_string(v) ? base64url_read(text_of(v), at + sizeof(size_t), m->size) : -1;
    const size_t octets = (size_t)len;

    if (len < 0)
        return ERR_FORMAT;
    memcpy(at, &octets, sizeof(octets));
    return OK;
}

static int put_unsigned(const struct json_in_member *m, json_t *v, uint8_t *at)
{
    const json_int_t n = json_integer_value(v);
    const uint64_t value = (uint64_t)n;

    bug_if(m->size != sizeof(value));
    if (!json_is_integer(v) || n < 0 || value > m->max)
        return ERR_FORMAT;
    memcpy(at, &value, sizeof(value));
    return OK;
}

static int put_bool(const struct json_in_member *m, json_t *v, uint8_t *at)
{
    const bool value = json_is_true(v);

    bug_if(m->size != sizeof(value));
    if (!json_is_boolean(v))
        return ERR_FORMAT;
    memcpy(at, &value, sizeof(value));
    return OK;
}

/* 0: it is none of them. */
static uint32_t word_bit(const char *const *words, const json_t *v)
{
    const struct slice s = text_of(v);

    for (unsigned i = 0; json_is_string(v) && words[i]; i++)
        if (strlen(words[i]) == s.len && memcmp(words[i], s.data, s.len) == 0)
            return UINT32_C(1) << i;
    return 0;
}

static int put_words(const struct json_in_member *m, json_t *v, uint8_t *at)
{
    uint32_t bits = 0;
    json_t *word;
    size_t i;

    bug_if(m->size != sizeof(bits));
    if (!json_is_array(v))
        return ERR_FORMAT;
    json_array_foreach(v, i, word)
    {
        const uint32_t bit = word_bit(m->words, word);
        if (bits & bit || !json_is_string(word) || (!bit && !m->others))
            return ERR_FORMAT;
        bits |= bit;
    }
    memcpy(at, &bits, sizeof(bits));
    return OK;
}

typedef int put_value(const struct json_in_member *m, json_t *v, uint8_t *at);

static const struct {
    put_value *put;
    const char *what; /* it should be */
} kinds[] = {
    [JSON_IN_TEXT] = {put_text, "is not a text that may stand there"},
    [JSON_IN_OCTETS] = {put_octets, "is not base64url of so many octets"},
    [JSON_IN_SPAN] = {put_span, "is not base64url, or too long"},
    [JSON_IN_UNSIGNED] = {put_unsigned, "is not a number that may stand there"},
    [JSON_IN_BOOL] = {put_bool, "is neither true nor false"},
    [JSON_IN_WORDS] = {put_words, "is not a list of words that are known"},
    [JSON_IN_OBJECT] = {NULL, "is not an object"},
};

/* ---- members ---- */

static int read_object(json_t *o, const struct json_in_table *t, uint8_t *out, struct json_in_why *why);

static int read_member(json_t *v, const struct json_in_member *m, uint8_t *out, struct json_in_why *why)
{
    const bool there = true;

    if (!v)
        return m->there ? OK : fail(why, ERR_FORMAT, "is missing", m->name);
    if (m->kind == JSON_IN_OBJECT) {
        bug_if(m->table->size != m->size);
        int err = json_is_object(v) ? read_object(v, m->table, out + m->at, why)
                                    : fail(why, ERR_FORMAT, kinds[m->kind].what, m->name);
        if (err != OK)
            return err;
    } else if (kinds[m->kind].put(m, v, out + m->at) != OK) {
        return fail(why, ERR_FORMAT, kinds[m->kind].what, m->name);
    }
    if (m->there)
        memcpy(out + m->there - 1, &there, sizeof(there));
    return OK;
}

static int read_object(json_t *o, const struct json_in_table *t, uint8_t *out, struct json_in_why *why)
{
    size_t found = 0;

    for (size_t i = 0; i < t->n; i++) {
        json_t *v = json_object_get(o, t->members[i].name);
        int err = read_member(v, &t->members[i], out, why);
        if (err != OK)
            return err;
        found += v != NULL;
    }
    if (!t->others && found != json_object_size(o))
        return fail(why, ERR_FORMAT, "there is a member that is not known", NULL);
    return OK;
}

/* json_loadb says as little of a shortage as of what is no JSON, but by its code. */
static int load(struct slice text, json_t **ret, struct json_in_why *why)
{
    json_error_t error;
    json_t *root;
    int err = measure(text, why);

    if (err != OK)
        return err;
    root = json_loadb(text.len ? (const char *)text.data : "", text.len, JSON_REJECT_DUPLICATES, &error);
    const enum json_error_code code = root ? json_error_unknown : json_error_code(&error);
    sodium_memzero(&error, sizeof(error)); /* has a piece of the text */
    if (!root && code == json_error_out_of_memory)
        return ERR_MEMORY;
    if (json_is_object(root)) {
        *ret = root;
        return OK;
    }
    json_decref(root);
    return fail(why, ERR_FORMAT, "it is not a JSON object", NULL);
}

int json_in_read(struct slice text, const struct json_in_table *t, void *ret, struct json_in_why *ret_why)
{
    struct json_in_why why = {"", NULL};
    json_t *root = NULL;
    uint8_t *out = NULL;
    int err = load(text, &root, &why);

    if (err == OK)
        err = check(root, &why);
    if (err == OK && !(out = calloc(1, t->size)))
        err = ERR_MEMORY;
    if (err == OK)
        err = read_object(root, t, out, &why);
    if (err == OK)
        memcpy(ret, out, t->size);
    else if (ret_why && err != ERR_MEMORY)
        *ret_why = why;
    if (out)
        sodium_memzero(out, t->size);
    free(out);
    json_decref(root);
    return err;
}
