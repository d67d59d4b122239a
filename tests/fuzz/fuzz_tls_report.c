/* Any bytes as the record that asks for TLS reports, and as a report: refused, or read, and written so that it reads
 * alike. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mailauth/tls_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void record(const uint8_t *data, size_t size)
{
    struct tls_report_target out[TLS_REPORT_TARGETS_MAX];
    uint32_t n = 0;

    if (tls_report_record_read(slice_of(data, size), out, &n) != OK)
        return;
    if (n > TLS_REPORT_TARGETS_MAX)
        abort();
    for (uint32_t i = 0; i < n; i++)
        if ((out[i].mail[0] == '\0') == (out[i].url[0] == '\0') || strpbrk(out[i].mail, "\r\n "))
            abort();
}

static bool alike(const struct tls_report *a, const struct tls_report *b)
{
    if (a->npolicies != b->npolicies || a->begin != b->begin || a->end != b->end)
        return false;
    for (size_t i = 0; i < a->npolicies; i++) {
        const struct tls_report_policy *p = &a->policies[i], *q = &b->policies[i];
        if (p->kind != q->kind || p->successes != q->successes || p->failures != q->failures || p->nmx != q->nmx ||
            p->ndetails != q->ndetails)
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tls_report_read *r, *again;
    struct buf out;

    record(data, size);
    if (tls_report_read(data, size, &r) != OK)
        return 0;
    buf_init(&out, 2 * TLS_REPORT_TEXT_MAX, false);
    if (tls_report_write(tls_report_of(r), &out) == OK && out.len <= TLS_REPORT_TEXT_MAX) {
        if (tls_report_read(out.data, out.len, &again) != OK || !alike(tls_report_of(r), tls_report_of(again)))
            abort();
        tls_report_read_free(again);
    }
    tls_report_read_free(r);
    buf_free(&out);
    return 0;
}
