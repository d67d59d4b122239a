/* Any bytes as a DMARC report, packed or not, or as a mail with one: refused, or counted so that the parts are no more
 * than the whole. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/mailauth/dmarc_report.h"

#define CHECK(cond) ((cond) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dmarc_report r;

    if (dmarc_report_read(data, size, &r) != OK && dmarc_report_read_mail(data, size, &r) != OK)
        return 0;
    CHECK(*r.domain && records_name_valid(r.domain));
    CHECK(r.passed <= r.messages && r.by_dkim <= r.passed && r.by_spf <= r.passed);
    CHECK(r.rejected <= r.messages && r.quarantined <= r.messages && r.messages <= INT64_MAX);
    CHECK(strnlen(r.organization, sizeof(r.organization)) < sizeof(r.organization));
    CHECK(utf8_prefix(r.organization, strlen(r.organization)) == strlen(r.organization));
    CHECK(utf8_prefix(r.id, strlen(r.id)) == strlen(r.id));
    return 0;
}
