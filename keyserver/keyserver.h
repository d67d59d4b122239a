/* The keyserver: rows for HTTP by which others fetch published certificates (store/published.h): a Web Key Directory
 * (draft-koch-openpgp-webkey-service), HKP (draft-gallagher-openpgp-hkp) and VKS, keys.openpgp.org's interface. It
 * reads the directory and nothing else. Of whoever is not in it one and the same is answered, after the same look-up,
 * whether there is such an address or domain here or not. What strangers send in is read, made fit to be published, and
 * handed on to be verified; of what becomes of it nothing is answered but what the directory says to everybody. */
#ifndef KEYSERVER_KEYSERVER_H
#define KEYSERVER_KEYSERVER_H

#include "server/http/route.h"
#include "store/view.h"

struct keyserver;

/* What the keyserver has done for certificates that strangers send in. */
struct keyserver_uploads {
    bool (*wanted)(void *arg); /* the operator takes them in */
    /* One more of this peer is read. false: it has had too many. */
    bool (*may)(void *arg, const struct sockaddr_storage *peer);
    /* Whoever has the mailbox of the address is asked by mail, perhaps, some time: nobody is told what becomes of it.
     * cert: of the form that is published, of this address alone. */
    void (*verify)(void *arg, const char *address, struct slice cert);
    /* The word that comes back: done is called once, later. Not OK: it will not be. */
    int (*confirm)(void *arg, const uint8_t token[UPLOAD_TOKEN_SIZE], void (*done)(void *asker, int status),
                   void *asker, uint64_t *ret_id);
    void (*forget)(void *arg, uint64_t id); /* done is not called any more */
    /* The certificate of the submission address of a domain that is hosted, likewise. It may be called at once. */
    int (*submission_key)(void *arg, const char *domain, void (*done)(void *asker, int status, struct slice cert),
                          void *asker, uint64_t *ret_id);
    void (*forget_key)(void *arg, uint64_t id);
    void *arg;
};

/* v and uploads must live as long; v has the keys of PUBLISHED and DOMAIN. ERR_MEMORY. */
int keyserver_create(struct view *v, const struct keyserver_uploads *uploads, struct keyserver **ret);
void keyserver_destroy(struct keyserver *k); /* NULL is allowed */
struct http_routes keyserver_routes(struct keyserver *k);

#endif
