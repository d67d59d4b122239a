/* Judging a certificate natively (transferable public key, RFC 9580 section 10.1). Every signature that counts is
 * verified (sections 5.2.4, 5.2.3.x, 10.1.5); what cannot be verified does not count. The rest says which keys are
 * bound, which of them encrypts, and what may be kept. It is for the kinds that GnuPG 2.2 does not know: version 6, and
 * version 4 with algorithms 25 to 28. It works on bytes in memory and has no clock of its own. */
#ifndef CRYPTO_PGP_JUDGE_H
#define CRYPTO_PGP_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/pgp_cert.h"

enum { PGP_USER_IDS_MAX = 256, PGP_USER_ID_LEN_MAX = 2048, PGP_SIGNATURES_MAX = 500 /* tried of one certificate */ };

/* Why a certificate is refused; the sentences for people are server/gpg's. */
enum pgp_fault {
    PGP_FAULT_NONE,
    PGP_FAULT_FORMAT,       /* no certificate, or damaged packets */
    PGP_FAULT_SECRET,       /* holds a secret key */
    PGP_FAULT_SEVERAL,      /* more than one certificate */
    PGP_FAULT_LIMIT,        /* more keys, user ids, signatures or octets than there may be */
    PGP_FAULT_VERSION,      /* a key of version 2, 3 or 5: detail is the version */
    PGP_FAULT_ALGORITHM,    /* a primary or only encryption key of an algorithm that is not known here: detail */
    PGP_FAULT_SELF_SIGNED,  /* v4: no user id with a valid self-signature; v6: no valid direct key signature */
    PGP_FAULT_WEAK,         /* the primary key is too weak to trust its signatures, or each encryption key to be used:
                               detail is the bits */
    PGP_FAULT_REVOKED,      /* the whole of it */
    PGP_FAULT_ENC_REVOKED,  /* each of its encryption keys is */
    PGP_FAULT_SIGNING_ONLY, /* no key may encrypt */
    PGP_FAULT_USER_IDS,     /* v4: each user id has been revoked */
    PGP_FAULT_NUMBERS,      /* the primary's or each encryption key's numbers protect nothing: detail is the flaw */
    PGP_FAULT_CLOCK,        /* its own signatures are of the future: detail is when they begin to count */
};

enum pgp_validity { PGP_VALID, PGP_EXPIRED, PGP_REVOKED, PGP_NOT_YET, PGP_UNBOUND };

struct pgp_judged {
    enum pgp_fault fault;
    unsigned detail;
    struct pgp_verdict verdict;        /* when OK; primary_fpr when PGP_FAULT_REVOKED or _ENC_REVOKED too */
    struct pgp_key keys[PGP_KEYS_MAX]; /* material points into the caller's bytes */
    enum pgp_validity validity[PGP_KEYS_MAX];
    bool encrypts[PGP_KEYS_MAX];    /* key flags 0x04 or 0x08 (section 5.2.3.29), or none stated in version 4, and
                                            a sound key of an algorithm that can */
    uint32_t expires[PGP_KEYS_MAX]; /* 0: never; a subkey's no later than its primary's */
    uint32_t begins[PGP_KEYS_MAX];  /* a subkey's own date, or its binding's, if that is later */
    size_t nkeys;                   /* a key or user id that stands twice in the certificate counts once */
    struct {
        const uint8_t *text;
        size_t len;
        bool primary; /* the one that speaks for the certificate */
        enum pgp_validity validity;
        uint32_t self;
    } user_ids[PGP_USER_IDS_MAX];
    size_t nuser_ids; /* none in a v6 certificate is allowed */
    /* Where the signatures that decided stand, 0: none. For pgp_cert_minimal. [0] is the primary key's direct
     * signature. */
    uint32_t key_self[PGP_KEYS_MAX], key_revocation[PGP_KEYS_MAX];
    uint64_t now;
    bool any_hash; /* SHA-1 counted too, in version 4: not for judging */
};

/* The key to seal to among those that encrypt and are of this validity: a subkey before the primary, one that lasts
 * before one that is given up within a month (rotating subkeys, whose secret their owner destroys:
 * draft-autocrypt-openpgp-v2-cert), then the newest. takes: NULL, or whether a key may be it. nkeys: there is none. */
size_t pgp_judged_choose(const struct pgp_judged *j, enum pgp_validity wanted,
                         bool (*takes)(const void *arg, const struct pgp_key *k), const void *arg);

/* cert: binary, one certificate. Which key encrypts: the chosen valid one, else the chosen expired one. OK, or
 * ERR_FORMAT, ERR_LIMIT, ERR_UNSUPPORTED, ERR_REFUSED, ERR_NO_KEY (revoked) with *ret filled in as far as it was seen
 * (the one exception to "untouched on failure"). */
int pgp_judge(const uint8_t *cert, size_t len, uint64_t now, struct pgp_judged *ret);

/* Makes a canonical and minimal copy of the certificate that j is about. It holds the primary key, its revocations and
 * its newest valid direct key signature; each user id that keep wants (NULL: all valid ones) with its newest valid
 * self-signature and revocation; each bound subkey with its newest valid binding, the back-signature inside, and
 * revocation. Packets are in the new format, unhashed areas reduced to issuer and back-signature. There are no
 * third-party signatures and no user attribute, trust, marker or padding packets. If keep wants no user id, the primary
 * one stays. ERR_LIMIT: longer than cap. */
int pgp_cert_minimal(const uint8_t *cert, size_t len, const struct pgp_judged *j,
                     bool (*keep)(void *arg, const uint8_t *user_id, size_t len), void *arg, uint8_t *out, size_t cap,
                     size_t *ret_len);

/* The same filter for a certificate whose signatures another program has judged. It is minimal already, so that only
 * attributes and user ids that keep does not want are dropped, with the signatures on them. */
int pgp_cert_strip(const uint8_t *cert, size_t len, bool (*keep)(void *arg, const uint8_t *user_id, size_t len),
                   void *arg, uint8_t *out, size_t cap, size_t *ret_len);

#endif
