/* A message that is sealed to its recipients before it goes anywhere (`account set --encrypt`): PGP/MIME with protected
 * headers (RFC 3156, RFC 9788). Those whom To and Cc name get one message, whose key ids tell no more than its header;
 * each other recipient gets one of their own, so nobody's key id tells of a blind copy. */
#ifndef INGEST_SUBMISSION_ENCRYPT_H
#define INGEST_SUBMISSION_ENCRYPT_H

#include "server/ingest/submission/state.h"

/* May the account send, and does it seal? Needs a snapshot. Every vault can write the account's record, so what is not
 * approved is ERR_UNAPPROVED. */
int submission_encrypt_wanted(struct view *v, uint64_t account, uint8_t *ret);
/* At RCPT: ERR_NO_KEY if the account seals always and no key of this recipient is known; ERR_UNKNOWN: nobody can say;
 * what correspondents.h has.
 * LATER: it is being looked for, and ready is called, from the loop, when this may be asked again. Of an account that
 * seals where it can, looking begins here, and nobody waits. */
typedef void submission_ready_fn(struct submission *s);
int submission_encrypt_may(struct submission *s, const char *address, submission_ready_fn *ready);
/* Seals, once the message is whole. OK: recipients have what is theirs (transaction_rcpt.mail), or the message goes as
 * it is; LATER: done is called. Whatever fails, nothing may go anywhere. */
enum { SUBMISSION_LATER = 1 };
typedef void submission_encrypted_fn(struct submission *s, int status);
int submission_encrypt(struct submission *s, submission_encrypted_fn *done);
void submission_encrypt_reset(struct submission *s);

#endif
