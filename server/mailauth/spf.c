#include "server/mailauth/spf.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "server/mailauth/spf_impl.h"

enum { BITS4 = 32, BITS6 = 128 };

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static struct slice from(struct slice s, size_t at)
{
    return slice_of(s.data + at, s.len - at);
}

bool spf_is_record(struct slice txt)
{
    static const char version[] = "v=spf1";
    const size_t n = sizeof(version) - 1;

    return txt.len >= n && strncasecmp((const char *)txt.data, version, n) == 0 && (txt.len == n || txt.data[n] == ' ');
}

/* ---- domain-spec (section 7.1) ---- */

/* toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum ) */
static bool is_toplabel(struct slice s)
{
    bool letter = false, hyphen = false;

    for (size_t i = 0; i < s.len; i++) {
        letter |= is_alpha(s.data[i]);
        hyphen |= s.data[i] == '-';
        if (!is_alpha(s.data[i]) && !is_digit(s.data[i]) && s.data[i] != '-')
            return false;
    }
    return s.len > 0 && (letter || hyphen) && s.data[0] != '-' && s.data[s.len - 1] != '-';
}

static bool is_macro_string(struct slice s, bool *ret_macro_last, size_t *ret_last_dot)
{
    struct spf_unit u;

    *ret_macro_last = false;
    *ret_last_dot = s.len;
    for (size_t i = 0; i < s.len; i += u.len) {
        if (!spf_unit_read(from(s, i), false, &u))
            return false;
        *ret_macro_last = u.len > 1;
        if (s.data[i] == '.' && i + 1 < s.len)
            *ret_last_dot = i;
    }
    return true;
}

/* domain-end = ( "." toplabel [ "." ] ) / macro-expand */
static bool is_domain_spec(struct slice s)
{
    bool macro_last;
    size_t dot;

    if (!is_macro_string(s, &macro_last, &dot))
        return false;
    if (macro_last)
        return true;
    if (dot == s.len)
        return false;
    s = from(s, dot + 1);
    if (s.len && s.data[s.len - 1] == '.')
        s.len--;
    return is_toplabel(s);
}

/* ---- lengths of networks (section 5) ---- */

/* "/" and a number without leading zeros at the end of *s, cut off. Without one *s and *bits stay. */
static bool take_bits(struct slice *s, const char *slashes, uint8_t max, uint8_t *bits)
{
    size_t n = s->len, k = strlen(slashes);
    unsigned value = 0;

    while (n && is_digit(s->data[n - 1]))
        n--;
    if (n == s->len || s->len - n > 3 || n < k || memcmp(s->data + n - k, slashes, k) != 0)
        return true;
    for (size_t i = n; i < s->len; i++)
        value = value * 10 + (unsigned)(s->data[i] - '0');
    if (value > max || (s->data[n] == '0' && s->len - n > 1))
        return false;
    *bits = (uint8_t)value;
    s->len = n - k;
    return true;
}

/* ---- what follows a mechanism's name ---- */

static bool take_nothing(struct slice rest, struct spf_term *t)
{
    (void)t;
    return rest.len == 0;
}

/* ":" domain-spec */
static bool take_domain(struct slice rest, struct spf_term *t)
{
    if (rest.len < 2 || rest.data[0] != ':')
        return false;
    t->domain = from(rest, 1);
    return is_domain_spec(t->domain);
}

static bool take_domain_or_none(struct slice rest, struct spf_term *t)
{
    return rest.len == 0 || take_domain(rest, t);
}

/* [ ":" domain-spec ] [ "/" ip4-cidr ] [ "//" ip6-cidr ] */
static bool take_host(struct slice rest, struct spf_term *t)
{
    return take_bits(&rest, "//", BITS6, &t->bits6) && take_bits(&rest, "/", BITS4, &t->bits4) &&
           take_domain_or_none(rest, t);
}

static bool take_network(struct slice rest, int family, uint8_t max, uint8_t *bits, uint8_t *address)
{
    char text[INET6_ADDRSTRLEN];

    if (!take_bits(&rest, "/", max, bits) || rest.len < 2 || rest.data[0] != ':' || rest.len > sizeof(text))
        return false;
    memcpy(text, rest.data + 1, rest.len - 1);
    text[rest.len - 1] = '\0';
    return strlen(text) == rest.len - 1 && inet_pton(family, text, address) == 1;
}

