/* Between the files of DKIM. */
#ifndef MAILAUTH_DKIM_IMPL_H
#define MAILAUTH_DKIM_IMPL_H

#include <openssl/evp.h>

#include "server/mailauth/dkim.h"

struct dkim_key {
    enum dkim_algorithm algorithm;
    EVP_PKEY *pkey;
};

#endif
