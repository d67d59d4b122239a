/* See cbor_in.h. */
#include "webmail-api/session/cbor_in.h"

#include <stdbool.h>
#include <string.h>

#include "server/core/error.h"

/* RFC 8949 section 3: a type of 3 bits, and a number in the 5 others or in 1, 2, 4 or 8 octets behind. 0: malformed. */
static size_t read_head(struct slice in, struct cbor_in *c)
{
    const unsigned how = in.len ? in.data[0] & 31 : 31;
    const size_t more = how < 24 ? 0 : how < 28 ? (size_t)1 << (how - 24) : in.len;

    if (more >= in.len) /* indefinite lengths and what is reserved are as long as anything */
        return 0;
    c->type = (enum cbor_in_type)(in.data[0] >> 5);
    c->value = more ? 0 : how;
    for (size_t i = 0; i < more; i++)
        c->value = c->value << 8 | in.data[1 + i];
    return 1 + more;
}

static int read_item(struct slice in, unsigned depth, struct cbor_in *c);

/* So many items; what they are long. */
static int read_items(struct slice in, uint64_t n, unsigned depth, size_t *ret)
{
    struct cbor_in item;
    size_t at = 0;

    if (n > in.len || depth == CBOR_IN_DEPTH_MAX)
        return ERR_FORMAT;
    for (uint64_t i = 0; i < n; i++) {
        int err = read_item(slice_of(in.data + at, in.len - at), depth + 1, &item);
        if (err != OK)
            return err;
        at += item.whole.len;
    }
    *ret = at;
    return OK;
}

static int read_item(struct slice in, unsigned depth, struct cbor_in *c)
{
    const size_t head = read_head(in, c);
    const struct slice rest = slice_of(in.data + head, in.len - head);
    size_t len = 0;
    int err = OK;

    if (head == 0)
        return ERR_FORMAT;
    switch (c->type) {
    case CBOR_IN_UNSIGNED:
    case CBOR_IN_NEGATIVE: break;
    case CBOR_IN_OCTETS:
    case CBOR_IN_TEXT:
        if (c->value > rest.len)
            return ERR_FORMAT;
        len = (size_t)c->value;
        break;
    case CBOR_IN_ARRAY: err = read_items(rest, c->value, depth, &len); break;
    case CBOR_IN_MAP: err = c->value > rest.len ? ERR_FORMAT : read_items(rest, 2 * c->value, depth, &len); break;
    case CBOR_IN_SIMPLE: err = head == 1 && c->value >= 20 && c->value <= 23 ? OK : ERR_FORMAT; break;
    default: /* a tag */ return ERR_FORMAT;
    }
    c->body = slice_of(rest.data, len);
    c->whole = slice_of(in.data, head + len);
    return err;
}

int cbor_in_read(struct slice in, struct cbor_in *ret)
{
    struct cbor_in c;
    int err = read_item(in, 0, &c);

    if (err == OK)
        *ret = c;
    return err;
}

static int find(const struct cbor_in *map, bool (*is_it)(const struct cbor_in *key, const void *want), const void *want,
                struct cbor_in *ret)
{
    struct slice rest = map->body;
    struct cbor_in key, value, found;
    unsigned n = 0;

    if (map->type != CBOR_IN_MAP)
        return ERR_FORMAT;
    for (uint64_t i = 0; i < map->value; i++) {
        if (read_item(rest, 1, &key) != OK)
            return ERR_FORMAT;
        rest = slice_of(rest.data + key.whole.len, rest.len - key.whole.len);
        if (read_item(rest, 1, &value) != OK)
            return ERR_FORMAT;
        rest = slice_of(rest.data + value.whole.len, rest.len - value.whole.len);
        if (is_it(&key, want)) {
            found = value;
            n++;
        }
    }
    if (n == 1)
        *ret = found;
    return n == 1 ? OK : n == 0 ? ERR_NOT_FOUND : ERR_FORMAT;
}

static bool is_text(const struct cbor_in *key, const void *want)
{
    return key->type == CBOR_IN_TEXT && key->body.len == strlen(want) &&
           memcmp(key->body.data, want, key->body.len) == 0;
}

static bool is_number(const struct cbor_in *key, const void *want)
{
    int64_t n;

    return cbor_in_number(key, &n) == OK && n == *(const int64_t *)want;
}

int cbor_in_text_key(const struct cbor_in *map, const char *key, struct cbor_in *ret)
{
    return find(map, is_text, key, ret);
}

int cbor_in_number_key(const struct cbor_in *map, int64_t key, struct cbor_in *ret)
{
    return find(map, is_number, &key, ret);
}

int cbor_in_number(const struct cbor_in *c, int64_t *ret)
{
    if (c->type > CBOR_IN_NEGATIVE || c->value >= UINT64_C(1) << 31)
        return ERR_FORMAT;
    *ret = c->type == CBOR_IN_UNSIGNED ? (int64_t)c->value : -1 - (int64_t)c->value;
    return OK;
}
