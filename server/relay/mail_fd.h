/* A message as `ingest` takes it (server/queue/internal.h): a sealed memfd. */
#ifndef RELAY_MAIL_FD_H
#define RELAY_MAIL_FD_H

#include "server/core/secmem.h"

int mail_fd_make(const struct secmem_msg *m, int *ret_fd); /* the caller closes it. ERR_MEMORY, ERR_IO */

#endif
