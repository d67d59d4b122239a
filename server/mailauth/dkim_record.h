/* Key records (RFC 6376 section 3.6.1, RFC 8463 section 4) and verifying with what they hold. */
#ifndef MAILAUTH_DKIM_RECORD_H
#define MAILAUTH_DKIM_RECORD_H

#include <openssl/evp.h>

#include "server/mailauth/dkim_field.h"

enum { DKIM_ED25519_OCTETS = 32 };

struct dkim_record {
    enum dkim_algorithm algorithm;
    bool testing, strict; /* t=y, t=s */
    unsigned bits;        /* RSA */
    EVP_PKEY_CTX *rsa;    /* that verifies */
    uint8_t ed25519[DKIM_ED25519_OCTETS];
};

/* Of the records at a name, the one key for a signature by a, until the next call. DKIM_VERIFIED: it is there; else why
 * not: *ret may be as it was, or its bits known. */
enum dkim_reason dkim_record_find(const struct records_value *v, size_t n, enum dkim_algorithm a,
                                  const struct dkim_record **ret);
enum dkim_reason dkim_record_verify(const struct dkim_record *r, const uint8_t digest[DKIM_HASH], struct slice b);

#endif
