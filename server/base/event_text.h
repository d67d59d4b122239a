/* An event as text, for who holds a log: master, and a command for its own. */
#ifndef BASE_EVENT_TEXT_H
#define BASE_EVENT_TEXT_H

#include "server/base/event.h"

/* "store-failed errno=...", without an end of line: at most cap - 1 octets, and a NUL. r: one that was said here, or
 * that event_unpack took. Returns its length. */
size_t event_text(const struct event_record *r, char *out, size_t cap);
const char *event_level_name(enum log_level level); /* "error" */
const char *event_name(enum event_kind event);      /* with hyphens */
/* A word of a table, for people. */
const char *event_word(enum event_type table, uint64_t word);

#endif
