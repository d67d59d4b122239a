/* Logins by SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 7677), for every protocol that has SASL: messages in the clear,
 * base64 is the protocol's around them. */
#ifndef LOGIN_SCRAM_H
#define LOGIN_SCRAM_H

#include "server/base/conn.h"
#include "server/login/login.h"
#include "server/proto/scram.h"

/* -PLUS binds to TLS: it is offered under it, and with it alone. */
static inline bool login_scram_plus(const struct conn *c)
{
    return conn_is_tls(c);
}

/* The client's first message, of a login by -PLUS or not; out gets the server's. s: zeroed or wiped by the owner.
 * ERR_FORMAT; ERR_DENIED: of scram_server_first; others: a shortage. */
int login_scram_first(struct login *g, struct scram_server *s, bool plus, bool plus_offered, struct slice message,
                      char out[SCRAM_MESSAGE_MAX]);
/* Its last one. It is tried, slowed and answered as by login_start, whatever is wrong with it; s must live until then.
 * After OK scram_server_last has what proves to the client that we know the password too. */
int login_scram_final(struct login *g, struct scram_server *s, const struct conn *c, unsigned scope,
                      struct slice message, login_done_fn *done, void *arg, struct login_try **ret);

#endif
