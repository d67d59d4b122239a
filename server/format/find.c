/* Locates an OpenPGP message in a mail: PGP/MIME (RFC 3156 section 4) or a body that is one armour block. Reads
 * structure strictly; every doubt ends in "not found", and the mail is sealed like any other. */
#include "server/format/find.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "crypto/pgp_armor.h"
#include "server/core/error.h"
#include "server/mail/header.h"

enum { BOUNDARY_MAX = 70 };

struct text {
    const uint8_t *p;
    size_t len;
};

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool all_space(const uint8_t *p, size_t len)
{
    while (len && is_space(*p)) {
        p++;
        len--;
    }
    return len == 0;
}

static struct text trim(struct text t)
{
    while (t.len && is_space(t.p[0])) {
        t.p++;
        t.len--;
    }
    while (t.len && is_space(t.p[t.len - 1]))
        t.len--;
    return t;
}

static bool same(struct text t, const char *s)
{
    return t.len == strlen(s) && strncasecmp((const char *)t.p, s, t.len) == 0;
}

/* Length of the line at p with its end, and without in *ret_bare. */
static size_t line_len(const uint8_t *p, size_t len, size_t *ret_bare)
{
    const uint8_t *nl = memchr(p, '\n', len);
    size_t whole = nl ? (size_t)(nl - p) + 1 : len, bare = nl ? whole - 1 : whole;
    if (bare && p[bare - 1] == '\r')
        bare--;
    *ret_bare = bare;
    return whole;
}

/* What follows the empty line is *ret_body. A line that is no field makes the entity odd. */
static int split(struct text entity, struct text *ret_header, struct text *ret_body)
{
    struct header_field f;
    enum header_line line;
    size_t pos = 0, start;
    do {
        start = pos;
        line = header_next(entity.p, entity.len, &pos, &f);
    } while (line == HEADER_FIELD);
    if (line != HEADER_EMPTY)
        return ERR_NOT_FOUND;
    *ret_header = (struct text){entity.p, start};
    *ret_body = (struct text){entity.p + pos, entity.len - pos};
    return OK;
}

/* The only field of that name, with folds still in it. ERR_NOT_FOUND: none; ERR_FORMAT: several. */
static int field(struct text header, const char *name, struct text *ret)
{
    struct header_field f;
    bool found = false;
    for (size_t pos = 0; header_next(header.p, header.len, &pos, &f) == HEADER_FIELD;) {
        if (f.blank || !header_field_is(header.p, &f, name))
            continue;
        if (found)
            return ERR_FORMAT;
        struct slice value = header_field_value(header.p, &f);
        *ret = (struct text){value.data, value.len};
        found = true;
    }
    return found ? OK : ERR_NOT_FOUND;
}

/* RFC 2045 section 5.1, without comments. */
struct content_type {
    struct text type; /* type/subtype */
    uint8_t boundary[BOUNDARY_MAX];
    size_t boundary_len;
    uint8_t protocol[64];
    size_t protocol_len;
    uint8_t charset[PGP_CHARSET_MAX - 1];
    size_t charset_len;
};

static bool is_token(uint8_t c)
{
    return c > ' ' && c < 0x7f && !strchr("()<>@,;:\\\"/[]?=", c);
}

static size_t token_len(struct text t, size_t pos)
{
    size_t n = 0;
    while (pos + n < t.len && is_token(t.p[pos + n]))
        n++;
    return n;
}

static void skip_space(struct text t, size_t *pos)
{
    while (*pos < t.len && is_space(t.p[*pos]))
        ++*pos;
}

/* A token or a quoted string, copied without quotes; longer than cap is odd. */
static int param_value(struct text t, size_t *pos, uint8_t *out, size_t cap, size_t *ret_len)
{
    size_t n = 0;
    if (*pos < t.len && t.p[*pos] == '"') {
        for (++*pos; *pos < t.len && t.p[*pos] != '"'; ++*pos) {
            if (t.p[*pos] == '\\' && ++*pos == t.len)
                return ERR_NOT_FOUND;
            if (n == cap || t.p[*pos] == '\r' || t.p[*pos] == '\n')
                return ERR_NOT_FOUND;
            out[n++] = t.p[*pos];
        }
        if (*pos == t.len)
            return ERR_NOT_FOUND;
        ++*pos;
    } else {
        n = token_len(t, *pos);
        if (n == 0 || n > cap)
            return ERR_NOT_FOUND;
        memcpy(out, t.p + *pos, n);
        *pos += n;
    }
    *ret_len = n;
    return OK;
}

