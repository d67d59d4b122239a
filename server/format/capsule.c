/* Making the capsule with GMime, whose trade is hostile input (docs/design.md sections 5 and 8). Only the message's
 * first octets are looked at. */
#include "server/format/capsule.h"

#include <gmime/gmime.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>

#include "server/format/capsule_impl.h"
#include "server/mail/date.h"
#include "server/mail/message_id.h"
#include "server/mail/text.h"
#include "server/mail/header.h"
#include "server/core/secmem.h"
#include "server/core/error.h"

/* Octets of the output that each item may take; together less than CAPSULE_MAX. */
enum {
    SHARE_HEADER = 32 * 1024,
    SHARE_LIST = 4096,
    SHARE_FROM = 2048,
    SHARE_SUBJECT = 4096,
    SHARE_AUTH = 3072,
    SHARE_RECEIVED = 3072,
    SHARE_SMALL = 512,
    SHARE_WARNINGS = 1024,
    SHARE_PREVIEW = 6 * PREVIEW_CHARS + 2
};
enum { LOOK_AT = 32 * 1024, PARTS_MAX = 200, FIELD_MAX = 8 * 1024 };

static GMimeParserOptions *options;

void capsule_warm_up(void)
{
    static const char *const charsets[] = {
        "iso-8859-1",    "iso-8859-2",   "iso-8859-3",   "iso-8859-4",   "iso-8859-5",   "iso-8859-6",   "iso-8859-7",
        "iso-8859-8",    "iso-8859-9",   "iso-8859-10",  "iso-8859-13",  "iso-8859-14",  "iso-8859-15",  "iso-8859-16",
        "windows-1250",  "windows-1251", "windows-1252", "windows-1253", "windows-1254", "windows-1255", "windows-1256",
        "windows-1257",  "windows-1258", "koi8-r",       "koi8-u",       "iso-2022-jp",  "iso-2022-kr",  "euc-jp",
        "euc-kr",        "shift_jis",    "gb2312",       "gbk",          "gb18030",      "big5",         "big5-hkscs",
        "tis-620",       "windows-874",  "utf-16",       "utf-16le",     "utf-16be",     "utf-7",        "utf-32",
        "macintosh",     "cp437",        "cp850",        "cp866",        "us-ascii",     "cp932",        "cp949",
        "iso-2022-jp-2", "viscii",
    };
    static iconv_t kept[sizeof(charsets) / sizeof(*charsets)];
    static const char *const fallback[] = {"utf-8", "windows-1252", NULL};
    if (options)
        return;
    g_mime_init();
    options = g_mime_parser_options_new();
    g_mime_parser_options_set_fallback_charsets(options, (const char **)(uintptr_t)fallback);
    for (size_t i = 0; i < sizeof(charsets) / sizeof(*charsets); i++) {
        iconv_t from = kept[i] =
            iconv_open("UTF-8", charsets[i]); /* kept open for ever: that holds its tables in memory */
        char in[] = "a", out[16], *s = in, *d = out;
        size_t left = 1, room = sizeof(out);
        if (from != (iconv_t)-1)
            iconv(from, &s, &left, &d, &room);
    }
    static const char mail[] =
        "From: =?iso-8859-1?q?=E4?= <a@b>\r\nTo: g: c@d;\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
        "Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\n4Q==\r\n--x\r\n"
        "Content-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nz\r\n--x--\r\n";
    struct capsule_params p = {.sealed_by = "", .tls = "", .auth_results = "", .warnings = ""};
    struct header_field fields[4];
    struct header_view v;
    struct buf out;
    buf_init(&out, CAPSULE_MAX, true);
    header_parse((const uint8_t *)mail, sizeof(mail) - 1, fields, sizeof(fields) / sizeof(*fields), &v);
    capsule_make(&p, &v, &out);
    buf_free(&out);
}

static void wipe_text(char *text)
{
    if (text)
        secmem_wipe(text, strlen(text));
    g_free(text);
}

/* escape: what would end a quoted string. */
static int put_decoded(const char *text, bool escape, struct buf *out)
{
    int err = OK;
    for (const char *s = text; *s && err == OK; s++) {
        if (escape && (*s == '"' || *s == '\\'))
            err = buf_append(out, "\\", 1);
        if (err == OK)
            err = buf_append(out, (unsigned char)*s < ' ' || *s == 0x7f ? " " : s, 1);
    }
    return err;
}

