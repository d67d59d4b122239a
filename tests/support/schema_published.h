/* One of each value of the keyserver's partition, for schema_records.h. */
#ifndef TESTS_SUPPORT_SCHEMA_PUBLISHED_H
#define TESTS_SUPPORT_SCHEMA_PUBLISHED_H

#include "tests/support/schema_correspondents.h"

void records_write_published(struct engine_txn *t);
read_fn records_read_published, records_read_change, records_read_head, records_read_upload, records_read_upload_cert,
    records_read_uploads;

#endif
