/* The set of certificates as GnuTLS has them: the default at once, another pair when it is asked for first. Counted: a
 * connection keeps the set that its handshake began with, so that a reload ends none. */
#ifndef WEB_SHOWN_H
#define WEB_SHOWN_H

#include <gnutls/abstract.h>

#include "server/base/certs.h"

struct shown;

int shown_create(struct certs *certs, struct shown **ret);          /* keeps a reference. ERR_FORMAT, ERR_MEMORY */
bool shown_is_of(const struct shown *s, const struct certs *certs); /* NULL is allowed */
struct shown *shown_ref(struct shown *s);
void shown_unref(struct shown *s); /* NULL is allowed */
/* For gnutls_certificate_retrieve_function2: by the name that the client asked for. What it points at lasts as long as
 * a reference. */
void shown_choose(struct shown *s, gnutls_session_t session, gnutls_pcert_st **chain, unsigned *n,
                  gnutls_privkey_t *key);

/* AEAD and elliptic curves alone, TLS 1.2 and 1.3, as the readers' port has it; no tickets. */
extern const char shown_priorities[];
/* A client that offers protocols and not ours meant another server (RFC 7301 section 3.2). ERR_CRYPTO. */
int shown_want_http(gnutls_session_t session);

#endif
