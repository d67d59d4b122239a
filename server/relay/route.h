/* From a domain to the servers that take its mail: relay.policy and `smarthost` first, then MX (RFC 5321 section 5.1,
 * RFC 7505), address literals, of each name its addresses, and what each host must prove. */
#ifndef RELAY_ROUTE_H
#define RELAY_ROUTE_H

#include <stdbool.h>
#include <sys/socket.h>

#include "server/base/relay_policy.h"
#include "server/base/tls_client.h"
#include "server/dns/dns.h"
#include "server/relay/sts.h"
#include "server/relay/trust.h"

enum {
    ROUTE_NAMES_MAX = 5,     /* of MX hosts: the first ones */
    ROUTE_ADDRESSES_MAX = 2, /* of each kind, of a name */
    ROUTE_HOSTS_MAX = ROUTE_NAMES_MAX * 2 * ROUTE_ADDRESSES_MAX,
    ROUTE_TLSA_MAX = 12,      /* of a name: those that can be used */
    ROUTE_TLSA_OCTETS = 8192, /* of all names' */
    ROUTE_STS_OCTETS = 640,   /* of the policy's text */
};

struct route_tlsa {
    uint8_t usage, selector, matching;
    uint16_t at, len; /* in the route's octets */
};

struct route_name {
    char name[DNS_NAME_MAX + 1];
    bool secure; /* how we came to it: by DNSSEC, or by the operator's word */
    enum trust_demand demand;
    enum trust_dane dane;        /* what DNSSEC says of it */
    bool bogus;                  /* UNKNOWN, since what came was bogus */
    bool in_policy;              /* it is one of those that the MTA-STS policy names */
    char base[DNS_NAME_MAX + 1]; /* whose TLSA records these are (RFC 7672 section 2.2.3) */
    struct route_tlsa tlsa[ROUTE_TLSA_MAX];
    uint32_t ntlsa;
};
struct route_host {
    uint8_t name; /* its number */
    struct sockaddr_storage addr;
};
struct route {
    char domain[DNS_NAME_MAX + 1]; /* "": the smarthost */
    enum trust_word word;
    uint8_t fingerprint[32];
    bool login;               /* it is the smarthost, which has a user for us */
    bool own;                 /* the domain's own servers, as DNS has them */
    enum queue_tls wish;      /* of those whose mail it is */
    enum trust_sts sts;       /* NONE, TESTING, ENFORCE: the domain's policy, of these octets */
    enum sts_fault sts_fault; /* why it has none */
    uint16_t sts_at, sts_len;
    uint32_t nnames, nhosts;
    struct route_name names[ROUTE_NAMES_MAX];
    struct route_host
        hosts[ROUTE_HOSTS_MAX]; /* in the order in which they are tried; none that is not to be used now */
    uint32_t noctets;
    uint8_t octets[ROUTE_TLSA_OCTETS + ROUTE_STS_OCTETS]; /* the last: a copy has no more of them than it needs */
};
struct route *route_copy(const struct route *r); /* for free(); NULL: no memory */

/* What routes are made by; the owner may change it at any moment. */
struct router {
    struct dns *dns;
    struct sts *sts;
    const struct relay_policy *policy;
    struct relay_route smarthost; /* host "": none */
    bool smarthost_login;
    const char *own_name;
    uint16_t port;
    /* Of a host that is not used, though it has addresses: by its number. NULL: nobody asks. */
    void (*unused)(void *arg, const struct route *r, uint32_t name);
    void *arg;
};

/* Under which name a domain's mail is scheduled: all that takes the same way is one destination. A wish about TLS, and
 * a source that its sender's domain has, make it another. A name's first word is the domain; "*" is the smarthost. */
enum { DESTINATION_MAX = 2 * 256 + 16 };
void route_destination(const struct router *r, const char *address, const char *sender, enum queue_tls tls,
                       char out[DESTINATION_MAX]);
/* The parts of it again. sender_domain "": the usual source. */
void route_destination_parts(const char *destination, char domain[DNS_NAME_MAX + 1], char sender[DNS_NAME_MAX + 1],
                             enum queue_tls *ret_tls);

/* Called once, from the loop, never from route_find. route: valid during the call; NULL: there is none, and why. */
typedef void route_fn(void *arg, const struct route *route, enum obstacle why);
struct route_op;
int route_find(struct loop *l, const struct router *r, const char *destination, route_fn *fn, void *arg,
               struct route_op **ret); /* ERR_MEMORY */
void route_cancel(struct route_op *op);

/* Of the records of an MX answer, which come by preference: those that are tried, equals in an order by chance. Returns
 * how many were written to out, which has room for n; 0: why. */
uint32_t route_pick_mx(const struct dns_record *v, uint32_t n, const char *own_name, const struct dns_record **out,
                       enum obstacle *ret_why);

#endif
