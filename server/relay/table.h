/* A hash table whose nodes stand in what they find: nothing is allocated a node. Keys are the caller's: it looks
 * through the nodes of one hash. */
#ifndef RELAY_TABLE_H
#define RELAY_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_node {
    struct table_node *next;
    uint64_t hash;
};
struct table {
    struct table_node **v;
    size_t cap, n;
};

int table_put(struct table *t, struct table_node *node, uint64_t hash); /* ERR_MEMORY */
void table_remove(struct table *t, struct table_node *node);
/* The first node of this hash, and the next one; NULL: none. */
struct table_node *table_first(const struct table *t, uint64_t hash);
struct table_node *table_next(const struct table_node *node);
void table_free(struct table *t); /* the nodes stay */

#endif
