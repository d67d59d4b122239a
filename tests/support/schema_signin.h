/* One of each value about signing in, for schema_records.h. */
#ifndef TESTS_SUPPORT_SCHEMA_SIGNIN_H
#define TESTS_SUPPORT_SCHEMA_SIGNIN_H

#include "tests/support/schema_records.h"

enum { RECORDS_ENVELOPE = 9000 /* two pieces */ };
void records_write_signin(struct engine_txn *t);
read_fn records_read_signin, records_read_wrapped, records_read_session, records_read_factor, records_read_invitation;

#endif
