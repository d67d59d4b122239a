/* CBOR (RFC 8949) as authenticators write it (CTAP 2.1 section 8): definite lengths, no tags, no floats, four deep at
 * most. Reads in place and allocates nothing; libraries are given only what passed here, so that no length that
 * somebody claims is ever allocated. */
#ifndef SESSION_CBOR_IN_H
#define SESSION_CBOR_IN_H

#include <stdint.h>

#include "server/core/wire.h"

enum { CBOR_IN_DEPTH_MAX = 4 };

enum cbor_in_type { /* the major types of RFC 8949 section 3.1 */
                    CBOR_IN_UNSIGNED,
                    CBOR_IN_NEGATIVE, /* -1 - value */
                    CBOR_IN_OCTETS,
                    CBOR_IN_TEXT,
                    CBOR_IN_ARRAY,
                    CBOR_IN_MAP,
                    CBOR_IN_SIMPLE = 7, /* false, true, null, undefined */
};

struct cbor_in {
    enum cbor_in_type type;
    uint64_t value;     /* the number; octets; items; pairs; 20 to 23 */
    struct slice body;  /* of octets and texts; the items of an array or map */
    struct slice whole; /* with its head */
};

/* The item at the start of in, all that is in it checked. ERR_FORMAT. */
int cbor_in_read(struct slice in, struct cbor_in *ret);
/* The value of a key in a map. ERR_NOT_FOUND; ERR_FORMAT: it is no map, or has the key twice. */
int cbor_in_text_key(const struct cbor_in *map, const char *key, struct cbor_in *ret);
int cbor_in_number_key(const struct cbor_in *map, int64_t key, struct cbor_in *ret);
/* As a signed number; ERR_FORMAT: it is none, or beyond 2^31. */
int cbor_in_number(const struct cbor_in *c, int64_t *ret);

#endif
