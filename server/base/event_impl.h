/* Between the files of events. */
#ifndef BASE_EVENT_IMPL_H
#define BASE_EVENT_IMPL_H

#include "server/base/event_text.h"

enum { STATUS_MAX = 1024, ERRNO_MAX = 40000, SIGNAL_MAX = 64 };

struct event_row {
    const char *name;
    enum log_level level;
    unsigned traits, numbers, raws;
    struct {
        const char *key;
        enum event_type type;
    } fields[EVENT_FIELDS_MAX];
};
extern const struct event_row event_rows[EVENTS];
bool event_id_fits(struct slice id); /* what EVENT_TYPE_ID may be */

#endif
