/* Between the files of discover. */
#ifndef DISCOVER_IMPL_H
#define DISCOVER_IMPL_H

#include "keyserver/discover/discover.h"

/* ---- places.c: where a source has the certificate of an address ---- */

enum { DISCOVER_NAME_CAP = 512 };
struct discover_place {
    const char *local, *domain; /* of the address, normalized */
    size_t local_len;
    const char *host; /* of the key server */
};
/* Into out, FETCH_URL_MAX + 1 octets. ERR_LIMIT: it is longer; ERR_MEMORY. */
int discover_place_url(enum discover_source s, const struct discover_place *p, char *out);
int discover_place_name(const struct discover_place *p, char out[DISCOVER_NAME_CAP]);

/* ---- certs.c: what an answer holds ---- */

struct discover_certs {
    const char *address; /* normalized */
    uint64_t now;
    /* What came of it: as a source has it. */
    enum discover_outcome outcome; /* NONE before the first */
    uint8_t *cert;                 /* malloc'd, or NULL */
    size_t len;
    struct pgp_verdict verdict;
    size_t n, signatures; /* certificates looked at, and what was to be verified in them */
};
/* One or several certificates, binary or armoured, beside those before. ERR_MEMORY. */
int discover_certs_read(struct discover_certs *c, const uint8_t *text, size_t len);
bool discover_same_key(const struct pgp_verdict *a, const struct pgp_verdict *b);

#endif
