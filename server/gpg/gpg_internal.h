/* Between the files of server/gpg. */
#ifndef GPG_GPG_INTERNAL_H
#define GPG_GPG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/pgp_judge.h"
#include "server/gpg/gpg.h"

int gpg_memfd(const void *data, size_t len, int *ret_fd);
int gpg_write_at(int fd, const void *data, size_t len);               /* from the file's start; ERR_IO */
int gpg_read_all(int fd, size_t max, uint8_t **ret, size_t *ret_len); /* malloc'd; ERR_LIMIT, ERR_IO, ERR_MEMORY */

/* certificate.c: what the packets say before anybody has verified a signature. */
/* Armour off, or a copy: malloc'd, exactly one certificate, primary key first, no secret key, keys of version 4 or 6.
 * Otherwise ERR_MEMORY, or ERR_FORMAT and why. */
int gpg_certificate_read(const uint8_t *data, size_t len, uint8_t **ret, size_t *ret_len, enum pgp_fault *ret_fault,
                         unsigned *ret_detail);
/* Whether only the native judge knows it: version 6, or a primary or encryption key of algorithms 25 to 28. */
bool gpg_certificate_is_new(const uint8_t *cert, size_t len);
/* Whether the judge's answer is about the certificate that was given: the primary key is the same, every other key and
 * user id is one of those given, and the verdict is of a key that is there. */
bool gpg_certificate_matches(const uint8_t *given, size_t len, const struct pgp_verdict *v, const uint8_t *kept,
                             size_t kept_len);
/* The same for a revoked one: the verdict names the primary key given. */
bool gpg_certificate_is_of(const uint8_t *given, size_t len, const uint8_t *fpr, size_t fpr_len);
/* Leaves of the certificate's subkeys only the one of that fingerprint, so that a program that chooses a key in it has
 * no choice. out has room for all of it. ERR_NO_KEY: it is not there; ERR_FORMAT and others of pgp_cert_keys. */
int gpg_certificate_for_key(const uint8_t *cert, size_t len, const uint8_t *fpr, size_t fpr_len, uint8_t *out,
                            size_t *ret_len);

/* user_id.c: whether a user id names one of the addresses; case and details ("+...") do not count. */
bool gpg_user_id_names(const uint8_t *user_id, size_t len, const char *const *addresses, size_t n);

/* judgement.c */
struct gpg_policy {
    uint32_t rsa_bits_min;
    bool accept_dsa, accept_elgamal;
    uint64_t now; /* 0: the clock's */
};
struct gpg_request {
    const uint8_t *cert;
    size_t len;
    const char *addresses[GPG_ADDRESSES_MAX];
    size_t naddresses;
};
/* One judgement; GnuPG gets a home of its own below dir, gone afterwards. Returns j->status; j->cert is the
 * caller's. */
int gpg_judge(const char *dir, const struct gpg_request *q, const struct gpg_policy *policy, struct gpg_judgement *j);

#define GPG_TOO_LONG \
    "judging it takes too long: export it with gpg --export-options export-minimal, or make a smaller key"
#define GPG_GOOD_KEY "make a good one with: gpg --quick-gen-key ADDRESS future-default default 2y"
/* judgement_words.c: what we say of it. Each fills j->why. */
int gpg_refuse(struct gpg_judgement *j, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void gpg_warn(struct gpg_judgement *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The sentence of a fault and its error; newer: the certificate is of a kind that gpg cannot mend. */
int gpg_refuse_fault(struct gpg_judgement *j, enum pgp_fault fault, unsigned detail, bool newer);
void gpg_warn_expired(struct gpg_judgement *j, uint32_t when, bool newer);
/* Whether policy takes a key of this algorithm and strength; if not, and j is not NULL, j->why says so. */
bool gpg_policy_takes(const struct gpg_policy *p, const struct pgp_key *k, const char *what, struct gpg_judgement *j);

/* gnupg.c: what GnuPG says of it. Fills in found as pgp_judge does, texts and all valid until gnupg_close; the error is
 * OK, or ERR_IO or ERR_MEMORY with j->why where GnuPG itself failed, or another one with found->fault. */
struct gnupg;
bool gnupg_knows(const struct pgp_key *k); /* version 4, RFC 4880's algorithms and those that came to it */
int gnupg_judge(const char *dir, const uint8_t *cert, size_t len, uint64_t now, struct gnupg **ret,
                struct pgp_judged *found, struct gpg_judgement *j);
/* Its minimal export, malloc'd. expired: when the chosen key did, 0: it has not. */
int gnupg_export(struct gnupg *g, uint32_t expired, uint8_t **ret, size_t *ret_len, struct gpg_judgement *j);
/* Whether gpg seals to this key of it, after gnupg_export, whose time counts. ERR_FORMAT and others with j->why. */
int gnupg_try(struct gnupg *g, const uint8_t *fpr, size_t fpr_len, struct gpg_judgement *j);
void gnupg_close(struct gnupg *g); /* NULL is allowed */

/* Removes a directory with the files in it, and directories in it to a small depth. */
void gpg_remove_tree(const char *path);

#endif
