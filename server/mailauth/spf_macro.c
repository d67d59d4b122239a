/* Macros of SPF (RFC 7208 section 7). */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mailauth/spf_impl.h"

enum { EXPANDED_MAX = 2048, VALUE_MAX = 512, PARTS_MAX = VALUE_MAX };

static const char delimiter_set[] = ".-+,/_=";

static bool is_delimiter(uint8_t c)
{
    return c && strchr(delimiter_set, c);
}

/* "{" letter, digits, "r", delimiters, "}" from the third octet on. */
static bool read_macro(struct slice s, bool text, struct spf_unit *u)
{
    size_t i = 3;

    if (s.len < 4 || !s.data[2] || !strchr(text ? "slodiphvcrt" : "slodiphv", s.data[2] | 0x20))
        return false;
    u->letter = (char)(s.data[2] | 0x20);
    u->escape = !(s.data[2] & 0x20);
    const size_t digits = i;
    for (; i < s.len && s.data[i] >= '0' && s.data[i] <= '9'; i++)
        u->parts = u->parts > PARTS_MAX ? u->parts : u->parts * 10 + (unsigned)(s.data[i] - '0');
    if (i > digits && u->parts == 0)
        return false; /* section 7.3: the DIGIT must be nonzero */
    if (i < s.len && (s.data[i] | 0x20) == 'r') {
        u->reverse = true;
        i++;
    }
    u->delimiters = (const char *)s.data + i;
    for (; i < s.len && is_delimiter(s.data[i]); i++)
        u->delimiters_n++;
    u->len = i + 1;
    return i < s.len && s.data[i] == '}';
}

bool spf_unit_read(struct slice s, bool text, struct spf_unit *ret)
{
    *ret = (struct spf_unit){.len = 1};
    if (s.data[0] != '%') {
        ret->literal = (char)s.data[0];
        return s.data[0] >= (text ? 0x20 : 0x21) && s.data[0] <= 0x7e;
    }
    if (s.len < 2)
        return false;
    ret->len = 2;
    switch (s.data[1]) {
    case '%': ret->literal = '%'; return true;
    case '_': ret->literal = ' '; return true;
    case '-':
        ret->literal = ' ';
        ret->url_blank = true;
        return true;
    case '{': return read_macro(s, text, ret);
    default: return false;
    }
}

/* ---- what a letter stands for ---- */

/* Octets with dots between; of IPv6 hexadecimal digits (section 7.3), which are capitals where people read them. */
static void write_address(const struct spf_macros *m, bool text, char out[VALUE_MAX])
{
    const char *const form = text ? "%X.%X." : "%x.%x.";
    size_t at = 0;

    if (!m->six) {
        snprintf(out, VALUE_MAX, "%u.%u.%u.%u", m->address[0], m->address[1], m->address[2], m->address[3]);
        return;
    }
    for (size_t i = 0; i < 16; i++)
        at += (size_t)snprintf(out + at, VALUE_MAX - at, form, (unsigned)m->address[i] >> 4, m->address[i] & 0xfU);
    out[at - 1] = '\0';
}

/* Empty for a letter that has no text of its own. */
static const char *value_of(const struct spf_macros *m, char letter)
{
    switch (letter) {
    case 'l': return m->local;
    case 'o': return m->sender_domain;
    case 'd': return m->domain;
    case 'p': return m->validated;
    case 'h': return m->helo;
    case 'r': return m->receiver ? m->receiver : "unknown";
    case 'v': return m->six ? "ip6" : "in-addr";
    default: return "";
    }
}

static void write_value(const struct spf_macros *m, char letter, bool text, char out[VALUE_MAX])
{
    switch (letter) {
    case 's': snprintf(out, VALUE_MAX, "%s@%s", m->local, m->sender_domain); break;
    case 'i': write_address(m, text, out); break;
    case 'c': (void)inet_ntop(m->six ? AF_INET6 : AF_INET, m->address, out, VALUE_MAX); break;
    case 't': snprintf(out, VALUE_MAX, "%llu", (unsigned long long)m->now); break;
    default: snprintf(out, VALUE_MAX, "%s", value_of(m, letter));
    }
}

