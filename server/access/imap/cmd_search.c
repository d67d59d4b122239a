/* SEARCH (RFC 3501 section 6.4.4) and UID SEARCH (section 6.4.8): a bounded piece of the mailbox a turn; then the
 * numbers, streamed. */
#include <stdlib.h>
#include <string.h>

#include "server/access/imap/commands.h"
#include "server/access/imap/sets.h"
#include "server/proto/imap_search.h"

/* How many messages a search of a few keys looks at in one turn. With more keys it looks at fewer messages. */
enum { TURN_ENTRIES = 16384, ENTRY_KEYS = 8, TURN_RECORDS = 4096, TURN_OUTERS = 1024, OUTER_KEYS = 2 };

struct search {
    struct imap_job *j;
    struct imap_search *root;
    unsigned needs;
    uint32_t a_turn; /* messages looked at in one */
    uint32_t pos;    /* next UID to look at */
    uint32_t begun;  /* pos as this turn began */
    uint32_t left;   /* in this turn */
    bool looked, named;
    uint32_t *found; /* malloc'd; sequence numbers or UIDs */
    size_t n, begun_n, cap, told;
    int err;
};

static struct schema_keywords keywords_space;
static uint8_t outer_space[SCHEMA_OUTER_MAX];

static void release(struct imap_job *j)
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
        uint32_t *p = realloc(q->found, cap * sizeof(*p));
        if (!p)
            return ERR_MEMORY;
        q->found = p;
        q->cap = cap;
    }
    q->found[q->n++] = v;
    return OK;
}

static bool has_keyword(void *arg, const char *name)
{
    const struct schema_entry *e = arg;
    for (unsigned i = 0; i < keywords_space.n; i++)
        if (schema_keyset_has(&e->keywords, i) && strcasecmp(keywords_space.v[i].text, name) == 0)
            return true;
    return false;
}

