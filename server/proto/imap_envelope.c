/* ENVELOPE from header fields. The addresses are read as RFC 5322 section 3.4 writes them; what is not an address is
 * shown as a local part with an empty host, so that a client sees it rather than nothing: without a host (NIL) it would
 * begin or end a group (RFC 3501 section 7.4.2). */
#include <string.h>

#include "server/core/error.h"
#include "server/proto/imap_out.h"

enum { ADDRESSES_MAX = 1000, WORD_MAX = 1024 };

/* A token's text, with blanks folded to one. */
struct text {
    uint8_t b[WORD_MAX];
    size_t len;
};

static void text_put(struct text *t, uint8_t c)
{
    if (t->len < sizeof(t->b))
        t->b[t->len++] = c;
}

static struct slice text_slice(const struct text *t)
{
    return t->len ? slice_of(t->b, t->len) : (struct slice){0};
}

struct reader {
    const uint8_t *p, *end;
};

/* CFWS: comments nest, quoted pairs inside. Returns whether anything was skipped. */
static bool skip_cfws(struct reader *r)
{
    const uint8_t *start = r->p;
    unsigned depth = 0;
    for (; r->p < r->end; r->p++) {
        uint8_t c = *r->p;
        if (depth && c == '\\' && r->p + 1 < r->end)
            r->p++;
        else if (c == '(')
            depth++;
        else if (depth && c == ')')
            depth--;
        else if (!depth && c != ' ' && c != '\t' && c != '\r' && c != '\n')
            break;
    }
    return r->p != start;
}

static void quoted(struct reader *r, struct text *t, bool keep_quotes)
{
    if (keep_quotes)
        text_put(t, '"');
    for (r->p++; r->p < r->end && *r->p != '"'; r->p++) {
        if (*r->p == '\r' || *r->p == '\n')
            continue;
        if (*r->p == '\\' && r->p + 1 < r->end) {
            if (keep_quotes)
                text_put(t, '\\');
            r->p++;
        }
        text_put(t, *r->p);
    }
    if (r->p < r->end)
        r->p++;
    if (keep_quotes)
        text_put(t, '"');
}

/* Reads words up to one of the stop octets. */
static void words(struct reader *r, struct text *t, const char *stop)
{
    for (;;) {
        bool gap = skip_cfws(r);
        if (r->p == r->end || strchr(stop, *r->p ? *r->p : 1))
            return;
        if (gap && t->len)
            text_put(t, ' ');
        if (*r->p == '"')
            quoted(r, t, false);
        else
            text_put(t, *r->p++);
    }
}

static int put_address(struct buf *out, struct slice name, struct slice route, struct slice local, struct slice host)
{
    int err = buf_puts(out, "(");
    const struct slice parts[4] = {name, route, local, host};
    for (unsigned i = 0; !err && i < 4; i++) {
        if (i)
            err = buf_puts(out, " ");
        if (!err)
            err = imap_out_string(out, parts[i]);
    }
    return err ? err : buf_puts(out, ")");
}

/* angle-addr after its "<": [obs-route] addr-spec ">" */
static int angle(struct reader *r, struct buf *out, const struct text *name)
{
    struct text route = {.len = 0}, local = {.len = 0}, host = {.len = 0};
    skip_cfws(r);
    if (r->p < r->end && *r->p == '@') {
        words(r, &route, ":>");
        if (r->p < r->end && *r->p == ':')
            r->p++;
    }
    words(r, &local, "@>");
    if (r->p < r->end && *r->p == '@') {
        r->p++;
        words(r, &host, ">");
    }
    if (r->p < r->end)
        r->p++;
    return put_address(out, text_slice(name), text_slice(&route), slice_of(local.b, local.len),
                       slice_of(host.b, host.len));
}

static int address(struct reader *r, struct buf *out, bool *in_group)
{
    struct text first = {.len = 0}, host = {.len = 0};
    words(r, &first, "<@,:;");
    uint8_t c = r->p < r->end ? *r->p : 0;
    if (c == '<') {
        r->p++;
        return angle(r, out, &first);
    }
    if (c == ':' && !*in_group) { /* start of group syntax: host NIL, mailbox the group's name */
        r->p++;
        *in_group = true;
        return put_address(out, (struct slice){0}, (struct slice){0}, slice_of(first.b, first.len), (struct slice){0});
    }
    if (c == '@') {
        r->p++;
        words(r, &host, ",;<");
    } else if (c == ':') {
        r->p++;
    }
    if (first.len == 0 && host.len == 0)
        return OK;
    return put_address(out, (struct slice){0}, (struct slice){0}, slice_of(first.b, first.len),
                       slice_of(host.b, host.len));
}

static int address_list(struct buf *out, struct slice value)
{
    struct reader r = {value.data, value.data + value.len};
    size_t start = out->len;
    bool in_group = false;
    int err = buf_puts(out, "(");
    for (unsigned n = 0; !err && n < ADDRESSES_MAX; n++) {
        skip_cfws(&r);
        if (r.p == r.end)
            break;
        if (*r.p == ',') {
            r.p++;
            continue;
        }
        if (*r.p == ';') {
            r.p++;
            if (in_group)
                err = buf_puts(out, "(NIL NIL NIL NIL)");
            in_group = false;
            continue;
        }
        err = address(&r, out, &in_group);
    }
    if (!err && in_group)
        err = buf_puts(out, "(NIL NIL NIL NIL)");
    if (err)
        return err;
    if (out->len == start + 1) { /* no address: NIL, not an empty list */
        out->len = start;
        return buf_puts(out, "NIL");
    }
    return buf_puts(out, ")");
}

/* A value on one line: folds are taken out, the blanks after them stay (RFC 5322 section 2.2.3). */
static int unfolded(struct buf *out, struct slice v)
{
    uint8_t line[8192];
    size_t n = 0;
    for (size_t i = 0; i < v.len && n < sizeof(line); i++)
        if (v.data[i] != '\r' && v.data[i] != '\n')
            line[n++] = v.data[i];
    return imap_out_string(out, slice_of(line, n));
}

int imap_out_envelope(struct buf *out, struct slice header)
{
    static const struct {
        const char *name;
        bool addresses;
    } fields[10] = {
        {"Date", 0}, {"Subject", 0}, {"From", 1}, {"Sender", 1},      {"Reply-To", 1},
        {"To", 1},   {"Cc", 1},      {"Bcc", 1},  {"In-Reply-To", 0}, {"Message-ID", 0},
    };
    enum { FROM = 2, SENDER = 3, REPLY_TO = 4 };
    int err = buf_puts(out, "(");
    for (unsigned i = 0; !err && i < 10; i++) {
        struct slice v = {0};
        bool found = imap_field_find(header, fields[i].name, &v);
        if ((i == SENDER || i == REPLY_TO) &&
            (!found || v.len == 0)) /* lacking ones take From's value (RFC 3501 section 7.4.2) */
            found = imap_field_find(header, fields[FROM].name, &v);
        if (i)
            err = buf_puts(out, " ");
        if (err)
            break;
        if (!found)
            err = buf_puts(out, "NIL");
        else
            err = fields[i].addresses ? address_list(out, v) : unfolded(out, v);
    }
    return err ? err : buf_puts(out, ")");
}
