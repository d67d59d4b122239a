#include "server/mail/mime.h"

#include <string.h>

#include "server/core/error.h"

struct mime_reader mime_read(struct slice value, bool strict)
{
    return (struct mime_reader){.c = {value.data, value.len, 0}, .strict = strict};
}

static bool skip(struct mime_reader *r)
{
    if (!r->strict)
        return token_skip_cfws(&r->c);
    while (r->c.i < r->c.len && token_is_space(r->c.s[r->c.i]))
        r->c.i++;
    return true;
}

/* White space where RFC 2045 has none and RFC 822's habits let it stand. */
static bool skip_inside(struct mime_reader *r)
{
    return r->strict || skip(r);
}

/* Printable ASCII without the octets of `ends`. */
static struct slice printable(struct mime_reader *r, const char *ends)
{
    struct token_cursor *c = &r->c;
    size_t from = c->i;
    while (c->i < c->len && c->s[c->i] > ' ' && c->s[c->i] < 0x7f && !strchr(ends, c->s[c->i]))
        c->i++;
    return slice_of(c->s + from, c->i - from);
}

/* token of RFC 2045 section 5.1. */
static bool token(struct mime_reader *r, struct slice *ret)
{
    *ret = printable(r, "()<>@,;:\\\"/[]?=");
    return ret->len > 0;
}

/* A quoted string, as lenient as mail is about what stands in it. */
static bool quoted(struct mime_reader *r, struct slice *ret)
{
    struct token_cursor *c = &r->c;
    size_t from = c->i;
    for (c->i++; c->i < c->len && c->s[c->i] != '"'; c->i++) {
        if (c->s[c->i] == '\\')
            c->i++;
        if (r->strict && c->i < c->len && (c->s[c->i] == '\r' || c->s[c->i] == '\n'))
            return false;
    }
    if (c->i >= c->len)
        return false;
    c->i++;
    *ret = slice_of(c->s + from, c->i - from);
    return true;
}

/* value of RFC 2045 section 5.1. Unquoted ones with ":", "/", "=" and the like are no tokens, but common in
 * boundaries, and every parser reads them up to the semicolon. */
static bool value(struct mime_reader *r, struct slice *ret)
{
    if (r->c.i < r->c.len && r->c.s[r->c.i] == '"')
        return quoted(r, ret);
    if (r->strict)
        return token(r, ret);
    *ret = printable(r, "();,\\\"");
    return ret->len > 0;
}

bool mime_read_token(struct mime_reader *r, struct slice *ret)
{
    return skip(r) && token(r, ret);
}

bool mime_read_type(struct mime_reader *r, struct slice *ret_type, struct slice *ret_subtype)
{
    return skip(r) && token(r, ret_type) && skip_inside(r) && token_take(&r->c, '/') && skip_inside(r) &&
           token(r, ret_subtype);
}

enum mime_next mime_read_parameter(struct mime_reader *r, struct mime_parameter *ret)
{
    for (bool empty = true; empty;) { /* empty parameters (";;") are stepped over, a last idle semicolon is common */
        if (!skip(r))
            return MIME_MALFORMED;
        if (r->c.i == r->c.len)
            return MIME_END;
        if (!token_take(&r->c, ';') || !skip(r))
            return MIME_MALFORMED;
        empty = r->c.i == r->c.len || (!r->strict && r->c.s[r->c.i] == ';');
    }
    bool ok =
        token(r, &ret->name) && skip_inside(r) && token_take(&r->c, '=') && skip_inside(r) && value(r, &ret->value);
    return ok ? MIME_PARAMETER : MIME_MALFORMED;
}

bool mime_is(struct slice s, const char *word)
{
    return s.len == strlen(word) && !strncasecmp((const char *)s.data, word, s.len);
}

size_t mime_unquote(struct slice v, uint8_t *out, size_t cap)
{
    size_t n = 0;
    bool quotes = v.len >= 2 && v.data[0] == '"';
    for (size_t i = quotes; i < v.len - quotes; i++) {
        if (quotes && v.data[i] == '\\' && i + 1 < v.len - quotes)
            i++;
        if (n == cap)
            return (size_t)-1;
        out[n++] = v.data[i];
    }
    return n;
}

/* Whether a value is exactly that word, with or without quotes. */
static bool means(struct slice v, const char *word)
{
    if (v.len >= 2 && v.data[0] == '"')
        v = slice_of(v.data + 1, v.len - 2);
    return mime_is(v, word);
}

