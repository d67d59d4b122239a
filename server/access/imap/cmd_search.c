/* SEARCH (RFC 3501 section 6.4.4) and UID SEARCH (section 6.4.8). What is found goes out as it is found: a turn looks
 * at a piece of the mailbox, and the next comes when the client has read. Nothing is kept but the place. */
#include <stdlib.h>
#include <string.h>

#include "server/access/imap/commands.h"
#include "server/access/imap/sets.h"
#include "server/proto/imap_search.h"

enum {
    ENTRY_KEYS = 8,    /* that cost nothing beside the look at a message */
    WORDS_A_WORK = 128 /* octets of a header that keys look through for a unit of work */
};

struct search {
    struct imap_job *j;
    struct imap_search *root;
    unsigned needs;
    uint32_t work;       /* that a message is */
    uint32_t pos, begun; /* the next UID to look at, and as this turn began; 0: all have been looked at */
    struct imap_map_near near;
    bool named; /* the line has begun */
    struct imap_pick flag;
    int err;
};

static struct schema_keywords keywords_space;
static uint8_t outer_space[SCHEMA_OUTER_MAX];
static struct imap_words words_space;
_Static_assert((int)IMAP_WORDS_HEADER_MAX >= (int)SCHEMA_OUTER_MAX, "all of it is searched");

static int found(struct search *q, uint32_t v)
{
    struct buf *out = &q->j->s->a->staging;
    int err = buf_append(out, " ", 1);
    return err ? err : buf_put_number(out, v);
}

/* ---- keywords: looked up once a turn, so that a message costs no more for having many ---- */

static uint16_t by_name[KEYWORDS_MAX];

static int compare_numbers(const void *a, const void *b)
{
    const struct schema_keyword *v = keywords_space.v;
    return strcasecmp(v[*(const uint16_t *)a].text, v[*(const uint16_t *)b].text);
}

static int compare_name(const void *name, const void *number)
{
    return strcasecmp(name, keywords_space.v[*(const uint16_t *)number].text);
}

/* KEYWORDS_MAX: no message has it. */
static int number(void *arg, struct imap_search *s)
{
    const uint16_t *at = bsearch(s->name, by_name, keywords_space.n, sizeof(*by_name), compare_name);
    s->value = at ? *at : KEYWORDS_MAX;
    return OK;
}

static int resolve_keywords(struct search *q, struct view *v)
{
    if (!(q->needs & SEARCH_NEEDS_KEYWORDS))
        return OK;
    int err = view_keywords(v, q->j->s->account, &keywords_space);
    if (err)
        return err;
    for (unsigned i = 0; i < keywords_space.n; i++)
        by_name[i] = (uint16_t)i;
    qsort(by_name, keywords_space.n, sizeof(*by_name), compare_numbers);
    return imap_search_each(q->root, SEARCH_KEYWORD, number, NULL);
}

static bool has_keyword(void *arg, const struct imap_search *s)
{
    const struct schema_entry *e = arg;
    return s->value < KEYWORDS_MAX && schema_keyset_has(&e->keywords, (unsigned)s->value);
}

static int look_at(struct search *q, uint32_t uid, const struct schema_entry *e)
{
    struct imap_session *s = q->j->s;
    struct imap_search_message m = {.uid = uid,
                                    .seq = imap_map_seq_near(s->sel->map, &q->near, uid),
                                    .keyword = e ? has_keyword : NULL,
                                    .arg = (void *)e};
    if (!m.seq)
        return OK;
    if (e)
        m.flags = e->flags;
    struct schema_message record;
    struct schema_facts facts;
    if (q->needs & SEARCH_NEEDS_FACTS) {
        int err = view_entry_facts(s->a->view, s->account, s->sel->mailbox, uid, e, &facts);
        if (err)
            return err;
        m.size = facts.size;
        m.internaldate = facts.internaldate;
    }
    if (q->needs & (SEARCH_NEEDS_OUTER | SEARCH_NEEDS_FPRS)) {
        int err = view_message(s->a->view, s->account, e->message, &record,
                               q->needs & SEARCH_NEEDS_OUTER ? outer_space : NULL);
        if (err)
            return err == ERR_NOT_FOUND ? OK : err;
        (void)imap_turn_spend(s->a, record.outer_len / 512); /* it is opened with its record */
        imap_words_begin(&words_space, record.outer);
        m.words = &words_space;
        m.fprs = (const uint8_t(*)[20])record.fprs;
        m.nfprs = record.nfprs;
    }
    bool matches = imap_search_match(q->root, &m);
    if (m.words)
        (void)imap_turn_spend(s->a, (uint32_t)(m.words->work / WORDS_A_WORK));
    return matches ? found(q, q->j->in->uid ? uid : m.seq) : OK;
}

