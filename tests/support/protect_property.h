/* The property every mail must have: protected, outside as the gate wants it, and given back exactly. Shared by unit
 * tests, the fuzzer and protect_tool. */
#ifndef TESTS_SUPPORT_PROTECT_PROPERTY_H
#define TESTS_SUPPORT_PROTECT_PROPERTY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/format/protection.h"
#include "server/core/error.h"
#include "server/format/outer.h"
#include "store/schema.h"

extern const uint8_t property_key[32];
struct protect_params property_params(enum header_policy policy);

/* The mail's header, as far as `have` octets show it. */
int property_parse(const uint8_t *mail, size_t have, struct header_view *ret);

int property_protect(const struct protect_params *p, const uint8_t *mail, size_t have, size_t total,
                     struct protected_mail *ret);

/* 0: holds or the mail is refused as a whole with ERR_LIMIT; -1: why is filled in. chunk: the original's pieces have
 * this size. ret_payload (may be NULL): malloc'd. */
int property_check(const uint8_t *mail, size_t len, enum header_policy policy, size_t chunk, char why[256],
                   uint8_t **ret_payload, size_t *ret_payload_len, char *ret_outer /* OUTER_MAX + 1 or NULL */);

#endif
