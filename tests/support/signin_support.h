/* Owners of accounts who sign in, for tests of the vault: their keys, what they sign, what they ask. */
#ifndef TESTS_SUPPORT_SIGNIN_SUPPORT_H
#define TESTS_SUPPORT_SIGNIN_SUPPORT_H

#include "store/signin_impl.h"
#include "tests/support/vault_support.h"

struct owner {
    struct signin s; /* record, profile and keys, as they are to be */
    uint8_t password_secret[64], phrase_secret[64];
};
/* Of a password; phrase: whether there is one. The same octets for the same seed. */
struct owner owner_of(uint8_t seed, bool phrase);

struct invited {
    uint8_t token[INVITE_TOKEN_SIZE], hash[RECORD_HASH_SIZE];
};
struct invited invited_of(struct bench *b, uint8_t seed);
int invite_call(struct bench *b, uint8_t seed, uint32_t uses, bool reset); /* for a day, of the bench's account */

/* What the record says; serial 0: there is none. */
struct signin signin_seen(struct bench *b);
/* To what `to` has: with an invitation (from NULL, token), or signed by from, whose phrase it is if by is so. */
struct vault_request signin_request(struct bench *b, const struct owner *from, enum signin_proof by,
                                    const uint8_t *token, const struct owner *to, struct slice password,
                                    struct slice phrase);
/* With its envelopes. */
int signin_call(struct bench *b, const struct vault_request *q, struct slice password, struct slice phrase);
/* From nothing, by an invitation, with envelopes of so many octets. */
void signin_register(struct bench *b, const struct owner *o, size_t password, size_t phrase);
struct vault_request wrapped_request(struct bench *b, const struct owner *from, enum signin_proof by, uint8_t kind,
                                     uint8_t id, struct slice envelope);
int wrapped_call(struct bench *b, const struct vault_request *q, struct slice envelope);
/* Octets of an envelope. */
struct slice envelope_of(uint8_t seed, size_t len);

struct token {
    uint8_t b[SESSION_TOKEN_SIZE], hash[RECORD_HASH_SIZE];
};
struct token token_new(struct bench *b);
/* For a day, of the record's version. */
int session_call(struct bench *b, const struct token *t, const char *label);

#endif
