/* One mail into one account: it is sealed, and what was sealed is handed to the vault. Every role that takes mail in
 * goes this way, so nothing comes to the vault that the sealer has not made. */
#ifndef SEALER_DEPOSIT_H
#define SEALER_DEPOSIT_H

#include "server/sealer/sealer.h"
#include "store/client.h"

/* What a role deposits with; both are the role's. */
struct depositor {
    struct sealer *sealer;
    struct vault_client *vault;
};

struct deposit_request {
    struct seal_request seal;
    /* VAULT_DELIVER, VAULT_REPLACE or VAULT_KEY_NOTICE. Account, kind, policy, thread and own_id come from the seal.
     * What it points to must live until `sealed` was called, or the deposit has ended. */
    struct vault_request store;
};

enum deposit_stage { DEPOSIT_SEALING, DEPOSIT_STORING };

struct deposit_result {
    enum deposit_stage stage; /* where it ended: ERR_NOT_FOUND names the account while sealing, later the mailbox */
    bool duplicate;           /* nothing was stored: it is there already */
    uint32_t uidvalidity, uid;
};

struct deposit_hooks {
    /* The parcel is made, and the mail's text is no longer needed. Perhaps called before deposit_start returns. It must
     * not cancel the deposit. */
    void (*sealed)(void *arg, const struct seal_result *r);
    /* The end, after deposit_start has returned. OK: the mail is synced. Otherwise r has its stage alone. */
    void (*done)(void *arg, int status, const struct deposit_result *r);
};

struct deposit;
/* Seals at once with native keys, later through the gpg role. No snapshot of the view may be open. Not OK: nothing is
 * under way and done is not called; the sealer's errors, or the vault client's (ERR_FULL, ERR_MEMORY). */
int deposit_start(const struct depositor *d, const struct deposit_request *q, const struct deposit_hooks *hooks,
                  void *arg, struct deposit **ret);
/* done will not be called. A mail that the vault has been asked to store may still be stored. */
void deposit_cancel(struct deposit *d);

#endif
