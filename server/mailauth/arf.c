#include "server/mailauth/arf.h"

#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "server/mail/encoding.h"
#include "server/mail/header.h"
#include "server/mail/mime.h"
#include "server/mail/token.h"

enum { BOUNDARY_MAX = 200 /* RFC 2046 section 5.1.1 says 70 */ };

enum kind { KIND_OTHER, KIND_CONTAINER, KIND_REPORT, KIND_ORIGINAL };

static const struct {
    const char *type, *subtype;
    enum kind kind;
} kinds[] = {
    {"multipart", "report", KIND_CONTAINER},      {"message", "feedback-report", KIND_REPORT},
    {"message", "rfc822", KIND_ORIGINAL},         {"message", "global", KIND_ORIGINAL},
    {"message", "global-headers", KIND_ORIGINAL}, /* RFC 6533 section 6 */
    {"message", "rfc822-headers", KIND_ORIGINAL}, /* as some write it */
    {"text", "rfc822-headers", KIND_ORIGINAL},
};

/* Section 3.1; what is not registered counts as "other" does. */
static const char *const complaints[] = {"abuse", "fraud", "virus"};

struct type {
    enum kind kind;
    bool feedback; /* report-type says so */
    uint8_t boundary[BOUNDARY_MAX];
    size_t boundary_len;
};

struct reading {
    struct header_field *fields; /* of the header at hand */
    struct type type;            /* of the whole */
    struct arf_report report;
    unsigned parts, reports, originals;
};

/* ---- Content-Type ---- */

static void read_parameter(const struct mime_parameter *p, struct type *t)
{
    uint8_t word[BOUNDARY_MAX];

    if (mime_is(p->name, "report-type")) {
        size_t n = mime_unquote(p->value, word, sizeof(word));
        t->feedback = n <= sizeof(word) && mime_is(slice_of(word, n), "feedback-report");
    } else if (mime_is(p->name, "boundary") && !t->boundary_len) {
        size_t n = mime_unquote(p->value, t->boundary, sizeof(t->boundary));
        t->boundary_len = n <= sizeof(t->boundary) ? n : 0;
    }
}

static void read_type(const struct header_view *v, struct type *ret)
{
    const struct header_field *f = header_find(v, "Content-Type");
    struct slice type, subtype;
    struct mime_parameter p;

    *ret = (struct type){.kind = KIND_OTHER};
    if (!f)
        return;
    struct mime_reader r = mime_read(header_field_value(v->s, f), false);
    if (!mime_read_type(&r, &type, &subtype))
        return;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (mime_is(type, kinds[i].type) && mime_is(subtype, kinds[i].subtype))
            ret->kind = kinds[i].kind;
    while (mime_read_parameter(&r, &p) == MIME_PARAMETER)
        read_parameter(&p, ret);
}

/* ---- what is in the two parts that count ---- */

static unsigned count_of(const struct header_view *v, const char *name)
{
    unsigned n = 0;

    for (size_t i = 0; i < v->count; i++)
        n += header_field_is(v->s, &v->fields[i], name);
    return n;
}

/* Section 3.1: Feedback-Type is there once. User-Agent and Version should be, and are not always. */
static int take_report(struct reading *r, const struct header_view *v)
{
    const struct header_field *f = header_find(v, "Feedback-Type");
    struct slice word;

    if (++r->reports > 1 || count_of(v, "Feedback-Type") != 1)
        return ERR_FORMAT;
    struct mime_reader m = mime_read(header_field_value(v->s, f), false);
    if (!mime_read_token(&m, &word))
        return ERR_FORMAT;
    for (size_t i = 0; i < sizeof(complaints) / sizeof(complaints[0]); i++)
        r->report.complaint |= mime_is(word, complaints[i]);
    return OK;
}

static int take_original(struct reading *r, const struct header_view *v)
{
    const struct header_field *f = header_find(v, "CFBL-Feedback-ID");
    struct slice value;
    size_t n = 0;

    if (++r->originals > 1)
        return ERR_FORMAT;
    if (!f)
        return OK;
    value = header_field_value(v->s, f);
    for (size_t i = 0; i < value.len; i++) {
        if (token_is_space(value.data[i]))
            continue;
        if (n == ARF_ID_MAX || value.data[i] < '!' || value.data[i] > '~') {
            n = 0;
            break;
        }
        r->report.id[n++] = (char)value.data[i];
    }
    r->report.id[n] = '\0';
    return OK;
}

static int take(struct reading *r, enum kind kind, struct slice body)
{
    struct header_view v;

    if (header_parse(body.data, body.len, r->fields, HEADER_FIELDS_MAX, &v) != OK)
        return ERR_FORMAT;
    return kind == KIND_REPORT ? take_report(r, &v) : take_original(r, &v);
}

/* ---- encodings: RFC 2046 section 5.2.1 has none for a message, and some write one ---- */

typedef int decode_fn(struct slice in, uint8_t *out, size_t *ret_len);

