/* Is this one OpenPGP message, encrypted for one of these keys, and nothing else? The decision on packets, never on
 * labels (docs/design.md section 1), used by the vault's gate and by ingest to recognise mail that arrives encrypted.
 * What it proves: the bytes are session-key packets followed by one encrypted container to the last byte, and a
 * session-key packet names the account's key. What it does not: that the container holds ciphertext made with that
 * session key. */
#ifndef CRYPTO_PGP_CHECK_H
#define CRYPTO_PGP_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/pgp_packet.h"

/* A key the account may be encrypted to: fingerprint and algorithm of the encryption (sub)key. */
struct pgp_key_ref {
    uint8_t fpr[32];
    uint8_t fpr_len; /* 20 or 32 */
    uint8_t algo;    /* enum pgp_pubkey_algo: a PKESK of another one is not for this key, whatever id it names. 0: not
                          known (a key of before a renewal); any will do */
    uint16_t octets; /* of its modulus, prime or point: a wildcard of another length is not for it. 0: not known; then
                          none is for it, unless its algorithm is not known either */
    bool current;    /* false: retired; recognised, but not enough alone */
};

enum pgp_check_mode {
    PGP_CHECK_SERVER_SEAL,      /* every PKESK names one of the current keys */
    PGP_CHECK_FOREIGN,          /* at least one PKESK names a current key; others may be strangers' */
    PGP_CHECK_FOREIGN_WILDCARD, /* as FOREIGN; or every PKESK is a wildcard, and one of them fits a current key */
};

struct pgp_check_result {
    uint8_t pkesk_version, seipd_version; /* 3 and 1, or 6 and 2 */
    size_t pkesks, ours;
    bool wildcard; /* no key is named at all: one of the wildcards may be for a current key */
    size_t seipd_offset;
    size_t head_len;    /* up to the container's octets that are uniformly random, if it holds ciphertext */
    uint32_t keys_used; /* bit i: keys[i] (i < 32) is named by a PKESK */
};

/* OK; ERR_REFUSED with *ret_why a static sentence; nothing is allocated. Limits: 64 PKESKs, 8 KB each. Marker and
 * padding packets are refused here: mail that carries them is sealed like any other. A wildcard (hidden recipient)
 * never counts as ours. The last mode accepts wildcards alone, at most 16, of which one fits a current key by
 * algorithm, length of modulus or point, and length of the wrapped session key; what names anybody must name a key of
 * ours. */
int pgp_check_message(const uint8_t *data, size_t len, const struct pgp_key_ref *keys, size_t nkeys,
                      enum pgp_check_mode mode, struct pgp_check_result *ret, const char **ret_why);

#endif
