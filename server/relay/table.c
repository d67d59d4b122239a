#include "server/relay/table.h"

#include <stdlib.h>

#include "server/core/error.h"

enum { CAP_FIRST = 64 };

static size_t place(const struct table *t, uint64_t hash)
{
    return (size_t)(hash & (t->cap - 1));
}

static int grow(struct table *t)
{
    struct table wider = {.cap = t->cap ? t->cap * 2 : CAP_FIRST, .n = t->n};

    wider.v = calloc(wider.cap, sizeof(struct table_node *));
    if (!wider.v)
        return ERR_MEMORY;
    for (size_t i = 0; i < t->cap; i++)
        while (t->v[i]) {
            struct table_node *node = t->v[i], **at = &wider.v[place(&wider, node->hash)];
            t->v[i] = node->next;
            node->next = *at;
            *at = node;
        }
    free(t->v);
    *t = wider;
    return OK;
}

int table_put(struct table *t, struct table_node *node, uint64_t hash)
{
    struct table_node **at;

    /* One that cannot grow is slower, and as good. */
    if (t->n >= t->cap && grow(t) != OK && !t->cap)
        return ERR_MEMORY;
    node->hash = hash;
    at = &t->v[place(t, hash)];
    node->next = *at;
    *at = node;
    t->n++;
    return OK;
}

void table_remove(struct table *t, struct table_node *node)
{
    struct table_node **at = &t->v[place(t, node->hash)];

    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    t->n--;
}

static struct table_node *same(struct table_node *node, uint64_t hash)
{
    while (node && node->hash != hash)
        node = node->next;
    return node;
}

struct table_node *table_first(const struct table *t, uint64_t hash)
{
    return t->cap ? same(t->v[place(t, hash)], hash) : NULL;
}

struct table_node *table_next(const struct table_node *node)
{
    return same(node->next, node->hash);
}

void table_free(struct table *t)
{
    free(t->v);
    *t = (struct table){0};
}
