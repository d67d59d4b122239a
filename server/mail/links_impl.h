/* What links.c uses: URLs (links_url.c), and where they stand in HTML (links_html.c). */
#ifndef MAIL_LINKS_IMPL_H
#define MAIL_LINKS_IMPL_H

#include "server/mail/links.h"

void links_of_plain(struct slice text, struct links *ret); /* wherever "http://", "https://" or "mailto:" stands */
/* Of a whole URL, or of what else an attribute has. */
void links_of_attribute(struct slice value, struct links *ret);
void links_of_html(uint8_t *s, size_t len, struct links *ret);

#endif
