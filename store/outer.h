/* The outer header's allow-list and grammars: the only text of a message that is stored outside its seal (and then
 * under the store key). The gate checks with this; nothing is repaired. Fields: Date, From, Sender, Reply-To, To, Cc,
 * Subject, Message-ID, In-Reply-To, References, Sealed-By; each at most once, unfolded lines of at most 998 octets,
 * folding only where RFC 5322 allows it. */
#ifndef STORE_OUTER_H
#define STORE_OUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* kind: enum message_kind. Server-sealed: Subject exactly "[...]" and Sealed-By present; others: Sealed-By absent,
 * Subject any one line, but "[...]" under hidden too. policy: enum header_policy; under shy no display names, under
 * hidden no address but pseudonyms and "hidden" ones. ERR_REFUSED with *ret_why a static sentence. */
int outer_check(const uint8_t *outer, size_t len, uint8_t kind, uint8_t policy, const char **ret_why);
/* Whether an account may have this policy octet: enum header_policy, perhaps with POLICY_DISPLAY. */
bool outer_policy_valid(uint8_t policy);

#endif
