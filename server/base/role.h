/* A role's birth. Master re-executes the binary as "letterlock role:NAME" with one channel on descriptor 3; over
 * it come, before ROLE_GO, what the role may know. The role opens what it must, enters its sandbox, answers
 * ROLE_READY and runs its loop. */
#ifndef BASE_ROLE_H
#define BASE_ROLE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/certs.h"
#include "server/base/challenges.h"
#include "server/base/config.h"
#include "server/base/counters.h"
#include "server/base/ipc.h"
#include "server/base/loop.h"
#include "server/base/relay_policy.h"
#include "server/base/roles.h"
#include "server/base/sandbox.h"
#include "server/base/tally.h"

/* How a role ends that another start will not help; its log line says why. */
enum role_exit {
    ROLE_EXIT_KEY = 3, /* the store is sealed under another key */
    ROLE_EXIT_VERSION, /* a newer version wrote it */
    ROLE_EXIT_STORE,
    ROLE_EXIT_OLD,    /* it is of schema 1 */
    ROLE_EXIT_UPGRADE /* letterlock upgrade has to bring it up to date */
};

enum {
    ROLE_PASSWORD_MAX = 256,
    ROLE_CHANNEL_FD = 3,
    LOGIN_KEY_SIZE = 17,     /* u8 octets that count, 16 octets: addr_peer_key, addr_network_key */
    LOGIN_EXCHANGE_SIZE = 16 /* what names an exchange that was counted as failed and was right */
};

/* From master to role unless said otherwise. Before ROLE_GO comes all that the role needs; a CONFIG, TLS or PEER that
 * comes later replaces the former one. */
enum role_msg {
    ROLE_MSG_CONFIG = 1,  /* str dir, u32 instance, u32 of how many, u64 uid, u64 gid, bytes config text */
    ROLE_MSG_RECORD_KEYS, /* u32 uses (RECORD_BIT), the key of each in order (raw32), raw32 approver */
    ROLE_MSG_TLS,         /* one pair of a set of certificates: certs_pack */
    ROLE_MSG_LISTENER,    /* u8 enum listener; fd */
    ROLE_MSG_PEER,        /* u8 enum role, u8 admin; fd: one end of a channel. To the vault: a new client. To a client:
                              its new vault (or gpg) channel, the old one being dead */
    ROLE_MSG_GO,
    ROLE_MSG_STOP,        /* finish what is in hand, then exit 0 */
    ROLE_MSG_STATUS,      /* id; the role answers ROLE_MSG_STATUS_REPLY with the same id */
    ROLE_MSG_LOCK,        /* before GO; fd: the instance's lock. The role holds it open until it ends. The lock
                              lives as long as one holder, so no second server starts beside a vault or a listener
                              that outlived its master */
    ROLE_MSG_LOGIN_REPLY, /* id of the question; u64 ms to wait, then ask again. 0: try now, and say LOGIN_DONE */
    ROLE_MSG_TALLY,       /* before GO; u8 own; fd: a page of server/base/tally.h, the role's own or another instance's.
                              A role that is one process gets none */
    ROLE_MSG_MAKE,        /* before GO, to the vault, from init alone: what is missing of the store is made */
    ROLE_MSG_UPGRADE,   /* before GO, to the vault, from upgrade and restore: a store that is to be upgraded is taken */
    ROLE_MSG_QUEUE_KEY, /* before GO; bytes the queue's public key, u8 opens, if so raw32 its secret half */
    ROLE_MSG_RELAY,     /* bytes relay.policy, str the smarthost's password; before GO, and again after a reload */
    ROLE_MSG_CHALLENGES,  /* what an ACME server is answered (challenges_pack), to a role that serves HTTP; before GO if
                            there are any, and whenever they change */
    ROLE_MSG_READY = 100, /* role -> master */
    ROLE_MSG_STATUS_REPLY,  /* role -> master: u32 n, then n times (u32 counter, u64 value) */
    ROLE_MSG_LOGIN_ASK,     /* role -> master: raw17 peer, raw17 network, u64 ms waited so far; one at a time */
    ROLE_MSG_LOGIN_DONE,    /* role -> master, id of the question: u8 failed */
    ROLE_MSG_PEER_GONE,     /* role -> master: u8 enum role, whose channel ended and has had no successor for a second;
                              said again each second */
    ROLE_MSG_LOGIN_FORGIVE, /* role -> master: raw17 peer, raw17 network, raw16 exchange: that one was right */
};

/* What was received before ROLE_GO. Secrets in it live in secmem and are wiped by role_start_wipe. */
struct role_start {
    char dir[512];
    uint32_t instance, instances;
    uint64_t uid, gid;
    struct config config;        /* with the role's share of limits: config_share */
    struct record_bundle *keys;  /* the keys of its row's uses, and the queue's key as its traits say; in secmem, or
                                   * NULL */
    struct certs *certs;         /* or NULL */
    struct relay_policy *policy; /* or NULL */
    char *password;              /* the smarthost's, ROLE_PASSWORD_MAX octets in secmem, or NULL */
    const struct challenges *challenges; /* or NULL: none yet. Lasts until on_challenges */
    int listeners[LISTENERS];            /* -1: none */
    int peers[ROLES];                    /* first channel to each peer role, -1: none */
    bool peer_admin[ROLES];              /* of those: what the PEER message said */
    bool make;                           /* MAKE came */
    bool upgrade;                        /* UPGRADE came */
    int tally;                           /* its own page, -1: none */
    int tallies[TALLY_PAGES_MAX];        /* the others' */
    size_t ntallies;
};

/* Blocking: reads until ROLE_GO; sets the log's role name and level from it and ignores SIGPIPE. Any error is
 * fatal to the role: logs and exits 1. */
void role_receive(struct role_start *ret);
void role_start_wipe(struct role_start *s); /* after use: the keys are gone */

/* Later messages, from the loop. Callbacks may be NULL. */
struct role_hooks {
    void (*on_peer)(void *arg, enum role peer, bool admin, int fd); /* takes fd */
    void (*on_certs)(void *arg, struct certs *certs);               /* a whole set; takes one reference */
    void (*on_config)(void *arg, const struct config *c);
    void (*on_challenges)(void *arg, const struct challenges *c); /* all of them, the callback's time */
    void (*on_relay)(void *arg, struct relay_policy *policy, const char *password); /* takes policy */
    void (*on_stop)(void *arg);
    void (*on_status)(void *arg, struct pack *reply); /* role_status_put */
};
/* Says READY and handles master's messages. Without on_stop, STOP stops the loop; when master is gone, the role
 * stops the loop. A reload's log level is taken over before on_config. Once a process. ERR_IO, ERR_MEMORY. */
int role_attach(struct loop *l, const struct role_hooks *h, void *arg);
void role_status_put(struct pack *reply, enum counter c, uint64_t value);
/* To master, once attached. ERR_GONE, ERR_FULL, ERR_MEMORY. */
int role_send(enum role_msg type, uint64_t id, const struct pack *payload);
/* Who is told of ROLE_MSG_LOGIN_REPLY; its error ends the channel. */
void role_on_login(int (*fn)(void *arg, uint64_t id, uint64_t wait_ms), void *arg);

#endif
