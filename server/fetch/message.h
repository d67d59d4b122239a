/* Between server/fetch/fetch.c and `fetcher`: their two messages, and what each kind of fetch may be. */
#ifndef FETCH_MESSAGE_H
#define FETCH_MESSAGE_H

#include <stddef.h>

#include "server/fetch/fetch.h"

/* FETCH_ASK: u8 kind, str url, str type, bytes body. FETCH_FORGET: nothing; the question of this id. FETCH_REPLY:
 * status, str for people (server/base/ask.h); when 0: u32 status of HTTP, str type, bytes body. */
enum fetch_msg { FETCH_ASK = 1, FETCH_FORGET = 2, FETCH_REPLY = 100 };

struct fetch_kind_row {
    bool post;        /* and not GET */
    size_t body_max;  /* octets of an answer */
    const char *type; /* the media type that an answer with status 200 must have; NULL: any */
};
const struct fetch_kind_row *fetch_kind_row(unsigned kind); /* NULL: there is none */

struct fetch_question {
    unsigned kind;
    char url[FETCH_URL_MAX + 1]; /* visible ASCII */
    char type[FETCH_TYPE_MAX + 1];
    struct slice body; /* points into the message */
};
/* ERR_FORMAT: it is none of its kind. */
int fetch_question_check(const struct fetch_question *q);
void fetch_question_pack(struct pack *p, const struct fetch_question *q);
int fetch_question_unpack(struct unpack *u, struct fetch_question *ret);

/* A media type: visible ASCII without capitals, FETCH_TYPE_MAX octets at most, or "". */
bool fetch_type_valid(const char *type);
void fetch_answer_pack(struct pack *p, const struct fetch_answer *a);
/* type has FETCH_TYPE_MAX + 1 octets; ret points to it and into the message. ERR_FORMAT: it is none to that kind. */
int fetch_answer_unpack(struct unpack *u, unsigned kind, char *type, struct fetch_answer *ret);

#endif
