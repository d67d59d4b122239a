/* An ingest role against a real vault over a store in memory, all on one loop; only the gpg role is played here. The
 * client is the test, octet for octet. */
#ifndef TESTS_SUPPORT_INGEST_BENCH_H
#define TESTS_SUPPORT_INGEST_BENCH_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/support/pgp_open.h"
#include "tests/support/vault_recount.h"
#include "tests/support/vault_support.h"
#include "server/format/protection.h"
#include "server/ingest/mx/mx.h"
#include "server/ingest/transaction/quota.h"
#include "server/ingest/transaction/received.h"
#include "store/view_impl.h"

/* ---- the gpg role's part: asked for and never answered, or gone ---- */

struct gpg_seal_client {
    int gone;
    void (*done)(void *arg, int status);
    void *arg;
};

extern struct gpg_seal_client fake_gpg;

/* ---- the house ---- */

extern struct bench b;
extern struct ingest in;
extern struct view *view;
extern struct test_key key, odd_key;
extern uint64_t alice, bob, odd;

struct talker {
    int fd;
    struct watch *watch;
    char text[65536];
    size_t len;
    bool over;
};

uint64_t add_account(const char *address, uint64_t quota, const struct test_key *k);
void add_alias(const char *alias, uint64_t account, uint8_t kind);
void connect_vault(void);
void use_limits(void); /* as in.config says now, with 1,000 sessions, 50 of a peer */
int setup(void **state);
int teardown(void **state);

/* ---- the client ---- */

void on_readable(void *arg, unsigned events);
void on_tick(void *arg);
void run_ms(uint64_t ms);
extern int small_socket; /* the server's end holds only so many octets */
struct talker *dial_to(const struct smtp_receiver *kind, const char *addr);
struct talker *dial_from(const char *addr);
void hang_up(struct talker *t);
void say_len(struct talker *t, const char *text, size_t len);
void say(struct talker *t, const char *text);

/* Waits until the last line begins so; forgets what came. */
void expect(struct talker *t, const char *want);

struct talker *dial(void);
unsigned stored(uint64_t account);

#define FROM "MAIL FROM:<x@example.net>\r\n"

#define TO(who) "RCPT TO:<" who "@example.org>\r\n"

#define BODY "Subject: hello\r\n\r\nHello\r\n.\r\n"

void send_to_alice(struct talker *t, const char *want);

/* The last message of an account, opened: the payload as sealed. */
size_t open_last(uint64_t account, char *out);

#endif
