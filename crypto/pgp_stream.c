/* What a seal reads and writes. See pgp_stream.h. */
#include "crypto/pgp_stream.h"

#include <string.h>

#include "server/core/error.h"

void pgp_feed_start(struct pgp_feed *f, const struct iovec *in, size_t iovcnt, uint64_t len)
{
    *f = (struct pgp_feed){.iov = in, .iovcnt = iovcnt};
    f->head_len = pgp_packet_header(f->head, PGP_TAG_LITERAL, (size_t)len + 6);
    f->head[f->head_len] = 'b';
    f->head_len += 6; /* the rest is zero already */
}

size_t pgp_feed_read(struct pgp_feed *f, uint8_t *out, size_t want)
{
    size_t got = 0;
    while (got < want) {
        const uint8_t *src;
        size_t left, *pos;
        if (f->head_pos < f->head_len) {
            src = f->head;
            left = f->head_len - f->head_pos;
            pos = &f->head_pos;
        } else if (f->i < f->iovcnt) {
            src = f->iov[f->i].iov_base;
            left = f->iov[f->i].iov_len - f->pos;
            pos = &f->pos;
        } else {
            break;
        }
        size_t n = left < want - got ? left : want - got;
        if (n)
            memcpy(out + got, src + *pos, n);
        *pos += n;
        got += n;
        if (n == left && pos == &f->pos) {
            f->i++;
            f->pos = 0;
        }
    }
    return got;
}

size_t pgp_feed_take(struct pgp_feed *f, uint8_t *stage, size_t want, const uint8_t **ret)
{
    if (f->head_pos == f->head_len && f->i < f->iovcnt && f->iov[f->i].iov_len - f->pos >= want) {
        *ret = (const uint8_t *)f->iov[f->i].iov_base + f->pos;
        f->pos += want;
        return want;
    }
    *ret = stage;
    return pgp_feed_read(f, stage, want);
}

int pgp_output_flush(struct pgp_output *o)
{
    struct pgp_work *w = o->e->work;
    size_t n = w->out_len;
    if (!n)
        return OK;
    w->out_len = 0;
    o->total += n;
    return o->sink(o->arg, w->out, n);
}

int pgp_output_put(struct pgp_output *o, const void *data, size_t len)
{
    struct pgp_work *w = o->e->work;
    if (w->out_len + len > PGP_OUT) {
        int err = pgp_output_flush(o);
        if (err)
            return err;
    }
    memcpy(w->out + w->out_len, data, len);
    w->out_len += len;
    return OK;
}
