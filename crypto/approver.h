/* Approvals: Ed25519 signatures (RFC 8032) of whoever holds the store key's root. The secret half is derived from the
 * root and kept by nobody; the command line makes it for one signature. The public half goes to the roles with their
 * record keys. What is approved, store/approval.h says. */
#ifndef CRYPTO_APPROVER_H
#define CRYPTO_APPROVER_H

#include <stddef.h>
#include <stdint.h>

enum { APPROVER_PUBLIC_SIZE = 32, APPROVAL_SIZE = 64 };

void approver_public(const uint8_t root[32], uint8_t ret[APPROVER_PUBLIC_SIZE]);
void approver_sign(const uint8_t root[32], const void *text, size_t len, uint8_t ret[APPROVAL_SIZE]);
int approver_check(const uint8_t approver[APPROVER_PUBLIC_SIZE], const void *text, size_t len,
                   const uint8_t approval[APPROVAL_SIZE]); /* ERR_CRYPTO: it is not approved */

#endif
