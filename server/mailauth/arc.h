/* The structure of a message's ARC sets (RFC 8617 section 4), before anything of them is verified. */
#ifndef MAILAUTH_ARC_H
#define MAILAUTH_ARC_H

#include "server/mail/header.h"
#include "server/mailauth/dkim_verify.h"

enum arc_part { ARC_RESULTS, ARC_MESSAGE, ARC_SEAL, ARC_PARTS };

struct arc_sets {
    size_t field[ARC_SETS_MAX][ARC_PARTS]; /* their numbers in the header */
    unsigned n;                            /* 0: no chain */
};
/* DKIM_VERIFIED: sets 1 to n have each part once, or there are none; DKIM_CHAIN_BROKEN, DKIM_CHAIN_LONG. */
enum dkim_reason arc_sets_read(const struct header_view *v, struct arc_sets *ret);

#endif
