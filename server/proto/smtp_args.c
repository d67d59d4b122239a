/* Arguments of MAIL, RCPT, BDAT and XCLIENT. ESMTP parameters: RFC 5321 section 4.1.1.11; SIZE: RFC 1870; BODY: RFC
 * 6152; * SMTPUTF8: RFC 6531; RET, ENVID, NOTIFY, ORCPT: RFC 3461; HOLDFOR, HOLDUNTIL: RFC 4865; BDAT: RFC 3030 section
 * 2. XCLIENT is Postfix's extension for proxies and tests. */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "server/core/digit.h"
#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/mail/date.h"
#include "server/mail/token.h"
#include "server/proto/smtp_engine.h"

struct word {
    const char *text;
    size_t len;
};

static bool word_is(struct word w, const char *name)
{
    return w.len == strlen(name) && strncasecmp(w.text, name, w.len) == 0;
}

/* The next word of text at *pos; words are parted by blanks. len 0: there is none. */
static struct word next_word(const char *text, size_t len, size_t *pos)
{
    struct word w;

    while (*pos < len && text[*pos] == ' ')
        (*pos)++;
    w.text = text + *pos;
    while (*pos < len && text[*pos] != ' ')
        (*pos)++;
    w.len = (size_t)(text + *pos - w.text);
    return w;
}

/* Splits KEY=VALUE; *ret_value.text is NULL without "=". */
static struct word split_key(struct word w, struct word *ret_value)
{
    const char *eq = memchr(w.text, '=', w.len);
    struct word key = w;

    *ret_value = (struct word){NULL, 0};
    if (eq) {
        key.len = (size_t)(eq - w.text);
        *ret_value = (struct word){eq + 1, w.len - key.len - 1};
    }
    return key;
}

/* size-value = 1*20DIGIT (RFC 1870 section 5), chunk-size (RFC 3030 section 2). A value past 64 bits counts as the
 * largest: it is refused for its size, not its form. */
static int number(struct word w, uint64_t *ret)
{
    uint64_t v = 0;

    if (w.len == 0 || w.len > 20)
        return ERR_FORMAT;
    for (size_t i = 0; i < w.len; i++) {
        unsigned d = (unsigned char)w.text[i] - '0';
        if (d > 9)
            return ERR_FORMAT;
        v = v > (UINT64_MAX - d) / 10 ? UINT64_MAX : v * 10 + d;
    }
    *ret = v;
    return OK;
}

/* Of RFC 3461 section 4: in upper case only. */
static int hexchar(char c)
{
    return c >= 'a' ? -1 : digit_hex((uint8_t)c);
}

/* xtext (RFC 3461 section 4), printable ASCII from `least` on once decoded. */
static int xtext(struct word w, int least, char *out, size_t cap)
{
    size_t o = 0;

    for (size_t i = 0; i < w.len; i++) {
        int c = (unsigned char)w.text[i];
        if (c == '+') {
            int hi = i + 2 < w.len ? hexchar(w.text[i + 1]) : -1;
            int lo = hi >= 0 ? hexchar(w.text[i + 2]) : -1;
            if (lo < 0)
                return ERR_FORMAT;
            c = hi * 16 + lo;
            i += 2;
        }
        if (c < least || c > 126)
            return ERR_FORMAT;
        if (o + 1 >= cap)
            return ERR_LIMIT;
        out[o++] = (char)c;
    }
    out[o] = '\0';
    return OK;
}

/* ---- MAIL ---- */

/* RFC 1870 section 6 */
static int take_size(const struct smtp_submission *sub, struct word value, struct smtp_mail_args *a)
{
    return number(value, &a->size);
}

/* RFC 6152 section 3 */
static int take_body(const struct smtp_submission *sub, struct word value, struct smtp_mail_args *a)
{
    a->body_8bit = word_is(value, "8BITMIME");
    return a->body_8bit || word_is(value, "7BIT") ? OK : ERR_FORMAT; /* BINARYMIME (RFC 3030) is not offered */
}

