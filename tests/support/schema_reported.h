/* What is reported, to others and by them (store/tls_tally.h, store/dmarc_day.h), for schema_records.c. */
#ifndef TESTS_SUPPORT_SCHEMA_REPORTED_H
#define TESTS_SUPPORT_SCHEMA_REPORTED_H

#include "tests/support/schema_records.h"

void records_write_reported(struct engine_txn *t);
read_fn records_read_reported, records_read_tally;

#endif
