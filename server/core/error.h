/* The one error convention. Every function that can fail returns an int: OK or one of these. It leaves its ret_ outputs
 * untouched when it fails. Bugs abort; hostile input and shortage are returned. */
#ifndef CORE_ERROR_H
#define CORE_ERROR_H

enum {
    OK = 0,
    ERR_MEMORY = -1,      /* out of memory or of a budget; trying later may help */
    ERR_IO = -2,          /* the operating system failed us */
    ERR_FORMAT = -3,      /* input is malformed */
    ERR_LIMIT = -4,       /* input exceeds a stated limit */
    ERR_UNSUPPORTED = -5, /* well-formed, but nothing we can do */
    ERR_NOT_FOUND = -6,
    ERR_EXISTS = -7,
    ERR_DENIED = -8,   /* not permitted, or a login refused */
    ERR_CONFLICT = -9, /* a precondition does not hold (any more) */
    ERR_FULL = -10,    /* disk, queue or map full; trying later may help */
    ERR_QUOTA = -11,   /* over the account's quota */
    ERR_GONE = -12,    /* the peer closed or its process died */
    ERR_AGAIN = -13,   /* would block */
    ERR_CRYPTO = -14,  /* a primitive failed */
    ERR_VERSION = -15, /* a newer format than this program knows */
    ERR_REFUSED = -16, /* the vault's gate refused what it was given */
    ERR_TIMEOUT = -17,
    ERR_NO_KEY = -18,     /* the account has no key that may seal */
    ERR_OVERRUN = -19,    /* a snapshot of the store lived too long: what it showed is void, do it again */
    ERR_UNKNOWN = -20,    /* whether it was done cannot be told yet; doing it again may help */
    ERR_OLD = -21,        /* an older format than this program reads */
    ERR_UPGRADE = -22,    /* letterlock upgrade has to bring the store up to date first */
    ERR_UNAPPROVED = -23, /* nobody with the store key's root has approved it (store/approval.h) */
    ERR_MOVED = -24,      /* it is said to be elsewhere, where nobody follows */
};

/* A short English phrase, never NULL; unknown codes give "unknown error". */
const char *err_str(int err);

#endif
