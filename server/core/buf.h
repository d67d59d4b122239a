/* A growing byte buffer that has a maximum from birth. Memory is taken on first use and given back by
 * buf_free, and by buf_consume when it empties a large buffer, so an idle connection holds none. */
#ifndef CORE_BUF_H
#define CORE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *data; /* contents are data[0 .. len) */
    size_t len, cap, max;
    size_t off; /* internal: consumed bytes in front of data */
    bool wipe;  /* plaintext: memory is wiped before it is released or moved */
};

void buf_init(struct buf *b, size_t max, bool wipe);
void buf_free(struct buf *b); /* wipes if asked; the buffer may be used again */

/* Each returns OK, ERR_LIMIT when max would be passed, or ERR_MEMORY; on failure nothing is added. */
int buf_append(struct buf *b, const void *data, size_t len);
int buf_puts(struct buf *b, const char *s);
int buf_put_number(struct buf *b, uint64_t v); /* in decimal */
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for len more bytes at data + len; the caller writes them and then calls buf_commit. */
int buf_reserve(struct buf *b, size_t len, uint8_t **ret_tail);
void buf_commit(struct buf *b, size_t len);

void buf_consume(struct buf *b, size_t len); /* drops the first len bytes */
void buf_clear(struct buf *b);               /* keeps the memory */

#endif
