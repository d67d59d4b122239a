/* Locates an OpenPGP message in a mail: PGP/MIME (RFC 3156 section 4) or a text that is one armour block. Reads
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

enum {
    BOUNDARY_MAX = 70,
    NESTING_MAX = 3,
    FIRST_LOOK = 4096 /* octets of a multipart's body in which what is looked for must begin */
};

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

/* A mail, or a part of one. Without a Content-Type it is text/plain (RFC 2045 section 5.2). */
struct entity {
    struct slice header, body;
    struct content_type type;
    enum encoding encoding;
};

static int read_entity(struct slice octets, struct entity *ret)
{
    struct entity e = {.type.type = slice_of("text/plain", 10)};
    struct slice v;
    if (split(octets, &e.header, &e.body) != OK || read_encoding(e.header, &e.encoding) != OK)
        return ERR_NOT_FOUND;
    int err = field(e.header, "Content-Type", &v);
    if (err != ERR_NOT_FOUND && (err || read_type(v, &e.type) != OK))
        return ERR_NOT_FOUND;
    *ret = e;
    return OK;
}

/* The body without its encoding: where it stands, or in out. */
static int decode_body(const struct entity *e, uint8_t *out, size_t cap, struct slice *ret)
{
    size_t n;
    if (e->encoding == IDENTITY) {
        *ret = e->body;
        return OK;
    }
    if (cap < e->body.len ||
        (e->encoding == BASE64 ? encoding_decode_base64 : encoding_decode_quoted_printable)(e->body, out, &n) != OK)
        return ERR_NOT_FOUND;
    *ret = slice_of(out, n);
    return OK;
}

static const char begin_rule[] = "-----BEGIN PGP MESSAGE-----";
static const char begin_base64[] = "LS0tLS1CRUdJTiBQR1AgTUVTU0FHRS0tLS0t"; /* the same */