static int read_param(struct text t, size_t *pos, struct content_type *ct)
{
    uint8_t other[256];
    skip_space(t, pos);
    struct text name = {t.p + *pos, token_len(t, *pos)};
    *pos += name.len;
    if (!name.len || *pos == t.len || t.p[*pos] != '=')
        return ERR_NOT_FOUND;
    ++*pos;
    size_t other_len, *len = &other_len, cap = sizeof(other);
    uint8_t *out = other;
    if (same(name, "boundary")) {
        out = ct->boundary, cap = sizeof(ct->boundary), len = &ct->boundary_len;
    } else if (same(name, "protocol")) {
        out = ct->protocol, cap = sizeof(ct->protocol), len = &ct->protocol_len;
    } else if (same(name, "charset")) {
        out = ct->charset, cap = sizeof(ct->charset), len = &ct->charset_len;
    } else if (memchr(name.p, '*', name.len)) {
        return ERR_NOT_FOUND; /* RFC 2231 pieces could spell a boundary differently for others */
    }
    if (len != &other_len && *len)
        return ERR_NOT_FOUND; /* said twice */
    return param_value(t, pos, out, cap, len);
}

static int read_type(struct text t, struct content_type *ret)
{
    struct content_type ct = {0};
    size_t pos = 0;
    skip_space(t, &pos);
    size_t start = pos, n = token_len(t, pos);
    pos += n;
    if (!n || pos == t.len || t.p[pos] != '/')
        return ERR_NOT_FOUND;
    n = token_len(t, ++pos);
    if (!n)
        return ERR_NOT_FOUND;
    pos += n;
    ct.type = (struct text){t.p + start, pos - start};
    for (;;) {
        skip_space(t, &pos);
        if (pos == t.len)
            break;
        if (t.p[pos++] != ';')
            return ERR_NOT_FOUND;
        skip_space(t, &pos);
        if (pos == t.len) /* a last, idle semicolon is common */
            break;
        int err = read_param(t, &pos, &ct);
        if (err)
            return err;
    }
    *ret = ct;
    return OK;
}

enum encoding { IDENTITY, QUOTED_PRINTABLE, BASE64 };

static int read_encoding(struct text header, enum encoding *ret)
{
    static const struct {
        const char *name;
        enum encoding encoding;
    } known[] = {{"7bit", IDENTITY},
                 {"8bit", IDENTITY},
                 {"binary", IDENTITY},
                 {"quoted-printable", QUOTED_PRINTABLE},
                 {"base64", BASE64}};
    struct text v;
    int err = field(header, "Content-Transfer-Encoding", &v);
    if (err == ERR_NOT_FOUND) {
        *ret = IDENTITY;
        return OK;
    }
    for (size_t i = 0; !err && i < sizeof(known) / sizeof(known[0]); i++) {
        if (same(trim(v), known[i].name)) {
            *ret = known[i].encoding;
            return OK;
        }
    }
    return ERR_NOT_FOUND;
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* RFC 2045 section 6.7, strictly. out holds in.len octets. */
static int decode_qp(struct text in, uint8_t *out, size_t *ret_len)
{
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        if (in.p[i] != '=') {
            out[n++] = in.p[i];
            continue;
        }
        if (i + 1 < in.len && in.p[i + 1] == '\n') {
            i += 1;
        } else if (i + 2 < in.len && in.p[i + 1] == '\r' && in.p[i + 2] == '\n') {
            i += 2;
        } else if (i + 2 < in.len && hex_digit(in.p[i + 1]) >= 0 && hex_digit(in.p[i + 2]) >= 0) {
            out[n++] = (uint8_t)(hex_digit(in.p[i + 1]) << 4 | hex_digit(in.p[i + 2]));
            i += 2;
        } else {
            return ERR_NOT_FOUND;
        }
    }
    *ret_len = n;
    return OK;
}

/* RFC 2045 section 6.8; white space is passed over, anything else outside the alphabet is odd. */
static int decode_base64(struct text in, uint8_t *out, size_t *ret_len)
{
    uint32_t bits = 0;
    size_t n = 0, count = 0, pads = 0;
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.p[i];
        if (is_space(c))
            continue;
        int v = pgp_radix64(c);
        if (c == '=')
            pads++;
        else if (v < 0 || pads)
            return ERR_NOT_FOUND;
        bits = bits << 6 | (v < 0 ? 0 : (uint32_t)v);
        if (++count % 4 == 0) {
            if (pads > 2)
                return ERR_NOT_FOUND;
            for (size_t k = 0; k < 3 - pads; k++)
                out[n++] = (uint8_t)(bits >> (16 - 8 * k));
            bits = 0;
        } else if (pads && count % 4 < 3) {
            return ERR_NOT_FOUND;
        }
    }
    if (count % 4)
        return ERR_NOT_FOUND;
    *ret_len = n;
    return OK;
}

