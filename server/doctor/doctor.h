/* What `letterlock doctor` finds: DNS and the network are asked, and each thing that mail needs is said to be right, or
 * wrong and what to do. Nothing is changed. Blocking: for the command line alone. */
#ifndef DOCTOR_DOCTOR_H
#define DOCTOR_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "server/base/config.h"
#include "server/base/relay_policy.h"

enum doctor_state { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL, DOCTOR_UNKNOWN, DOCTOR_STATES };

/* Texts are for people, on one line, and nothing in them that a terminal obeys. */
struct doctor_finding {
    const char *id; /* of the check; one check may find several things */
    enum doctor_state state;
    const char *found;
    const char *want;   /* "": what was found */
    const char *remedy; /* "": nothing is to be done */
};
typedef void doctor_fn(void *arg, const struct doctor_finding *f);

/* A key that signs the domain's mail (store/dkim.h). */
struct doctor_key {
    const char *selector;
    const char *txt; /* what its record says */
    enum { DOCTOR_KEY_WAITS, DOCTOR_KEY_SIGNS, DOCTOR_KEY_RETIRED } state;
    uint64_t from; /* it signs, or did */
};

/* What a chain has that clients mind, each in a sentence; a hint may be meant so (server/master/tls_mind.h). */
typedef void doctor_mind_fn(void *arg, bool hint, const char *sentence);
typedef void doctor_mind_chain(const void *pem, size_t len, const char *name, time_t now, doctor_mind_fn *fn,
                               void *arg);

struct doctor_facts {
    const char *dir;
    const struct config *config;
    const struct relay_policy *policy; /* NULL: none */
    const char *domain;
    bool known;   /* it is one of the server's domains */
    bool running; /* a server serves dir */
    const struct doctor_key *keys;
    size_t nkeys;
    doctor_mind_chain *mind_chain;
    int resolver, fetcher; /* channels to such, which are taken */
    uint64_t now;
};

/* Calls fn for each finding, in the order of the checks. ERR_MEMORY: it could not begin. */
int doctor_run(const struct doctor_facts *f, doctor_fn *fn, void *arg);
const char *doctor_state_name(enum doctor_state s);

#endif
