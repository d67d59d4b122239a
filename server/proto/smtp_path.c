/* The grammar of paths, mailboxes, domains and address literals (RFC 5321 sections 4.1.2 and 4.1.3; RFC 6531 section
 * 3.3). Strict: what does not fit is refused, never trimmed into shape. */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/proto/smtp_engine.h"

enum { DOMAIN_MAX = 255, LABEL_OCTETS_MAX = 63 };

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* atext of RFC 5322 section 3.2.3. */
static bool is_atext(uint8_t c)
{
    return is_alnum(c) || (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* UTF8-non-ascii (RFC 6531 section 3.3) at p: its octets, 0 if it is none. C1 controls are none: an address goes to
 * logs. */
static size_t utf8_octets(const uint8_t *p, size_t len)
{
    uint32_t c;
    size_t n = utf8_decode(p, len, &c);

    return n > 1 && !utf8_is_control(c) ? n : 0;
}

/* sub-domain = Let-dig [Ldh-str] (or U-label). Octets of the Domain at p, 0: none. */
static size_t domain_octets(const uint8_t *p, size_t len, bool *ret_utf8)
{
    size_t i = 0, label = 0, n;
    bool utf8 = false;

    while (i < len) {
        n = p[i] >= 0x80 ? utf8_octets(p + i, len - i) : 1;
        if (n == 0)
            return 0;
        if (n > 1) {
            utf8 = true;
        } else if (p[i] == '.') {
            if (label == 0 || p[i - 1] == '-' || i + 1 == len)
                return 0;
            label = 0;
            i++;
            continue;
        } else if (p[i] == '-') {
            if (label == 0)
                return 0;
        } else if (!is_alnum(p[i])) {
            break;
        }
        label += n;
        i += n;
        if (label > LABEL_OCTETS_MAX || i > DOMAIN_MAX)
            return 0;
    }
    if (label == 0 || p[i - 1] == '-')
        return 0;
    *ret_utf8 |= utf8;
    return i;
}

/* address-literal, "[" to "]". General-address-literal has no registered tag besides IPv6: refused. */
static size_t literal_octets(const uint8_t *p, size_t len)
{
    char text[64];
    unsigned char addr[16];
    const uint8_t *end = memchr(p, ']', len < 64 ? len : 64);
    size_t n;

    if (len < 2 || p[0] != '[' || !end)
        return 0;
    n = (size_t)(end - p) - 1;
    memcpy(text, p + 1, n);
    text[n] = '\0';
    if (memchr(text, '\0', n))
        return 0;
    if (strncasecmp(text, "IPv6:", 5) == 0)
        return inet_pton(AF_INET6, text + 5, addr) == 1 ? n + 2 : 0;
    return inet_pton(AF_INET, text, addr) == 1 ? n + 2 : 0;
}

bool smtp_domain_valid(const uint8_t *text, size_t len, bool utf8_ok)
{
    bool utf8 = false;

    return len > 0 && domain_octets(text, len, &utf8) == len && (utf8_ok || !utf8);
}

bool smtp_literal_valid(const uint8_t *text, size_t len)
{
    return literal_octets(text, len) == len && len > 0;
}

/* Dot-string = Atom *("." Atom). Octets at p, 0: none. */
static size_t dot_string_octets(const uint8_t *p, size_t len, bool *ret_utf8)
{
    size_t i = 0, n;
    bool atom = false;

    while (i < len) {
        if (p[i] == '.') {
            if (!atom)
                return 0;
            atom = false;
            i++;
            continue;
        }
        if (p[i] >= 0x80) {
            n = utf8_octets(p + i, len - i);
            if (n == 0)
                return 0;
            *ret_utf8 = true;
        } else if (is_atext(p[i])) {
            n = 1;
        } else {
            break;
        }
        atom = true;
        i += n;
    }
    return atom ? i : 0;
}

/* Quoted-string: its octets at p, 0: none. out (at least len octets) gets what it means. */
static size_t quoted_octets(const uint8_t *p, size_t len, uint8_t *out, size_t *ret_out, bool *ret_utf8)
{
    size_t i = 1, o = 0, n;

    while (i < len && p[i] != '"') {
        if (p[i] >= 0x80) {
            n = utf8_octets(p + i, len - i);
            if (n == 0)
                return 0;
            *ret_utf8 = true;
            memcpy(out + o, p + i, n);
            o += n;
            i += n;
            continue;
        }
        if (p[i] == '\\' && ++i == len)
            return 0;
        if (p[i] < 32 || p[i] > 126)
            return 0;
        out[o++] = p[i++];
    }
    if (i >= len)
        return 0;
    *ret_out = o;
    return i + 1;
}

struct text_out {
    char *data;
    size_t len;
    bool full;
};

static void put_octet(struct text_out *t, uint8_t c)
{
    if (t->len + 1 < SMTP_PATH_MAX)
        t->data[t->len++] = (char)c;
    else
        t->full = true;
}

static void put_octets(struct text_out *t, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        put_octet(t, p[i]);
}

/* Local-part. "john"@... is john@... (section 4.1.2: the forms are equivalent, the one with least quoting is
 * preferred). */
static size_t local_part(const uint8_t *p, size_t len, struct text_out *out, bool *ret_utf8)
{
    uint8_t plain[SMTP_COMMAND_MAX];
    size_t n, plain_len = 0;
    bool ignored = false;

    if (p[0] != '"') {
        n = dot_string_octets(p, len, ret_utf8);
        put_octets(out, p, n);
        return n;
    }
    if (len > sizeof(plain))
        return 0;
    n = quoted_octets(p, len, plain, &plain_len, ret_utf8);
    if (n == 0)
        return 0;
    if (plain_len > 0 && dot_string_octets(plain, plain_len, &ignored) == plain_len) {
        put_octets(out, plain, plain_len);
        return n;
    }
    put_octet(out, '"');
    for (size_t i = 0; i < plain_len; i++) {
        if (plain[i] == '"' || plain[i] == '\\')
            put_octet(out, '\\');
        put_octet(out, plain[i]);
    }
    put_octet(out, '"');
    return n;
}

/* A-d-l ":" - source routes must be accepted and are ignored (section 4.1.1.3 and appendix C). Octets, or 0 if
 * malformed. */
static size_t route_octets(const uint8_t *p, size_t len)
{
    size_t i = 0, n;
    bool ignored = false;

    for (;;) {
        if (i >= len || p[i] != '@')
            return 0;
        i++;
        n = i < len ? domain_octets(p + i, len - i, &ignored) : 0;
        if (n == 0 || i + n >= len)
            return 0;
        i += n;
        if (p[i] == ':')
            return i + 1;
        if (p[i] != ',')
            return 0;
        i++;
    }
}

int smtp_path_parse(const uint8_t *text, size_t len, bool null_ok, const char *postmaster_domain,
                    char out[SMTP_PATH_MAX], size_t *ret_used, bool *ret_utf8)
{
    char mailbox[SMTP_PATH_MAX];
    struct text_out t = {mailbox, 0, false};
    const char *bare = "<postmaster>";
    size_t i = 1, n;
    bool utf8 = false;

    if (len < 2 || text[0] != '<')
        return ERR_FORMAT;
    if (null_ok && text[1] == '>') {
        out[0] = '\0';
        *ret_used = 2;
        *ret_utf8 = false;
        return OK;
    }
    if (postmaster_domain && len >= strlen(bare) && strncasecmp((const char *)text, bare, strlen(bare)) == 0) {
        put_octets(&t, (const uint8_t *)"postmaster@", 11); /* section 4.1.1.3 */
        put_octets(&t, (const uint8_t *)postmaster_domain, strlen(postmaster_domain));
        i = strlen(bare) - 1;
    } else {
        if (text[i] == '@') {
            n = route_octets(text + i, len - i);
            if (n == 0)
                return ERR_FORMAT;
            i += n;
        }
        n = i < len ? local_part(text + i, len - i, &t, &utf8) : 0;
        if (n == 0 || i + n >= len || text[i + n] != '@')
            return ERR_FORMAT;
        i += n + 1;
        put_octet(&t, '@');
        if (i >= len)
            return ERR_FORMAT;
        n = text[i] == '[' ? literal_octets(text + i, len - i) : domain_octets(text + i, len - i, &utf8);
        if (n == 0)
            return ERR_FORMAT;
        put_octets(&t, text + i, n);
        i += n;
    }
    if (i >= len || text[i] != '>')
        return ERR_FORMAT;
    if (t.full)
        return ERR_LIMIT;
    memcpy(out, mailbox, t.len);
    out[t.len] = '\0';
    *ret_used = i + 1;
    *ret_utf8 = utf8;
    return OK;
}
