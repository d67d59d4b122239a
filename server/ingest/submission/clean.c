/* See clean.h. */
#include "server/ingest/submission/clean.h"

#include <string.h>
#include <strings.h>

#include "server/core/error.h"
#include "server/format/protection.h"
#include "server/mail/date.h"
#include "server/mail/token.h"

enum {
    NEW_FIELDS_MAX = 2048, /* octets of a Date and a Message-ID that are made here */
    IDS_MAX = 1000,        /* of one field */
};

enum action {
    REMOVED,
    DATED,      /* in UTC */
    IDENTIFIED, /* the message's own id */
    THREADED,   /* ids of other messages: pseudonyms are turned back */
    REPLACED,   /* by clean_params.more */
};

/* A name that ends in "*" stands for all that begin so. */
static const struct rule {
    const char *name;
    enum action action;
} rules[] = {
    {"Bcc", REMOVED}, /* RFC 5322 section 3.6.3, RFC 6409 section 8.7 */
    {"Resent-Bcc", REMOVED},
    {"Date", DATED},
    {"Resent-Date", DATED},
    {"Message-ID", IDENTIFIED},
    {"Resent-Message-ID", REMOVED}, /* of the client's host, and nothing refers to it */
    {"In-Reply-To", THREADED},
    {"References", THREADED},
    {"Autocrypt", REPLACED},
    /* Where a mail has been, and whose the client is. */
    {"Return-Path", REMOVED}, /* RFC 5321 section 4.4 */
    {"Received", REMOVED},
    {"X-Received", REMOVED},
    {"Delivered-To", REMOVED},
    {"X-Original-To", REMOVED},
    {"X-Forwarded-*", REMOVED},
    {"X-Source*", REMOVED},
    {"X-Originating-*", REMOVED},
    {"X-Sender*", REMOVED},
    {"X-Authenticated-*", REMOVED},
    {"X-Authentication-Warning", REMOVED},
    {"X-Envelope-*", REMOVED},
    {"X-Client-*", REMOVED},
    {"X-Remote-*", REMOVED},
    {"X-Webmail-*", REMOVED},
    {"X-PHP-*", REMOVED},
    {"X-HTTP-*", REMOVED},
    /* What software wrote it. */
    {"User-Agent", REMOVED},
    {"X-Mailer*", REMOVED},
    {"X-Newsreader", REMOVED},
    {"X-MimeOLE", REMOVED},
    {"X-Mime-Autoconverted", REMOVED},
    {"X-Operating-System", REMOVED},
    {"X-Antivirus*", REMOVED},
    {"X-MS-*", REMOVED},
    {"X-Exchange-*", REMOVED},
    {"X-Apple-*", REMOVED},
    {"X-Uniform-Type-Identifier", REMOVED},
    {"X-Universally-Unique-Identifier", REMOVED},
    {"X-Google-*", REMOVED},
    {"X-Gm-*", REMOVED},
    {"X-Android-*", REMOVED},
    {"X-Evolution-*", REMOVED},
    {"X-KMail-*", REMOVED},
    {"X-Sylpheed-*", REMOVED},
    {"X-Claws-*", REMOVED},
    /* Who is to be told of complaints, and of whose mail, we say. */
    {"CFBL-*", REMOVED},
    /* What a client keeps for itself. */
    {"X-Mozilla-*", REMOVED},
    {"X-Account-Key", REMOVED},
    {"X-Identity-Key", REMOVED},
    {"X-Enigmail-*", REMOVED},
    {"X-UIDL", REMOVED},
    {"X-UID", REMOVED},
    {"X-Unsent", REMOVED},
    {"Fcc", REMOVED},
    {"Status", REMOVED},
    {"X-Status", REMOVED},
    {"X-Keywords", REMOVED},
    {"X-IMAP*", REMOVED},
};
enum { RULES = sizeof(rules) / sizeof(rules[0]) };

static bool named(const uint8_t *s, const struct header_field *f, const char *name)
{
    size_t n = strlen(name);

    if (name[n - 1] != '*')
        return header_field_is(s, f, name);
    return f->name_len >= n - 1 && strncasecmp((const char *)s + f->offset, name, n - 1) == 0;
}

static const struct rule *rule_of(const uint8_t *s, const struct header_field *f)
{
    for (size_t i = 0; i < RULES; i++)
        if (named(s, f, rules[i].name))
            return &rules[i];
    return NULL;
}

int submission_header_read(const uint8_t *s, size_t len, struct header_field *fields, struct clean_header *ret)
{
    size_t pos = 0, n = 0;
    enum header_line line;

    if (len > HEADER_MAX)
        len = HEADER_MAX;
    for (;;) {
        struct header_field f;
        line = header_next(s, len, &pos, &f);
        if (line != HEADER_FIELD)
            break;
        if (n == HEADER_FIELDS_MAX)
            return ERR_LIMIT;
        fields[n++] = f;
    }
    if (line == HEADER_OTHER)
        return ERR_FORMAT;
    if (line == HEADER_END && len == HEADER_MAX)
        return ERR_LIMIT;
    if (memchr(s, '\0', pos))
        return ERR_FORMAT;
    *ret = (struct clean_header){s, pos, fields, n, line == HEADER_EMPTY};
    return OK;
}

static int first_id(void *arg, const uint8_t *id, size_t len)
{
    *(struct slice *)arg = slice_of(id, len);
    return 1;
}

