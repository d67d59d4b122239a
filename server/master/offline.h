/* Roles for one command: the vault under the lock of the instance, when no server runs, or one that needs no store.
 * They end with the command, however it ends. */
#ifndef MASTER_OFFLINE_H
#define MASTER_OFFLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/record.h"
#include "server/base/config.h"
#include "server/base/roles.h"

struct offline;

struct dir_lock;
struct offline_params {
    const char *dir;
    const struct config *config;
    const char *config_text;
    size_t config_len;
    const struct record_bundle *keys; /* the vault is given those of its row */
    const struct dir_lock *held;      /* the caller's lock on dir; NULL: it is taken */
    bool upgrade;                     /* a store that is to be upgraded is taken, and VAULT_UPGRADE does it */
    enum role peer; /* to whom the role has peer_fd as well, which stays the caller's; ROLE_MASTER: nobody */
    int peer_fd;
    bool make; /* what is missing of the store is made, else it is refused with a word (store/look.h) */
};

/* Takes the lock and starts the vault; *ret_vault is an admin channel to it, owned by the caller. ERR_CONFLICT: a
 * server or another command holds the instance (a server that is just starting answers control_connect a moment
 * later). ERR_CRYPTO, ERR_VERSION, ERR_OLD, ERR_UPGRADE, ERR_FORMAT: the vault did not take the store. why gets a
 * sentence on failure. */
int offline_vault(const struct offline_params *p, struct offline **ret, int *ret_vault, char *why, size_t why_cap);
/* Starts a role that needs neither lock nor store key; *ret_channel is a channel to it, owned by the caller. */
int offline_role(enum role role, const struct offline_params *p, struct offline **ret, int *ret_channel, char *why,
                 size_t why_cap);
/* Stops the role, waits for its end and gives back the lock. NULL is allowed. */
void offline_stop(struct offline *o);

#endif
