/* Locates an OpenPGP message in a mail: PGP/MIME (RFC 3156 section 4) or a body that is one armour block. Reads
 * structure strictly; every doubt ends in "not found", and the mail is sealed like any other. */
#include "server/format/find.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "crypto/pgp_armor.h"
#include "server/core/error.h"
#include "server/mail/encoding.h"
#include "server/mail/header.h"
#include "server/mail/mime.h"

enum { BOUNDARY_MAX = 70 };

static bool all_space(const uint8_t *p, size_t len)
{
    while (len && token_is_space(*p)) {
        p++;
        len--;
    }
    return len == 0;
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
static int split(struct slice entity, struct slice *ret_header, struct slice *ret_body)
{
    struct header_field f;
    enum header_line line;
    size_t pos = 0, start;
    do {
        start = pos;
        line = header_next(entity.data, entity.len, &pos, &f);
    } while (line == HEADER_FIELD);
    if (line != HEADER_EMPTY)
        return ERR_NOT_FOUND;
    *ret_header = (struct slice){entity.data, start};
    *ret_body = (struct slice){entity.data + pos, entity.len - pos};
    return OK;
}

/* The only field of that name, with folds still in it. ERR_NOT_FOUND: none; ERR_FORMAT: several. */
static int field(struct slice header, const char *name, struct slice *ret)
{
    struct header_field f;
    bool found = false;
    for (size_t pos = 0; header_next(header.data, header.len, &pos, &f) == HEADER_FIELD;) {
        if (f.blank || !header_field_is(header.data, &f, name))
            continue;
        if (found)
            return ERR_FORMAT;
        *ret = header_field_value(header.data, &f);
        found = true;
    }
    return found ? OK : ERR_NOT_FOUND;
}

/* RFC 2045 section 5.1, without comments. */
struct content_type {
    struct slice type; /* type/subtype */
    uint8_t boundary[BOUNDARY_MAX];
    size_t boundary_len;
    uint8_t protocol[64];
    size_t protocol_len;
    uint8_t charset[PGP_CHARSET_MAX - 1];
    size_t charset_len;
};

/* A parameter's value, unless it was said already. */
static int keep_value(struct slice value, uint8_t *out, size_t cap, size_t *len)
{
    size_t n = *len ? (size_t)-1 : mime_unquote(value, out, cap);
    if (n == (size_t)-1)
        return ERR_NOT_FOUND;
    *len = n;
    return OK;
}

static int keep_parameter(const struct mime_parameter *p, struct content_type *ct)
{
    if (mime_is(p->name, "boundary"))
        return keep_value(p->value, ct->boundary, sizeof(ct->boundary), &ct->boundary_len);
    if (mime_is(p->name, "protocol"))
        return keep_value(p->value, ct->protocol, sizeof(ct->protocol), &ct->protocol_len);
    if (mime_is(p->name, "charset"))
        return keep_value(p->value, ct->charset, sizeof(ct->charset), &ct->charset_len);
    /* RFC 2231 pieces could spell a boundary differently for others */
    return memchr(p->name.data, '*', p->name.len) ? ERR_NOT_FOUND : OK;
}

static int read_type(struct slice value, struct content_type *ret)
{
    struct content_type ct = {0};
    struct mime_reader r = mime_read(value, true);
    struct mime_parameter p;
    struct slice type, subtype;
    enum mime_next next;
    if (!mime_read_type(&r, &type, &subtype))
        return ERR_NOT_FOUND;
    ct.type = slice_of(type.data, (size_t)(subtype.data + subtype.len - type.data));
    while ((next = mime_read_parameter(&r, &p)) == MIME_PARAMETER)
        if (keep_parameter(&p, &ct) != OK)
            return ERR_NOT_FOUND;
    if (next == MIME_MALFORMED)
        return ERR_NOT_FOUND;
    *ret = ct;
    return OK;
}

enum encoding { IDENTITY, QUOTED_PRINTABLE, BASE64 };

static int read_encoding(struct slice header, enum encoding *ret)
{
    static const struct {
        const char *name;
        enum encoding encoding;
    } known[] = {{"7bit", IDENTITY},
                 {"8bit", IDENTITY},
                 {"binary", IDENTITY},
                 {"quoted-printable", QUOTED_PRINTABLE},
                 {"base64", BASE64}};
    struct slice v;
    int err = field(header, "Content-Transfer-Encoding", &v);
    if (err == ERR_NOT_FOUND) {
        *ret = IDENTITY;
        return OK;
    }
    for (size_t i = 0; !err && i < sizeof(known) / sizeof(known[0]); i++) {
        if (mime_is(token_trim(v), known[i].name)) {
            *ret = known[i].encoding;
            return OK;
        }
    }
    return ERR_NOT_FOUND;
}

static const char begin_rule[] = "-----BEGIN PGP MESSAGE-----";

static bool begins_armor(struct slice t)
{
    return t.len >= sizeof(begin_rule) - 1 && memcmp(t.data, begin_rule, sizeof(begin_rule) - 1) == 0;
}

static int copy_charset(struct slice v, char out[PGP_CHARSET_MAX])
{
    struct mime_reader r = mime_read(v, true);
    struct slice token;
    if (v.len >= PGP_CHARSET_MAX || !mime_read_token(&r, &token) || token.len != v.len)
        return ERR_NOT_FOUND;
    for (size_t i = 0; i < v.len; i++)
        out[i] = (char)(v.data[i] >= 'A' && v.data[i] <= 'Z' ? v.data[i] | 0x20 : v.data[i]);
    out[v.len] = '\0';
    return OK;
}

/* The armour's header lines are not kept, so only those may be there whose loss is none: RFC 9580 section 6.2.2, and
 * MessageID of RFC 2440. */
static int read_armor_headers(struct slice t, char charset[PGP_CHARSET_MAX])
{
    static const char *const known[] = {"Version", "Comment", "Hash", "MessageID", "Charset"};
    size_t bare, pos = line_len(t.data, t.len, &bare);
    bool said = false;
    while (pos < t.len) {
        const uint8_t *p = t.data + pos, *colon;
        size_t i = 0, n = sizeof(known) / sizeof(known[0]);
        pos += line_len(p, t.len - pos, &bare);
        if (all_space(p, bare))
            return OK;
        colon = memchr(p, ':', bare);
        if (!colon)
            return ERR_NOT_FOUND;
        while (i < n && !mime_is((struct slice){p, (size_t)(colon - p)}, known[i]))
            i++;
        if (i == n)
            return ERR_NOT_FOUND;
        if (i < n - 1)
            continue;
        if (said || copy_charset(token_trim((struct slice){colon + 1, (size_t)(p + bare - colon) - 1}), charset) != OK)
            return ERR_NOT_FOUND;
        said = true;
    }
    return ERR_NOT_FOUND;
}

/* One armour block with nothing but white space around it. text may be out itself: decoding writes behind where it
 * reads. */
static int only_armor(struct slice text, uint8_t *out, size_t cap, struct pgp_found *ret)
{
    struct slice t = token_trim(text);
    struct pgp_found found = *ret;
    size_t from, to;
    if (!begins_armor(t) || read_armor_headers(t, found.charset) != OK)
        return ERR_NOT_FOUND;
    if (pgp_armor_decode(t.data, t.len, "MESSAGE", out, cap, &found.len, &from, &to) != OK || from != 0 ||
        to != t.len || found.len == 0)
        return ERR_NOT_FOUND;
    *ret = found;
    return OK;
}

static int decoded_armor(struct slice data, enum encoding enc, uint8_t *out, size_t cap, struct pgp_found *ret)
{
    size_t n;
    if (enc == IDENTITY)
        return only_armor(data, out, cap, ret);
    if (cap < data.len)
        return ERR_NOT_FOUND;
    int err = enc == BASE64 ? encoding_decode_base64(data, out, &n) : encoding_decode_quoted_printable(data, out, &n);
    return err ? ERR_NOT_FOUND : only_armor((struct slice){out, n}, out, cap, ret);
}

/* Inline: the body is the block. Encoded or not, it must begin like one, for the first look. */
static int find_inline(struct slice body, enum encoding enc, const struct content_type *ct, uint8_t *out, size_t cap,
                       struct pgp_found *ret)
{
    struct pgp_found found = {.in_line = true};
    if (!begins_armor(token_trim(body)) ||
        (ct->charset_len && copy_charset((struct slice){ct->charset, ct->charset_len}, found.charset) != OK))
        return ERR_NOT_FOUND;
    int err = decoded_armor(body, enc, out, cap, &found);
    if (!err)
        *ret = found;
    return err;
}

/* RFC 2046 section 5.1.1: the next delimiter line at or after *pos. *ret_start is where the part before it ends (the
 * line end in front belongs to the delimiter); *pos moves behind the line. */
static int next_delimiter(struct slice body, const struct content_type *ct, size_t *pos, size_t *ret_start,
                          bool *ret_close)
{
    while (*pos < body.len) {
        const uint8_t *p = body.data + *pos;
        size_t bare, whole = line_len(p, body.len - *pos, &bare), n = ct->boundary_len;
        if (bare >= 2 + n && p[0] == '-' && p[1] == '-' && memcmp(p + 2, ct->boundary, n) == 0) {
            size_t rest = 2 + n;
            bool close = bare >= rest + 2 && p[rest] == '-' && p[rest + 1] == '-';
            rest += close ? 2 : 0;
            if (!all_space(p + rest, bare - rest))
                return ERR_NOT_FOUND; /* some other boundary that begins like ours: readers disagree on these */
            size_t end = *pos;
            if (end && body.data[end - 1] == '\n')
                end--;
            if (end && body.data[end - 1] == '\r')
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
static int two_parts(struct slice body, const struct content_type *ct, struct slice part[2])
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
        part[i] = (struct slice){body.data + start, end > start ? end - start : 0};
    }
    return all_space(body.data + pos, body.len - pos) ? OK : ERR_NOT_FOUND;
}

static int part_type_is(struct slice header, const char *want)
{
    struct content_type ct;
    struct slice v;
    if (field(header, "Content-Type", &v) != OK || read_type(v, &ct) != OK || !mime_is(ct.type, want))
        return ERR_NOT_FOUND;
    return OK;
}

/* RFC 3156 section 4: the control part says Version: 1. */
static int check_control(struct slice part)
{
    struct slice header, body;
    enum encoding enc;
    if (split(part, &header, &body) != OK || part_type_is(header, "application/pgp-encrypted") != OK ||
        read_encoding(header, &enc) != OK || enc != IDENTITY)
        return ERR_NOT_FOUND;
    struct slice line = token_trim(body);
    if (line.len < 8 || strncasecmp((const char *)line.data, "Version:", 8) != 0)
        return ERR_NOT_FOUND;
    return mime_is(token_trim((struct slice){line.data + 8, line.len - 8}), "1") ? OK : ERR_NOT_FOUND;
}

static int find_mime(struct slice body, const struct content_type *ct, uint8_t *out, size_t cap, struct pgp_found *ret)
{
    struct slice part[2], header, data;
    struct pgp_found found = {0};
    enum encoding enc;
    if (ct->boundary_len == 0 || ct->boundary[ct->boundary_len - 1] == ' ' ||
        !mime_is((struct slice){ct->protocol, ct->protocol_len}, "application/pgp-encrypted") ||
        two_parts(body, ct, part) != OK || check_control(part[0]) != OK || split(part[1], &header, &data) != OK ||
        part_type_is(header, "application/octet-stream") != OK || read_encoding(header, &enc) != OK ||
        decoded_armor(data, enc, out, cap, &found) != OK)
        return ERR_NOT_FOUND;
    *ret = (struct pgp_found){.len = found.len}; /* the entity inside says its own charset */
    return OK;
}

int pgp_find_message(const uint8_t *mail, size_t len, uint8_t *out, size_t cap, struct pgp_found *ret)
{
    struct slice header, body, v;
    struct content_type ct = {0};
    enum encoding enc;
    if (split((struct slice){mail, len}, &header, &body) != OK || read_encoding(header, &enc) != OK)
        return ERR_NOT_FOUND;
    int err = field(header, "Content-Type", &v);
    if (err == ERR_NOT_FOUND) /* RFC 2045 section 5.2: text/plain */
        return find_inline(body, enc, &ct, out, cap, ret);
    if (err || read_type(v, &ct) != OK)
        return ERR_NOT_FOUND;
    if (mime_is(ct.type, "multipart/encrypted") && enc == IDENTITY)
        return find_mime(body, &ct, out, cap, ret);
    if (mime_is(ct.type, "text/plain"))
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
    struct slice t = token_trim((struct slice){v->s + v->header_len, v->len - v->header_len});
    return memcmp(t.data, begin_rule, t.len < sizeof(begin_rule) - 1 ? t.len : sizeof(begin_rule) - 1) == 0;
}
