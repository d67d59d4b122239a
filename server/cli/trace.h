/* letterlock trace: what the log says of one address's mail. Lines name nobody; each is tried with the store key. */
#ifndef CLI_TRACE_H
#define CLI_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/cli/event_read.h"
#include "server/format/log_name.h"

enum {
    TRACE_LINE_MAX = 8192,    /* octets of a line; longer ones are skipped */
    TRACE_FOUND_MAX = 200000, /* lines that are kept until they are told */
};

/* A moment as people write it, in UTC: "2026-11-29", with "T14:00", " 14:00" or seconds and a "Z" behind it; "14:00",
 * "today", "yesterday"; "2 hours ago", "90m", "3d". now: seconds since 1970. ERR_FORMAT. */
int trace_time_read(const char *text, int64_t now, int64_t *ret);

/* Whose mail is looked for. */
struct trace_name {
    const char *said; /* as the operator wrote it */
    struct log_name name;
    bool is_sender, is_recipient; /* of the line just tried */
};
void trace_name_init(struct trace_name *n, const char *said);

/* A line about mail that was looked for. A mail that came from our own people has one id until it is gone. */
struct trace_found {
    int64_t at;
    char id[EVENT_ID_MAX + 1];
    bool outgoing;                                         /* a try to send it on, not how it came */
    uint64_t numbers[EVENT_NUMBERS_mail];                  /* of `mail`, or of `outgoing` */
    bool sender, recipient, other_sender, other_recipient; /* what the two names are in it */
    size_t order;                                          /* as they stand in the log */
};

/* Trouble that names nobody, so that it may be anybody's. */
struct trace_trouble {
    uint64_t tls[EVENT_TLS_FAULT_OTHER + 1], tls_more, ended[EVENT_REASON_OTHER + 1], ended_more, refused, held;
    uint64_t untold, lost;
};
void trace_trouble_add(struct trace_trouble *t, const struct event_record *r);
void trace_trouble_tell(const struct trace_trouble *t);

/* Prints the story of each mail, in the order of their first lines; found is sorted anew. other may be NULL. Returns
 * how many there are. */
size_t trace_tell(struct trace_found *found, size_t n, const struct trace_name *name, const struct trace_name *other);

#endif
