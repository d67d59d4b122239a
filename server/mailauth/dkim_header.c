/* The header of a message that comes in pieces, and who says in it that they wrote it. */
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mailauth/dkim_impl.h"

static int parse_at(struct dkim_header *h, const uint8_t *s, size_t len)
{
    int err = header_parse(s, len, h->fields, HEADER_FIELDS_MAX, &h->view);

    return err == ERR_LIMIT ? ERR_FORMAT : err;
}

/* Most headers stand in the first piece. */
int dkim_header_read(struct dkim_header *h, const struct iovec *mail, size_t n)
{
    int err = OK;

    *h = (struct dkim_header){.fields = malloc(HEADER_FIELDS_MAX * sizeof(*h->fields))};
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

void dkim_header_free(struct dkim_header *h)
{
    buf_free(&h->copy);
    free(h->fields);
}

/* ---- From ---- */

static int first_author(void *arg, const struct address_item *item)
{
    char *out = arg, address[ADDRESS_CANONICAL_MAX];
    const char *at;

    if (address_canonical(item, address) && (at = strrchr(address, '@')) &&
        address_domain_normalize(at + 1, strlen(at + 1), out) != OK)
        *out = '\0';
    return 1;
}

int dkim_author_domain(const struct iovec *mail, size_t n, char out[DOMAIN_CAP])
{
    struct dkim_header h;
    const struct header_field *from;
    char domain[DOMAIN_CAP] = "";
    int err = dkim_header_read(&h, mail, n);

    if (err == OK && (from = header_find(&h.view, "From"))) {
        struct slice value = header_field_value(h.view.s, from);
        address_each(value.data, value.len, first_author, domain);
    }
    dkim_header_free(&h);
    if (err == OK && !*domain)
        err = ERR_NOT_FOUND;
    if (err == OK)
        memcpy(out, domain, DOMAIN_CAP);
    return err;
}
