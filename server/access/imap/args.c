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

int imap_put_flags(struct buf *out, uint64_t flags, const struct schema_mailbox_name *name)
{
    const char *text;
    const char *sep = "(";
    int err = OK;
    for (unsigned i = 0; !err && (text = imap_flag_name(i)); i++) {
        if (flags >> i & 1) {
            err = buf_printf(out, "%s%s", sep, text);
            sep = " ";
        }
    }
    for (unsigned i = 0; !err && name && i < name->nkeywords; i++) {
        if (flags & FLAG_KEYWORD(i)) {
            err = buf_printf(out, "%s%s", sep, name->keywords[i]);
            sep = " ";
        }
    }
    return err ? err : buf_puts(out, *sep == '(' ? "()" : ")");
}

/* PERMANENTFLAGS' \* : keywords may be made while there is room for them (RFC 3501 section 7.1). */
int imap_put_flag_lines(struct buf *out, const struct schema_mailbox_name *name, bool readonly)
{
    uint64_t all = ~UINT64_C(0);
    int err = buf_puts(out, "* FLAGS ");
    if (!err)
        err = imap_put_flags(out, all, name);
    if (!err)
        err = buf_puts(out, "\r\n* OK [PERMANENTFLAGS ");
    if (!err && readonly)
        return buf_puts(out, "()] Read-only\r\n");
    if (!err)
        err = imap_put_flags(out, all, name);
    if (!err && name->nkeywords < KEYWORDS_MAX) {
        out->len--; /* the ")" */
        err = buf_puts(out, " \\*)");
    }
    return err ? err : buf_puts(out, "] Kept\r\n");
}
