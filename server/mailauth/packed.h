/* What reports of others come in: gzip (RFC 1952), or the first file of a ZIP archive. */
#ifndef MAILAUTH_PACKED_H
#define MAILAUTH_PACKED_H

#include <stdbool.h>

#include "server/core/buf.h"
#include "server/core/wire.h"

bool packed_is_gzip(struct slice data);
bool packed_is_zip(struct slice data);
/* Behind what is in out, whose maximum is what it may become. ERR_FORMAT, ERR_LIMIT, ERR_MEMORY; ERR_UNSUPPORTED: a
 * ZIP archive that is encrypted, or compressed in another way than usual. */
int packed_read_gzip(struct slice data, struct buf *out);
int packed_read_zip(struct slice data, struct buf *out);

#endif
