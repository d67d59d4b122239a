/* A certificate that is fit to be published, made octet by octet. */
#ifndef TESTS_SUPPORT_PUBLISHED_CERT_H
#define TESTS_SUPPORT_PUBLISHED_CERT_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/pgp_cert.h"
#include "tests/support/pgp_forge.h"

enum { PUBLISHED_CERT_MAX = 4096 };

/* Of version 4, with these user ids (up to a NULL), a primary key that seed makes and a subkey that encrypts; the
 * verdict names both. */
size_t published_cert(uint8_t seed, const char *const *user_ids, uint8_t out[PUBLISHED_CERT_MAX],
                      struct pgp_verdict *ret);

struct made {
    uint8_t cert[PUBLISHED_CERT_MAX];
    size_t len;
    struct pgp_verdict verdict;
};
struct made made_of(uint8_t seed, const char *user_id, const char *second); /* second: NULL is allowed */

/* The same of any version, of these keys; 0: it is longer than cap. */
size_t published_cert_of(const struct forge_key *primary, const struct forge_key *subkey, const char *const *user_ids,
                         uint8_t *out, size_t cap);

#endif
