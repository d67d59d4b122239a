/* What the engines' tests share: making engines in a directory of their own, short spellings,
 * a digest of all that an engine holds. */
#ifndef TESTS_SUPPORT_ENGINE_CHECKS_H
#define TESTS_SUPPORT_ENGINE_CHECKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/core/error.h"
#include "store/engine.h"

enum { TURN_MS = 20, MAP = 64 << 20 };

extern char checks_dir[256];
const char *checks_fresh_dir(void);
void checks_make_lmdb(struct engine **e);
void checks_make_mem(struct engine **e);
void checks_make_fail_lmdb(struct engine **e);
void checks_make_fail_mem(struct engine **e);
struct slice checks_s(const char *text);
struct engine_txn *checks_group(struct engine *e);
struct engine_txn *checks_snapshot(struct engine *e);
void checks_expect(struct engine_txn *t, uint64_t part, const char *key, const char *value);
void checks_put1(struct engine *e, uint64_t part, const char *key, const char *value);

/* ---- engines against each other ---- */

/* Everything in two partitions, forwards and backwards, and some blobs. */
void checks_digest(struct engine *e, uint8_t out[32]);

struct op {
    unsigned kind;
    uint64_t part, id;
    uint32_t n;
    uint8_t key[ENGINE_KEY_MAX];
    size_t key_len, value_len;
    uint8_t fill;
};

struct op checks_random_op(void);
int checks_apply(struct engine_txn *t, const struct op *o);
int checks_setup(void **st);
int checks_teardown(void **st);

#endif
