/* Mail from the world (MX, RFC 5321): a receiver that takes it for accounts which are here, and for nobody else. */
#ifndef INGEST_MX_H
#define INGEST_MX_H

#include "server/ingest/smtp/session.h"

extern const struct smtp_receiver mx_receiver;

#endif
