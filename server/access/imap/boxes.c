/* The tree of an account's mailboxes, from two lists: the mailboxes and the subscriptions. */
#include "server/access/imap/boxes.h"

#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"

void imap_boxes_free(struct imap_boxes *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->v[i].name);
    free(b->v);
    *b = (struct imap_boxes){0};
}

static int add(struct imap_boxes *b, const char *name, size_t len, struct imap_box **ret)
{
    if (b->n == b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 32;
        struct imap_box *p = realloc(b->v, cap * sizeof(*p));
        if (!p)
            return ERR_MEMORY;
        b->v = p;
        b->cap = cap;
    }
    char *copy = strndup(name, len);
    if (!copy)
        return ERR_MEMORY;
    b->v[b->n] = (struct imap_box){.name = copy, .parent = -1};
    *ret = &b->v[b->n++];
    return OK;
}

static int add_mailbox(void *arg, const struct schema_mailbox_name *name, const struct schema_mailbox *box)
{
    struct imap_box *n;
    int err = add(arg, name->name, strlen(name->name), &n);
    if (err)
        return err;
    n->exists = true;
    n->use = name->use;
    n->box = *box;
    return OK;
}

static int add_subscription(void *arg, const char *name)
{
    struct imap_box *n;
    int err = add(arg, name, strlen(name), &n);
    if (err)
        return err;
    n->subscribed = true;
    return OK;
}

static bool in_inbox(const char *name)
{
    return strncmp(name, "INBOX", 5) == 0 && (name[5] == 0 || name[5] == '/');
}

/* INBOX and what is below it first, then by name; "/" sorts below everything, so that children follow their parent. */
int imap_boxes_order(const char *a, const char *b)
{
    bool ia = in_inbox(a), ib = in_inbox(b);
    if (ia != ib)
        return ia ? -1 : 1;
    for (; *a && *a == *b; a++, b++)
        ;
    int ca = *a == '/' ? 1 : (unsigned char)*a, cb = *b == '/' ? 1 : (unsigned char)*b;
    return ca - cb;
}

static int by_name(const void *x, const void *y)
{
    return imap_boxes_order(((const struct imap_box *)x)->name, ((const struct imap_box *)y)->name);
}

int imap_boxes_read(struct imap_boxes *b, struct view *v, uint64_t account, bool subscriptions)
{
    imap_boxes_free(b);
    int err = view_mailboxes_each(v, account, add_mailbox, b);
    return err || !subscriptions ? err : view_subscriptions_each(v, account, add_subscription, b);
}

/* Sorts, and makes one entry of those of one name. */
static void unite(struct imap_boxes *b)
{
    size_t n = 0;
    if (b->n)
        qsort(b->v, b->n, sizeof(*b->v), by_name);
    for (size_t i = 0; i < b->n; i++) {
        struct imap_box *last = n ? &b->v[n - 1] : NULL;
        if (!last || strcmp(last->name, b->v[i].name) != 0) {
            b->v[n++] = b->v[i];
            continue;
        }
        bool subscribed = last->subscribed || b->v[i].subscribed;
        struct imap_box *other = last->exists ? &b->v[i] : last, kept = last->exists ? *last : b->v[i];
        free(other->name);
        *last = kept;
        last->subscribed = subscribed;
    }
    b->n = n;
}

/* Mailboxes have all levels above them; a name without a mailbox may lack some. */
static int add_levels(struct imap_boxes *b)
{
    size_t n = b->n;
    for (size_t i = 0; i < n; i++) {
        const char *name = b->v[i].name; /* stays where it is when b->v grows */
        for (const char *end = strchr(name, '/'); end && !b->v[i].exists; end = strchr(end + 1, '/')) {
            struct imap_box *level;
            int err = add(b, name, (size_t)(end - name), &level);
            if (err)
                return err;
        }
    }
    return OK;
}

static bool is_below(const char *name, const char *parent)
{
    size_t n = strlen(parent);
    return strncmp(parent, name, n) == 0 && name[n] == '/';
}

int imap_boxes_arrange(struct imap_boxes *b)
{
    unite(b);
    int err = add_levels(b);
    if (err)
        return err;
    unite(b);
    for (size_t i = 1; i < b->n; i++) {
        int p = (int)i - 1;
        while (p >= 0 && !is_below(b->v[i].name, b->v[p].name))
            p = b->v[p].parent;
        b->v[i].parent = p;
        if (p >= 0 && b->v[i].exists)
            b->v[p].children = true;
    }
    return OK;
}
