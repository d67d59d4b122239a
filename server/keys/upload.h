/* From `web` to `ingest`: a certificate that somebody sent in for an address is to be verified by mail
 * (store/upload.h). `web` has read it, and `ingest` believes none of that. */
#ifndef KEYS_UPLOAD_H
#define KEYS_UPLOAD_H

#include "server/core/wire.h"
#include "store/view.h"

enum { UPLOAD_VERIFY = 1, UPLOAD_KEY, UPLOAD_REPLY = 100 };
enum {
    UPLOAD_KEY_MAX = 1024,  /* octets of a submission address's certificate */
    UPLOAD_VERIFY_MAX = 8,  /* addresses that are verified of a certificate at a time */
    UPLOAD_PEER_BURST = 30, /* certificates and words of one peer */
    UPLOAD_PEER_MINUTE = 6,
};
/* UPLOAD_KEY: str domain. Reply: u32 status, str text, bytes certificate of its submission address (crypto/wks_key.h).
 *
 * UPLOAD_VERIFY: str address, bytes certificate, of the form that is published. Reply: u32 status, str text. OK: a mail
 * is in the mailbox. Else none was sent: ERR_NOT_FOUND, nobody here has the address, or wants to be found; the vault's
 * (VAULT_UPLOAD_ADD); ERR_NO_KEY, nothing can be sealed to it; others: now it cannot be done. */
struct upload_verify {
    struct slice address, cert;
};
int keys_verify_pack(struct pack *p, const struct upload_verify *v); /* ERR_LIMIT */
int keys_verify_unpack(struct unpack *u, struct upload_verify *ret); /* ERR_FORMAT */

/* A token as it stands in a link: lower-case hexadecimal digits, none of which a mail program takes for the end of the
 * link, and a NUL; and back: false, it is none. */
enum { UPLOAD_TOKEN_TEXT = 2 * UPLOAD_TOKEN_SIZE + 1 };
void keys_token_write(const uint8_t token[UPLOAD_TOKEN_SIZE], char out[UPLOAD_TOKEN_TEXT]);
bool keys_token_read(struct slice text, uint8_t ret[UPLOAD_TOKEN_SIZE]);
/* Such digits, of at most cap octets; out is also written when it fails. */
bool keys_hex_read(struct slice text, uint8_t *out, size_t cap, size_t *ret_len);

#endif
