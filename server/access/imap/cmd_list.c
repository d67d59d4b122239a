/* LIST (RFC 3501 section 6.3.8; LIST-EXTENDED: RFC 5258; SPECIAL-USE: RFC 6154 section 2; STATUS: RFC 5819 section 2)
 * and LSUB (RFC 3501 section 6.3.9). Matching goes in pieces. The tree is not kept while the client reads: it is read
 * anew when there is more to tell. Of an account one tree is in memory at a time. */
#include <string.h>

#include "server/access/imap/args.h"
#include "server/access/imap/boxes.h"
#include "server/access/imap/commands.h"
#include "server/access/imap/status.h"

enum { PATTERNS_MAX = 16, PATTERN_OCTETS_MAX = 1024 /* of all of them: each is matched with every name */ };
enum { SELECT_SUBSCRIBED = 1, SELECT_SPECIAL_USE = 2, SELECT_RECURSIVE = 4, RETURN_SUBSCRIBED = 8, RETURN_STATUS = 16 };
enum { SELECTS = SELECT_SUBSCRIBED | SELECT_SPECIAL_USE /* those that RECURSIVEMATCH goes with */ };

struct list {
    struct imap_job *j;
    bool lsub, extended;
    unsigned options, status;
    unsigned npatterns;
    size_t pattern_octets;
    char *patterns[PATTERNS_MAX];
    struct imap_boxes boxes;
    size_t at;                   /* the next box to be matched, then to be told */
    bool matched;                /* all of them are */
    char told[MAILBOX_NAME_MAX]; /* the last one; "": none */
};

static int read_boxes(void *arg, struct view *v)
{
    struct list *l = arg;
    return imap_boxes_read(&l->boxes, v, l->j->s->account, l->options & (SELECT_SUBSCRIBED | RETURN_SUBSCRIBED));
}

/* The criteria of the selection options, but for the name. Names without a mailbox are there to be found by
 * SUBSCRIBED. */
static bool selected(const struct list *l, const struct imap_box *b)
{
    return (b->exists || l->options & SELECT_SUBSCRIBED) && (b->subscribed || !(l->options & SELECT_SUBSCRIBED)) &&
           (b->use || !(l->options & SELECT_SPECIAL_USE));
}

static bool matches(const struct list *l, const char *name)
{
    for (unsigned i = 0; i < l->npatterns; i++)
        if (imap_list_match(l->patterns[i], name))
            return true;
    return false;
}

/* RECURSIVEMATCH: what meets the criteria is told of above it, and whether it is listed itself (RFC 5258 section
 * 3.5). */
static void mark_parents(struct list *l)
{
    struct imap_box *all = l->boxes.v;
    for (size_t i = 0; i < l->boxes.n; i++) {
        if (!selected(l, &all[i]))
            continue;
        for (int p = all[i].parent; p >= 0; p = all[p].parent) {
            all[p].selected_below = true;
            all[p].unlisted_below = all[p].unlisted_below || !all[i].match;
        }
    }
}

/* A mailbox that does not meet the criteria itself is listed for one below it that is not (RFC 5258 section 3.5); by
 * LSUB, with "%" at a pattern's end alone (RFC 3501 section 6.3.9). */
static bool is_wanted(const struct list *l, const struct imap_box *b)
{
    if (!(l->options & SELECT_RECURSIVE))
        return selected(l, b) && b->match;
    if (!b->match || selected(l, b))
        return b->match;
    if (!l->lsub || !b->unlisted_below)
        return b->unlisted_below;
    const char *pattern = l->patterns[0];
    return pattern[0] && pattern[strlen(pattern) - 1] == '%';
}

/* RFC 3501 knows none of the newer attributes; \Noselect says there that the name itself is not subscribed to. */
static int put_attributes(const struct list *l, struct buf *out, const struct imap_box *b)
{
    int err = OK;
    if (!b->exists && !l->lsub)
        err = buf_puts(out, "\\NonExistent ");
    else if (l->lsub && !b->subscribed)
        err = buf_puts(out, "\\Noselect ");
    if (!err)
        err = buf_puts(out, b->children ? "\\HasChildren" : "\\HasNoChildren");
    /* The selection SUBSCRIBED implies the return option (RFC 5258 section 3.1). */
    if (!err && !l->lsub && b->subscribed && l->options & (SELECT_SUBSCRIBED | RETURN_SUBSCRIBED))
        err = buf_puts(out, " \\Subscribed");
    for (const struct imap_use_name *u = imap_use_names; !err && !l->lsub && u->name; u++)
        if (b->use & u->use)
            err = buf_printf(out, " %s", u->name);
    return err;
}

