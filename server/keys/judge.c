/* Is this certificate good for sealing to? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/keys/keys.h"

/* All addresses of an account that is there, else the one that was given. */
struct addresses {
    uint64_t account;
    size_t n;
    char text[GPG_ADDRESSES_MAX][ADDRESS_MAX];
    const char *at[GPG_ADDRESSES_MAX];
};

static void add_address(struct addresses *a, const char *address)
{
    if (a->n == GPG_ADDRESSES_MAX)
        return;
    snprintf(a->text[a->n], ADDRESS_MAX, "%s", address);
    a->at[a->n] = a->text[a->n];
    a->n++;
}

static int see_address(void *arg, const struct schema_address *s)
{
    struct addresses *a = arg;
    if (s->account == a->account && s->kind != ADDRESS_PRIMARY)
        add_address(a, s->address);
    return 0;
}

static int read_addresses(void *arg, struct view *v)
{
    struct addresses *a = arg;
    struct schema_address owner;
    struct schema_account account;
    a->n = 1; /* the one that was given, which stands first in words too */
    int err = view_address(v, a->text[0], &owner);
    if (err != OK)
        return err == ERR_NOT_FOUND ? OK : err;
    a->account = owner.account;
    err = view_account(v, owner.account, &account);
    if (err == OK)
        add_address(a, account.address);
    return err != OK ? err : view_addresses_each(v, see_address, a);
}

int keys_judge(const struct keys_judge *j, const void *cert, size_t len, struct gpg_judgement *ret)
{
    struct addresses *a = calloc(1, sizeof(*a));
    int err = a == NULL ? ERR_MEMORY : OK;
    if (err == OK && j->address != NULL) {
        add_address(a, j->address);
        err = view_run(j->view, read_addresses, a);
    }
    if (err == OK) {
        err = gpg_judge_call(j->channel, cert, len, a->at, a->n, ret);
    } else {
        *ret = (struct gpg_judgement){.status = err};
        snprintf(ret->why, sizeof(ret->why), "the account's addresses cannot be read: %s", err_str(err));
    }
    free(a);
    return err;
}
