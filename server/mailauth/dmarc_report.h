/* DMARC aggregate reports (RFC 9990, and RFC 7489 appendix C) as others send them, counted without I/O. */
#ifndef MAILAUTH_DMARC_REPORT_H
#define MAILAUTH_DMARC_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "server/mailauth/records.h"

enum {
    DMARC_REPORT_TEXT_MAX = 4 * 1024 * 1024, /* octets of XML: more is ERR_LIMIT. Of a mail, in all that is tried */
    DMARC_REPORT_PACKED_MAX = 1024 * 1024,   /* the same before it is unpacked */
    DMARC_REPORT_MAIL_MAX = 2 * 1024 * 1024, /* that brings one */
    DMARC_REPORT_WORDS_CAP = 256,
    DMARC_REPORT_NETWORKS = 64,
};

/* Where messages came from that passed by neither, in a report. */
struct dmarc_report_network {
    uint8_t len, octets[6]; /* 3 of IPv4, 6 of IPv6; zeros behind them */
    uint64_t messages;
};

struct dmarc_report {
    char organization[DMARC_REPORT_WORDS_CAP]; /* whose report it is, as it says: UTF-8, cut where it is long, "" */
    char id[DMARC_REPORT_WORDS_CAP];
    char domain[RECORDS_NAME_CAP]; /* that is reported on: lower case, A-labels */
    int64_t begin, end;            /* seconds since 1970; 0: it does not say */
    uint64_t messages;
    uint64_t by_dkim, by_spf; /* of them: that aligned by it */
    uint64_t passed;          /* by either */
    uint64_t quarantined, rejected;
    uint32_t nnetworks; /* of more than there is room for, those that stay have the records with most messages */
    struct dmarc_report_network networks[DMARC_REPORT_NETWORKS];
};

/* XML, gzip of it, or a ZIP archive whose first file it is. Counts of records are added up to INT64_MAX; what cannot be
 * read in a record counts as 0, or as failed. ERR_FORMAT: it is no report, or has a document type, which could declare
 * entities; ERR_LIMIT, ERR_MEMORY, ERR_UNSUPPORTED (packed.h). */
int dmarc_report_read(const void *data, size_t len, struct dmarc_report *ret);
/* The same within so many octets of XML, from which those that it took are taken away. */
int dmarc_report_read_within(struct slice in, size_t *room, struct dmarc_report *ret);
/* Of the mail that brings it: the first attachment that is one. ERR_FORMAT: none is; ERR_LIMIT: too many parts, or
 * octets; ERR_MEMORY. */
int dmarc_report_read_mail(const void *mail, size_t len, struct dmarc_report *ret);

#endif
