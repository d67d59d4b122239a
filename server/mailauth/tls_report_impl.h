/* Words of a report's JSON (RFC 8460 section 4), which writing and reading share. */
#ifndef MAILAUTH_TLS_REPORT_IMPL_H
#define MAILAUTH_TLS_REPORT_IMPL_H

#include "server/mailauth/tls_report.h"

extern const char *const tls_report_kinds[TLS_REPORT_KINDS];
extern const char *const tls_report_results[TLS_REPORT_RESULTS];

#endif
