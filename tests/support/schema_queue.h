/* One of each value of what goes out, for schema_records.h. */
#ifndef TESTS_SUPPORT_SCHEMA_QUEUE_H
#define TESTS_SUPPORT_SCHEMA_QUEUE_H

#include "tests/support/schema_records.h"

void records_write_queue(struct engine_txn *t);
read_fn records_read_envelope, records_read_recipient, records_read_queued, records_read_dkim;

#endif
