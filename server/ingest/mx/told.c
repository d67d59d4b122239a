/* See told.h. Nobody waits for the vault's answer: where a request is lost the ids stay, which loses at most what ids
 * that were never cleared would. */
#include "server/ingest/mx/told.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"

enum { FEW = 16 };

void mx_told_add(struct mx_told *t, uint64_t account, const uint8_t delivery[RECORD_HASH_SIZE])
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 2;
        struct vault_seen_row *more = cap <= MX_TOLD_MAX ? realloc(t->rows, cap * sizeof(*more)) : NULL;
        if (!more)
            return;
        t->rows = more;
        t->cap = cap;
    }
    t->rows[t->n].account = account;
    memcpy(t->rows[t->n].delivery, delivery, RECORD_HASH_SIZE);
    t->n++;
}

void mx_told_free(struct mx_told *t)
{
    free(t->rows);
    *t = (struct mx_told){NULL};
}

static void ignore(void *arg, int status, struct unpack *body)
{
    (void)arg;
    (void)status;
    (void)body;
}

void mx_seen_flush(struct ingest *in)
{
    const struct vault_request q = {.type = VAULT_DELIVERED_SEEN, .seen = {in->nseen, in->seen}};

    defer_cancel(in->loop, &in->seen_work);
    if (in->nseen > 0)
        (void)vault_client_request(in->depositor.vault, &q, -1, ignore, NULL, NULL);
    in->nseen = 0;
}

static void flush_later(void *arg)
{
    mx_seen_flush(arg);
}

void mx_told_seen(struct mx_told *t, struct ingest *in)
{
    for (size_t i = 0; i < t->n; i++) {
        if (in->nseen == VAULT_SEEN_MAX)
            mx_seen_flush(in);
        in->seen[in->nseen++] = t->rows[i];
    }
    if (t->n > 0)
        defer_set(in->loop, &in->seen_work, flush_later, in);
    t->n = 0;
    if (t->cap > FEW)
        mx_told_free(t);
}
