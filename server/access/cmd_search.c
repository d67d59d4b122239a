/* SEARCH and UID SEARCH: a bounded piece of the mailbox a turn; then the numbers, streamed. */
#include <stdlib.h>
#include <string.h>

#include "server/access/access.h"
#include "server/proto/imap_search.h"

/* Messages a turn for a search of a few keys; more keys, fewer messages. */
enum { TURN_ENTRIES = 16384, ENTRY_KEYS = 8, TURN_OUTERS = 1024, OUTER_KEYS = 2 };

struct search {
    struct job *j;
    struct imap_search *root;
    unsigned needs;
    uint32_t a_turn;             /* messages looked at in one */
    uint32_t pos;                /* next UID to look at */
    uint32_t left;               /* in this turn */
    bool looked, named;
    uint32_t *found;             /* malloc'd; sequence numbers or UIDs */
    size_t n, begun_n, cap, told;
    int err;
};

static struct schema_mailbox_name name_space;
static uint8_t outer_space[SCHEMA_OUTER_MAX];

static void release(struct job *j)
{
    struct search *q = j->data;
    free(q->found);
    q->found = NULL;
    q->n = q->cap = 0;
}

static int found(struct search *q, uint32_t v)
{
    if (q->n == q->cap) {
        size_t cap = q->cap ? q->cap * 2 : 64;
        uint32_t *p = realloc(q->found, cap * sizeof *p);
        if (!p)
            return ERR_MEMORY;
        q->found = p;
        q->cap = cap;
    }
    q->found[q->n++] = v;
    return OK;
}

static bool has_keyword(void *arg, uint64_t flags, const char *name)
{
    const struct schema_mailbox_name *n = arg;
    for (unsigned i = 0; i < n->nkeywords; i++)
        if (flags & FLAG_KEYWORD(i) && strcasecmp(n->keywords[i], name) == 0)
            return true;
    return false;
}

static int look_at(struct search *q, uint32_t uid, const struct schema_entry *e)
{
    struct session *s = q->j->s;
    struct imap_search_message m = {.uid = uid,
                                    .seq = map_seq(s->sel->map, uid),
                                    .keyword = has_keyword,
                                    .arg = &name_space};
    if (!m.seq)
        return OK;
    if (e) {
        m.flags = e->flags;
        m.size = e->size;
        m.internaldate = e->internaldate;
    }
    if (q->needs & SEARCH_NEEDS_OUTER) {
        struct schema_message record;
        int err = view_message(s->a->view, s->account, e->message, &record, outer_space);
        if (err)
            return err == ERR_NOT_FOUND ? OK : err;
        m.outer = record.outer;
    }
    return imap_search_match(q->root, &m) ? found(q, q->j->in->uid ? uid : m.seq) : OK;
}

static int entry(void *arg, uint32_t uid, const struct schema_entry *e)
{
    struct search *q = arg;
    q->err = look_at(q, uid, e);
    q->pos = uid + 1;
    return q->err || --q->left == 0;
}

static int turn(void *arg)
{
    struct search *q = arg;
    struct session *s = q->j->s;
    uint32_t last = map_last(s->sel->map), begun = q->pos;
    q->n = q->begun_n;
    q->err = OK;
    q->left = q->a_turn;
    int err =
        schema_get_mailbox_name(view_txn(s->a->view), view_keys(s->a->view), s->account, s->sel->mailbox, &name_space);
    if (!err && begun <= last && begun)
        err = view_entries_each(s->a->view, s->account, s->sel->mailbox, begun, last, entry, q);
    if (err == 1)
        return q->err;
    if (!err)
        q->looked = true;
    return err;
}

/* Without a look into the store: the map says it all. */
static int look_at_map(struct search *q)
{
    int err = OK;
    uint32_t uid = q->pos, left = q->a_turn;
    while (!err && left && uid && (uid = map_from(q->j->s->sel->map, uid)) != 0) {
        err = look_at(q, uid++, NULL); /* 0 after the last UID there can be */
        left--;
    }
    q->pos = uid;
    q->looked = uid == 0;
    return err;
}

