/* Moments as people write them. See trace.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "server/cli/trace.h"
#include "server/core/error.h"
#include "server/mail/date.h"

enum { MINUTE = 60, HOUR = 3600, DAY = 86400, NUMBER_MAX = 99999 };

/* At least one digit; at most max. */
static bool take_number(const char **s, int max, int *ret)
{
    int n = 0;
    const char *first = *s;

    for (; isdigit((unsigned char)**s) && n <= NUMBER_MAX; (*s)++)
        n = n * 10 + (**s - '0');
    *ret = n;
    return *s > first && n <= max;
}

static bool take(const char **s, char c)
{
    if (**s != c)
        return false;
    (*s)++;
    return true;
}

/* "14:00" or "14:00:30", to the end but for a "Z". */
static int read_clock(const char *s, int64_t day, int64_t *ret)
{
    int hour, minute, second = 0;

    if (!take_number(&s, 23, &hour) || !take(&s, ':') || !take_number(&s, 59, &minute) ||
        (take(&s, ':') && !take_number(&s, 59, &second)))
        return ERR_FORMAT;
    (void)take(&s, 'Z');
    *ret = day * DAY + hour * HOUR + minute * MINUTE + second;
    return *s ? ERR_FORMAT : OK;
}

static int read_date(const char *s, int64_t *ret)
{
    struct date_civil d;

    if (!take_number(&s, 9999, &d.year) || !take(&s, '-') || !take_number(&s, 12, &d.month) || !take(&s, '-') ||
        !take_number(&s, 31, &d.day) || !date_exists(d))
        return ERR_FORMAT;
    if (!*s) {
        *ret = (int64_t)date_to_days(d) * DAY;
        return OK;
    }
    return take(&s, 'T') || take(&s, ' ') ? read_clock(s, date_to_days(d), ret) : ERR_FORMAT;
}

/* "2 hours ago", "2h" */
static int read_ago(const char *s, int64_t now, int64_t *ret)
{
    static const struct {
        const char *unit;
        int seconds;
    } units[] = {
        {"minutes ago", MINUTE}, {"minute ago", MINUTE}, {"m", MINUTE},
        {"hours ago", HOUR},     {"hour ago", HOUR},     {"h", HOUR},
        {"days ago", DAY},       {"day ago", DAY},       {"d", DAY},
        {"weeks ago", 7 * DAY},  {"week ago", 7 * DAY},  {"w", 7 * DAY},
    };
    int n;

    if (!take_number(&s, NUMBER_MAX, &n))
        return ERR_FORMAT;
    (void)take(&s, ' ');
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(s, units[i].unit) == 0) {
            *ret = now - (int64_t)n * units[i].seconds;
            return OK;
        }
    return ERR_FORMAT;
}

int trace_time_read(const char *text, int64_t now, int64_t *ret)
{
    const int64_t today = date_day_of(now);
    int64_t at = today * DAY;
    int err = OK;

    if (strcmp(text, "yesterday") == 0)
        at -= DAY;
    else if (strcmp(text, "today") != 0)
        err = read_date(text, &at);
    if (err != OK)
        err = read_clock(text, today, &at);
    if (err != OK)
        err = read_ago(text, now, &at);
    if (err == OK)
        *ret = at;
    return err;
}