static const char begin_rule[] = "-----BEGIN PGP MESSAGE-----";

static bool begins_armor(struct text t)
{
    return t.len >= sizeof(begin_rule) - 1 && memcmp(t.p, begin_rule, sizeof(begin_rule) - 1) == 0;
}

static int copy_charset(struct text v, char out[PGP_CHARSET_MAX])
{
    if (v.len == 0 || v.len >= PGP_CHARSET_MAX || token_len(v, 0) != v.len)
        return ERR_NOT_FOUND;
    for (size_t i = 0; i < v.len; i++)
        out[i] = (char)(v.p[i] >= 'A' && v.p[i] <= 'Z' ? v.p[i] | 0x20 : v.p[i]);
    out[v.len] = '\0';
    return OK;
}

/* The armour's header lines are not kept, so only those may be there whose loss is none: RFC 9580 section 6.2.2, and
 * MessageID of RFC 2440. */
static int read_armor_headers(struct text t, char charset[PGP_CHARSET_MAX])
{
    static const char *const known[] = {"Version", "Comment", "Hash", "MessageID", "Charset"};
    size_t bare, pos = line_len(t.p, t.len, &bare);
    bool said = false;
    while (pos < t.len) {
        const uint8_t *p = t.p + pos, *colon;
        size_t i = 0, n = sizeof(known) / sizeof(known[0]);
        pos += line_len(p, t.len - pos, &bare);
        if (all_space(p, bare))
            return OK;
        colon = memchr(p, ':', bare);
        if (!colon)
            return ERR_NOT_FOUND;
        while (i < n && !same((struct text){p, (size_t)(colon - p)}, known[i]))
            i++;
        if (i == n)
            return ERR_NOT_FOUND;
        if (i < n - 1)
            continue;
        if (said || copy_charset(trim((struct text){colon + 1, (size_t)(p + bare - colon) - 1}), charset) != OK)
            return ERR_NOT_FOUND;
        said = true;
    }
    return ERR_NOT_FOUND;
}

/* One armour block with nothing but white space around it. text may be out itself: decoding writes behind where it
 * reads. */
static int only_armor(struct text text, uint8_t *out, size_t cap, struct pgp_found *ret)
{
    struct text t = trim(text);
    struct pgp_found found = *ret;
    size_t from, to;
    if (!begins_armor(t) || read_armor_headers(t, found.charset) != OK)
        return ERR_NOT_FOUND;
    if (pgp_armor_decode(t.p, t.len, "MESSAGE", out, cap, &found.len, &from, &to) != OK || from != 0 || to != t.len ||
        found.len == 0)
        return ERR_NOT_FOUND;
    *ret = found;
    return OK;
}

static int decoded_armor(struct text data, enum encoding enc, uint8_t *out, size_t cap, struct pgp_found *ret)
{
    size_t n;
    if (enc == IDENTITY)
        return only_armor(data, out, cap, ret);
    if (cap < data.len)
        return ERR_NOT_FOUND;
    int err = enc == BASE64 ? decode_base64(data, out, &n) : decode_qp(data, out, &n);
    return err ? err : only_armor((struct text){out, n}, out, cap, ret);
}

/* Inline: the body is the block. Encoded or not, it must begin like one, for the first look. */
static int find_inline(struct text body, enum encoding enc, const struct content_type *ct, uint8_t *out, size_t cap,
                       struct pgp_found *ret)
{
    struct pgp_found found = {.in_line = true};
    if (!begins_armor(trim(body)) ||
        (ct->charset_len && copy_charset((struct text){ct->charset, ct->charset_len}, found.charset) != OK))
        return ERR_NOT_FOUND;
    int err = decoded_armor(body, enc, out, cap, &found);
    if (!err)
        *ret = found;
    return err;
}

/* RFC 2046 section 5.1.1: the next delimiter line at or after *pos. *ret_start is where the part before it ends (the
 * line end in front belongs to the delimiter); *pos moves behind the line. */
static int next_delimiter(struct text body, const struct content_type *ct, size_t *pos, size_t *ret_start,
                          bool *ret_close)
{
    while (*pos < body.len) {
        const uint8_t *p = body.p + *pos;
        size_t bare, whole = line_len(p, body.len - *pos, &bare), n = ct->boundary_len;
        if (bare >= 2 + n && p[0] == '-' && p[1] == '-' && memcmp(p + 2, ct->boundary, n) == 0) {
            size_t rest = 2 + n;
            bool close = bare >= rest + 2 && p[rest] == '-' && p[rest + 1] == '-';
            rest += close ? 2 : 0;
            if (!all_space(p + rest, bare - rest))
                return ERR_NOT_FOUND; /* some other boundary that begins like ours: readers disagree on these */
            size_t end = *pos;
            if (end && body.p[end - 1] == '\n')
                end--;
            if (end && body.p[end - 1] == '\r')
                end--;
            *ret_start = end;
            *ret_close = close;
            *pos += whole;
            return OK;
        }
        *pos += whole;
    }
    return ERR_NOT_FOUND;
}

