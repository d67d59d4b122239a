/* What arguments and answers of several commands have in common: mailbox names, their uses, flags. */
#include <string.h>

#include "server/access/imap/args.h"
#include "server/proto/imap_out.h"

const struct imap_use_name imap_use_names[] = {
    {"\\Drafts", USE_DRAFTS}, {"\\Sent", USE_SENT},       {"\\Junk", USE_JUNK},
    {"\\Trash", USE_TRASH},   {"\\Archive", USE_ARCHIVE}, {NULL, 0},
};

/* RFC 3501 section 5.1.3: outside of modified UTF-7 a name has printable ASCII alone. */
int imap_arg_utf7(struct slice s, char out[MAILBOX_NAME_MAX])
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < 0x20 || s.data[i] > 0x7e)
            return ERR_FORMAT;
    int err = imap_utf7_decode(s, out, MAILBOX_NAME_MAX);
    return err == ERR_FORMAT ? ERR_UNSUPPORTED : err;
}

int imap_arg_mailbox(const struct imap_node *n, char out[MAILBOX_NAME_MAX])
{
    if (!imap_is_astring(n))
        return ERR_FORMAT;
    int err = imap_arg_utf7(n->text, out);
    if (err)
        return err;
    if (strncasecmp(out, "INBOX", 5) == 0 && (out[5] == 0 || out[5] == '/')) /* RFC 3501 section 5.1 */
        memcpy(out, "INBOX", 5);
    return OK;
}

int imap_put_mailbox(struct buf *out, const char *utf8)
{
    char wire[MAILBOX_NAME_MAX * 4];
    int err = imap_utf7_encode(utf8, wire, sizeof(wire));
    return err ? err : imap_out_astring(out, slice_str(wire));
}

size_t imap_arg_count(const struct imap_node *n)
{
    size_t count = 0;
    for (; n; n = n->next)
        count++;
    return count;
}

static int put_flag(struct buf *out, bool *first, const char *text)
{
    int err = *first ? OK : buf_append(out, " ", 1);
    *first = false;
    return err ? err : buf_puts(out, text);
}

int imap_put_flags(struct buf *out, const struct schema_entry *e, const struct schema_keywords *keywords)
{
    const char *text;
    bool first = true;
    int err = buf_puts(out, "(");
    for (unsigned i = 0; !err && (text = imap_flag_name(i)); i++)
        if (!e || e->flags >> i & 1)
            err = put_flag(out, &first, text);
    for (unsigned i = 0; !err && i < keywords->n; i++)
        if (keywords->v[i].text[0] && (!e || schema_keyset_has(&e->keywords, i)))
            err = put_flag(out, &first, keywords->v[i].text);
    return err ? err : buf_puts(out, ")");
}

static unsigned keywords_used(const struct schema_keywords *keywords)
{
    unsigned n = 0;
    for (unsigned i = 0; i < keywords->n; i++)
        n += keywords->v[i].text[0] != 0;
    return n;
}

/* FNV-1a, 32 bits, over the names in their order */
uint32_t imap_keywords_digest(const struct schema_keywords *keywords)
{
    uint32_t h = 2166136261;
    for (unsigned i = 0; i < keywords->n; i++) {
        for (const char *p = keywords->v[i].text; *p; p++)
            h = (h ^ (uint8_t)*p) * 16777619;
        h = (h ^ ' ') * 16777619;
    }
    return h;
}

/* PERMANENTFLAGS' \* : keywords may be made while there is room for them (RFC 3501 section 7.1). */
int imap_put_flag_lines(struct buf *out, const struct schema_keywords *keywords, bool readonly)
{
    int err = buf_puts(out, "* FLAGS ");
    if (!err)
        err = imap_put_flags(out, NULL, keywords);
    if (!err)
        err = buf_puts(out, "\r\n* OK [PERMANENTFLAGS ");
    if (!err && readonly)
        return buf_puts(out, "()] Read-only\r\n");
    if (!err)
        err = imap_put_flags(out, NULL, keywords);
    if (!err && keywords_used(keywords) < KEYWORDS_MAX) {
        out->len--; /* the ")" */
        err = buf_puts(out, " \\*)");
    }
    return err ? err : buf_puts(out, "] Kept\r\n");
}