/* childinfo-extended-item (RFC 5258 section 6): the criteria that something below it meets */
static int put_childinfo(const struct list *l, struct buf *out)
{
    static const char *const items[] = {"", "\"SUBSCRIBED\"", "\"SPECIAL-USE\"", "\"SUBSCRIBED\" \"SPECIAL-USE\""};
    return buf_printf(out, " (\"CHILDINFO\" (%s))", items[l->options & SELECTS]);
}

static int put_box(struct list *l, struct buf *out, const struct imap_box *b)
{
    int err = buf_printf(out, "* %s (", l->lsub ? "LSUB" : "LIST");
    if (!err)
        err = put_attributes(l, out, b);
    if (!err)
        err = buf_puts(out, ") \"/\" ");
    if (!err)
        err = imap_put_mailbox(out, b->name);
    if (!err && b->selected_below && !l->lsub)
        err = put_childinfo(l, out);
    if (!err)
        err = buf_puts(out, "\r\n");
    if (!err && l->options & RETURN_STATUS && b->exists)
        err = imap_put_status(out, b->name, &b->box, l->status);
    return err;
}

static void release(struct imap_job *j)
{
    imap_boxes_free(&((struct list *)j->data)->boxes);
}

/* Whether another session of the account has its tree in memory. It has work to do, so it does not last. */
static bool others_list(const struct list *l)
{
    const struct imap_session *s = l->j->s;
    const struct imap_session *o = s->a->by_account[s->account % IMAP_ACCOUNT_BUCKETS];
    for (; o; o = o->acc_next)
        if (o != s && o->account == s->account && o->job && o->job->release == release &&
            ((const struct list *)o->job->data)->boxes.v)
            return true;
    return false;
}

static int read_tree(struct list *l)
{
    struct access *a = l->j->s->a;
    int err = view_run(a->view, read_boxes, l);
    if (!err)
        err = imap_boxes_arrange(&l->boxes);
    l->at = 0;
    l->matched = false;
    (void)imap_turn_spend(a, (uint32_t)l->boxes.n * IMAP_WORK_NAME);
    return err;
}

/* Each pattern is tried octet by octet on each name. false: the rest in another turn. */
static bool match_all(struct list *l)
{
    struct imap_box *all = l->boxes.v;
    for (; l->at < l->boxes.n && imap_turn_left(l->j->s->a); l->at++) {
        all[l->at].match = matches(l, all[l->at].name);
        (void)imap_turn_spend(l->j->s->a, (uint32_t)(1 + l->pattern_octets * strlen(all[l->at].name) / 256));
    }
    if (l->at < l->boxes.n)
        return false;
    if (l->options & SELECT_RECURSIVE)
        mark_parents(l);
    for (l->at = 0; l->told[0] && l->at < l->boxes.n && imap_boxes_order(all[l->at].name, l->told) <= 0;)
        l->at++;
    return l->matched = true;
}

static int tell(struct list *l)
{
    struct access *a = l->j->s->a;
    struct buf *out = imap_staging(a);
    int err = OK;
    for (; !err && l->at < l->boxes.n && out->len < IMAP_TURN_BYTES; l->at++)
        if (is_wanted(l, &l->boxes.v[l->at])) {
            err = put_box(l, out, &l->boxes.v[l->at]);
            strcpy(l->told, l->boxes.v[l->at].name);
        }
    return err ? err : imap_staging_send(l->j->s);
}

static void step(struct imap_job *j)
{
    struct list *l = j->data;
    int err = OK;
    if (!l->boxes.v && conn_out_len(j->s->conn) > IMAP_OUT_LOW)
        return; /* it goes on when that has drained, and not with a tree in memory */
    if (!l->boxes.v && others_list(l)) {
        imap_job_again(j);
        return;
    }
    if (!l->boxes.v)
        err = read_tree(l);
    if (!err && !l->matched && !match_all(l)) {
        imap_job_again(j);
        return;
    }
    if (!err)
        err = tell(l);
    bool told = l->at == l->boxes.n;
    imap_boxes_free(&l->boxes);
    if (err)
        imap_job_error(j, err);
    else if (told)
        imap_job_done(j, "OK Done");
    else if (conn_out_len(j->s->conn) <= IMAP_OUT_LOW)
        imap_job_again(j); /* else when output has drained */
}

/* reference and pattern make one pattern (RFC 3501 section 6.3.8). What is no modified UTF-7 is no mailbox's name, and
 * matches none. */
