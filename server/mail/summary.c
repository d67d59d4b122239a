#include "server/mail/summary.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/buf.h"
#include "server/core/error.h"
#include "server/mail/mime.h"
#include "server/mail/text.h"
#include "server/mail/text_impl.h"

enum {
    LOOK_AT = 32 * 1024,
    PARTS_MAX = 200,
    PARTS_DEPTH_MAX = 50,
    FIELD_MAX = 8 * 1024,
    PREVIEW_RAW = 4096 /* octets of a part that are looked at */
};

struct summary {
    const struct header_view *view;
    struct buf seen;       /* what GMime gets to see */
    GByteArray *bytes;     /* the same */
    GMimeMessage *message; /* or NULL */
    GMimePart *text, *html;
    const char *names[PARTS_MAX];
    size_t nnames, parts;
};

/* A body without parts is looked at no further than its preview goes. */
static size_t body_room(const struct header_view *v)
{
    for (size_t i = 0; i < v->count; i++) {
        if (!header_field_is(v->s, &v->fields[i], "Content-Type"))
            continue;
        struct mime_reader r = mime_read(header_field_value(v->s, &v->fields[i]), false);
        struct slice type, subtype;
        if (!mime_read_type(&r, &type, &subtype) || mime_is(type, "multipart") || mime_is(type, "message"))
            return LOOK_AT;
    }
    return PREVIEW_RAW;
}

static bool is_wanted(const uint8_t *s, const struct header_field *f)
{
    static const char *const wanted[] = {"Subject", "MIME-Version"};
    for (size_t k = 0; k < sizeof(wanted) / sizeof(*wanted); k++)
        if (header_field_is(s, f, wanted[k]))
            return true;
    return header_field_is_content(s, f);
}

/* What GMime gets to see: each field costs it an object or two, so those that nobody asks for are left out, and the
 * body's beginning. */
static int excerpt(const struct header_view *v, struct buf *out)
{
    int err = OK;
    for (size_t i = 0; err == OK && i < v->count; i++) {
        const struct header_field *f = &v->fields[i];
        const uint8_t *field = v->s + f->offset;
        size_t n = f->len < FIELD_MAX ? f->len : FIELD_MAX;
        if (!is_wanted(v->s, f) || out->len + n > LOOK_AT / 2)
            continue;
        err = buf_append(out, field, n);
        if (err == OK && field[n - 1] != '\n')
            err = buf_puts(out, "\r\n");
    }
    size_t body = v->len - v->header_len, room = body_room(v);
    if (err == OK)
        err = buf_puts(out, "\r\n");
    if (room > LOOK_AT - out->len)
        room = LOOK_AT - out->len;
    return err == OK ? buf_append(out, v->s + v->header_len, body < room ? body : room) : err;
}

/* GMime 3.2 loses the memory of a domain literal that a comment follows, as long as the sender likes: the comments of
 * such a list are opened. What is changed is a copy. */
static void open_comments_of(char *list, size_t len)
{
    const char *literal = memchr(list, '[', len), *end = list + len;
    bool follows = false;
    for (const char *c = literal; c && !follows && (c = memchr(c, ']', (size_t)(end - c)));) {
        do
            c++;
        while (c < end && token_is_space((uint8_t)*c));
        follows = c < end && *c == '(';
    }
    for (char *c = list + (follows ? literal - list : (ptrdiff_t)len); c < end; c++)
        if (*c == '(')
            *c = ' ';
}

/* In every field of addresses, also in those of messages that are parts. */
static void open_comments(struct buf *b)
{
    static const char *const lists[] = {"From", "Sender", "Reply-To", "To", "Cc", "Bcc"};
    struct header_field f;
    enum header_line line;
    for (size_t pos = 0; (line = header_next(b->data, b->len, &pos, &f)) != HEADER_END;)
        for (size_t k = 0; line == HEADER_FIELD && k < sizeof(lists) / sizeof(*lists); k++)
            if (header_field_is(b->data, &f, lists[k]))
                open_comments_of((char *)b->data + f.offset, f.len);
}

static void look_at_part(struct summary *f, GMimeObject *o)
{
    GMimePart *part = GMIME_PART(o);
    GMimeContentType *type = g_mime_object_get_content_type(o);
    const char *name = g_mime_part_get_filename(part);
    bool attached = g_mime_part_is_attachment(part);
    if ((name || attached) && f->nnames < PARTS_MAX)
        f->names[f->nnames++] = name ? name : "";
    if (attached)
        return;
    if (!f->text && g_mime_content_type_is_type(type, "text", "plain"))
        f->text = part;
    if (!f->html && g_mime_content_type_is_type(type, "text", "html"))
        f->html = part;
}

