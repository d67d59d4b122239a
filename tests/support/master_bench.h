/* Master with stand-ins for its roles: the test program is executed again as "role:NAME" and does what the file
 * DIR/NAME.behave says. */
#ifndef TESTS_SUPPORT_MASTER_BENCH_H
#define TESTS_SUPPORT_MASTER_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/base/ipc.h"
#include "server/base/role.h"
#include "server/master/control.h"
#include "server/master/master.h"
#include "server/master/offline.h"
#include "server/master/spawn.h"
#include "store/engine.h"
#include "store/storekey.h"

/* ---- the stand-in ---- */

struct role_state {
    const char *name;
    struct loop *loop;
    uint64_t fds, peers, admins, pings, configs, tls, certs, message_max, smtp_sessions, secrets, uses, keys_hash,
        answers, wait_ms;
};
extern struct role_state role;

int stand_in(const char *name);

/* All octets of the keys that are there, and of the approver. */
uint64_t hash_of_keys(const struct record_bundle *b);

/* ---- the test's side ---- */

extern char top[200], master_dir[400];
extern uint32_t base;
extern struct storekey_roots key;
extern pid_t server;
extern const struct watchdog_params patient, quick;
extern const struct watchdog_params *watchdog;
extern char said[65536];
extern size_t said_len;
void write_text(const char *name, const char *text, size_t len);
void behave(const char *name, const char *how);
void write_config(uint64_t message_max);
int setup(void **state);
int teardown(void **state);
void serve(void);

/* Reads what the server says until it says this. false: it ended or time is up. */
bool says(const char *what, int ms);

int ended(int ms);
void serve_ready(void);

/* After a test that failed: the next one starts its own. */
int kill_server(void **state);

#define SERVED(test) cmocka_unit_test_teardown(test, kill_server)

void stop(void);

/* What a stand-in counts, under the numbers of other counters. */
#define STAND_IN_COUNTERS(X) \
    X(fds)                   \
    X(peers)                 \
    X(admins)                \
    X(pings)                 \
    X(configs)               \
    X(tls) X(certs) X(message_max) X(smtp_sessions) X(secrets) X(uses) X(keys_hash) X(uid) X(answers) X(wait_ms)
#define STAND_IN_ENUM(name) SAYS_##name,
enum { STAND_IN_COUNTERS(STAND_IN_ENUM) };

struct seen {
    char role[32];
    uint32_t instance;
    uint64_t pid, restarts, fds, peers, admins, pings, configs, tls, certs, message_max, smtp_sessions, secrets, uses,
        keys_hash, uid, hangs, answers, wait_ms, counters;
};

extern struct seen seen[32];
extern uint32_t nseen;
void status(void);
struct seen *master_find(const char *name, uint32_t instance);

/* Until a fresh process of that role counts. */
struct seen *reborn(const char *name, uint32_t instance, uint64_t old_pid);

#endif