static bool turn_ends(const struct search *q)
{
    return !imap_turn_left(q->j->s->a) || q->j->s->a->staging.len >= IMAP_TURN_BYTES;
}

static int entry(void *arg, uint32_t uid, const struct schema_entry *e)
{
    struct search *q = arg;
    q->err = look_at(q, uid, e);
    q->pos = uid + 1; /* 0 after the last UID there can be */
    (void)imap_turn_spend(q->j->s->a, q->work);
    return q->err || turn_ends(q);
}

static int look_at_entries(void *arg, struct view *v)
{
    struct search *q = arg;
    struct imap_session *s = q->j->s;
    imap_staging(s->a);
    q->pos = q->begun;
    q->err = OK;
    int err = resolve_keywords(q, v);
    if (!err)
        err = view_entries_each(v, s->account, s->sel->mailbox, q->begun, imap_map_last(s->sel->map), entry, q);
    if (err == 1)
        return q->err;
    if (!err)
        q->pos = 0;
    return err;
}

/* A search for numbers alone needs the map, not the store. */
static int look_at_map(struct search *q)
{
    const struct imap_map *m = q->j->s->sel->map;
    int err = OK;
    imap_staging(q->j->s->a);
    do {
        if ((q->pos = imap_map_from_near(m, &q->near, q->pos)) == 0)
            break;
        err = look_at(q, q->pos++, NULL);
        (void)imap_turn_spend(q->j->s->a, q->work);
    } while (!err && q->pos && !turn_ends(q));
    return err;
}

/* UNSEEN, DELETED and their opposites are in the block bitmaps. */
static int look_at_blocks(struct search *q)
{
    static struct uid_range r[IMAP_BATCH_MAX];
    struct imap_session *s = q->j->s;
    struct imap_range all = {1, UINT32_MAX};
    struct imap_set every = {&all, 1};
    size_t n;
    imap_staging(s->a);
    int err = OK;
    do {
        if ((err = imap_set_pick(s, &every, &q->flag, &q->pos, IMAP_BATCH_MAX, r, &n)) != OK)
            return err;
        for (size_t i = 0; !err && i < n; i++)
            for (uint64_t uid = r[i].first; !err && uid <= r[i].last; uid++)
                err = found(q, q->j->in->uid ? (uint32_t)uid : imap_map_seq_near(s->sel->map, &q->near, (uint32_t)uid));
        (void)imap_turn_spend(s->a, (uint32_t)n);
    } while (!err && q->pos && !turn_ends(q));
    return err;
}

/* A line that has begun is ended before anything else is said. */
static void fail(struct search *q, int err)
{
    if (q->named)
        imap_session_printf(q->j->s, "\r\n");
    imap_job_error(q->j, err);
}

static void step(struct imap_job *j)
{
    struct search *q = j->data;
    struct imap_session *s = j->s;
    q->begun = q->pos;
    q->near.set = false;
    int err = q->flag.flag ? look_at_blocks(q) : q->needs ? view_run(s->a->view, look_at_entries, q) : look_at_map(q);
    if (!err && !q->pos)
        err = buf_puts(&s->a->staging, "\r\n");
    if (err) {
        fail(q, err);
        return;
    }
    if (!q->named) {
        imap_session_printf(s, "* SEARCH");
        q->named = true;
    }
    if (imap_staging_send(s))
        return;
    if (!q->pos)
        imap_job_done(j, "OK Done");
    else if (conn_out_len(s->conn) <= IMAP_OUT_LOW)
        imap_job_again(j);
}

static uint32_t work_of(unsigned needs, unsigned keys)
{
    unsigned look = needs & (SEARCH_NEEDS_OUTER | SEARCH_NEEDS_FPRS) ? IMAP_WORK_RECORD + IMAP_WORK_NAME : 1;
    return look * (keys > ENTRY_KEYS ? keys / ENTRY_KEYS : 1);
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
    if (imap_search_is_flag(q->root, &flag, &q->flag.on) && (flag == IMAP_SEEN || flag == IMAP_DELETED))
        q->flag.flag = (unsigned)flag;
    q->work = work_of(q->needs, imap_search_keys(q->root));
    j->data = q;
    j->step = step;
    step(j);
}
