/* Certificates by name: what master reads and hands to each role that shows certificates. A set of pairs (chain and
 * key, PEM), each with the names that it is for; the first pair is the default, for who asks for none of the names.
 * Nothing here reads PEM: each library of TLS does so for itself (tls.h). Keys lie in memory that is locked and wiped
 * (secmem.h). */
#ifndef BASE_CERTS_H
#define BASE_CERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"

/* A pair with its names fits one message (ipc.h); a whole set waits in a channel's queue at a reload. */
enum {
    CERTS_PAIRS_MAX = 1024,
    CERTS_NAMES_MAX = 128,            /* of a pair */
    CERTS_NAMES_BYTES_MAX = 7 * 1024, /* of a pair, each with four octets more */
    CERTS_NAME_MAX = 253,
    CERTS_CHAIN_MAX = 40 * 1024,
    CERTS_KEY_MAX = 12 * 1024,
    CERTS_BYTES_MAX = 6 * 1024 * 1024, /* of a set */
};

struct certs; /* reference counted; not changed once it was handed over */
struct cert_pair {
    const char *name; /* its first one, "" if it has none */
    struct slice chain, key;
};

int certs_create(struct certs **ret); /* without a pair. ERR_MEMORY */
void certs_ref(struct certs *c);
void certs_unref(struct certs *c); /* NULL is allowed */

/* A host name: lower case, A-labels, no final dot; a first label may be "*", for any one label (RFC 9525 section 6.3).
 */
bool certs_name_valid(const char *name);
/* Copies all. Names that a pair has already are ERR_EXISTS, what is none or empty ERR_FORMAT; ERR_LIMIT, ERR_MEMORY. */
int certs_add(struct certs *c, const char *const *names, size_t nnames, struct slice chain, struct slice key);

size_t certs_pairs(const struct certs *c);
bool certs_has(const struct certs *c, const char *name); /* some pair is for exactly this name */
struct cert_pair certs_pair(const struct certs *c, size_t i);
/* Its names, from the first one on; NULL: there is no k-th. */
const char *certs_name(const struct certs *c, size_t pair, size_t k);
/* Which pair is for a name that a client asked for, whatever it sent: the exact name, else with "*" for its first
 * label. false: none is, the default serves. */
bool certs_find(const struct certs *c, const char *name, size_t *ret_pair);

/* One pair a message: u32 which, u8 whether it is the set's last, u32 n, n str names, bytes chain, bytes key. */
int certs_pack(const struct certs *c, size_t pair, struct pack *out);
/* The other side. *coming, NULL at first, holds what has come until the last pair is there: then it is handed out, else
 * *ret is NULL. The first pair begins a set anew. ERR_FORMAT, as certs_add; then *coming is NULL. */
int certs_take(struct certs **coming, struct slice payload, struct certs **ret);

#endif
