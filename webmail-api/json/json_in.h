/* JSON that strangers send (RFC 8259), read by a table of the members that are expected: rows say where in the caller's
 * struct a value goes, and how much fits. What two readers could understand in two ways is refused: a name that stands
 * twice, a number that doubles do not hold, a text with a NUL or with what is no UTF-8, what stands behind the object.
 *
 * Over jansson, which copies what it reads: a process that reads secrets wipes what is freed (server/core/wipe_heap.h),
 * and one in a sandbox has given jansson its seed before (json_in_prepare). Blocks for nothing. */
#ifndef JSON_IN_H
#define JSON_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"

enum {
    JSON_IN_MAX = 64 * 1024, /* octets of a text */
    JSON_IN_DEPTH_MAX = 4,   /* objects and lists within one another, the outermost counted */
    JSON_IN_KEYS_MAX = 32,   /* members of an object, values of a list */
    JSON_IN_VALUES_MAX = 256 /* of these in all */
};
#define JSON_IN_NUMBER_MAX ((UINT64_C(1) << 53) - 1) /* RFC 8259 section 6 */

enum json_in_kind {
    JSON_IN_TEXT,     /* char[]: UTF-8 without controls, and a NUL behind it */
    JSON_IN_OCTETS,   /* uint8_t[]: base64url of exactly so many octets */
    JSON_IN_SPAN,     /* JSON_SPAN: base64url of as many as fit, or fewer */
    JSON_IN_UNSIGNED, /* uint64_t: at most the row's max */
    JSON_IN_BOOL,     /* bool */
    JSON_IN_WORDS,    /* uint32_t: a list of texts of the row's words, whose bits are set; each once */
    JSON_IN_OBJECT,   /* a struct, by the row's table */
};

#define JSON_SPAN(n)     \
    struct {             \
        size_t len;      \
        uint8_t data[n]; \
    }

struct json_in_table;

struct json_in_member {
    const char *name;
    enum json_in_kind kind;
    size_t at, size;                   /* JSON_IN_AT; of a span its data */
    size_t there;                      /* JSON_IN_FLAG of a bool that says whether it came; 0: it has to come */
    uint64_t max;                      /* of JSON_IN_UNSIGNED */
    const char *const *words;          /* of JSON_IN_WORDS; 32 at most, then NULL */
    bool others;                       /* of JSON_IN_WORDS: other texts may stand there and say nothing */
    const struct json_in_table *table; /* of JSON_IN_OBJECT */
};
#define JSON_IN_AT(type, field) offsetof(type, field), sizeof(((type *)0)->field)
#define JSON_IN_SPAN_AT(type, field) offsetof(type, field), sizeof(((type *)0)->field.data)
#define JSON_IN_FLAG(type, field) (1 + offsetof(type, field))

/* Our own requests have no member that is not in their table: a client that is misunderstood hears it, and what it had
 * better not sent (a passkey's PRF output) is answered with an error that its author sees. Formats of others grow:
 * theirs may have more, which is not looked at. */
struct json_in_table {
    const struct json_in_member *members;
    size_t n;
    size_t size; /* of the struct */
    bool others;
};
#define JSON_IN_TABLE(type, rows)                                                  \
    {                                                                              \
        .members = rows, .n = sizeof(rows) / sizeof(*(rows)), .size = sizeof(type) \
    }

/* What is wrong, for the answer. */
struct json_in_why {
    const char *what; /* English */
    const char *name; /* of a table's member, or NULL: of none, or of one that is in no table */
};

/* Once in the life of a process, before its sandbox. Names in jansson's tables are hashed by a random seed. */
void json_in_prepare(void);

/* Reads an object. ret: the table's struct, which begins as zeros, and is as it was when it fails; the caller wipes it.
 * ret_why: NULL, or set when the error is ERR_FORMAT (no JSON, not what the table has) or ERR_LIMIT (one of the limits
 * above); the texts last. ERR_MEMORY. */
int json_in_read(struct slice text, const struct json_in_table *t, void *ret, struct json_in_why *ret_why);

#endif
