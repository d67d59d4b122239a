/* letterlock audit: what counts and was never approved (store/approval.h). */
#include "server/cli/audit_approval.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/core/error.h"

struct keys_check {
    uint64_t account;
    struct schema_key keys[PGP_KEYS_MAX];
};

static int check_keys(void *arg, struct view *v)
{
    struct keys_check *k = arg;
    struct schema_account a;
    size_t n;
    int err = view_account(v, k->account, &a);
    if (err == OK)
        err = view_keys_read(v, k->account, k->keys, &n);
    return err == OK ? view_keys_approved(v, &a, k->keys, n) : err;
}

int audit_keys_approved(struct instance *i, uint64_t account, uint64_t *bad)
{
    struct keys_check *k = malloc(sizeof(*k));
    if (k == NULL)
        return ERR_MEMORY;
    k->account = account;
    int err = view_run(i->view, check_keys, k);
    free(k);
    if (err == ERR_NOT_FOUND && i->running) /* it has just been removed */
        return OK;
    if (err == ERR_UNAPPROVED || err == ERR_FORMAT || err == ERR_CRYPTO || err == ERR_NOT_FOUND) {
        ++*bad;
        printf("account %" PRIu64 ": its certificates: %s%s\n", account, err_str(err),
               err == ERR_UNAPPROVED ? " (letterlock key approve shows them)" : "");
        return OK;
    }
    return err;
}

/* ---- addresses ---- */

struct addresses {
    struct schema_address *v;
    size_t n, cap, next; /* next: that is to be checked */
};

static int collect(void *arg, const struct schema_address *a)
{
    struct addresses *l = arg;
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        void *larger = realloc(l->v, cap * sizeof(*l->v));
        if (larger == NULL)
            return ERR_MEMORY;
        l->v = larger;
        l->cap = cap;
    }
    l->v[l->n++] = *a;
    return 0;
}

static int read_all(void *arg, struct view *v)
{
    struct addresses *l = arg;
    l->n = 0;
    return view_addresses_each(v, collect, l);
}

static int check_one(void *arg, struct view *v)
{
    struct addresses *l = arg;
    return view_address_approved(v, &l->v[l->next]);
}

int audit_addresses_approved(struct instance *i, uint64_t *bad)
{
    struct addresses l = {.v = NULL};
    int err = view_run(i->view, read_all, &l);
    for (; err == OK && l.next < l.n; l.next++) {
        err = view_run(i->view, check_one, &l);
        if (err == ERR_UNAPPROVED || (err == ERR_NOT_FOUND && !i->running)) {
            ++*bad;
            printf("address %s of account %" PRIu64 ": %s\n", l.v[l.next].address, l.v[l.next].account, err_str(err));
        }
        if (err == ERR_UNAPPROVED || err == ERR_NOT_FOUND)
            err = OK;
    }
    free(l.v);
    return err;
}
