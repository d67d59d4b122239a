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

enum deposit_kind {
    DEPOSIT_DELIVER,    /* a new message */
    DEPOSIT_REPLACE,    /* the same, and another message goes in the same commit */
    DEPOSIT_KEY_NOTICE, /* a notice of a key's end, noted with the key in the same commit */
};

/* What it points to must live until `sealed` was called, or the deposit has ended. */
struct deposit_request {
    enum deposit_kind kind;
    struct seal_request seal; /* the account and the mail */
    uint32_t mailbox;
    uint64_t internaldate; /* seconds since 1970 */
    /* A delivery with the id of one that is stored stores nothing. Zeros: no id; then a vault that dies over the
     * delivery is not asked again, since that might store it twice. DEPOSIT_KEY_NOTICE takes none and needs none. */
    uint8_t delivery[RECORD_HASH_SIZE];
    uint64_t flags;
    const char *const *keywords;
    uint8_t nkeywords;
    struct {
        uint32_t mailbox, uid;
    } replaced; /* DEPOSIT_REPLACE */
    struct {
        uint8_t fpr[PGP_FPR_MAX], fpr_len, events; /* enum key_event */
        uint32_t keys_version;
    } notice; /* DEPOSIT_KEY_NOTICE */
};

enum deposit_stage { DEPOSIT_SEALING, DEPOSIT_STORING };

struct deposit_result {
    enum deposit_stage stage; /* where it ended: ERR_NOT_FOUND names the account while sealing, later the mailbox */
    bool duplicate;           /* nothing was stored: it is there already */
    uint32_t uidvalidity, uid;
};

struct deposit_hooks {
    /* The parcel is made: the mail's text is needed no more. It may be called before deposit_start returns, and must
     * not cancel the deposit. */
    void (*sealed)(void *arg, const struct seal_result *r);
    /* The end; never before deposit_start has returned. OK: it is synced. r holds more than its stage when OK alone. */
    void (*done)(void *arg, int status, const struct deposit_result *r);
};

struct deposit;
/* Seals at once with native keys, later through the gpg role. No snapshot of the view may be open. Not OK: nothing is
 * under way and done is not called; the sealer's errors, or the vault client's (ERR_FULL, ERR_MEMORY). */
int deposit_start(const struct depositor *d, const struct deposit_request *q, const struct deposit_hooks *hooks,
                  void *arg, struct deposit **ret);
/* done is not called any more. What the vault was asked already may still be stored. */
void deposit_cancel(struct deposit *d);

#endif
