/* Runs the SMTP client over what a server says, and writes down its events and commands in order. A script is what the
 * server says, turn by turn, with 0xff between turns: the client's output is taken at the end of each. */
#ifndef TESTS_SUPPORT_SMTP_CLIENT_HARNESS_H
#define TESTS_SUPPORT_SMTP_CLIENT_HARNESS_H

#include <stdlib.h>
#include <string.h>

#include "server/core/buf.h"
#include "server/core/error.h"
#include "server/proto/smtp_client.h"

struct client_harness {
    struct smtp_client *c;
    struct buf in, log;
    const struct smtp_client_mail *mails; /* one after another; then QUIT */
    size_t nmails, at;
    struct slice content; /* of each; given in pieces of that many octets, 0: whole */
    size_t piece;
    bool with_tls;    /* started where it is offered */
    const char *user; /* NULL: no login */
    bool handshake, login_done, closed, texts;
};

void client_harness_init(struct client_harness *h);
void client_harness_free(struct client_harness *h);
/* cut 0: octet by octet; else each turn in two pieces. The log ends with a NUL. */
void client_harness_run(struct client_harness *h, const void *script, size_t len, size_t cut);

#endif
