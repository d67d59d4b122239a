/* The directory of published certificates: partition 2, whose records are sealed under RECORD_PUBLISHED, so that who
 * serves it needs no other key. One certificate an address: who wants to be found has one, made fit for strangers
 * (crypto/pgp_minimise.h). Nothing is ever sealed to what stands here. Each change is one commit of that partition, and
 * one record of a log that only grows, each with a hash over the one before: it is sealed under RECORD_DIRECTORY, not
 * for who serves the certificates. docs/store-format.md has the octets. */
#ifndef STORE_PUBLISHED_H
#define STORE_PUBLISHED_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/pgp_published.h"
#include "crypto/record.h"
#include "crypto/wkd.h"
#include "server/mail/address.h"

enum {
    PUBLISHED_HASH_SIZE = 32,
    PUBLISHED_SALT_SIZE = 16,
    UPLOAD_SECRET_SIZE = 25,
    UPLOAD_TOKEN_SIZE = RECORD_HASH_SIZE + 1 + UPLOAD_SECRET_SIZE, /* of a certificate that waits (store/upload.h) */
};

/* Why it changed. */
enum publish_why {
    PUBLISH_KEY = 1, /* the account's certificates did */
    PUBLISH_WISH,    /* its holder wants to be found, or does no more */
    PUBLISH_ADDRESS, /* the address came or goes */
    PUBLISH_MENDED,  /* what a change before had left undone */
    PUBLISH_VERIFIED /* its holder sent it in and said so by mail (store/upload.h) */
};

struct published {
    uint64_t since; /* seconds since 1970 */
    uint8_t why;    /* enum publish_why, of the change that it came with */
    char address[ADDRESS_MAX];
    uint32_t len;
    uint8_t cert[PGP_PUBLISHED_MAX];
};

struct published_change {
    uint64_t number /* from 1 on */, at /* seconds since 1970 */;
    uint8_t why;
    char address[ADDRESS_MAX];
    uint8_t salt[PUBLISHED_SALT_SIZE];
    uint8_t cert[PUBLISHED_HASH_SIZE]; /* SHA-256 of the certificate; zeros: it was withdrawn */
    uint8_t hash[PUBLISHED_HASH_SIZE]; /* over the one before it and all of this */
};

/* Whether a user id is of that address, as the store spells it. For pgp_minimise and pgp_published: arg is the address.
 */
bool published_names(void *arg, const uint8_t *user_id, size_t len);
/* What the change's hash is to be. before: that of the change before; zeros for the first. */
void published_change_hash(const struct published_change *c, const uint8_t before[PUBLISHED_HASH_SIZE],
                           uint8_t ret[PUBLISHED_HASH_SIZE]);

#endif
