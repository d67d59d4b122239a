/* Any bytes as a feedback report: refused, or read, and a report that is written of what was read reads alike. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mailauth/arf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arf_report r, again;
    char text[512 + ARF_ID_MAX];

    if (arf_read(slice_of(data, size), &r) != OK)
        return 0;
    if (strlen(r.id) > ARF_ID_MAX)
        abort();
    for (const char *c = r.id; *c; c++)
        if (*c <= ' ' || *c > '~')
            abort();
    snprintf(text, sizeof(text),
             "Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\nContent-Type: "
             "message/feedback-report\r\n\r\nFeedback-Type: %s\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
             "CFBL-Feedback-ID: %s\r\n\r\n--b--\r\n",
             r.complaint ? "abuse" : "other", r.id);
    if (arf_read(slice_str(text), &again) != OK || again.complaint != r.complaint || strcmp(again.id, r.id) != 0)
        abort();
    return 0;
}
