/* IMAP sessions over real sockets, with a real vault over the memory engine, all in one loop. Sealing is replaced: a
 * parcel of a fixed shape, or an error. */
#ifndef TESTS_SUPPORT_ACCESS_BENCH_H
#define TESTS_SUPPORT_ACCESS_BENCH_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <sodium.h>

#include "server/core/secmem.h"
#include "server/access/imap/dispatch.h"
#include "server/access/imap/notice.h"
#include "server/access/imap/session.h"
#include "tests/support/master_stand_in.h"
#include "tests/support/vault_support.h"

#define PASSWORD "abcd-efgh-ijkl-mnop-qrst-uvwx-yz"

extern struct bench bench;
extern struct access acc;

/* ---- the sealer's place ---- */

extern int seal_status; /* what the next seal gives */

extern bool seal_foreign; /* mail is taken to come sealed */
extern size_t seal_len;
extern size_t sealed_mail_len;
extern char sealed_for[ADDRESS_MAX]; /* the primary address that was given */

/* A seal that takes its time: held until seal_finish. */
extern bool seal_later;

struct seal_op {
    seal_done_fn *done;
    void *arg;
};

extern struct seal_op held;
void seal_finish(void);

/* ---- clients ---- */

struct client_end {
    int fd;
    struct watch *watch;
    struct timer *limit;
    char *text;
    size_t len, cap;
    const char *until;
    bool closed, late;
    size_t slow;
};

const char *wait_for(struct client_end *c, const char *until);
void client_open(struct client_end *c);
void client_close(struct client_end *c);
void send_bytes(struct client_end *c, const void *data, size_t len);

/* Sends a command under the tag "t" and returns everything up to its answer. */
__attribute__((format(printf, 2, 3))) const char *say(struct client_end *c, const char *fmt, ...);

/* One more app password of the account. */
void bench_password(const char *password, const char *label);

void bench_limits(uint64_t octets, uint64_t octets_peer); /* of the budget, in all and of a peer */
void bench_up(void);
void bench_down(void);
void deliver(uint32_t mailbox, uint64_t flags, size_t len);
void client_in(struct client_end *c);
void check(const char *text, const char *what, bool wanted, int line);

#define HAS(text, what) check(text, what, true, __LINE__)

#define LACKS(text, what) check(text, what, false, __LINE__)

#endif
