/* Who wrote a message, as From says (RFC 9989 section 5.3.1), so that nobody can be made to see another one: what is
 * not read alike by all that read mail has no author. Such are several From fields, or one with a blank before its
 * colon; a header with lines that are no fields; mailboxes of several domains; groups, routes, comments, white space or
 * encoded words in an address, and quoted local parts that look like addresses themselves; what is no UTF-8. */
#ifndef MAILAUTH_AUTHOR_H
#define MAILAUTH_AUTHOR_H

#include "server/mail/address.h"
#include "server/mail/header.h"
#include "server/mailauth/verdict.h"

void author_read(const struct header_view *v, struct author_verdict *ret);
/* The same of one field's value, sender_differs left out. */
void author_read_value(struct slice value, struct author_verdict *ret);
/* The address of the one that stands first in From, in its one spelling; "" where author_read finds no author. */
void author_address(const struct header_view *v, char out[ADDRESS_MAX]);

#endif
