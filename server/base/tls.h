/* TLS contexts made from certificate and key bytes that master read; nothing here opens a file.
 * TLS 1.2 and later; no compression, no renegotiation, no session tickets that outlive the process's key. */
#ifndef BASE_TLS_H
#define BASE_TLS_H

#include <stddef.h>

struct tls_ctx; /* reference counted: connections keep theirs across a reload */

/* PEM chain and key. ret_why (may be NULL) gets a static sentence on failure. ERR_FORMAT, ERR_CRYPTO. */
int tls_ctx_create(const void *chain_pem, size_t chain_len, const void *key_pem, size_t key_len,
                   struct tls_ctx **ret_ctx, const char **ret_why);
void tls_ctx_ref(struct tls_ctx *ctx);
void tls_ctx_unref(struct tls_ctx *ctx);
/* Makes OpenSSL wipe memory before it frees it. Called once, before anything else of OpenSSL, by roles that see
 * plaintext. */
void tls_wipe_on_free(void);

#endif
