/* The pipe on which a role says its events. A role's word is foreign: what is no record of the table of events is
 * counted and never shown, and a flood is held back in the role's own pipe. */
#ifndef MASTER_LOG_PIPE_H
#define MASTER_LOG_PIPE_H

#include "server/base/loop.h"
#include "server/base/roles.h"

struct log_pipe;

/* The two ends: ret[1] is for the role, and does not block. ERR_IO. */
int log_pipe_ends(int ret[2]);
/* Takes fd, even when it fails. l: reads in its turns; NULL: log_pipe_read alone does. instance: -1: the only one.
 * NULL: out of memory. */
struct log_pipe *log_pipe_create(struct loop *l, int fd, enum role role, int instance);
void log_pipe_read(struct log_pipe *p);    /* all that is there */
void log_pipe_tick(struct log_pipe *p);    /* from time to time: says how many more there were. NULL is allowed */
void log_pipe_destroy(struct log_pipe *p); /* after the last word; NULL is allowed */

#endif
