/* Web Key Directory, advanced and direct method (draft-koch-openpgp-webkey-service sections 3.1 and 4.5). */
#include <string.h>

#include "keyserver/impl.h"
#include "server/core/error.h"

/* Its client gives the local part as well: what the hash leaves to guess, letters outside ASCII in another case, is
 * looked up as an address, if that is what was hashed. */
static int find_named(struct keyserver *k, const struct http_request *r, const char *domain, struct slice hash)
{
    char local[ADDRESS_MAX], address[ADDRESS_MAX], own[WKD_HASH_LEN + 1];
    struct slice l;
    if (!http_query(r, "l", local, sizeof(local), &l) || l.len + 1 + strlen(domain) >= sizeof(address) ||
        hash.len != WKD_HASH_LEN)
        return ERR_NOT_FOUND;
    int err = wkd_hash((const char *)l.data, l.len, own);
    if (err)
        return err;
    if (memcmp(own, hash.data, WKD_HASH_LEN) != 0)
        return ERR_NOT_FOUND;
    memcpy(address, l.data, l.len);
    address[l.len] = '@';
    memcpy(address + l.len + 1, domain, strlen(domain));
    return keyserver_find_address(k, address, l.len + 1 + strlen(domain));
}

static void give(struct keyserver *k, struct http_exchange *x, const struct http_request *r, struct slice name,
                 struct slice hash)
{
    char domain[DOMAIN_CAP] = "";
    int err =
        name.len < sizeof(domain) ? address_domain_normalize((const char *)name.data, name.len, domain) : ERR_FORMAT;
    if (!err && keyserver_submission_key(k, x, domain, hash))
        return;
    err = err ? keyserver_unread(err) : keyserver_find_wkd(k, domain, (const char *)hash.data, hash.len);
    if (err == ERR_NOT_FOUND)
        err = find_named(k, r, domain, hash);
    keyserver_answer(k, x, err);
}

/* https://openpgpkey.example.org/.well-known/openpgpkey/example.org/hu/HASH?l=LOCAL. The name in the path counts: the
 * host before it is one that this server has a certificate for, or nobody came here. */
void keyserver_wkd(void *service, struct http_exchange *x, const struct http_request *r)
{
    give(service, x, r, r->params[0], r->params[1]);
}

/* https://example.org/.well-known/openpgpkey/hu/HASH?l=LOCAL */
void keyserver_wkd_direct(void *service, struct http_exchange *x, const struct http_request *r)
{
    give(service, x, r, slice_str(r->host), r->params[0]);
}
