/* Mail for the postmaster (RFC 5321 section 4.5.1) is accepted for the server's own name and every domain it serves, so
 * that its operator can be told of trouble. If the address routes to nobody, the mail goes to postmaster@ of another of
 * our domains, and if there is none, to the oldest account, which is the operator's. So does mail for abuse@ (RFC 2142
 * section 4), which we tell others to complain to, and which goes to its domain's postmaster first. */
#include "server/ingest/transaction/postmaster.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/core/error.h"

enum { DOMAINS_TRIED = 16, FOUND = 1 };

static const char local[] = "postmaster@", abuse[] = "abuse";
enum { LOCAL = sizeof(local) - 1, ABUSE = sizeof(abuse) - 1 };

struct search {
    struct view *v;
    struct schema_address *ret;
    unsigned tried;
};

static int try_domain(void *arg, const char *domain)
{
    struct search *f = arg;
    char address[sizeof(local) + ADDRESS_MAX];
    int err;

    if (f->tried++ == DOMAINS_TRIED)
        return ERR_NOT_FOUND;
    snprintf(address, sizeof(address), "%s%s", local, domain);
    err = view_route(f->v, address, strlen(address), f->ret);
    return err == OK ? FOUND : err == ERR_NOT_FOUND || err == ERR_DENIED || err == ERR_FORMAT ? 0 : err;
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

/* The domain, if its postmaster reads what is sent to this address; else NULL. Others' feedback loops are told of
 * addresses with a detail. */
static const char *domain_of(const char *address)
{
    const char *at = strrchr(address, '@');

    if (strncasecmp(address, local, LOCAL) == 0)
        return address + LOCAL;
    return at && strncasecmp(address, abuse, ABUSE) == 0 && strchr("@+", address[ABUSE]) ? at + 1 : NULL;
}

int transaction_postmaster_route(struct view *v, const char *server, const char *address, int err,
                                 struct schema_address *ret)
{
    struct search f = {.v = v, .ret = ret};
    const char *domain = domain_of(address);
    int r;

    if ((err != ERR_NOT_FOUND && err != ERR_DENIED) || !domain)
        return err;
    if (err == ERR_DENIED && strcasecmp(domain, server) != 0)
        return err; /* somebody else's postmaster */
    r = try_domain(&f, domain);
    if (r == OK)
        r = view_domains_each(v, try_domain, &f);
    if (r == OK || r == ERR_NOT_FOUND)
        r = view_accounts_each(v, take_first, &f);
    return r == FOUND ? OK : r == OK ? err : r;
}
