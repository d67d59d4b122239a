/* SASL mechanisms as pure functions: what the client sent in, who wants in out. */
#ifndef PROTO_SASL_H
#define PROTO_SASL_H

#include "server/core/wire.h"

enum { SASL_LINE_MAX = 4096, SASL_USER_MAX = 512, SASL_PASSWORD_MAX = 512 };

/* RFC 4648 section 4, padded, nothing else in it. Returns octets or -1. out has room for 3 octets per 4. */
long sasl_base64_decode(struct slice in, uint8_t *out, size_t cap);
/* The same way back; out gets SASL_BASE64_LEN(in.len) characters and a NUL. */
#define SASL_BASE64_LEN(n) (((n) + 2) / 3 * 4)
void sasl_base64_encode(struct slice in, char *out);

/* The initial response as IMAP (RFC 4959) and SMTP (RFC 4954) write it: "=" is an empty one. */
struct sasl_plain {
    char user[SASL_USER_MAX + 1];
    size_t user_len;
    char password[SASL_PASSWORD_MAX + 1];
    size_t password_len;
};
/* PLAIN (RFC 4616): [authzid] NUL authcid NUL passwd, in base64. An authzid must be empty or equal to authcid: there
 * are no proxies. ERR_FORMAT, ERR_DENIED (authzid). The caller wipes *ret. */
int sasl_plain_decode(struct slice base64, struct sasl_plain *ret);
int sasl_plain_read(struct slice response, struct sasl_plain *ret); /* without the base64 */

#endif