static int add_pattern(struct list *l, const char *reference, const struct imap_node *n)
{
    char text[MAILBOX_NAME_MAX];
    if (!n || n->type == IMAP_LIST || n->glued || l->npatterns == PATTERNS_MAX)
        return ERR_FORMAT;
    int err = imap_arg_utf7(n->text, text);
    if (err == ERR_UNSUPPORTED || (!err && !reference))
        return OK;
    if (err)
        return err;
    size_t a = strlen(reference), b = strlen(text);
    if ((l->pattern_octets += a + b) > PATTERN_OCTETS_MAX)
        return ERR_LIMIT;
    char *p = imap_job_alloc(l->j, a + b + 1);
    if (!p)
        return ERR_LIMIT;
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
    {"RECURSIVEMATCH", true, SELECT_RECURSIVE},
    /* Return (RFC 5258 section 3.2, RFC 6154 section 2, RFC 5819 section 2). CHILDREN and SPECIAL-USE are told
     * always. */
    {"SUBSCRIBED", false, RETURN_SUBSCRIBED},
    {"CHILDREN", false, 0},
    {"SPECIAL-USE", false, 0},
    {"STATUS", false, RETURN_STATUS},
};

static int parse_options(struct list *l, const struct imap_node *n, bool select)
{
    l->extended = true;
    for (; n; n = n->next) {
        size_t i = 0;
        while (i < sizeof(options) / sizeof(*options) &&
               !(n->type == IMAP_ATOM && options[i].select == select && imap_word_is(n->text, options[i].word)))
            i++;
        if (i == sizeof(options) / sizeof(*options)) /* RFC 5258 section 3: BAD */
            return ERR_FORMAT;
        l->options |= options[i].bit;
        if (options[i].bit == RETURN_STATUS) {
            n = n->next;
            if (!n || imap_status_items(n, &l->status))
                return ERR_FORMAT;
        }
    }
    /* RECURSIVEMATCH alone, or with REMOTE alone: BAD (RFC 5258 section 3.1) */
    return l->options & SELECT_RECURSIVE && !(l->options & SELECTS) ? ERR_FORMAT : OK;
}

static int parse_patterns(struct list *l, const char *reference, const struct imap_node *n)
{
    if (n->type != IMAP_LIST)
        return add_pattern(l, reference, n);
    int err = n->child ? OK : ERR_FORMAT;
    l->extended = true;
    for (const struct imap_node *p = n->child; !err && p; p = p->next)
        err = add_pattern(l, reference, p);
    return err;
}

/* [SP "(" options ")"] SP reference SP (pattern / "(" patterns ")") [SP "RETURN" SP "(" options ")"] (RFC 5258 section
 * 6) */
static int parse(struct list *l, const struct imap_node *n)
{
    char reference[MAILBOX_NAME_MAX];
    int err = OK;
    if (n && n->type == IMAP_LIST) {
        err = parse_options(l, n->child, true);
        n = n->next;
    }
    if (!err)
        err = imap_is_astring(n) && n->next ? imap_arg_utf7(n->text, reference) : ERR_FORMAT;
    if (err && err != ERR_UNSUPPORTED)
        return err;
    n = n->next;
    err = parse_patterns(l, err ? NULL : reference, n);
    if (err || !(n = n->next))
        return err;
    if (n->type != IMAP_ATOM || !imap_word_is(n->text, "RETURN") || !n->next || n->next->type != IMAP_LIST ||
        n->next->next)
        return ERR_FORMAT;
    return parse_options(l, n->next->child, false);
}

static void list(struct imap_job *j, bool lsub)
{
    struct list *l = imap_job_alloc(j, sizeof(*l));
    if (!l)
        return;
    l->j = j;
    l->lsub = lsub;
    int err = parse(l, j->in->args);
    if (!err && lsub && l->extended)
        err = ERR_FORMAT;
    if (err) {
        imap_job_arg_error(j, err, "Syntax error");
        return;
    }
    if (lsub)
        l->options = SELECT_SUBSCRIBED | SELECT_RECURSIVE;
    /* LIST "" "" asks for the delimiter (RFC 3501 section 6.3.8); extended, it does not (RFC 5258 section 3). */
    if (l->npatterns == 1 && l->patterns[0][0] == 0 && !lsub && !l->extended) {
        imap_session_printf(j->s, "* LIST (\\Noselect) \"/\" \"\"\r\n");
        imap_job_done(j, "OK Done");
        return;
    }
    j->data = l;
    j->release = release;
    j->step = step;
    step(j);
}

void imap_cmd_list(struct imap_job *j)
{
    list(j, false);
}

void imap_cmd_lsub(struct imap_job *j)
{
    list(j, true);
}