size_t submission_header_id(const struct clean_header *h, char out[MESSAGE_ID_MAX])
{
    for (size_t i = 0; i < h->n; i++) {
        struct slice value, id = {0};
        size_t n;
        if (!header_field_is(h->s, &h->fields[i], "Message-ID"))
            continue;
        value = header_field_value(h->s, &h->fields[i]);
        message_id_each(value.data, value.len, first_id, &id);
        n = id.data ? message_id_text(id.data, id.len, out) : 0;
        if (n < 3 || n >= MESSAGE_ID_MAX)
            return 0;
        memmove(out, out + 1, n - 2); /* "<" and ">" */
        out[n - 2] = '\0';
        return n - 2;
    }
    return 0;
}

bool submission_tls_optional(const struct clean_header *h)
{
    struct slice value = {0};
    unsigned n = 0;

    for (size_t i = 0; i < h->n; i++)
        if (header_field_is(h->s, &h->fields[i], "TLS-Required")) {
            value = token_trim(header_field_value(h->s, &h->fields[i]));
            n++;
        }
    return n == 1 && value.len == 2 && strncasecmp((const char *)value.data, "no", 2) == 0;
}

/* ---- fields that are written anew ---- */

struct writing {
    const struct clean_header *h;
    const struct clean_params *p;
    struct pack out;
    bool dated, identified;
    size_t ids;
};

static void put(struct writing *w, const char *text)
{
    pack_raw(&w->out, text, strlen(text));
}

static void put_line(struct writing *w, const char *name, const char *value)
{
    put(w, name);
    put(w, ": ");
    put(w, value);
    put(w, "\r\n");
}

static void put_date(struct writing *w, const char *name, struct slice value)
{
    char text[DATE_SIZE];
    int64_t t = w->p->now;

    if (value.len)
        (void)date_read(value.data, value.len, &t, NULL);
    date_write(t, text);
    put_line(w, name, text);
}

static int put_id(void *arg, const uint8_t *id, size_t len)
{
    struct writing *w = arg;
    char text[MESSAGE_ID_MAX], plain[MESSAGE_ID_MAX];
    size_t n = message_id_text(id, len, text);

    if (n < 3 || n >= MESSAGE_ID_MAX)
        return 0;
    text[n - 1] = '\0'; /* ">" */
    put(w, w->ids++ ? "\r\n <" : "<");
    put(w, pseudonym_open(w->p->key, w->p->own_domain, text + 1, plain, sizeof(plain)) == OK ? plain : text + 1);
    put(w, ">");
    return w->ids >= IDS_MAX;
}

struct search {
    const struct writing *w;
    bool found;
};

static int look_for_pseudonym(void *arg, const uint8_t *id, size_t len)
{
    struct search *s = arg;
    char text[MESSAGE_ID_MAX], plain[MESSAGE_ID_MAX];
    size_t n = message_id_text(id, len, text);

    if (n < 3 || n >= MESSAGE_ID_MAX)
        return 0;
    text[n - 1] = '\0';
    s->found = pseudonym_open(s->w->p->key, s->w->p->own_domain, text + 1, plain, sizeof(plain)) == OK;
    return s->found;
}

/* As it is, unless something in it is to be turned back. */
static void put_thread(struct writing *w, const struct header_field *f)
{
    struct slice value = header_field_value(w->h->s, f);
    struct search s = {.w = w};

    message_id_each(value.data, value.len, look_for_pseudonym, &s);
    if (!s.found) {
        pack_raw(&w->out, w->h->s + f->offset, f->len);
        return;
    }
    pack_raw(&w->out, w->h->s + f->offset, f->name_len);
    put(w, ": ");
    w->ids = 0;
    message_id_each(value.data, value.len, put_id, w);
    put(w, "\r\n");
}

/* Of several the first counts (RFC 5322 section 3.6: there is one at most). */
static void put_own_id(struct writing *w, const struct header_field *f)
{
    if (w->identified)
        return;
    w->identified = true;
    if (w->p->id)
        put_line(w, "Message-ID", w->p->id);
    else
        put_thread(w, f);
}

static void put_field(struct writing *w, const struct header_field *f)
{
    const struct rule *r = rule_of(w->h->s, f);
    const bool own_date = r && r->action == DATED && header_field_is(w->h->s, f, "Date");

    if (!r) {
        pack_raw(&w->out, w->h->s + f->offset, f->len);
        return;
    }
    switch (r->action) {
    case REMOVED: break;
    case DATED:
        if (!own_date || !w->dated)
            put_date(w, own_date ? "Date" : "Resent-Date", header_field_value(w->h->s, f));
        w->dated |= own_date;
        break;
    case IDENTIFIED: put_own_id(w, f); break;
    case THREADED: put_thread(w, f); break;
    case REPLACED:
        if (w->p->more.len == 0)
            pack_raw(&w->out, w->h->s + f->offset, f->len);
        break;
    }
}

size_t submission_clean_max(const struct clean_header *h, const struct clean_params *p)
{
    /* A date may become longer, up to DATE_SIZE; a pseudonym is longer than what it stands for. */
    return h->len + h->n * 2 * DATE_SIZE + NEW_FIELDS_MAX + p->more.len;
}

size_t submission_clean(const struct clean_header *h, const struct clean_params *p, uint8_t *out)
{
    struct writing w = {.h = h, .p = p};

    pack_init(&w.out, out, submission_clean_max(h, p));
    for (size_t i = 0; i < h->n; i++)
        put_field(&w, &h->fields[i]);
    if (w.out.len > 0 && out[w.out.len - 1] != '\n') /* a mail that ends in its header */
        put(&w, "\r\n");
    if (!w.dated)
        put_date(&w, "Date", (struct slice){0}); /* RFC 6409 section 8.1 */
    if (!w.identified && p->id)
        put_line(&w, "Message-ID", p->id); /* section 8.2 */
    pack_raw(&w.out, p->more.data, p->more.len);
    if (h->empty_line)
        put(&w, "\r\n");
    return w.out.len;
}
