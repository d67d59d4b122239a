/* What the parts of SCRAM share; nobody else includes it. */
#ifndef PROTO_SCRAM_IMPL_H
#define PROTO_SCRAM_IMPL_H

#include "server/proto/scram.h"

int scram_hmac(const uint8_t key[SCRAM_KEY_SIZE], const char *text, uint8_t out[SCRAM_KEY_SIZE]);
/* The value of the attribute that stands next in *left, which must be that one; it goes on behind its comma. */
int scram_take(struct slice *left, char name, struct slice *ret);
bool scram_printable(struct slice s);

#endif
