/* See told.h. Where the last of many requests fail, or a process ends, ids stay, which loses at most what ids that were
 * never cleared would. */
#include "server/sealer/told.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"

enum { FEW = 16, OPEN_MAX = 8192 /* rows that the vault did not forget, before they are left to their days */ };

struct told_batch {
    struct told_batch *next, **at;
    struct told_seen *seen;
    bool asked;
    uint32_t n;
    struct vault_seen_row rows[];
};

int told_add(struct told *t, uint64_t account, const uint8_t delivery[RECORD_HASH_SIZE])
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 2;
        struct vault_seen_row *more;
        if (cap > TOLD_MAX)
            return ERR_LIMIT;
        if (!(more = realloc(t->rows, cap * sizeof(*more))))
            return ERR_MEMORY;
        t->rows = more;
        t->cap = cap;
    }
    t->rows[t->n].account = account;
    memcpy(t->rows[t->n].delivery, delivery, RECORD_HASH_SIZE);
    t->n++;
    return OK;
}

static bool find(const struct vault_seen_row *rows, size_t n, uint64_t account,
                 const uint8_t delivery[RECORD_HASH_SIZE])
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].account == account && memcmp(rows[i].delivery, delivery, RECORD_HASH_SIZE) == 0)
            return true;
    return false;
}

bool told_has(const struct told *t, uint64_t account, const uint8_t delivery[RECORD_HASH_SIZE])
{
    return find(t->rows, t->n, account, delivery);
}

void told_free(struct told *t)
{
    free(t->rows);
    *t = (struct told){NULL};
}

void told_seen_init(struct told_seen *s, struct loop *l, struct vault_client *v)
{
    *s = (struct told_seen){.loop = l, .vault = v};
}

static void all_gone(struct told_seen *s, const struct vault_seen_row *rows, uint32_t n)
{
    for (uint32_t i = 0; s->gone && i < n; i++)
        s->gone(s->arg, &rows[i]);
}

static void batch_free(struct told_batch *b)
{
    struct told_seen *s = b->seen;

    s->nopen -= b->n;
    *b->at = b->next;
    if (b->next)
        b->next->at = b->at;
    free(b);
}

static void batch_gone(struct told_batch *b)
{
    all_gone(b->seen, b->rows, b->n);
    batch_free(b);
}

/* What was not done is asked for with the next rows, or again by itself. */
static void answered(void *arg, int status, struct unpack *body)
{
    struct told_batch *b = arg;
    struct told_seen *s = b->seen;

    (void)body;
    b->asked = false;
    if (status == OK || s->nopen > OPEN_MAX) {
        batch_gone(b);
    } else if (b->n <= VAULT_SEEN_MAX - s->n) {
        memcpy(s->rows + s->n, b->rows, b->n * sizeof(b->rows[0]));
        s->n += b->n;
        batch_free(b);
    }
}

static void ask(struct told_batch *b)
{
    const struct vault_request q = {.type = VAULT_DELIVERED_SEEN, .seen = {b->n, b->rows}};

    b->asked = vault_client_request(b->seen->vault, &q, -1, answered, b, NULL) == OK;
}

static void batch_make(struct told_seen *s)
{
    struct told_batch *b = malloc(sizeof(*b) + s->n * sizeof(b->rows[0]));

    if (!b) { /* left to their days */
        all_gone(s, s->rows, s->n);
        return;
    }
    *b = (struct told_batch){.next = s->open, .at = &s->open, .seen = s, .n = s->n};
    memcpy(b->rows, s->rows, s->n * sizeof(b->rows[0]));
    if (b->next)
        b->next->at = &b->next;
    s->open = b;
    s->nopen += b->n;
}

void told_seen_flush(struct told_seen *s)
{
    defer_cancel(s->loop, &s->work);
    if (s->n > 0)
        batch_make(s);
    s->n = 0;
    for (struct told_batch *b = s->open; b; b = b->next)
        if (!b->asked)
            ask(b);
}

bool told_seen_has(const struct told_seen *s, uint64_t account, const uint8_t delivery[RECORD_HASH_SIZE])
{
    if (find(s->rows, s->n, account, delivery))
        return true;
    for (const struct told_batch *b = s->open; b; b = b->next)
        if (find(b->rows, b->n, account, delivery))
            return true;
    return false;
}

void told_seen_free(struct told_seen *s)
{
    defer_cancel(s->loop, &s->work);
    while (s->open)
        batch_free(s->open);
}

static void flush_later(void *arg)
{
    told_seen_flush(arg);
}

void told_heard(struct told *t, struct told_seen *seen)
{
    for (size_t i = 0; i < t->n; i++) {
        if (seen->n == VAULT_SEEN_MAX)
            told_seen_flush(seen);
        seen->rows[seen->n++] = t->rows[i];
    }
    if (t->n > 0)
        defer_set(seen->loop, &seen->work, flush_later, seen);
    t->n = 0;
    if (t->cap > FEW)
        told_free(t);
}
