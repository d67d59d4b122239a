/* Between the files of spf.h. */
#ifndef MAILAUTH_SPF_IMPL_H
#define MAILAUTH_SPF_IMPL_H

#include "server/mailauth/spf.h"

/* One unit of a macro-string (section 7.1): a literal, or what begins with "%". */
struct spf_unit {
    size_t len;
    char literal;           /* also of %%, %_ (a blank) and %- ("%20"); 0: a macro */
    bool url_blank;         /* %- */
    char letter;            /* lower case */
    bool escape;            /* it was upper case */
    bool reverse;           /* "r" */
    unsigned parts;         /* so many from the right; 0: all */
    const char *delimiters; /* delimiters_n of them; none: "." */
    size_t delimiters_n;
};
/* The unit at the begin of s, which is not empty. False: there is none. text: of an explanation, which may have blanks
 * and the letters c, r and t. */
bool spf_unit_read(struct slice s, bool text, struct spf_unit *ret);

#endif
