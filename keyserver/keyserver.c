#include "keyserver/keyserver.h"

#include <stdlib.h>

#include "keyserver/impl.h"
#include "server/core/error.h"

int keyserver_create(struct view *v, struct keyserver **ret)
{
    struct keyserver *k = calloc(1, sizeof(*k));
    if (!k)
        return ERR_MEMORY;
    k->view = v;
    *ret = k;
    return OK;
}

void keyserver_destroy(struct keyserver *k)
{
    free(k);
}

enum {
    NO_UPLOAD = 1024 * 1024, /* octets that are read of what is refused */
    LOOKUP = HTTP_ANY_ORIGIN | HTTP_LOOKUP,
    REFUSED = HTTP_ANY_ORIGIN | HTTP_BODY_UNUSED,
};

struct http_routes keyserver_routes(struct keyserver *k)
{
    static const struct http_route rows[] = {
        {HTTP_GET, "/.well-known/openpgpkey/policy", 0, HTTP_ANY_ORIGIN, keyserver_wkd_policy},
        {HTTP_GET, "/.well-known/openpgpkey/hu/:hash", 0, LOOKUP, keyserver_wkd_direct},
        {HTTP_GET, "/.well-known/openpgpkey/:domain/policy", 0, HTTP_ANY_ORIGIN, keyserver_wkd_policy},
        {HTTP_GET, "/.well-known/openpgpkey/:domain/hu/:hash", 0, LOOKUP, keyserver_wkd},
        {HTTP_GET, "/pks/lookup", 0, LOOKUP, keyserver_hkp_lookup},
        {HTTP_POST, "/pks/add", NO_UPLOAD, REFUSED, keyserver_hkp_add},
        {HTTP_GET, "/vks/v1/by-fingerprint/:key", 0, LOOKUP, keyserver_vks_fingerprint},
        {HTTP_GET, "/vks/v1/by-keyid/:key", 0, LOOKUP, keyserver_vks_keyid},
        {HTTP_GET, "/vks/v1/by-email/:address", 0, LOOKUP, keyserver_vks_email},
        {HTTP_POST, "/vks/v1/upload", NO_UPLOAD, REFUSED, keyserver_vks_upload},
        {HTTP_POST, "/vks/v1/request-verify", NO_UPLOAD, REFUSED, keyserver_vks_upload},
    };
    return (struct http_routes){rows, sizeof(rows) / sizeof(rows[0]), k};
}
