/* What one message makes us ask of DNS. The engines of this folder have no I/O: each is a function of its question and
 * of the answers here. An answer that is missing is noted as wanted, the engine says ERR_AGAIN, and is called anew when
 * all that was wanted has come. Engines of one message share the answers, so nothing is asked twice. */
#ifndef MAILAUTH_RECORDS_H
#define MAILAUTH_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"

enum {
    RECORDS_NAME_CAP = 254,          /* a name as text without a final dot, with its NUL */
    RECORDS_QUESTIONS_MAX = 512,     /* of one message */
    RECORDS_VALUES_MAX = 256,        /* of one answer */
    RECORDS_MEMORY_MAX = 512 * 1024, /* questions and answers of one message */
};

enum records_type { RECORDS_A = 1, RECORDS_PTR = 12, RECORDS_MX = 15, RECORDS_TXT = 16, RECORDS_AAAA = 28 };

struct records_value {
    const char *name;    /* PTR, MX: without the final dot; "" is the root */
    uint16_t preference; /* MX */
    struct slice data;   /* A: 4 octets, AAAA: 16, TXT: its strings, joined */
};
struct records_answer {
    int err;     /* not OK: nobody can tell now, and nothing else here counts */
    bool exists; /* the name, with records of this type or not */
    size_t n;    /* 0: no such records, which is an answer */
    const struct records_value *v;
};
struct records_question {
    enum records_type type;
    const char *name; /* lower case, no final dot. Printable ASCII and blanks: macros put in what senders say */
};

struct records;
struct records *records_create(void);    /* NULL: no memory */
void records_destroy(struct records *r); /* wiped; NULL is allowed */

/* Where each new question is looked for first: one whose answer is at hand is never wanted, so what is warm takes an
 * engine one call. NULL: it is not at hand. Else it is copied, as by records_put. */
typedef const struct records_answer *records_at_hand_fn(void *arg, const struct records_question *q);
void records_look_in(struct records *r, records_at_hand_fn *fn, void *arg);

/* ---- for engines ---- */

/* The answer, which lives as long as r, or NULL: it is wanted. name in any case, with a final dot or without. What can
 * be no name (an empty label, one over 63 octets, over 253 in all, controls, octets beyond ASCII) exists nowhere and is
 * not asked for. One question too many is answered with ERR_LIMIT. */
const struct records_answer *records_get(struct records *r, enum records_type type, const char *name);
bool records_name_valid(const char *name);

/* ---- for whoever asks ---- */

/* The next question that is wanted and was not taken, or NULL. It lives as long as r. */
const struct records_question *records_take(struct records *r);
/* The answer to one that was taken, which is copied. One that does not fit becomes ERR_LIMIT, one whose values have not
 * the form of their type ERR_FORMAT. A name that cannot be asked for has an error for an answer: nobody knows whether
 * it exists, and SPF would fail mail by what is not known. */
void records_put(struct records *r, const struct records_question *q, const struct records_answer *a);
size_t records_open(const struct records *r); /* questions that are wanted and have no answer */
/* Time is up: what has no answer has ERR_TIMEOUT, and so has whatever is asked from now on. */
void records_end(struct records *r);

#endif
