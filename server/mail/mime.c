#include "server/mail/mime.h"

#include <string.h>

#include "server/core/error.h"
#include "server/mail/token.h"

struct piece {
    size_t from, to;
};

static bool token(struct token_cursor *c, struct piece *ret)
{
    ret->from = c->i;
    while (c->i < c->len && c->s[c->i] > ' ' && c->s[c->i] < 0x7f && !strchr("()<>@,;:\\\"/[]?=", c->s[c->i]))
        c->i++;
    ret->to = c->i;
    return ret->to > ret->from;
}

/* A token or quoted string. Unquoted values with ":", "/", "=" and the like are no tokens, but common in boundaries,
 * and every parser reads them up to the semicolon. */
static bool value(struct token_cursor *c, struct piece *ret)
{
    ret->from = c->i;
    if (c->i < c->len && c->s[c->i] == '"') {
        for (c->i++; c->i < c->len && c->s[c->i] != '"'; c->i++) {
            if (c->s[c->i] == '\\')
                c->i++;
        }
        if (c->i >= c->len)
            return false;
        c->i++;
    } else {
        while (c->i < c->len && c->s[c->i] > ' ' && c->s[c->i] < 0x7f && !strchr("();,\\\"", c->s[c->i]))
            c->i++;
    }
    ret->to = c->i;
    return ret->to > ret->from;
}

static bool is_hp(const struct token_cursor *c, const struct piece *name)
{
    size_t n = name->to - name->from;
    const uint8_t *star = memchr(c->s + name->from, '*', n); /* RFC 2231: hp*, hp*0 */
    if (star)
        n = (size_t)(star - (c->s + name->from));
    const char *s = (const char *)c->s + name->from;
    return (n == 2 && !strncasecmp(s, "hp", 2)) || (n == 17 && !strncasecmp(s, "protected-headers", 17));
}

static bool piece_is(const struct token_cursor *c, struct piece p, const char *text)
{
    if (p.to - p.from >= 2 && c->s[p.from] == '"')
        p.from++, p.to--;
    return p.to - p.from == strlen(text) && !strncasecmp((const char *)c->s + p.from, text, strlen(text));
}

/* Next parameter: 1 found, 0 at the end, -1 malformed. Empty parameters (";;") are stepped over. */
static int parameter(struct token_cursor *c, struct piece *name, struct piece *val)
{
    for (;;) {
        if (!token_skip_cfws(c))
            return -1;
        if (c->i == c->len)
            return 0;
        if (c->s[c->i] != ';')
            return -1;
        c->i++;
        if (!token_skip_cfws(c))
            return -1;
        if (c->i < c->len && c->s[c->i] != ';')
            break;
    }
    if (!token(c, name) || !token_skip_cfws(c) || c->i == c->len || c->s[c->i++] != '=' || !token_skip_cfws(c) ||
        !value(c, val))
        return -1;
    return 1;
}

static bool media_type(struct token_cursor *c, struct piece *type, struct piece *subtype)
{
    return token_skip_cfws(c) && token(c, type) && token_skip_cfws(c) && c->i < c->len && c->s[c->i++] == '/' &&
           token_skip_cfws(c) && token(c, subtype);
}

void mime_type_scan(struct slice text, struct mime_type *ret)
{
    const uint8_t *s = text.data;
    size_t len = text.len;
    *ret = (struct mime_type){0};
    while (len && (s[len - 1] == ' ' || s[len - 1] == '\t' || s[len - 1] == '\r' || s[len - 1] == '\n'))
        len--;
    ret->end = len;
    for (size_t i = 0; i < len; i++) {
        bool eol = s[i] == '\n' || (s[i] == '\r' && i + 1 < len && s[i + 1] == '\n');
        if ((s[i] < ' ' && s[i] != '\t' && !eol) || s[i] == 0x7f)
            return;
    }
    struct token_cursor c = {s, len, 0};
    struct piece name, val;
    if (!media_type(&c, &name, &val))
        return;
    bool is_signed = piece_is(&c, name, "multipart") && piece_is(&c, val, "signed");
    int err;
    while ((err = parameter(&c, &name, &val)) > 0) {
        ret->has_hp = ret->has_hp || is_hp(&c, &name);
        if (is_signed && piece_is(&c, name, "protocol"))
            ret->is_pgp_signed = piece_is(&c, val, "application/pgp-signature");
    }
    ret->ok = err == 0;
    ret->ends_in_semicolon = ret->ok && s[len - 1] == ';';
}

int mime_type_without_hp(struct slice text, struct buf *out)
{
    const uint8_t *s = text.data;
    size_t len = text.len;
    while (len && (s[len - 1] == ' ' || s[len - 1] == '\t' || s[len - 1] == '\r' || s[len - 1] == '\n'))
        len--;
    struct token_cursor c = {s, len, 0};
    struct piece a, b;
    if (!media_type(&c, &a, &b))
        return ERR_FORMAT;
    int err = buf_append(out, s + a.from, a.to - a.from);
    if (err == OK)
        err = buf_puts(out, "/");
    if (err == OK)
        err = buf_append(out, s + b.from, b.to - b.from);
    while (err == OK && parameter(&c, &a, &b) > 0) {
        if (is_hp(&c, &a))
            continue;
        err = buf_puts(out, ";\r\n\t");
        if (err == OK)
            err = buf_append(out, s + a.from, a.to - a.from);
        if (err == OK)
            err = buf_puts(out, "=");
        if (err == OK)
            err = buf_append(out, s + b.from, b.to - b.from);
    }
    return err;
}

bool mime_auth_results_is_ours(struct slice text, const char *domain)
{
    const uint8_t *s = text.data;
    size_t len = text.len;
    struct token_cursor c = {s, len, 0};
    struct piece id;
    if (!token_skip_cfws(&c))
        return true;
    if (c.i < len && c.s[c.i] == '"') {
        if (!value(&c, &id))
            return true;
        id.from++, id.to--;
    } else {
        id.from = c.i;
        while (c.i < len && s[c.i] > ' ' && !strchr("();,\"", s[c.i]))
            c.i++;
        id.to = c.i;
    }
    while (id.to > id.from && s[id.to - 1] == '.')
        id.to--;
    size_t n = strlen(domain);
    if (id.to == id.from || memchr(s + id.from, '\\', id.to - id.from))
        return true;
    return id.to - id.from == n && !strncasecmp((const char *)s + id.from, domain, n);
}
