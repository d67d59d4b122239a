/* Sealing one mail for one account, from plaintext pieces to a parcel for the vault: shared by every role that takes
 * mail in (ingest, access, later web). Finds the account's current keys (cached by keys_version), decides on packets
 * whether the mail is encrypted already (docs/design.md section 1), protects the header by the account's policy, makes
 * capsule and thread identifiers, seals natively or through the gpg role. There is no path that leaves a mail unsealed:
 * any failure is an error. */
#ifndef SEALER_SEALER_H
#define SEALER_SEALER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "server/base/loop.h"
#include "server/gpg/gpg.h"
#include "store/view.h"

struct sealer;
/* NULL: no memory. gpg NULL: keys that need the role fail with ERR_GONE. */
struct sealer *sealer_create(struct loop *l, struct view *v, struct gpg_seal_client *gpg, const char *domain);
void sealer_destroy(struct sealer *s);
/* keep_wildcard_mail of the config: PGP/MIME mail for hidden recipients alone, of whom one may be the account, is kept.
 * At first: no. The vault's gate must be told the same. */
void sealer_keep_wildcard(struct sealer *s, bool keep);

struct seal_request {
    uint64_t account;
    const char *primary; /* the account's, as it was when the recipient was routed; ERR_UNAPPROVED if it is another by
                            now. NULL: any. Lives until done */
    const struct iovec *mail;
    size_t mail_n; /* the original, CRLF lines, as pieces; must live until done */
    uint64_t mail_len;
    /* Strings live until done. */
    const struct sockaddr_storage *peer; /* who sent it; NULL: the server itself. Lives until done */
    const char *return_path;             /* the envelope's sender, "" for none; NULL: the mail did not come by SMTP */
    const char *received;                /* our Received field, complete */
    const char *auth_results;            /* complete field, or "" */
    const char *warnings;                /* for the capsule: words with commas between them, or NULL */
    const char *tls;                     /* conn_tls_info, or "" */
    uint64_t now;                        /* seconds since 1970 */
    int64_t date;                        /* the same, of a mail whose Date is missing or unreadable */
    bool first_contact;                  /* its reader is told that the author is new */
    bool client_append;                  /* an IMAP APPEND: mail that is encrypted already becomes MESSAGE_CLIENT */
    uint64_t plain_max; /* a mail that is still to be sealed has at most so many octets: ERR_LIMIT; 0: any */
};
struct seal_result {
    int parcel_fd;        /* the callback's owner closes it */
    uint8_t kind, policy; /* as VAULT_DELIVER takes them */
    bool wildcard;        /* kept although no key is named */
    uint8_t thread[RECORD_HASH_SIZE], own_id[RECORD_HASH_SIZE];
    uint64_t rendered_size;
};
/* done may be called before sealer_start returns (native keys) or later (gpg). status: OK (r is set), ERR_NO_KEY,
 * ERR_GONE (no gpg role), ERR_AGAIN (too many wait for it), ERR_LIMIT, ERR_MEMORY, ERR_CRYPTO, ERR_NOT_FOUND (account).
 * Opens a snapshot of the view by itself: the caller must have none open. Other than OK: nothing was started and done
 * is not called. */
typedef void seal_done_fn(void *arg, int status, const struct seal_result *r);
struct seal_op;
/* *ret_op NULL: done already. */
int sealer_start(struct sealer *s, const struct seal_request *q, seal_done_fn *done, void *arg,
                 struct seal_op **ret_op);
void sealer_cancel(struct seal_op *op); /* done is not called any more */
/* RCPT-time check: does this account have keys that can be sealed to? OK, ERR_NO_KEY, ERR_NOT_FOUND. Needs a snapshot
 * open. Once that has ended well, sealer_keep_seen keeps the keys that it read for the mail. */
int sealer_can_seal(struct sealer *s, uint64_t account);
void sealer_keep_seen(struct sealer *s);

#endif
