/* What a message tells whoever lists a mailbox: correspondents, subject, beginning, attachments. Read from its first
 * octets with GMime, whose trade is hostile input. */
#ifndef MAIL_SUMMARY_H
#define MAIL_SUMMARY_H

#include <stddef.h>

#include "server/mail/header.h"
#include "server/mail/text.h"

enum { SUMMARY_PREVIEW_CHARS = 256, SUMMARY_PREVIEW_SIZE = 4 * SUMMARY_PREVIEW_CHARS + 1 };

struct summary;
/* v and its octets must live as long. Never fails on odd mail. ERR_MEMORY, ERR_LIMIT. */
int summary_create(const struct header_view *v, struct summary **ret);
void summary_destroy(struct summary *s); /* wipes what it copied */

enum summary_list { SUMMARY_FROM, SUMMARY_TO, SUMMARY_CC };
/* Of the first field of that name, as text_mailboxes tells them. */
void summary_addresses(const struct summary *s, enum summary_list list, text_mailbox_fn *fn, void *arg);
const char *summary_subject(const struct summary *s); /* RFC 2047 decoded */
/* The first text part's beginning as one line of UTF-8 without controls; octets written to out. */
size_t summary_preview(const struct summary *s, char out[SUMMARY_PREVIEW_SIZE]);
/* Names of the parts that are attached, "" where one has no name; NULL past the last. */
const char *summary_attachment(const struct summary *s, size_t i);

#endif
