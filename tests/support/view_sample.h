/* A store with a little of everything, and a view of it that counts look-ups. */
#ifndef TESTS_SUPPORT_VIEW_SAMPLE_H
#define TESTS_SUPPORT_VIEW_SAMPLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/core/error.h"
#include "store/engine_impl.h"
#include "store/account.h"
#include "store/content.h"
#include "store/view_impl.h"

enum { A = 16, B = 17 };

extern const char sample_password[];
extern struct engine *sample_engine;
extern struct view *sample_view;
extern struct record_keys *sample_keys;
extern const uint8_t sample_store_key[RECORD_KEY_SIZE];
extern uint8_t sample_packets[2 * ENGINE_BLOB_CHUNK + 100];
/* Blobs without a record: 77 is hidden, 78 as it is and without a head; sample_capsule is the capsule of both. */
extern struct schema_message sample_hidden, sample_marked;
extern uint8_t sample_capsule[700];

/* ---- counting look-ups ---- */

extern unsigned sample_lookups;

/* ---- the store ---- */

void sample_fill(struct engine_txn *t);
int sample_each_setup(void **st);
int sample_each_teardown(void **st);
int sample_setup(void **st);
int sample_teardown(void **st);

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, sample_each_setup, sample_each_teardown)

#endif
