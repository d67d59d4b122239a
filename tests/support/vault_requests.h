/* What the tests of requests share: a delivery that succeeds, and looks into the store behind the vault. */
#ifndef TESTS_SUPPORT_VAULT_REQUESTS_H
#define TESTS_SUPPORT_VAULT_REQUESTS_H

#include <fcntl.h>
#include <sys/mman.h>

#include "tests/support/vault_recount.h"

extern const uint32_t ALL_UIDS[2];
void recount_all(struct bench *b);
struct where deliver_ok(struct bench *b, uint32_t mailbox, uint64_t flags, size_t len);
struct schema_mailbox box_of(struct bench *b, uint32_t id);
uint32_t find_mailbox(struct bench *b, const char *name);
/* The account wants to be published, or not, and nothing else of it changes. */
int wish(struct bench *b, uint8_t publish);
/* Its certificate, whose octets nobody looks at; it is over, so that nobody is to be told. */
void own(struct bench *b, const struct pgp_verdict *v);
/* Another address of it: an alias, or all that are nobody's. */
void house_address(struct bench *b, const char *address, uint8_t kind);

#endif
