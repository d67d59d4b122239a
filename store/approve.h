/* Making approvals (store/approval.h), by whoever holds the root: the command line, for the request that it is about to
 * send. */
#ifndef STORE_APPROVE_H
#define STORE_APPROVE_H

#include "store/key_rules.h"
#include "store/request.h"
#include "store/view.h"

bool approve_wanted(enum vault_msg type);
/* A way back for a set that nobody approved: fills in the approval of VAULT_ACCOUNT_SET, with the seal_v2, encrypt and
 * forward that the account has, for its certificates as they stand. shown: those that somebody has looked at.
 * ERR_CONFLICT: the store has others now. */
int approve_as_shown(struct view *v, const uint8_t root[RECORD_KEY_SIZE], struct vault_request *q,
                     const struct key_set *shown);
/* Fills in q->approval, and of VAULT_ACCOUNT_ADD the account's number, by what the store holds at this moment; every
 * other type of request stays as it is. cert: what goes along, or empty. What the rules forbid (store/key_rules.h) is
 * left without an approval: the vault says why. The set that is changed must itself be approved, or a vault that had
 * slipped in a key would have it signed with the next change: ERR_UNAPPROVED. Other errors: the view's. Runs in a
 * snapshot of its own. */
int approve(struct view *v, const uint8_t root[RECORD_KEY_SIZE], struct vault_request *q, struct slice cert);

#endif
