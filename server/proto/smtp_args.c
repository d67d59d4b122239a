/* Arguments of MAIL, BDAT and XCLIENT. ESMTP parameters: RFC 5321 section 4.1.1.11; SIZE: RFC 1870; BODY: RFC 6152;
 * SMTPUTF8: RFC 6531; BDAT: RFC 3030 section 2. XCLIENT is Postfix's extension for proxies and tests. */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "server/core/digit.h"
#include "server/core/error.h"
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

int smtp_mail_args(const uint8_t *text, size_t len, struct smtp_mail_args *ret, struct smtp_complaint *ret_why)
{
    static const struct smtp_complaint syntax = {501, "5.5.4", "Malformed MAIL parameter"},
                                       unknown = {555, "5.5.4", "MAIL parameter not recognized"};
    struct smtp_mail_args a = {0};
    bool size = false, body = false;
    size_t pos = 1;

    *ret_why = syntax; /* RFC 5321 section 4.1.2: Mail-parameters */
    if (len > 0 && (text[0] != ' ' || len == 1))
        return ERR_FORMAT;
    while (pos < len) {
        struct word value, w = next_word((const char *)text, len, &pos), key = split_key(w, &value);
        if (key.len == 0)
            return ERR_FORMAT;
        if (word_is(key, "SIZE")) { /* RFC 1870 section 6 */
            if (size || !value.text || number(value, &a.size) != OK)
                return ERR_FORMAT;
            size = true;
        } else if (word_is(key, "BODY")) { /* RFC 6152 section 3 */
            if (body || !value.text)
                return ERR_FORMAT;
            a.body_8bit = word_is(value, "8BITMIME");
            if (!a.body_8bit && !word_is(value, "7BIT"))
                return ERR_FORMAT; /* BINARYMIME (RFC 3030 section 3) is not offered */
            body = true;
        } else if (word_is(key, "SMTPUTF8")) { /* RFC 6531 section 3.4: it has no value */
            if (a.smtputf8 || value.text)
                return ERR_FORMAT;
            a.smtputf8 = true;
        } else {
            *ret_why = unknown; /* RFC 5321 section 4.1.1.11 */
            return ERR_UNSUPPORTED;
        }
    }
    *ret = a;
    return OK;
}

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

/* Of RFC 3461 section 4: in upper case only. */
static int hexchar(char c)
{
    return c >= 'a' ? -1 : digit_hex((uint8_t)c);
}

/* xtext (RFC 3461 section 4), printable ASCII only once decoded. */
static int xtext(struct word w, char *out, size_t cap)
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
        if (c < 33 || c > 126)
            return ERR_FORMAT;
        if (o + 1 >= cap)
            return ERR_LIMIT;
        out[o++] = (char)c;
    }
    out[o] = '\0';
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
        if (xtext(value, keys[i].out, keys[i].cap) != OK)
            return ERR_FORMAT;
    }
    if (x.addr[0] && xclient_addr(x.addr) != OK)
        return ERR_FORMAT;
    if (x.proto[0] && strcasecmp(x.proto, "SMTP") != 0 && strcasecmp(x.proto, "ESMTP") != 0)
        return ERR_FORMAT;
    *ret = x;
    return OK;
}
