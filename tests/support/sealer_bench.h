/* The sealer over a store in memory, with the gpg role played here. */
#ifndef TESTS_SUPPORT_SEALER_BENCH_H
#define TESTS_SUPPORT_SEALER_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <fcntl.h>
#include <unistd.h>
#include <cmocka.h>

#include "server/format/protection.h"
#include "crypto/pgp_armor.h"
#include "crypto/pgp_seal.h"
#include "server/sealer/sealer.h"
#include "store/account.h"
#include "store/view_impl.h"
#include "server/format/render.h"
#include "store/vault/gate.h"
#include "tests/support/pgp_open.h"
#include "tests/unit/armor.h"

enum { NOW = 1800000000 };

extern const char RECEIVED[];

/* ---- the gpg role's part ---- */

struct gpg_seal_client {
    int gone, fail_at, calls, pending;
};

struct gpg_seal_op {
    struct pgp_recipient *to[4];
    size_t n;
    const struct iovec *in;
    size_t iovcnt;
    pgp_sink *sink;
    void *sink_arg;
    void (*done)(void *arg, int status);
    void *arg;
    int calls;
};

extern struct gpg_seal_client gpg;
extern struct test_key keys[3]; /* alice's two, a stranger's */
void gpg_run(void);

/* ---- the store ---- */

extern struct engine *engine;
extern struct view *view;
extern struct sealer *sealer;
extern uint64_t alice;
struct vault_approval approval_for(struct vault_request q, struct slice cert);
void write_group(int (*fn)(struct store_write *w, void *arg), void *arg);
int add_key(struct store_write *w, void *arg);
int setup(void **state);
int teardown(void **state);

/* ---- sealing ---- */

struct outcome {
    int calls, status;
    struct seal_result r;
};

void on_done(void *arg, int status, const struct seal_result *r);
int open_fds(void);
extern const char *routed_to; /* the account's primary address then; NULL: any */
struct outcome seal(const char *mail, size_t len, size_t piece);
extern bool keep_wildcard; /* what the gate is told */

/* The vault's gate must let it in. */
void check_gate(const struct outcome *o, const struct parcel *p);

/* Opens the parcel, checks it from all sides, and that key k gives back the original. */
void check_sealed(struct outcome *o, const struct test_key *k, const char *mail, size_t len);

#define MAIL                                                                        \
    "From: Bob <bob@example.net>\r\nTo: alice@example.org\r\nSubject: a secret\r\n" \
    "Message-ID: <1@example.net>\r\n\r\nHello\r\n"

void use_gpg(void);

#endif
