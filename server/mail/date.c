#include "server/mail/date.h"

#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/token.h"

static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};
/* 1970-01-01 was a Thursday. */
static const char *const weekdays[] = {"Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"};

enum { YEAR_FIRST = 1900 /* RFC 5322 section 3.3 */ };
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

/* Index of a name, whole or its first letters, but three at least; -1: it is none. */
static int name_index(struct slice s, const char *const *table, int n)
{
    for (int k = 0; k < n; k++)
        if (s.len >= 3 && s.len <= strlen(table[k]) && !strncasecmp((const char *)s.data, table[k], s.len))
            return k;
    return -1;
}

int date_month(const void *s)
{
    return name_index(slice_of(s, 3), months, 12) + 1;
}

const char *date_month_name(int month)
{
    return months[month - 1];
}

/* A date as far as it was read. */
struct reading {
    struct token_cursor c;
    struct date_civil day;
    int seconds, zone; /* of the day; minutes east of UTC */
    int words;         /* that may be zones */
    bool has_year, has_time, has_zone;
    bool odd; /* something that sections 3.3 and 4.3 do not have */
};

static bool at(const struct reading *r, const char *set)
{
    return r->c.i < r->c.len && r->c.s[r->c.i] && strchr(set, r->c.s[r->c.i]);
}

static bool digit_at(const struct reading *r, size_t ahead)
{
    return r->c.len - r->c.i > ahead && r->c.s[r->c.i + ahead] >= '0' && r->c.s[r->c.i + ahead] <= '9';
}

/* -1: no number of that many digits. */
static int scan_number(struct reading *r, unsigned min, unsigned max, size_t *ret_digits)
{
    unsigned v = 0;
    size_t n = 0;
    for (; digit_at(r, 0) && n <= max; r->c.i++, n++)
        v = v * 10 + r->c.s[r->c.i] - '0';
    if (ret_digits)
        *ret_digits = n;
    return n >= min && n <= max ? (int)v : -1;
}

/* The letters that come next; not stepped over. */
static struct slice peek_word(const struct reading *r)
{
    const uint8_t *s = r->c.s + r->c.i;
    size_t n = 0;
    while (n < r->c.len - r->c.i && (((s[n] | 32) >= 'a' && (s[n] | 32) <= 'z') || s[n] >= 0x80))
        n++;
    return slice_of(s, n);
}

/* White space and comments, and marks that stand between the parts of many a date. */
static bool skip_marks(struct reading *r, const char *marks)
{
    if (!token_skip_cfws(&r->c))
        return false;
    for (; at(r, marks); r->odd = true) {
        r->c.i++;
        if (!token_skip_cfws(&r->c))
            return false;
    }
    return true;
}

/* [day-of-week ","], and other words: weekdays come whole and in every language. What stands before a comma is one,
 * even "mar.,". */
static bool skip_weekday(struct reading *r)
{
    struct slice w;
    if (!token_skip_cfws(&r->c))
        return false;
    while ((w = peek_word(r)).len) {
        bool month = name_index(w, months, 12) >= 0;
        size_t before = r->c.i;
        r->c.i += w.len;
        while (at(r, "."))
            r->c.i++;
        if (month && !at(r, ",")) {
            r->c.i = before;
            return true;
        }
        r->odd = r->odd || r->c.i - before != 3 || name_index(w, weekdays, 7) < 0;
        if (!token_skip_cfws(&r->c))
            return false;
        token_take(&r->c, ',');
        if (!token_skip_cfws(&r->c))
            return false;
    }
    return true;
}

static bool scan_month(struct reading *r)
{
    struct slice w = peek_word(r);
    r->day.month = w.len ? name_index(w, months, 12) + 1 : scan_number(r, 2, 2, NULL);
    r->odd = r->odd || w.len != 3;
    r->c.i += w.len;
    return r->day.month >= 1;
}

