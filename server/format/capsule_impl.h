/* Between the files of the capsule: a JSON writer with shares. */
#ifndef FORMAT_CAPSULE_IMPL_H
#define FORMAT_CAPSULE_IMPL_H

#include <stdbool.h>
#include <stddef.h>

#include "server/core/buf.h"

struct json {
    struct buf *out;
    int err;
    bool comma;
};
void capsule_raw(struct json *j, const char *s);   /* punctuation */
void capsule_key(struct json *j, const char *key); /* with the comma before it */
/* A string that takes at most share octets in the output, quotes included. */
void capsule_string(struct json *j, const char *s, size_t len, size_t share);

#endif
