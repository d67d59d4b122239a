/* Dates of mail (RFC 5322 section 3.3), and the calendar behind every date that is read or written here. No time zone
 * database, no locale. Times are seconds since 1970, days are days since 1970-01-01; both in UTC, before the year
 * 10000, and negative before 1970. */
#ifndef MAIL_DATE_H
#define MAIL_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DATE_LAST UINT64_C(253402300799) /* the last second of the year 9999 */
#define DATE_FIRST INT64_C(-62135596800) /* the first second of the year 1 */
#define DATE_OLDEST INT64_C(-2208988800) /* the first of 1900: no mail is older (section 3.3) */
enum { DATE_SIZE = 32 /* what date_write writes, with its NUL */, DATE_DAY_SIZE = 11, DATE_INTERNET_SIZE = 21 };

/* The date of real mail: date-time of sections 3.3 and 4.3, and what Python's email and GMime read alike besides, such
 * as asctime(3)'s; what stands behind a whole date is not looked at. *ret_day, unless NULL: the day as its sender wrote
 * it, whatever the zone. ERR_FORMAT. */
int date_read(const uint8_t *s, size_t len, int64_t *ret, int32_t *ret_day);
/* "Tue, 01 Jan 2030 00:00:00 +0000". What is older than DATE_OLDEST is written as that. */
void date_write(int64_t t, char out[DATE_SIZE]);
/* "2030-01-01" */
void date_write_day(uint64_t t, char out[DATE_DAY_SIZE]);

/* Strict: date-time of sections 3.3 and 4.3, in at most 80 octets of printable ASCII. */
bool date_valid(const uint8_t *s, size_t len);
/* Strict: exactly as date_write writes it. */
bool date_is_utc(const uint8_t *s, size_t len);

/* ---- RFC 3339 section 5.6, for protocols ---- */

int date_read_internet(const uint8_t *s, size_t len, int64_t *ret); /* strict; parts of a second are cut. ERR_FORMAT */
void date_write_internet(int64_t t, char out[DATE_INTERNET_SIZE]);  /* "2030-01-01T00:00:00Z" */

/* ---- the calendar, for other grammars of dates ---- */

struct date_civil {
    int year, month, day; /* from 1 */
};
bool date_exists(struct date_civil d);
int32_t date_to_days(struct date_civil d); /* of one that exists */
struct date_civil date_from_days(int32_t days);
int32_t date_day_of(int64_t t); /* of seconds, before 1970 too */
/* "Jan"... in any case: 1..12, 0: none. s has three octets. */
int date_month(const void *s);
const char *date_month_name(int month); /* not ended by a NUL after its three letters */

#endif
