/* Any bytes as the record that says that there is an MTA-STS policy, and as a policy: refused, or read, and written
 * anew read alike. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mailauth/mta_sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void record(const uint8_t *data, size_t size)
{
    char id[MTA_STS_ID_MAX + 1], text[64], again[MTA_STS_ID_MAX + 1];

    if (mta_sts_record_read(slice_of(data, size), id) != OK)
        return;
    if (id[0] == '\0' || strlen(id) > MTA_STS_ID_MAX || strpbrk(id, " ;=\r\n"))
        abort();
    snprintf(text, sizeof(text), "v=STSv1; id=%s", id);
    if (mta_sts_record_read(slice_str(text), again) != OK || strcmp(id, again) != 0)
        abort();
}

static size_t write_policy(const struct mta_sts_policy *p, char *out, size_t cap)
{
    static const char *const modes[] = {"none", "testing", "enforce"};
    size_t len = (size_t)snprintf(out, cap, "version: STSv1\nmode: %s\nmax_age: %u\n", modes[p->mode], p->max_age);

    for (size_t at = 0; at < p->mx_len; at += strlen(p->mx + at) + 1)
        len += (size_t)snprintf(out + len, cap - len, "mx: %s\n", p->mx + at);
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mta_sts_policy p, again;
    static char text[8 * MTA_STS_MX_MAX];

    record(data, size);
    if (mta_sts_policy_read(slice_of(data, size), &p) != OK)
        return 0;
    if (p.mx_len > sizeof(p.mx) || (p.mx_len && p.mx[p.mx_len - 1] != '\0') || p.max_age > MTA_STS_AGE_MAX)
        abort();
    for (size_t at = 0; at < p.mx_len; at += strlen(p.mx + at) + 1)
        if (p.mx[at] != '*' && !mta_sts_fits(&p, p.mx + at))
            abort();
    if (mta_sts_policy_read(slice_of(text, write_policy(&p, text, sizeof(text))), &again) != OK ||
        again.mode != p.mode || again.max_age != p.max_age || again.mx_len != p.mx_len ||
        memcmp(again.mx, p.mx, p.mx_len) != 0)
        abort();
    return 0;
}
