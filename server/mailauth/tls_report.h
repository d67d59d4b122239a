/* TLS reports (RFC 8460) without I/O: the record that asks for them, the report, written and read, and the mail that
 * carries it. */
#ifndef MAILAUTH_TLS_REPORT_H
#define MAILAUTH_TLS_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "server/core/buf.h"
#include "server/core/wire.h"
#include "server/mail/address.h"

/* ---- who wants them (section 3) ---- */

enum { TLS_REPORT_TARGETS_MAX = 4, TLS_REPORT_URL_MAX = 500 };
struct tls_report_target {
    char mail[ADDRESS_MAX]; /* "": it is a URL */
    char url[TLS_REPORT_URL_MAX + 1];
};
/* txt: one of the strings at _smtp._tls.DOMAIN. Targets past the first four, and those of other schemes, are passed
 * over. ERR_NOT_FOUND: it is another kind of record; ERR_FORMAT: it asks for reports, but not rightly; then a domain
 * wants none. With more than one record that is not ERR_NOT_FOUND it wants none either. */
int tls_report_record_read(struct slice txt, struct tls_report_target out[TLS_REPORT_TARGETS_MAX], uint32_t *ret_n);

/* ---- the report (section 4) ---- */

enum tls_report_kind { TLS_REPORT_NO_POLICY = 1, TLS_REPORT_TLSA, TLS_REPORT_STS, TLS_REPORT_KINDS };
/* Section 4.3. */
enum tls_report_result {
    TLS_REPORT_OTHER, /* read: a word that is not known here */
    TLS_REPORT_STARTTLS_NOT_SUPPORTED,
    TLS_REPORT_CERTIFICATE_HOST_MISMATCH,
    TLS_REPORT_CERTIFICATE_EXPIRED,
    TLS_REPORT_CERTIFICATE_NOT_TRUSTED,
    TLS_REPORT_VALIDATION_FAILURE,
    TLS_REPORT_TLSA_INVALID,
    TLS_REPORT_DNSSEC_INVALID,
    TLS_REPORT_DANE_REQUIRED,
    TLS_REPORT_STS_POLICY_FETCH_ERROR,
    TLS_REPORT_STS_POLICY_INVALID,
    TLS_REPORT_STS_WEBPKI_INVALID,
    TLS_REPORT_RESULTS
};
const char *tls_report_result_word(enum tls_report_result r);

/* Texts may be NULL, where nothing is said. */
struct tls_report_detail {
    enum tls_report_result result;
    const char *word; /* read: as it stands there */
    const char *sending_ip, *receiving_ip, *mx, *helo, *reason;
    uint64_t sessions;
};
struct tls_report_policy {
    enum tls_report_kind kind;
    const char *domain;
    const char *const *lines; /* of the policy */
    size_t nlines;
    const char *const *mx;
    size_t nmx;
    uint64_t successes, failures;
    const struct tls_report_detail *details;
    size_t ndetails;
};
struct tls_report {
    const char *organization, *contact, *id;
    int64_t begin, end; /* seconds since 1970 */
    const struct tls_report_policy *policies;
    size_t npolicies;
};

enum {
    TLS_REPORT_TEXT_MAX = 1024 * 1024,  /* octets of JSON, of a report that is read: more is ERR_LIMIT */
    TLS_REPORT_PACKED_MAX = 256 * 1024, /* the same before it is unpacked */
    TLS_REPORT_ITEMS_MAX = 1000,        /* of each list */
};

/* Appends the JSON. ERR_MEMORY, ERR_LIMIT: out has no room; ERR_FORMAT: a text that is not UTF-8. */
int tls_report_write(const struct tls_report *r, struct buf *out);
/* The same, by gzip. */
int tls_report_pack(const struct tls_report *r, struct buf *out);

struct tls_report_read; /* owns what it is asked for */
/* JSON, or gzip of it. What others leave out, or say with null, is left out: section 4.4 demands more than they do.
 * ERR_FORMAT: it is no report; ERR_LIMIT; ERR_MEMORY. */
int tls_report_read(const void *data, size_t len, struct tls_report_read **ret);
const struct tls_report *tls_report_of(const struct tls_report_read *r);
void tls_report_read_free(struct tls_report_read *r);

/* ---- the mail (section 5.3) ---- */

struct tls_report_mail {
    const char *from, *to;  /* addresses */
    const char *domain;     /* that is reported on */
    const char *submitter;  /* our own domain */
    const char *message_id; /* without its brackets */
    int64_t date;
};
/* Appends the whole message, CRLF lines. Errors as of tls_report_pack. */
int tls_report_mail_write(const struct tls_report_mail *m, const struct tls_report *r, struct buf *out);

#endif
