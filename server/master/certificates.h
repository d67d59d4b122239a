/* What master tells and takes of certificates on the control socket. */
#ifndef MASTER_CERTIFICATES_H
#define MASTER_CERTIFICATES_H

#include <stdint.h>

#include "server/core/wire.h"

struct master;

/* The answer to CONTROL_CERTIFICATES. ERR_FORMAT: a bad request. */
int certificates_list(const struct master *m, struct slice asked, struct pack *out);
/* CONTROL_CHALLENGE: taken, or forgotten, and told to who serves HTTP. *ret_status is what is answered. ERR_FORMAT: a
 * bad request. */
int certificates_challenge(struct master *m, struct slice asked, int *ret_status);
void certificates_end(struct master *m);

/* Of a folder that nobody serves; names with blanks between them. */
typedef void certificate_fn(void *arg, const char *name, const char *others, uint64_t ends);
void certificates_of_dir(const char *dir, certificate_fn *fn, void *arg);

#endif
