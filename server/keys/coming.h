/* Certificates as strangers send them in, read and made small within bounds. */
#ifndef KEYS_COMING_H
#define KEYS_COMING_H

#include "server/core/wire.h"
#include "store/view.h"

enum {
    COMING_ADDRESSES_MAX = 32, /* user ids that are looked at */
    COMING_MAX = 64 * 1024,    /* octets, made small */
};

/* All user ids with an address that are valid, and what belongs to them. */
struct coming {
    uint8_t cert[COMING_MAX];
    size_t len, n;
    char address[COMING_ADDRESSES_MAX][ADDRESS_MAX];
    uint8_t fpr[PGP_FPR_MAX], fpr_len;
    bool revoked, expired;
};

/* Armoured; or binary, as a token has it. *ret_why: a sentence for whoever sent it. */
int keys_coming_read(struct coming *c, struct slice armoured, const char **ret_why);
int keys_coming_again(struct coming *c, const uint8_t *cert, size_t len, const char **ret_why);
/* As it would be published for one of its addresses. ERR_NOT_FOUND: it has no such one. */
int keys_coming_for(const struct coming *c, const char *address, uint8_t out[PGP_PUBLISHED_MAX], size_t *ret_len);

#endif
