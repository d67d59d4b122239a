/* A role's way to the vault (server/base/ask.h): asynchronous requests on its loop, replies by callback. When the vault
 * dies, requests marked ASK_AGAIN (those that may run twice: deliveries with an id) wait for the next vault, at most
 * VAULT_WAIT_MS; others fail with ERR_GONE. New requests made meanwhile wait likewise. A vault that lives but does not
 * answer within VAULT_ANSWER_MS is ERR_TIMEOUT: what was asked may still happen. */
#ifndef STORE_CLIENT_H
#define STORE_CLIENT_H

#include "server/base/ask.h"
#include "store/request.h"

enum { VAULT_WAIT_MS = 15000, VAULT_ANSWER_MS = 30000, VAULT_CLIENT_PENDING_MAX = 4096 };

struct vault_client;
typedef ask_fn vault_reply_fn;
typedef void vault_notice_fn(void *arg, uint64_t account, uint32_t mailbox, uint64_t modseq, uint32_t exists);

struct vault_client *vault_client_create(struct loop *l, vault_notice_fn *notice, void *arg);
void vault_client_destroy(struct vault_client *c);
void vault_client_channel(struct vault_client *c, int fd); /* the first or a new vault's channel; takes fd */

/* payload is copied; fd (or -1) is duplicated. Fails at once with ERR_FULL past VAULT_CLIENT_PENDING_MAX (fn is then
 * not called). *ret_id (may be NULL) is for vault_client_forget. */
int vault_client_request(struct vault_client *c, enum vault_request type, const struct pack *payload, int fd,
                         unsigned flags, vault_reply_fn *fn, void *arg, uint64_t *ret_id);
void vault_client_forget(struct vault_client *c, uint64_t id); /* the asker is gone: fn will not be called */

struct vault_deliver {
    uint64_t account;
    uint32_t mailbox;
    uint8_t kind, policy;
    uint64_t internaldate;
    uint8_t delivery[16], thread[16], own_id[16];
    uint32_t expiry_hour;
    uint64_t flags;
    const char *const *keywords;
    uint8_t nkeywords;
    uint32_t replaced_in, replaced; /* mailbox and UID of a message that goes in the same commit; replaced 0: none */
};
int vault_client_deliver(struct vault_client *c, const struct vault_deliver *d, int parcel_fd, vault_reply_fn *fn,
                         void *arg, uint64_t *ret_id);

/* Blocking, for the command line: one request on a raw channel. reply (IPC_MAX) holds the bytes body points into; text
 * gets the vault's sentence. Notices are skipped. */
int vault_call(int channel, enum vault_request type, const struct pack *payload, int fd, uint8_t *reply,
               struct unpack *ret_body, char text[256]);

#endif
