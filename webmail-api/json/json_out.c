/* See json_out.h. */
#include "webmail-api/json/json_out.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/core/base64url.h"
#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/core/utf8.h"
#include "webmail-api/json/json_in.h"

/* Takes v. Whether it stands there now. */
static bool put(struct json_out *o, const char *name, json_t *v)
{
    json_t *in = o->open[o->depth - 1];

    if (o->err != OK) {
        json_decref(v);
        return false;
    }
    bug_if(json_is_object(in) != (name != NULL));
    if ((name ? json_object_set_new(in, name, v) : json_array_append_new(in, v)) == 0)
        return true;
    o->err = ERR_MEMORY;
    return false;
}

static void open_in(struct json_out *o, const char *name, json_t *v)
{
    if (!put(o, name, v))
        return;
    bug_if(o->depth == JSON_OUT_DEPTH_MAX);
    o->open[o->depth++] = v;
}

void json_out_init(struct json_out *o)
{
    *o = (struct json_out){.open = {json_object()}, .depth = 1};
    if (!o->open[0])
        o->err = ERR_MEMORY;
}

void json_out_text(struct json_out *o, const char *name, struct slice utf8)
{
    if (utf8_prefix(utf8.data, utf8.len) == utf8.len)
        put(o, name, json_stringn(utf8.len ? (const char *)utf8.data : "", utf8.len));
    else if (o->err == OK)
        o->err = ERR_FORMAT;
}

void json_out_octets(struct json_out *o, const char *name, struct slice octets)
{
    const size_t size = BASE64URL_LEN(octets.len) + 1;
    char *text = malloc(size);

    if (!text) {
        if (o->err == OK)
            o->err = ERR_MEMORY;
        return;
    }
    base64url_write(octets, text);
    json_out_text(o, name, slice_of(text, size - 1));
    sodium_memzero(text, size);
    free(text);
}

void json_out_number(struct json_out *o, const char *name, int64_t n)
{
    put(o, name, json_integer(n));
}

void json_out_bool(struct json_out *o, const char *name, bool yes)
{
    put(o, name, json_boolean(yes));
}

void json_out_object(struct json_out *o, const char *name)
{
    open_in(o, name, json_object());
}

void json_out_list(struct json_out *o, const char *name)
{
    open_in(o, name, json_array());
}

void json_out_end(struct json_out *o)
{
    if (o->err != OK)
        return;
    bug_if(o->depth < 2);
    o->depth--;
}

struct written {
    struct buf text; /* wiped */
    int err;
};

static int append(const char *piece, size_t len, void *arg)
{
    struct written *w = arg;

    w->err = buf_append(&w->text, piece, len);
    return w->err == OK ? 0 : -1;
}

static int write_all(json_t *root, struct buf *ret)
{
    struct written w = {.err = OK};
    int err;

    buf_init(&w.text, ret->max - ret->len, true);
    err = json_dump_callback(root, append, &w, JSON_COMPACT | JSON_ENSURE_ASCII) == 0 ? OK : ERR_MEMORY;
    if (w.err != OK)
        err = w.err;
    if (err == OK)
        err = buf_append(ret, w.text.data, w.text.len);
    buf_free(&w.text);
    return err;
}

int json_out_finish(struct json_out *o, struct buf *ret)
{
    bug_if(o->err == OK && o->depth != 1);
    if (o->err == OK)
        o->err = write_all(o->open[0], ret);
    json_decref(o->open[0]);
    o->open[0] = NULL;
    return o->err;
}

int json_out_problem(const char *kind, const char *detail, struct buf *ret)
{
    struct json_out o;
    char type[64];

    bug_if(snprintf(type, sizeof(type), "urn:letterlock:error:%s", kind) >= (int)sizeof(type));
    json_out_init(&o);
    json_out_text(&o, "type", slice_str(type));
    json_out_text(&o, "detail", slice_str(detail));
    return json_out_finish(&o, ret);
}

int json_out_malformed(const struct json_in_why *why, struct buf *ret)
{
    char detail[128];

    (void)snprintf(detail, sizeof(detail), "%s%s%s", why->name ? why->name : "", why->name ? " " : "", why->what);
    return json_out_problem("request", detail, ret);
}
