/* Sets of messages: what a client names, as UIDs that its session knows, cut into what the vault takes at once. */
#include <endian.h>
#include <string.h>

#include "server/access/imap/sets.h"
#include "server/core/bug.h"

int imap_arg_uids(struct imap_session *s, const struct imap_node *n, bool uid, struct imap_set *ret)
{
    struct arena *arena = imap_session_arena(s);
    struct imap_set set;
    if (!arena)
        return ERR_MEMORY;
    if (!n || n->type != IMAP_ATOM || n->glued)
        return ERR_FORMAT;
    int err = imap_set_parse(arena, n->text, &set);
    if (err)
        return err;
    const struct imap_map *m = s->sel->map;
    imap_set_resolve(&set, uid ? imap_map_last(m) : imap_map_count(m));
    if (!uid) { /* "*" of an empty mailbox is beyond it too (RFC 3501 section 9, seq-number) */
        if (set.n == 0 || set.r[set.n - 1].last > imap_map_count(m))
            return ERR_NOT_FOUND;
        for (size_t i = 0; i < set.n; i++)
            set.r[i] = (struct imap_range){imap_map_uid(m, set.r[i].first), imap_map_uid(m, set.r[i].last)};
    }
    *ret = set;
    return OK;
}

struct picking {
    struct imap_session *s;
    const struct imap_set *set;
    const struct imap_pick *pick;
    uint32_t from, next; /* UIDs; next 0: the end */
    size_t most, messages, n;
    struct uid_range *out;
    uint32_t loaded; /* the number of block, or UINT32_MAX */
    struct schema_block block;
};

/* false: one more than is wanted. */
static bool take(struct picking *p, uint32_t uid)
{
    if (p->messages == p->most) {
        p->next = uid;
        return false;
    }
    p->messages++;
    if (p->n && p->out[p->n - 1].last + 1 == uid)
        p->out[p->n - 1].last = uid;
    else
        p->out[p->n++] = (struct uid_range){uid, uid};
    return true;
}

static uint64_t word(const uint8_t *bits, unsigned k)
{
    uint64_t w;
    memcpy(&w, bits + 8 * k, 8);
    return le64toh(w);
}

/* Which of 64 UIDs the bitmaps pick. */
static uint64_t picked(const struct picking *p, unsigned k)
{
    const struct schema_block *b = &p->block;
    uint64_t here = word(b->here, k);
    if (!p->pick)
        return UINT64_MAX;
    if (!p->pick->flag)
        return ~here;
    uint64_t flag = word(p->pick->flag == IMAP_SEEN ? b->seen : b->deleted_bits, k);
    return here & (p->pick->on ? flag : ~flag);
}

/* A block's members within a range. */
static bool take_block(struct picking *p, const uint64_t *here, uint32_t number, struct imap_range r)
{
    uint64_t base = (uint64_t)number * BLOCK_UIDS;
    for (unsigned k = 0; k < BLOCK_UIDS / 64; k++, base += 64) {
        uint64_t w = here[k];
        if (!w || base + 63 < r.first || base > r.last)
            continue;
        w &= picked(p, k);
        if (r.first > base)
            w &= UINT64_MAX << (r.first - base);
        if (r.last < base + 63)
            w &= UINT64_MAX >> (base + 63 - r.last);
        for (; w; w &= w - 1)
            if (!take(p, (uint32_t)base + (uint32_t)__builtin_ctzll(w)))
                return false;
    }
    return true;
}

/* false: enough for this turn, p->next says where it goes on. */
static bool pick_range(struct picking *p, struct imap_range r, int *err)
{
    struct imap_session *s = p->s;
    struct access *a = s->a;
    const uint64_t *here;
    uint32_t number;
    for (size_t i = imap_map_block_from(s->sel->map, r.first / BLOCK_UIDS);
         (here = imap_map_block(s->sel->map, i, &number)) != NULL && number <= r.last / BLOCK_UIDS; i++) {
        if (p->pick && number != p->loaded) {
            if ((*err = view_block(a->view, s->account, s->sel->mailbox, number, &p->block)) != OK)
                return false;
            p->loaded = number;
            (void)imap_turn_spend(a, IMAP_WORK_BLOCK);
        }
        if (!take_block(p, here, number, r))
            return false;
        if (!imap_turn_spend(a, 1) && number < r.last / BLOCK_UIDS) {
            p->next = (number + 1) * BLOCK_UIDS;
            return false;
        }
    }
    if (imap_turn_spend(a, 1) || r.last == UINT32_MAX)
        return true;
    p->next = r.last + 1;
    return false;
}

static int pick(void *arg, struct view *v)
{
    struct picking *p = arg;
    size_t lo = 0, hi = p->set->n;
    int err = OK;
    p->messages = p->n = 0;
    p->next = 0;
    p->loaded = UINT32_MAX;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (p->set->r[mid].last < p->from)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < p->set->n; lo++) {
        struct imap_range r = p->set->r[lo];
        r.first = r.first > p->from ? r.first : p->from;
        if (!pick_range(p, r, &err))
            break;
    }
    return err;
}

int imap_set_pick(struct imap_session *s, const struct imap_set *set, const struct imap_pick *which, uint32_t *pos,
                  size_t most, struct uid_range out[IMAP_BATCH_MAX], size_t *ret_n)
{
    struct picking p = {.s = s, .set = set, .pick = which, .from = *pos, .most = most, .out = out};
    bug_if(!*pos);
    int err = which ? view_run(s->a->view, pick, &p) : pick(&p, NULL);
    if (err)
        return err;
    *pos = p.next;
    *ret_n = p.n;
    return OK;
}
