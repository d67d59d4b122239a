/* A growing byte buffer with a maximum. The allocation starts off bytes in front of data, so that consuming from the
 * front is cheap; bytes are moved down only when that pays or when there is no other room. */
#include "server/core/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/bug.h"

enum { BUF_FIRST = 256, BUF_LARGE = 4096 /* an empty buffer above this size is given back */ };

void buf_init(struct buf *b, size_t max, bool wipe)
{
    *b = (struct buf){.max = max, .wipe = wipe};
}

static uint8_t *buf_base(const struct buf *b)
{
    return b->data ? b->data - b->off : NULL;
}

void buf_free(struct buf *b)
{
    uint8_t *base = buf_base(b);

    if (base && b->wipe)
        explicit_bzero(base, b->cap);
    free(base);
    b->data = NULL;
    b->len = b->cap = b->off = 0;
}

/* Moves the contents to the start of the allocation. */
static void buf_slide(struct buf *b)
{
    uint8_t *base = buf_base(b);

    memmove(base, b->data, b->len);
    if (b->wipe)
        explicit_bzero(base + b->len, b->off);
    b->data = base;
    b->off = 0;
}

static int buf_grow(struct buf *b, size_t need)
{
    uint8_t *base = buf_base(b), *p;
    size_t cap = b->cap ? b->cap : BUF_FIRST / 2;

    do
        cap = cap > b->max / 2 ? b->max : cap * 2;
    while (cap < need);
    if (base && !b->wipe && b->off == 0) {
        p = realloc(base, cap);
        if (!p)
            return ERR_MEMORY;
    } else {
        p = malloc(cap);
        if (!p)
            return ERR_MEMORY;
        if (b->len)
            memcpy(p, b->data, b->len);
        if (base && b->wipe)
            explicit_bzero(base, b->cap);
        free(base);
    }
    b->data = p;
    b->off = 0;
    b->cap = cap;
    return OK;
}

int buf_reserve(struct buf *b, size_t len, uint8_t **ret_tail)
{
    static uint8_t nothing;
    int err;

    if (len > b->max - b->len)
        return ERR_LIMIT;
    if (len == 0 && !b->data) {
        *ret_tail = &nothing;
        return OK;
    }
    if (len > b->cap - b->off - b->len) {
        /* Sliding costs len bytes and was paid for when it follows off >= len consumed ones. */
        if (b->len + len <= b->cap && (b->off >= b->len || b->cap == b->max)) {
            buf_slide(b);
        } else {
            err = buf_grow(b, b->len + len);
            if (err)
                return err;
        }
    }
    *ret_tail = b->data + b->len;
    return OK;
}

void buf_commit(struct buf *b, size_t len)
{
    bug_if(len > b->cap - b->off - b->len); /* written past what was reserved */
    b->len += len;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
    uint8_t *tail;
    int err;

    if (len == 0)
        return OK;
    err = buf_reserve(b, len, &tail);
    if (err)
        return err;
    memcpy(tail, data, len);
    b->len += len;
    return OK;
}

int buf_puts(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

int buf_put_number(struct buf *b, uint64_t v)
{
    uint8_t *tail;
    size_t n = 1;
    for (uint64_t rest = v; rest > 9; rest /= 10)
        n++;
    int err = buf_reserve(b, n, &tail);
    if (err)
        return err;
    b->len += n;
    do
        tail[--n] = (uint8_t)('0' + v % 10);
    while (v /= 10);
    return OK;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    char small[512];
    uint8_t *tail;
    va_list ap;
    int n, r;

    va_start(ap, fmt);
    n = vsnprintf(small, sizeof(small), fmt, ap);
    va_end(ap);
    if (n < 0)
        return ERR_FORMAT;
    if ((size_t)n < sizeof(small)) {
        r = buf_append(b, small, (size_t)n);
    } else {
        if ((size_t)n > b->max - b->len)
            return ERR_LIMIT;
        /* vsnprintf ends with a NUL for which a full buffer has no room: format aside, then append. */
        tail = malloc((size_t)n + 1);
        if (!tail)
            return ERR_MEMORY;
        va_start(ap, fmt);
        vsnprintf((char *)tail, (size_t)n + 1, fmt, ap);
        va_end(ap);
        r = buf_append(b, tail, (size_t)n);
        if (b->wipe)
            explicit_bzero(tail, (size_t)n + 1);
        free(tail);
    }
    if (b->wipe)
        explicit_bzero(small, sizeof(small));
    return r;
}

void buf_consume(struct buf *b, size_t len)
{
    bug_if(len > b->len);
    if (len < b->len) {
        b->data += len;
        b->off += len;
        b->len -= len;
    } else if (b->cap > BUF_LARGE) {
        buf_free(b);
    } else {
        buf_clear(b);
    }
}

void buf_clear(struct buf *b)
{
    uint8_t *base = buf_base(b);

    if (base && b->wipe)
        explicit_bzero(base, b->off + b->len);
    b->data = base;
    b->len = b->off = 0;
}