/* RFC 6531 section 3.4 */
static int take_smtputf8(const struct smtp_submission *sub, struct word value, struct smtp_mail_args *a)
{
    a->smtputf8 = true;
    return OK;
}

/* RFC 8689 section 2 */
static int take_requiretls(const struct smtp_submission *sub, struct word value, struct smtp_mail_args *a)
{
    a->requiretls = true;
    return OK;
}

/* RFC 3461 section 4.3 */
static int take_ret(const struct smtp_submission *sub, struct word value, struct smtp_mail_args *a)
{
    a->ret = word_is(value, "FULL") ? 1 : word_is(value, "HDRS") ? 2 : 0;
    return a->ret ? OK : ERR_FORMAT;
}

/* RFC 3461 section 4.4. It stays in xtext, which is how it goes on. */
static int take_envid(const struct smtp_submission *sub, struct word value, struct smtp_mail_args *a)
{
    char plain[SMTP_ENVID_MAX + 1];
    int err = value.len == 0 || value.len > SMTP_ENVID_MAX ? ERR_FORMAT : xtext(value, ' ', plain, sizeof(plain));

    if (err == OK)
        memcpy(a->envid, value.text, value.len);
    return err;
}

/* RFC 4954 section 5: who wrote it before us. Nobody is trusted to say so here. */
static int take_auth(const struct smtp_submission *sub, struct word value, struct smtp_mail_args *a)
{
    char plain[SMTP_PATH_MAX];

    return value.len ? xtext(value, ' ', plain, sizeof(plain)) : ERR_FORMAT;
}

/* RFC 4865 section 4: future-release-integer = %x31-39 *8DIGIT */
static int take_holdfor(const struct smtp_submission *sub, struct word value, struct smtp_mail_args *a)
{
    uint64_t seconds;

    if (value.len > 9 || number(value, &seconds) != OK || value.text[0] == '0')
        return ERR_FORMAT;
    if (a->hold_until || seconds > sub->hold_max)
        return a->hold_until ? ERR_FORMAT : ERR_LIMIT;
    a->hold_until = sub->now() + seconds;
    return OK;
}

/* RFC 4865 section 4, with erratum 2040: date-time of RFC 3339. What is over already is not held. */
static int take_holduntil(const struct smtp_submission *sub, struct word value, struct smtp_mail_args *a)
{
    const uint64_t now = sub->now();
    int64_t until;

    if (a->hold_until || date_read_internet((const uint8_t *)value.text, value.len, &until) != OK)
        return ERR_FORMAT;
    if (until > 0 && (uint64_t)until > now + sub->hold_max)
        return ERR_LIMIT;
    a->hold_until = until > 0 && (uint64_t)until > now ? (uint64_t)until : now;
    return OK;
}

enum { ALWAYS, SUBMITTED, HELD, PLAIN = 0, VALUED };
static const struct mail_param {
    const char *name;
    int offered, valued;
    int (*take)(const struct smtp_submission *sub, struct word value, struct smtp_mail_args *a);
} mail_params[] = {
    {"SIZE", ALWAYS, VALUED, take_size},         {"BODY", ALWAYS, VALUED, take_body},
    {"SMTPUTF8", ALWAYS, PLAIN, take_smtputf8},  {"REQUIRETLS", ALWAYS, PLAIN, take_requiretls},
    {"RET", SUBMITTED, VALUED, take_ret},        {"ENVID", SUBMITTED, VALUED, take_envid},
    {"AUTH", SUBMITTED, VALUED, take_auth},      {"HOLDFOR", HELD, VALUED, take_holdfor},
    {"HOLDUNTIL", HELD, VALUED, take_holduntil},
};
enum { MAIL_PARAMS = sizeof(mail_params) / sizeof(mail_params[0]) };

/* MAIL_PARAMS: there is none of that name here. */
static size_t find_param(const struct smtp_submission *sub, struct word key)
{
    const int offers = !sub->mechanisms ? ALWAYS : sub->hold_max ? HELD : SUBMITTED;
    size_t i = 0;

    while (i < MAIL_PARAMS && (mail_params[i].offered > offers || !word_is(key, mail_params[i].name)))
        i++;
    return i;
}

