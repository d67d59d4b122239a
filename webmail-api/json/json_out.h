/* JSON that is answered: an object, member by member. The first thing that fails is kept and every later put does
 * nothing, so callers look once, at the end. Over jansson, as json_in.h. */
#ifndef JSON_OUT_H
#define JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "server/core/buf.h"
#include "server/core/wire.h"

enum { JSON_OUT_DEPTH_MAX = 6 };

struct json_out {
    struct json_t *open[JSON_OUT_DEPTH_MAX]; /* the outermost owns the others */
    unsigned depth;
    int err;
};

void json_out_init(struct json_out *o); /* the object is open; json_out_finish has to come */
/* name: NULL within a list. */
void json_out_text(struct json_out *o, const char *name, struct slice utf8);     /* ERR_FORMAT: it is not UTF-8 */
void json_out_octets(struct json_out *o, const char *name, struct slice octets); /* as base64url */
void json_out_number(struct json_out *o, const char *name, int64_t n);
void json_out_bool(struct json_out *o, const char *name, bool yes);
void json_out_object(struct json_out *o, const char *name);
void json_out_list(struct json_out *o, const char *name);
void json_out_end(struct json_out *o); /* of an object or list within */
/* Appends the text, in ASCII, and frees all in any case. ERR_MEMORY, ERR_LIMIT (the buffer's), ERR_FORMAT. */
int json_out_finish(struct json_out *o, struct buf *ret);

/* An error as RFC 9457 has it, application/problem+json: what kind it is, a word behind "urn:letterlock:error:", and
 * words for people. */
int json_out_problem(const char *kind, const char *detail, struct buf *ret);
/* The same for what json_in_read found wrong. */
struct json_in_why;
int json_out_malformed(const struct json_in_why *why, struct buf *ret);

#endif
