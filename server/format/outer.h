/* The outer header's allow-list and grammars: the only text of a message that is stored outside its seal (and then
 * under the store key). The gate checks with this; nothing is repaired. Fields: Date, From, Sender, Reply-To, To, Cc,
 * Bcc, Subject, Message-ID, In-Reply-To, References, Sealed-By; each at most once, unfolded lines of at most 998
 * octets, folding only where RFC 5322 allows it. */
#ifndef FORMAT_OUTER_H
#define FORMAT_OUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum message_kind {
    MESSAGE_SERVER_SEALED = 1,
    MESSAGE_FOREIGN = 2, /* arrived encrypted */
    MESSAGE_CLIENT = 3,  /* a client APPENDed it encrypted */
    MESSAGE_QUEUED = 4   /* on its way out: no account's */
};

enum {
    OUTER_MAX = 16 * 1024,          /* the outer header block */
    OUTER_AUTOCRYPT_MAX = 11 * 1024 /* what an Autocrypt field adds to that of a message that goes out */
};
enum header_policy { POLICY_SHY, POLICY_BASELINE, POLICY_HIDDEN };
/* An account's policy octet: header_policy, and whether what it hides is displayed inside (protect_params.display). */
enum { POLICY_DISPLAY = 0x40 };
/* Correspondents under POLICY_HIDDEN: an address that nobody can have (RFC 6761 section 6.4), so that no account, alias
 * or catch-all answers to it. */
#define HIDDEN_ADDRESS "hidden@hidden.invalid"
int header_policy_parse(const char *name, enum header_policy *ret); /* ERR_NOT_FOUND */
const char *header_policy_name(enum header_policy p);

/* kind: enum message_kind. Server-sealed: Subject exactly "[...]" and Sealed-By present; others: Sealed-By absent,
 * Subject any one line, but "[...]" under hidden too. policy: enum header_policy; under shy no display names, under
 * hidden no address but pseudonyms and "hidden" ones. ERR_REFUSED with *ret_why a static sentence. */
int outer_check(const uint8_t *outer, size_t len, uint8_t kind, uint8_t policy, const char **ret_why);
/* Whether an account may have this policy octet: enum header_policy, perhaps with POLICY_DISPLAY. */
bool outer_policy_valid(uint8_t policy);

#endif