static bool take_ip4(struct slice rest, struct spf_term *t)
{
    return take_network(rest, AF_INET, BITS4, &t->bits4, t->address);
}

static bool take_ip6(struct slice rest, struct spf_term *t)
{
    return take_network(rest, AF_INET6, BITS6, &t->bits6, t->address);
}

static const struct {
    const char *name;
    enum spf_kind kind;
    bool (*take)(struct slice rest, struct spf_term *t);
} mechanisms[] = {
    {"all", SPF_ALL, take_nothing}, {"include", SPF_INCLUDE, take_domain}, {"a", SPF_A, take_host},
    {"mx", SPF_MX, take_host},      {"ptr", SPF_PTR, take_domain_or_none}, {"ip4", SPF_IP4, take_ip4},
    {"ip6", SPF_IP6, take_ip6},     {"exists", SPF_EXISTS, take_domain},
};

bool spf_asks(enum spf_kind k)
{
    return k == SPF_INCLUDE || k == SPF_A || k == SPF_MX || k == SPF_PTR || k == SPF_EXISTS || k == SPF_REDIRECT;
}

/* ---- terms (section 4.6.1) ---- */

static bool read_mechanism(struct slice s, struct spf_term *t)
{
    size_t n = 0;

    t->qualifier = '+';
    if (s.len && strchr("+-?~", s.data[0]) && s.data[0]) {
        t->qualifier = (char)s.data[0];
        s = from(s, 1);
    }
    while (n < s.len && (is_alpha(s.data[n]) || (n && is_digit(s.data[n]))))
        n++;
    for (size_t i = 0; i < sizeof(mechanisms) / sizeof(*mechanisms); i++)
        if (strlen(mechanisms[i].name) == n && strncasecmp(mechanisms[i].name, (const char *)s.data, n) == 0) {
            t->kind = mechanisms[i].kind;
            return mechanisms[i].take(from(s, n), t);
        }
    return false;
}

/* Octets of a modifier's name, whose "=" follows; 0: it is none. */
static size_t modifier_name(struct slice s)
{
    size_t n = 0;

    while (n < s.len && (is_alpha(s.data[n]) || (n && (is_digit(s.data[n]) || strchr("-_.", s.data[n])) && s.data[n])))
        n++;
    return n < s.len && s.data[n] == '=' ? n : 0;
}

static bool read_modifier(struct slice s, size_t n, struct spf_term *t)
{
    const char *name = (const char *)s.data;
    bool macro_last;
    size_t dot;

    t->domain = from(s, n + 1);
    t->kind = n == 8 && strncasecmp(name, "redirect", 8) == 0 ? SPF_REDIRECT
              : n == 3 && strncasecmp(name, "exp", 3) == 0    ? SPF_EXP
                                                              : SPF_OTHER;
    return t->kind == SPF_OTHER ? is_macro_string(t->domain, &macro_last, &dot) : is_domain_spec(t->domain);
}

static bool read_term(struct slice s, struct spf_term *t)
{
    size_t n = modifier_name(s);

    *t = (struct spf_term){.text = s, .bits4 = BITS4, .bits6 = BITS6};
    return n ? read_modifier(s, n, t) : read_mechanism(s, t);
}

int spf_parse(struct slice txt, struct spf_record *ret, struct slice *ret_bad)
{
    struct spf_record r = {0};
    bool seen[SPF_OTHER + 1] = {false};

    if (!spf_is_record(txt)) {
        *ret_bad = txt;
        return ERR_FORMAT;
    }
    if (txt.len > SPF_RECORD_MAX)
        return ERR_LIMIT;
    for (size_t i = 6; i < txt.len;) {
        struct slice term = from(txt, i);
        size_t n = 0;

        if (txt.data[i] == ' ') {
            i++;
            continue;
        }
        while (n < term.len && term.data[n] != ' ')
            n++;
        term.len = n;
        i += n;
        if (r.n == SPF_TERMS_MAX)
            return ERR_LIMIT;
        struct spf_term *t = &r.v[r.n++];
        /* Section 6: redirect and exp stand once at most. */
        if (!read_term(term, t) || ((t->kind == SPF_REDIRECT || t->kind == SPF_EXP) && seen[t->kind])) {
            *ret_bad = term;
            return ERR_FORMAT;
        }
        seen[t->kind] = true;
    }
    *ret = r;
    return OK;
}
