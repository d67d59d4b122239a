/* Mail from the world (MX, RFC 5321): a receiver that accepts mail for local accounts and relays none. */
#ifndef INGEST_MX_H
#define INGEST_MX_H

#include "server/ingest/smtp/session.h"

extern const struct smtp_receiver mx_receiver;

#endif
