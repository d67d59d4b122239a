/* The text of a notice: a mail to a reader about one of their keys. */
#ifndef SEALER_NOTICE_MAIL_H
#define SEALER_NOTICE_MAIL_H

#include "store/records.h"

enum { NOTICE_MAIL_MAX = 4096 };
/* Beside enum key_event: another key becomes current. */
enum { NOTICE_ADDED = 128 };

struct notice {
    uint8_t fpr[PGP_FPR_MAX], fpr_len; /* the primary key */
    uint8_t events;                    /* enum key_event: the worst is told; or NOTICE_ADDED */
    uint8_t state;                     /* enum key_state */
    uint32_t expires;                  /* seconds since 1970 */
};

/* A whole message with CRLF lines, from the postmaster of the address's domain. ERR_LIMIT. */
int notice_mail(const struct notice *d, const char *address, uint64_t now, char out[NOTICE_MAIL_MAX], size_t *ret_len);

#endif
