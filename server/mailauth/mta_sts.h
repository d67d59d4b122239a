/* MTA-STS (RFC 8461) without I/O: the record that says that a domain has a policy, the policy, and whether a host is
 * one of its MX. */
#ifndef MAILAUTH_MTA_STS_H
#define MAILAUTH_MTA_STS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"

enum {
    MTA_STS_ID_MAX = 32,
    MTA_STS_TEXT_MAX = 48 * 1024, /* octets of a policy (section 3.3 suggests 64 KB as the most) */
    MTA_STS_MX_MAX = 4096,        /* octets of its patterns, one more for each */
    MTA_STS_AGE_MAX = 31557600,   /* seconds: section 3.2 */
    MTA_STS_OWN_MAX = 4096,       /* octets of a policy of our own */
};

/* txt: one of the strings at _mta-sts.DOMAIN. ERR_NOT_FOUND: it is another kind of record; ERR_FORMAT: it is written
 * wrongly (section 3.1). With more than one record that is not ERR_NOT_FOUND a domain has no policy, nor with one that
 * is wrong. */
int mta_sts_record_read(struct slice txt, char id[MTA_STS_ID_MAX + 1]);

enum mta_sts_mode { MTA_STS_NONE, MTA_STS_TESTING, MTA_STS_ENFORCE };
struct mta_sts_policy {
    enum mta_sts_mode mode;
    uint32_t max_age; /* seconds */
    size_t mx_len;
    char mx[MTA_STS_MX_MAX]; /* patterns in lower case, each with a NUL */
};
/* ERR_FORMAT: section 3.2; ERR_LIMIT: more patterns than are kept here. */
int mta_sts_policy_read(struct slice text, struct mta_sts_policy *ret);
/* A policy of our own. mode: its word; mx: patterns with commas between them. Returns its octets; 0: they are too many.
 * The id of a policy follows from its text, so a changed one has another (section 3.1). */
size_t mta_sts_policy_write(const char *mode, const char *mx, uint32_t max_age, char out[MTA_STS_OWN_MAX]);
void mta_sts_policy_id(struct slice text, char id[MTA_STS_ID_MAX + 1]);
/* host: lower case, A-labels, without a final dot (section 4.1). */
bool mta_sts_fits(const struct mta_sts_policy *p, const char *host);

#endif
