/* One of each value of the store, written, and a table that finds and reads them. */
#ifndef TESTS_SUPPORT_SCHEMA_RECORDS_H
#define TESTS_SUPPORT_SCHEMA_RECORDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "store/correspondent_impl.h"
#include "store/dkim.h"
#include "store/dmarc_day_impl.h"
#include "store/published_impl.h"
#include "store/queue.h"
#include "store/schema.h"
#include "store/sending_impl.h"
#include "store/signin_impl.h"
#include "store/sts_policy.h"
#include "store/suppression.h"
#include "store/tls_tally.h"
#include "store/upload.h"

enum { A = 16, B = 17, CERT_LEN = 40000 };

extern struct record_keys *records_keys, *records_other_keys;
extern uint8_t records_cert[CERT_LEN];
struct engine_txn *records_group(void);
struct engine_txn *records_snapshot(void);
struct engine *records_engine(void);

/* ---- one of each ---- */

extern const struct schema_account records_account;
extern const struct schema_address records_address;
extern const struct schema_usage records_usage;
extern const struct schema_mailbox records_mailbox;
extern const struct schema_entry records_entry;
extern struct schema_mailbox_name records_mailbox_name;
extern struct schema_block records_block;
extern struct schema_tombstones records_tombstones;
extern struct schema_message records_message;
extern const struct schema_delivery records_delivery;
extern struct schema_key records_key;
extern struct schema_app_password records_password;
extern uint8_t records_password_hash[RECORD_HASH_SIZE];
extern uint8_t records_outer[SCHEMA_OUTER_MAX];

/* ---- reading each of them, as a table: damage goes through all ---- */

union got {
    struct schema_account account;
    struct schema_address address;
    struct schema_usage usage;
    struct schema_mailbox mailbox;
    struct schema_mailbox_name name;
    struct schema_keywords keywords;
    struct schema_block block;
    struct schema_entry entry;
    struct schema_message message;
    struct schema_delivery delivery;
    struct schema_key key;
    struct schema_app_password password;
    struct schema_tombstones tombstones;
    struct schema_job job;
    struct schema_copy copy;
    struct queue_envelope envelope;
    struct queue_recipient recipient;
    struct dkim_record dkim;
    struct schema_sent sent;
    struct schema_hold hold;
    struct schema_complaints complaints;
    struct dmarc_day reported;
    struct suppressed suppressed;
    struct correspondent correspondent;
    struct correspondents correspondents;
    struct sts_policy policy;
    struct tls_tally tally;
    struct published published;
    struct published_change change;
    struct published_head head;
    struct upload upload;
    struct signin signin;
    struct wrapped wrapped;
    struct session session;
    struct factor factor;
    struct invitation invitation;
    struct upload_head uploads;
    uint64_t number;
    struct {
        uint64_t account, added;
        char text[ADDRESS_MAX];
    } text;
};
extern union got records_got;

extern uint8_t records_outer_got[SCHEMA_OUTER_MAX];
struct slice records_value_at(struct engine_txn *t, uint64_t part, struct slice k);
typedef int read_fn(struct engine_txn *t, uint64_t part, struct slice k);
int records_read_listed(struct engine_txn *t, uint64_t part, struct slice k);
int records_read_password(struct engine_txn *t, uint64_t part, struct slice k);

struct record {
    const char *name;
    char letter;
    uint64_t part;
    read_fn *read;
};
enum { RECORDS = 53 };
extern const struct record records[RECORDS];

struct slice record_key(struct engine_txn *t, const struct record *r, struct schema_keybuf *kb);
/* Writes fields under the seal or tag of the record's kind; the version as it is. */
int records_put_fields(struct engine_txn *t, const struct record *r, struct slice k, const uint8_t *fields, size_t len);
int records_each_setup(void **st);
int records_each_teardown(void **st);
int records_setup(void **st);
int records_teardown(void **st);

#endif
