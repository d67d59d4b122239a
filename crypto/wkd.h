/* Where a Web Key Directory has the key of an address (draft-koch-openpgp-webkey-service section 3.1): the local part
 * hashed with SHA-1, in z-base-32 (RFC 6189 section 5.1.6). */
#ifndef CRYPTO_WKD_H
#define CRYPTO_WKD_H

#include <stddef.h>

enum { WKD_HASH_LEN = 32 };

/* Of each domain's address to which certificates are sent (section 4.1): no account has it. */
#define WKS_LOCAL_PART "key-submission"

/* ASCII letters are lowered first; nothing else changes. out gets 32 characters and a NUL. ERR_MEMORY. */
int wkd_hash(const char *local, size_t len, char out[WKD_HASH_LEN + 1]);

#endif
