/* A certificate and those behind it: what a listener shows, or what a file has. */
#ifndef DOCTOR_CHAIN_H
#define DOCTOR_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/config.h"
#include "server/core/wire.h"

enum { CHAIN_ISSUER_CAP = 128 };

struct chain;
/* PEM, the server's own first. ERR_FORMAT, ERR_MEMORY; ERR_IO (errno). */
int chain_read(const char *path, struct chain **ret);
/* The file that has what is shown to who asks for the server's name: DIR/tls/NAME.chain.pem, else tls_chain. */
void chain_path(const char *dir, const struct config *c, char *out, size_t cap);
struct ssl_st;
int chain_of_peer(struct ssl_st *ssl, struct chain **ret); /* ERR_FORMAT: it showed none; ERR_MEMORY */
void chain_free(struct chain *c);                          /* NULL is allowed */

/* Of its first certificate: the SHA-256 of the public key info, as TLSA 3 1 1 has it (RFC 6698); the issuer's
 * organization, or "". */
int chain_key_sha256(const struct chain *c, uint8_t out[32]); /* ERR_CRYPTO */
void chain_issuer(const struct chain *c, char out[CHAIN_ISSUER_CAP]);
bool chain_named(const struct chain *c, const char *host);
bool chain_valid_at(const struct chain *c, uint64_t now);
/* Less than a third of its first certificate's life is left; or nobody but itself signed it. */
bool chain_is_late(const struct chain *c, uint64_t now);
uint64_t chain_ends(const struct chain *c); /* its first certificate; 0: that cannot be told */
/* Whether a TLSA record fits, usage 3 the first certificate, 2 another one; no other usage does (RFC 7672 section
 * 3.1). */
bool chain_fits(const struct chain *c, uint8_t usage, uint8_t selector, uint8_t matching, struct slice data);
/* As a client with these roots (a file, PEM) sees it at that time. OK; ERR_CRYPTO: ret_why, static, says why not;
 * ERR_IO: there are no such roots. */
int chain_verify(const struct chain *c, const char *roots, const char *host, uint64_t now, const char **ret_why);
/* PEM again: malloc'd. ERR_MEMORY. */
int chain_write(const struct chain *c, char **ret, size_t *ret_len);

#endif
