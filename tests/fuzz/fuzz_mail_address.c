/* Any octets as an address list, as an account's address and as a domain: what is given back is in one spelling. */
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/mail/address.h"
#include "server/mail/message_id.h"

static void must(int ok)
{
    if (!ok)
        abort();
}

struct text {
    char s[ADDRESS_SPEC_MAX];
    size_t len, n;
};

static int keep(void *arg, const struct address_item *item)
{
    char spec[ADDRESS_CANONICAL_MAX];
    struct text *t = arg;
    t->len = address_canonical(item, spec);
    memcpy(t->s, spec, t->len);
    t->n++;
    return 0;
}

static int canonical(void *arg, const struct address_item *item)
{
    char address[ADDRESS_CANONICAL_MAX], none[ADDRESS_UNREADABLE_MAX];
    struct text again = {.n = 0};
    (void)arg;
    size_t len = address_unreadable(item, none);
    must(len <= sizeof(none) && address_bare_list_valid((const uint8_t *)none, len));
    must(address_list_valid((const uint8_t *)none, len));
    len = address_canonical(item, address);
    if (!len)
        return 0;
    must(len <= ADDRESS_SPEC_MAX && address_spec_valid((const uint8_t *)address, len));
    must(address_bare_list_valid((const uint8_t *)address, len) && address_list_valid((const uint8_t *)address, len));
    address_each((const uint8_t *)address, len, keep, &again);
    must(again.n == 1 && again.len == len && !memcmp(again.s, address, len));
    return 0;
}

static void inside(struct slice piece, const uint8_t *s, size_t len)
{
    uint8_t text[64];
    must(!piece.data || (piece.data >= s && piece.data + piece.len <= s + len));
    must(address_text(piece, text, sizeof(text)) <= sizeof(text));
}

/* A strict list is read without anything that is no address. */
static void items(const uint8_t *s, size_t len)
{
    struct address_reader r = {.s = s, .len = len};
    struct address_item item;
    bool strict = utf8_valid(s, len) && address_list_valid(s, len);
    size_t n = 0, opened = 0, closed = 0;
    for (; address_read(&r, &item); n++) {
        must(n <= len);
        inside(item.name, s, len);
        inside(item.route, s, len);
        inside(item.local, s, len);
        inside(item.domain, s, len);
        opened += item.kind == ADDRESS_GROUP;
        closed += item.kind == ADDRESS_GROUP_END;
        must(!strict || item.kind != ADDRESS_MAILBOX || item.domain.len);
    }
    must(closed <= opened && (!strict || (n && opened == closed)));
}

static void normal(const char *s, size_t len)
{
    char out[ADDRESS_MAX], again[ADDRESS_MAX], domain[DOMAIN_CAP], same[DOMAIN_CAP];
    size_t at, plus, at2, plus2;
    if (address_normalize(s, len, out, &at, &plus) == OK) {
        must(out[at] == '@' && plus < at && utf8_printable(out, strlen(out)));
        must(address_normalize(out, strlen(out), again, &at2, &plus2) == OK && !strcmp(out, again));
        must(at == at2 && plus == plus2);
    }
    if (address_domain_normalize(s, len, domain) == OK)
        must(address_domain_normalize(domain, strlen(domain), same) == OK && !strcmp(domain, same));
}

static int id(void *arg, const uint8_t *s, size_t len)
{
    (void)arg;
    char text[MESSAGE_ID_MAX], again[MESSAGE_ID_MAX];
    size_t n = message_id_text(s, len, text);
    must(n && message_id_valid((const uint8_t *)text, n) && message_id_list_valid((const uint8_t *)text, n));
    must(message_id_text((const uint8_t *)text, n, again) == n && !memcmp(text, again, n));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    address_each(copy, size, canonical, NULL);
    items(copy, size);
    normal((const char *)copy, size);
    for (int rules = ADDRESS_HEADER; rules <= ADDRESS_ENVELOPE; rules++) {
        must(address_domain_len(copy, size, (enum address_rules)rules) <= size);
        must(address_local_len(copy, size, (enum address_rules)rules) <= size);
    }
    must(address_literal_len(copy, size) <= size);
    must(!address_bare_list_valid(copy, size) || address_list_valid(copy, size));
    message_id_each(copy, size, id, NULL);
    message_id_list_valid(copy, size);
    free(copy);
    return 0;
}
