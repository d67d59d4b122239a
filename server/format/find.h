/* Finds the OpenPGP message in a mail that arrives already encrypted: PGP/MIME (RFC 3156 section 4) whose two parts are
 * as the RFC says, or a text that is one inline armour block and nothing else, each in any encoding; and either of them
 * as the only part of a multipart/mixed or multipart/alternative. Only packets decide afterwards (pgp_check); this
 * merely locates candidates, and anything odd means "not found", so that the mail is sealed like any other. */
#ifndef FORMAT_FIND_H
#define FORMAT_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/mail/header.h"

enum { PGP_CHARSET_MAX = 32 };
struct pgp_found {
    size_t len;                    /* octets of packets */
    bool in_line;                  /* the body itself was the armour: what it decrypts to is text, not a MIME entity */
    char charset[PGP_CHARSET_MAX]; /* of that text, in lower case: the armour's word, else the Content-Type's, or "" */
};
/* mail: the whole message, header and body, contiguous. Decoded packets go to out (cap >= len is always enough).
 * ERR_NOT_FOUND, ERR_FORMAT. */
int pgp_find_message(const uint8_t *mail, size_t len, uint8_t *out, size_t cap, struct pgp_found *ret);
/* The body, without its encoding, of an entity of that type ("application/pgp-keys"), or of one that is the only part
 * of a multipart/mixed or multipart/alternative. out has cap octets. ERR_NOT_FOUND: it is none, or one doubts what it
 * is; ERR_LIMIT. */
int pgp_find_part(struct slice entity, const char *type, uint8_t *out, size_t cap, size_t *ret_len);
/* A cheap first look at the header and the first octets of the body of a mail of mail_len octets: false means surely
 * not, so the mail need not be made contiguous. */
bool pgp_find_likely(const struct header_view *v, uint64_t mail_len);

#endif
