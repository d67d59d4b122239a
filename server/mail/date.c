#include "server/mail/date.h"

#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/token.h"

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char weekdays[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */

enum { DAY_SECONDS = 86400, ERA_DAYS = 146097 /* of 400 years */, ERA_SHIFT = 719468 /* 0000-03-01 to 1970-01-01 */ };

bool date_exists(struct date_civil d)
{
    static const uint8_t lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (d.year % 4 == 0 && d.year % 100 != 0) || d.year % 400 == 0;
    return d.year >= 1 && d.month >= 1 && d.month <= 12 && d.day >= 1 &&
           d.day <= lengths[d.month - 1] + (d.month == 2 && leap);
}

/* The Gregorian calendar in eras of 400 years, each from a first of March, so that leap days come last. */
int32_t date_to_days(struct date_civil d)
{
    int y = d.year - (d.month <= 2), era = y / 400, of_era = y - era * 400;
    int of_year = (153 * (d.month + (d.month > 2 ? -3 : 9)) + 2) / 5 + d.day - 1;
    return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - ERA_SHIFT;
}

struct date_civil date_from_days(int32_t days)
{
    int z = days + ERA_SHIFT, era = z / ERA_DAYS, of_era = z - era * ERA_DAYS;
    int year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int of_year = of_era - (365 * year + year / 4 - year / 100), m = (5 * of_year + 2) / 153;
    struct date_civil d = {.month = m < 10 ? m + 3 : m - 9, .day = of_year - (153 * m + 2) / 5 + 1};
    d.year = year + era * 400 + (d.month <= 2);
    return d;
}

int32_t date_day_of(int64_t t)
{
    return (int32_t)(t / DAY_SECONDS - (t % DAY_SECONDS < 0));
}

/* Index of the three letters in a table, -1 if they are not there. */
static int name_index(const void *s, const char *table)
{
    for (int k = 0; table[3 * k]; k++)
        if (!strncasecmp(s, table + 3 * k, 3))
            return k;
    return -1;
}

int date_month(const void *s)
{
    return name_index(s, months) + 1;
}

const char *date_month_name(int month)
{
    return months + 3 * (month - 1);
}

static int scan_number(struct token_cursor *c, unsigned min, unsigned max, size_t *ret_digits)
{
    unsigned v = 0;
    size_t n = 0;
    for (; c->i < c->len && c->s[c->i] >= '0' && c->s[c->i] <= '9' && n < 5; c->i++, n++)
        v = v * 10 + c->s[c->i] - '0';
    if (ret_digits)
        *ret_digits = n;
    return n >= min && n <= max ? (int)v : -1;
}

static int scan_name(struct token_cursor *c, const char *table)
{
    int k = c->len - c->i < 3 ? -1 : name_index(c->s + c->i, table);
    c->i += k < 0 ? 0 : 3;
    return k;
}

/* zone of sections 3.3 and 4.3: minutes east of UTC. Unknown names count as UTC. */
static bool scan_zone(struct token_cursor *c, int *ret)
{
    static const struct {
        const char *name;
        int hours;
    } zones[] = {{"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5},
                 {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7}};
    *ret = 0;
    if (c->i == c->len)
        return true;
    if (c->s[c->i] == '+' || c->s[c->i] == '-') {
        bool west = c->s[c->i++] == '-';
        int v = scan_number(c, 4, 4, NULL);
        if (v < 0 || v % 100 > 59)
            return false;
        *ret = (v / 100 * 60 + v % 100) * (west ? -1 : 1);
        return true;
    }
    size_t start = c->i;
    while (c->i < c->len && (c->s[c->i] | 32) >= 'a' && (c->s[c->i] | 32) <= 'z')
        c->i++;
    for (size_t k = 0; k < sizeof(zones) / sizeof(*zones); k++)
        if (c->i - start == 3 && !strncasecmp((const char *)c->s + start, zones[k].name, 3))
            *ret = zones[k].hours * 60;
    return c->i > start && c->i - start <= 5;
}

/* time-of-day; seconds of the day. Section 4.3 lets CFWS stand between its parts. */
static bool scan_time(struct token_cursor *c, int *ret)
{
    int h, m, sec = 0;
    if ((h = scan_number(c, 1, 2, NULL)) < 0 || !token_skip_cfws(c) || !token_take(c, ':') || !token_skip_cfws(c) ||
        (m = scan_number(c, 2, 2, NULL)) < 0 || !token_skip_cfws(c))
        return false;
    if (token_take(c, ':') && (!token_skip_cfws(c) || (sec = scan_number(c, 2, 2, NULL)) < 0 || !token_skip_cfws(c)))
        return false;
    *ret = (h * 60 + m) * 60 + sec;
    return h < 24 && m < 60 && sec <= 60;
}

/* [day-of-week ","] day month year */
static bool scan_date(struct token_cursor *c, struct date_civil *ret)
{
    size_t digits;
    if (!token_skip_cfws(c))
        return false;
    if (scan_name(c, weekdays) >= 0) {
        if (!token_skip_cfws(c))
            return false;
        token_take(c, ',');
        if (!token_skip_cfws(c))
            return false;
    }
    ret->day = scan_number(c, 1, 2, NULL);
    if (ret->day < 1 || !token_skip_cfws(c))
        return false;
    ret->month = scan_name(c, months) + 1;
    if (ret->month < 1 || !token_skip_cfws(c))
        return false;
    ret->year = scan_number(c, 2, 4, &digits);
    if (ret->year < 0 || !token_skip_cfws(c))
        return false;
    if (digits < 4) /* section 4.3 */
        ret->year += digits == 2 && ret->year < 50 ? 2000 : 1900;
    return ret->year >= 1970 && date_exists(*ret);
}

int date_read(const uint8_t *s, size_t len, uint64_t *ret, int32_t *ret_day)
{
    struct token_cursor c = {s, len, 0};
    struct date_civil d;
    int seconds, zone;
    if (!scan_date(&c, &d) || !scan_time(&c, &seconds) || !scan_zone(&c, &zone) || !token_skip_cfws(&c) || c.i != len)
        return ERR_FORMAT;
    int64_t t = (int64_t)date_to_days(d) * DAY_SECONDS + seconds - zone * 60;
    if (t < 0 || (uint64_t)t > DATE_LAST)
        return ERR_FORMAT;
    *ret = (uint64_t)t;
    if (ret_day)
        *ret_day = date_to_days(d);
    return OK;
}

void date_write(uint64_t t, char out[DATE_SIZE])
{
    t = t < DATE_LAST ? t : DATE_LAST;
    unsigned days = (unsigned)(t / DAY_SECONDS), s = (unsigned)(t % DAY_SECONDS);
    struct date_civil d = date_from_days((int32_t)days);
    snprintf(out, DATE_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u +0000", weekdays + 3 * (days % 7), d.day & 31u,
             date_month_name(d.month), (unsigned)d.year % 10000, s / 3600, s / 60 % 60, s % 60);
}

void date_write_day(uint64_t t, char out[DATE_DAY_SIZE])
{
    struct date_civil d = date_from_days((int32_t)((t < DATE_LAST ? t : DATE_LAST) / DAY_SECONDS));
    snprintf(out, DATE_DAY_SIZE, "%04u-%02u-%02u", (unsigned)d.year % 10000, d.month & 15u, d.day & 31u);
}

bool date_valid(const uint8_t *s, size_t len)
{
    uint64_t t;
    for (size_t i = 0; i < len; i++)
        if (s[i] < ' ' || s[i] > '~')
            return false;
    return len <= 80 && date_read(s, len, &t, NULL) == OK;
}

bool date_is_utc(const uint8_t *s, size_t len)
{
    uint64_t t;
    char text[DATE_SIZE];
    if (len != DATE_SIZE - 1 || date_read(s, len, &t, NULL) != OK)
        return false;
    date_write(t, text);
    return !memcmp(text, s, len);
}
