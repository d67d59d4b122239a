/* A Content-Type written so that every reader reads it alike. */
#ifndef MAIL_MIME_REPAIR_H
#define MAIL_MIME_REPAIR_H

#include "server/core/buf.h"
#include "server/core/wire.h"

/* Appends it to out, without hp and protected-headers, ending in no semicolon. Where it breaks RFC 2045's grammar that
 * is type, subtype and what GMime reads of the parameters; a boundary stays as it stands, since it must be what the
 * body has. ERR_NOT_FOUND: there is no type/subtype; ERR_MEMORY, ERR_LIMIT. */
int mime_repair_type(struct slice value, struct buf *out);

#endif
