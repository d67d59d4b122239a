/* LIST (RFC 3501 section 6.3.8; RFC 5258 section 3; SPECIAL-USE: RFC 6154 section 2; STATUS: RFC 5819 section 2) and
 * LSUB (RFC 3501 section 6.3.9). */
#include <stdlib.h>
#include <string.h>

#include "server/access/imap/args.h"
#include "server/access/imap/commands.h"
#include "server/access/imap/status.h"

enum { PATTERNS_MAX = 16, PATTERN_OCTETS_MAX = 1024 /* of all of them: each is matched with every name */ };
enum {
    SELECT_SUBSCRIBED = 1,
    SELECT_SPECIAL_USE = 2,
    RETURN_SUBSCRIBED = 4,
    RETURN_CHILDREN = 8,
    RETURN_SPECIAL_USE = 16,
    RETURN_STATUS = 32
};

struct box {
    char *name;
    uint8_t use, subscribed;
    bool children;
    struct schema_mailbox box;
};
struct list {
    struct imap_job *j;
    const char *word; /* LIST or LSUB */
    unsigned options, status;
    unsigned npatterns;
    size_t pattern_octets;
    char *patterns[PATTERNS_MAX];
    struct box *boxes; /* in malloc'd memory: there may be thousands */
    size_t n, cap;
};

static void list_free(struct list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->boxes[i].name);
    free(l->boxes);
    l->boxes = NULL;
    l->n = l->cap = 0;
}

static int add(void *arg, const struct schema_mailbox_name *name, const struct schema_mailbox *box)
{
    struct list *l = arg;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 32;
        struct box *p = realloc(l->boxes, cap * sizeof(*p));
        if (!p)
            return ERR_MEMORY;
        l->boxes = p;
        l->cap = cap;
    }
    char *copy = strdup(name->name);
    if (!copy)
        return ERR_MEMORY;
    l->boxes[l->n++] = (struct box){copy, name->use, name->subscribed, false, *box};
    return OK;
}

static int read_boxes(void *arg, struct view *v)
{
    struct list *l = arg;
    list_free(l);
    return view_mailboxes_each(v, l->j->s->account, add, l);
}

/* INBOX first, then by name; "/" sorts below everything, so that children follow their parent. */
static int by_name(const void *x, const void *y)
{
    const char *a = ((const struct box *)x)->name, *b = ((const struct box *)y)->name;
    bool ia = strcmp(a, "INBOX") == 0, ib = strcmp(b, "INBOX") == 0;
    if (ia != ib)
        return ia ? -1 : 1;
    for (; *a && *a == *b; a++, b++)
        ;
    int ca = *a == '/' ? 1 : (unsigned char)*a, cb = *b == '/' ? 1 : (unsigned char)*b;
    return ca - cb;
}

static bool is_child(const char *parent, const char *name)
{
    size_t n = strlen(parent);
    return strncmp(parent, name, n) == 0 && name[n] == '/';
}

static void mark_children(struct list *l)
{
    if (l->n)
        qsort(l->boxes, l->n, sizeof(*l->boxes), by_name);
    for (size_t i = 0; i < l->n; i++) {
        if (i + 1 < l->n && is_child(l->boxes[i].name, l->boxes[i + 1].name))
            l->boxes[i].children = true;
        if (strcmp(l->boxes[i].name, "INBOX") == 0) /* its children need not follow it */
            for (size_t k = 0; k < l->n; k++)
                l->boxes[i].children = l->boxes[i].children || is_child("INBOX", l->boxes[k].name);
    }
}

static bool wanted(const struct list *l, const struct box *b)
{
    if ((l->options & SELECT_SUBSCRIBED && !b->subscribed) || (l->options & SELECT_SPECIAL_USE && !b->use))
        return false;
    for (unsigned i = 0; i < l->npatterns; i++)
        if (imap_list_match(l->patterns[i], b->name))
            return true;
    return false;
}

static int put_box(struct list *l, struct buf *out, const struct box *b)
{
    bool lsub = l->word[1] == 'S'; /* RFC 3501 knows none of the newer attributes */
    int err = buf_printf(out, "* %s (%s", l->word, b->children ? "\\HasChildren" : "\\HasNoChildren");
    /* The selection SUBSCRIBED implies the return option (RFC 5258 section 3.1). */
    if (!err && !lsub && b->subscribed && l->options & (SELECT_SUBSCRIBED | RETURN_SUBSCRIBED))
        err = buf_puts(out, " \\Subscribed");
    for (const struct imap_use_name *u = imap_use_names; !err && !lsub && u->name; u++)
        if (b->use & u->use)
            err = buf_printf(out, " %s", u->name);
    if (!err)
        err = buf_puts(out, ") \"/\" ");
    if (!err)
        err = imap_put_mailbox(out, b->name);
    if (!err)
        err = buf_puts(out, "\r\n");
    if (!err && l->options & RETURN_STATUS)
        err = imap_put_status(out, b->name, &b->box, l->status);
    return err;
}

