/* The SMTP client against anything that a server says. The first octet chooses what is wished and the second how each
 * turn's input is cut; without STARTTLS (where what came too early rightly depends on it) two cuts must give the same
 * events and commands. The harness looks at each reply as it is kept and at each command. */
#include <stdint.h>
#include <stdlib.h>

#include "tests/support/smtp_client_harness.h"

static const struct smtp_client_rcpt rcpts[] = {{"b@y", "rfc822;b@y", 2}, {"c@y", NULL, 0}, {"d@y", NULL, 0}};
static const struct smtp_client_mail mails[] = {
    {.sender = "a@x", .size = 20, .rcpts = rcpts, .n = 3},
    {.sender = "", .body_8bit = true, .rcpts = rcpts, .n = 1},
    {.sender = "a@x", .smtputf8 = true, .requiretls = true, .envid = "id", .ret = 1, .rcpts = rcpts, .n = 2},
};

static void run(struct client_harness *h, const uint8_t *data, size_t len, size_t cut)
{
    client_harness_init(h);
    h->mails = mails;
    h->nmails = 3;
    h->content = slice_str("Subject: x\r\n\r\n.dot\r\n");
    h->piece = data[0] & 2 ? 3 : 0;
    h->with_tls = data[0] & 1;
    h->user = data[0] & 4 ? "user" : NULL;
    h->texts = true;
    client_harness_run(h, data + 2, len - 2, cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct client_harness a, b;

    if (len < 2)
        return 0;
    run(&a, data, len, data[1]);
    run(&b, data, len, len);
    if (!a.with_tls && (a.log.len != b.log.len || memcmp(a.log.data, b.log.data, a.log.len) != 0))
        abort();
    client_harness_free(&a);
    client_harness_free(&b);
    return 0;
}
