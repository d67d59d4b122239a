/* Approvals as the command line makes them, for tests that ask the vault or write themselves. */
#ifndef TESTS_SUPPORT_APPROVING_H
#define TESTS_SUPPORT_APPROVING_H

#include "store/account.h"
#include "store/engine.h"

/* What needs none, or cannot have one, stays as it is. */
void approving(struct engine *e, const struct record_keys *k, const uint8_t root[32], struct vault_request *q,
               struct slice cert);
/* The certificate in the memfd, or empty. */
void approving_fd(struct engine *e, const struct record_keys *k, const uint8_t root[32], struct vault_request *q,
                  int fd);
/* The request, approved first; store: the folder of the LMDB environment, which a vault serves. */
int approved_call(const char *store, const uint8_t root[32], int vault, const struct vault_request *q, int fd,
                  struct vault_reply *ret, char text[256]);

/* For who writes without a vault. */
void approving_new(struct engine *e, const struct record_keys *k, const uint8_t root[32], struct account_new *a);
struct vault_approval approval_of(struct engine *e, const struct record_keys *k, const uint8_t root[32],
                                  struct vault_request q, struct slice cert);

#endif
