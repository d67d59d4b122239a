/* Between the files of DKIM. */
#ifndef MAILAUTH_DKIM_IMPL_H
#define MAILAUTH_DKIM_IMPL_H

#include <openssl/evp.h>

#include "server/mail/header.h"
#include "server/mailauth/dkim.h"

struct dkim_key {
    enum dkim_algorithm algorithm;
    EVP_PKEY *pkey;
};

/* A message's header in one piece. */
struct dkim_header {
    struct header_view view;
    struct header_field *fields;
    struct buf copy; /* of a header that came in pieces */
};
/* ERR_FORMAT, ERR_MEMORY, ERR_LIMIT. To be freed, whatever comes. */
int dkim_header_read(struct dkim_header *h, const struct iovec *mail, size_t n);
void dkim_header_free(struct dkim_header *h);

#endif
