/* One of each value about correspondents, for schema_records.h. */
#ifndef TESTS_SUPPORT_SCHEMA_CORRESPONDENTS_H
#define TESTS_SUPPORT_SCHEMA_CORRESPONDENTS_H

#include "tests/support/schema_records.h"

void records_write_correspondents(struct engine_txn *t);
read_fn records_read_correspondent, records_read_correspondents;

#endif
