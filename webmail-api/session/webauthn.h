/* Passkeys and security keys (Web Authentication, Level 3): what a browser is asked to make or to sign with, and
 * whether what it gives back is that (sections 7.1 and 7.2). ES256, EdDSA, and RS256 with keys of 2,048 bits.
 * Signatures are verified by libfido2, whose half for devices is never called. No I/O and no store.
 *
 * Which maker an authenticator is of does not matter here, so "none" is asked for as its attestation, and what comes
 * instead counts for nothing, but for one that it signs itself ("packed" without certificates), which has to be right.
 *
 * A passkey may also wrap the private key (docs/wrapped-keys.md): the prf extension gives the page a secret, and
 * nobody else. A request that has it is refused, so that a program that sends it is found at its first try. */
#ifndef SESSION_WEBAUTHN_H
#define SESSION_WEBAUTHN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"
#include "webmail-api/json/json_out.h"

#define WEBAUTHN_PRF_INPUT "Letterlock wrapped key" /* what prf is asked for: its secret is the passkey's own */

enum {
    WEBAUTHN_CHALLENGE_SIZE = 32,
    WEBAUTHN_ID_MAX = 255,  /* section 5.1.3 allows 1,023; those that are made have 16 to 128 or so */
    WEBAUTHN_KEY_MAX = 320, /* RSA takes 272 */
    WEBAUTHN_USER_MAX = 64, /* section 5.4.3 */
    WEBAUTHN_CREDENTIALS_MAX = 20,
    WEBAUTHN_TIMEOUT = 300 /* seconds, section 15.1 */
};

enum webauthn_flag {
    /* Hints for the browser (section 5.8.4). */
    WEBAUTHN_USB = 1,
    WEBAUTHN_NFC = 2,
    WEBAUTHN_BLE = 4,
    WEBAUTHN_SMART_CARD = 8,
    WEBAUTHN_HYBRID = 16,
    WEBAUTHN_INTERNAL = 32,
    WEBAUTHN_MAY_BE_BACKED_UP = 64 /* never changes (section 6.1.3) */
};

/* What is kept of one. Nothing in it is secret. */
struct webauthn_credential {
    uint8_t flags;  /* of enum webauthn_flag */
    uint32_t count; /* of signatures; 0: it does not count */
    size_t id_len, key_len;
    uint8_t id[WEBAUTHN_ID_MAX];
    uint8_t key[WEBAUTHN_KEY_MAX]; /* COSE (RFC 9052 section 7), as it was made */
};

/* What was asked, and of whom. */
struct webauthn_asked {
    const char *rp_id;  /* a domain: the host that pages come from, or one above it */
    const char *origin; /* "https://mail.example.org", with its port if it has another than 443 */
    uint8_t challenge[WEBAUTHN_CHALLENGE_SIZE]; /* random, good once, for WEBAUTHN_TIMEOUT */
    struct slice user;                          /* the account's handle, WEBAUTHN_USER_MAX octets: not its address */
    bool verify;                                /* the authenticator has to know who it is (a PIN, a finger) */
};

/* Once in the life of a process, before its sandbox: libcrypto reads its configuration, and finds its algorithms.
 * Nothing is opened afterwards. ERR_CRYPTO: one is missing. */
int webauthn_prepare(void);

/* The members of PublicKeyCredentialCreationOptionsJSON (section 5.1.9) and PublicKeyCredentialRequestOptionsJSON
 * (5.1.10), into the object that is open. have: those that the account has, n at most WEBAUTHN_CREDENTIALS_MAX.
 * service: whose passkey it is, for people; address: whose account. */
void webauthn_put_creation(struct json_out *o, const struct webauthn_asked *a, const char *service, const char *address,
                           const struct webauthn_credential *have, size_t n);
void webauthn_put_request(struct json_out *o, const struct webauthn_asked *a, const struct webauthn_credential *have,
                          size_t n);

/* A RegistrationResponseJSON: a credential made. It is to be kept only if nobody has its id (section 7.1, step 26).
 * ERR_FORMAT: malformed, or with a PRF's output; ERR_LIMIT; ERR_DENIED: another challenge, origin, domain, from within
 * a page of others, without its user, or signed wrongly; ERR_UNSUPPORTED: an algorithm or key that was not asked for,
 * an id or key that is too long; ERR_MEMORY. */
int webauthn_register(struct slice json, const struct webauthn_asked *a, struct webauthn_credential *ret);
/* An AuthenticationResponseJSON of one of those that the account has. ret_which and ret_count: whose count to keep,
 * before the answer is given and only if it is larger than the one kept by then, or both are 0. ERR_DENIED too: it is
 * of none of them; ERR_CONFLICT: its count went back, so there may be two of it (section 6.1.1). */
int webauthn_verify(struct slice json, const struct webauthn_asked *a, const struct webauthn_credential *have, size_t n,
                    size_t *ret_which, uint32_t *ret_count);

#endif
