/* The records of who has written to an account: the inside of the store, and the vault. */
#ifndef STORE_CONTACT_IMPL_H
#define STORE_CONTACT_IMPL_H

#include "store/contact.h"
#include "store/engine.h"
#include "store/write.h"

/* Of an entry's week: this one wrote in an earlier week as well. */
enum { CONTACT_AGAIN = 0x8000 };

int contact_find(struct engine_txn *t, const struct record_keys *k, uint64_t account,
                 const uint8_t who[CONTACT_WHO]);                        /* OK, ERR_NOT_FOUND */
int contact_note(struct store_write *w, const uint8_t who[CONTACT_WHO]); /* zeros: nothing is */

#endif
