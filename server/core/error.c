/* The phrases for the error codes: one table, so that a code without a phrase is seen at a glance. */
#include "server/core/error.h"

#include <stddef.h>

static const char *const phrases[] = {
    [-OK] = "ok",
    [-ERR_MEMORY] = "out of memory",
    [-ERR_IO] = "input/output error",
    [-ERR_FORMAT] = "malformed input",
    [-ERR_LIMIT] = "limit exceeded",
    [-ERR_UNSUPPORTED] = "not supported",
    [-ERR_NOT_FOUND] = "not found",
    [-ERR_EXISTS] = "exists already",
    [-ERR_DENIED] = "not permitted",
    [-ERR_CONFLICT] = "wrong state",
    [-ERR_FULL] = "no room",
    [-ERR_QUOTA] = "over quota",
    [-ERR_GONE] = "peer is gone",
    [-ERR_AGAIN] = "would block",
    [-ERR_CRYPTO] = "cryptographic operation failed",
    [-ERR_VERSION] = "newer format than this program knows",
    [-ERR_REFUSED] = "refused by the gate",
    [-ERR_TIMEOUT] = "timed out",
    [-ERR_NO_KEY] = "no key that may seal",
    [-ERR_OVERRUN] = "a snapshot lived too long",
    [-ERR_UNKNOWN] = "not known whether it was done",
    [-ERR_OLD] = "older format than this program reads",
    [-ERR_UPGRADE] = "to be upgraded first",
    [-ERR_UNAPPROVED] = "not approved",
    [-ERR_MOVED] = "sent elsewhere",
};

const char *err_str(int err)
{
    const long n = sizeof(phrases) / sizeof(phrases[0]);

    if (err > 0 || err <= -n || !phrases[-err])
        return "unknown error";
    return phrases[-err];
}