static int find_encoding(const struct header_view *v, decode_fn **ret)
{
    static const struct {
        const char *word;
        decode_fn *decode;
    } rows[] = {{"7bit", NULL},
                {"8bit", NULL},
                {"binary", NULL},
                {"base64", encoding_decode_base64},
                {"quoted-printable", encoding_decode_quoted_printable}};
    const struct header_field *f = header_find(v, "Content-Transfer-Encoding");
    struct slice word;

    *ret = NULL;
    if (!f)
        return OK;
    struct mime_reader m = mime_read(header_field_value(v->s, f), false);
    if (!mime_read_token(&m, &word))
        return ERR_FORMAT;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (mime_is(word, rows[i].word)) {
            *ret = rows[i].decode;
            return OK;
        }
    return ERR_FORMAT;
}

static int take_decoded(struct reading *r, enum kind kind, decode_fn *decode, struct slice body)
{
    uint8_t *plain = secmem_map(body.len ? body.len : 1);
    size_t len;
    int err;

    if (!plain)
        return ERR_MEMORY;
    err = decode(body, plain, &len) == OK ? take(r, kind, slice_of(plain, len)) : ERR_FORMAT;
    secmem_unmap(plain, body.len ? body.len : 1);
    return err;
}

static int read_part(struct reading *r, struct slice part)
{
    struct header_view v;
    struct type type;
    decode_fn *decode;
    int err;

    if (++r->parts > ARF_PARTS_MAX || header_parse(part.data, part.len, r->fields, HEADER_FIELDS_MAX, &v) != OK)
        return ERR_FORMAT;
    read_type(&v, &type);
    if (type.kind != KIND_REPORT && type.kind != KIND_ORIGINAL)
        return OK;
    const struct slice body = slice_of(part.data + v.header_len, part.len - v.header_len);
    err = find_encoding(&v, &decode);
    if (err != OK)
        return err;
    return decode ? take_decoded(r, type.kind, decode, body) : take(r, type.kind, body);
}

/* ---- parts ---- */

static size_t line_end(struct slice s, size_t at)
{
    const uint8_t *nl = memchr(s.data + at, '\n', s.len - at);

    return nl ? (size_t)(nl - s.data) + 1 : s.len;
}

enum line { LINE_TEXT, LINE_NEXT, LINE_LAST };

/* RFC 2046 section 5.1.1: white space may stand behind it. */
static enum line look(const struct type *t, struct slice line)
{
    size_t at = 2 + t->boundary_len;
    enum line found = LINE_NEXT;

    if (line.len < at || line.data[0] != '-' || line.data[1] != '-' ||
        memcmp(line.data + 2, t->boundary, t->boundary_len) != 0)
        return LINE_TEXT;
    if (line.len >= at + 2 && line.data[at] == '-' && line.data[at + 1] == '-') {
        found = LINE_LAST;
        at += 2;
    }
    while (at < line.len && token_is_space(line.data[at]))
        at++;
    return at == line.len ? found : LINE_TEXT;
}

/* What is cut off at its end is a part as well. */
static int read_parts(struct reading *r, struct slice body)
{
    size_t begin = body.len, at = 0;
    enum line line = LINE_TEXT;
    bool inside = false;
    int err = OK;

    while (err == OK && line != LINE_LAST && at < body.len) {
        const size_t next = line_end(body, at);
        line = look(&r->type, slice_of(body.data + at, next - at));
        if (line != LINE_TEXT && inside)
            err = read_part(r, slice_of(body.data + begin, at - begin));
        if (line != LINE_TEXT) {
            inside = true;
            begin = next;
        }
        at = next;
    }
    if (err == OK && inside && line != LINE_LAST)
        err = read_part(r, slice_of(body.data + begin, body.len - begin));
    return err;
}

static int read_all(struct reading *r, struct slice s)
{
    struct header_view v;
    int err;

    if (header_parse(s.data, s.len, r->fields, HEADER_FIELDS_MAX, &v) != OK)
        return ERR_NOT_FOUND;
    read_type(&v, &r->type);
    if (r->type.kind != KIND_CONTAINER || !r->type.feedback)
        return ERR_NOT_FOUND;
    if (!r->type.boundary_len)
        return ERR_FORMAT;
    err = read_parts(r, slice_of(s.data + v.header_len, s.len - v.header_len));
    return err == OK && r->reports == 0 ? ERR_FORMAT : err;
}

int arf_read(struct slice s, struct arf_report *ret)
{
    const size_t octets = HEADER_FIELDS_MAX * sizeof(struct header_field);
    struct reading r = {.fields = secmem_map(octets)};
    int err = r.fields ? OK : ERR_MEMORY;

    if (s.len > ARF_LOOK_MAX)
        s.len = ARF_LOOK_MAX;
    if (err == OK)
        err = read_all(&r, s);
    if (err == OK)
        *ret = r.report;
    secmem_unmap(r.fields, octets);
    return err;
}
