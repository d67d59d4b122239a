/* Between the files of server/gpg. */
#ifndef GPG_GPG_INTERNAL_H
#define GPG_GPG_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "server/gpg/gpg.h"

int gpg_memfd(const void *data, size_t len, int *ret_fd);
int gpg_read_all(int fd, size_t max, uint8_t **ret, size_t *ret_len); /* malloc'd; ERR_LIMIT, ERR_IO, ERR_MEMORY */

/* One judgement with a home of its own below dir, gone afterwards. uids: up to GPG_UIDS_MAX, each malloc'd. Returns
 * j->status. */
enum { GPG_UIDS_MAX = 16 };
int gpg_judge(const char *dir, const uint8_t *cert, size_t len, struct gpg_judgement *j, char *uids[GPG_UIDS_MAX],
              size_t *nuids);
/* Removes a directory with the files in it, and directories in it to a small depth. */
void gpg_remove_tree(const char *path);

#endif
