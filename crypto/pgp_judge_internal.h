/* Between the files of the judge. */
#ifndef CRYPTO_PGP_JUDGE_INTERNAL_H
#define CRYPTO_PGP_JUDGE_INTERNAL_H

#include "crypto/pgp_judge.h"
#include "crypto/pgp_packet.h"
#include "crypto/pgp_signature.h"

/* Whom a signature in a certificate speaks of: key i, or user id i behind OWNER_USER_ID. */
enum { OWNER_USER_ID = PGP_KEYS_MAX, OWNER_NONE = PGP_KEYS_MAX + PGP_USER_IDS_MAX };
enum kind {
    KIND_SELF,       /* direct key signature, certification, binding */
    KIND_REVOCATION, /* of what it stands with */
    KIND_CANCEL,     /* of the direct key signatures (section 5.2.1.13) */
};
/* For self-signatures and revocations of user ids: current, expired, of the future. For revocations of keys: hard,
 * soft, soft from a later date on. Lower ranks are looked at first. */
enum rank { RANK_CURRENT, RANK_EXPIRED, RANK_FUTURE, RANK_HARD = 0, RANK_SOFT = 1, RANK_SOFT_LATER = 2 };

struct candidate {
    uint32_t at, created;
    uint16_t owner;
    uint8_t kind, rank;
};

typedef bool pgp_keep_fn(void *arg, const uint8_t *user_id, size_t len);

struct judge {
    const uint8_t *cert;
    size_t len;
    struct pgp_judged *j;
    pgp_keep_fn *keep; /* user ids beside these are passed over; NULL: none is */
    void *keep_arg;
    size_t signature_max; /* octets; a longer one does not count. 0: there is no limit */
    struct candidate *c;  /* sorted by owner, kind, rank, newest first; none of them verified yet */
    size_t n, cap;
    size_t verified;
};

/* Sets the fault and returns its error. */
int pgp_fault_set(struct pgp_judged *j, enum pgp_fault fault, unsigned detail);
/* Reads the packets into keys, user_ids and candidates. */
int pgp_judge_collect(struct judge *w);
/* What its own signatures say of a certificate, be it of use or not: validity, key_self, key_revocation and user ids of
 * w->j. A revoked one is no failure here. Errors are pgp_judge's, and so is the fault. */
int pgp_judge_state(struct judge *w);

int pgp_signature_at(const uint8_t *cert, size_t len, uint32_t at, struct pgp_signature *ret);
/* The back-signature in a binding of a key that makes signatures (section 5.2.1.9). ERR_NOT_FOUND, ERR_LIMIT,
 * ERR_MEMORY. verified counts. */
int pgp_back_signature(const struct pgp_judged *j, const struct pgp_signature *binding, const struct pgp_signed *over,
                       size_t *verified, struct pgp_subpacket *ret);
/* Whether the signature's hash counts in this judgement. */
bool pgp_judged_hash_counts(const struct pgp_judged *j, const struct pgp_signature *s);

/* A certificate that is written again (pgp_judge_minimal.c): a key or a user id by its number, with the signatures of
 * it that counted. ERR_LIMIT: it does not fit; ERR_MEMORY. */
struct pgp_copy {
    uint8_t *p;
    size_t cap, len;
};
int pgp_copy_key(struct pgp_copy *o, const uint8_t *cert, size_t len, const struct pgp_judged *j, size_t i);
int pgp_copy_user_id(struct pgp_copy *o, const uint8_t *cert, size_t len, const struct pgp_judged *j, size_t i);
/* Those that are valid; where none is, those that have expired. */
bool pgp_copy_has_user_id(const struct pgp_judged *j, size_t i);

#endif
