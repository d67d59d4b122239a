/* The keyserver: rows for HTTP by which others fetch published certificates (store/published.h): a Web Key Directory
 * (draft-koch-openpgp-webkey-service), HKP (draft-gallagher-openpgp-hkp) and VKS, keys.openpgp.org's interface. It
 * reads the directory and nothing else. Of whoever is not in it one and the same is answered, after the same look-up,
 * whether there is such an address or domain here or not. */
#ifndef KEYSERVER_KEYSERVER_H
#define KEYSERVER_KEYSERVER_H

#include "server/http/route.h"
#include "store/view.h"

struct keyserver;

/* v must live as long, and have the key of PUBLISHED. ERR_MEMORY. */
int keyserver_create(struct view *v, struct keyserver **ret);
void keyserver_destroy(struct keyserver *k); /* NULL is allowed */
struct http_routes keyserver_routes(struct keyserver *k);

#endif
