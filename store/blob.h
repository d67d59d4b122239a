/* What an account keeps beside its records. Kinds are apart so that an engine may keep each where it likes: packets are
 * many octets that are read seldom, capsules and certificates few that are read often. */
#ifndef STORE_BLOB_H
#define STORE_BLOB_H

#include <stdint.h>

enum blob_kind {
    BLOB_PACKETS,    /* a message's OpenPGP packets, under its id */
    BLOB_CAPSULE,    /* its capsule, under the same id */
    BLOB_CERTIFICATE /* sealed, under the number that its key's record names */
};
enum { BLOB_KINDS = 3 };
#define BLOB_ID_MAX (UINT64_C(1) << 62) /* ids are below it */

#endif
