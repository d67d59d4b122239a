/* What mail clients need to know to set themselves up, in the forms in which they ask for it. No I/O. Nothing of it
 * says whether an address exists. */
#ifndef AUTOCONFIG_AUTOCONFIG_H
#define AUTOCONFIG_AUTOCONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/config.h"
#include "server/core/wire.h"

struct autoconfig {
    const char *host;            /* the server's own name */
    const char *domain;          /* of the address */
    const char *address;         /* as its owner writes it; NULL: the client puts it in */
    uint16_t imaps, submissions; /* ports with TLS from the first octet; 0: there is none */
    uint16_t imap, submission;   /* with STARTTLS */
};

enum autoconfig_form {
    AUTOCONFIG_TEXT,         /* for people */
    AUTOCONFIG_XML,          /* draft-ietf-mailmaint-autoconfig: Thunderbird, K-9, Evolution, Geary, Delta Chat */
    AUTOCONFIG_AUTODISCOVER, /* [MS-OXDSCLI] with Outlook's responses for IMAP and SMTP */
    AUTOCONFIG_MOBILECONFIG, /* Apple's configuration profile, com.apple.mail.managed */
    AUTOCONFIG_PACC,         /* draft-ietf-mailmaint-pacc: the same octets for everybody of a domain */
    AUTOCONFIG_FORMS
};
enum { AUTOCONFIG_CAP = 16 * 1024, AUTOCONFIG_DIGEST_CAP = 45 };

extern const char *const autoconfig_form_names[AUTOCONFIG_FORMS]; /* as an operator writes them */

/* The host and the ports that the configuration has. */
void autoconfig_take(struct autoconfig *a, const struct config *c);
/* Octets written, no NUL. */
size_t autoconfig_write(const struct autoconfig *a, enum autoconfig_form form, char out[AUTOCONFIG_CAP]);
const char *autoconfig_type(enum autoconfig_form form); /* its media type */
/* What the record _ua-auto-config.DOMAIN says of PACC's document, in base64 (its section on the digest). */
void autoconfig_pacc_digest(const struct autoconfig *a, char out[AUTOCONFIG_DIGEST_CAP]);

/* The EMailAddress of what Outlook posts. ERR_FORMAT: no XML, or with a document type; ERR_NOT_FOUND: none in it;
 * ERR_LIMIT: cap, or too deep; ERR_MEMORY. */
int autoconfig_read_autodiscover(struct slice body, char *address, size_t cap);

#endif
