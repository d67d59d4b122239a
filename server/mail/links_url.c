/* URLs: which there are in a text, and the host of each. */
#include "server/mail/links_impl.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "server/core/digit.h"
#include "server/core/error.h"

enum { AUTHORITY_MAX = 1024 /* octets; of a longer one the host is not found */ };

/* ---- hosts ---- */

static void add(struct links *l, const struct link *one)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->v[i].kind == one->kind && l->v[i].port == one->port && strcmp(l->v[i].host, one->host) == 0)
            return;
    if (l->n < LINKS_MAX)
        l->v[l->n++] = *one;
}

/* Octets that are written as "%2E" (RFC 3986 section 2.1). Returns octets written; 0: they are too many. */
static size_t percent_decode(struct slice in, char *out, size_t cap)
{
    size_t n = 0;

    for (size_t i = 0; i < in.len; i++) {
        const bool three = in.data[i] == '%' && i + 2 < in.len && digit_hex(in.data[i + 1]) >= 0;
        const int low = three ? digit_hex(in.data[i + 2]) : -1;
        if (n == cap)
            return 0;
        out[n++] = low >= 0 ? (char)(digit_hex(in.data[i + 1]) << 4 | low) : (char)in.data[i];
        i += low >= 0 ? 2 : 0;
    }
    return n;
}

/* A number in the spellings of the URL Standard, section 3.5: 0x7f, 0177, 127. false: it is none. */
static bool read_number(const char *s, size_t len, uint64_t *ret)
{
    unsigned base = 10;
    uint64_t v = 0;

    if (len >= 2 && s[0] == '0' && (s[1] | 32) == 'x') {
        base = 16;
        s += 2;
        len -= 2;
    } else if (len >= 2 && s[0] == '0') {
        base = 8;
    }
    for (size_t i = 0; i < len; i++) {
        const int digit = digit_hex((uint8_t)s[i]);
        if (digit < 0 || (unsigned)digit >= base)
            return false;
        v = v * base + (unsigned)digit;
        if (v > UINT32_MAX)
            v = (uint64_t)UINT32_MAX + 1;
    }
    *ret = v;
    return true;
}

/* The last label is a number: then the whole is an address, or nothing. */
static bool ends_in_number(const char *host)
{
    const char *last = strrchr(host, '.');
    uint64_t number;

    last = last ? last + 1 : host;
    return *last && (strspn(last, "0123456789") == strlen(last) || read_number(last, strlen(last), &number));
}

/* One to four numbers, the last of which takes what is left of the 32 bits. */
static bool read_ipv4(const char *host, char out[DOMAIN_CAP])
{
    uint64_t number[4];
    uint32_t address = 0;
    size_t n = 0;

    for (const char *at = host;; at++) {
        const size_t len = strcspn(at, ".");
        if (n == 4 || !len || !read_number(at, len, &number[n]))
            return false;
        n++;
        at += len;
        if (!*at)
            break;
    }
    for (size_t i = 0; i + 1 < n; i++) {
        if (number[i] > 255)
            return false;
        address |= (uint32_t)number[i] << (24 - 8 * i);
    }
    if (number[n - 1] >= UINT64_C(1) << (8 * (5 - n)))
        return false;
    address |= (uint32_t)number[n - 1];
    snprintf(out, DOMAIN_CAP, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
    return true;
}

static bool read_ipv6(struct slice in, char out[DOMAIN_CAP])
{
    char text[INET6_ADDRSTRLEN];
    uint8_t octets[16];

    if (in.len >= sizeof(text))
        return false;
    memcpy(text, in.data, in.len);
    text[in.len] = '\0';
    if (inet_pton(AF_INET6, text, octets) != 1)
        return false;
    inet_ntop(AF_INET6, octets, text, sizeof(text));
    snprintf(out, DOMAIN_CAP, "[%s]", text);
    return true;
}

/* Names that browsers take though no mail address may have them: with "_", or "-" at a label's end. */
static bool read_loose(const char *s, size_t len, char out[DOMAIN_CAP])
{
    if (len >= DOMAIN_CAP || s[0] == '.')
        return false;
    for (size_t i = 0; i < len; i++) {
        const char c = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] + 32) : s[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') &&
            (c != '.' || s[i - 1] == '.'))
            return false;
        out[i] = c;
    }
    out[len] = '\0';
    return true;
}

/* As it stands in the URL, without port and brackets. */
static bool read_name(struct slice in, char out[DOMAIN_CAP])
{
    char text[AUTHORITY_MAX];
    size_t len = percent_decode(in, text, sizeof(text));

    if (len && text[len - 1] == '.')
        len--;
    if (!len || (address_domain_normalize(text, len, out) != OK && !read_loose(text, len, out)))
        return false;
    return !ends_in_number(out) || read_ipv4(memcpy(text, out, strlen(out) + 1), out);
}

static uint16_t read_port(struct slice in)
{
    uint32_t port = 0;

    for (size_t i = 0; i < in.len; i++) {
        if (in.data[i] < '0' || in.data[i] > '9' || port > UINT16_MAX)
            return 0;
        port = port * 10 + (uint32_t)(in.data[i] - '0');
    }
    return port > UINT16_MAX ? 0 : (uint16_t)port;
}

