/* SCRAM-SHA-256 (RFC 5802, RFC 7677) as pure functions, in the clear: base64 is the protocol's around it. */
#ifndef PROTO_SCRAM_H
#define PROTO_SCRAM_H

#include <stdbool.h>
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

/* ---- as a server ---- */

enum { SCRAM_USER_MAX = 512, SCRAM_SALT_SIZE = 16, SCRAM_FINAL_MAX = 64 };
/* What the client binds the login to (RFC 5929 section 4, RFC 9266). */
enum scram_binding { SCRAM_NOT_BOUND, SCRAM_TLS_EXPORTER, SCRAM_TLS_SERVER_END_POINT };

/* One login. Zeroed, or wiped, by the owner. */
struct scram_server {
    char user[SCRAM_USER_MAX + 1];
    size_t user_len;
    enum scram_binding binding;
    char gs2[SCRAM_USER_MAX * 3 + 64]; /* the header, which comes again in the last message */
    char first_bare[SCRAM_MESSAGE_MAX], server_first[SCRAM_MESSAGE_MAX], nonce[SCRAM_MESSAGE_MAX / 2];
    char auth_message[3 * SCRAM_MESSAGE_MAX];
    uint8_t proof[SCRAM_KEY_SIZE], signature[SCRAM_KEY_SIZE];
};
/* plus: it is SCRAM-SHA-256-PLUS; plus_offered: that one was offered. ERR_FORMAT. ERR_DENIED: in another's name; bound
 * without -PLUS or not bound with it; bound to what we lack; or the client takes us for a server that cannot bind,
 * though -PLUS was offered (RFC 5802 section 6: somebody has taken it out of the list). */
int scram_server_first(struct scram_server *s, bool plus, bool plus_offered, struct slice client_first);
/* Writes the server's first message. */
void scram_server_challenge(struct scram_server *s, const uint8_t nonce[SCRAM_NONCE_SIZE],
                            const uint8_t salt[SCRAM_SALT_SIZE], uint32_t iterations, char out[SCRAM_MESSAGE_MAX]);
/* bound_to: the octets that s->binding stands for, on our side. ERR_FORMAT; ERR_DENIED: another nonce, header or
 * binding. */
int scram_server_final(struct scram_server *s, struct slice client_final, struct slice bound_to);
/* Whether the proof is by these keys; the same work in either case. Then scram_server_last has what proves ours. */
bool scram_server_fits(struct scram_server *s, const uint8_t stored[SCRAM_KEY_SIZE],
                       const uint8_t server[SCRAM_KEY_SIZE]);
void scram_server_last(const struct scram_server *s, char out[SCRAM_FINAL_MAX]);

#endif
