/* The DNS record that asks for TLS reports (RFC 8460 section 3). See tls_report.h. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/core/digit.h"
#include "server/core/error.h"
#include "server/mail/token.h"
#include "server/mailauth/tls_report.h"

static const char version[] = "v=TLSRPTv1";

/* tlsrpt-field-name is ALPHA / DIGIT and up to 31 of them, "_", "-", ".". */
static bool name_valid(struct slice s)
{
    if (s.len == 0 || s.len > 32)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        const uint8_t c = s.data[i];
        const bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (i == 0 || (c != '_' && c != '-' && c != '.')))
            return false;
    }
    return true;
}

/* RFC 3986 section 2.1. Returns octets, 0: it is too long, or no address can have what it says. */
static size_t percent_decode(struct slice s, char *out, size_t cap)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if (c == '%') {
            const int high = i + 2 < s.len ? digit_hex(s.data[i + 1]) : -1;
            const int low = high < 0 ? -1 : digit_hex(s.data[i + 2]);
            if (low < 0)
                return 0;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (n + 1 >= cap || c <= ' ' || c == 127)
            return 0;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return n;
}

/* "mailto:" (RFC 6068), whose further fields are not for who writes by himself, or "https:". */
static int take_target(struct slice uri, struct tls_report_target *ret)
{
    struct tls_report_target t = {.mail = ""};
    char text[ADDRESS_MAX];
    size_t at, plus, n;

    if (uri.len > 8 && strncasecmp((const char *)uri.data, "https://", 8) == 0) {
        if (uri.len > TLS_REPORT_URL_MAX)
            return ERR_LIMIT;
        for (size_t i = 0; i < uri.len; i++)
            if (uri.data[i] <= ' ' || uri.data[i] >= 127)
                return ERR_FORMAT;
        memcpy(t.url, uri.data, uri.len);
        t.url[uri.len] = '\0';
    } else if (uri.len > 7 && strncasecmp((const char *)uri.data, "mailto:", 7) == 0) {
        const uint8_t *query = memchr(uri.data, '?', uri.len);
        n = percent_decode(slice_of(uri.data + 7, (query ? (size_t)(query - uri.data) : uri.len) - 7), text,
                           sizeof(text));
        if (n == 0 || address_normalize(text, n, t.mail, &at, &plus) != OK)
            return ERR_FORMAT;
    } else {
        return ERR_UNSUPPORTED;
    }
    *ret = t;
    return OK;
}

static int take_targets(struct slice list, struct tls_report_target *out, uint32_t *n)
{
    for (;;) {
        const uint8_t *comma = list.len ? memchr(list.data, ',', list.len) : NULL;
        const struct slice uri = token_trim(slice_of(list.data, comma ? (size_t)(comma - list.data) : list.len));
        int err;

        if (uri.len == 0)
            return ERR_FORMAT;
        if (*n < TLS_REPORT_TARGETS_MAX) {
            err = take_target(uri, &out[*n]);
            if (err == OK)
                ++*n;
            else if (err == ERR_FORMAT)
                return err;
        }
        if (!comma)
            return OK;
        list.len -= (size_t)(comma + 1 - list.data);
        list.data = comma + 1;
    }
}

/* Steps over the version, which comes first; rest then begins with a delimiter. */
static bool take_version(struct slice *rest)
{
    const size_t n = sizeof(version) - 1;

    if (rest->len < n || memcmp(rest->data, version, n) != 0)
        return false;
    *rest = slice_of(rest->data + n, rest->len - n);
    while (rest->len && token_is_blank(rest->data[0]))
        *rest = slice_of(rest->data + 1, rest->len - 1);
    return rest->len && rest->data[0] == ';';
}

/* The field behind the delimiter that rest begins with. */
static struct slice next_field(struct slice *rest)
{
    const uint8_t *begin = rest->data + 1, *last = rest->data + rest->len;
    const uint8_t *end = begin < last ? memchr(begin, ';', (size_t)(last - begin)) : NULL;

    if (!end)
        end = last;
    *rest = slice_of(end, (size_t)(last - end));
    return token_trim(slice_of(begin, (size_t)(end - begin)));
}

int tls_report_record_read(struct slice txt, struct tls_report_target out[TLS_REPORT_TARGETS_MAX], uint32_t *ret_n)
{
    struct tls_report_target found[TLS_REPORT_TARGETS_MAX];
    struct slice rest = txt;
    uint32_t n = 0;
    bool asked = false;

    if (!take_version(&rest))
        return ERR_NOT_FOUND;
    while (rest.len) {
        const struct slice field = next_field(&rest);
        const uint8_t *equals = field.len ? memchr(field.data, '=', field.len) : NULL;

        if (field.len == 0 && rest.len == 0)
            break; /* a delimiter at the end */
        if (!equals || !name_valid(slice_of(field.data, (size_t)(equals - field.data))))
            return ERR_FORMAT;
        if (equals - field.data != 3 || memcmp(field.data, "rua", 3) != 0)
            continue; /* an extension */
        if (asked || take_targets(slice_of(equals + 1, field.len - 4), found, &n) != OK)
            return ERR_FORMAT;
        asked = true;
    }
    if (!asked)
        return ERR_FORMAT;
    memcpy(out, found, n * sizeof(*out));
    *ret_n = n;
    return OK;
}