static void answer(struct list *l)
{
    struct imap_job *j = l->j;
    int err = view_run(j->s->a->view, read_boxes, l);
    struct buf *out = imap_staging(j->s->a);
    mark_children(l);
    for (size_t i = 0; !err && i < l->n; i++)
        if (wanted(l, &l->boxes[i]))
            err = put_box(l, out, &l->boxes[i]);
    list_free(l);
    if (!err)
        err = imap_staging_send(j->s);
    if (err)
        imap_job_error(j, err);
    else
        imap_job_done(j, "OK Done");
}

/* reference and pattern make one pattern (RFC 3501 section 6.3.8) */
static int add_pattern(struct list *l, const char *reference, const struct imap_node *n)
{
    char text[MAILBOX_NAME_MAX];
    if (!n || n->type == IMAP_LIST || n->glued || l->npatterns == PATTERNS_MAX)
        return ERR_FORMAT;
    int err = imap_utf7_decode(n->text, text, sizeof(text));
    size_t a = strlen(reference), b = strlen(text);
    if (!err && (l->pattern_octets += a + b) > PATTERN_OCTETS_MAX)
        err = ERR_LIMIT;
    char *p = err ? NULL : imap_job_alloc(l->j, a + b + 1);
    if (err || !p)
        return ERR_FORMAT;
    memcpy(p, reference, a);
    memcpy(p + a, text, b);
    l->patterns[l->npatterns++] = p;
    return OK;
}

static const struct {
    const char *word;
    bool select;
    unsigned bit;
} options[] = {
    /* Selection (RFC 5258 section 3.1, RFC 6154 section 2). No mailbox is remote. */
    {"SUBSCRIBED", true, SELECT_SUBSCRIBED},
    {"SPECIAL-USE", true, SELECT_SPECIAL_USE},
    {"REMOTE", true, 0},
    {"RECURSIVEMATCH", true, 0},
    /* Return (RFC 5258 section 3.2, RFC 6154 section 2, RFC 5819 section 2). */
    {"SUBSCRIBED", false, RETURN_SUBSCRIBED},
    {"CHILDREN", false, RETURN_CHILDREN},
    {"SPECIAL-USE", false, RETURN_SPECIAL_USE},
    {"STATUS", false, RETURN_STATUS},
};

static int parse_options(struct list *l, const struct imap_node *n, bool select)
{
    for (; n; n = n->next) {
        size_t i = 0;
        while (i < sizeof(options) / sizeof(*options) &&
               !(n->type == IMAP_ATOM && options[i].select == select && imap_word_is(n->text, options[i].word)))
            i++;
        if (i == sizeof(options) / sizeof(*options))
            return ERR_FORMAT;
        l->options |= options[i].bit;
        if (options[i].bit == RETURN_STATUS) {
            n = n->next;
            if (!n || imap_status_items(n, &l->status))
                return ERR_FORMAT;
        }
    }
    return OK;
}

/* [SP "(" options ")"] SP reference SP (pattern / "(" patterns ")") [SP "RETURN" SP "(" options ")"] (RFC 5258 section
 * 6) */
static int parse(struct list *l, const struct imap_node *n)
{
    char reference[MAILBOX_NAME_MAX];
    int err;
    if (n && n->type == IMAP_LIST) {
        if ((err = parse_options(l, n->child, true)) != OK)
            return err;
        n = n->next;
    }
    if (!imap_is_astring(n) || imap_utf7_decode(n->text, reference, sizeof(reference)) || !(n = n->next))
        return ERR_FORMAT;
    if (n->type == IMAP_LIST) {
        for (const struct imap_node *p = n->child; p; p = p->next)
            if ((err = add_pattern(l, reference, p)) != OK)
                return err;
        if (!n->child)
            return ERR_FORMAT;
    } else if ((err = add_pattern(l, reference, n)) != OK) {
        return err;
    }
    if (!(n = n->next))
        return OK;
    if (n->type != IMAP_ATOM || !imap_word_is(n->text, "RETURN") || !n->next || n->next->type != IMAP_LIST ||
        n->next->next)
        return ERR_FORMAT;
    return parse_options(l, n->next->child, false);
}

static void list(struct imap_job *j, const char *word, unsigned more)
{
    struct list *l = imap_job_alloc(j, sizeof(*l));
    if (!l)
        return;
    l->j = j;
    l->word = word;
    if (parse(l, j->in->args) || (more && (l->options || imap_arg_count(j->in->args) != 2))) {
        if (!j->done)
            imap_job_bad(j, "Syntax error");
        return;
    }
    l->options |= more;
    /* LIST "" "" asks for the delimiter (RFC 3501 section 6.3.8) */
    if (l->npatterns == 1 && l->patterns[0][0] == 0 && !more) {
        imap_session_printf(j->s, "* LIST (\\Noselect) \"/\" \"\"\r\n");
        imap_job_done(j, "OK Done");
        return;
    }
    answer(l);
}

void imap_cmd_list(struct imap_job *j)
{
    list(j, "LIST", 0);
}

void imap_cmd_lsub(struct imap_job *j)
{
    list(j, "LSUB", SELECT_SUBSCRIBED);
}
