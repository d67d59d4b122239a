/* How a message's octets stand in the store. Its head, the capsule and behind it what its packets begin with (session
 * keys, and the container's header and salt), is a sealed blob. The rest, the body, is cut into chunks of whole pages
 * and at most two small ones at the end, each with a tag of the outer seal: hidden under it where a stranger made the
 * octets, as they are where this server sealed them. docs/store-format.md says the same in prose. */
#ifndef STORE_CONTENT_H
#define STORE_CONTENT_H

#include "store/schema.h"

enum {
    CONTENT_CHUNK = ENGINE_BLOB_CHUNK - OUTER_SEAL_TAG, /* octets of a full one */
    CONTENT_PADDING_SHARE = 128,                        /* of a body's octets, at most: */
    CONTENT_PADDING_MAX = 1024
};

/* What follows from a message's record alone. */
struct content_layout {
    uint64_t len; /* the body's octets */
    uint32_t full;
    size_t run;     /* room in the chunk of whole pages after the full ones; 0: there is none */
    uint32_t tails; /* small chunks at the end, at most 2 */
    size_t tail;    /* room in each of them */
};
void content_layout(const struct schema_message *m, struct content_layout *ret);
uint32_t content_chunks(const struct content_layout *l);
/* The chunk with that octet of the body. */
uint32_t content_chunk_at(const struct content_layout *l, uint64_t offset);
uint64_t content_chunk_start(const struct content_layout *l, uint32_t n);
size_t content_chunk_room(const struct content_layout *l, uint32_t n);
bool content_hidden(const struct schema_message *m);
/* Octets of all the chunks, the head's and the body's, that a message of these lengths takes at most, whatever its
 * padding, and how many chunks these are: what is no longer never takes more. */
uint64_t content_most(const struct schema_message *m, uint32_t *ret_chunks);

/* A new message's salt and padding. packets_len and head_len are set. */
void content_draw(struct schema_message *m);
int content_write(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_message *m,
                  struct slice packets, struct slice capsule);
/* Chunk n opened into out (CONTENT_CHUNK octets); of what is not hidden only its tag is checked, and out may be NULL.
 * ERR_CRYPTO, ERR_FORMAT: damaged. */
int content_open(struct engine_txn *t, const struct record_keys *k, uint64_t account, const struct schema_message *m,
                 uint32_t n, uint8_t *out);
struct sealed_blob;
/* m stays there as long as what is given back. */
void content_head(uint64_t account, const struct schema_message *m, struct sealed_blob *ret);

#endif
