/* The sender's certificate in what is sent (server/mail/autocrypt.h), for accounts that want it: whoever gets it can
 * encrypt the answer. */
#ifndef INGEST_SUBMISSION_AUTOCRYPT_H
#define INGEST_SUBMISSION_AUTOCRYPT_H

#include "server/ingest/submission/clean.h"
#include "store/view.h"

/* The field, malloc'd, or NULL: the account does not want it, From is not one address, or no approved certificate is
 * of that address and short enough. A client's own field stays (NULL), unless its key is that of the account, which
 * seals, and it says nothing of encrypted answers: the same with prefer-encrypt=mutual takes its place. ERR_MEMORY, or
 * the view's errors: nobody can say. No snapshot may be open. */
int submission_autocrypt(struct view *v, uint64_t account, const struct clean_header *h, uint64_t now, uint8_t **ret,
                         size_t *ret_len);

#endif
