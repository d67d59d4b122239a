/* Reading what real mail puts into address lists, id lists and dates, obsolete forms included (RFC 5322 section 4),
 * into canonical pieces. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/mail/grammar.h"
#include "server/core/error.h"

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Steps over one lexical unit: a comment, a quoted string, an escaped octet or an octet. An unclosed one reaches to the
 * end. */
static size_t unit_len(const uint8_t *s, size_t len)
{
    if (s[0] == '(') {
        size_t depth = 0;
        for (size_t i = 0; i < len; i++) {
            if (s[i] == '\\')
                i++;
            else if (s[i] == '(')
                depth++;
            else if (s[i] == ')' && !--depth)
                return i + 1;
        }
        return len;
    }
    if (s[0] == '"') {
        for (size_t i = 1; i < len; i++) {
            if (s[i] == '\\')
                i++;
            else if (s[i] == '"')
                return i + 1;
        }
        return len;
    }
    return 1;
}

struct canon {
    char out[GRAMMAR_ADDRESS_MAX];
    size_t len;
    bool failed;
};

static void canon_put(struct canon *c, char ch)
{
    if (c->len == sizeof(c->out))
        c->failed = true;
    else
        c->out[c->len++] = ch;
}

/* local-part of sections 3.4.1 and 4.4: words and dots with white space and comments between, to a dot-atom or one
 * quoted string. */
static void canon_local(struct canon *c, const uint8_t *s, size_t len)
{
    char plain[GRAMMAR_ADDRESS_MAX];
    size_t n = 0;
    bool quote = false, gap = false;
    for (size_t i = 0, u; i < len; i += u) {
        u = unit_len(s + i, len - i);
        if (is_space(s[i]) || s[i] == '(') {
            gap = n > 0;
            continue;
        }
        if (gap && s[i] != '.' && plain[n - 1] != '.') { /* two words side by side are no address */
            c->failed = true;
            return;
        }
        gap = false;
        size_t from = i, to = i + u;
        if (s[i] == '"') {
            if (u < 2 || s[i + u - 1] != '"') {
                c->failed = true;
                return;
            }
            from++, to--;
            quote = quote || from == to;
        } else if (s[i] != '.' && !grammar_is_atext(s[i])) {
            c->failed = true;
            return;
        }
        for (; from < to; from++) {
            if (s[i] == '"' && s[from] == '\\' && from + 1 < to)
                from++;
            if (s[from] < 0x20 || s[from] == 0x7f || n == sizeof(plain)) {
                c->failed = true;
                return;
            }
            plain[n++] = (char)s[from];
        }
    }
    for (size_t i = 0; i < n; i++)
        quote = quote ||
                !(grammar_is_atext((uint8_t)plain[i]) || (plain[i] == '.' && i && i + 1 < n && plain[i - 1] != '.'));
    if (quote)
        canon_put(c, '"');
    for (size_t i = 0; i < n; i++) {
        if (plain[i] == '"' || plain[i] == '\\')
            canon_put(c, '\\');
        canon_put(c, plain[i]);
    }
    if (quote)
        canon_put(c, '"');
}

static void canon_domain(struct canon *c, const uint8_t *s, size_t len)
{
    for (size_t i = 0, u; i < len; i += u) {
        u = unit_len(s + i, len - i);
        if (s[i] == '(' || is_space(s[i]))
            continue;
        for (size_t j = 0; j < u; j++)
            canon_put(c, (char)s[i + j]);
    }
}

/* One addr-spec, with obs-route in front ("<@a,@b:c@d>", section 4.4). */
static bool address_one(const uint8_t *s, size_t len, struct canon *c)
{
    size_t at = len;
    size_t lead = cfws_len(s, len);
    if (lead != (size_t)-1 && lead < len && s[lead] == '@') {
        const uint8_t *colon = memchr(s, ':', len);
        if (!colon)
            return false;
        len -= (size_t)(colon + 1 - s);
        s = colon + 1;
        at = len;
    }
    for (size_t i = 0, u; i < len; i += u) {
        u = unit_len(s + i, len - i);
        if (s[i] == '@')
            at = i;
    }
    if (at == len)
        return false;
    c->len = 0;
    c->failed = false;
    canon_local(c, s, at);
    canon_put(c, '@');
    canon_domain(c, s + at + 1, len - at - 1);
    return !c->failed && grammar_addr_spec((const uint8_t *)c->out, c->len);
}

void addresses_read(const uint8_t *s, size_t len, int (*fn)(void *arg, const char *address, size_t len), void *arg)
{
    struct canon c;
    size_t start = 0, open = len, close = len; /* of the element at hand; places of its < and > */
    bool literals = true; /* "[" is looked for its "]" only until there is none: else many would cost a search each */
    for (size_t i = 0, u; i <= len; i += u) {
        u = i < len ? unit_len(s + i, len - i) : 1;
        bool inside = open < len && close == len;
        if (i < len && s[i] == '<' && open == len)
            open = i;
        else if (i < len && s[i] == '>' && inside)
            close = i;
        else if (i < len && s[i] == '[' && !inside && literals) { /* a literal's colons */
            const uint8_t *e = memchr(s + i, ']', len - i);
            u = e ? (size_t)(e - (s + i)) + 1 : 1;
            literals = e != NULL;
        } else if (i < len && s[i] == ':' && !inside) /* a group's name ends here */
            start = i + 1, open = close = len;
        else if (i == len || ((s[i] == ',' || s[i] == ';') && !inside)) {
            size_t from = open < len ? open + 1 : start;
            size_t to = open < len ? close : i;
            if (from < to && address_one(s + from, to - from, &c) && fn(arg, c.out, c.len))
                return;
            start = i + 1;
            open = close = len;
        }
    }
}

