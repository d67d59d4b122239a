/* The mail that tells an account of another key of somebody it writes to (key_change.h). */
#ifndef INGEST_KEY_CHANGE_MAIL_H
#define INGEST_KEY_CHANGE_MAIL_H

#include "store/correspondent.h"

enum { KEY_CHANGE_MAIL_MAX = 8 * 1024 };

enum key_change_outcome {
    KEY_CHANGE_FOLLOWED, /* mail is sealed to the other one */
    KEY_CHANGE_KEPT,     /* to the one that was kept */
    KEY_CHANGE_REFUSED   /* mail there is */
};
struct key_change {
    const char *account;           /* its primary address */
    const char *address;           /* whose key */
    struct correspondent_key kept; /* before */
    struct correspondent_key other;
    enum key_change_outcome outcome;
    uint64_t now; /* seconds since 1970 */
};
/* A whole message with CRLF lines, from the postmaster of the account's domain. ERR_LIMIT */
int submission_key_change_mail(const struct key_change *k, char out[KEY_CHANGE_MAIL_MAX], size_t *ret_len);

#endif
