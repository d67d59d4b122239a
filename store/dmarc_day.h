/* What others report of mail in the name of a domain here (DMARC aggregate reports, RFC 9990): a record 'D' of the
 * instance's partition for each domain and day. No person is named in it. */
#ifndef STORE_DMARC_DAY_H
#define STORE_DMARC_DAY_H

#include <stdbool.h>
#include <stdint.h>

#include "server/core/wire.h"
#include "server/mail/address.h"

enum {
    DMARC_DAY_REPORTS = 48,  /* of a day that are told apart */
    DMARC_DAY_OF_ONE = 8,    /* of these from one reporter */
    DMARC_DAY_NETWORKS = 16, /* from which most failed */
    DMARC_TOLD_NETWORKS = 8, /* the same of one report */
    DMARC_DAYS_LATE = 31,    /* so long after the day a report counts */
    DMARC_DAYS_KEPT = 396,   /* 13 months */
    DMARC_REPORT_ID_SIZE = 8 /* octets of a hash that stands for the report */
};

/* Of messages; more than UINT32_MAX is that. passed: by either. */
struct dmarc_sums {
    uint32_t messages, passed, by_dkim, by_spf, quarantined, rejected;
};
/* Where messages came from that passed by neither. */
struct dmarc_network {
    uint8_t len; /* 3 octets of IPv4, 6 of IPv6 */
    uint8_t octets[6];
    uint32_t messages;
};

struct dmarc_day {
    uint32_t n;
    struct dmarc_day_report {
        uint8_t id[DMARC_REPORT_ID_SIZE];
        bool proven;               /* the mail that brought it is of the reporter's domain, which DMARC says */
        char reporter[DOMAIN_CAP]; /* that domain; else what it calls itself: UTF-8, cut */
        struct dmarc_sums sums;
    } v[DMARC_DAY_REPORTS];
    uint32_t nnetworks; /* of those reports alone that are proven */
    struct dmarc_network networks[DMARC_DAY_NETWORKS];
    uint32_t more;            /* reports that are not told apart, */
    struct dmarc_sums beyond; /* and what they say; some perhaps twice */
};

/* One report, on its way to the vault. */
struct dmarc_told {
    struct slice domain; /* one of ours, in its one spelling */
    uint32_t day;        /* since 1970, in which the middle of its period is */
    bool proven;
    struct slice reporter, id; /* as of struct dmarc_day; what it calls itself by */
    struct dmarc_sums sums;
    uint32_t nnetworks;
    struct dmarc_network networks[DMARC_TOLD_NETWORKS];
};
enum { DMARC_TOLD_ID_MAX = 255 /* octets of a report's id */ };

/* What a report may say: no more passes than messages, and networks as they are written. */
bool dmarc_sums_valid(const struct dmarc_sums *s);
bool dmarc_network_valid(const struct dmarc_network *n);
void dmarc_sums_add(struct dmarc_sums *to, const struct dmarc_sums *s);
/* Into a list of networks with room for max: when it is full, in the place of one with fewer messages, if there is one.
 */
void dmarc_network_add(struct dmarc_network *list, uint32_t *n, uint32_t max, const struct dmarc_network *one);

#endif
