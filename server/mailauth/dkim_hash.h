/* What a signature covers, hashed: chosen header fields, and the body as far as it says. */
#ifndef MAILAUTH_DKIM_HASH_H
#define MAILAUTH_DKIM_HASH_H

#include <openssl/evp.h>

#include "server/mailauth/dkim_field.h"

/* Gathers what comes in small pieces. */
struct dkim_hash {
    EVP_MD_CTX *ctx;
    bool failed;
    size_t held_len;
    uint8_t held[1024];
};
int dkim_hash_begin(struct dkim_hash *h); /* ERR_MEMORY; to be freed, whatever comes */
void dkim_hash_put(void *hash, const uint8_t *data, size_t len);
int dkim_hash_end(struct dkim_hash *h, uint8_t ret[DKIM_HASH]); /* ERR_CRYPTO */
/* Of what came so far; more may come. */
int dkim_hash_so_far(struct dkim_hash *h, uint8_t ret[DKIM_HASH]);
void dkim_hash_free(struct dkim_hash *h);

/* A header's fields by name. */
struct dkim_names;
int dkim_names_create(const struct header_view *v, struct dkim_names **ret); /* ERR_MEMORY */
void dkim_names_destroy(struct dkim_names *n);                               /* NULL is allowed */
size_t dkim_names_count(const struct dkim_names *n, const char *name);

/* The hash that f signs; at: the number of its own field in the header. *ret_added: of a kind of fields that a message
 * has once, f covers some and not all (RFC 6376 section 8.15). ERR_MEMORY, ERR_CRYPTO. */
int dkim_hash_header(struct dkim_names *n, const struct dkim_field *f, size_t at, uint8_t ret[DKIM_HASH],
                     bool *ret_added);
/* Field number `at` into h, with CRLF or, if it signs, without its signature (section 3.7). cut: NULL, or that. */
int dkim_hash_field(struct dkim_hash *h, const struct header_view *v, size_t at, enum canon form,
                    const struct slice *cut);

/* Hashes of the body, each asked for once. */
enum { DKIM_BODIES_MAX = DKIM_SIGNATURES_MAX + ARC_SETS_MAX };
struct dkim_bodies {
    struct dkim_body {
        enum canon form;
        uint64_t length;
        bool met; /* the body has so many octets, or all of them were asked for */
        uint8_t digest[DKIM_HASH];
    } v[DKIM_BODIES_MAX];
    size_t n;
};
size_t dkim_bodies_add(struct dkim_bodies *b, enum canon form, uint64_t length); /* its number */
/* One reading for each form that is asked for. skip: octets of the header. ERR_MEMORY, ERR_CRYPTO. */
int dkim_bodies_hash(struct dkim_bodies *b, const struct iovec *mail, size_t n, size_t skip);

#endif
