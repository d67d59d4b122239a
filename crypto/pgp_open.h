/* Opening what pgp_seal emits for one kind of key, and nothing else: PKESK v6 for X25519, SEIPD v2 in AES-256 and OCB,
 * one literal packet (RFC 9580 sections 5.1.2, 5.13.2, 5.9). The outgoing queue alone is opened, by `relay`, with a key
 * that is no user's. */
#ifndef CRYPTO_PGP_OPEN_H
#define CRYPTO_PGP_OPEN_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/pgp_seal.h"
#include "crypto/queue_key.h"
#include "server/core/wire.h"

/* ERR_FORMAT, ERR_MEMORY. For pgp_seal. */
int queue_key_recipient(struct slice public_key, struct pgp_recipient **ret);

struct pgp_opener; /* its secret is in secret memory */
struct pgp_opener *pgp_opener_create(const uint8_t secret[QUEUE_SECRET_SIZE], struct slice public_key);
void pgp_opener_destroy(struct pgp_opener *o);

/* One message, in pieces, of which no plaintext is given before its chunk's tag is right; and of which all is void
 * unless pgp_open_end says OK: only then nothing is missing at its end. */
struct pgp_open;
int pgp_open_begin(struct pgp_opener *o, pgp_sink *sink, void *arg, struct pgp_open **ret); /* ERR_MEMORY */
int pgp_open_update(struct pgp_open *p, struct slice octets); /* ERR_CRYPTO, ERR_FORMAT, ERR_UNSUPPORTED, the sink's */
int pgp_open_end(struct pgp_open *p);                         /* ERR_CRYPTO: it is not whole */
void pgp_open_free(struct pgp_open *p); /* before its opener is destroyed; wiped; NULL is allowed */

#endif
