/* The legacy display of protected fields: for clients that show none of them, the mail becomes the second part of a
 * multipart/mixed whose first part says as text what the outer header hides (the draft before RFC 9788 calls it Legacy
 * Display; RFC 9788's own, within the text, cannot be put into what is signed). */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "server/mail/mime_repair.h"
#include "server/mail/text.h"
#include "server/format/protection_impl.h"
#include "server/core/error.h"

enum { VALUE_MAX = 8192, PART_MAX = 64 * 1024 /* what would be longer goes without */, BOUNDARY_RANDOM = 16 };

typedef int write_fn(const char *value, struct buf *out);

static int put_field(struct buf *out, const char *name, write_fn *write, struct slice value)
{
    char raw[VALUE_MAX + 1];
    size_t n = 0;
    for (size_t i = 0; i < value.len && n < VALUE_MAX; i++)
        if (value.data[i] && value.data[i] != '\r' && value.data[i] != '\n')
            raw[n++] = value.data[i] == '\t' ? ' ' : (char)value.data[i];
    raw[n] = '\0';
    int err = buf_puts(out, name);
    if (err == OK)
        err = buf_puts(out, ": ");
    if (err == OK)
        err = write(raw + strspn(raw, " "), out);
    sodium_memzero(raw, sizeof(raw));
    return err == OK ? buf_puts(out, "\r\n") : err;
}

/* The fields that the policy hides, as text. */
static int put_hidden(struct buf *out, const struct protect_params *p, const struct header_view *v, size_t *ret_n)
{
    static const struct {
        const char *name;
        write_fn *write;
    } fields[] = {
        {"Subject", text_put_field}, {"From", text_put_addresses}, {"To", text_put_addresses},
        {"Cc", text_put_addresses},  {"Date", text_put_field},
    };
    size_t count = p->policy == POLICY_HIDDEN ? sizeof(fields) / sizeof(*fields) : 1;
    int err = OK;
    *ret_n = 0;
    for (size_t i = 0; i < count && err == OK; i++) {
        const struct header_field *f = header_find(v, fields[i].name);
        if (!f)
            continue;
        err = put_field(out, fields[i].name, fields[i].write, header_field_value(v->s, f));
        ++*ret_n;
    }
    return err;
}

static bool seen_before(const struct header_view *v, size_t i)
{
    const char *names = (const char *)v->s;
    const struct header_field *f = &v->fields[i];
    for (size_t k = 0; k < i; k++)
        if (v->fields[k].name_len == f->name_len &&
            !strncasecmp(names + v->fields[k].offset, names + f->offset, f->name_len))
            return true;
    return false;
}

/* *typed: it says a type. */
static int put_type_field(struct buf *out, struct slice value, bool *typed)
{
    size_t len = out->len;
    int err = buf_puts(out, "Content-Type: ");
    if (err == OK)
        err = mime_repair_type(value, out);
    if (err == ERR_NOT_FOUND) {
        out->len = len;
        return OK;
    }
    *typed = true;
    return err == OK ? buf_puts(out, "\r\n") : err;
}

/* The header of the part that holds the sender's mail: its fields that describe content (RFC 2045 section 9). */
static int put_content_fields(struct buf *out, const struct header_view *v, const char *charset)
{
    bool typed = false;
    int err = OK;
    for (size_t i = 0; i < v->count && err == OK; i++) {
        const struct header_field *f = &v->fields[i];
        if (!header_field_is_content(v->s, f) || seen_before(v, i))
            continue;
        bool is_type = header_field_is(v->s, f, "Content-Type");
        if (!is_type && header_field_is_plain(v->s, f)) { /* without a blank before the colon: RFC 5322 section 4.5 */
            size_t colon = f->value_offset - 1;
            err = buf_append(out, v->s + f->offset, f->name_len);
            if (err == OK)
                err = buf_append(out, v->s + colon, f->offset + f->len - colon);
        } else if (is_type) {
            err = put_type_field(out, header_field_value(v->s, f), &typed);
        }
    }
    char line[96];
    snprintf(line, sizeof(line), "Content-Type: text/plain; charset=%s\r\n", charset);
    return err != OK || typed ? err : buf_puts(out, line);
}

int header_display_make(const struct protect_params *p, const struct header_view *v, const char *charset,
                        struct header_display *ret)
{
    uint8_t random[BOUNDARY_RANDOM];
    char boundary[2 * BOUNDARY_RANDOM + 1], text[256];
    size_t n;
    randombytes_buf(random, sizeof(random)); /* nobody can have put it into the mail */
    sodium_bin2hex(boundary, sizeof(boundary), random, sizeof(random));
    snprintf(ret->type, sizeof(ret->type), "Content-Type: multipart/mixed; boundary=\"%s\"", boundary);
    snprintf(ret->tail, sizeof(ret->tail), "\r\n--%s--\r\n", boundary);
    snprintf(text, sizeof(text),
             "\r\n--%s\r\nContent-Type: text/rfc822-headers; charset=utf-8; protected-headers=\"v1\"\r\n"
             "Content-Transfer-Encoding: 8bit\r\nContent-Disposition: inline\r\n\r\n",
             boundary);
    buf_init(&ret->head, PART_MAX, true);
    int err = buf_puts(&ret->head, text);
    if (err == OK)
        err = put_hidden(&ret->head, p, v, &n);
    if (err == OK && n == 0)
        err = ERR_NOT_FOUND;
    snprintf(text, sizeof(text), "\r\n--%s\r\n", boundary);
    if (err == OK)
        err = buf_puts(&ret->head, text);
    if (err == OK)
        err = put_content_fields(&ret->head, v, charset);
    if (err == OK)
        err = buf_append(&ret->head, "\r\n", sizeof "\r\n"); /* with its NUL */
    if (err != OK)
        buf_free(&ret->head);
    return err;
}
