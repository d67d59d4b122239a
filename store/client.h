/* A role's way to the vault (server/base/ask.h): asynchronous requests on its loop, replies by callback. When the vault
 * dies, requests marked ASK_AGAIN (those that may run twice: deliveries with an id, for one) wait for the next vault,
 * at most VAULT_WAIT_MS; others fail with ERR_GONE. New requests made meanwhile wait likewise. A vault that lives but
 * does not answer within VAULT_ANSWER_MS is ERR_TIMEOUT: what was asked may still happen. */
#ifndef STORE_CLIENT_H
#define STORE_CLIENT_H

#include "server/base/ask.h"
#include "store/request.h"

enum { VAULT_WAIT_MS = 15000, VAULT_ANSWER_MS = 30000, VAULT_CLIENT_PENDING_MAX = 4096 };

struct vault_client;
typedef ask_fn vault_reply_fn; /* body: for vault_reply_unpack */
/* account 0: a vault tells of all changes from now on, and some before may have gone untold. */
typedef void vault_notice_fn(void *arg, uint64_t account, uint32_t mailbox, uint64_t modseq, uint32_t exists);

struct vault_client *vault_client_create(struct loop *l, vault_notice_fn *notice, void *arg);
void vault_client_destroy(struct vault_client *c);
/* The disk is nearly full: what grows would be refused. */
bool vault_client_full(const struct vault_client *c);
void vault_client_channel(struct vault_client *c, int fd); /* the first or a new vault's channel; takes fd */

/* Asks; fd (or -1) is duplicated. A delivery with an id, a notice, and ids to forget are asked again when the vault
 * dies over it. Not OK (ERR_FULL, ERR_GONE, ERR_MEMORY; ERR_LIMIT: a value out of bounds): fn is not called. *ret_id
 * (may be NULL) is for vault_client_forget. */
int vault_client_request(struct vault_client *c, const struct vault_request *q, int fd, vault_reply_fn *fn, void *arg,
                         uint64_t *ret_id);
void vault_client_forget(struct vault_client *c, uint64_t id); /* the asker is gone: fn will not be called */

/* Blocking, for the command line: one request on a raw channel. text gets the vault's sentence; ret may be NULL.
 * Notices are skipped. ERR_LIMIT: a value out of bounds. */
int vault_call(int channel, const struct vault_request *q, int fd, struct vault_reply *ret, char text[256]);

#endif
