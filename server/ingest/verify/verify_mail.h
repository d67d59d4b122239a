/* The mail that asks whether a certificate which somebody sent in is to be published (store/upload.h). It has the link
 * that does it. A key that the account has needs no more than that: the mail is sealed to it like any other. For
 * another one the link stands in an armoured block that is sealed to it, since mail programs open no message within a
 * message; the text says what to do with it.
 *
 * Of one that came by mail it has a confirmation request as a part of its own, which is sealed to the key also where
 * the account has it (draft-koch-openpgp-webkey-service section 4.3): programs that speak this answer it by mail. */
#ifndef INGEST_VERIFY_MAIL_H
#define INGEST_VERIFY_MAIL_H

#include "crypto/pgp_cert.h"
#include "server/mail/address.h"

enum { VERIFY_MAIL_MAX = 16 * 1024, VERIFY_LINK_MAX = 512 };

struct verify_mail {
    const char *address; /* whose */
    const char *link;
    uint8_t fpr[PGP_FPR_MAX], fpr_len; /* of the primary key */
    bool own;                          /* the account has the key */
    const uint8_t *token;              /* it came by mail; else NULL */
    struct pgp_recipient *seals;       /* of the key; needed unless it is the account's and came over HTTP */
    bool checksum;                     /* of the block, for keys that GnuPG 2.2 has */
    uint64_t now, until;               /* seconds since 1970 */
};
/* A whole message with CRLF lines, from the postmaster of the address's domain. ERR_LIMIT, ERR_MEMORY, ERR_CRYPTO. */
int verify_mail(const struct verify_mail *m, char out[VERIFY_MAIL_MAX], size_t *ret_len);

#endif
