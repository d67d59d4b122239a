/* date-time and date of RFC 3501 section 9, a grammar of IMAP's own; the calendar is mail/date's. */
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/date.h"
#include "server/proto/imap_args.h"

struct cursor {
    const uint8_t *p, *end;
};

static int number(struct cursor *c, int min_digits, int max_digits)
{
    int v = 0, n = 0;
    while (c->p < c->end && n < max_digits && *c->p >= '0' && *c->p <= '9') {
        v = v * 10 + (*c->p++ - '0');
        n++;
    }
    return n >= min_digits ? v : -1;
}

static bool one(struct cursor *c, char ch)
{
    if (c->p == c->end || *c->p != ch)
        return false;
    c->p++;
    return true;
}

static int month(struct cursor *c)
{
    int m = c->end - c->p < 3 ? 0 : date_month(c->p);
    c->p += m ? 3 : 0;
    return m;
}

/* time = 2DIGIT ":" 2DIGIT ":" 2DIGIT; a leap second counts as the second before. Seconds of the day or -1. */
static int time_of_day(struct cursor *c)
{
    int h = number(c, 2, 2);
    if (!one(c, ':'))
        return -1;
    int m = number(c, 2, 2);
    if (!one(c, ':'))
        return -1;
    int s = number(c, 2, 2);
    if (h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 60)
        return -1;
    return h * 3600 + m * 60 + (s == 60 ? 59 : s);
}

/* zone = ("+" / "-") 4DIGIT; seconds east of UTC */
static bool zone(struct cursor *c, int *ret)
{
    bool minus = false;
    if (!one(c, '+')) {
        if (!one(c, '-'))
            return false;
        minus = true;
    }
    int v = number(c, 4, 4);
    if (v < 0 || v % 100 > 59)
        return false;
    int s = (v / 100) * 3600 + (v % 100) * 60;
    *ret = minus ? -s : s;
    return true;
}

/* "-" date-month "-" date-year, behind a day; whether the calendar has that date. */
static bool date_month_year(struct cursor *c, struct date_civil *d)
{
    if (!one(c, '-'))
        return false;
    d->month = month(c);
    if (!one(c, '-'))
        return false;
    d->year = number(c, 4, 4);
    return date_exists(*d);
}

/* date-day-fixed "-" date-month "-" date-year SP time SP zone (RFC 3501 section 9). Clients also leave out the blank
 * that stands for the day's first digit. */
int imap_date_time(struct slice s, int64_t *ret)
{
    struct cursor c = {s.data, s.data + s.len};
    int off = 0;
    struct date_civil d = {.day = one(&c, ' ') ? number(&c, 1, 1) : number(&c, 1, 2)};
    if (!date_month_year(&c, &d) || !one(&c, ' '))
        return ERR_FORMAT;
    int t = time_of_day(&c);
    if (t < 0 || !one(&c, ' ') || !zone(&c, &off) || c.p != c.end)
        return ERR_FORMAT;
    int64_t when = (int64_t)date_to_days(d) * 86400 + t - off;
    if (when < DATE_FIRST || when > (int64_t)DATE_LAST) /* its zone takes it into another year 0 or 10000 */
        return ERR_FORMAT;
    *ret = when;
    return OK;
}

/* date-text = date-day "-" date-month "-" date-year */
int imap_date(struct slice s, int32_t *ret_day)
{
    struct cursor c = {s.data, s.data + s.len};
    struct date_civil d = {.day = number(&c, 1, 2)};
    if (!date_month_year(&c, &d) || c.p != c.end)
        return ERR_FORMAT;
    *ret_day = date_to_days(d);
    return OK;
}

/* So many digits, each in its place: a mailbox's list has thousands of dates. */
static void put_digits(char *at, unsigned n, unsigned v)
{
    for (; n > 0; v /= 10)
        at[--n] = (char)('0' + v % 10);
}

void imap_date_time_write(int64_t t, char out[IMAP_DATE_TIME_LEN + 1])
{
    t = t < DATE_FIRST ? DATE_FIRST : t > (int64_t)DATE_LAST ? (int64_t)DATE_LAST : t;
    int32_t day = date_day_of(t);
    struct date_civil d = date_from_days(day);
    unsigned s = (unsigned)(t - (int64_t)day * 86400) % 86400;
    memcpy(out, "DD-Mmm-YYYY hh:mm:ss +0000", IMAP_DATE_TIME_LEN + 1);
    put_digits(out, 2, (unsigned)d.day);
    if (d.day < 10)
        out[0] = ' ';
    memcpy(out + 3, date_month_name(d.month), 3);
    put_digits(out + 7, 4, (unsigned)d.year);
    put_digits(out + 12, 2, s / 3600);
    put_digits(out + 15, 2, s / 60 % 60);
    put_digits(out + 18, 2, s % 60);
}
