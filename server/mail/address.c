/* The grammar's pieces, and the strict checks of header fields. */
#include "server/mail/address.h"

#include <arpa/inet.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/utf8.h"
#include "server/mail/token.h"

enum { DOMAIN_OCTETS_MAX = 255, LABEL_OCTETS_MAX = 63, ENVELOPE_LOCAL_MAX = 2048 /* a command line's octets */ };

/* quoted-pairSMTP of RFC 5321 section 4.1.2 is ASCII; RFC 6532 section 3.2 lets RFC 5322's be UTF-8 too. */
static bool pairs_are_ascii(const uint8_t *s, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++)
        if (s[i] == '\\' && s[++i] >= 0x80)
            return false;
    return true;
}

/* local-part of RFC 5322 section 3.4.1, Local-part of RFC 5321 section 4.1.2 */
size_t address_local_len(const uint8_t *s, size_t len, enum address_rules rules)
{
    size_t n = token_quoted(s, len, false);
    if (n && rules != ADDRESS_HEADER && !pairs_are_ascii(s, n))
        return 0;
    if (!n && rules == ADDRESS_ENVELOPE)
        while (n < len && (token_is_atext(s[n]) || s[n] == '.'))
            n++;
    else if (!n)
        n = token_dot_atom(s, len);
    return rules == ADDRESS_HEADER || utf8_valid(s, n) ? n : 0;
}

static bool is_label(uint8_t c, enum address_rules rules)
{
    if (rules == ADDRESS_HEADER) /* dot-atom of RFC 5322 section 3.4.1 */
        return token_is_atext(c);
    return token_is_atext(c) && (c >= 0x80 || !strchr("!#$%&'*+/=?^`{|}~", c)) && (c != '_' || rules != ADDRESS_SMTP);
}

/* sub-domain = Let-dig [Ldh-str], or a U-label (RFC 5321 section 4.1.2, RFC 6531 section 3.3) */
static size_t label_len(const uint8_t *s, size_t len, enum address_rules rules)
{
    size_t n = 0;
    while (n < len && is_label(s[n], rules))
        n++;
    if (rules != ADDRESS_HEADER && n && (n > LABEL_OCTETS_MAX || s[0] == '-' || s[n - 1] == '-' || !utf8_valid(s, n)))
        return 0;
    return n;
}

/* Domain, or a header's dot-atom of a domain's characters */
size_t address_domain_len(const uint8_t *s, size_t len, enum address_rules rules)
{
    for (size_t i = 0;;) {
        size_t n = label_len(s + i, len - i, rules);
        if (!n && i && rules == ADDRESS_ENVELOPE && (i == len || !is_label(s[i], rules)))
            return i; /* the root's dot (RFC 1034 section 3.1) */
        i += n;
        if (!n || i > DOMAIN_OCTETS_MAX)
            return 0;
        if (i == len || s[i] != '.')
            return i;
        i++;
    }
}

/* address-literal of RFC 5321 section 4.1.3. General-address-literal has no registered tag besides IPv6: refused. */
size_t address_literal_read(const uint8_t *s, size_t len, uint8_t octets[16], bool *ret_six)
{
    char text[64];
    const uint8_t *end = memchr(s, ']', len < sizeof(text) ? len : sizeof(text));
    if (len < 2 || s[0] != '[' || !end)
        return 0;
    size_t n = (size_t)(end - s) - 1;
    memcpy(text, s + 1, n);
    text[n] = '\0';
    if (memchr(text, '\0', n))
        return 0;
    *ret_six = !strncasecmp(text, "IPv6:", 5);
    return inet_pton(*ret_six ? AF_INET6 : AF_INET, *ret_six ? text + 5 : text, octets) == 1 ? n + 2 : 0;
}

size_t address_literal_len(const uint8_t *s, size_t len)
{
    uint8_t octets[16];
    bool six;

    return address_literal_read(s, len, octets, &six);
}

size_t address_local_plain(const uint8_t *s, size_t len, uint8_t *out)
{
    size_t n = 0;
    bool quoted = len && s[0] == '"';
    for (size_t i = quoted; i < len - quoted; i++) {
        if (quoted && s[i] == '\\')
            i++;
        out[n++] = s[i];
    }
    return n;
}

size_t address_local_write(const uint8_t *plain, size_t len, char *out)
{
    size_t n = 0;
    if (len && token_dot_atom(plain, len) == len) {
        memcpy(out, plain, len);
        return len;
    }
    out[n++] = '"';
    for (size_t i = 0; i < len; i++) {
        if (plain[i] == '"' || plain[i] == '\\')
            out[n++] = '\\';
        out[n++] = (char)plain[i];
    }
    out[n++] = '"';
    return n;
}

