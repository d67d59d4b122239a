/* The DNS records that a domain and the server's own name need: what `domain dns` prints, and what `doctor` looks
 * for. */
#ifndef DOCTOR_ZONE_H
#define DOCTOR_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/config.h"
#include "server/doctor/chain.h"
#include "server/mailauth/mta_sts.h"

struct zone {
    const char *domain, *host, *smarthost; /* the server's own name; "" for none */
    const char *pacc_digest;               /* of the settings for mail clients that are served; NULL: none are */
    bool https;                            /* is served */
    size_t policy_len;                     /* of the MTA-STS policy that is served; 0: none is */
    char policy[MTA_STS_OWN_MAX], sts_id[MTA_STS_ID_MAX + 1];
    bool has_chain; /* of the certificate in use: */
    uint8_t key_sha256[32];
    char issuer[CHAIN_ISSUER_CAP];
};

/* In the order of a zone file: those of the domain, then those of the server's own name. */
enum zone_record {
    ZONE_MX,
    ZONE_SPF,
    ZONE_DMARC,
    ZONE_TLS_REPORTS,
    ZONE_STS,
    ZONE_STS_HOST,
    ZONE_WKD_HOST,
    ZONE_SUBMISSIONS,
    ZONE_IMAPS,
    ZONE_IMAP,
    ZONE_AUTOCONFIG,
    ZONE_AUTODISCOVER,
    ZONE_AUTODISCOVER_SRV,
    ZONE_PACC_HOST,
    ZONE_PACC,
    ZONE_HOST_SPF,
    ZONE_TLSA,
    ZONE_CAA,
    ZONE_RECORDS
};
enum { ZONE_RECORD_CAP = 1024 };

/* All but the certificate. What it points at lasts as long as domain and c do. */
void zone_init(struct zone *z, const char *domain, const struct config *c);
void zone_take_chain(struct zone *z, const struct chain *c);
/* "example.org.  IN MX 10 mail.example.org." Of TLSA and CAA only with a certificate. */
void zone_record_write(const struct zone *z, enum zone_record r, char out[ZONE_RECORD_CAP]);
/* The name by which CAA knows who issued the certificate; NULL: it is not known here. */
const char *zone_issuer(const struct zone *z);

#endif
