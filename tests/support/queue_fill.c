/* queue_fill DIR COUNT FROM TO...: puts the mail on standard input into the outgoing queue of an instance that is not
 * serving, COUNT times, as `ingest` would: it starts the vault and is its client. %d in FROM and TO is the message's
 * number. LIFETIME in the environment: seconds until it expires. Prints each message's id. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/base/loop.h"
#include "server/base/role.h"
#include "server/core/error.h"
#include "server/master/impl.h"
#include "server/master/spawn.h"
#include "server/queue/enqueue.h"
#include "store/storekey.h"

enum { AT_ONCE = 500, TO_MAX = 200, MAIL_MAX = 64 * 1024 * 1024 };

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

/* The text with %d as a number; each thousandth of it as %t. */
static void number(char *out, size_t cap, const char *text, unsigned long n)
{
    size_t len = 0;

    for (; *text && len + 24 < cap; text++) {
        if (text[0] == '%' && text[1] == 'd')
            len += (size_t)snprintf(out + len, cap - len, "%lu", n), text++;
        else if (text[0] == '%' && text[1] == 't')
            len += (size_t)snprintf(out + len, cap - len, "%lu", n % 1000), text++;
        else
            out[len++] = *text;
    }
    out[len] = '\0';
}

static void begin(void);

static void done(void *arg, int status, uint64_t id)
{
    must(status, "enqueue");
    printf("%016llx\n", (unsigned long long)id);
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
    const char *lifetime = getenv("LIFETIME"), *notify = getenv("NOTIFY"), *hold = getenv("HOLD");
    const uint64_t now = (uint64_t)time(NULL);
    struct enqueue *one;

    if (fill.begun == fill.count)
        return;
    q.n = (uint32_t)fill.argc - 4;
    q.envelope = (struct queue_envelope){.queued_at = now,
                                         .expires = now + (lifetime ? (uint64_t)atoi(lifetime) : 432000),
                                         .hold_until = hold ? now + (uint64_t)atoi(hold) : 0,
                                         .account = 1,
                                         .size = fill.mail.iov_len,
                                         .body = QUEUE_8BIT,
                                         .ret = getenv("RET_FULL") ? 1 : 0};
    number(q.envelope.from, sizeof(q.envelope.from), fill.argv[3], fill.begun);
    for (uint32_t i = 0; i < q.n; i++) {
        to[i] = (struct queue_recipient){.n = i + 1,
                                         .state = hold ? QUEUE_HELD : QUEUE_QUEUED,
                                         .local = getenv("LOCAL") != NULL,
                                         .notify = notify ? (uint8_t)atoi(notify) : 0,
                                         .next_try = now};
        number(to[i].to, sizeof(to[i].to), fill.argv[4 + i], fill.begun);
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

int main(int argc, char **argv)
{
    static struct record_bundle keys;
    static struct storekey_roots roots;
    static struct files f;
    struct dir_lock lock = {0};
    struct spawn_params p = {.role = ROLE_VAULT, .keys = &keys};
    char why[300] = "";
    int channel, log, pair[2];
    struct vault_client *vault;
    struct view *v;
    pid_t pid;

    if (argc == 2 && strcmp(argv[1], "role:vault") == 0)
        return vault_main();
    if (argc < 5 || argc - 4 > TO_MAX)
        return 2;
    fill.argc = argc;
    fill.argv = argv;
    fill.count = strtoul(argv[2], NULL, 10);
    read_mail();
    if (files_load(argv[1], &f, why, sizeof(why)) != OK ||
        storekey_unlock(argv[1], f.config.store_key_file, NULL, &roots, why, sizeof(why)) != OK ||
        dir_lock(argv[1], &lock, why, sizeof(why)) != OK) {
        fprintf(stderr, "queue_fill: %s\n", why);
        return 1;
    }
    record_bundle_make(roots.store, roots.queue, &keys);
    must(ipc_pair(pair), "pair");
    p.dir = argv[1];
    p.config = &f.config;
    p.config_text = f.text;
    p.config_len = f.text_len;
    p.lock_fd = lock.file;
    for (int i = 0; i < LISTENERS; i++)
        p.listeners[i] = -1;
    for (int i = 0; i < ROLES; i++)
        p.peers[i] = -1;
    p.peers[ROLE_INGEST] = pair[0];
    must(spawn_role(&p, &pid, &channel, &log), "the vault");
    close(pair[0]);
    must(spawn_wait_ready(channel, 30000), "the vault");
    fill.loop = loop_create();
    vault = vault_client_create(fill.loop, NULL, NULL);
    vault_client_channel(vault, pair[1]);
    must(view_open(argv[1], &keys, f.config.reader_turn_ms, &v), "store");
    fill.by = enqueuer_create(fill.loop, v, vault, slice_of(keys.queue_public, keys.queue_public_len));
    must(fill.by ? OK : ERR_MEMORY, "enqueuer");
    for (int i = 0; i < AT_ONCE; i++)
        begin();
    must(loop_run(fill.loop), "loop");
    return 0;
}
