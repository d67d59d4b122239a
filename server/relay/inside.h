/* What is done with a job without a connection: held mail is delivered here, senders are told (DSNs), time ends. Both
 * go to ingest, which seals and stores them once, however often they are handed over. */
#ifndef RELAY_INSIDE_H
#define RELAY_INSIDE_H

#include "server/relay/relay.h"

void inside_begin(struct relay *r, struct job *j);

#endif