int header_text(const char *value, struct buf *out)
{
    capsule_warm_up();
    char *text = g_mime_utils_header_decode_text(options, value);
    int err = text ? put_decoded(text, false, out) : ERR_MEMORY;
    wipe_text(text);
    return err;
}

/* GMime's own quoting lets a name with a quotation mark in it through as it is. */
static int put_name(const char *name, const char *end, struct buf *out)
{
    bool quote = strpbrk(name, "()<>[]:;@\\,\"") != NULL;
    int err = quote ? buf_puts(out, "\"") : OK;
    if (err == OK)
        err = put_decoded(name, quote, out);
    if (err == OK && quote)
        err = buf_puts(out, "\"");
    return err == OK ? buf_puts(out, end) : err;
}

/* GMime 3.2 loses the memory of a domain literal that a comment follows, as long as the sender likes: the comments of
 * such a list are opened. What is changed is a copy. */
static void open_comments(char *list, size_t len)
{
    const char *literal = memchr(list, '[', len), *end = list + len;
    bool follows = false;
    for (const char *c = literal; c && !follows && (c = memchr(c, ']', (size_t)(end - c)));) {
        do
            c++;
        while (c < end && (*c == ' ' || *c == '\t' || *c == '\r' || *c == '\n'));
        follows = c < end && *c == '(';
    }
    for (char *c = list + (follows ? literal - list : (ptrdiff_t)len); c < end; c++)
        if (*c == '(')
            *c = ' ';
}

/* The same in every field of addresses, also in those of messages that are parts. */
static void open_comments_in_fields(char *s, size_t len)
{
    static const char *const lists[] = {"From", "Sender", "Reply-To", "To", "Cc", "Bcc"};
    for (size_t at = 0, n; at < len; at += n) {
        for (n = 0; at + n < len; n++) /* a line, and those folded behind it */
            if (s[at + n] == '\n' && (at + n + 1 == len || (s[at + n + 1] != ' ' && s[at + n + 1] != '\t')))
                break;
        n += at + n < len;
        for (size_t k = 0; k < sizeof(lists) / sizeof(*lists); k++) {
            size_t name = strlen(lists[k]);
            if (n > name && !strncasecmp(s + at, lists[k], name) && strchr(": \t", s[at + name]))
                open_comments(s + at, n);
        }
    }
}

static int put_address_list(InternetAddressList *list, int depth, struct buf *out)
{
    int err = OK, n = internet_address_list_length(list);
    for (int i = 0; i < n && err == OK; i++) {
        InternetAddress *a = internet_address_list_get_address(list, i);
        bool mailbox = INTERNET_ADDRESS_IS_MAILBOX(a);
        const char *name = internet_address_get_name(a),
                   *email = mailbox ? internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(a)) : NULL;
        bool named = name && *name;
        err = i ? buf_puts(out, ", ") : OK;
        if (err == OK && named)
            err = put_name(name, mailbox ? " <" : ": ", out);
        if (err == OK && mailbox)
            err = put_decoded(email ? email : "", false, out);
        else if (err == OK && depth < 3 && INTERNET_ADDRESS_IS_GROUP(a))
            err = put_address_list(internet_address_group_get_members(INTERNET_ADDRESS_GROUP(a)), depth + 1, out);
        if (err == OK && named)
            err = buf_puts(out, mailbox ? ">" : ";");
    }
    return err;
}

int header_addresses(const char *value, struct buf *out)
{
    char *copy = g_strdup(value);
    open_comments(copy, strlen(copy));
    capsule_warm_up();
    InternetAddressList *list = internet_address_list_parse(options, copy);
    wipe_text(copy);
    if (!list) { /* no addresses: one name */
        char *text = g_mime_utils_header_decode_text(options, value);
        int err = text ? put_name(text, "", out) : ERR_MEMORY;
        wipe_text(text);
        return err;
    }
    int err = put_address_list(list, 0, out);
    g_object_unref(list);
    return err;
}

