/* DKIM (RFC 6376) without I/O: signatures over a message's octets. Two keys side by side: rsa-sha256 with 2048 bits,
 * and ed25519-sha256 (RFC 8463). relaxed/relaxed; header fields that must not be added later are oversigned. */
#ifndef MAILAUTH_DKIM_H
#define MAILAUTH_DKIM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "server/core/buf.h"
#include "server/core/wire.h"
#include "server/mail/address.h"

enum dkim_algorithm { DKIM_RSA_SHA256 = 1, DKIM_ED25519_SHA256 = 2 };
enum { DKIM_SELECTOR_MAX = 63, DKIM_KEY_MAX = 2048 /* octets of a private key, PKCS #8 DER */, DKIM_TXT_MAX = 512 };

struct dkim_key; /* in secret memory */
/* ERR_FORMAT, ERR_MEMORY. */
int dkim_key_open(enum dkim_algorithm a, struct slice der, struct dkim_key **ret);
/* A fresh one; der has DKIM_KEY_MAX octets. */
int dkim_key_make(enum dkim_algorithm a, uint8_t *der, size_t *ret_len);
void dkim_key_free(struct dkim_key *k); /* NULL is allowed */
enum dkim_algorithm dkim_key_algorithm(const struct dkim_key *k);
/* "v=DKIM1; k=...; p=..." (section 3.6.1). */
int dkim_key_txt(const struct dkim_key *k, char out[DKIM_TXT_MAX]);

struct dkim_signer {
    const struct dkim_key *key;
    const char *domain, *selector; /* d= and s= */
};
/* Appends one DKIM-Signature field, folded, with CRLF, for each signer to fields: they go before the message. mail: the
 * whole message in pieces, header fields, an empty line, the body, CRLF lines. now: t=. ERR_FORMAT: it has no From, or
 * its header does not parse; ERR_LIMIT: fields has no room. Then nothing is appended. */
int dkim_sign(const struct dkim_signer *signers, size_t n, const struct iovec *mail, size_t mail_n, uint64_t now,
              struct buf *fields);

/* The domain of the first mailbox in From, in lower-case ASCII: d= is to be the same, or the signature says nothing of
 * the author (RFC 7489 section 3.1). ERR_NOT_FOUND: there is none; ERR_FORMAT, ERR_MEMORY. */
int dkim_author_domain(const struct iovec *mail, size_t n, char out[DOMAIN_CAP]);

#endif
