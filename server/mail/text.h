/* Text made readable with GMime: UTF-8 of any charset, RFC 2047 words. What it gives goes to people: no controls, C1
 * included, are in it. */
#ifndef MAIL_TEXT_H
#define MAIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "server/core/buf.h"
#include "server/core/wire.h"

/* To UTF-8; charset NULL or unknown: taken for UTF-8 where it is that, else for windows-1252. Returns octets written;
 * out has cap. Controls are left. */
size_t text_to_utf8(const char *charset, const char *s, size_t len, char *out, size_t cap);
/* Text or HTML in UTF-8 to one line of at most `chars` characters; returns octets written to out, which has four a
 * character. */
size_t text_to_line(const char *s, size_t len, bool html, size_t chars, char *out);

/* A field's value, RFC 2047 decoded, behind what is in out. ERR_MEMORY, ERR_LIMIT. */
int text_put_field(const char *value, struct buf *out);
/* Each mailbox of an address list that says anything, members of groups too: its name (or the comment behind it), RFC
 * 2047 decoded, or "", and its address in canonical form. What is no address is told as the name of ADDRESS_UNREADABLE.
 */
typedef void text_mailbox_fn(void *arg, const char *name, const char *address);
void text_mailboxes(struct slice list, text_mailbox_fn *fn, void *arg);
/* A list as text: decoded names that could be taken for an address or a list stand in quotes, and so does what is no
 * address. */
int text_put_addresses(const char *value, struct buf *out);

#endif
