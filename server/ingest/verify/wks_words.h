/* What is said about a certificate that came by mail: the request for a word, and the word (Web Key Service,
 * draft-koch-openpgp-webkey-service sections 4.3 and 4.4). Lines of a name, a colon and a value. */
#ifndef INGEST_WKS_WORDS_H
#define INGEST_WKS_WORDS_H

#include "server/keys/upload.h"

#define WKS_TYPE "application/vnd.gnupg.wks"
enum { WKS_TEXT_MAX = 2048 /* octets */ };

struct wks_request {
    const char *sender, *address; /* whose word is asked for; who has the key */
    const uint8_t *fpr;           /* of its primary key */
    size_t fpr_len;
    const uint8_t *token;
};
/* Returns octets written. out has WKS_TEXT_MAX. ERR_LIMIT */
int wks_request_write(const struct wks_request *r, char out[WKS_TEXT_MAX], size_t *ret_len);
/* The token of a word. That it is about what it says it is, the token says. ERR_FORMAT: it is no such word. */
int wks_response_read(struct slice text, uint8_t ret_token[UPLOAD_TOKEN_SIZE]);

#endif