static int look_at(struct search *q, uint32_t uid, const struct schema_entry *e)
{
    struct imap_session *s = q->j->s;
    struct imap_search_message m = {.uid = uid,
                                    .seq = imap_map_seq(s->sel->map, uid),
                                    .keyword = e ? has_keyword : NULL,
                                    .arg = (void *)e};
    if (!m.seq)
        return OK;
    if (e) {
        m.flags = e->flags;
        m.size = e->size;
        m.internaldate = e->internaldate;
    }
    struct schema_message record;
    if (q->needs & (SEARCH_NEEDS_OUTER | SEARCH_NEEDS_FPRS)) { /* the sealed header is opened only if it matters */
        int err = view_message(s->a->view, s->account, e->message, &record,
                               q->needs & SEARCH_NEEDS_OUTER ? outer_space : NULL);
        if (err)
            return err == ERR_NOT_FOUND ? OK : err;
        m.outer = record.outer;
        m.fprs = (const uint8_t(*)[20])record.fprs;
        m.nfprs = record.nfprs;
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

static int turn(void *arg, struct view *v)
{
    struct search *q = arg;
    struct imap_session *s = q->j->s;
    uint32_t last = imap_map_last(s->sel->map);
    q->pos = q->begun;
    q->n = q->begun_n;
    q->looked = false;
    q->err = OK;
    q->left = q->a_turn;
    int err = view_keywords(v, s->account, &keywords_space);
    if (!err && q->begun <= last && q->begun)
        err = view_entries_each(v, s->account, s->sel->mailbox, q->begun, last, entry, q);
    if (err == 1)
        return q->err;
    if (!err)
        q->looked = true;
    return err;
}

/* A search for numbers alone needs the map, not the store. */
static int look_at_map(struct search *q)
{
    int err = OK;
    uint32_t uid = q->pos, left = q->a_turn;
    while (!err && left && uid && (uid = imap_map_from(q->j->s->sel->map, uid)) != 0) {
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
    struct imap_session *s = q->j->s;
    struct imap_range all = {1, UINT32_MAX};
    struct imap_set every = {&all, 1}, set;
    int err = imap_set_flagged(s, &every, flag, on, &set);
    if (err)
        return err;
    for (size_t i = 0; !err && i < set.n; i++)
        for (uint64_t uid = set.r[i].first; !err && uid <= set.r[i].last; uid++)
            err = found(q, q->j->in->uid ? (uint32_t)uid : imap_map_seq(s->sel->map, (uint32_t)uid));
    free(set.r);
    q->looked = true;
    return err;
}

static void tell(struct search *q)
{
    struct imap_session *s = q->j->s;
    struct buf *out = imap_staging(s->a);
    int err = q->named ? OK : buf_puts(out, "* SEARCH");
    q->named = true;
    while (!err && q->told < q->n && out->len < IMAP_TURN_BYTES)
        err = buf_printf(out, " %u", q->found[q->told++]);
    if (!err && q->told == q->n)
        err = buf_puts(out, "\r\n");
    if (err || imap_staging_send(s)) {
        imap_session_bye(s, "[UNAVAILABLE] Out of memory");
        return;
    }
    if (q->told == q->n)
        imap_job_done(q->j, "OK Done");
    else if (conn_out_len(s->conn) <= IMAP_OUT_LOW)
        imap_job_again(q->j);
}

static void step(struct imap_job *j)
{
    struct search *q = j->data;
    if (q->looked) {
        tell(q);
        return;
    }
    q->begun = q->pos;
    q->begun_n = q->n;
    int err = q->needs ? view_run(j->s->a->view, turn, q) : look_at_map(q);
    if (err)
        imap_job_error(j, err);
    else
        imap_job_again(j);
}

static uint32_t turn_size(unsigned needs, unsigned keys)
{
    unsigned free_keys = needs & SEARCH_NEEDS_OUTER ? OUTER_KEYS : ENTRY_KEYS;
    uint32_t n = needs & SEARCH_NEEDS_OUTER ? TURN_OUTERS : needs & SEARCH_NEEDS_FPRS ? TURN_RECORDS : TURN_ENTRIES;
    n = keys > free_keys ? n * free_keys / keys : n;
    return n ? n : 1;
}

/* ---- X-LETTERLOCK-KEY: which encryption keys belong to the primary key that is named ---- */

enum { KEYS_MAX = 1024 };
struct keys {
    struct imap_session *s;
    size_t n;
    struct {
        uint8_t primary[PGP_FPR_MAX], primary_len, fpr[20];
    } v[KEYS_MAX];
};
static struct keys keys_space;

static int keys_add(struct keys *k, const struct pgp_verdict *v, const uint8_t *fpr)
{
    if (k->n == KEYS_MAX)
        return ERR_LIMIT;
    memcpy(k->v[k->n].primary, v->primary_fpr, sizeof(v->primary_fpr));
    k->v[k->n].primary_len = v->primary_fpr_len;
    memcpy(k->v[k->n++].fpr, fpr, sizeof(k->v->fpr));
    return OK;
}

static int keys_one(void *arg, const struct schema_key *key)
{
    int err = keys_add(arg, &key->verdict, key->verdict.enc_fpr);
    for (unsigned i = 0; !err && i < key->nformer; i++) /* mail from before a renewal is under a former key */
        err = keys_add(arg, &key->verdict, key->former[i].fpr);
    return err;
}

static int keys_load(void *arg, struct view *v)
{
    struct keys *k = arg;
    k->n = 0;
    return view_keys_each(v, k->s->account, keys_one, k);
}

static bool is_primary(struct slice text, const uint8_t *fpr, size_t len)
{
    if (text.len != 8)
        return text.len == len && memcmp(text.data, fpr, len) == 0;
    return memcmp(text.data, len == 20 ? fpr + 12 : fpr, 8) == 0; /* RFC 9580 sections 5.5.4.2, 5.5.4.3 */
}

static int keys_of(void *arg, struct imap_search *s)
{
    const struct keys *k = arg;
    size_t n = 0;
    for (size_t i = 0; i < k->n; i++)
        n += is_primary(s->text, k->v[i].primary, k->v[i].primary_len);
    uint8_t(*fprs)[20] = n ? arena_alloc(imap_session_arena(k->s), n * sizeof(*fprs)) : NULL;
    if (n && !fprs)
        return ERR_LIMIT;
    s->fprs = (const uint8_t(*)[20])fprs;
    for (size_t i = 0; i < k->n; i++)
        if (is_primary(s->text, k->v[i].primary, k->v[i].primary_len))
            memcpy(fprs[s->nfprs++], k->v[i].fpr, sizeof(*fprs));
    return OK;
}

static int resolve_keys(struct search *q)
{
    if (!(q->needs & SEARCH_NEEDS_FPRS))
        return OK;
    keys_space.s = q->j->s;
    int err = view_run(q->j->s->a->view, keys_load, &keys_space);
    return err ? err : imap_search_each(q->root, SEARCH_ENCRYPTED_TO, keys_of, &keys_space);
}

void imap_cmd_search(struct imap_job *j)
{
    struct imap_session *s = j->s;
    struct search *q = imap_job_alloc(j, sizeof(*q));
    if (!q)
        return;
    q->j = j;
    q->pos = 1;
    int err = imap_search_parse(imap_session_arena(s), j->in->args, &q->root);
    if (err == ERR_UNSUPPORTED) {
        imap_job_done(j, "NO [BADCHARSET (US-ASCII UTF-8)] No such charset");
        return;
    }
    if (!err)
        err = imap_session_map(s);
    if (!err)
        err = imap_search_resolve(q->root, imap_map_count(s->sel->map), imap_map_last(s->sel->map));
    if (!err) {
        q->needs = imap_search_needs(q->root);
        err = resolve_keys(q);
    }
    if (err) {
        imap_job_set_error(j, err, "Not a search");
        return;
    }
    uint64_t flag;
    bool on;
    q->a_turn = turn_size(q->needs, imap_search_keys(q->root));
    j->data = q;
    j->release = release;
    j->step = step;
    if (imap_search_is_flag(q->root, &flag, &on) && (flag == IMAP_SEEN || flag == IMAP_DELETED) &&
        (err = look_at_blocks(q, (unsigned)flag, on)) != OK)
        imap_job_error(j, err);
    else
        step(j);
}
