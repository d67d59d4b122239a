/* What the operator should mind about a certificate chain that is good enough to serve with: RFC 5280 section 6.1.3
 * (dates), RFC 9525 section 6.3 (names). */
#ifndef MASTER_TLS_MIND_H
#define MASTER_TLS_MIND_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* Before its end. ACME clients renew 30 days before, so by then two weeks of tries have failed. */
enum { TLS_MIND_DAYS = 14 };

/* fn gets a sentence for each. hint: it may be meant so. Nothing is said of a chain that cannot be read. */
typedef void tls_mind_fn(void *arg, bool hint, const char *sentence);
void tls_mind(const void *chain_pem, size_t len, const char *name, time_t now, tls_mind_fn *fn, void *arg);
/* The same of one that is served to who asks for its name, which need not be the server's own. */
void tls_mind_by_name(const void *chain_pem, size_t len, const char *name, time_t now, tls_mind_fn *fn, void *arg);
/* When its first certificate ends; 0: that cannot be told. */
time_t tls_mind_end(const void *chain_pem, size_t len);

#endif
