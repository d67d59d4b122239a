/* The mailbox map: which UIDs a session's mailbox holds, as bitmaps by blocks with running counts. It is loaded when a
 * sequence number first matters, not by SELECT. A map never changes, so sessions that look at the same state share it.
 * An earlier state of the mailbox is made from its present blocks and the tombstones since. */
#include <stdlib.h>
#include <string.h>

#include "server/access/imap/map.h"
#include "server/core/log.h"

struct map_block {
    uint32_t number, before; /* before: members in the blocks in front */
    uint64_t here[BLOCK_UIDS / 64];
};

struct imap_map {
    struct imap_map *next;
    uint64_t account, from, to; /* holds for MODSEQs from..to */
    uint32_t mailbox, uidvalidity, refs, count, last;
    size_t n, cap;
    struct map_block *b;
};

static struct imap_map **bucket(struct access *a, uint64_t account, uint32_t mailbox)
{
    return &a->maps[(account * 31 + mailbox) % IMAP_MAP_BUCKETS];
}

static void map_destroy(struct imap_map *m)
{
    free(m->b);
    free(m);
}

void imap_map_unref(struct access *a, struct imap_map *m)
{
    if (!m || --m->refs)
        return;
    struct imap_map **p = bucket(a, m->account, m->mailbox);
    while (*p != m)
        p = &(*p)->next;
    *p = m->next;
    map_destroy(m);
}

void imap_map_extend(struct imap_map *m, uint64_t modseq)
{
    if (modseq > m->to)
        m->to = modseq;
}

/* ---- building ---- */

static struct map_block *block_at(struct imap_map *m, uint32_t number)
{
    size_t i = m->n;
    while (i && m->b[i - 1].number > number)
        i--;
    if (i && m->b[i - 1].number == number)
        return &m->b[i - 1];
    if (m->n == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 1;
        struct map_block *b = realloc(m->b, cap * sizeof(*b));
        if (!b)
            return NULL;
        m->b = b;
        m->cap = cap;
    }
    memmove(m->b + i + 1, m->b + i, (m->n - i) * sizeof(*m->b));
    m->n++;
    memset(&m->b[i], 0, sizeof(m->b[i]));
    m->b[i].number = number;
    return &m->b[i];
}

static void bit_add(struct map_block *b, uint32_t uid)
{
    b->here[uid % BLOCK_UIDS / 64] |= UINT64_C(1) << uid % 64;
}

static int add_block(void *arg, uint32_t number, const struct schema_block *v)
{
    struct map_block *b = block_at(arg, number);
    if (!b)
        return ERR_MEMORY;
    for (unsigned i = 0; i < BLOCK_UIDS; i++)
        if (v->here[i / 8] >> i % 8 & 1)
            bit_add(b, i);
    return OK;
}

static int add_expunged(void *arg, uint32_t first, uint32_t last)
{
    struct imap_map *m = arg;
    for (uint32_t uid = first; uid <= last && uid < m->last; uid++) { /* m->last: the UIDNEXT of then */
        struct map_block *b = block_at(m, uid / BLOCK_UIDS);
        if (!b)
            return ERR_MEMORY;
        bit_add(b, uid);
    }
    return OK;
}

/* Takes out what came later than uidnext, counts, drops empty blocks. */
static void finish(struct imap_map *m, uint32_t uidnext)
{
    size_t n = 0;
    m->count = m->last = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct map_block b = m->b[i];
        uint32_t count = 0;
        for (unsigned k = 0; k < BLOCK_UIDS / 64; k++) {
            uint64_t base = (uint64_t)b.number * BLOCK_UIDS + k * 64;
            if (base >= uidnext)
                b.here[k] = 0;
            else if (uidnext - base < 64)
                b.here[k] &= (UINT64_C(1) << (uidnext - base)) - 1;
            count += (uint32_t)__builtin_popcountll(b.here[k]);
            if (b.here[k])
                m->last = (uint32_t)base + 63 - (uint32_t)__builtin_clzll(b.here[k]);
        }
        if (!count)
            continue;
        b.before = m->count;
        m->count += count;
        m->b[n++] = b;
    }
    m->n = n;
}