int smtp_mail_args(const struct smtp_submission *sub, const uint8_t *text, size_t len, struct smtp_mail_args *ret,
                   struct smtp_complaint *ret_why)
{
    static const struct smtp_complaint syntax = {501, "5.5.4", "Malformed MAIL parameter"},
                                       unknown = {555, "5.5.4", "MAIL parameter not recognized"},
                                       held = {501, "5.5.4", "Mail is not held for so long"};
    struct smtp_mail_args a = {0};
    unsigned seen = 0;
    size_t pos = 1;
    int err = OK;

    *ret_why = syntax; /* RFC 5321 section 4.1.2: Mail-parameters */
    if (len > 0 && (text[0] != ' ' || len == 1))
        return ERR_FORMAT;
    while (pos < len && err == OK) {
        struct word value, w = next_word((const char *)text, len, &pos), key = split_key(w, &value);
        const size_t i = find_param(sub, key);
        if (key.len == 0)
            return ERR_FORMAT;
        if (i == MAIL_PARAMS) {
            *ret_why = unknown; /* RFC 5321 section 4.1.1.11 */
            return ERR_UNSUPPORTED;
        }
        if (seen & 1u << i || !value.text != (mail_params[i].valued == PLAIN))
            return ERR_FORMAT;
        seen |= 1u << i;
        err = mail_params[i].take(sub, value, &a);
    }
    if (err == ERR_LIMIT && a.hold_until == 0)
        *ret_why = held;
    if (err == OK)
        *ret = a;
    return err;
}

/* ---- RCPT ---- */

/* RFC 3461 section 4.1 */
static int take_notify(struct word value, uint8_t *ret)
{
    static const struct {
        const char *name;
        uint8_t bit;
    } rows[] = {
        {"NEVER", SMTP_NOTIFY_NEVER},
        {"SUCCESS", SMTP_NOTIFY_SUCCESS},
        {"FAILURE", SMTP_NOTIFY_FAILURE},
        {"DELAY", SMTP_NOTIFY_DELAY},
    };
    uint8_t bits = 0;
    size_t pos = 0, i;

    for (;;) {
        const char *comma = memchr(value.text + pos, ',', value.len - pos);
        struct word w = {value.text + pos, comma ? (size_t)(comma - value.text) - pos : value.len - pos};
        for (i = 0; i < 4 && !word_is(w, rows[i].name); i++)
            ;
        if (i == 4)
            return ERR_FORMAT;
        bits |= rows[i].bit;
        pos += w.len + 1;
        if (!comma)
            break;
    }
    if (bits & SMTP_NOTIFY_NEVER && bits != SMTP_NOTIFY_NEVER)
        return ERR_FORMAT;
    *ret = bits;
    return OK;
}

/* RFC 3461 section 4.2: addr-type ";" xtext; RFC 6533 section 3: with SMTPUTF8 "utf-8;" has UTF-8 as well. */
static int take_orcpt(struct word value, bool utf8_ok, char ret[SMTP_ORCPT_MAX + 1])
{
    const char *semicolon = memchr(value.text, ';', value.len);
    struct word type = {value.text, semicolon ? (size_t)(semicolon - value.text) : 0}, rest;
    char plain[SMTP_ORCPT_MAX + 1];

    if (type.len == 0 || value.len > SMTP_ORCPT_MAX ||
        token_dot_atom((const uint8_t *)type.text, type.len) != type.len || memchr(type.text, '=', type.len))
        return ERR_FORMAT;
    rest = (struct word){semicolon + 1, value.len - type.len - 1};
    if (rest.len == 0 || !utf8_printable(value.text, value.len))
        return ERR_FORMAT;
    if (!(utf8_ok && word_is(type, "utf-8")) && xtext(rest, ' ', plain, sizeof(plain)) != OK)
        return ERR_FORMAT;
    memcpy(ret, value.text, value.len);
    ret[value.len] = '\0';
    return OK;
}

