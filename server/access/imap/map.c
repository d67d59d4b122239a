/* The mailbox map: which UIDs a session's mailbox holds, as bitmaps by blocks with running counts. It is loaded when a
 * sequence number first matters, not by SELECT. A map that is shared never changes.
 *
 * It is loaded piece by piece: first the mailbox's blocks, then the tombstones since the MODSEQ that it is to show. A
 * block read at whatever time since holds what was there then, but for what was expunged in between, and no UID comes
 * back. So with the tombstones read last, blocks from different snapshots make one picture. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "server/access/imap/map.h"
#include "server/core/bug.h"

enum { WORDS = BLOCK_UIDS / 64, RANGES_MAX = 4096 };

struct map_block {
    uint32_t number, before; /* before: members in the blocks in front */
    uint64_t here[WORDS];
};

struct imap_map {
    struct imap_map *next;
    uint64_t account, from, to; /* holds for MODSEQs from..to */
    uint32_t mailbox, uidvalidity, uidnext, refs, count, last;
    size_t n, cap;
    struct map_block *b;
    bool ready;
    /* While it is loaded: */
    bool blocks_read;
    uint32_t next_block;
    uint64_t next_modseq; /* tombstones are in up to it */
    size_t sorted;        /* blocks in order; those that tombstones added stand behind */
};

static struct imap_map **bucket(struct access *a, uint64_t account, uint32_t mailbox)
{
    return &a->maps[(account * 31 + mailbox) % IMAP_MAP_BUCKETS];
}

static void map_unref(struct access *a, struct imap_map *m)
{
    if (!m || --m->refs)
        return;
    struct imap_map **p = bucket(a, m->account, m->mailbox);
    while (*p != m)
        p = &(*p)->next;
    *p = m->next;
    free(m->b);
    free(m);
}

void imap_map_drop(struct access *a, struct imap_selected *sel)
{
    map_unref(a, sel->map);
    map_unref(a, sel->loading);
    sel->map = sel->loading = NULL;
}

bool imap_map_follow(struct imap_map *m, const struct imap_selected *sel)
{
    if (m->uidnext != sel->uidnext)
        return false;
    if (!m->to)
        m->from = sel->modseq;
    if (sel->modseq > m->to)
        m->to = sel->modseq;
    return true;
}

/* A map that shows what sel does, or NULL. */
static struct imap_map *map_find(struct access *a, uint64_t account, const struct imap_selected *sel, uint64_t modseq)
{
    struct imap_map *m = *bucket(a, account, sel->mailbox);
    while (m &&
           !(m->ready && m->account == account && m->mailbox == sel->mailbox && m->uidvalidity == sel->uidvalidity &&
             m->uidnext == sel->uidnext && m->from <= modseq && modseq <= m->to))
        m = m->next;
    if (m)
        m->refs++;
    return m;
}

static struct imap_map *map_create(struct access *a, uint64_t account, const struct imap_selected *sel)
{
    struct imap_map *m = calloc(1, sizeof(*m)), **head = bucket(a, account, sel->mailbox);
    if (!m)
        return NULL;
    m->account = account;
    m->mailbox = sel->mailbox;
    m->uidvalidity = sel->uidvalidity;
    m->uidnext = sel->uidnext;
    m->from = m->to = m->next_modseq = sel->modseq;
    m->refs = 1;
    m->next = *head;
    *head = m;
    return m;
}

/* ---- memory ---- */

static size_t account_bytes(const struct access *a, uint64_t account)
{
    size_t sum = 0;
    for (size_t i = 0; i < IMAP_MAP_BUCKETS; i++)
        for (const struct imap_map *m = a->maps[i]; m; m = m->next)
            sum += m->account == account ? m->cap * sizeof(*m->b) : 0;
    return sum;
}

static int reserve(const struct access *a, struct imap_map *m, size_t cap)
{
    if (account_bytes(a, m->account) + (cap - m->cap) * sizeof(*m->b) > IMAP_MAPS_ACCOUNT)
        return ERR_LIMIT;
    struct map_block *b = realloc(m->b, cap * sizeof(*b));
    if (!b)
        return ERR_MEMORY;
    m->b = b;
    m->cap = cap;
    return OK;
}

static int add(const struct access *a, struct imap_map *m, uint32_t number)
{
    int err = m->n == m->cap ? reserve(a, m, m->cap ? m->cap + m->cap / 2 : 2) : OK;
    if (err)
        return err;
    memset(&m->b[m->n], 0, sizeof(*m->b));
    m->b[m->n++].number = number;
    return OK;
}

/* ---- loading ---- */

struct piece {
    struct access *a;
    const struct imap_selected *sel;
    struct imap_map *m;
    uint64_t modseq;
    uint32_t next_block;
    bool more;
    size_t nranges;
};
static struct {
    uint32_t first, last;
} ranges[RANGES_MAX];

