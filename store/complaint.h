/* Complaints of others about an account's mail. Each message that leaves for elsewhere carries a token
 * (CFBL-Feedback-ID, RFC 9477), sealed under RECORD_COMPLAINT: it tells strangers nothing, not even which two are of
 * one sender, and nobody can make one. Who complains gives it back, and is counted once a message. */
#ifndef STORE_COMPLAINT_H
#define STORE_COMPLAINT_H

#include "crypto/record.h"

enum {
    COMPLAINT_TOKEN_CAP = 69, /* of its text, in base64, with the NUL */
    COMPLAINT_MESSAGE = 8,    /* octets of a hash that stands for the message */
    COMPLAINT_DAYS = 30,      /* so long after it was sent a message is complained about */
    COMPLAINTS_KEPT = 256     /* the last ones of an account: so many a day are told apart at most */
};

struct schema_complaints {
    uint32_t total; /* ever */
    uint64_t last;  /* seconds since 1970 */
    uint32_t n;
    struct {
        uint8_t message[COMPLAINT_MESSAGE];
        uint32_t hour; /* since 1970; 0: it no longer counts */
    } v[COMPLAINTS_KEPT];
};
/* In the last 24 hours, those of the hour before included. */
uint32_t complaints_of_day(const struct schema_complaints *c, uint64_t now);

/* k has RECORD_COMPLAINT. Each call gives another text. */
void complaint_token_make(const struct record_keys *k, uint64_t account, uint64_t now, char out[COMPLAINT_TOKEN_CAP]);
/* ERR_FORMAT, ERR_CRYPTO, ERR_VERSION: it is no token of ours; ERR_TIMEOUT: it is too old. */
int complaint_token_read(const struct record_keys *k, const char *text, uint64_t now, uint64_t *ret_account,
                         uint8_t ret_message[COMPLAINT_MESSAGE]);

#endif
