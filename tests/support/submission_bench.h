/* Submission by an ingest role as in ingest_bench.h: alice and odd have a password of scope smtp, bob one of another;
 * logins go by a stand-in of master, and there is a queue. */
#ifndef TESTS_SUPPORT_SUBMISSION_BENCH_H
#define TESTS_SUPPORT_SUBMISSION_BENCH_H

#include "tests/support/ingest_bench.h"
#include "tests/support/master_stand_in.h"

#include "server/ingest/submission/submission.h"
#include "server/queue/enqueue.h"
#include "crypto/pgp_open.h"

extern const char submission_password[];
int submission_up(void **state);
int submission_down(void **state);
struct talker *submission_dial(void); /* from loopback, which may log in without TLS */
void submission_plain(struct talker *t, const char *user, const char *password);
struct talker *submission_logged_in_as(const char *user);
struct talker *submission_logged_in(void); /* alice */

/* What is in the queue, as relay reads it: all ids, and one message with its text; SIZE_MAX: the last. */
struct submission_queued {
    uint64_t ids[8];
    size_t n, asked;
    struct queue_envelope envelope; /* of the one that was asked for */
    struct queue_recipient to[512];
    size_t nto;
    char text[65536];
    size_t len;
    struct pgp_open *open;
};

const struct submission_queued *submission_queued(size_t nth);

#define OURS "MAIL FROM:<alice@example.org>\r\n"

#endif
