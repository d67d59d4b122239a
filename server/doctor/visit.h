/* A short visit to a server, blocking and bounded: to one of our own listeners, to see its certificate as a client
 * does, or to another mail server, to see whether it can be reached. */
#ifndef DOCTOR_VISIT_H
#define DOCTOR_VISIT_H

#include <sys/socket.h>

#include "server/doctor/chain.h"

enum { VISIT_GREETING_CAP = 200 };

/* How TLS begins. */
enum visit_way { VISIT_TLS, VISIT_SMTP, VISIT_IMAP };

/* source: an address to come from, or NULL. ERR_TIMEOUT; ERR_IO: errno says why. */
int visit_connect(const struct sockaddr *to, socklen_t len, const struct sockaddr *source, socklen_t source_len,
                  int *ret_fd);
/* The first line, in fewer than VISIT_GREETING_CAP octets. ERR_TIMEOUT, ERR_GONE. */
int visit_greeting(int fd, char out[VISIT_GREETING_CAP]);
/* The certificates that are shown to who asks for name. ERR_TIMEOUT, ERR_GONE; ERR_DENIED: TLS is not offered;
 * ERR_CRYPTO: it fails; ERR_MEMORY. */
int visit_certificates(int fd, enum visit_way way, const char *name, struct chain **ret);

#endif
