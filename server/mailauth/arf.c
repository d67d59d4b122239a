#include "server/mailauth/arf.h"

#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "server/mail/parts.h"
#include "server/mail/token.h"

enum { WORD_MAX = 32 };

enum kind { KIND_OTHER, KIND_REPORT, KIND_ORIGINAL };

static const struct {
    const char *type, *subtype;
    enum kind kind;
} kinds[] = {
    {"message", "feedback-report", KIND_REPORT},  {"message", "rfc822", KIND_ORIGINAL},
    {"message", "global", KIND_ORIGINAL},         {"message", "global-headers", KIND_ORIGINAL}, /* RFC 6533 section 6 */
    {"message", "rfc822-headers", KIND_ORIGINAL},                                               /* as some write it */
    {"text", "rfc822-headers", KIND_ORIGINAL},
};

/* Section 3.1; what is not registered counts as "other" does. */
static const char *const complaints[] = {"abuse", "fraud", "virus"};

struct reading {
    struct header_field *fields; /* of the header at hand */
    struct arf_report report;
    unsigned parts, reports, originals;
};

/* ---- Content-Type ---- */

static bool says_feedback(const struct part *p)
{
    struct mime_reader r = mime_read(p->content_type, false);
    struct slice type, subtype;
    struct mime_parameter m;
    uint8_t word[WORD_MAX];
    bool says = false;

    if (!part_is(p, "multipart", "report") || !mime_read_type(&r, &type, &subtype))
        return false;
    while (mime_read_parameter(&r, &m) == MIME_PARAMETER)
        if (mime_is(m.name, "report-type")) {
            size_t n = mime_unquote(m.value, word, sizeof(word));
            says = n <= sizeof(word) && mime_is(slice_of(word, n), "feedback-report");
        }
    return says;
}

static enum kind kind_of(const struct part *p)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (part_is(p, kinds[i].type, kinds[i].subtype))
            return kinds[i].kind;
    return KIND_OTHER;
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

/* ---- parts ---- */

/* RFC 2046 section 5.2.1 has no encoding for a message, and some write one. */
static int take_decoded(struct reading *r, enum kind kind, const struct part *p)
{
    const size_t octets = p->body.len ? p->body.len : 1;
    uint8_t *plain = secmem_map(octets);
    size_t len;
    int err;

    if (!plain)
        return ERR_MEMORY;
    err = part_decode(p, true, plain, &len) == OK ? take(r, kind, slice_of(plain, len)) : ERR_FORMAT;
    secmem_unmap(plain, octets);
    return err;
}

static int read_part(void *arg, struct slice s)
{
    struct reading *r = arg;
    struct part p;
    enum kind kind;

    if (++r->parts > ARF_PARTS_MAX || part_read(s, r->fields, &p) != OK)
        return ERR_FORMAT;
    kind = kind_of(&p);
    if (kind == KIND_OTHER)
        return OK;
    return p.transfer == TRANSFER_NONE ? take(r, kind, p.body) : take_decoded(r, kind, &p);
}

static int read_all(struct reading *r, struct slice s)
{
    struct part whole;
    int err;

    if (part_read(s, r->fields, &whole) != OK || !says_feedback(&whole))
        return ERR_NOT_FOUND;
    if (!whole.boundary_len)
        return ERR_FORMAT;
    err = part_each(&whole, read_part, r);
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
