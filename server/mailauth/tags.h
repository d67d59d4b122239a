/* Lists of tags: "v=DKIM1; k=rsa; p=..." (RFC 6376 section 3.2). Records of DKIM and DMARC have this form. */
#ifndef MAILAUTH_TAGS_H
#define MAILAUTH_TAGS_H

#include <stdbool.h>

#include "server/core/wire.h"

/* The value without white space around it. ERR_NOT_FOUND; ERR_FORMAT: it is no such list, or has the tag twice. */
int tags_get(struct slice list, const char *name, struct slice *ret);
/* Whether the list begins with v=version, as each of these records has to. */
bool tags_begin(struct slice list, const char *version);

#endif
