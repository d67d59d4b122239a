/* A zone for the engines of server/mailauth, which ask for records and are given them. */
#ifndef TESTS_SUPPORT_RECORDS_ZONE_H
#define TESTS_SUPPORT_RECORDS_ZONE_H

#include "server/mailauth/records.h"

/* Rows of one type and name make one answer. value: a TXT; an address; a name of PTR; "10 name" of MX; NULL: it cannot
 * be told now. A name that has a row exists. */
struct zone_row {
    const char *name;
    enum records_type type;
    const char *value;
};
struct zone {
    const struct zone_row *v;
    size_t n;
    unsigned asked;
    char last[8][RECORDS_NAME_CAP + 8]; /* "TYPE name" of the last questions, the latest first */
};

/* All that is wanted. Returns the questions that were. */
unsigned zone_answer(struct zone *z, struct records *r);
const char *zone_type_name(enum records_type t);

#endif