int smtp_rcpt_args(const struct smtp_submission *sub, bool utf8_ok, const uint8_t *text, size_t len,
                   uint8_t *ret_notify, char ret_orcpt[SMTP_ORCPT_MAX + 1], struct smtp_complaint *ret_why)
{
    static const struct smtp_complaint syntax = {501, "5.5.4", "Malformed RCPT parameter"},
                                       unknown = {555, "5.5.4", "RCPT parameter not recognized"};
    uint8_t notify = 0;
    bool named = false;
    size_t pos = 1;
    int err = OK;

    *ret_why = sub->mechanisms ? syntax : unknown; /* RFC 5321 section 4.1.1.11 */
    ret_orcpt[0] = '\0';
    if (len > 0 && (!sub->mechanisms || text[0] != ' ' || len == 1))
        return ERR_FORMAT;
    while (pos < len && err == OK) {
        struct word value, key = split_key(next_word((const char *)text, len, &pos), &value);
        if (word_is(key, "NOTIFY"))
            err = notify || !value.text ? ERR_FORMAT : take_notify(value, &notify);
        else if (word_is(key, "ORCPT"))
            err = named || !value.text ? ERR_FORMAT : take_orcpt(value, utf8_ok, ret_orcpt);
        else
            return (*ret_why = unknown, ERR_UNSUPPORTED);
        named = ret_orcpt[0] != '\0';
    }
    if (err == OK)
        *ret_notify = notify;
    return err;
}

/* ---- BDAT and XCLIENT ---- */

int smtp_bdat_args(const uint8_t *text, size_t len, uint64_t *ret_octets, bool *ret_last)
{
    size_t pos = 0;
    struct word w = next_word((const char *)text, len, &pos), last = {"", 0};
    uint64_t octets;
    int err = number(w, &octets);

    if (err != OK || octets == UINT64_MAX)
        return ERR_FORMAT;
    if (w.len < len) {
        last = next_word((const char *)text, len, &pos);
        if (!word_is(last, "LAST") || w.len + 1 + last.len != len)
            return ERR_FORMAT;
    }
    *ret_octets = octets;
    *ret_last = last.len > 0;
    return OK;
}

static int xclient_addr(char addr[64])
{
    unsigned char bytes[16];

    if (strncasecmp(addr, "IPV6:", 5) == 0) {
        memmove(addr, addr + 5, strlen(addr + 5) + 1);
        return inet_pton(AF_INET6, addr, bytes) == 1 ? OK : ERR_FORMAT;
    }
    return inet_pton(AF_INET, addr, bytes) == 1 ? OK : ERR_FORMAT;
}

int smtp_xclient_args(const uint8_t *text, size_t len, struct smtp_xclient *ret)
{
    struct smtp_xclient x = {0};
    const struct {
        const char *name;
        char *out;
        size_t cap;
    } keys[] = {
        {"ADDR", x.addr, sizeof(x.addr)},
        {"NAME", x.name, sizeof(x.name)},
        {"HELO", x.helo, sizeof(x.helo)},
        {"PROTO", x.proto, sizeof(x.proto)},
    };
    size_t pos = 0, i, n = sizeof(keys) / sizeof(keys[0]);

    if (len == 0)
        return ERR_FORMAT;
    while (pos < len) {
        struct word value, key = split_key(next_word((const char *)text, len, &pos), &value);
        for (i = 0; i < n && !word_is(key, keys[i].name); i++)
            ;
        if (i == n || !value.text || value.len == 0 || keys[i].out[0])
            return ERR_FORMAT;
        if (word_is(value, "[UNAVAILABLE]") || word_is(value, "[TEMPUNAVAIL]"))
            continue;
        if (xtext(value, '!', keys[i].out, keys[i].cap) != OK)
            return ERR_FORMAT;
    }
    if (x.addr[0] && xclient_addr(x.addr) != OK)
        return ERR_FORMAT;
    if (x.proto[0] && strcasecmp(x.proto, "SMTP") != 0 && strcasecmp(x.proto, "ESMTP") != 0)
        return ERR_FORMAT;
    *ret = x;
    return OK;
}