static int map_load(struct access *a, uint64_t account, const struct imap_selected *sel, struct imap_map *m)
{
    struct schema_mailbox box;
    int err = view_mailbox(a->view, account, sel->mailbox, &box);
    if (err)
        return err == ERR_NOT_FOUND ? ERR_CONFLICT : err;
    if (box.uidvalidity != sel->uidvalidity || box.highestmodseq < sel->modseq ||
        (box.highestmodseq > sel->modseq && box.tombstones_from > sel->modseq))
        return ERR_CONFLICT;
    if ((err = view_blocks_each(a->view, account, sel->mailbox, add_block, m)) != OK)
        return err;
    m->last = sel->uidnext;
    if (box.highestmodseq > sel->modseq)
        err = view_expunged_since(a->view, account, sel->mailbox, sel->modseq, add_expunged, m);
    if (err)
        return err;
    finish(m, sel->uidnext);
    return m->count == sel->exists ? OK : ERR_CONFLICT;
}

int imap_map_get(struct access *a, uint64_t account, const struct imap_selected *sel, struct imap_map **ret)
{
    struct imap_map **head = bucket(a, account, sel->mailbox), *m;
    for (m = *head; m; m = m->next) {
        if (m->account == account && m->mailbox == sel->mailbox && m->uidvalidity == sel->uidvalidity &&
            m->from <= sel->modseq && sel->modseq <= m->to) {
            m->refs++;
            *ret = m;
            return OK;
        }
    }
    if (!(m = calloc(1, sizeof(*m))))
        return ERR_MEMORY;
    m->account = account;
    m->mailbox = sel->mailbox;
    m->uidvalidity = sel->uidvalidity;
    m->from = m->to = sel->modseq;
    m->refs = 1;
    int err = map_load(a, account, sel, m);
    if (err) {
        map_destroy(m);
        return err;
    }
    m->next = *head;
    *head = m;
    *ret = m;
    return OK;
}

/* ---- questions ---- */

uint32_t imap_map_count(const struct imap_map *m)
{
    return m->count;
}

uint32_t imap_map_last(const struct imap_map *m)
{
    return m->last;
}

/* The last block whose key (number or before) is <= v; n when there is none. */
static size_t find_block(const struct imap_map *m, uint32_t v, bool by_count)
{
    size_t lo = 0, hi = m->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if ((by_count ? m->b[mid].before : m->b[mid].number) <= v)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo ? lo - 1 : m->n;
}

uint32_t imap_map_uid(const struct imap_map *m, uint32_t seq)
{
    bug_if(seq == 0 || seq > m->count);
    const struct map_block *b = &m->b[find_block(m, seq - 1, true)];
    uint32_t left = seq - 1 - b->before;
    for (unsigned k = 0;; k++) {
        uint64_t w = b->here[k];
        uint32_t n = (uint32_t)__builtin_popcountll(w);
        if (left >= n) {
            left -= n;
            continue;
        }
        while (left--)
            w &= w - 1;
        return b->number * BLOCK_UIDS + k * 64 + (uint32_t)__builtin_ctzll(w);
    }
}

uint32_t imap_map_below(const struct imap_map *m, uint32_t uid)
{
    size_t i = find_block(m, uid / BLOCK_UIDS, false);
    if (i == m->n)
        return 0;
    const struct map_block *b = &m->b[i];
    uint32_t n = b->before, bit = b->number == uid / BLOCK_UIDS ? uid % BLOCK_UIDS : BLOCK_UIDS;
    for (unsigned k = 0; k < bit / 64; k++)
        n += (uint32_t)__builtin_popcountll(b->here[k]);
    if (bit % 64)
        n += (uint32_t)__builtin_popcountll(b->here[bit / 64] & ((UINT64_C(1) << bit % 64) - 1));
    return n;
}

uint32_t imap_map_seq(const struct imap_map *m, uint32_t uid)
{
    size_t i = find_block(m, uid / BLOCK_UIDS, false);
    if (i == m->n || m->b[i].number != uid / BLOCK_UIDS || !(m->b[i].here[uid % BLOCK_UIDS / 64] >> uid % 64 & 1))
        return 0;
    return imap_map_below(m, uid) + 1;
}

uint32_t imap_map_from(const struct imap_map *m, uint32_t uid)
{
    size_t i = find_block(m, uid / BLOCK_UIDS, false);
    uint32_t bit = 0;
    if (i == m->n)
        i = 0;
    else if (m->b[i].number < uid / BLOCK_UIDS)
        i++;
    else
        bit = uid % BLOCK_UIDS;
    for (; i < m->n; i++, bit = 0) {
        for (unsigned k = bit / 64; k < BLOCK_UIDS / 64; k++) {
            uint64_t w = m->b[i].here[k];
            if (k == bit / 64 && bit % 64)
                w &= ~((UINT64_C(1) << bit % 64) - 1);
            if (w)
                return m->b[i].number * BLOCK_UIDS + k * 64 + (uint32_t)__builtin_ctzll(w);
        }
    }
    return 0;
}
