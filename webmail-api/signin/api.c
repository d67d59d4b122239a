#include "webmail-api/signin/api.h"

#include <stdlib.h>

#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/core/secmem.h"
#include "webmail-api/signin/impl.h"

int api_create(const struct api_params *p, struct api **ret)
{
    struct api *a = calloc(1, sizeof(*a));
    uint8_t root[RECORD_KEY_SIZE];

    if (!a || !(a->opaque = secmem_key_alloc(sizeof(*a->opaque)))) {
        free(a);
        return ERR_MEMORY;
    }
    a->p = *p;
    signin_opaque_root(view_keys(p->view), root);
    opaque_server_derive(root, a->opaque);
    secmem_wipe(root, sizeof(root));
    *ret = a;
    return OK;
}

void api_destroy(struct api *a)
{
    if (!a)
        return;
    bug_if(a->first);
    secmem_key_free(a->opaque, sizeof(*a->opaque));
    free(a);
}

enum {
    SMALL = 4096,
    WITH_ENVELOPES = JSON_IN_MAX,
};

struct http_routes api_routes(struct api *a)
{
    static const struct http_route rows[] = {
        {HTTP_POST, "/api/v1/opaque/register/start", SMALL, 0, api_register_start},
        {HTTP_POST, "/api/v1/opaque/register/finish", WITH_ENVELOPES, 0, api_register_finish},
        {HTTP_POST, "/api/v1/opaque/login/start", SMALL, 0, api_login_start},
        {HTTP_POST, "/api/v1/opaque/login/finish", SMALL, 0, api_login_finish},
        {HTTP_POST, "/api/v1/phrase/start", SMALL, 0, api_phrase_start},
        {HTTP_POST, "/api/v1/phrase/finish", SMALL, 0, api_phrase_finish},
        {HTTP_GET, "/api/v1/wrapped", 0, 0, api_wrapped},
        {HTTP_POST, "/api/v1/password", WITH_ENVELOPES, 0, api_password},
        {HTTP_GET, "/api/v1/sessions", 0, 0, api_sessions},
        {HTTP_DELETE, "/api/v1/sessions", 0, 0, api_sessions_end},
        {HTTP_DELETE, "/api/v1/sessions/:id", 0, 0, api_session_end},
        {HTTP_GET, "/api/v1/factors", 0, 0, api_factors},
        {HTTP_DELETE, "/api/v1/factors/:id", 0, 0, api_factor_end},
        {HTTP_POST, "/api/v1/factors/totp/start", SMALL, 0, api_totp_start},
        {HTTP_POST, "/api/v1/factors/totp/finish", SMALL, 0, api_totp_finish},
        {HTTP_POST, "/api/v1/factors/codes", SMALL, 0, api_codes},
        {HTTP_GET, "/api/v1/app-passwords", 0, 0, api_app_passwords},
        {HTTP_POST, "/api/v1/app-passwords", SMALL, 0, api_app_password_add},
        {HTTP_DELETE, "/api/v1/app-passwords/:id", 0, 0, api_app_password_end},
    };
    return (struct http_routes){rows, sizeof(rows) / sizeof(rows[0]), a};
}
