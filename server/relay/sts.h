/* The MTA-STS policies of domains (RFC 8461): found, fetched and kept. A policy counts until it expires, whatever
 * becomes of its record, of the page or of this process (section 5.1), so that who stands on the way cannot take it
 * away. */
#ifndef RELAY_STS_H
#define RELAY_STS_H

#include "server/base/loop.h"
#include "server/dns/dns.h"
#include "server/fetch/fetch.h"
#include "server/mailauth/mta_sts.h"
#include "store/sts_policy.h"

enum {
    STS_DOMAINS_MAX = 1024, /* that are remembered; of the others those go first that have no policy */
    STS_LOOK_MIN = 60,      /* seconds between two looks at a domain's record */
    STS_LOOK_MAX = 3600,
    STS_FETCH_AGAIN = 300, /* after a page could not be had */
    STS_REFRESH = 86400,   /* a policy is fetched anew after a day, or half of its time */
};

/* Where policies outlive the process (sts_kept.h). read: ERR_NOT_FOUND, among others: there is none. It may be over. */
struct sts_shelf {
    int (*read)(void *arg, const char *domain, struct sts_policy *ret);
    void (*write)(void *arg, const struct sts_policy *p);
    void *arg;
};

struct sts;
struct sts *sts_create(struct loop *l, struct dns *dns, struct fetch *fetch, uint64_t (*now)(void),
                       const struct sts_shelf *shelf); /* NULL: memory */
void sts_destroy(struct sts *s);                       /* nobody is called; NULL is allowed */

/* Why a domain that says that it has a policy has none that counts. */
enum sts_fault {
    STS_FAULT_NONE,
    STS_FAULT_FETCH,   /* its page could not be had */
    STS_FAULT_WEBPKI,  /* nor its server be believed */
    STS_FAULT_INVALID, /* it is none */
};
/* Called once, from the loop, never from sts_find. p: valid during the call; NULL: the domain has none that counts. */
typedef void sts_fn(void *arg, const struct mta_sts_policy *p, enum sts_fault fault);
struct sts_question;
int sts_find(struct sts *s, const char *domain, sts_fn *fn, void *arg, struct sts_question **ret); /* ERR_MEMORY */
void sts_cancel(struct sts_question *q);

#endif
