/* A hot copy of the store, made by a thread of its own while the loop goes on; and the counters. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/core/error.h"
#include "store/vault/vault.h"

enum { BACKUP_STACK = 512 * 1024 };

struct backup {
    struct vault *vault;
    struct request *request;
    pthread_t thread;
    struct watch *watch;
    int done_fd, fd, status;
    uint64_t bytes;
};

static void *backup_thread(void *arg)
{
    struct backup *b = arg;
    struct stat st;
    b->status = engine_copy(b->vault->engine, b->fd);
    if (b->status == OK && (fsync(b->fd) != 0 || fstat(b->fd, &st) != 0))
        b->status = errno == ENOSPC ? ERR_FULL : ERR_IO;
    if (b->status == OK)
        b->bytes = (uint64_t)st.st_size;
    uint64_t one = 1;
    while (write(b->done_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    return NULL;
}

void backup_destroy(struct backup *b)
{
    if (b == NULL)
        return;
    pthread_join(b->thread, NULL);
    watch_destroy(b->watch);
    close(b->done_fd);
    const struct vault_reply r = {.bytes = b->bytes};
    b->vault->backup = NULL;
    vault_answer(b->vault, b->request, b->status,
                 b->status == OK         ? ""
                 : b->status == ERR_FULL ? "the copy could not be written: no space left on the disk it goes to"
                                         : "the copy could not be written",
                 &r);
    free(b);
}

static void backup_done(void *arg, unsigned events)
{
    struct backup *b = arg;
    b->vault->count.backups += b->status == OK;
    backup_destroy(b);
}

static int backup_start(struct vault *v, struct request *q)
{
    struct backup *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return ERR_MEMORY;
    b->vault = v;
    b->request = q;
    b->fd = q->fd;
    b->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    b->watch = b->done_fd < 0 ? NULL : watch_create(v->loop, b->done_fd, LOOP_READ, backup_done, b);
    pthread_attr_t attr;
    int failed = b->watch == NULL || pthread_attr_init(&attr) != 0;
    if (!failed) {
        failed = pthread_attr_setstacksize(&attr, BACKUP_STACK) != 0 ||
                 pthread_create(&b->thread, &attr, backup_thread, b) != 0;
        pthread_attr_destroy(&attr);
    }
    if (failed) {
        watch_destroy(b->watch);
        if (b->done_fd >= 0)
            close(b->done_fd);
        free(b);
        return ERR_MEMORY;
    }
    v->backup = b;
    return OK;
}

int run_backup(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r, const char **ret_text)
{
    struct stat st;
    if (v->backup != NULL)
        vault_answer(v, q, ERR_CONFLICT, "another backup is being made", NULL);
    else if (fstat(q->fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != 0)
        vault_answer(v, q, ERR_REFUSED, "a backup goes into an empty regular file", NULL);
    else if (backup_start(v, q) != OK)
        vault_answer(v, q, ERR_MEMORY, "out of memory", NULL);
    return OK;
}

uint32_t vault_status(const struct vault *v, struct vault_row ret[VAULT_STATS_MAX])
{
    struct engine_stat s = {0};
    (void)engine_stat_get(v->engine, &s);
    const struct vault_counters *c = &v->count;
    const struct vault_row rows[] = {
        {COUNTER_VAULT_REQUESTS, c->requests},
        {COUNTER_VAULT_GROUPS, c->groups},
        {COUNTER_VAULT_GROUPS_SPOILED, c->spoiled},
        {COUNTER_VAULT_COMMITS_FAILED, c->commit_failed},
        {COUNTER_VAULT_COMMITS_UNKNOWN, c->commit_unknown},
        {COUNTER_VAULT_DELIVERED, c->delivered},
        {COUNTER_VAULT_DUPLICATES, c->duplicates},
        {COUNTER_VAULT_DELIVERIES_SEEN, c->seen},
        {COUNTER_VAULT_GATE_REFUSED, c->refused},
        {COUNTER_VAULT_REQUESTS_DENIED, c->denied},
        {COUNTER_VAULT_REFUSED_FULL, c->refused_full},
        {COUNTER_VAULT_DISK_FULL_NOW, v->room.full},
        {COUNTER_VAULT_DISK_FREE_BYTES, v->room.free},
        {COUNTER_VAULT_DISK_RESERVE_BYTES, v->room.reserve},
        {COUNTER_VAULT_CLIENTS_BROKEN, c->broken_clients},
        {COUNTER_VAULT_CLIENTS, v->nclients},
        {COUNTER_VAULT_NOTICES, c->notices},
        {COUNTER_VAULT_BACKUPS, c->backups},
        {COUNTER_VAULT_QUEUE_MESSAGES, v->queue.messages},
        {COUNTER_VAULT_ACCOUNTS_HELD, v->queue.held},
        {COUNTER_VAULT_ADDRESSES_SUPPRESSED, v->queue.suppressed},
        {COUNTER_VAULT_COMPLAINTS, c->complaints},
        {COUNTER_VAULT_TLS_TALLIES, v->queue.tallies},
        {COUNTER_VAULT_STORE_MAP_BYTES, s.map_size},
        {COUNTER_VAULT_STORE_USED_BYTES, s.used_bytes},
        {COUNTER_VAULT_STORE_FREE_BYTES, s.free_bytes},
        {COUNTER_VAULT_STORE_ENTRIES, s.entries},
        {COUNTER_VAULT_STORE_SEQUENCE, s.seq},
    };
    _Static_assert(sizeof(rows) / sizeof(rows[0]) <= VAULT_STATS_MAX, "a reply holds them");
    memcpy(ret, rows, sizeof(rows));
    return sizeof(rows) / sizeof(rows[0]);
}

int run_stat(struct vault *v, struct store_write *w, struct request *q, struct vault_reply *r, const char **ret_text)
{
    struct vault_row rows[VAULT_STATS_MAX];
    struct vault_stat stats[VAULT_STATS_MAX];
    uint32_t n = vault_status(v, rows);
    for (uint32_t i = 0; i < n; i++)
        stats[i] = (struct vault_stat){slice_str(counter_name(rows[i].counter)), rows[i].value};
    vault_answer(v, q, OK, NULL, &(struct vault_reply){.stats = {n, stats}});
    return OK;
}
