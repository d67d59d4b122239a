/* The relay process: what its parts share. It reads the queue, opens what is in it, and delivers. */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include <sys/queue.h>

#include "crypto/nonce.h"
#include "crypto/pgp_open.h"
#include "server/base/ask.h"
#include "server/base/config.h"
#include "server/base/counters.h"
#include "server/base/loop.h"
#include "server/base/tls_client.h"
#include "server/dns/dns.h"
#include "server/fetch/fetch.h"
#include "server/queue/dkim_keys.h"
#include "server/relay/changes.h"
#include "server/relay/opened.h"
#include "server/relay/route.h"
#include "server/relay/schedule.h"
#include "store/client.h"
#include "store/view.h"

#define RELAY_COUNTER_ENUM(id, name) COUNT_##id,
enum relay_counter { RELAY_COUNTERS(RELAY_COUNTER_ENUM) RELAY_COUNTERS_N };

enum { RELAY_DEAD_HOSTS = 1024 };

struct changes;
struct delivery;
struct tallies;
struct tls_reports;
TAILQ_HEAD(deliveries, delivery);

struct relay {
    uint32_t instance, instances; /* which one, of how many */
    struct loop *loop;
    struct config config;
    struct view *view;
    struct vault_client *vault;
    struct ask *ingest;
    struct dns *dns;
    struct fetch *fetch;
    struct sts *sts;
    struct sts_kept *sts_kept;
    struct tallies *tallies; /* of TLS; NULL in tests */
    struct tls_reports *tls_reports;
    struct listed *listed;   /* of the first process; else NULL */
    struct tls_roots *roots; /* or NULL */
    struct relay_policy *policy;
    struct relay_source source; /* of domains that have none of their own */
    char *password;             /* of the smarthost, in secret memory */
    struct router router;
    struct schedule *schedule;
    struct pgp_opener *opener;
    struct opened_all contents;
    struct dkim_keys *dkim;
    size_t dkim_unreadable; /* said in the log */
    struct changes *changes;
    struct nonces nonces;
    struct deliveries deliveries; /* those without a greeting first, the oldest before others */
    uint32_t ndeliveries;
    uint32_t unwritten; /* outcomes that the vault does not have yet */
    struct defer pump;
    void (*turn)(void *relay); /* begins what may be begun */
    struct timer *due, *prune;
    struct {
        uint8_t address[16];
        uint64_t until;
    } dead[RELAY_DEAD_HOSTS]; /* hosts that did not answer: tried after others */
    bool stopping;
    uint64_t counters[RELAY_COUNTERS_N];
};

static inline void relay_count(struct relay *r, enum relay_counter c)
{
    r->counters[c]++;
}

uint64_t relay_now(void); /* seconds since 1970 */
/* Soon, at the end of the turn: what may be begun is begun. */
void relay_wake(struct relay *r);
/* Whether anything new may be begun: outcomes that are not written are not too many. */
bool relay_may_begin(const struct relay *r);
/* In a stop: ends the loop once nothing is in hand. */
void relay_stopped(struct relay *r);
/* Each message is one process's, with all its recipients: nobody else reads, tries or tells anything of it. */
bool relay_has(const struct relay *r, uint64_t id);

#endif
