/* Dates as protocols write them (RFC 3339 section 5.6): date-time, to the last octet. */
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/date.h"

enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };

/* What stands at form's letters: "0" a digit of the number in hand, others themselves, T in either case. */
static bool read_form(const uint8_t *s, const char *form, int *out)
{
    *out = 0;
    for (size_t i = 0; form[i]; i++) {
        if (form[i] == '0' && s[i] >= '0' && s[i] <= '9')
            *out = *out * 10 + (s[i] - '0');
        else if (s[i] != form[i] && !(form[i] == 'T' && s[i] == 't'))
            return false;
        else
            *++out = 0;
    }
    return true;
}

/* time-offset, in seconds. */
static bool read_offset(const uint8_t *s, size_t len, int *ret)
{
    int v[3];

    if (len == 1 && (s[0] | 0x20) == 'z') {
        *ret = 0;
        return true;
    }
    if (len != 6 || !read_form(s, s[0] == '-' ? "-00:00" : "+00:00", v) || v[1] > 23 || v[2] > 59)
        return false;
    *ret = (v[1] * HOUR + v[2] * MINUTE) * (s[0] == '-' ? -1 : 1);
    return true;
}

int date_read_internet(const uint8_t *s, size_t len, int64_t *ret)
{
    static const char form[] = "0000-00-00T00:00:00";
    size_t i = sizeof(form) - 1;
    struct date_civil d;
    int v[6], offset;

    if (len <= i || !read_form(s, form, v))
        return ERR_FORMAT;
    if (s[i] == '.') {
        size_t first = ++i;
        while (i < len && s[i] >= '0' && s[i] <= '9')
            i++;
        if (i == first)
            return ERR_FORMAT;
    }
    d = (struct date_civil){v[0], v[1], v[2]};
    if (!date_exists(d) || v[3] > 23 || v[4] > 59 || v[5] > 60 || !read_offset(s + i, len - i, &offset))
        return ERR_FORMAT;
    *ret = (int64_t)date_to_days(d) * DAY + v[3] * HOUR + v[4] * MINUTE + v[5] - offset;
    return OK;
}

void date_write_internet(int64_t t, char out[DATE_INTERNET_SIZE])
{
    const int32_t day = date_day_of(t);
    const struct date_civil d = date_from_days(day);
    const unsigned s = (unsigned)(t - (int64_t)day * DAY) % DAY;

    snprintf(out, DATE_INTERNET_SIZE, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)d.year % 10000, d.month & 15u,
             d.day & 31u, s / HOUR, s / MINUTE % 60, s % 60);
}
