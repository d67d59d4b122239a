#include "keyserver/keyserver.h"

#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>

#include "keyserver/impl.h"
#include "server/core/error.h"

int keyserver_create(struct view *v, const struct keyserver_uploads *uploads, struct keyserver **ret)
{
    struct keyserver *k = calloc(1, sizeof(*k));
    if (!k)
        return ERR_MEMORY;
    k->view = v;
    k->uploads = uploads;
    json_object_seed(1 + randombytes_uniform(UINT32_MAX)); /* by itself it would open a file */
    *ret = k;
    return OK;
}

void keyserver_destroy(struct keyserver *k)
{
    free(k);
}

enum {
    LOOKUP = HTTP_ANY_ORIGIN | HTTP_LOOKUP,
    UPLOAD_BODY = 1024 * 1024,
    TOKEN_BODY = 2 * KEYSERVER_TOKEN_MAX,
    FORM_BODY = 256,
};

struct http_routes keyserver_routes(struct keyserver *k)
{
    static const struct http_route rows[] = {
        {HTTP_GET, "/.well-known/openpgpkey/policy", 0, HTTP_ANY_ORIGIN, keyserver_wkd_policy},
        {HTTP_GET, "/.well-known/openpgpkey/submission-address", 0, HTTP_ANY_ORIGIN, keyserver_wkd_submission},
        {HTTP_GET, "/.well-known/openpgpkey/hu/:hash", 0, LOOKUP, keyserver_wkd_direct},
        {HTTP_GET, "/.well-known/openpgpkey/:domain/policy", 0, HTTP_ANY_ORIGIN, keyserver_wkd_policy},
        {HTTP_GET, "/.well-known/openpgpkey/:domain/submission-address", 0, HTTP_ANY_ORIGIN, keyserver_wkd_submission},
        {HTTP_GET, "/.well-known/openpgpkey/:domain/hu/:hash", 0, LOOKUP, keyserver_wkd},
        {HTTP_GET, "/pks/lookup", 0, LOOKUP, keyserver_hkp_lookup},
        {HTTP_POST, "/pks/add", UPLOAD_BODY, HTTP_ANY_ORIGIN, keyserver_hkp_add},
        {HTTP_GET, "/vks/v1/by-fingerprint/:key", 0, LOOKUP, keyserver_vks_fingerprint},
        {HTTP_GET, "/vks/v1/by-keyid/:key", 0, LOOKUP, keyserver_vks_keyid},
        {HTTP_GET, "/vks/v1/by-email/:address", 0, LOOKUP, keyserver_vks_email},
        {HTTP_POST, "/vks/v1/upload", UPLOAD_BODY, HTTP_ANY_ORIGIN, keyserver_vks_upload},
        {HTTP_POST, "/vks/v1/request-verify", TOKEN_BODY, HTTP_ANY_ORIGIN, keyserver_vks_request_verify},
        {HTTP_GET, "/verify/:token", 0, HTTP_FORM, keyserver_verify_page},
        {HTTP_POST, "/verify/:token", FORM_BODY, HTTP_FORM, keyserver_verify},
    };
    return (struct http_routes){rows, sizeof(rows) / sizeof(rows[0]), k};
}
