/* Who says in a message's header that they wrote it. */
#include <string.h>

#include "server/core/error.h"
#include "server/mailauth/dkim.h"
#include "server/mailauth/whole_header.h"

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
    struct whole_header h;
    const struct header_field *from;
    char domain[DOMAIN_CAP] = "";
    int err = whole_header_read(&h, mail, n);

    if (err == OK && (from = header_find(&h.view, "From"))) {
        struct slice value = header_field_value(h.view.s, from);
        address_each(value.data, value.len, first_author, domain);
    }
    whole_header_free(&h);
    if (err == OK && !*domain)
        err = ERR_NOT_FOUND;
    if (err == OK)
        memcpy(out, domain, DOMAIN_CAP);
    return err;
}
