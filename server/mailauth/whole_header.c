#include "server/mailauth/whole_header.h"

#include <stdlib.h>

#include "server/core/error.h"

static int parse_at(struct whole_header *h, const uint8_t *s, size_t len)
{
    int err = header_parse(s, len, h->fields, HEADER_FIELDS_MAX, &h->view);

    return err == ERR_LIMIT ? ERR_FORMAT : err;
}

/* Most headers stand in the first piece. */
int whole_header_read(struct whole_header *h, const struct iovec *mail, size_t n)
{
    int err = OK;

    *h = (struct whole_header){.fields = malloc(HEADER_FIELDS_MAX * sizeof(*h->fields))};
    buf_init(&h->copy, HEADER_MAX + 1, true);
    if (!h->fields)
        return ERR_MEMORY;
    if (n > 0 && parse_at(h, mail[0].iov_base, mail[0].iov_len) == OK && (h->view.ends || n == 1))
        return OK;
    for (size_t i = 0; i < n && h->copy.len < HEADER_MAX + 1 && err == OK; i++) {
        size_t room = HEADER_MAX + 1 - h->copy.len;
        err = buf_append(&h->copy, mail[i].iov_base, mail[i].iov_len < room ? mail[i].iov_len : room);
    }
    return err == OK ? parse_at(h, h->copy.data, h->copy.len) : err;
}

void whole_header_free(struct whole_header *h)
{
    buf_free(&h->copy);
    free(h->fields);
}
