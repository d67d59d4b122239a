/* BODY and BODYSTRUCTURE from the MIME fields of what is served (RFC 3501 section 7.4.2). The header blocks are our own
 * rendering's; what cannot be read is left out. */
#include <string.h>

#include "server/core/error.h"
#include "server/mail/mime.h"
#include "server/proto/imap_out.h"

enum { PARAMS_MAX = 16, VALUE_MAX = 256 };

/* body-fld-param: the parameters as a parenthesised list, or NIL */
static int params(struct buf *out, struct mime_reader *r)
{
    struct mime_parameter p;
    unsigned n = 0;
    int err = OK;
    while (!err && n < PARAMS_MAX && mime_read_parameter(r, &p) == MIME_PARAMETER) {
        uint8_t value[VALUE_MAX];
        size_t len = mime_unquote(p.value, value, sizeof(value));
        if (len == (size_t)-1)
            break;
        err = buf_puts(out, n++ ? " " : "(");
        if (!err)
            err = imap_out_string(out, p.name);
        if (!err)
            err = buf_puts(out, " ");
        if (!err)
            err = imap_out_string(out, slice_of(value, len));
    }
    return err ? err : buf_puts(out, n ? ")" : "NIL");
}

static int string_or(struct buf *out, struct slice value, const char *otherwise)
{
    return value.data ? imap_out_string(out, value) : buf_puts(out, otherwise);
}

/* body-fld-dsp = "(" string SP body-fld-param ")" / nil */
static int disposition(struct buf *out, struct slice value)
{
    struct slice word;
    struct mime_reader r = mime_read(value, false);
    if (!value.data || !mime_read_token(&r, &word))
        return buf_puts(out, "NIL");
    int err = buf_puts(out, "(");
    if (!err)
        err = imap_out_string(out, word);
    if (!err)
        err = buf_puts(out, " ");
    if (!err)
        err = params(out, &r);
    return err ? err : buf_puts(out, ")");
}

/* RFC 2045 section 5.2: text/plain where nothing is said. *ret: before the parameters. */
static void content_type(struct slice value, struct slice *ret_type, struct slice *ret_sub, struct mime_reader *ret)
{
    *ret = mime_read(value, false);
    if (value.data && mime_read_type(ret, ret_type, ret_sub))
        return;
    *ret_type = slice_str("text");
    *ret_sub = slice_str("plain");
    *ret = mime_read(slice_str(""), false);
}

/* In the order of a part's response. */
enum { TYPE, ID, DESCRIPTION, ENCODING, DISPOSITION, FIELDS };
static const char *const names[FIELDS] = {"Content-Type", "Content-ID", "Content-Description",
                                          "Content-Transfer-Encoding", "Content-Disposition"};

int imap_out_part(struct buf *out, struct slice header, uint64_t size, uint64_t lines, bool extended)
{
    struct slice values[FIELDS], type, sub;
    struct mime_reader r;
    imap_fields_find(header, names, FIELDS, values);
    content_type(values[TYPE], &type, &sub, &r);
    int err = buf_puts(out, "(");
    if (!err)
        err = imap_out_string(out, type);
    if (!err)
        err = buf_puts(out, " ");
    if (!err)
        err = imap_out_string(out, sub);
    if (!err)
        err = buf_puts(out, " ");
    if (!err)
        err = params(out, &r);
    if (!err)
        err = buf_puts(out, " ");
    if (!err)
        err = string_or(out, values[ID], "NIL");
    if (!err)
        err = buf_puts(out, " ");
    if (!err)
        err = string_or(out, values[DESCRIPTION], "NIL");
    if (!err)
        err = buf_puts(out, " ");
    if (!err)
        err = string_or(out, values[ENCODING], "\"7bit\"");
    if (!err)
        err = buf_printf(out, " %llu", (unsigned long long)size);
    if (!err && mime_is(type, "text"))
        err = buf_printf(out, " %llu", (unsigned long long)lines);
    if (!err && extended) /* body-ext-1part: md5, disposition, language, location */
        err = buf_puts(out, " NIL ");
    if (!err && extended)
        err = disposition(out, values[DISPOSITION]);
    if (!err && extended)
        err = buf_puts(out, " NIL NIL");
    return err ? err : buf_puts(out, ")");
}

int imap_out_multipart_end(struct buf *out, struct slice header, bool extended)
{
    struct slice value, type, sub;
    struct mime_reader r;
    imap_fields_find(header, names, 1, &value);
    content_type(value, &type, &sub, &r);
    int err = buf_puts(out, " ");
    if (!err)
        err = imap_out_string(out, sub);
    if (!err && extended)
        err = buf_puts(out, " ");
    if (!err && extended)
        err = params(out, &r);
    if (!err && extended) /* body-ext-mpart: parameters, disposition, language, location */
        err = buf_puts(out, " NIL NIL NIL");
    return err ? err : buf_puts(out, ")");
}
