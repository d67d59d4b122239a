/* The roles: one table says what each is and is given. Master starts, reloads, watches and stops by it; what the
 * sandbox lets each do stands beside the call or the path (sandbox_landlock.c, sandbox_seccomp.c). To add a role: a
 * value of the enum, its main here and in server/cli/main.c, a row, its rights in the sandbox's two tables, its
 * folder. */
#ifndef BASE_ROLES_H
#define BASE_ROLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/config.h"
#include "server/base/tls.h"
#include "crypto/record.h"

/* Started as root, role n runs under uid role_uid_base + n: new ones come last. */
enum role {
    ROLE_MASTER,
    ROLE_INGEST,
    ROLE_ACCESS,
    ROLE_VAULT,
    ROLE_GPG_JUDGE,
    ROLE_GPG_SEAL,
    ROLE_RESOLVER,
    ROLE_RELAY,
    ROLE_FETCHER,
    ROLE_WEB,
    ROLES
};
#define ROLE_BIT(role) (1u << (role))

/* One socket a kind, shared by all instances of its role. */
enum listener {
    LISTEN_SMTP,
    LISTEN_SUBMISSIONS,
    LISTEN_SUBMISSION,
    LISTEN_IMAP,
    LISTEN_IMAPS,
    LISTEN_HTTP,
    LISTEN_HTTPS,
    LISTENERS
};
#define LISTEN_BIT(listener) (1u << (listener))
struct listener_row {
    const char *name;
    uint16_t port; /* the usual one; port_base is added */
    size_t wanted; /* offset of the bool in struct config */
};
extern const struct listener_row listeners_table[LISTENERS];
bool listener_wanted(enum listener l, const struct config *c);

enum role_trait {
    ROLE_REQUIRED = 1,       /* serving makes no sense without it */
    ROLE_HAS_TLS = 2,        /* is given the TLS certificates and their keys */
    ROLE_DECODES_MAIL = 4,   /* has character sets loaded before its sandbox */
    ROLE_RUNS_GNUPG = 8,     /* starts programs: few descriptors and processes */
    ROLE_LETS_IN = 16,       /* checks passwords, and asks before each try */
    ROLE_QUEUE_SEALS = 32,   /* is given the queue's public key */
    ROLE_QUEUE_OPENS = 64,   /* and its secret half */
    ROLE_SENDS = 128,        /* is given relay.policy, and the smarthost's password */
    ROLE_ANSWERS_ACME = 256, /* is given what an ACME server is answered */
    ROLE_IS_BLAMED = 512,    /* ends if its channel to a client was taken away, instead of the client: it reads what
                                strangers send, and holds nothing */
    ROLE_FORGIVES = 1024,    /* counts a login as failed from its beginning, and says later that it was right */
};

enum { ROLE_STOP_STAGES = 3 };

struct role_row {
    const char *name;    /* "letterlock role:NAME", the log, status */
    size_t instances;    /* offset of the u32 in struct config; 0: one */
    unsigned traits;     /* of enum role_trait */
    uint32_t uses;       /* RECORD_BIT of the record keys it is given: what of the store it can open; 0: nothing */
    enum tls_use tls;    /* with ROLE_HAS_TLS: for what */
    unsigned listeners;  /* LISTEN_BIT */
    unsigned servers;    /* ROLE_BIT of those it has a channel to, as their client */
    unsigned stop_stage; /* stages stop in order, each when the one before has ended */
    uint32_t memory_mb;  /* its own need; role_memory adds what it does for others */
    size_t sessions;     /* offset of the u32 in struct config: how many it may have; 0: none */
};
extern const struct role_row roles_table[ROLES];

/* Their mains, in their folders. Each returns the exit status. */
int ingest_main(void);
int access_main(void);
int vault_main(void);
int gpg_judge_main(void);
int gpg_seal_main(void);
int resolver_main(void);
int relay_main(void);
int fetcher_main(void);
int web_main(void);

const char *role_name(enum role r); /* "unknown" beyond the table */
/* How many processes of a role c asks for; 0 in the configuration is one a core. */
uint32_t role_instances(enum role r, const struct config *c);
/* Octets that a process of the role may have as its own (RLIMIT_DATA), by its share of c: far above what honest load
 * takes, so that what grows without end ends there. 0: no limit (a build with sanitizers). */
uint64_t role_memory(enum role r, const struct config *c);

#endif
