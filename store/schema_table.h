/* Every kind of record, by the letter that its key begins with: what it is, how its value stands in the store, and
 * under which key. docs/store-format.md has the same table, which tests/script/test_docs.py compares. */
#ifndef STORE_SCHEMA_TABLE_H
#define STORE_SCHEMA_TABLE_H

#include <stdint.h>

#include "crypto/record.h"

enum record_form {
    FORM_SEALED,  /* under the key of its use, padded to a multiple of step octets */
    FORM_TAGGED,  /* clear, with a tag behind it */
    FORM_CLEAR,   /* clear: another record repeats it under seal */
    FORM_EMPTY,   /* no value: an index */
    FORM_ENGINE,  /* the engine's own */
    FORM_RESERVED /* for what is to come: such a key is a damaged store */
};

enum record_home { HOME_INSTANCE = 1, HOME_ACCOUNT = 2, HOME_QUEUE = 4, HOME_KEYSERVER = 8 };

struct schema_kind {
    char letter;
    uint8_t home; /* enum record_home: its partition */
    uint8_t form; /* enum record_form */
    uint8_t use;  /* enum record_use; sealed alone */
    uint16_t step;
    const char *what;
};

/* NULL: no record has this letter there. */
const struct schema_kind *schema_kind_find(uint64_t part, char letter);
/* All of them, for listings. */
const struct schema_kind *schema_kinds(unsigned *ret_n);

#endif
