/* Mail for the postmaster (RFC 5321 section 4.5.1) is accepted for the server's own name and every domain it serves, so
 * that its operator can be told of trouble. If the address routes to nobody, the mail goes to postmaster@ of another of
 * our domains, and if there is none, to the oldest account, which is the operator's. */
#include "server/ingest/transaction/postmaster.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"

enum { DOMAINS_TRIED = 16, FOUND = 1 };

static const char local[] = "postmaster@";

struct search {
    struct view *v;
    struct schema_address *ret;
    unsigned tried;
};

static int try_domain(void *arg, const char *domain)
{
    struct search *f = arg;
    char address[sizeof(local) + DOMAIN_CAP];
    int err;

    if (f->tried++ == DOMAINS_TRIED)
        return ERR_NOT_FOUND;
    snprintf(address, sizeof(address), "%s%s", local, domain);
    err = view_route(f->v, address, strlen(address), f->ret);
    return err == OK ? FOUND : err == ERR_NOT_FOUND ? 0 : err;
}

/* Accounts come in the order in which they were made. */
static int take_first(void *arg, uint64_t account, const char *address)
{
    struct schema_address *ret = ((struct search *)arg)->ret;

    ret->account = account;
    ret->kind = ADDRESS_ALIAS;
    snprintf(ret->address, sizeof(ret->address), "%s", address);
    return FOUND;
}

int transaction_postmaster_route(struct view *v, const char *server, const char *address, int err,
                                 struct schema_address *ret)
{
    struct search f = {.v = v, .ret = ret};
    size_t n = sizeof(local) - 1;
    int r;

    if ((err != ERR_NOT_FOUND && err != ERR_DENIED) || strncasecmp(address, local, n) != 0)
        return err;
    if (err == ERR_DENIED && strcasecmp(address + n, server) != 0)
        return err; /* somebody else's postmaster */
    r = view_domains_each(v, try_domain, &f);
    if (r == OK || r == ERR_NOT_FOUND)
        r = view_accounts_each(v, take_first, &f);
    return r == FOUND ? OK : r == OK ? err : r;
}