/* ---- expansion ---- */

struct out {
    char text[EXPANDED_MAX];
    size_t len;
    bool full;
};

static void put(struct out *o, const char *s, size_t n)
{
    if (n >= sizeof(o->text) - o->len) {
        o->full = true;
        return;
    }
    memcpy(o->text + o->len, s, n);
    o->len += n;
}

/* As a URI has it, if the letter was upper case (section 7.3, RFC 3986 section 2.3). */
static void put_value(struct out *o, const char *s, size_t n, bool escape)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "abcdefghijklmnopqrstuvwxyz0123456789-._~";
    char hex[4];

    for (size_t i = 0; i < n; i++)
        if (!escape || strchr(unreserved, s[i]))
            put(o, s + i, 1);
        else {
            snprintf(hex, sizeof(hex), "%%%02X", (unsigned char)s[i]);
            put(o, hex, 3);
        }
}

static bool splits(const struct spf_unit *u, char c)
{
    return u->delimiters_n ? memchr(u->delimiters, c, u->delimiters_n) != NULL : c == '.';
}

/* Parts between delimiters, turned around, the last ones, with dots between. */
static void put_macro(struct out *o, const struct spf_unit *u, const char *value)
{
    const char *parts[PARTS_MAX];
    size_t lens[PARTS_MAX], n = 0;

    for (const char *p = value;; p++) {
        const char *begin = p;
        while (*p && !splits(u, *p))
            p++;
        if (n == PARTS_MAX) {
            o->full = true;
            return;
        }
        parts[n] = begin;
        lens[n++] = (size_t)(p - begin);
        if (!*p)
            break;
    }
    size_t first = u->parts && u->parts < n ? n - u->parts : 0;
    for (size_t i = first; i < n; i++) {
        size_t k = u->reverse ? n - 1 - i : i;
        if (i > first)
            put(o, ".", 1);
        put_value(o, parts[k], lens[k], u->escape);
    }
}

/* ERR_FORMAT, ERR_LIMIT. */
static int expand(const struct spf_macros *m, struct slice spec, bool text, struct out *o)
{
    char value[VALUE_MAX];
    struct spf_unit u;

    for (size_t i = 0; i < spec.len; i += u.len) {
        if (!spf_unit_read(slice_of(spec.data + i, spec.len - i), text, &u))
            return ERR_FORMAT;
        if (u.url_blank)
            put(o, "%20", 3);
        else if (u.literal)
            put(o, &u.literal, 1);
        else {
            write_value(m, u.letter, text, value);
            put_macro(o, &u, value);
        }
    }
    o->text[o->len] = '\0';
    return o->full ? ERR_LIMIT : OK;
}

int spf_expand(const struct spf_macros *m, struct slice spec, char out[SPF_NAME_CAP])
{
    struct out o = {.len = 0};
    const char *name = o.text;
    int err = expand(m, spec, false, &o);

    if (err != OK)
        return err;
    if (o.len && o.text[o.len - 1] == '.')
        o.text[--o.len] = '\0';
    /* Section 7.3: labels go from the left until 253 octets are left. */
    while (strlen(name) >= SPF_NAME_CAP && (name = strchr(name, '.')))
        name++;
    if (!name || !*name)
        return ERR_LIMIT;
    strcpy(out, name);
    return OK;
}

int spf_explain(const struct spf_macros *m, struct slice text, char out[SPF_EXPLANATION_CAP])
{
    struct out o = {.len = 0};
    int err = expand(m, text, true, &o);

    if (err == OK && o.len >= SPF_EXPLANATION_CAP)
        err = ERR_LIMIT;
    for (size_t i = 0; err == OK && i < o.len; i++)
        if (o.text[i] < 0x20 || o.text[i] > 0x7e)
            err = ERR_FORMAT;
    if (err == OK)
        strcpy(out, o.text);
    return err;
}

bool spf_wants_validated(struct slice spec)
{
    struct spf_unit u;

    for (size_t i = 0; i < spec.len && spf_unit_read(slice_of(spec.data + i, spec.len - i), true, &u); i += u.len)
        if (u.letter == 'p')
            return true;
    return false;
}