static bool is_hp(struct slice name)
{
    const uint8_t *star = memchr(name.data, '*', name.len); /* RFC 2231: hp*, hp*0 */
    if (star)
        name.len = (size_t)(star - name.data);
    return mime_is(name, "hp") || mime_is(name, "protected-headers");
}

static size_t trimmed_len(struct slice s)
{
    while (s.len && token_is_space(s.data[s.len - 1]))
        s.len--;
    return s.len;
}

/* No control but white space, CR only before LF. */
static bool is_clean(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        bool eol = c == '\n' || (c == '\r' && i + 1 < s.len && s.data[i + 1] == '\n');
        if ((c < ' ' && c != '\t' && !eol) || c == 0x7f)
            return false;
    }
    return true;
}

/* No comment before the type and no blank around its slash: some readers take both for a part of it. */
static bool is_compact(struct slice s, struct slice type, struct slice subtype)
{
    while (s.len && token_is_space(s.data[0]))
        s = slice_of(s.data + 1, s.len - 1);
    return type.data == s.data && subtype.data == type.data + type.len + 1;
}

void mime_type_scan(struct slice text, struct mime_type *ret)
{
    struct slice type, subtype, s = slice_of(text.data, trimmed_len(text));
    struct mime_reader r = mime_read(s, false);
    struct mime_parameter p;
    enum mime_next next;
    *ret = (struct mime_type){.end = s.len};
    if (!is_clean(s) || !mime_read_type(&r, &type, &subtype) || !is_compact(s, type, subtype))
        return;
    bool is_signed = mime_is(type, "multipart") && mime_is(subtype, "signed");
    size_t boundaries = 0; /* of two some readers take the first, some the last */
    while ((next = mime_read_parameter(&r, &p)) == MIME_PARAMETER) {
        ret->has_hp = ret->has_hp || is_hp(p.name);
        boundaries += mime_is(p.name, "boundary");
        if (is_signed && mime_is(p.name, "protocol"))
            ret->is_pgp_signed = means(p.value, "application/pgp-signature");
    }
    ret->ok = next == MIME_END && boundaries < 2;
    ret->ends_in_semicolon = ret->ok && s.data[s.len - 1] == ';';
}

/* Appends a, what stands between, b. */
static int put_pair(struct buf *out, const char *before, struct slice a, const char *between, struct slice b)
{
    int err = buf_puts(out, before);
    if (err == OK)
        err = buf_append(out, a.data, a.len);
    if (err == OK)
        err = buf_puts(out, between);
    return err == OK ? buf_append(out, b.data, b.len) : err;
}

int mime_type_without_hp(struct slice text, struct buf *out)
{
    struct slice type, subtype;
    struct mime_reader r = mime_read(slice_of(text.data, trimmed_len(text)), false);
    struct mime_parameter p;
    if (!mime_read_type(&r, &type, &subtype))
        return ERR_FORMAT;
    int err = put_pair(out, "", type, "/", subtype);
    while (err == OK && mime_read_parameter(&r, &p) == MIME_PARAMETER)
        if (!is_hp(p.name))
            err = put_pair(out, ";\r\n\t", p.name, "=", p.value);
    return err;
}

bool mime_auth_results_is_ours(struct slice text, const char *domain)
{
    struct mime_reader r = mime_read(text, false);
    struct token_cursor *c = &r.c;
    struct slice id;
    if (!skip(&r))
        return true;
    if (c->i < c->len && c->s[c->i] == '"') {
        if (!quoted(&r, &id))
            return true;
        id = slice_of(id.data + 1, id.len - 2);
    } else {
        size_t from = c->i;
        while (c->i < c->len && c->s[c->i] > ' ' && !strchr("();,\"", c->s[c->i]))
            c->i++;
        id = slice_of(c->s + from, c->i - from);
    }
    while (id.len && id.data[id.len - 1] == '.')
        id.len--;
    return !id.len || memchr(id.data, '\\', id.len) || mime_is(id, domain);
}

enum transfer mime_read_transfer(struct slice value)
{
    static const struct {
        const char *word;
        enum transfer transfer;
    } rows[] = {{"7bit", TRANSFER_NONE},
                {"8bit", TRANSFER_NONE},
                {"binary", TRANSFER_NONE},
                {"quoted-printable", TRANSFER_QUOTED_PRINTABLE},
                {"base64", TRANSFER_BASE64}};
    struct mime_reader r = mime_read(value, false);
    struct slice word;

    if (!mime_read_token(&r, &word))
        return TRANSFER_UNKNOWN;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (mime_is(word, rows[i].word))
            return rows[i].transfer;
    return TRANSFER_UNKNOWN;
}
