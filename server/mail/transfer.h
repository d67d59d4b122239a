/* Content-transfer-encodings as they are written (RFC 2045 sections 6.7 and 6.8). Reading them is encoding.h's. */
#ifndef MAIL_TRANSFER_H
#define MAIL_TRANSFER_H

#include <stdint.h>

#include "server/core/wire.h"

enum transfer { TRANSFER_NONE /* 7bit, 8bit, binary */, TRANSFER_QUOTED_PRINTABLE, TRANSFER_BASE64, TRANSFER_UNKNOWN };

typedef int transfer_sink(void *arg, const uint8_t *data, size_t len); /* not OK ends it */

/* A body with lines ended by CRLF, in ASCII and lines of at most 76 octets. A body that has an encoding keeps it (to is
 * from), and is brought into its form: what it decodes to stays. */
int transfer_encode(enum transfer from, enum transfer to, struct slice body, transfer_sink *sink, void *arg);

#endif
