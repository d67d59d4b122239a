/* Who has written to an account: records 'f' of its partition, so that its reader is told of somebody's first mail.
 * They are noted in the commit that stores the mail, by a keyed hash that no other account shares. */
#ifndef STORE_CONTACT_H
#define STORE_CONTACT_H

#include "crypto/record.h"

enum { CONTACT_WHO = 8 /* octets of a hash that stands for somebody */ };

/* By whoever has RECORD_FEATURE. proven: the address is (DMARC passed, or it is an account of ours that has logged in).
 * One whose address is not is somebody else: who writes in a known name without proof is new. Never zeros, which are
 * nobody. */
void contact_who(const struct record_keys *k, uint64_t account, const char *address, bool proven,
                 uint8_t out[CONTACT_WHO]);

#endif