static int take_block(void *arg, uint32_t number, const struct schema_block *v)
{
    struct piece *p = arg;
    struct imap_map *m = p->m;
    int err = add(p->a, m, number);
    if (err)
        return err;
    for (unsigned i = 0; i < WORDS; i++) { /* bit u%8 of octet u/8: the words are little-endian */
        uint64_t w;
        memcpy(&w, v->here + 8 * i, 8);
        m->b[m->n - 1].here[i] = le64toh(w);
    }
    p->next_block = number + 1;
    p->more = !imap_turn_spend(p->a, IMAP_WORK_BLOCK);
    return p->more;
}

/* A change's tombstones are taken all or not at all. */
static int take_range(void *arg, uint64_t modseq, uint32_t first, uint32_t last)
{
    struct piece *p = arg;
    if (modseq != p->modseq && (p->nranges > RANGES_MAX - BLOCK_UIDS || !imap_turn_left(p->a))) {
        p->more = true;
        return 1;
    }
    if (p->nranges == RANGES_MAX || first > last)
        return ERR_FORMAT;
    (void)imap_turn_spend(p->a, 1);
    p->modseq = modseq;
    ranges[p->nranges].first = first;
    ranges[p->nranges++].last = last;
    return OK;
}

static int look(void *arg, struct view *v)
{
    struct piece *p = arg;
    const struct imap_selected *sel = p->sel;
    struct imap_map *m = p->m;
    struct schema_mailbox box;
    p->more = false;
    p->nranges = 0;
    p->modseq = m->next_modseq;
    int err = view_mailbox(v, m->account, m->mailbox, &box);
    if (err)
        return err == ERR_NOT_FOUND ? ERR_CONFLICT : err;
    if (box.uidvalidity != m->uidvalidity || box.highestmodseq < sel->modseq ||
        (box.highestmodseq > sel->modseq && box.tombstones_from > sel->modseq))
        return ERR_CONFLICT;
    if (m->blocks_read) {
        err = view_expunged_since(v, m->account, m->mailbox, m->next_modseq, take_range, p);
    } else {
        m->n = m->sorted; /* what a snapshot gave that was too old is void */
        err = view_blocks_each(v, m->account, m->mailbox, m->next_block, take_block, p);
    }
    return err > 0 ? OK : err;
}

/* The block of a tombstone: in order, or the one that was added last, or a new one. NULL: no room. */
static struct map_block *block_of(const struct access *a, struct imap_map *m, uint32_t number)
{
    size_t lo = 0, hi = m->sorted;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (m->b[mid].number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < m->sorted && m->b[lo].number == number)
        return &m->b[lo];
    if (m->n > m->sorted && m->b[m->n - 1].number == number)
        return &m->b[m->n - 1];
    return add(a, m, number) ? NULL : &m->b[m->n - 1];
}

static int add_ranges(const struct access *a, struct imap_map *m, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (uint64_t uid = ranges[i].first; uid <= ranges[i].last && uid < m->uidnext;) {
            struct map_block *b = block_of(a, m, (uint32_t)(uid / BLOCK_UIDS));
            if (!b)
                return ERR_LIMIT;
            do
                b->here[uid % BLOCK_UIDS / 64] |= UINT64_C(1) << uid % 64;
            while (++uid % BLOCK_UIDS && uid <= ranges[i].last && uid < m->uidnext);
        }
    }
    return OK;
}

static int by_number(const void *x, const void *y)
{
    uint32_t a = ((const struct map_block *)x)->number, b = ((const struct map_block *)y)->number;
    return (a > b) - (a < b);
}

/* Sorts what tombstones added in between, and makes one block of those of one number. */
static void unite(struct imap_map *m)
{
    size_t n = 0;
    if (m->n == m->sorted)
        return;
    qsort(m->b, m->n, sizeof(*m->b), by_number);
    for (size_t i = 0; i < m->n; i++) {
        if (!n || m->b[n - 1].number != m->b[i].number) {
            m->b[n++] = m->b[i];
            continue;
        }
        for (unsigned k = 0; k < WORDS; k++)
            m->b[n - 1].here[k] |= m->b[i].here[k];
    }
    m->n = n;
}

/* Takes out what came later than uidnext, counts, drops empty blocks. */
static void count(struct imap_map *m)
{
    size_t n = 0;
    m->count = m->last = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct map_block b = m->b[i];
        uint32_t members = 0;
        for (unsigned k = 0; k < WORDS; k++) {
            uint64_t base = (uint64_t)b.number * BLOCK_UIDS + k * 64;
            if (base >= m->uidnext)
                b.here[k] = 0;
            else if (m->uidnext - base < 64)
                b.here[k] &= (UINT64_C(1) << (m->uidnext - base)) - 1;
            members += (uint32_t)__builtin_popcountll(b.here[k]);
            if (b.here[k])
                m->last = (uint32_t)base + 63 - (uint32_t)__builtin_clzll(b.here[k]);
        }
        if (!members)
            continue;
        b.before = m->count;
        m->count += members;
        m->b[n++] = b;
    }
    m->n = m->sorted = n;
}

