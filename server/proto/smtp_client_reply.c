/* Replies (RFC 5321 section 4.2) as servers really write them, and what EHLO's offers. */
#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/proto/smtp_client_impl.h"

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* ---- EHLO ---- */

static const struct {
    const char *name;
    unsigned offer;
} keywords[] = {
    {"STARTTLS", SMTP_OFFERS_STARTTLS}, /* RFC 3207 */
    {"PIPELINING", SMTP_OFFERS_PIPELINING}, {"8BITMIME", SMTP_OFFERS_8BITMIME},
    {"SMTPUTF8", SMTP_OFFERS_SMTPUTF8},     {"DSN", SMTP_OFFERS_DSN},
    {"REQUIRETLS", SMTP_OFFERS_REQUIRETLS}, {"SIZE", SMTP_OFFERS_SIZE},
};
static const struct {
    const char *name;
    unsigned offer;
} mechanisms[] = {
    {"PLAIN", SMTP_OFFERS_AUTH_PLAIN},
    {"SCRAM-SHA-256", SMTP_OFFERS_AUTH_SCRAM},
};

static bool word_is(struct slice w, const char *name)
{
    return w.len == strlen(name) && strncasecmp((const char *)w.data, name, w.len) == 0;
}

static struct slice next_word(struct slice *left)
{
    size_t at = 0, end;

    while (at < left->len && left->data[at] == ' ')
        at++;
    for (end = at; end < left->len && left->data[end] != ' ';)
        end++;
    struct slice w = slice_of(left->data + at, end - at);
    *left = slice_of(left->data + end, left->len - end);
    return w;
}

/* RFC 1870 section 4: what is no number limits nothing, and neither does what no message reaches. */
static uint64_t read_size(struct slice digits)
{
    uint64_t v = 0;

    for (size_t i = 0; i < digits.len; i++) {
        unsigned d = digits.data[i] - (unsigned)'0';

        if (d > 9)
            return 0;
        v = v > (UINT64_MAX - d) / 10 ? UINT64_MAX : v * 10 + d;
    }
    return v;
}

void smtp_client_read_offer(struct smtp_client *c, struct slice text)
{
    struct slice keyword = next_word(&text), word;

    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
        if (word_is(keyword, keywords[i].name))
            c->coming_offers |= keywords[i].offer;
    if (word_is(keyword, "SIZE"))
        c->coming_size_max = read_size(next_word(&text));
    if (!word_is(keyword, "AUTH"))
        return;
    while ((word = next_word(&text)).len) /* RFC 4954 section 3 */
        for (size_t i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
            if (word_is(word, mechanisms[i].name))
                c->coming_offers |= mechanisms[i].offer;
}

/* ---- a reply's text ---- */

/* "5.1.1" at the start, of the code's class (RFC 2034 section 4). Octets, 0: there is none. */
static size_t enhanced_len(struct slice text, int code)
{
    size_t i = 1;

    if (text.len < 5 || text.data[0] != '0' + code / 100)
        return 0;
    for (int part = 0; part < 2; part++) {
        size_t digits = 0;

        if (i >= text.len || text.data[i++] != '.')
            return 0;
        for (; i < text.len && is_digit(text.data[i]); i++)
            digits++;
        if (digits == 0 || digits > 3)
            return 0;
    }
    return i == text.len || text.data[i] == ' ' ? i : 0;
}

static void keep(struct smtp_client *c, const void *octets, size_t len)
{
    size_t room = SMTP_CLIENT_TEXT_MAX - c->text_len;

    memcpy(c->coming.text + c->text_len, octets, len < room ? len : room);
    c->text_len += len < room ? len : room;
}

/* Lines become one; the enhanced code of the first is not said again. */
static void keep_line(struct smtp_client *c, struct slice text)
{
    size_t n = enhanced_len(text, c->coming.code), known = strlen(c->coming.enhanced);

    if (c->lines == 1 && n) {
        memcpy(c->coming.enhanced, text.data, n);
    } else if (n && n == known && memcmp(text.data, c->coming.enhanced, n) == 0) {
        n += n < text.len;
        text = slice_of(text.data + n, text.len - n);
    }
    if (text.len == 0)
        return;
    keep(c, " ", 1);
    keep(c, text.data, text.len);
}

/* Of a text that was cut off: without the rest of a character. */
static size_t whole_characters(const char *text, size_t len)
{
    uint32_t c;

    for (size_t i = 0, n; i < len; i += n ? n : 1) {
        n = utf8_decode(text + i, len - i, &c);
        if (!n && len - i < 4)
            return i;
    }
    return len;
}

static void fit_for_people(struct smtp_client *c)
{
    char *text = c->coming.text;
    size_t n = c->text_len < SMTP_CLIENT_TEXT_MAX ? c->text_len : whole_characters(text, c->text_len);

    text[n] = '\0';
    utf8_tame(text, n);
}

/* RFC 5321 section 4.2.1: the code and "-" or a blank; a code alone is taken too (section 4.2). Each line has the same
 * code. */
static int take_line(struct smtp_client *c, struct slice line, bool *ret_last)
{
    const uint8_t *s = line.data;
    struct slice text;
    int code;

    if (line.len < 3 || s[0] < '2' || s[0] > '5' || !is_digit(s[1]) || !is_digit(s[2]) ||
        (line.len > 3 && s[3] != ' ' && s[3] != '-'))
        return ERR_FORMAT;
    code = (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
    if (c->lines == 0) {
        memset(&c->coming, 0, sizeof(c->coming));
        c->coming.code = code;
        c->text_len = 0;
        keep(c, s, 3);
        c->coming_offers = 0;
        c->coming_size_max = 0;
    }
    if (code != c->coming.code)
        return ERR_FORMAT;
    if (++c->lines > SMTP_CLIENT_LINES_MAX)
        return ERR_LIMIT;
    *ret_last = line.len == 3 || s[3] == ' ';
    text = line.len > 3 ? slice_of(s + 4, line.len - 4) : slice_of(s + 3, 0);
    if (c->phase == CLIENT_EHLO && c->lines > 1)
        smtp_client_read_offer(c, text);
    if (c->phase == CLIENT_LOGIN)
        smtp_client_login_challenge(c, text);
    keep_line(c, text);
    return OK;
}

int smtp_client_read(struct smtp_client *c, struct buf *in)
{
    struct slice line;
    bool last = false;
    int err;

    while (!last) {
        err = line_next(&c->line, in, &line);
        if (err != OK)
            return err;
        err = take_line(c, line, &last);
        line_consume(in, line);
        if (err != OK)
            return err;
    }
    c->lines = 0;
    fit_for_people(c);
    c->last = c->coming;
    return OK;
}
