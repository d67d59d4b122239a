/* OPAQUE (RFC 9807), the server's half: a person signs in by a password that never comes here, and what is kept of it
 * opens nothing. The suite is ristretto255-SHA512 for the OPRF (RFC 9497) and for 3DH, HKDF and HMAC with SHA-512. No
 * I/O; what is random comes from the caller. */
#ifndef CRYPTO_OPAQUE_H
#define CRYPTO_OPAQUE_H

#include <stdint.h>

#include "server/core/wire.h"

enum {
    OPAQUE_REQUEST_SIZE = 32,  /* RegistrationRequest: a blinded element */
    OPAQUE_RESPONSE_SIZE = 64, /* RegistrationResponse: the evaluated one, the server's public key */
    OPAQUE_RECORD_SIZE = 192,  /* RegistrationRecord: the client's public key, masking key, envelope */
    OPAQUE_KE1_SIZE = 96,
    OPAQUE_KE2_SIZE = 320,
    OPAQUE_KE3_SIZE = 64,
    OPAQUE_SESSION_KEY_SIZE = 64,
    OPAQUE_RANDOM_SIZE = 96, /* of a sign-in: masking nonce, the server's nonce, seed of its key share */
};

/* What a server has for itself, kept in secret memory: with it and a stolen record passwords can be guessed at. */
struct opaque_server {
    uint8_t oprf_seed[64], private_key[32], public_key[32];
};
/* From the instance's root: always the same. */
void opaque_server_derive(const uint8_t root[32], struct opaque_server *ret);

/* What both sides bind the exchange to (section 3.1): all of it empty here, which stands for the two public keys. */
struct opaque_names {
    struct slice context, client, server; /* 65,535 octets each at most */
};

/* credential: whose password it is; the same for one account for ever, 255 octets at most. ERR_FORMAT: the request is
 * no element of the group, or the neutral one. */
int opaque_register(const struct opaque_server *s, struct slice credential, const uint8_t request[OPAQUE_REQUEST_SIZE],
                    uint8_t ret[OPAQUE_RESPONSE_SIZE]);
/* Whether its public key is one. ERR_FORMAT. */
int opaque_record_check(const uint8_t record[OPAQUE_RECORD_SIZE]);
/* For a name that nobody has (section 6.3.2.2): random has 96 octets of its own, and no password fits. */
void opaque_record_fake(const uint8_t random[96], uint8_t ret[OPAQUE_RECORD_SIZE]);

/* What a server remembers between KE1 and KE3; wiped by who has it. */
struct opaque_login {
    uint8_t client_mac[64], session_key[OPAQUE_SESSION_KEY_SIZE];
};
/* names: NULL, or as above. A record that is no record, and elements of KE1 that are none: ERR_FORMAT. */
int opaque_login_start(const struct opaque_server *s, const struct opaque_names *names, struct slice credential,
                       const uint8_t record[OPAQUE_RECORD_SIZE], const uint8_t ke1[OPAQUE_KE1_SIZE],
                       const uint8_t random[OPAQUE_RANDOM_SIZE], uint8_t ret_ke2[OPAQUE_KE2_SIZE],
                       struct opaque_login *ret);
/* ERR_DENIED: it was another password, or another exchange. The same time, whatever it is. */
int opaque_login_finish(const struct opaque_login *l, const uint8_t ke3[OPAQUE_KE3_SIZE]);

#endif