/* One snapshot's piece. ERR_AGAIN: there is more. */
static int load_piece(struct access *a, const struct imap_selected *sel, struct imap_map *m)
{
    struct piece p = {.a = a, .sel = sel, .m = m, .next_block = m->next_block};
    int err = view_run(a->view, look, &p);
    if (!err)
        err = add_ranges(a, m, p.nranges);
    if (err)
        return err;
    m->next_modseq = p.modseq;
    if (!m->blocks_read) {
        m->next_block = p.next_block;
        m->blocks_read = !p.more;
        m->sorted = m->n;
        return ERR_AGAIN;
    }
    return p.more ? ERR_AGAIN : OK;
}

int imap_map_load(struct access *a, uint64_t account, struct imap_selected *sel)
{
    struct imap_map *m;
    if (sel->map)
        return OK;
    if (sel->loading && (sel->loading->from != sel->modseq || sel->loading->uidnext != sel->uidnext))
        imap_map_drop(a, sel);
    if (!sel->loading && (sel->map = map_find(a, account, sel, sel->modseq)) != NULL)
        return OK;
    if (!sel->loading && !(sel->loading = map_create(a, account, sel)))
        return ERR_MEMORY;
    m = sel->loading;
    int err;
    do
        err = load_piece(a, sel, m);
    while (err == ERR_AGAIN && imap_turn_left(a));
    if (err == ERR_AGAIN)
        return err;
    if (!err) {
        unite(m);
        count(m);
        err = m->count == sel->exists ? OK : ERR_CONFLICT;
    }
    sel->loading = NULL;
    m->ready = !err;
    if (err)
        map_unref(a, m);
    else
        sel->map = m;
    return err;
}

/* A copy for sel alone, in place of the shared one. NULL: no room. */
static struct imap_map *own_copy(struct access *a, struct imap_selected *sel)
{
    struct imap_map *old = sel->map, *m = old->refs == 1 ? old : map_create(a, old->account, sel);
    if (m == old || !m)
        return m;
    if (reserve(a, m, old->n ? old->n : 1)) {
        map_unref(a, m);
        return NULL;
    }
    memcpy(m->b, old->b, old->n * sizeof(*m->b));
    m->n = m->sorted = old->n;
    m->ready = true;
    map_unref(a, old);
    return sel->map = m;
}

void imap_map_remove(struct access *a, struct imap_selected *sel, const uint32_t *uids, size_t n, uint64_t modseq)
{
    struct imap_map *shared = modseq ? map_find(a, sel->map->account, sel, modseq) : NULL, *m;
    (void)imap_turn_spend(a, (uint32_t)(sel->map->n / 16 + n));
    if (shared) {
        map_unref(a, sel->map);
        sel->map = shared;
        return;
    }
    if (!(m = own_copy(a, sel))) {
        imap_map_drop(a, sel);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct map_block *b = block_of(a, m, uids[i] / BLOCK_UIDS);
        bug_if(!b || m->n != m->sorted); /* they are in it */
        b->here[uids[i] % BLOCK_UIDS / 64] &= ~(UINT64_C(1) << uids[i] % 64);
    }
    count(m);
    m->from = m->to = modseq;
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

static void move_near(const struct imap_map *m, struct imap_map_near *near, uint32_t uid)
{
    size_t i = find_block(m, uid / BLOCK_UIDS, false);
    bool known = i < m->n && m->b[i].number == uid / BLOCK_UIDS;
    *near = (struct imap_map_near){.here = known ? m->b[i].here[uid % BLOCK_UIDS / 64] : 0,
                                   .base = uid - uid % 64,
                                   .seq = imap_map_below(m, uid - uid % 64) + 1,
                                   .set = true};
}

/* Those from uid on, of the bits near. */
static uint64_t bits_from(const struct imap_map *m, struct imap_map_near *near, uint32_t uid)
{
    if (!near->set || near->base != uid - uid % 64)
        move_near(m, near, uid);
    return near->here >> uid % 64;
}

uint32_t imap_map_seq_near(const struct imap_map *m, struct imap_map_near *near, uint32_t uid)
{
    if (!(bits_from(m, near, uid) & 1))
        return 0;
    uint64_t below = near->here & ((UINT64_C(1) << uid % 64) - 1);
    return near->seq + (uint32_t)__builtin_popcountll(below);
}

uint32_t imap_map_from_near(const struct imap_map *m, struct imap_map_near *near, uint32_t uid)
{
    uint64_t bits = bits_from(m, near, uid);
    return bits ? uid + (uint32_t)__builtin_ctzll(bits) : imap_map_from(m, uid);
}

size_t imap_map_block_from(const struct imap_map *m, uint32_t number)
{
    size_t i = find_block(m, number, false);
    return i == m->n ? 0 : m->b[i].number < number ? i + 1 : i;
}

const uint64_t *imap_map_block(const struct imap_map *m, size_t i, uint32_t *ret_number)
{
    if (i >= m->n)
        return NULL;
    *ret_number = m->b[i].number;
    return m->b[i].here;
}
