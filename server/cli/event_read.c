/* Events from lines. See event_read.h. */
#include "server/cli/event_read.h"

#include <string.h>

#include "server/base/event_impl.h"
#include "server/core/digit.h"
#include "server/core/error.h"
#include "server/mail/date.h"

enum { STAMP_LEN = sizeof("2026-11-29T03:00:00.123Z ") - 1 };

struct cursor {
    const char *at, *end;
};

/* ---- pieces ---- */

/* Passes this text if it is what comes next. */
static bool take(struct cursor *c, const char *text)
{
    const size_t n = strlen(text);

    if ((size_t)(c->end - c->at) < n || memcmp(c->at, text, n) != 0)
        return false;
    c->at += n;
    return true;
}

static bool at_gap(const struct cursor *c)
{
    return c->at == c->end || *c->at == ' ';
}

/* Without sign and needless zeros, at most max. */
static bool take_number(struct cursor *c, uint64_t max, uint64_t *ret)
{
    const char *first = c->at;
    uint64_t n = 0;

    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        const unsigned digit = (unsigned)(*c->at - '0');
        if (n > (max - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *ret = n;
    return c->at > first && (*first != '0' || c->at == first + 1);
}

/* Digits in lower case: two an octet. */
static bool take_hex(struct cursor *c, uint8_t *out, size_t len)
{
    if ((size_t)(c->end - c->at) < 2 * len)
        return false;
    for (size_t i = 0; i < 2 * len; i++) {
        const char digit = c->at[i];
        const int v = digit >= 'A' && digit <= 'F' ? -1 : digit_hex((uint8_t)digit);
        if (v < 0)
            return false;
        out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | v : v << 4);
    }
    c->at += 2 * len;
    return true;
}

/* ---- the head ---- */

/* Two or four digits of a stamp whose form has been looked at. */
static int digits(const char *s, int n)
{
    int v = 0;

    for (int i = 0; i < n; i++)
        v = v * 10 + (s[i] - '0');
    return v;
}

static bool is_stamp(const char *s)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ ";

    for (size_t i = 0; i < STAMP_LEN; i++)
        if (form[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != form[i])
            return false;
    return true;
}

/* false: there is no such moment. */
static bool read_time(const char *s, int64_t *ret)
{
    const struct date_civil day = {digits(s, 4), digits(s + 5, 2), digits(s + 8, 2)};
    const int hour = digits(s + 11, 2), minute = digits(s + 14, 2), second = digits(s + 17, 2);

    if (!date_exists(day) || hour > 23 || minute > 59 || second > 59)
        return false;
    *ret = ((date_to_days(day) * INT64_C(24) + hour) * 60 + minute) * 60 + second;
    return true;
}

static bool take_level(struct cursor *c)
{
    return take(c, "error ") || take(c, "warn ") || take(c, "info ") || take(c, "debug ");
}

/* A journal may put stamps of its own in front: ours is the first that a level follows. A name in a line (debug_names)
 * comes behind it, however it looks. */
static int read_stamp(struct cursor *c, struct event_line *ret)
{
    for (; (size_t)(c->end - c->at) >= STAMP_LEN; c->at++) {
        struct cursor behind = {c->at + STAMP_LEN, c->end};
        if (!is_stamp(c->at) || !take_level(&behind))
            continue;
        if (!read_time(c->at, &ret->at))
            return ERR_FORMAT;
        ret->ms = (unsigned)digits(c->at + 20, 3);
        *c = behind;
        return OK;
    }
    return ERR_NOT_FOUND;
}

/* "ingest.1 mail", once stamp and level are passed. */
static int read_head(struct cursor *c, struct event_line *ret)
{
    uint64_t instance;
    size_t n = 0;
    int err = read_stamp(c, ret);

    if (err != OK)
        return err;
    for (; !at_gap(c) && *c->at != '.'; c->at++) {
        if (n + 1 == sizeof(ret->process) || !((*c->at >= 'a' && *c->at <= 'z') || *c->at == '-'))
            return ERR_FORMAT;
        ret->process[n++] = *c->at;
    }
    ret->process[n] = '\0';
    ret->instance = -1;
    if (take(c, ".")) {
        if (!take_number(c, 9999, &instance))
            return ERR_FORMAT;
        ret->instance = (int)instance;
    }
    if (!take(c, " "))
        return ERR_FORMAT;
    for (int e = 0; e < EVENTS; e++) {
        const struct cursor before = *c;
        if (take(c, event_name((enum event_kind)e)) && at_gap(c)) {
            ret->r.event = (enum event_kind)e;
            return OK;
        }
        *c = before;
    }
    return ERR_UNSUPPORTED; /* a sentence of master's */
}

/* ---- fields ---- */

static bool take_code(struct cursor *c, uint64_t *ret)
{
    uint64_t a, b, d;

    if (take(c, "none")) {
        *ret = 0;
        return true;
    }
    if (!take_number(c, 5, &a) || a < 2 || !take(c, ".") || !take_number(c, 99, &b) || !take(c, ".") ||
        !take_number(c, 99, &d))
        return false;
    *ret = a * 10000 + b * 100 + d;
    return true;
}

static bool take_tls(struct cursor *c, uint64_t *ret)
{
    uint8_t version[2], cipher[2];

    if (take(c, "none")) {
        *ret = 0;
        return true;
    }
    if (!take_hex(c, version, 2) || !take(c, "/") || !take_hex(c, cipher, 2))
        return false;
    *ret = event_tls((uint16_t)(version[0] << 8 | version[1]), (uint16_t)(cipher[0] << 8 | cipher[1]));
    return *ret != 0;
}

static int read_word(struct cursor *c, enum event_type table, uint64_t *ret)
{
    const char *word;

    if (!event_word(table, 0))
        return ERR_UNSUPPORTED;
    for (uint64_t i = 0; (word = event_word(table, i)); i++) {
        const struct cursor before = *c;
        const char *quote = strpbrk(word, " =") ? "\"" : "";
        if (take(c, quote) && take(c, word) && take(c, quote) && at_gap(c)) {
            *ret = i;
            return OK;
        }
        *c = before;
    }
    return ERR_FORMAT;
}

static int read_number(struct cursor *c, enum event_type type, uint64_t *ret)
{
    switch (type) {
    case EVENT_TYPE_COUNT: return take_number(c, UINT64_MAX, ret) ? OK : ERR_FORMAT;
    case EVENT_TYPE_OCTETS: return take_number(c, UINT64_MAX, ret) && !(*ret & (*ret - 1)) ? OK : ERR_FORMAT;
    case EVENT_TYPE_CODE: return take_code(c, ret) ? OK : ERR_FORMAT;
    case EVENT_TYPE_TLS: return take_tls(c, ret) ? OK : ERR_FORMAT;
    default: return read_word(c, type, ret);
    }
}

static int read_raw(struct cursor *c, enum event_type type, uint8_t octets[EVENT_ID_MAX], struct slice *ret)
{
    size_t n = 0;

    if (type == EVENT_TYPE_HASH) {
        memset(octets, 0, EVENT_HASH_SIZE);
        *ret = slice_of(octets, EVENT_HASH_SIZE);
        return take(c, "none") || take_hex(c, octets, EVENT_HASH_SIZE) ? OK : ERR_FORMAT;
    }
    if (type != EVENT_TYPE_ID)
        return ERR_UNSUPPORTED;
    for (; !at_gap(c); c->at++) {
        if (n == EVENT_ID_MAX)
            return ERR_FORMAT;
        octets[n++] = (uint8_t)*c->at;
    }
    *ret = slice_of(octets, n);
    return event_id_fits(*ret) ? OK : ERR_FORMAT;
}

static int read_fields(struct cursor *c, struct event_line *ret)
{
    const struct event_row *row = &event_rows[ret->r.event];
    int err = OK;

    for (unsigned i = 0; i < row->numbers + row->raws && err == OK; i++) {
        const enum event_type type = row->fields[i].type;
        const unsigned raw = i - row->numbers;
        if (!take(c, " ") || !take(c, row->fields[i].key) || !take(c, "="))
            return ERR_FORMAT;
        err = i < row->numbers ? read_number(c, type, &ret->r.numbers[i])
                               : read_raw(c, type, ret->octets[raw], &ret->r.raws[raw]);
    }
    return err;
}

int event_read(const char *line, size_t len, struct event_line *ret)
{
    struct cursor c = {line, line + len};
    uint64_t more, seconds;
    int err;

    ret->r = (struct event_record){0};
    err = read_head(&c, ret);
    if (err != OK)
        return err;
    if (take(&c, " more=")) {
        if (!take_number(&c, UINT32_MAX, &more) || !more || !take(&c, " seconds=") ||
            !take_number(&c, UINT32_MAX, &seconds))
            return ERR_FORMAT;
        ret->r.more = (uint32_t)more;
        ret->r.seconds = (uint32_t)seconds;
    } else {
        err = read_fields(&c, ret);
    }
    return err == OK && c.at != c.end ? ERR_FORMAT : err;
}
