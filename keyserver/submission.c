/* What clients ask before they send a certificate in by mail (draft-koch-openpgp-webkey-service sections 4.1 and 4.5):
 * where to, what holds here, and the certificate to encrypt to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/wks_key.h"
#include "keyserver/impl.h"
#include "server/core/error.h"

enum { DRAFT = 14 /* whose protocol is spoken: its revision */ };

/* Of the path, or of the host. false: it takes none in. */
static bool find_domain(struct keyserver *k, const struct http_request *r, char domain[DOMAIN_CAP])
{
    const struct slice name = r->params[0].data ? r->params[0] : slice_str(r->host);
    return k->uploads->wanted(k->uploads->arg) && name.len < DOMAIN_CAP &&
           address_domain_normalize((const char *)name.data, name.len, domain) == OK && keyserver_is_hosted(k, domain);
}

static void answer_text(struct http_exchange *x, const char *text)
{
    http_answer(x, &(struct http_reply){.status = 200, .type = "text/plain", .body = slice_str(text)});
}

/* That there is one says that WKD is used. */
void keyserver_wkd_policy(void *service, struct http_exchange *x, const struct http_request *r)
{
    char domain[DOMAIN_CAP], text[DOMAIN_CAP + 128] = "";
    if (find_domain(service, r, domain))
        snprintf(text, sizeof(text), "protocol-version: %d\nsubmission-address: %s@%s\n", DRAFT, WKS_LOCAL_PART,
                 domain);
    answer_text(x, text);
}

void keyserver_wkd_submission(void *service, struct http_exchange *x, const struct http_request *r)
{
    char domain[DOMAIN_CAP], text[DOMAIN_CAP + 128];
    if (!find_domain(service, r, domain)) {
        keyserver_answer_not_found(x, ERR_NOT_FOUND);
        return;
    }
    snprintf(text, sizeof(text), "%s@%s\n", WKS_LOCAL_PART, domain);
    answer_text(x, text);
}

/* ---- its certificate ---- */

struct asked {
    struct keyserver *k;
    struct http_exchange *x;
    uint64_t id;
};

static void on_done(void *arg, int status, struct slice cert)
{
    struct asked *a = arg;
    struct keyserver *k = a->k;
    struct http_exchange *x = a->x;
    free(a);
    if (status == OK && cert.len > sizeof(k->cert))
        status = ERR_LIMIT;
    if (status == OK) {
        memcpy(k->cert, cert.data, cert.len);
        k->len = cert.len;
    }
    keyserver_answer(k, x, status == OK ? OK : ERR_OVERRUN); /* 503 */
}

static void on_gone(void *arg)
{
    struct asked *a = arg;
    a->k->uploads->forget_key(a->k->uploads->arg, a->id);
    free(a);
}

bool keyserver_submission_key(struct keyserver *k, struct http_exchange *x, const char *domain, struct slice hash)
{
    static char own[WKD_HASH_LEN + 1];
    const struct keyserver_uploads *u = k->uploads;
    if (!own[0] && wkd_hash(WKS_LOCAL_PART, sizeof(WKS_LOCAL_PART) - 1, own) != OK) {
        own[0] = '\0';
        return false;
    }
    if (hash.len != WKD_HASH_LEN || memcmp(hash.data, own, WKD_HASH_LEN) != 0 || !u->wanted(u->arg) ||
        !keyserver_is_hosted(k, domain))
        return false;
    struct asked *a = malloc(sizeof(*a));
    if (!a) {
        keyserver_answer(k, x, ERR_MEMORY);
        return true;
    }
    *a = (struct asked){.k = k, .x = x};
    http_on_gone(x, on_gone, a);
    if (u->submission_key(u->arg, domain, on_done, a, &a->id) != OK)
        on_done(a, ERR_FULL, slice_of("", 0));
    return true;
}
