/* Who really wrote a message from the world: SPF, DKIM, ARC, DMARC and the peer's names judged while it is in memory,
 * and what follows from them. The engines are server/mailauth's; here are their questions asked (answers.h), the time
 * that they may take, and the rules of the configuration. Nothing blocks the loop. */
#ifndef INGEST_JUDGE_JUDGE_H
#define INGEST_JUDGE_JUDGE_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "server/base/config.h"
#include "server/base/event.h"
#include "server/dns/dns.h"
#include "server/ingest/judge/answers.h"
#include "server/mailauth/auth_results.h"

enum {
    JUDGE_MS = 20 * 1000,                /* from when a message is whole until its verdict (RFC 7208 section 4.6.4) */
    JUDGE_SOFT_MS = 3 * 1000,            /* of these for the peer's names alone, from which nothing has to follow */
    JUDGE_OCTETS_MAX = 64 * 1024 * 1024, /* of answers, for all messages under way */
    JUDGE_WARNINGS_MAX = 128,
};

/* ---- the process's ---- */

struct judge;
struct judge *judge_create(struct loop *l, struct dns *d); /* NULL: no memory */
void judge_destroy(struct judge *j);                       /* after every judging of it; NULL is allowed */
void judge_configure(struct judge *j, const struct config *c);
void judge_stop(struct judge *j); /* who waits, and who would, is told JUDGE_DEFER */
struct answers *judge_answers(const struct judge *j);
/* Mail of this peer is not judged (auth_exempt). */
bool judge_exempts(const struct judge *j, const struct sockaddr_storage *peer);

/* ---- a connection's ---- */

enum judge_action {
    JUDGE_ACCEPT,
    JUDGE_JUNK,
    JUDGE_DEFER,
    JUDGE_REJECT,
};
struct judge_result {
    bool judged; /* false: of an exempt peer, and nothing else counts but that it is accepted */
    struct mailauth_verdict verdict;
    uint32_t listed; /* the weight of the block lists that its peer is on */
    enum judge_action action;
    enum event_REASON why;             /* of what is no JUDGE_ACCEPT */
    char field[AUTH_RESULTS_MAX + 1];  /* Authentication-Results, complete, or "" */
    char warnings[JUDGE_WARNINGS_MAX]; /* for the capsule: words with commas between them, or "" */
};

/* One message after another of a connection. What is found of the connection itself is kept for its further ones. */
struct judging;
struct judging *judging_create(struct judge *j); /* NULL: no memory */
void judging_destroy(struct judging *g);         /* done is not called; NULL is allowed */

/* A message begins, and the questions that need no more than this. Texts are copied. Whatever there was of a message
 * before is forgotten. ERR_MEMORY. */
struct judging_mail {
    const struct sockaddr_storage *peer;
    const char *helo, *sender; /* as they were said; "": the null path */
};
int judging_begin(struct judging *g, const struct judging_mail *m);
bool judging_begun(const struct judging *g);
/* The message is whole: mail in pieces, which are read before this returns. OK: judged, and done is not called;
 * ERR_AGAIN: done is called, once, from the loop; ERR_MEMORY. */
int judging_whole(struct judging *g, const struct iovec *mail, size_t n, void (*done)(void *arg), void *arg);
/* Once it is judged, until the next begin, or reset. */
const struct judge_result *judging_result(const struct judging *g);
void judging_reset(struct judging *g); /* nothing of the message is left; done is not called */

#endif
