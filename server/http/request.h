/* A request's head, read after its lines were taken apart: RFC 9112 and RFC 9110. Pure. Every head that says twice, or
 * in two ways, where its body ends is refused, and so is every coding of a body: clients of this server know the length
 * of what they send. */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "server/http/router.h"

struct http_head {
    const char *method;  /* as it came, all of it of the line */
    struct slice target; /* the same */
    bool http_1_0;
    const struct http_field *fields; /* names and values were checked by the two below */
    size_t nfields;
};

/* RFC 9110 sections 5.1 and 5.5: a token; visible characters, blanks, tabs and octets over 127. */
bool http_name_valid(struct slice name);
bool http_value_valid(struct slice value);

struct http_intent {
    enum http_method method;
    char host[HTTP_HOST_MAX + 1];
    struct http_path path; /* len 0: the target is "*" */
    struct slice target;   /* path and query as they came */
    struct slice query;    /* of the target */
    uint64_t body;         /* octets that will come */
    char type[HTTP_TYPE_MAX + 1];
};

/* 0, or the status of what is wrong. After any of these the connection is to be closed: nobody knows where the next
 * request would begin. 400; 411: a body in chunks; 414; 417; 501: a method or coding that is not known here. */
unsigned http_head_read(const struct http_head *h, struct http_intent *ret);

#endif
