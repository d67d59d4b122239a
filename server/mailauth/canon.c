/* Canonical forms. See canon.h. */
#include "server/mailauth/canon.h"

#include "server/mail/token.h"

static void give(canon_sink *sink, void *arg, const char *s, size_t len)
{
    sink(arg, (const uint8_t *)s, len);
}

/* In runs, so that the hash is not called for each octet. */
static void give_value(const uint8_t *s, size_t len, canon_sink *sink, void *arg)
{
    bool space = false, any = false;
    size_t i = 0;

    while (i < len) {
        size_t from = i;

        while (i < len && !token_is_blank(s[i]) && s[i] != '\r' && s[i] != '\n')
            i++;
        if (i > from) {
            if (space && any)
                give(sink, arg, " ", 1);
            sink(arg, s + from, i - from);
            any = true;
            space = false;
        }
        for (; i < len && (token_is_space(s[i])); i++)
            space |= token_is_blank(s[i]); /* a fold is nothing, the blanks behind it are one */
    }
}

void canon_field(const uint8_t *name, size_t name_len, const uint8_t *value, size_t value_len, bool end,
                 canon_sink *sink, void *arg)
{
    uint8_t low[80];
    size_t n = 0;

    while (name_len > 0 && token_is_blank(name[name_len - 1]))
        name_len--;
    for (size_t i = 0; i < name_len; i++) {
        low[n++] = name[i] >= 'A' && name[i] <= 'Z' ? (uint8_t)(name[i] + 32) : name[i];
        if (n == sizeof(low)) {
            sink(arg, low, n);
            n = 0;
        }
    }
    sink(arg, low, n);
    give(sink, arg, ":", 1);
    give_value(value, value_len, sink, arg);
    if (end)
        give(sink, arg, "\r\n", 2);
}

/* Empty lines count only if something follows (section 3.4.4 b). */
static void give_empty(struct canon_body *b, canon_sink *sink, void *arg)
{
    for (; b->empty > 0; b->empty--)
        give(sink, arg, "\r\n", 2);
}

static void end_line(struct canon_body *b, canon_sink *sink, void *arg)
{
    if (b->text)
        give(sink, arg, "\r\n", 2);
    else
        b->empty++;
    b->text = b->space = b->cr = false;
}

static void text(struct canon_body *b, const uint8_t *s, size_t len, canon_sink *sink, void *arg)
{
    if (!b->text)
        give_empty(b, sink, arg);
    if (b->space)
        give(sink, arg, " ", 1);
    sink(arg, s, len);
    b->text = b->any = true;
    b->space = false;
}

enum { STEP = 32, AHEAD = 2 };

/* A line's end with text behind it, which needs the same before it to come out as it is. Lines that begin with a blank
 * are left to others. */
static bool ends_within(const uint8_t *s)
{
    return s[0] == '\r' && s[1] == '\n' && s[2] != '\r' && !token_is_blank(s[2]);
}

/* Of STEP octets and the AHEAD behind them, all at once, as compilers do where nothing branches: there is no line's end
 * but such ones and, relaxed, no blank that is not a single space. */
static bool is_plain(const uint8_t *s, bool relaxed)
{
    uint8_t ends = 0, blanks = 0;

    for (int i = 0; i < STEP; i++) {
        const uint8_t c = s[i], next = s[i + 1], then = s[i + 2];

        ends |= (c == '\r') & ((then == '\r') | (then == ' ') | (then == '\t') | (next != '\n'));
        blanks |= (c == '\t') | ((c == ' ') & ((next == ' ') | (next == '\t') | (next == '\r')));
    }
    return !ends && !(relaxed && blanks);
}

/* How many octets from s on come out as they are: relaxed, also single spaces with something behind them. */
static size_t run_len(const struct canon_body *b, const uint8_t *s, size_t len)
{
    const bool relaxed = b->form == CANON_RELAXED;
    size_t i = 0;

    while (i < len) {
        if (len - i >= STEP + AHEAD && i > 0 && is_plain(s + i, relaxed)) {
            i += STEP;
            continue;
        }
        for (size_t end = i + STEP; i < len && i < end; i++) {
            if (s[i] == '\r' && !(i > 0 && len - i > AHEAD && ends_within(s + i)))
                return i;
            if (!relaxed || !token_is_blank(s[i]))
                continue;
            if (s[i] != ' ' || (i == 0 && b->space) || i + 1 == len || token_is_blank(s[i + 1]) || s[i + 1] == '\r')
                return i;
        }
    }
    return i;
}

void canon_body_feed(struct canon_body *b, const uint8_t *s, size_t len, canon_sink *sink, void *arg)
{
    size_t i = 0;

    while (i < len) {
        size_t from = i;

        if (b->cr) {
            b->cr = false;
            if (s[i] == '\n') {
                end_line(b, sink, arg);
                i++;
                continue;
            }
            text(b, (const uint8_t *)"\r", 1, sink, arg);
        }
        i += run_len(b, s + i, len - i);
        if (i > from)
            text(b, s + from, i - from, sink, arg);
        if (i == len)
            break;
        if (s[i] == '\r')
            b->cr = true;
        else
            b->space = true;
        i++;
    }
}

/* A last line without CRLF has one. A body without anything has none when relaxed (section 3.4.4), else one (section
 * 3.4.3). */
void canon_body_end(struct canon_body *b, canon_sink *sink, void *arg)
{
    if (b->cr) {
        b->cr = false;
        text(b, (const uint8_t *)"\r", 1, sink, arg);
    }
    if (b->text)
        end_line(b, sink, arg);
    b->empty = 0;
    if (b->form == CANON_SIMPLE && !b->any)
        give(sink, arg, "\r\n", 2);
}