static void walk(struct summary *f, GMimeObject *o, int depth)
{
    if (!o || depth > PARTS_DEPTH_MAX || f->parts++ > PARTS_MAX)
        return;
    if (GMIME_IS_PART(o)) {
        look_at_part(f, o);
    } else if (GMIME_IS_MESSAGE_PART(o)) {
        if (f->nnames < PARTS_MAX)
            f->names[f->nnames++] = "message.eml";
    } else if (GMIME_IS_MULTIPART(o)) {
        int n = g_mime_multipart_get_count(GMIME_MULTIPART(o));
        for (int i = 0; i < n; i++)
            walk(f, g_mime_multipart_get_part(GMIME_MULTIPART(o), i), depth + 1);
    }
}

/* The part's first octets, decoded, as one line. */
static size_t preview(GMimePart *part, bool html, char *out)
{
    GMimeDataWrapper *w = g_mime_part_get_content(part);
    GMimeStream *stream = w ? g_mime_data_wrapper_get_stream(w) : NULL;
    char raw[PREVIEW_RAW], decoded[PREVIEW_RAW + 64], utf8[4 * PREVIEW_RAW];
    GMimeEncoding e;
    if (!stream)
        return 0;
    g_mime_stream_reset(stream);
    ssize_t n = g_mime_stream_read(stream, raw, sizeof(raw));
    if (n <= 0)
        return 0;
    g_mime_encoding_init_decode(&e, g_mime_data_wrapper_get_encoding(w));
    size_t len = g_mime_encoding_step(&e, raw, (size_t)n, decoded);
    const char *charset = g_mime_object_get_content_type_parameter(GMIME_OBJECT(part), "charset");
    len = text_to_utf8(charset, decoded, len, utf8, sizeof(utf8));
    return text_to_line(utf8, len, html, SUMMARY_PREVIEW_CHARS, out);
}

/* The message refers to bytes, which must live as long. */
static GMimeMessage *parse(GByteArray *bytes)
{
    GMimeStream *stream = g_mime_stream_mem_new();
    g_mime_stream_mem_set_byte_array(GMIME_STREAM_MEM(stream), bytes);
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    g_mime_parser_set_persist_stream(parser, TRUE);
    GMimeMessage *m = g_mime_parser_construct_message(parser, text_options());
    g_object_unref(parser);
    g_object_unref(stream);
    return m;
}

int summary_create(const struct header_view *v, struct summary **ret)
{
    struct summary *s = calloc(1, sizeof(*s));
    if (!s)
        return ERR_MEMORY;
    s->view = v;
    buf_init(&s->seen, LOOK_AT + FIELD_MAX, true);
    int err = excerpt(v, &s->seen);
    if (err != OK) {
        summary_destroy(s);
        return err;
    }
    open_comments(&s->seen);
    s->bytes = g_byte_array_new_take(s->seen.data, s->seen.len);
    s->message = parse(s->bytes);
    if (s->message)
        walk(s, g_mime_message_get_mime_part(s->message), 0);
    *ret = s;
    return OK;
}

void summary_destroy(struct summary *s)
{
    if (s->message)
        g_object_unref(s->message);
    if (s->bytes)
        g_byte_array_free(s->bytes, FALSE); /* it was lent */
    buf_free(&s->seen);
    free(s);
}

void summary_addresses(const struct summary *s, enum summary_list list, text_mailbox_fn *fn, void *arg)
{
    static const char *const names[] = {"From", "To", "Cc"};
    const struct header_field *f = header_find(s->view, names[list]);
    if (f)
        text_mailboxes(header_field_value(s->view->s, f), fn, arg);
}

const char *summary_subject(const struct summary *s)
{
    const char *subject = s->message ? g_mime_message_get_subject(s->message) : NULL;
    return subject ? subject : "";
}

size_t summary_preview(const struct summary *s, char out[SUMMARY_PREVIEW_SIZE])
{
    size_t len = s->text ? preview(s->text, false, out) : 0;
    return len || !s->html ? len : preview(s->html, true, out);
}

const char *summary_attachment(const struct summary *s, size_t i)
{
    return i < s->nnames ? s->names[i] : NULL;
}
