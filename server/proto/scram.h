/* SCRAM-SHA-256 (RFC 5802, RFC 7677) as pure functions, in the clear: base64 is the protocol's around it. */
#ifndef PROTO_SCRAM_H
#define PROTO_SCRAM_H

#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"

enum {
    SCRAM_KEY_SIZE = 32,
    SCRAM_NONCE_SIZE = 18, /* octets of ours: 24 characters */
    SCRAM_MESSAGE_MAX = 2048,
    SCRAM_ITERATIONS_MIN = 4096,   /* RFC 7677 section 4: below it a password is guessed too soon */
    SCRAM_ITERATIONS_MAX = 200000, /* work that a server may ask for: a tenth of a second */
};

/* One login as a client. Zeroed, or wiped, by the owner. */
struct scram_client {
    char first_bare[SCRAM_MESSAGE_MAX];
    char nonce[25];
    uint8_t server_signature[SCRAM_KEY_SIZE];
};
/* Each writes a message of at most SCRAM_MESSAGE_MAX octets, with its NUL, to out. No channel binding is offered.
 * nonce: random, never twice the same. ERR_LIMIT: the user is too long. */
int scram_client_first(struct scram_client *s, const char *user, const uint8_t nonce[SCRAM_NONCE_SIZE],
                       char out[SCRAM_MESSAGE_MAX]);
/* ERR_FORMAT: what the server said is malformed, or not about our nonce; ERR_LIMIT: iterations out of bounds;
 * ERR_CRYPTO. */
int scram_client_final(struct scram_client *s, const char *password, struct slice server_first,
                       char out[SCRAM_MESSAGE_MAX]);
/* Whether the server knows the password too. ERR_DENIED. */
int scram_client_verify(const struct scram_client *s, struct slice server_final);

#endif
