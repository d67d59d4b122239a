/* Dates as IMAP and mail headers write them; no time zone database, no locale. */
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/proto/imap_args.h"

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* Days since 1970-01-01 in the proleptic Gregorian calendar, counted in 400-year eras from a first of March. */
static int32_t days_from_civil(int y, int m, int d)
{
    y -= m <= 2;
    int era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
    int doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void civil_from_days(int64_t z, int *ret_y, int *ret_m, int *ret_d)
{
    z += 719468;
    int64_t era = z / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    *ret_d = (int)(doy - (153 * mp + 2) / 5 + 1);
    *ret_m = (int)(mp < 10 ? mp + 3 : mp - 9);
    *ret_y = (int)(yoe + era * 400 + (*ret_m <= 2));
}

static bool date_exists(int y, int m, int d)
{
    static const uint8_t len[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return y >= 1 && m >= 1 && m <= 12 && d >= 1 && d <= len[m - 1] + (m == 2 && leap);
}

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
    if (c->end - c->p < 3)
        return -1;
    for (int i = 0; i < 12; i++) {
        if (strncasecmp((const char *)c->p, months[i], 3) == 0) {
            c->p += 3;
            return i + 1;
        }
    }
    return -1;
}

/* time = 2DIGIT ":" 2DIGIT ":" 2DIGIT; a leap second counts as the second before. Seconds of the day or -1. */
static int time_of_day(struct cursor *c, bool seconds_needed)
{
    int h = number(c, 2, 2);
    if (!one(c, ':'))
        return -1;
    int m = number(c, 2, 2), s = 0;
    if (one(c, ':'))
        s = number(c, 2, 2);
    else if (seconds_needed)
        return -1;
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

/* date-day-fixed "-" date-month "-" date-year SP time SP zone (RFC 3501 section 9) */
int imap_date_time(struct slice s, uint64_t *ret)
{
    struct cursor c = {s.data, s.data + s.len};
    int off = 0;
    if (s.len != IMAP_DATE_TIME_LEN)
        return ERR_FORMAT;
    int d = one(&c, ' ') ? number(&c, 1, 1) : number(&c, 2, 2);
    if (!one(&c, '-'))
        return ERR_FORMAT;
    int m = month(&c);
    if (!one(&c, '-'))
        return ERR_FORMAT;
    int y = number(&c, 4, 4);
    if (!one(&c, ' '))
        return ERR_FORMAT;
    int t = time_of_day(&c, true);
    if (t < 0 || !one(&c, ' ') || !zone(&c, &off) || c.p != c.end || !date_exists(y, m, d))
        return ERR_FORMAT;
    int64_t when = (int64_t)days_from_civil(y, m, d) * 86400 + t - off;
    if (when < 0) /* the store counts from 1970 */
        return ERR_FORMAT;
    *ret = (uint64_t)when;
    return OK;
}

/* date-text = date-day "-" date-month "-" date-year */
int imap_date(struct slice s, int32_t *ret_day)
{
    struct cursor c = {s.data, s.data + s.len};
    int d = number(&c, 1, 2);
    if (!one(&c, '-'))
        return ERR_FORMAT;
    int m = month(&c);
    if (!one(&c, '-'))
        return ERR_FORMAT;
    int y = number(&c, 4, 4);
    if (c.p != c.end || !date_exists(y, m, d))
        return ERR_FORMAT;
    *ret_day = days_from_civil(y, m, d);
    return OK;
}

void imap_date_time_write(uint64_t t, char out[IMAP_DATE_TIME_LEN + 1])
{
    int y, m, d;
    if (t > UINT64_C(253402300799)) /* the last second of 9999 */
        t = UINT64_C(253402300799);
    unsigned s = (unsigned)(t % 86400);
    civil_from_days((int64_t)(t / 86400), &y, &m, &d);
    char text[64];
    snprintf(text, sizeof(text), "%2d-%s-%04d %02u:%02u:%02u +0000", d, months[m - 1], y, s / 3600, s / 60 % 60,
             s % 60);
    memcpy(out, text, IMAP_DATE_TIME_LEN);
    out[IMAP_DATE_TIME_LEN] = 0;
}

static void blanks(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\r' || *c->p == '\n'))
        c->p++;
}

/* [day-name ","] day month year hour ":" minute [":" second] [zone]; two-digit years as RFC 5322 section 4.3 says. */
int imap_mail_date(struct slice s, int32_t *ret_day, uint64_t *ret_seconds)
{
    struct cursor c = {s.data, s.data + s.len};
    blanks(&c);
    if (c.p < c.end && (*c.p < '0' || *c.p > '9')) {
        const uint8_t *comma = memchr(c.p, ',', (size_t)(c.end - c.p));
        if (!comma || comma - c.p > 9)
            return ERR_FORMAT;
        c.p = comma + 1;
        blanks(&c);
    }
    int d = number(&c, 1, 2), off = 0;
    blanks(&c);
    int m = month(&c);
    blanks(&c);
    const uint8_t *ystart = c.p;
    int y = number(&c, 2, 4);
    if (y >= 0 && c.p - ystart == 2)
        y += y < 50 ? 2000 : 1900;
    else if (y >= 0 && c.p - ystart == 3)
        y += 1900;
    if (!date_exists(y, m, d))
        return ERR_FORMAT;
    blanks(&c);
    int t = time_of_day(&c, false);
    blanks(&c);
    if (t < 0)
        return ERR_FORMAT;
    if (!zone(&c, &off))
        off = 0; /* obs-zone: taken as UTC */
    int32_t day = days_from_civil(y, m, d);
    int64_t when = (int64_t)day * 86400 + t - off;
    *ret_day = day;
    *ret_seconds = when < 0 ? 0 : (uint64_t)when;
    return OK;
}
