#include "server/mailauth/packed.h"

#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "server/core/error.h"

enum {
    WINDOW = 15,   /* of deflate (RFC 1951) */
    GZIP_TOO = 16, /* zlib's word for it */
    ZIP_HEADER = 30,
    ZIP_ENCRYPTED = 1,
    ZIP_STORED = 0,
    ZIP_DEFLATED = 8,
};

static bool begins(struct slice data, const char *magic, size_t n)
{
    return data.len >= n && memcmp(data.data, magic, n) == 0;
}

bool packed_is_gzip(struct slice data)
{
    return begins(data, "\x1f\x8b", 2);
}

bool packed_is_zip(struct slice data)
{
    return begins(data, "PK\3\4", 4);
}

static int inflate_all(struct slice data, int window, struct buf *out)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)data.data, .avail_in = (uInt)data.len};
    int err = OK, state = Z_OK;

    if (inflateInit2(&z, window) != Z_OK)
        return ERR_MEMORY;
    while (err == OK && state != Z_STREAM_END) {
        uint8_t piece[4096];
        z.next_out = piece;
        z.avail_out = sizeof(piece);
        state = inflate(&z, Z_NO_FLUSH);
        if (state != Z_OK && state != Z_STREAM_END)
            err = state == Z_MEM_ERROR ? ERR_MEMORY : ERR_FORMAT;
        else
            err = buf_append(out, piece, sizeof(piece) - z.avail_out);
    }
    inflateEnd(&z);
    return err;
}

int packed_read_gzip(struct slice data, struct buf *out)
{
    return inflate_all(data, WINDOW + GZIP_TOO, out);
}

static size_t le(const uint8_t *p, size_t n)
{
    size_t v = 0;

    while (n--)
        v = v << 8 | p[n];
    return v;
}

/* The local header of APPNOTE.TXT section 4.3.7. Its sizes may be left to what stands behind the file; deflate knows
 * its own end. */
int packed_read_zip(struct slice data, struct buf *out)
{
    const uint8_t *p = data.data;
    size_t start, stored;

    if (data.len < ZIP_HEADER || !packed_is_zip(data))
        return ERR_FORMAT;
    start = ZIP_HEADER + le(p + 26, 2) + le(p + 28, 2);
    stored = le(p + 18, 4);
    if (start > data.len)
        return ERR_FORMAT;
    if (p[6] & ZIP_ENCRYPTED)
        return ERR_UNSUPPORTED;
    switch (le(p + 8, 2)) {
    case ZIP_STORED: return stored > data.len - start ? ERR_FORMAT : buf_append(out, p + start, stored);
    case ZIP_DEFLATED: return inflate_all(slice_of(p + start, data.len - start), -WINDOW, out);
    default: return ERR_UNSUPPORTED;
    }
}