/* Exactly two parts and a closing delimiter with nothing of weight behind it. */
static int two_parts(struct text body, const struct content_type *ct, struct text part[2])
{
    size_t pos = 0, end;
    bool close;
    int err = next_delimiter(body, ct, &pos, &end, &close);
    if (err || close)
        return ERR_NOT_FOUND;
    for (int i = 0; i < 2; i++) {
        size_t start = pos;
        err = next_delimiter(body, ct, &pos, &end, &close);
        if (err || close != (i == 1))
            return ERR_NOT_FOUND;
        part[i] = (struct text){body.p + start, end > start ? end - start : 0};
    }
    return all_space(body.p + pos, body.len - pos) ? OK : ERR_NOT_FOUND;
}

static int part_type_is(struct text header, const char *want)
{
    struct content_type ct;
    struct text v;
    if (field(header, "Content-Type", &v) != OK || read_type(v, &ct) != OK || !same(ct.type, want))
        return ERR_NOT_FOUND;
    return OK;
}

/* RFC 3156 section 4: the control part says Version: 1. */
static int check_control(struct text part)
{
    struct text header, body;
    enum encoding enc;
    if (split(part, &header, &body) != OK || part_type_is(header, "application/pgp-encrypted") != OK ||
        read_encoding(header, &enc) != OK || enc != IDENTITY)
        return ERR_NOT_FOUND;
    struct text line = trim(body);
    if (line.len < 8 || strncasecmp((const char *)line.p, "Version:", 8) != 0)
        return ERR_NOT_FOUND;
    return same(trim((struct text){line.p + 8, line.len - 8}), "1") ? OK : ERR_NOT_FOUND;
}

static int find_mime(struct text body, const struct content_type *ct, uint8_t *out, size_t cap, struct pgp_found *ret)
{
    struct text part[2], header, data;
    struct pgp_found found = {0};
    enum encoding enc;
    if (ct->boundary_len == 0 || ct->boundary[ct->boundary_len - 1] == ' ' ||
        !same((struct text){ct->protocol, ct->protocol_len}, "application/pgp-encrypted") ||
        two_parts(body, ct, part) != OK || check_control(part[0]) != OK || split(part[1], &header, &data) != OK ||
        part_type_is(header, "application/octet-stream") != OK || read_encoding(header, &enc) != OK ||
        decoded_armor(data, enc, out, cap, &found) != OK)
        return ERR_NOT_FOUND;
    *ret = (struct pgp_found){.len = found.len}; /* the entity inside says its own charset */
    return OK;
}

int pgp_find_message(const uint8_t *mail, size_t len, uint8_t *out, size_t cap, struct pgp_found *ret)
{
    struct text header, body, v;
    struct content_type ct = {0};
    enum encoding enc;
    if (split((struct text){mail, len}, &header, &body) != OK || read_encoding(header, &enc) != OK)
        return ERR_NOT_FOUND;
    int err = field(header, "Content-Type", &v);
    if (err == ERR_NOT_FOUND) /* RFC 2045 section 5.2: text/plain */
        return find_inline(body, enc, &ct, out, cap, ret);
    if (err || read_type(v, &ct) != OK)
        return ERR_NOT_FOUND;
    if (same(ct.type, "multipart/encrypted") && enc == IDENTITY)
        return find_mime(body, &ct, out, cap, ret);
    if (same(ct.type, "text/plain"))
        return find_inline(body, enc, &ct, out, cap, ret);
    return ERR_NOT_FOUND;
}

bool pgp_find_likely(const struct header_view *v)
{
    static const char type[] = "multipart/encrypted";
    if (!v->ends) /* it may be behind what is at hand */
        return true;
    if (v->malformed)
        return false;
    for (size_t i = 0; i + sizeof(type) - 1 <= v->header_len; i++)
        if ((v->s[i] | 0x20) == 'm' && strncasecmp((const char *)v->s + i, type, sizeof(type) - 1) == 0)
            return true;
    struct text t = trim((struct text){v->s + v->header_len, v->len - v->header_len});
    return memcmp(t.p, begin_rule, t.len < sizeof(begin_rule) - 1 ? t.len : sizeof(begin_rule) - 1) == 0;
}
