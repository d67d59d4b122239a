/* What an ACME server is answered while it proves that a name is ours: at http://NAME/.well-known/acme-challenge/TOKEN
 * the key authorization (RFC 8555 section 8.3). master keeps the table and hands it to the role that serves HTTP. */
#ifndef BASE_CHALLENGES_H
#define BASE_CHALLENGES_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/certs.h"
#include "server/core/wire.h"

enum {
    CHALLENGES_MAX = 64,      /* so that all fit one message */
    CHALLENGE_TOKEN_MIN = 22, /* 128 bits in base64url (section 11.3) */
    CHALLENGE_TOKEN_MAX = 128,
    CHALLENGE_HASH = 43,                                           /* SHA-256 in base64url */
    CHALLENGE_TEXT_MAX = CHALLENGE_TOKEN_MAX + 1 + CHALLENGE_HASH, /* of a key authorization (section 8.1) */
    CHALLENGE_MS = 3600 * 1000,                                    /* then it is forgotten */
};

struct challenge {
    char name[CERTS_NAME_MAX + 1], token[CHALLENGE_TOKEN_MAX + 1], text[CHALLENGE_TEXT_MAX + 1];
    uint64_t until; /* of loop_now_ms; not in the message */
};
struct challenges {
    size_t n;
    struct challenge v[CHALLENGES_MAX];
};

/* Takes the place of one with the same name and token. ERR_FORMAT; ERR_LIMIT: there are CHALLENGES_MAX. */
int challenges_put(struct challenges *t, const char *name, const char *token, const char *text, uint64_t until);
int challenges_drop(struct challenges *t, const char *name, const char *token); /* ERR_NOT_FOUND */
/* Forgets those that are over. Returns when the next one is; 0: none is left. */
uint64_t challenges_expire(struct challenges *t, uint64_t now);
/* The key authorization, or NULL. name: lower case, without a port. */
const char *challenges_find(const struct challenges *t, const char *name, const char *token);

/* u32 n, n times (str name, str token, str key authorization). */
void challenges_pack(const struct challenges *t, struct pack *out);
int challenges_unpack(struct slice payload, struct challenges *ret); /* ERR_FORMAT */

#endif