int address_envelope_read(const uint8_t *s, size_t len, char *out, size_t cap, size_t *ret_used)
{
    uint8_t plain[ENVELOPE_LOCAL_MAX];
    char local[2 * ENVELOPE_LOCAL_MAX + 2];
    size_t n = len <= sizeof(plain) ? address_local_len(s, len, ADDRESS_ENVELOPE) : 0, written, domain;

    if (n == 0 || n + 1 >= len || s[n] != '@')
        return ERR_FORMAT;
    written = address_local_write(plain, address_local_plain(s, n, plain), local);
    s += n + 1;
    len -= n + 1;
    domain = s[0] == '[' ? address_literal_len(s, len) : address_domain_len(s, len, ADDRESS_ENVELOPE);
    if (domain == 0)
        return ERR_FORMAT;
    *ret_used = n + 1 + domain;
    domain -= s[domain - 1] == '.';
    if (written + 1 + domain >= cap)
        return ERR_LIMIT;
    memcpy(out, local, written);
    out[written] = '@';
    memcpy(out + written + 1, s, domain);
    out[written + 1 + domain] = '\0';
    return OK;
}

/* domain-literal of RFC 5322 section 3.4.1, without folding */
static size_t header_literal_len(const uint8_t *s, size_t len)
{
    size_t i = 1;
    if (!len || s[0] != '[')
        return 0;
    while (i < len && s[i] > ' ' && s[i] < 0x7f && !strchr("[]\\", s[i]))
        i++;
    return i > 1 && i < len && s[i] == ']' ? i + 1 : 0;
}

static size_t header_domain_len(const uint8_t *s, size_t len)
{
    size_t n = header_literal_len(s, len);
    return n ? n : address_domain_len(s, len, ADDRESS_HEADER);
}

bool address_domain_valid(const uint8_t *s, size_t len)
{
    return len && header_domain_len(s, len) == len;
}

static size_t scan_addr_spec(const uint8_t *s, size_t len)
{
    size_t n = address_local_len(s, len, ADDRESS_HEADER);
    if (!n || n >= len || s[n] != '@')
        return 0;
    size_t d = header_domain_len(s + n + 1, len - n - 1);
    return d && n + 1 + d <= ADDRESS_SPEC_MAX ? n + 1 + d : 0;
}

bool address_spec_valid(const uint8_t *s, size_t len)
{
    return len && scan_addr_spec(s, len) == len && utf8_valid(s, len);
}

static size_t scan_bare(const uint8_t *s, size_t len)
{
    static const char tail[] = " <" ADDRESS_UNREADABLE ">";
    size_t n = scan_addr_spec(s, len), end = sizeof(tail) - 1;
    if (n)
        return n;
    n = token_quoted(s, len, false);
    return n && n <= ADDRESS_UNREADABLE_MAX && len - n >= end && !memcmp(s + n, tail, end) ? n + end : 0;
}

/* " " or CRLF " ": the only white space that canonical lists hold. */
static size_t scan_gap(const uint8_t *s, size_t len)
{
    if (len >= 1 && s[0] == ' ')
        return 1;
    return len >= 3 && !memcmp(s, "\r\n ", 3) ? 3 : 0;
}

bool address_bare_list_valid(const uint8_t *s, size_t len)
{
    for (size_t i = 0;;) {
        size_t n = scan_bare(s + i, len - i);
        if (!n)
            return false;
        i += n;
        if (i == len)
            return true;
        if (s[i++] != ',')
            return false;
        n = scan_gap(s + i, len - i);
        if (!n)
            return false;
        i += n;
    }
}

/* word of a phrase: quoted string or atom; a dot is let through (section 4.1 obs-phrase: "John Q. Public" is
 * everywhere), but not at the phrase's start. */
static size_t scan_word(const uint8_t *s, size_t len, bool first)
{
    size_t n = token_quoted(s, len, true);
    if (n)
        return n;
    while (n < len && (token_is_atext(s[n]) || (s[n] == '.' && (n || !first))))
        n++;
    return n;
}

/* mailbox, or a group's display-name with its ":" (section 3.4). */
static bool scan_address(struct token_cursor *c, bool *ret_group)
{
    *ret_group = false;
    if (!token_skip_cfws(c))
        return false;
    size_t n = scan_addr_spec(c->s + c->i, c->len - c->i);
    if (n) {
        c->i += n;
        return token_skip_cfws(c);
    }
    bool first = true;
    while ((n = scan_word(c->s + c->i, c->len - c->i, first))) {
        first = false;
        c->i += n;
        if (!token_skip_cfws(c))
            return false;
    }
    if (!first && token_take(c, ':')) {
        *ret_group = true;
        return token_skip_cfws(c);
    }
    if (!token_take(c, '<'))
        return false;
    n = scan_addr_spec(c->s + c->i, c->len - c->i);
    c->i += n;
    return n && token_take(c, '>') && token_skip_cfws(c);
}

bool address_list_valid(const uint8_t *s, size_t len)
{
    struct token_cursor c = {s, len, 0};
    bool in_group = false;
    for (;;) {
        bool group;
        if (!scan_address(&c, &group) || (group && in_group))
            return false;
        in_group = in_group || group;
        if (group && !(c.i < len && s[c.i] == ';')) /* its first member comes next */
            continue;
        if (in_group && token_take(&c, ';')) {
            in_group = false;
            if (!token_skip_cfws(&c))
                return false;
        }
        if (c.i == len)
            return !in_group;
        if (!token_take(&c, ','))
            return false;
    }
}
