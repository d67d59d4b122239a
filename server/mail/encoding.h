/* The encodings of mail: base64 and quoted-printable of bodies (RFC 2045 sections 6.7 and 6.8), and encoded words of
 * header fields (RFC 2047). */
#ifndef MAIL_ENCODING_H
#define MAIL_ENCODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"

/* Strictly: ERR_FORMAT for what no encoder writes. out has in.len octets, and may be where in is. */
int encoding_decode_base64(struct slice in, uint8_t *out, size_t *ret_len); /* white space is passed over */
int encoding_decode_quoted_printable(struct slice in, uint8_t *out, size_t *ret_len);
/* As readers of mail take them: what is no base64 is passed over, "=" too, and a "=" that quotes nothing stands for
 * itself. Returns octets written to out, which is as above. */
size_t encoding_read_base64(struct slice in, uint8_t *out);
size_t encoding_read_quoted_printable(struct slice in, uint8_t *out);

/* Whether an octet in hexadecimal stands at the start of s: "=E4". */
bool encoding_is_quoted(struct slice s);

/* encoded-word = "=?" charset "?" encoding "?" encoded-text "?=" */
struct encoded_word {
    struct slice charset, text;
    bool base64; /* "B", else "Q" */
};
/* Octets of the word at the start of s, 0: there is none. */
size_t encoding_word(struct slice s, struct encoded_word *ret);
/* As far as it can be read; octets written to out, at most cap. */
size_t encoding_word_decode(const struct encoded_word *w, uint8_t *out, size_t cap);

#endif
