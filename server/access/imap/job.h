/* What a command does besides its own work: how it ends, how it asks the vault, how it waits. */
#ifndef IMAP_JOB_H
#define IMAP_JOB_H

#include "server/access/imap/session.h"

enum {
    IMAP_CMD_UID = 1 /* has a UID variant */,
    IMAP_CMD_NO_EXPUNGE = 2 /* RFC 3501 section 7.4.1: no EXPUNGE while it is in progress */,
    IMAP_CMD_NO_SYNC = 4,
    IMAP_CMD_MAP = 8 /* needs the selected mailbox's map */,
};
struct imap_command_def {
    const char *name;
    uint8_t states, flags;
    void (*run)(struct imap_job *j);
};

/* Ends the command with "tag text"; text begins with OK, NO or BAD. */
void imap_job_done(struct imap_job *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same in two steps, for a last line of one's own: settle (what changed is told; ERR_AGAIN: there is more to tell,
 * in another turn; any other: the session is ending), the line, close. */
int imap_job_settle(struct imap_job *j);
void imap_job_close(struct imap_job *j);
void imap_job_bad(struct imap_job *j, const char *why); /* BAD; too many in a row end the session */
void imap_job_error(struct imap_job *j, int err);       /* NO with RFC 5530's code for err */
/* NO [EXPUNGEISSUED] (RFC 5530 section 3): of the messages that a sequence set names, some are gone. */
void imap_job_expunged(struct imap_job *j);
void imap_job_no_message(struct imap_job *j);                          /* BAD: a sequence number beyond the mailbox */
void imap_job_arg_error(struct imap_job *j, int err, const char *why); /* of imap_arg_mailbox; ERR_FORMAT: BAD why */
void imap_job_set_error(struct imap_job *j, int err, const char *why); /* of imap_arg_uids; ERR_FORMAT: BAD why */
void *imap_job_alloc(struct imap_job *j, size_t size); /* zeroed, in the arena; NULL: the job has been answered */

void imap_job_again(struct imap_job *j); /* step is called again at the end of this turn */
/* Asks the vault about the session's account (q->account is set here). reply gets its answer, or at once the error with
 * which it could not be asked; it is not called when the job is dropped before. */
void imap_job_request(struct imap_job *j, struct vault_request *q, imap_job_reply_fn *reply);
/* Waits for anything else: neither step nor input comes until imap_job_resume, after which step is called at the end of
 * the turn. give_up(arg) is called instead if the job is dropped before. */
void imap_job_wait(struct imap_job *j, void (*give_up)(void *arg), void *arg);
void imap_job_resume(struct imap_job *j);

#endif