/* "24 Jul", as it must be; "Jul 24" of asctime(3); "2007 Jul 24", "2007-07-24" */
static bool scan_day(struct reading *r)
{
    static const char between[] = "-/.,";
    size_t digits = 0;
    bool named = peek_word(r).len;
    int first = named ? 0 : scan_number(r, 1, 4, &digits);
    if (first < 0 || !skip_marks(r, between))
        return false;
    if (digits > 0 && digits < 4) { /* a month's number may be anything here */
        r->day.day = first;
        return peek_word(r).len && scan_month(r) && skip_marks(r, between);
    }
    r->odd = true;
    r->has_year = digits == 4;
    r->day.year = first;
    if (!scan_month(r) || !skip_marks(r, between))
        return false;
    r->day.day = scan_number(r, 1, 3, NULL);
    if (at(r, "T")) /* ISO 8601 */
        r->c.i++;
    return r->day.day >= 1;
}

/* time-of-day after its hour. Section 4.3 lets CFWS stand between its parts. */
static bool scan_time(struct reading *r, int h)
{
    char mark = at(r, ".") ? '.' : ':';
    size_t n = 2, k = 2;
    int m, sec = 0;
    r->odd = r->odd || mark == '.' || !r->has_year;
    r->seconds = -1;
    if (!token_take(&r->c, mark) || !token_skip_cfws(&r->c) || (m = scan_number(r, 1, 2, &n)) < 0 ||
        !token_skip_cfws(&r->c))
        return false;
    if (token_take(&r->c, mark) && (!token_skip_cfws(&r->c) || (sec = scan_number(r, 1, 2, &k)) < 0))
        return false;
    r->odd = r->odd || n != 2 || k != 2;
    if (at(r, ".") && digit_at(r, 1))
        for (r->odd = true, r->c.i++; digit_at(r, 0);)
            r->c.i++;
    if (h > 23 || m > 59 || sec > 60)
        return false;
    r->seconds = (h * 60 + m) * 60 + sec;
    r->has_time = true;
    return true;
}

/* false: an unknown name. */
static bool named_zone(struct slice s, int *ret_minutes)
{
    static const struct {
        const char *name;
        int hours;
    } zones[] = {{"UT", 0},   {"UTC", 0},  {"GMT", 0},  {"Z", 0},    {"EST", -5}, {"EDT", -4},
                 {"CST", -6}, {"CDT", -5}, {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7}};
    for (size_t k = 0; k < sizeof(zones) / sizeof(*zones); k++)
        if (s.len == strlen(zones[k].name) && !strncasecmp((const char *)s.data, zones[k].name, s.len)) {
            *ret_minutes = zones[k].hours * 60;
            return true;
        }
    return false;
}

/* zone of sections 3.3 and 4.3: minutes east of UTC. What is no zone counts as UTC, as unknown names do (section 4.3),
 * behind which an offset may follow. So do "GMT+0200" and "+02:00": Python's email and GMime do not look at the offset
 * in them. */
static void scan_zone(struct reading *r, bool zone)
{
    const uint8_t *s = r->c.s + r->c.i;
    struct slice w = peek_word(r);
    size_t n = 0, digits;
    while (n < r->c.len - r->c.i && s[n] != '(' && s[n] != ',' && !token_is_space(s[n]))
        n++;
    size_t start = r->c.i;
    r->odd = r->odd || !zone || !r->has_year || (w.len && r->words++);
    if (!zone) {
        n = n ? n : 1; /* what stands between time and year */
    } else if (w.len) {
        r->has_zone = named_zone(w, &r->zone);
        if (w.len != n)
            r->zone = 0;
        r->odd = r->odd || w.len != n || n > 5;
    } else {
        r->has_zone = true;
        r->odd = r->odd || r->words;
        r->c.i++;
        int v = scan_number(r, 4, 4, &digits);
        if (v < 0 || n != 5 || v % 100 > 59 || v >= 2400)
            r->odd = true;
        else
            r->zone = (v / 100 * 60 + v % 100) * (s[0] == '-' ? -1 : 1);
    }
    r->c.i = start + n;
}

static bool scan_year(struct reading *r, int year, size_t digits)
{
    if (year < 0 || digits < 2 || digits > 4)
        return false;
    if (digits < 4) /* section 4.3 */
        year += digits == 2 && year < 50 ? 2000 : 1900;
    r->day.year = year;
    r->has_year = true;
    return true;
}