/* userinfo@host:port; what stands before the last "@" is a name, whatever it looks like. */
static bool read_authority(struct slice in, struct link *ret)
{
    const uint8_t *at = in.len ? memrchr(in.data, '@', in.len) : NULL, *end;
    struct slice host = in;

    if (at)
        host = slice_of(at + 1, (size_t)(in.data + in.len - at - 1));
    if (!host.len)
        return false;
    if (host.data[0] == '[') {
        end = memchr(host.data, ']', host.len);
        if (!end || !read_ipv6(slice_of(host.data + 1, (size_t)(end - host.data) - 1), ret->host))
            return false;
        end++;
    } else {
        end = memchr(host.data, ':', host.len);
        end = end ? end : host.data + host.len;
        if (!read_name(slice_of(host.data, (size_t)(end - host.data)), ret->host))
            return false;
    }
    const size_t used = (size_t)(end - host.data);
    ret->port = used < host.len && *end == ':' ? read_port(slice_of(end + 1, host.len - used - 1)) : 0;
    return true;
}

/* ---- URLs ---- */

static size_t span_until(struct slice s, const char *ends)
{
    size_t n = 0;

    while (n < s.len && n <= AUTHORITY_MAX && !(s.data[n] && strchr(ends, s.data[n])))
        n++;
    return n;
}

/* What follows "http:" and its slashes. */
static bool add_web(struct slice rest, struct links *ret)
{
    struct link one = {.kind = LINK_WEB};
    const size_t n = span_until(rest, "/\\?#");

    if (++ret->tried > LINKS_TRIED_MAX || n > AUTHORITY_MAX || !read_authority(slice_of(rest.data, n), &one))
        return false;
    add(ret, &one);
    return true;
}

/* RFC 6068: the first address, up to the fields. */
static bool add_mail(struct slice rest, struct links *ret)
{
    struct link one = {.kind = LINK_MAIL};
    char text[AUTHORITY_MAX];
    const size_t n = span_until(rest, "?,&#");
    const size_t len = n <= AUTHORITY_MAX ? percent_decode(slice_of(rest.data, n), text, sizeof(text)) : 0;
    const char *at = len ? memrchr(text, '@', len) : NULL;

    if (++ret->tried > LINKS_TRIED_MAX || !at ||
        !read_name(slice_of((const uint8_t *)at + 1, (size_t)(text + len - at - 1)), one.host))
        return false;
    add(ret, &one);
    return true;
}

static bool begins(struct slice s, const char *word)
{
    return s.len >= strlen(word) && strncasecmp((const char *)s.data, word, strlen(word)) == 0;
}

static struct slice behind(struct slice s, size_t n)
{
    return slice_of(s.data + n, s.len - n);
}

static size_t slashes(struct slice s)
{
    size_t n = 0;

    while (n < s.len && (s.data[n] == '/' || s.data[n] == '\\'))
        n++;
    return n;
}

/* The URL Standard, section 4.4: of http and https any number of slashes counts as two; a link that begins with two has
 * a host as well. */
void links_of_attribute(struct slice value, struct links *ret)
{
    const size_t scheme = begins(value, "http:") ? 5 : begins(value, "https:") ? 6 : 0;
    const struct slice rest = behind(value, scheme);

    if (begins(value, "mailto:"))
        add_mail(behind(value, 7), ret);
    else if (scheme || slashes(value) >= 2)
        add_web(behind(rest, slashes(rest)), ret);
    links_of_plain(rest, ret); /* lists of URLs, and where a redirection leads */
}

/* ---- text ---- */

static bool is_word(struct slice text, size_t colon, const char *word)
{
    const size_t n = strlen(word);

    return colon >= n && strncasecmp((const char *)text.data + colon - n, word, n) == 0;
}

/* Where a link ends in running text. What stands behind a name in it, as a comma does, or a bracket in another script,
 * is no part of it. */
static void add_running(struct slice rest, bool mail, struct links *ret)
{
    static const char ends[] = "\t\n\v\f\r <>\"`{}|^'()";
    struct slice s = slice_of(rest.data, span_until(rest, mail ? ends : "\t\n\v\f\r <>\"`{}|^/\\?#"));

    for (bool whole = true; s.len; whole = false) {
        while (s.len && s.data[s.len - 1] < 0x80 && strchr(".,;:!)'*_-~&+=$%(", s.data[s.len - 1]))
            s.len--;
        if ((mail ? add_mail : add_web)(s, ret))
            return;
        if (!whole)
            return;
        for (size_t i = s.len; i > 0; i--)
            if (s.data[i - 1] >= 0x80)
                s.len = i - 1;
    }
}

void links_of_plain(struct slice text, struct links *ret)
{
    const uint8_t *p;

    for (size_t at = 0;
         ret->tried < LINKS_TRIED_MAX && at < text.len && (p = memchr(text.data + at, ':', text.len - at)); at++) {
        at = (size_t)(p - text.data);
        const struct slice rest = behind(text, at + 1);
        if ((is_word(text, at, "http") || is_word(text, at, "https")) && slashes(rest) >= 2)
            add_running(behind(rest, slashes(rest)), false, ret);
        else if (is_word(text, at, "mailto"))
            add_running(rest, true, ret);
    }
}
