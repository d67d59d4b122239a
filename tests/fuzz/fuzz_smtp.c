/* The SMTP engine against anything. The first octet chooses options, submission among them, and the second how the
 * input is cut; without * STARTTLS (whose answer rightly depends on what has already come) two different cuts must give
 * the same events and * replies. The harness looks at each message that is accepted and at each reply. */
#include <stdint.h>
#include <stdlib.h>

#include "tests/support/smtp_harness.h"

static void feed_all(struct harness *h, const uint8_t *data, size_t len, size_t step)
{
    for (size_t i = 0; i < len; i += step)
        harness_feed(h, data + i, len - i < step ? len - i : step);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct smtp_params p = len > 0 && data[0] & 128 ? harness_submission : harness_params;
    struct harness a, b;

    if (len < 2)
        return 0;
    p.starttls = data[0] & 1;
    p.xclient = !p.submission.mechanisms && data[0] & 2;
    p.submission.clear = data[0] & 2 ? NULL : p.submission.mechanisms;
    p.errors_max = data[0] & 4 ? 5 : 1000;
    p.message_max = data[0] & 8 ? 20 : 2000;
    p.text_line_max = data[0] & 16 ? 10 : 300;
    harness_init(&a, &p);
    harness_init(&b, &p);
    a.tell_refused = b.tell_refused = true;
    smtp_set_tag(a.s, "0123456789abcdef");
    smtp_set_tag(b.s, "0123456789abcdef");
    a.refuse_begin = b.refuse_begin = data[0] & 32;
    a.refuse_end = b.refuse_end = data[0] & 64;
    feed_all(&a, data + 2, len - 2, (size_t)data[1] + 1);
    feed_all(&b, data + 2, len - 2, len);
    if (!p.starttls && (a.log.len != b.log.len || (a.log.len && memcmp(a.log.data, b.log.data, a.log.len) != 0)))
        abort();
    harness_free(&a);
    harness_free(&b);
    return 0;
}