/* UNSEEN, DELETED and their opposites are in the block bitmaps. */
static int look_at_blocks(struct search *q, unsigned flag, bool on)
{
    struct session *s = q->j->s;
    struct imap_range all = {1, UINT32_MAX};
    struct imap_set every = {&all, 1}, set;
    int err = set_flagged(s, &every, flag, on, &set);
    if (err)
        return err;
    for (size_t i = 0; !err && i < set.n; i++)
        for (uint64_t uid = set.r[i].first; !err && uid <= set.r[i].last; uid++)
            err = found(q, q->j->in->uid ? (uint32_t)uid : map_seq(s->sel->map, (uint32_t)uid));
    free(set.r);
    q->looked = true;
    return err;
}

static void tell(struct search *q)
{
    struct session *s = q->j->s;
    struct buf *out = staging(s->a);
    int err = q->named ? OK : buf_puts(out, "* SEARCH");
    q->named = true;
    while (!err && q->told < q->n && out->len < TURN_BYTES)
        err = buf_printf(out, " %u", q->found[q->told++]);
    if (!err && q->told == q->n)
        err = buf_puts(out, "\r\n");
    if (err || staging_send(s)) {
        session_bye(s, "[UNAVAILABLE] Out of memory");
        return;
    }
    if (q->told == q->n)
        job_done(q->j, "OK Done");
    else if (conn_out_len(s->conn) <= OUT_LOW)
        job_again(q->j);
}

static void step(struct job *j)
{
    struct search *q = j->data;
    if (q->looked) {
        tell(q);
        return;
    }
    uint32_t pos = q->pos;
    q->begun_n = q->n;
    int err = OK;
    if (q->needs) {
        for (unsigned i = 0; i < 5; i++) {
            q->pos = pos;
            q->looked = false;
            if ((err = view_begin(j->s->a->view)) != OK)
                break;
            int r = turn(q);
            err = view_end(j->s->a->view);
            if (err != ERR_STATE) {
                err = err ? err : r;
                break;
            }
        }
    } else {
        err = look_at_map(q);
    }
    if (err)
        job_error(j, err == ERR_STATE ? ERR_TIMEOUT : err);
    else
        job_again(j);
}

void cmd_search(struct job *j)
{
    struct session *s = j->s;
    struct search *q = job_alloc(j, sizeof *q);
    if (!q)
        return;
    q->j = j;
    q->pos = 1;
    int err = imap_search_parse(session_arena(s), j->in->args, &q->root);
    if (err == ERR_UNSUPPORTED) {
        job_done(j, "NO [BADCHARSET (US-ASCII UTF-8)] No such charset");
        return;
    }
    if (!err)
        err = session_map(s);
    if (!err)
        err = imap_search_resolve(q->root, map_count(s->sel->map), map_last(s->sel->map));
    if (err == ERR_FORMAT) {
        job_bad(j, "Not a search");
        return;
    }
    if (err) {
        job_error(j, err);
        return;
    }
    unsigned keys = imap_search_keys(q->root);
    uint64_t flag;
    bool on;
    q->needs = imap_search_needs(q->root);
    q->a_turn = q->needs & SEARCH_NEEDS_OUTER ? TURN_OUTERS * OUTER_KEYS / (keys > OUTER_KEYS ? keys : OUTER_KEYS)
                                              : TURN_ENTRIES * ENTRY_KEYS / (keys > ENTRY_KEYS ? keys : ENTRY_KEYS);
    q->a_turn += q->a_turn == 0;
    j->data = q;
    j->release = release;
    j->step = step;
    if (imap_search_is_flag(q->root, &flag, &on) && (flag == IMAP_SEEN || flag == IMAP_DELETED) &&
        (err = look_at_blocks(q, (unsigned)flag, on)) != OK)
        job_error(j, err);
    else
        step(j);
}
