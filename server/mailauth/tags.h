/* Lists of tags: "v=DKIM1; k=rsa; p=..." (RFC 6376 section 3.2). Records of DKIM and DMARC have this form. */
#ifndef MAILAUTH_TAGS_H
#define MAILAUTH_TAGS_H

#include <stdbool.h>

#include "server/core/wire.h"

/* The value without white space around it. ERR_NOT_FOUND; ERR_FORMAT: it is no such list, or has the tag twice. */
int tags_get(struct slice list, const char *name, struct slice *ret);
/* Whether the list begins with v=version, as each of these records has to. */
bool tags_begin(struct slice list, const char *version);

enum { TAGS_MAX = 32 };
struct tag {
    struct slice name, value;
    struct slice whole; /* the value with the white space around it */
};
struct tags {
    struct tag v[TAGS_MAX];
    size_t n;
};
/* The whole list. ERR_FORMAT: it is none, has a tag twice, or control characters; ERR_LIMIT: more than TAGS_MAX. */
int tags_read(struct slice list, struct tags *ret);
const struct tag *tags_find(const struct tags *t, const char *name); /* NULL: it is not there */
/* Whether one of the words between colons (section 3.2: FWS may stand around them) is word, in any case. */
bool tags_has_word(struct slice value, const char *word);
bool tags_is(struct slice value, const char *word); /* in any case */

#endif
