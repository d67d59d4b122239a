/* A line of the log read back, for whoever searches a log: the reverse of server/base/event_text.h, by the same table.
 * What stands in a file is foreign, however it looks. */
#ifndef CLI_EVENT_READ_H
#define CLI_EVENT_READ_H

#include "server/base/event.h"

struct event_line {
    int64_t at; /* seconds since 1970 */
    unsigned ms;
    char process[24];
    int instance; /* -1: the only one */
    struct event_record r;
    uint8_t octets[EVENT_FIELDS_MAX][EVENT_ID_MAX]; /* where r's raws point to */
};

/* Reads the first event of a line without its end; what stands in front of it is the journal's. ERR_NOT_FOUND: there is
 * none; ERR_UNSUPPORTED: none of the table's, or one with fields of which text tells less than was said (errors,
 * names); ERR_FORMAT: nothing that event_text would write. *ret is undefined then. */
int event_read(const char *line, size_t len, struct event_line *ret);

#endif