static void put_mailbox(struct json *j, InternetAddress *a, size_t start, size_t share)
{
    const char *name = internet_address_get_name(a),
               *email = internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(a));
    size_t used = j->out->len - start;
    if (!email || used + 64 > share)
        return;
    size_t half = (share - used - 32) / 2;
    capsule_raw(j, j->out->data[j->out->len - 1] == '[' ? "{" : ",{");
    if (name && *name) {
        capsule_key(j, "name");
        capsule_string(j, name, strlen(name), half < SHARE_SMALL ? half : SHARE_SMALL);
    }
    capsule_key(j, "email");
    capsule_string(j, email, strlen(email), half < SHARE_SMALL ? half : SHARE_SMALL);
    capsule_raw(j, "}");
}

static void put_list(struct json *j, InternetAddressList *list, size_t start, size_t share, int depth)
{
    int n = list ? internet_address_list_length(list) : 0;
    for (int i = 0; i < n && i < 1000; i++) {
        InternetAddress *a = internet_address_list_get_address(list, i);
        if (INTERNET_ADDRESS_IS_MAILBOX(a))
            put_mailbox(j, a, start, share);
        else if (INTERNET_ADDRESS_IS_GROUP(a) && depth < 3)
            put_list(j, internet_address_group_get_members(INTERNET_ADDRESS_GROUP(a)), start, share, depth + 1);
    }
}

static void put_addresses(struct json *j, const char *key, GMimeMessage *m, GMimeAddressType type, size_t share)
{
    capsule_key(j, key);
    capsule_raw(j, "[");
    if (m)
        put_list(j, g_mime_message_get_addresses(m, type), j->out->len, share, 0);
    capsule_raw(j, "]");
    j->comma = true;
}

/* What the walk over the parts has found. */
struct found {
    GMimePart *text, *html;
    const char *names[PARTS_MAX];
    size_t nnames, parts;
};

static void look_at_part(struct found *f, GMimeObject *o)
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

static void walk(struct found *f, GMimeObject *o, int depth)
{
    if (!o || depth > 50 || f->parts++ > PARTS_MAX)
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
    return preview_text(utf8, len, html, out);
}

static void put_parts(struct json *j, GMimeMessage *m)
{
    struct found f = {0};
    char text[4 * PREVIEW_CHARS + 8];
    size_t len = 0;
    if (m)
        walk(&f, g_mime_message_get_mime_part(m), 0);
    if (f.text)
        len = preview(f.text, false, text);
    if (!len && f.html)
        len = preview(f.html, true, text);
    capsule_key(j, "preview");
    capsule_string(j, text, len, SHARE_PREVIEW);
    capsule_key(j, "attachments");
    capsule_raw(j, "[");
    size_t start = j->out->len;
    for (size_t i = 0; i < f.nnames; i++) {
        size_t used = j->out->len - start;
        if (used + 16 > SHARE_LIST)
            break;
        if (j->out->len > start)
            capsule_raw(j, ",");
        capsule_string(j, f.names[i], strlen(f.names[i]),
                       SHARE_LIST - used < SHARE_SMALL ? SHARE_LIST - used - 1 : SHARE_SMALL);
    }
    capsule_raw(j, "]");
    j->comma = true;
}

static void put_warnings(struct json *j, const char *s)
{
    size_t start = j->out->len;
    capsule_key(j, "warnings");
    capsule_raw(j, "[");
    for (bool first = true; *s && j->out->len - start < SHARE_WARNINGS - 80;) {
        size_t n = strcspn(s, ",");
        if (n) {
            if (!first)
                capsule_raw(j, ",");
            capsule_string(j, s, n, 64);
            first = false;
        }
        s += n + (s[n] == ',');
    }
    capsule_raw(j, "]");
    j->comma = true;
}

static void put_text(struct json *j, const char *key, const char *s, size_t share)
{
    capsule_key(j, key);
    capsule_string(j, s ? s : "", s ? strlen(s) : 0, share);
}

static void put_provenance(struct json *j, const struct capsule_params *p)
{
    put_text(j, "auth", p->auth_results, SHARE_AUTH);
    put_warnings(j, p->warnings ? p->warnings : "");
    capsule_key(j, "sealed");
    capsule_raw(j, "{");
    put_text(j, "by", p->sealed_by, SHARE_SMALL);
    capsule_key(j, "at");
    if (j->err == OK)
        j->err = buf_printf(j->out, "%llu", (unsigned long long)p->sealed_at);
    put_text(j, "tls", p->tls, SHARE_SMALL);
    capsule_raw(j, "}");
    j->comma = true;
    if (p->received)
        put_text(j, "received", p->received, SHARE_RECEIVED);
}

