/* Another key of somebody that an account writes to: the account is told by mail, sealed like any other, if it asks for
 * that (account set --key-change-notices). What it has not been told yet shows in the record (store/correspondent.h),
 * so whatever is cut short is told with a later mail to the address. That it is told is noted there first: the vault
 * takes no more than CORRESPONDENTS_TOLD_DAY an account, whichever process asks. */
#ifndef INGEST_KEY_CHANGE_H
#define INGEST_KEY_CHANGE_H

#include "server/ingest/ingest.h"
#include "server/ingest/submission/key_change_mail.h"

struct change_notice;
/* Whether c has a change that the account is to be told of now; then c->told is. NULL: not, or not now. */
struct change_notice *submission_key_change(struct ingest *in, uint64_t account, struct correspondent *c, bool refused,
                                            uint64_t now);
/* For the request that notes it, whose arg is the notice; which mail goes is the reply's word. */
void submission_key_change_noted(void *arg, int status, struct unpack *body);
uint64_t *submission_key_change_asked(struct change_notice *n); /* of that request */
void submission_key_change_drop(struct change_notice *n);       /* it was not asked; NULL is allowed */
void submission_key_change_close_all(struct ingest *in);

/* ---- without I/O ---- */

/* What of the record the account has not been told: which key, and which before. */
bool submission_key_change_untold(const struct correspondent *c, bool refused, struct key_change *ret);

#endif
