/* A range made alone is the slice of the whole. */
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/format/render.h"

struct packets {
    const uint8_t *data;
    size_t len;
};

static int read_packets(void *arg, uint64_t offset, uint8_t *out, size_t len)
{
    const struct packets *p = arg;
    if (offset > p->len || len > p->len - offset)
        abort();
    memcpy(out, p->data + offset, len);
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 6)
        return 0;
    size_t outer = data[0] < size - 6 ? data[0] : size - 6, from = (size_t)data[1] << 8 | data[2],
           len = (size_t)data[3] << 8 | data[4], n, m;
    struct packets p = {data + 6 + outer, size - 6 - outer};
    struct render_source s = {.version = (uint8_t)(1 + data[5] % 8), /* PGP/MIME and the inline ones */
                              .message = data[5],
                              .outer = data + 6,
                              .outer_len = outer,
                              .packets_len = p.len,
                              .read = read_packets,
                              .arg = &p};
    size_t total = (size_t)render_size(s.version, outer, p.len);
    uint8_t *all = malloc(total), *part = malloc(len + 1);
    if (render_range(&s, 0, total, all, &n) != OK || n != total || render_range(&s, from, len, part, &m) != OK)
        abort();
    size_t expect = from >= total ? 0 : len < total - from ? len : total - from;
    if (m != expect || (m && memcmp(part, all + from, m)))
        abort();
    free(all);
    free(part);
    return 0;
}
