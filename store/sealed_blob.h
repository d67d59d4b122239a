/* Blobs that are sealed as records are, chunk by chunk, the place of each bound in: certificates, and messages' heads.
 * The last chunk is padded; how many octets a blob has, its record keeps. */
#ifndef STORE_SEALED_BLOB_H
#define STORE_SEALED_BLOB_H

#include "crypto/record.h"
#include "store/engine.h"

enum { SEALED_BLOB_CHUNK = ENGINE_BLOB_CHUNK - RECORD_OVERHEAD /* of a blob's octets */, SEALED_BLOB_SALT = 16 };

struct sealed_blob {
    enum record_use use;
    uint64_t account;
    enum blob_kind kind;
    uint64_t id, len;
    const uint8_t *salt; /* SEALED_BLOB_SALT octets that its record has, and no older blob of its id; NULL: none */
};

/* The parts, one behind the other, are the blob's len octets. Errors as of engine_blob_room. */
int sealed_blob_put(struct engine_txn *t, const struct record_keys *k, const struct sealed_blob *b,
                    const struct slice *parts, size_t nparts);
/* Opens chunk n; out has ENGINE_BLOB_CHUNK octets. *ret_len: of the blob's, without padding. ERR_CRYPTO, ERR_FORMAT
 * (damaged); ERR_DENIED: the key of its use is not there; ERR_NOT_FOUND, and what engine_blob_get says. */
int sealed_blob_open(struct engine_txn *t, const struct record_keys *k, const struct sealed_blob *b, uint32_t n,
                     uint8_t *out, size_t *ret_len);
uint32_t sealed_blob_chunks(uint64_t len);
uint64_t sealed_blob_stored(uint64_t len); /* octets of all its chunks */

#endif
