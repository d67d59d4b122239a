/* See author.h. Fields are read by the strict grammar, so that no reader sees another author than the one that was
 * looked at (RFC 5322 sections 3.6.2 and 3.6.6). */
#include "server/ingest/submission/author.h"

#include <string.h>

#include "server/core/error.h"
#include "server/mail/token.h"

enum { ADDRESSES_MAX = 64 /* looked up for one mail */ };

static const struct kind {
    const char *name;
    bool once; /* a second one is a forger's: readers take either */
    bool several;
} kinds[] = {
    {"From", true, true},
    {"Sender", true, false},
    {"Resent-From", false, true},
    {"Resent-Sender", false, false},
};
enum { FROM, KINDS = sizeof(kinds) / sizeof(kinds[0]) };

struct checking {
    const struct clean_header *h;
    author_own_fn *own;
    void *arg;
    size_t seen[KINDS], addresses;
    char *domain;
};

static struct slice trimmed(const uint8_t *s, const struct header_field *f)
{
    return token_trim(header_field_value(s, f));
}

/* A mailbox of the field. */
static int check_one(struct checking *c, size_t kind, const struct address_item *item)
{
    char address[ADDRESS_CANONICAL_MAX];
    int err;

    if (item->kind != ADDRESS_MAILBOX || ++c->addresses > ADDRESSES_MAX || item->route.data ||
        !address_canonical(item, address))
        return AUTHOR_UNREADABLE;
    err = c->own(c->arg, address);
    if (err != OK)
        return err == ERR_DENIED ? AUTHOR_NOT_OWN : err;
    if (kind == FROM && !c->domain[0] &&
        address_domain_normalize(strrchr(address, '@') + 1, strlen(strrchr(address, '@') + 1), c->domain) != OK)
        return AUTHOR_UNREADABLE;
    return OK;
}

static int check_field(struct checking *c, size_t kind, const struct header_field *f)
{
    const struct slice value = trimmed(c->h->s, f);
    struct address_reader r = {.s = value.data, .len = value.len};
    struct address_item item;
    size_t n = 0;
    int err = OK;

    if (++c->seen[kind] > 1 && kinds[kind].once)
        return AUTHOR_TWICE;
    if (!value.len)
        return AUTHOR_NONE_THERE;
    if (f->blank || !header_value_valid(value.data, value.len, f->name_len + 2, HEADER_LINE_MAX) ||
        !address_list_valid(value.data, value.len))
        return AUTHOR_UNREADABLE;
    while (err == OK && address_read(&r, &item)) {
        n++;
        err = check_one(c, kind, &item);
    }
    if (err == OK && (n == 0 || (n > 1 && !kinds[kind].several)))
        err = AUTHOR_UNREADABLE;
    return err;
}

int submission_author_check(const struct clean_header *h, author_own_fn *own, void *arg, char ret_domain[DOMAIN_CAP])
{
    struct checking c = {.h = h, .own = own, .arg = arg, .domain = ret_domain};
    int err = OK;

    ret_domain[0] = '\0';
    for (size_t i = 0; i < h->n && err == OK; i++)
        for (size_t k = 0; k < KINDS && err == OK; k++)
            if (header_field_is(h->s, &h->fields[i], kinds[k].name))
                err = check_field(&c, k, &h->fields[i]);
    return err == OK && !c.seen[FROM] ? AUTHOR_NONE_THERE : err;
}