static void put_header(struct json *j, const struct header_view *v)
{
    capsule_key(j, "header");
    capsule_string(j, (const char *)v->s, v->header_len, SHARE_HEADER);
}

/* The message refers to bytes, which must live as long. */
static GMimeMessage *parse(GByteArray *bytes)
{
    GMimeStream *stream = g_mime_stream_mem_new();
    g_mime_stream_mem_set_byte_array(GMIME_STREAM_MEM(stream), bytes);
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    g_mime_parser_set_persist_stream(parser, TRUE);
    GMimeMessage *m = g_mime_parser_construct_message(parser, options);
    g_object_unref(parser);
    g_object_unref(stream);
    return m;
}

/* A body without parts is looked at no further than its preview goes. */
static size_t body_room(const struct header_view *v)
{
    for (size_t i = 0; i < v->count; i++) {
        if (!header_field_is(v->s, &v->fields[i], "Content-Type"))
            continue;
        struct slice value = header_field_value(v->s, &v->fields[i]);
        for (size_t at = 0; at + 7 <= value.len; at++)
            if (!strncasecmp((const char *)value.data + at, "multipa", 7) ||
                !strncasecmp((const char *)value.data + at, "message", 7))
                return LOOK_AT;
    }
    return PREVIEW_RAW;
}

static bool is_wanted(const uint8_t *s, const struct header_field *f)
{
    static const char *const wanted[] = {"From", "To", "Cc", "Subject", "Date", "MIME-Version"};
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

int capsule_make(const struct capsule_params *p, const struct header_view *v, struct buf *out)
{
    struct json j = {.out = out};
    struct buf seen;
    capsule_warm_up();
    buf_init(&seen, LOOK_AT + FIELD_MAX, true);
    int r = excerpt(v, &seen);
    if (r != OK) {
        buf_free(&seen);
        return r;
    }
    open_comments_in_fields((char *)seen.data, seen.len);
    GByteArray *bytes = g_byte_array_new_take(seen.data, seen.len);
    GMimeMessage *m = parse(bytes);
    capsule_raw(&j, "{\"v\":1");
    j.comma = true;
    put_addresses(&j, "from", m, GMIME_ADDRESS_TYPE_FROM, SHARE_FROM);
    put_addresses(&j, "to", m, GMIME_ADDRESS_TYPE_TO, SHARE_LIST);
    put_addresses(&j, "cc", m, GMIME_ADDRESS_TYPE_CC, SHARE_LIST);
    put_text(&j, "subject", m ? g_mime_message_get_subject(m) : "", SHARE_SUBJECT);
    const char *date = m ? g_mime_object_get_header(GMIME_OBJECT(m), "Date") : NULL;
    uint64_t t;
    capsule_key(&j, "date");
    if (date && date_read((const uint8_t *)date, strlen(date), &t, NULL) == OK) {
        if (j.err == OK)
            j.err = buf_printf(out, "%llu", (unsigned long long)t);
    } else {
        capsule_raw(&j, "null");
    }
    j.comma = true;
    put_parts(&j, m);
    put_provenance(&j, p);
    if (p->foreign)
        put_header(&j, v);
    capsule_raw(&j, "}");
    if (m)
        g_object_unref(m);
    g_byte_array_free(bytes, FALSE); /* it was lent */
    buf_free(&seen);
    return j.err;
}

static int keep_id(void *arg, const uint8_t *id, size_t len)
{
    char *out = arg;
    if (len - 2 >= 512)
        return 0;
    memcpy(out, id + 1, len - 2);
    out[len - 2] = '\0';
    return 1;
}

static void first_id(const struct header_view *v, const char *name, char out[512])
{
    const struct header_field *f = header_find(v, name);
    if (!f)
        return;
    struct slice value = header_field_value(v->s, f);
    message_id_each(value.data, value.len, keep_id, out);
}

void capsule_thread_ids(const struct header_view *v, char own[512], char root[512])
{
    own[0] = root[0] = '\0';
    first_id(v, "Message-ID", own);
    first_id(v, "References", root);
    if (!root[0])
        first_id(v, "In-Reply-To", root);
    if (!root[0])
        memcpy(root, own, 512);
}