static bool begins(struct slice t, const char *with)
{
    size_t n = strlen(with);
    return t.len >= n && memcmp(t.data, with, n) == 0;
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

/* RFC 9580 section 6.2.2.4: the armour's Charset is its text's. Two of them, or one that is no token, are a doubt. */
static int read_armor_charset(struct slice t, char charset[PGP_CHARSET_MAX])
{
    size_t bare, pos = line_len(t.data, t.len, &bare);
    bool said = false;
    while (pos < t.len) {
        const uint8_t *p = t.data + pos, *colon;
        pos += line_len(p, t.len - pos, &bare);
        if (all_space(p, bare))
            return OK;
        colon = memchr(p, ':', bare);
        if (!colon)
            return ERR_NOT_FOUND;
        if (!mime_is((struct slice){p, (size_t)(colon - p)}, "Charset"))
            continue;
        if (said || copy_charset(token_trim((struct slice){colon + 1, (size_t)(p + bare - colon) - 1}), charset) != OK)
            return ERR_NOT_FOUND;
        said = true;
    }
    return ERR_NOT_FOUND;
}

/* One armour block with nothing but white space around it. text may be out itself: decoding writes behind where it
 * reads. */
static int only_armor(struct slice text, uint8_t *out, size_t cap, size_t *ret_len)
{
    struct slice t = token_trim(text);
    size_t n, from, to;
    if (pgp_armor_decode(t.data, t.len, "MESSAGE", out, cap, &n, &from, &to) != OK || from != 0 || to != t.len ||
        n == 0)
        return ERR_NOT_FOUND;
    *ret_len = n;
    return OK;
}

/* Inline: the body is the block. Encoded or not, it must begin like one, for the first look. */
static int find_inline(const struct entity *e, uint8_t *out, size_t cap, struct pgp_found *ret)
{
    struct pgp_found found = {.in_line = true};
    struct slice text, charset = {e->type.charset, e->type.charset_len};
    if (!begins(token_trim(e->body), e->encoding == BASE64 ? begin_base64 : begin_rule) ||
        (charset.len && copy_charset(charset, found.charset) != OK) || decode_body(e, out, cap, &text) != OK ||
        read_armor_charset(token_trim(text), found.charset) != OK || only_armor(text, out, cap, &found.len) != OK)
        return ERR_NOT_FOUND;
    *ret = found;
    return OK;
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

/* Exactly n parts and a closing delimiter with nothing of weight behind it. */
static int read_parts(const struct entity *e, struct slice *part, size_t n)
{
    const struct content_type *ct = &e->type;
    size_t pos = 0, end;
    bool close;
    if (e->encoding != IDENTITY || ct->boundary_len == 0 || ct->boundary[ct->boundary_len - 1] == ' ')
        return ERR_NOT_FOUND;
    int err = next_delimiter(e->body, ct, &pos, &end, &close);
    if (err || close)
        return ERR_NOT_FOUND;
    for (size_t i = 0; i < n; i++) {
        size_t start = pos;
        err = next_delimiter(e->body, ct, &pos, &end, &close);
        if (err || close != (i == n - 1))
            return ERR_NOT_FOUND;
        part[i] = (struct slice){e->body.data + start, end > start ? end - start : 0};
    }
    return all_space(e->body.data + pos, e->body.len - pos) ? OK : ERR_NOT_FOUND;
}

/* RFC 3156 section 4: the control part says Version: 1. It may have any encoding (RFC 2045 section 6). */
static int check_control(struct slice part, uint8_t *out, size_t cap)
{
    struct entity e;
    struct slice line;
    if (read_entity(part, &e) != OK || !mime_is(e.type.type, "application/pgp-encrypted") ||
        decode_body(&e, out, cap, &line) != OK)
        return ERR_NOT_FOUND;
    line = token_trim(line);
    if (line.len < 8 || strncasecmp((const char *)line.data, "Version:", 8) != 0)
        return ERR_NOT_FOUND;
    return mime_is(token_trim((struct slice){line.data + 8, line.len - 8}), "1") ? OK : ERR_NOT_FOUND;
}

/* Without a protocol the control part's type says as much. */
static int find_mime(const struct entity *e, uint8_t *out, size_t cap, struct pgp_found *ret)
{
    struct slice part[2], text, protocol = {e->type.protocol, e->type.protocol_len};
    struct pgp_found found = {0}; /* the entity inside says its own charset */
    struct entity data;
    if ((protocol.len && !mime_is(protocol, "application/pgp-encrypted")) || read_parts(e, part, 2) != OK ||
        check_control(part[0], out, cap) != OK || read_entity(part[1], &data) != OK ||
        !mime_is(data.type.type, "application/octet-stream") || decode_body(&data, out, cap, &text) != OK ||
        only_armor(text, out, cap, &found.len) != OK)
        return ERR_NOT_FOUND;
    *ret = found;
    return OK;
}

static bool is_wrapper(const struct entity *e)
{
    return mime_is(e->type.type, "multipart/mixed") || mime_is(e->type.type, "multipart/alternative");
}

static bool is_attachment(const struct entity *e)
{
    struct slice v, disposition;
    int err = field(e->header, "Content-Disposition", &v);
    if (err == ERR_NOT_FOUND)
        return false;
    struct mime_reader r = mime_read(v, true);
    return err || !mime_read_token(&r, &disposition) || !mime_is(disposition, "inline");
}

/* What a multipart of one part holds is what the mail is. */
static int unwrap(struct entity *e)
{
    const uint8_t *top = e->body.data;
    struct slice part;
    if (!is_wrapper(e))
        return OK;
    for (int depth = 0; is_wrapper(e); depth++)
        if (depth == NESTING_MAX || read_parts(e, &part, 1) != OK || read_entity(part, e) != OK)
            return ERR_NOT_FOUND;
    size_t at = (size_t)(token_trim(e->body).data - top);
    return at + sizeof(begin_base64) <= FIRST_LOOK && !is_attachment(e) ? OK : ERR_NOT_FOUND;
}

int pgp_find_message(const uint8_t *mail, size_t len, uint8_t *out, size_t cap, struct pgp_found *ret)
{
    struct entity e;
    if (read_entity((struct slice){mail, len}, &e) != OK || unwrap(&e) != OK)
        return ERR_NOT_FOUND;
    if (mime_is(e.type.type, "multipart/encrypted"))
        return find_mime(&e, out, cap, ret);
    if (mime_is(e.type.type, "text/plain"))
        return find_inline(&e, out, cap, ret);
    return ERR_NOT_FOUND;
}

int pgp_find_part(struct slice entity, const char *type, uint8_t *out, size_t cap, size_t *ret_len)
{
    struct entity e;
    struct slice body;
    if (read_entity(entity, &e) != OK || unwrap(&e) != OK || !mime_is(e.type.type, type))
        return ERR_NOT_FOUND;
    if (e.body.len > cap)
        return ERR_LIMIT;
    if (decode_body(&e, out, cap, &body) != OK)
        return ERR_NOT_FOUND;
    if (body.len && body.data != out)
        memcpy(out, body.data, body.len);
    *ret_len = body.len;
    return OK;
}

/* Whether a type/subtype stands in s, in any case. Every mail comes here: slashes are few. */
static bool holds(struct slice s, const char *type)
{
    size_t before = strcspn(type, "/"), n = strlen(type);
    const uint8_t *p = s.data, *end = s.data + s.len;
    while ((p = memchr(p, '/', (size_t)(end - p)))) {
        if ((size_t)(p - s.data) >= before && (size_t)(end - p) >= n - before &&
            strncasecmp((const char *)p - before, type, n) == 0)
            return true;
        p++;
    }
    return false;
}

/* As far as t goes, it begins so. */
static bool may_begin(struct slice t, const char *with)
{
    size_t n = strlen(with);
    return memcmp(t.data, with, t.len < n ? t.len : n) == 0;
}

bool pgp_find_likely(const struct header_view *v, uint64_t mail_len)
{
    if (!v->ends) /* it may be behind what is at hand */
        return true;
    if (v->malformed)
        return false;
    struct slice header = {v->s, v->header_len}, body = {v->s + v->header_len, v->len - v->header_len};
    struct slice t = token_trim(body);
    if (holds(header, "multipart/encrypted"))
        return true;
    if (may_begin(t, begin_rule) || may_begin(t, begin_base64))
        return true;
    if (!holds(header, "multipart/mixed") && !holds(header, "multipart/alternative"))
        return false;
    if (body.len < FIRST_LOOK && v->len < mail_len)
        return true;
    body.len = body.len < FIRST_LOOK ? body.len : FIRST_LOOK;
    return memmem(body.data, body.len, begin_rule, sizeof(begin_rule) - 1) ||
           memmem(body.data, body.len, begin_base64, sizeof(begin_base64) - 1) || holds(body, "multipart/encrypted");
}
