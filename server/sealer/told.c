/* See told.h. Nobody waits for the vault's answer: where a request is lost the ids stay, which loses at most what ids
 * that were never cleared would. */
#include "server/sealer/told.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"

enum { FEW = 16 };

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

bool told_has(const struct told *t, uint64_t account, const uint8_t delivery[RECORD_HASH_SIZE])
{
    for (size_t i = 0; i < t->n; i++)
        if (t->rows[i].account == account && memcmp(t->rows[i].delivery, delivery, RECORD_HASH_SIZE) == 0)
            return true;
    return false;
}

void told_free(struct told *t)
{
    free(t->rows);
    *t = (struct told){NULL};
}

static void ignore(void *arg, int status, struct unpack *body)
{
    (void)arg;
    (void)status;
    (void)body;
}

void told_seen_init(struct told_seen *s, struct loop *l, struct vault_client *v)
{
    s->loop = l;
    s->vault = v;
    s->n = 0;
}

void told_seen_flush(struct told_seen *s)
{
    const struct vault_request q = {.type = VAULT_DELIVERED_SEEN, .seen = {s->n, s->rows}};

    defer_cancel(s->loop, &s->work);
    if (s->n > 0)
        (void)vault_client_request(s->vault, &q, -1, ignore, NULL, NULL);
    s->n = 0;
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
