/* The two ends of a seal: the plaintext as pieces, and ciphertext in blocks to the sink. Not for use outside
 * crypto/. */
#ifndef CRYPTO_PGP_STREAM_H
#define CRYPTO_PGP_STREAM_H

#include "crypto/pgp_internal.h"

/* The plaintext as the container sees it: the literal packet's head, then the caller's pieces. */
struct pgp_feed {
    uint8_t head[12];
    size_t head_len, head_pos;
    const struct iovec *iov;
    size_t iovcnt, i, pos;
};
/* len: the octets of all pieces. */
void pgp_feed_start(struct pgp_feed *f, const struct iovec *in, size_t iovcnt, uint64_t len);
size_t pgp_feed_read(struct pgp_feed *f, uint8_t *out, size_t want); /* less than want only at the end */
/* As pgp_feed_read, but without a copy where one piece holds all that is wanted; otherwise through stage. */
size_t pgp_feed_take(struct pgp_feed *f, uint8_t *stage, size_t want, const uint8_t **ret);

struct pgp_output {
    struct pgp_engine *e;
    pgp_sink *sink;
    void *arg;
    uint64_t total;
};
int pgp_output_put(struct pgp_output *o, const void *data, size_t len);
int pgp_output_flush(struct pgp_output *o);

#endif
