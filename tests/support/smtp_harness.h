/* Runs the SMTP engine over a script, cut as asked, and writes down events and replies in order. */
#ifndef TESTS_SUPPORT_SMTP_HARNESS_H
#define TESTS_SUPPORT_SMTP_HARNESS_H

#include <stdlib.h>
#include <string.h>

#include "server/core/buf.h"
#include "server/core/error.h"
#include "server/proto/smtp.h"

struct harness {
    struct smtp *s;
    struct buf in, log, content;
    struct smtp_params p;
    int refuse_begin, refuse_end;
    bool tell_refused; /* writes SMTP_REFUSED down too */
    bool closed;
    unsigned auth_steps;
    uint32_t errors, told; /* replies 5xx; those that an event has told of */
};

extern struct smtp_params harness_params, harness_submission;
void harness_init(struct harness *h, const struct smtp_params *p);
void harness_free(struct harness *h);
void harness_feed(struct harness *h, const void *data, size_t len);

/* cut 0: octet by octet; else two pieces. */
void harness_run(struct harness *h, const void *data, size_t len, size_t cut);

#endif
