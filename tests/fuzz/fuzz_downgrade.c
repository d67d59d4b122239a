/* Any octets as a mail for a server that takes less: what comes out fits, is not much longer, and stays as it is when
 * it is made fit once more. */
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/downgrade.h"

static void must(int ok)
{
    if (!ok)
        abort();
}

static size_t flatten(const struct secmem_msg *m, uint8_t *out)
{
    size_t n = 0;

    for (const struct secmem_chunk *c = m->first; c; c = c->next) {
        memcpy(out + n, c->data, c->len);
        n += c->len;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct secmem_msg once = {0}, twice = {0};
    struct mail_shape shape;

    if (len < 1)
        return 0;
    const bool to_7bit = data[0] & 1;
    const struct iovec mail = {(void *)(data + 1), len - 1};
    mail_shape(&mail, 1, &shape);
    if (mail_downgrade(&mail, 1, to_7bit, &once) != OK) {
        must(once.len == 0);
        return 0;
    }
    must(once.len <= len * 4 + 1000);
    uint8_t *a = malloc(once.len + 1);
    must(a != NULL);
    const struct iovec again = {a, flatten(&once, a)};
    mail_shape(&again, 1, &shape);
    must(shape.bare || shape.longest <= DOWNGRADE_LINE_MAX);
    must(shape.bare || !to_7bit || !shape.body_8bit);
    if (!shape.bare && !shape.header_8bit && mail_downgrade(&again, 1, to_7bit, &twice) == OK) {
        uint8_t *b = malloc(twice.len + 1);
        must(b && flatten(&twice, b) == again.iov_len && memcmp(a, b, again.iov_len) == 0);
        free(b);
    }
    free(a);
    secmem_msg_release(&once);
    secmem_msg_release(&twice);
    return 0;
}
