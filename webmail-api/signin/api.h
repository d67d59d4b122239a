/* Signing in over HTTP: rows by which the owner of an account registers a password, signs in and out, and fetches the
 * keys that her own program has wrapped (docs/api.md). No password comes here: OPAQUE (crypto/opaque.h), a recovery
 * phrase's signature, and second factors prove who it is.
 *
 * Nothing is kept between the first message of an exchange and the last: what the server has to remember is in the id
 * that the client brings back, sealed, so that any process may answer it and a stranger fills no memory. An exchange is
 * paid for when it begins (server/login/login.h), since a guess shows in the first answer, and given back when it has
 * ended well. Whoever is nobody here is answered like everybody, in the same octets and after the same steps. */
#ifndef SIGNIN_API_H
#define SIGNIN_API_H

#include "server/http/route.h"
#include "server/login/login.h"
#include "store/client.h"
#include "store/view.h"

struct api;

enum api_count { API_SIGNED_IN, API_FAILED, API_REGISTERED, API_COUNTS };

struct api_params {    /* all of it outlives the api */
    struct view *view; /* with the keys of SIGNIN, OPAQUE, ADDRESS and DIRECTORY */
    struct vault_client *vault;
    struct login *login;
    const struct config *config; /* may change */
    uint64_t *counts;            /* API_COUNTS of them, which grow */
};

int api_create(const struct api_params *p, struct api **ret); /* ERR_MEMORY */
void api_destroy(struct api *a);                              /* after its connections; NULL is allowed */
struct http_routes api_routes(struct api *a);

#endif
