/* The log. Master alone holds it: its own lines, and the roles' events (log_pipe.h), go to stderr from here. What
 * reads stderr may stand still, a journal or a terminal, and master does not stand still with it: lines wait in a
 * buffer, and those for which there is no room are counted. */
#ifndef MASTER_LOG_H
#define MASTER_LOG_H

#include "server/base/event_text.h"
#include "server/base/loop.h"

/* Before the sandbox. */
void log_open(void);
/* From now on lines are written at the ends of l's turns; without it each at once. */
int log_start(struct loop *l); /* ERR_MEMORY */
/* Writes what waits, for a second at most, and goes on as without a loop. */
void log_end(void);

/* An event of a process; instance -1: the only one of its role. */
void log_record(const char *process, int instance, const struct event_record *r);
/* A whole line, or several, as they are. */
void log_text(const char *text, size_t len);
/* A sentence of master's own, which may have paths in it and whatever else its operator is to know. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
