/* The Autocrypt field (Autocrypt level 1, docs.autocrypt.org/level1.html): a sender's certificate in a mail of theirs.
 * Whether the octets in it are a certificate is not looked at here. */
#ifndef MAIL_AUTOCRYPT_H
#define MAIL_AUTOCRYPT_H

#include <stdbool.h>

#include "server/mail/address.h"
#include "server/mail/header.h"

enum { AUTOCRYPT_KEY_MAX = 48 * 1024 /* octets of a certificate */ };

struct autocrypt {
    char address[ADDRESS_MAX]; /* normalized */
    bool mutual;               /* prefer-encrypt=mutual; any other word is as none ("Header format") */
    struct slice keydata;      /* in base64, with its folds: in the mail */
    int64_t date;              /* effective, of autocrypt_find: that of the mail, or now if it comes from the future */
    struct slice value;        /* of autocrypt_find: the whole field's, in the mail */
};

/* A value. ERR_FORMAT; ERR_UNSUPPORTED: it has a critical attribute that is not known; ERR_LIMIT: too much keydata;
 * ERR_MEMORY. */
int autocrypt_read(struct slice value, struct autocrypt *ret);
/* The author of a header: the one mailbox of its one From, normalized. ERR_NOT_FOUND: it is not so; ERR_MEMORY. */
int autocrypt_author(const uint8_t *s, const struct header_field *fields, size_t n, char ret[ADDRESS_MAX]);
/* That of a mail ("Updating Autocrypt peer state"): of its author. ERR_NOT_FOUND: there is none, or several that are
 * valid, or no author, or the mail is a report; ERR_MEMORY. */
int autocrypt_find(const struct header_view *v, int64_t now, struct autocrypt *ret);
/* out has keydata.len octets. ERR_FORMAT. */
int autocrypt_decode(const struct autocrypt *a, uint8_t *out, size_t *ret_len);

/* The field, folded, with its CRLF: octets, without a NUL. */
size_t autocrypt_write_max(size_t key_len);
size_t autocrypt_write(const char *address, bool mutual, const uint8_t *key, size_t len, char *out);

#endif
