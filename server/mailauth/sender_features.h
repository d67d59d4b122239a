/* What a message shows of who sent it, as words to be counted: a filter that never sees a message again learns by them
 * from what its readers move. Without I/O; the list of public suffixes is the one that libpsl was built with. */
#ifndef MAILAUTH_SENDER_FEATURES_H
#define MAILAUTH_SENDER_FEATURES_H

#include "server/mail/address.h"
#include "server/mail/links.h"
#include "server/mailauth/records.h"

enum { FEATURES_MAX = 16 };

struct feature {
    const char *kind; /* static; never "contact" (store/contact.h) */
    char value[ADDRESS_MAX];
};
struct features {
    size_t n;
    struct feature v[FEATURES_MAX];
};

/* Texts may be "", where there is nothing, and links NULL. */
struct features_question {
    const char *author;       /* address in From, in its one spelling */
    const char *organization; /* of its domain, as DMARC's record says; "": as the public suffixes say */
    const char *sender;       /* the envelope's */
    const char *result;       /* of authentication */
    const uint8_t *peer;      /* 16 octets if six, else 4; NULL */
    bool six;
    const struct links *links;
};
/* What is there, each once; of links as many as there is room for. */
void features_of(const struct features_question *q, struct features *ret);

/* The domain that somebody registered, of a host as links.h has it; an address as it is. */
const char *features_registered(const char *host);

#endif