void ids_read(const uint8_t *s, size_t len, int (*fn)(void *arg, const uint8_t *id, size_t len), void *arg)
{
    size_t open = len;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '<')
            open = i;
        else if (s[i] == '>' && open < len) {
            if (grammar_id(s + open, i + 1 - open) && fn(arg, s + open, i + 1 - open))
                return;
            open = len;
        }
    }
}

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char days[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */

struct scan {
    const uint8_t *s;
    size_t len, i;
};

static bool scan_gap(struct scan *c)
{
    size_t n = cfws_len(c->s + c->i, c->len - c->i);
    if (n == (size_t)-1)
        return false;
    c->i += n;
    return true;
}

static int scan_number(struct scan *c, unsigned min, unsigned max, size_t *ret_digits)
{
    unsigned v = 0;
    size_t n = 0;
    for (; c->i < c->len && c->s[c->i] >= '0' && c->s[c->i] <= '9' && n < 5; c->i++, n++)
        v = v * 10 + c->s[c->i] - '0';
    if (ret_digits)
        *ret_digits = n;
    return n >= min && n <= max ? (int)v : -1;
}

/* Index of the three letters in a table, -1 if they are not there. */
static int scan_name(struct scan *c, const char *table)
{
    if (c->len - c->i < 3)
        return -1;
    for (int k = 0; table[3 * k]; k++)
        if (!strncasecmp((const char *)c->s + c->i, table + 3 * k, 3)) {
            c->i += 3;
            return k;
        }
    return -1;
}

/* zone of RFC 5322 3.3 and 4.3: minutes east of UTC. Unknown names count as UTC. */
static bool scan_zone(struct scan *c, long *ret)
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

static bool scan_time(struct scan *c, int *h, int *m, int *sec)
{
    *sec = 0;
    if ((*h = scan_number(c, 1, 2, NULL)) < 0 || !scan_gap(c) || c->i == c->len || c->s[c->i++] != ':' ||
        !scan_gap(c) || (*m = scan_number(c, 2, 2, NULL)) < 0 || !scan_gap(c))
        return false;
    if (c->i < c->len && c->s[c->i] == ':') {
        c->i++;
        if (!scan_gap(c) || (*sec = scan_number(c, 2, 2, NULL)) < 0 || !scan_gap(c))
            return false;
    }
    return *h < 24 && *m < 60 && *sec <= 60;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static long days_from_date(long y, long m, long d)
{
    y -= m <= 2;
    long era = y / 400, yoe = y - era * 400;
    long doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

int date_read(const uint8_t *s, size_t len, uint64_t *ret)
{
    struct scan c = {s, len, 0};
    int h, m, sec;
    long zone;
    size_t digits;
    if (!scan_gap(&c))
        return ERR_FORMAT;
    if (scan_name(&c, days) >= 0) {
        if (!scan_gap(&c))
            return ERR_FORMAT;
        if (c.i < len && s[c.i] == ',')
            c.i++;
        if (!scan_gap(&c))
            return ERR_FORMAT;
    }
    int day = scan_number(&c, 1, 2, NULL);
    if (day < 1 || !scan_gap(&c))
        return ERR_FORMAT;
    int mon = scan_name(&c, months);
    if (mon < 0 || !scan_gap(&c))
        return ERR_FORMAT;
    int year = scan_number(&c, 2, 4, &digits);
    if (year < 0 || !scan_gap(&c) || !scan_time(&c, &h, &m, &sec) || !scan_zone(&c, &zone) || !scan_gap(&c) ||
        c.i != len)
        return ERR_FORMAT;
    if (digits < 4) /* section 4.3 */
        year += digits == 2 && year < 50 ? 2000 : 1900;
    static const int lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100) || year % 400 == 0;
    if (year < 1970 || day > lengths[mon] || (mon == 1 && day == 29 && !leap))
        return ERR_FORMAT;
    long long t = (long long)days_from_date(year, mon + 1, day) * 86400 + h * 3600 + m * 60 + sec - zone * 60;
    if (t < 0 || t > 253402300799) /* the year 9999 ends */
        return ERR_FORMAT;
    *ret = (uint64_t)t;
    return OK;
}

void date_write(uint64_t t, char out[40])
{
    time_t when = t > 253402300799 ? 253402300799 : (time_t)t;
    struct tm tm;
    gmtime_r(&when, &tm);
    snprintf(out, 40, "%.3s, %02d %.3s %04d %02d:%02d:%02d +0000", days + 3 * ((when / 86400) % 7), tm.tm_mday,
             months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

bool grammar_date(const uint8_t *s, size_t len)
{
    uint64_t t;
    for (size_t i = 0; i < len; i++)
        if (s[i] < ' ' || s[i] > '~')
            return false;
    return len <= 80 && date_read(s, len, &t) == OK;
}

bool grammar_date_utc(const uint8_t *s, size_t len)
{
    uint64_t t;
    char text[40];
    if (len != 31 || date_read(s, len, &t) != OK)
        return false;
    date_write(t, text);
    return !memcmp(text, s, 31);
}
