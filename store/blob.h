/* What an account keeps beside its records. Kinds are apart so that an engine may keep each where it likes: packets are
 * many octets that are read seldom, the others few that are read often. */
#ifndef STORE_BLOB_H
#define STORE_BLOB_H

#include <stddef.h>
#include <stdint.h>

enum blob_kind {
    BLOB_PACKETS,    /* a message's OpenPGP packets but for their head, under its id */
    BLOB_HEAD,       /* sealed: its capsule, and the packets' first octets; under the same id */
    BLOB_CERTIFICATE /* sealed, under the number that its key's record names */
};
enum { BLOB_KINDS = 3 };
#define BLOB_PART_MAX (UINT64_C(1) << 62) /* partitions that have blobs are below it */
#define BLOB_ID_MAX (UINT64_C(1) << 62)   /* ids are below it */

/* Where a chunk is. */
struct blob_at {
    uint64_t part, id;
    enum blob_kind kind; /* BLOB_KINDS: of none of them */
    uint32_t n;          /* BLOB_CHUNK_NONE is in it: what the engine keeps there beside chunks is damaged */
};
#define BLOB_CHUNK_NONE (UINT32_C(1) << 31) /* numbers of chunks are below it */

/* Chunks that an engine keeps elsewhere and is asked to bring, of many blobs at once (view_fetch). */
struct blob_want {
    uint64_t account;
    enum blob_kind kind;
    uint64_t id;
    uint32_t first, n;
};
enum { BLOB_WANTS_MAX = 64 };
struct blob_fetch;

#endif
