/* queue_fill DIR COUNT FROM TO...: puts the mail on standard input into the outgoing queue of an instance that is not
 * serving, COUNT times, as `ingest` would, and prints the id of each as soon as it is stored. The vault is in this
 * process: who kills it kills a writer. %d in FROM and TO is the message's number, %t its last three digits. In the
 * environment: ACCOUNT (whose it is; 1), LIFETIME and HOLD (seconds), NOTIFY, RET_FULL, LOCAL. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/outer_seal.h"
#include "server/core/error.h"
#include "server/master/impl.h"
#include "server/queue/enqueue.h"
#include "store/storekey.h"
#include "store/vault/vault.h"

enum { AT_ONCE = 500, TO_MAX = 200, MAIL_MAX = 64 * 1024 * 1024, FIRST_TO = 4 };

static struct {
    struct loop *loop;
    struct enqueuer *by;
    int argc;
    char **argv;
    struct iovec mail;
    unsigned long count, begun, done;
} fill;

static void must(int err, const char *what)
{
    if (err == OK)
        return;
    fprintf(stderr, "queue_fill: %s: %s\n", what, err_str(err));
    exit(1);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);

    return value ? strtoull(value, NULL, 10) : otherwise;
}

static void number(char *out, size_t cap, const char *text, unsigned long n)
{
    size_t len = 0;

    for (; *text && len + 24 < cap; text++) {
        if (text[0] == '%' && text[1] == 'd')
            len += (size_t)snprintf(out + len, cap - len, "%lu", n), text++;
        else if (text[0] == '%' && text[1] == 't')
            len += (size_t)snprintf(out + len, cap - len, "%03lu", n % 1000), text++;
        else
            out[len++] = *text;
    }
    out[len] = '\0';
}

static void begin(void);

static void done(void *arg, int status, uint64_t id, enum sending_verdict verdict)
{
    char text[QUEUE_ID_TEXT];

    must(status, "enqueue");
    queue_id_write(id, text);
    puts(text);
    if (++fill.done == fill.count)
        loop_stop(fill.loop);
    else
        begin();
}

static void begin(void)
{
    static const struct enqueue_hooks hooks = {.done = done};
    static struct queue_recipient to[TO_MAX];
    struct enqueue_request q = {.recipients = to, .mail = &fill.mail, .mail_n = 1};
    const uint64_t now = (uint64_t)time(NULL), hold = setting("HOLD", 0);
    struct enqueue *one;

    if (fill.begun == fill.count)
        return;
    q.n = (uint32_t)(fill.argc - FIRST_TO);
    q.envelope = (struct queue_envelope){.queued_at = now,
                                         .expires = now + setting("LIFETIME", 432000),
                                         .hold_until = hold ? now + hold : 0,
                                         .account = setting("ACCOUNT", 1),
                                         .size = fill.mail.iov_len,
                                         .body = QUEUE_8BIT,
                                         .ret = getenv("RET_FULL") ? 1 : 0,
                                         .tls = (uint8_t)setting("WISH", QUEUE_TLS_USUAL)};
    number(q.envelope.from, sizeof(q.envelope.from), fill.argv[3], fill.begun);
    for (uint32_t i = 0; i < q.n; i++) {
        to[i] = (struct queue_recipient){.n = i + 1,
                                         .state = QUEUE_QUEUED,
                                         .local = getenv("LOCAL") != NULL,
                                         .notify = (uint8_t)setting("NOTIFY", 0),
                                         .next_try = now};
        number(to[i].to, sizeof(to[i].to), fill.argv[FIRST_TO + i], fill.begun);
    }
    fill.begun++;
    must(enqueue_start(fill.by, &q, &hooks, NULL, &one), "enqueue_start");
}

static void read_mail(void)
{
    char *mail = malloc(MAIL_MAX);

    must(mail ? OK : ERR_MEMORY, "mail");
    fill.mail = (struct iovec){mail, fread(mail, 1, MAIL_MAX, stdin)};
}

/* The vault, and its one client. */
static void prepare(const char *dir, const struct config *c, const struct record_keys *keys, struct engine **ret_engine,
                    struct vault **ret_vault)
{
    char path[600];
    int pair[2];
    struct view *view;
    struct vault_client *client;

    snprintf(path, sizeof(path), "%s/store", dir);
    fill.loop = loop_create();
    must(outer_seal_init(), "outer_seal_init");
    must(engine_lmdb_writer(path, c->map_size, c->reader_turn_ms, ret_engine), "store");
    must(vault_create(fill.loop, *ret_engine, keys, c->message_max, c->reader_turn_ms, ret_vault), "vault");
    must(ipc_pair(pair), "pair");
    must(vault_client_add(*ret_vault, pair[0], VAULT_MAY_INGEST), "client");
    must(view_over(*ret_engine, keys, &view), "view");
    client = vault_client_create(fill.loop, NULL, NULL);
    vault_client_channel(client, pair[1]);
    fill.by = enqueuer_create(fill.loop, view, client, record_keys_queue_public(keys));
    must(fill.by ? OK : ERR_MEMORY, "enqueuer");
}

int main(int argc, char **argv)
{
    static struct record_bundle bundle;
    static struct storekey_roots roots;
    static struct files f;
    struct dir_lock lock = {0};
    struct engine *engine;
    struct vault *vault;
    char why[300] = "";

    if (argc <= FIRST_TO || argc - FIRST_TO > TO_MAX)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    fill.argc = argc;
    fill.argv = argv;
    fill.count = strtoul(argv[2], NULL, 10);
    read_mail();
    if (files_load(argv[1], NULL, &f, why, sizeof(why)) != OK ||
        storekey_unlock(argv[1], f.config.store_key_file, NULL, &roots, why, sizeof(why)) != OK ||
        dir_lock(argv[1], &lock, why, sizeof(why)) != OK) {
        fprintf(stderr, "queue_fill: %s\n", why);
        return 1;
    }
    record_bundle_make(roots.store, roots.queue, &bundle);
    prepare(argv[1], &f.config, record_keys_create(&bundle), &engine, &vault);
    for (int i = 0; i < AT_ONCE; i++)
        begin();
    must(loop_run(fill.loop), "loop");
    vault_destroy(vault);
    engine_close(engine);
    return 0;
}
