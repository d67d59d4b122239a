/* See wks_words.h. */
#include "server/ingest/verify/wks_words.h"

#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/print.h"
#include "server/mail/header.h"
#include "server/mail/mime.h"

int wks_request_write(const struct wks_request *r, char out[WKS_TEXT_MAX], size_t *ret_len)
{
    struct print t = {out, WKS_TEXT_MAX};
    char fpr[2 * PGP_FPR_MAX + 1], token[UPLOAD_TOKEN_TEXT];

    sodium_bin2hex(fpr, sizeof(fpr), r->fpr, r->fpr_len);
    for (char *c = fpr; *c; c++)
        *c = *c >= 'a' ? (char)(*c - 'a' + 'A') : *c;
    keys_token_write(r->token, token);
    print_put(&t, "type: confirmation-request\nsender: %s\naddress: %s\nfingerprint: %s\nnonce: %s\n", r->sender,
              r->address, fpr, token);
    sodium_memzero(token, sizeof(token));
    if (!t.left)
        return ERR_LIMIT;
    *ret_len = WKS_TEXT_MAX - t.left;
    return OK;
}

/* The value of that name, which stands there once. The lines are of the form of a header's. */
static int find(struct slice text, const char *name, struct slice *ret)
{
    struct header_field f;
    enum header_line line;
    bool found = false;

    for (size_t pos = 0; (line = header_next(text.data, text.len, &pos, &f)) != HEADER_END;) {
        if (line != HEADER_FIELD || !header_field_is(text.data, &f, name))
            continue;
        if (found)
            return ERR_FORMAT;
        *ret = token_trim(header_field_value(text.data, &f));
        found = true;
    }
    return found ? OK : ERR_FORMAT;
}

int wks_response_read(struct slice text, uint8_t ret_token[UPLOAD_TOKEN_SIZE])
{
    struct slice type, nonce;

    if (text.len > WKS_TEXT_MAX || find(text, "type", &type) != OK || !mime_is(type, "confirmation-response") ||
        find(text, "nonce", &nonce) != OK || !keys_token_read(nonce, ret_token))
        return ERR_FORMAT;
    return OK;
}
