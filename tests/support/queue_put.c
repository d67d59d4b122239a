/* queue_put DIR COUNT FROM TO...: puts the mail on stdin into the queue of an instance that is not served, COUNT times,
 * by the way that ingest takes, and prints each id. STORE_KEY_FILE opens the store key. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/outer_seal.h"
#include "server/core/error.h"
#include "server/queue/enqueue.h"
#include "store/storekey.h"
#include "store/vault/vault.h"

enum { MAP = 1 << 30, TURN_MS = 50, TO_MAX = 100, MAIL_MAX = 1 << 20 };

static struct loop *loop;
static unsigned left;

static void on_done(void *arg, int status, uint64_t id)
{
    char text[QUEUE_ID_TEXT];
    (void)arg;
    queue_id_write(id, text);
    if (status != OK)
        fprintf(stderr, "queue_put: %s\n", err_str(status));
    else
        puts(text);
    if (--left == 0)
        loop_stop(loop);
}

static struct enqueuer *prepare(const char *dir, const struct record_keys *keys, struct engine **ret_engine,
                                struct vault **ret_vault)
{
    char path[600];
    int pair[2];
    struct view *view;
    snprintf(path, sizeof(path), "%s/store", dir);
    loop = loop_create();
    if (outer_seal_init() != OK || engine_lmdb_writer(path, MAP, TURN_MS, ret_engine) != OK ||
        vault_create(loop, *ret_engine, keys, 50 << 20, TURN_MS, ret_vault) != OK || ipc_pair(pair) != OK ||
        vault_client_add(*ret_vault, pair[0], VAULT_MAY_INGEST) != OK || view_over(*ret_engine, keys, &view) != OK)
        return NULL;
    struct vault_client *client = vault_client_create(loop, NULL, NULL);
    vault_client_channel(client, pair[1]);
    return enqueuer_create(loop, view, client, record_keys_queue_public(keys));
}

static int put(struct enqueuer *e, unsigned count, const char *from, char **to, unsigned nto)
{
    static const struct enqueue_hooks hooks = {NULL, on_done};
    static struct queue_recipient recipients[TO_MAX];
    static char mail[MAIL_MAX];
    const struct iovec part = {mail, fread(mail, 1, sizeof(mail), stdin)};
    struct enqueue_request q = {.recipients = recipients, .n = nto, .mail = &part, .mail_n = 1};
    q.envelope.queued_at = (uint64_t)time(NULL);
    q.envelope.expires = q.envelope.queued_at + 5 * 86400;
    snprintf(q.envelope.from, sizeof(q.envelope.from), "%s", from);
    for (unsigned i = 0; i < nto; i++) {
        recipients[i].state = QUEUE_QUEUED;
        snprintf(recipients[i].to, sizeof(recipients[i].to), "%s", to[i]);
    }
    for (unsigned done = 0; done < count; done += left) {
        unsigned batch = count - done < 64 ? count - done : 64;
        left = batch;
        for (unsigned k = 0; k < batch; k++) {
            struct enqueue *one;
            if (enqueue_start(e, &q, &hooks, NULL, &one) != OK)
                return 1;
        }
        if (loop_run(loop) != OK)
            return 1;
        left = batch;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct storekey_roots roots;
    static struct record_bundle bundle;
    struct engine *engine;
    struct vault *vault;
    char why[2400] = "";
    if (argc < 5 || argc - 4 > TO_MAX)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (storekey_unlock(argv[1], getenv("STORE_KEY_FILE"), NULL, &roots, why, sizeof(why)) != OK) {
        fprintf(stderr, "queue_put: %s\n", why);
        return 1;
    }
    record_bundle_make(roots.store, roots.queue, &bundle);
    struct enqueuer *e = prepare(argv[1], record_keys_create(&bundle), &engine, &vault);
    int rc = e == NULL ? 1 : put(e, (unsigned)atoi(argv[2]), argv[3], argv + 4, (unsigned)argc - 4);
    if (e != NULL) {
        vault_destroy(vault);
        engine_close(engine);
    }
    return rc;
}
