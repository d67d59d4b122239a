/* Text made readable: UTF-8 of any charset, RFC 2047 words, previews. */
#ifndef MAIL_TEXT_H
#define MAIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "server/core/buf.h"

enum { PREVIEW_CHARS = 256, PREVIEW_RAW = 4096 /* octets of a part that are looked at */ };
/* Text or HTML as UTF-8 to one line of at most PREVIEW_CHARS characters; returns octets written to out, which has 4 *
 * PREVIEW_CHARS + 1. */
size_t preview_text(const char *s, size_t len, bool html, char *out);
/* To UTF-8; charset NULL or unknown: taken for UTF-8 where it is that, else for windows-1252. Returns octets written;
 * out has cap. */
size_t text_to_utf8(const char *charset, const char *s, size_t len, char *out, size_t cap);

/* A field's value as UTF-8 without controls, RFC 2047 decoded, behind what is in out. ERR_MEMORY, ERR_LIMIT. */
int header_text(const char *value, struct buf *out);
/* The same of address lists: decoded names that could be taken for an address or a list stand in quotes. */
int header_addresses(const char *value, struct buf *out);

#endif
