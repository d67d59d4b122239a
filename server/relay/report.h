/* The log's lines about what goes out: one for each recipient of each try, without a name. */
#ifndef RELAY_REPORT_H
#define RELAY_REPORT_H

#include "server/relay/attempt.h"

void report_outcome(const struct attempt *t, const struct attempt_row *row);

#endif
