/* Starting a role: fork, re-execute this binary as "letterlock role:NAME", the channel on descriptor 3. Used by
 * master for all roles and by offline commands for the vault and the judge. */
#ifndef MASTER_SPAWN_H
#define MASTER_SPAWN_H

#include <sys/types.h>

#include "server/base/role.h"

struct spawn_params {
    enum role role;
    uint32_t instance, instances; /* which one, of how many; 0: the only one */
    const char *dir;
    const struct config *config;
    const char *config_text;
    size_t config_len;
    const struct record_bundle *keys;    /* the role gets those of its row alone; NULL: none */
    const struct certs *certs;           /* or NULL */
    const struct challenges *challenges; /* or NULL */
    const char *policy;                  /* relay.policy, for a role that sends; NULL: it is told nothing of it */
    size_t policy_len;
    const char *password;     /* the smarthost's, "" for none */
    int listeners[LISTENERS]; /* -1: none */
    int peers[ROLES];         /* -1: none; the ends that go to this role */
    bool peer_admin;          /* the peers given here are admins (offline commands) */
    bool make;                /* the vault makes what is missing of the store (init) */
    bool upgrade;             /* the vault takes a store that is to be upgraded */
    int tally;                /* its page (server/base/tally.h) */
    const int *tallies;       /* every instance's, to read; NULL: it is the only one */
    int lock_fd;              /* the instance's lock, kept by the role; 0: none */
};
/* Everything up to ROLE_GO is sent. ERR_IO: errno says what the kernel refused. The caller keeps its own copies of
 * descriptors. *ret_log: where it is heard (log_pipe.h). */
int spawn_role(const struct spawn_params *p, pid_t *ret_pid, int *ret_channel, int *ret_log);
/* Waits for READY, at most ms. */
int spawn_wait_ready(int channel, int ms);
/* uid and gid for a role: config's base + role when we are root, else 0 (keep). */
void spawn_ids(const struct config *c, enum role role, uint64_t *ret_uid, uint64_t *ret_gid);
/* The payloads of ROLE_MSG_CONFIG, ROLE_MSG_TLS (a pair), ROLE_MSG_CHALLENGES and ROLE_MSG_RELAY; out has IPC_MAX
 * bytes. ERR_LIMIT. */
int spawn_pack_config(const struct spawn_params *p, uint8_t *out, size_t *ret_len);
int spawn_pack_tls(const struct certs *c, size_t pair, uint8_t *out, size_t *ret_len);
int spawn_pack_challenges(const struct challenges *c, uint8_t *out, size_t *ret_len);
int spawn_pack_relay(const struct spawn_params *p, uint8_t *out, size_t *ret_len);

#endif
