/* See coming.h. */
#include "server/keys/coming.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/pgp_armor.h"
#include "crypto/pgp_minimise.h"
#include "crypto/pgp_packet.h"
#include "server/core/error.h"

static bool read_address(const uint8_t *user_id, size_t len, char ret[ADDRESS_MAX])
{
    size_t at, plus;
    return address_of_user_id((const char *)user_id, len, ret, &at, &plus) == OK;
}

/* The first ones with an address. */
static bool keep_some(void *arg, const uint8_t *user_id, size_t len)
{
    size_t *n = arg;
    char address[ADDRESS_MAX];
    if (*n == COMING_ADDRESSES_MAX || !read_address(user_id, len, address))
        return false;
    ++*n;
    return true;
}

static void add_address(struct coming *c, const char *address)
{
    for (size_t i = 0; i < c->n; i++)
        if (!strcmp(c->address[i], address))
            return;
    if (c->n < COMING_ADDRESSES_MAX)
        memcpy(c->address[c->n++], address, strlen(address) + 1);
}

static int list_addresses(struct coming *c)
{
    struct pgp_packet p;
    char address[ADDRESS_MAX];
    size_t pos = 0;
    int err;
    c->n = 0;
    while ((err = pgp_packet_next(c->cert, c->len, &pos, &p)) == OK)
        if (p.tag == PGP_TAG_USER_ID && read_address(p.body, p.body_len, address))
            add_address(c, address);
    return err == ERR_NOT_FOUND ? OK : err;
}

static const char *why_not(int err)
{
    return err == ERR_NOT_FOUND     ? "None of its user ids that are valid has a mail address."
           : err == ERR_LIMIT       ? "It is too large, or has too many keys, user ids or signatures."
           : err == ERR_UNSUPPORTED ? "Keys of this version or algorithm cannot be verified here."
           : err == ERR_REFUSED     ? "It is no single public certificate that vouches for itself."
           : err == ERR_FORMAT      ? "No certificate can be read in it."
                                    : "There is no memory for it now.";
}

int keys_coming_again(struct coming *c, const uint8_t *cert, size_t len, const char **ret_why)
{
    struct pgp_minimised m;
    size_t n = 0;
    int err = pgp_minimise(cert, len, (uint64_t)time(NULL), keep_some, &n, c->cert, sizeof(c->cert), &c->len, &m);
    if (!err)
        err = list_addresses(c);
    if (err) {
        *ret_why = why_not(err);
        return err;
    }
    memcpy(c->fpr, m.fpr, sizeof(c->fpr));
    c->fpr_len = m.fpr_len;
    c->revoked = m.revoked;
    c->expired = m.expired;
    return OK;
}

int keys_coming_read(struct coming *c, struct slice armoured, const char **ret_why)
{
    size_t cap = armoured.len / 4 * 3 + 3, len, begin, end;
    uint8_t *cert = malloc(cap);
    int err = cert ? pgp_armor_decode(armoured.data, armoured.len, "PUBLIC KEY BLOCK", cert, cap, &len, &begin, &end)
                   : ERR_MEMORY;
    if (err)
        *ret_why = why_not(err == ERR_MEMORY ? err : ERR_FORMAT);
    else
        err = keys_coming_again(c, cert, len, ret_why);
    free(cert);
    return err == ERR_NOT_FOUND ? ERR_FORMAT : err;
}

int keys_coming_for(const struct coming *c, const char *address, uint8_t out[PGP_PUBLISHED_MAX], size_t *ret_len)
{
    struct pgp_published p;
    struct pgp_minimised m;
    size_t len;
    int err = pgp_minimise(c->cert, c->len, (uint64_t)time(NULL), published_names, (void *)address, out,
                           PGP_PUBLISHED_MAX, &len, &m);
    if (!err)
        err = pgp_published_read(out, len, &p);
    if (!err)
        *ret_len = len;
    return err;
}
