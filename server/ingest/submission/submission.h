/* Mail from our own people (RFC 6409): a receiver that lets in by app password, takes mail from an account's own
 * addresses alone, deposits what is for accounts here, and hands the rest to the outgoing queue. */
#ifndef INGEST_SUBMISSION_H
#define INGEST_SUBMISSION_H

#include "server/ingest/smtp/session.h"

extern const struct smtp_receiver submission_receiver;

#endif
