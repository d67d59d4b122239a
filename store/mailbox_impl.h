/* What a request about a mailbox leaves to be done in steps (mailbox_jobs.c): a large mailbox must not hold the one
 * writer. */
#ifndef STORE_MAILBOX_IMPL_H
#define STORE_MAILBOX_IMPL_H

#include "store/mailbox.h"

int mailbox_job_put(struct store_write *w, uint32_t mailbox, enum mailbox_job job, uint32_t to, uint32_t uid_end);
/* Moves what one set holds of the UIDs below uid_end; *ret_done false: more is left. */
int mailbox_job_move(struct store_write *w, uint32_t from, uint32_t to, uint32_t uid_end, bool *ret_done);

#endif