/* Year, time and zone; false: what comes next is neither. */
static bool scan_part(struct reading *r)
{
    if (digit_at(r, 0)) {
        size_t digits;
        int n = scan_number(r, 1, 4, &digits);
        struct token_cursor after = r->c;
        bool time = n >= 0 && digits < 4 && token_skip_cfws(&after) && after.i < after.len && after.s[after.i] == ':';
        if (time)
            r->c = after;
        if (!r->has_time && (time || (digits < 3 && at(r, ".") && digit_at(r, 1)))) {
            r->odd = r->odd || digits == 3;
            return scan_time(r, n);
        }
        return !r->has_year && scan_year(r, n, digits);
    }
    if (!r->has_time && name_index(peek_word(r), weekdays, 7) >= 0)
        return skip_weekday(r);
    bool zone = peek_word(r).len || (at(r, "+-") && digit_at(r, 1));
    if (!r->has_time || (r->has_year && (r->has_zone || !zone)))
        return false;
    scan_zone(r, zone && !r->has_zone);
    return true;
}

/* What stands behind a date that is whole is not looked at: comments that never end, a zone's name after its offset. */
static bool scan(struct reading *r)
{
    if (!skip_weekday(r) || !scan_day(r))
        return false;
    while (skip_marks(r, ",") && r->c.i < r->c.len && scan_part(r))
        continue;
    r->odd = r->odd || r->c.i < r->c.len || !r->has_time;
    return r->has_year && r->seconds >= 0 && r->day.year >= YEAR_FIRST && date_exists(r->day);
}
/* The moment; strict: nothing odd. */
static int read_date(const uint8_t *s, size_t len, bool strict, int64_t *ret, int32_t *ret_day)
{
    struct reading r = {.c = {s, len, 0}};
    if (!scan(&r) || (strict && r.odd))
        return ERR_FORMAT;
    int32_t day = date_to_days(r.day);
    int64_t t = (int64_t)day * DAY_SECONDS + r.seconds - r.zone * 60;
    if (t < DATE_OLDEST || t > (int64_t)DATE_LAST)
        return ERR_FORMAT;
    *ret = t;
    if (ret_day)
        *ret_day = day;
    return OK;
}

int date_read(const uint8_t *s, size_t len, int64_t *ret, int32_t *ret_day)
{
    return read_date(s, len, false, ret, ret_day);
}

void date_write(int64_t t, char out[DATE_SIZE])
{
    t = t < DATE_OLDEST ? DATE_OLDEST : t < (int64_t)DATE_LAST ? t : (int64_t)DATE_LAST;
    int32_t days = date_day_of(t);
    unsigned s = (unsigned)(t - (int64_t)days * DAY_SECONDS);
    struct date_civil d = date_from_days(days);
    snprintf(out, DATE_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u +0000", weekdays[(days % 7 + 7) % 7], d.day & 31u,
             date_month_name(d.month), (unsigned)d.year % 10000, s / 3600 % 24, s / 60 % 60, s % 60);
}

void date_write_day(uint64_t t, char out[DATE_DAY_SIZE])
{
    struct date_civil d = date_from_days((int32_t)((t < DATE_LAST ? t : DATE_LAST) / DAY_SECONDS));
    snprintf(out, DATE_DAY_SIZE, "%04u-%02u-%02u", (unsigned)d.year % 10000, d.month & 15u, d.day & 31u);
}

bool date_valid(const uint8_t *s, size_t len)
{
    int64_t t;
    for (size_t i = 0; i < len; i++)
        if (s[i] < ' ' || s[i] > '~')
            return false;
    return len <= 80 && read_date(s, len, true, &t, NULL) == OK;
}

bool date_is_utc(const uint8_t *s, size_t len)
{
    int64_t t;
    char text[DATE_SIZE];
    if (len != DATE_SIZE - 1 || date_read(s, len, &t, NULL) != OK)
        return false;
    date_write(t, text);
    return !memcmp(text, s, len);
}
