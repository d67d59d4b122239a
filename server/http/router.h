/* Which row answers a path, and how a path and a query are read. Pure. Validation never repairs: what two readers could
 * understand in two ways is refused, not put right (RFC 3986 sections 2.1, 3.3, 3.4). */
#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include "server/http/route.h"

/* A path, decoded once. */
struct http_path {
    char text[HTTP_PATH_MAX + 1]; /* with a slash before each segment */
    size_t len;
};

/* 0, or the status of what is wrong: 400 (a character that paths do not have, a broken or doubled escape, an escaped
 * slash, backslash, NUL or control character, an empty segment but the last, "." or ".."), 414. */
unsigned http_path_read(struct slice raw, struct http_path *ret);
/* 0, 400 or 414: whether all of a query is made of what queries have. */
unsigned http_query_check(struct slice raw);

struct http_match {
    const struct http_route *row;
    void *service;
    struct slice params[HTTP_PARAMS_MAX];
    unsigned allowed; /* methods of all rows that have this path, HEAD and OPTIONS among them; set for 405 too */
    unsigned flags;   /* of those rows together */
};

/* The first row, in the order of the tables, that has the path, the method and, without TLS, HTTP_CLEAR_TOO. 0; 404;
 * 405: the path is there, the method is not; 204: OPTIONS of a path that is there. params point into path. */
unsigned http_route_find(const struct http_routes *tables, size_t ntables, enum http_method method, bool tls,
                         const struct http_path *path, struct http_match *ret);
/* "GET, HEAD, OPTIONS" of the methods. Returns out. */
const char *http_allow(unsigned methods, char *out, size_t cap);
enum http_method http_method_of(const char *name); /* 0: it is none of them */

#endif
