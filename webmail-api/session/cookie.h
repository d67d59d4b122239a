/* Who a request says it comes from: the session's cookie (RFC 6265bis), or Authorization with a bearer token (RFC 6750)
 * or an app password (RFC 7617); and whether a page of somebody else's may have made a browser send it. Pure functions
 * of the request. Nothing here knows whether a token is good. */
#ifndef SESSION_COOKIE_H
#define SESSION_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/http/route.h"

#define COOKIE_NAME "__Host-letterlock"
#define CSRF_FIELD "Letterlock-CSRF" /* its value is "1" */

enum {
    COOKIE_TOKEN_SIZE = 32, /* random octets, base64url in the cookie */
    COOKIE_SET_MAX = 160,   /* of a Set-Cookie value, with its NUL */
    CREDENTIALS_BEARER_MAX = 256,
    CREDENTIALS_USER_MAX = 320,
    CREDENTIALS_PASSWORD_MAX = 256,
};

enum credentials_kind {
    CREDENTIALS_NONE,
    CREDENTIALS_COOKIE,
    CREDENTIALS_BEARER,
    CREDENTIALS_BASIC,
};

struct credentials {
    enum credentials_kind kind;
    uint8_t token[COOKIE_TOKEN_SIZE];            /* of the cookie */
    char bearer[CREDENTIALS_BEARER_MAX + 1];     /* b64token of RFC 6750 section 2.1, as it came */
    char user[CREDENTIALS_USER_MAX + 1];         /* UTF-8 without controls, never empty; as it came */
    char password[CREDENTIALS_PASSWORD_MAX + 1]; /* the same */
};

/* With Authorization the cookie is not looked at: a program that sends both means what it wrote itself. ERR_FORMAT: two
 * fields of the name, a scheme that is not known, a value that does not fit it, two cookies of our name, one that is no
 * token; ret is then as it was. The caller wipes *ret. */
int credentials_read(const struct http_request *r, struct credentials *ret);

/* The value of Set-Cookie that gives the token for so many seconds, and the one that takes it away. */
void cookie_set(const uint8_t token[COOKIE_TOKEN_SIZE], uint32_t seconds, char out[COOKIE_SET_MAX]);
extern const char cookie_clear[];

/* Whether the request may do what it asks for, as far as pages of others go (CSRF). by: what it was signed in by;
 * CREDENTIALS_COOKIE too for a row that gives a cookie, since a page must not sign its visitor in as somebody else.
 *
 * What browsers say of where it comes from has to fit, whatever the method: Sec-Fetch-Site is "same-origin", or "none",
 * which is an address typed in; Origin is this server's own. Neither is said by programs, and old browsers leave one or
 * both away. So what changes something by a cookie has the field CSRF_FIELD as well, which a page can give to another
 * origin only where CORS lets it, and rows of the API let nobody. A bearer token is never sent by a browser by itself,
 * so nothing is asked of it; an app password may be (RFC 7617 section 2.2), and has to fit as said. */
bool csrf_fits(const struct http_request *r, enum credentials_kind by);

#endif
