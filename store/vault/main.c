/* The vault's birth: opens the store as its one writer, enters its sandbox, answers clients until master says stop. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto/outer_seal.h"
#include "server/core/error.h"
#include "server/base/event.h"
#include "server/base/role.h"
#include "store/account.h"
#include "store/vault/vault.h"

struct vault_role {
    struct loop *loop;
    struct vault *vault;
};

/* Master says with each channel whose it is; of the administrator's it says so beside. */
static int client_add(struct vault *v, enum role peer, bool admin, int fd)
{
    int err = vault_client_add(v, fd, admin ? VAULT_MAY_ADMIN : ROLE_BIT(peer) & ~(unsigned)VAULT_MAY_ADMIN);
    if (err == OK && !admin)
        vault_client_greet(v);
    return err;
}

static void on_peer(void *arg, enum role peer, bool admin, int fd)
{
    struct vault_role *r = arg;
    int err = client_add(r->vault, peer, admin, fd);
    if (err != OK)
        log_event(vault_client_refused, peer, err);
}

static void on_stop(void *arg)
{
    struct vault_role *r = arg;
    vault_run(r->vault);
    loop_stop(r->loop);
}

static void on_status(void *arg, struct pack *reply)
{
    struct vault *v = ((struct vault_role *)arg)->vault;
    struct vault_row rows[VAULT_STATS_MAX];
    uint32_t n = vault_status(v, rows);
    for (uint32_t i = 0; i < n; i++)
        role_status_put(reply, rows[i].counter, rows[i].value);
}

static void on_config(void *arg, const struct config *c)
{
    struct vault *v = ((struct vault_role *)arg)->vault;
    v->message_max = c->message_max;
    v->entries_max = c->account_entries_max;
    v->uploads_other = c->certificate_uploads_other;
    v->queue.most = c->queue_messages_max;
    v->queue.limits = (struct sending_limits){.messages = c->send_messages_day,
                                              .recipients = c->send_recipients_day,
                                              .first = c->send_new_recipients_day,
                                              .domain_messages = c->send_domain_messages_day,
                                              .complaints = c->complaints_day};
    v->room.wanted = c->disk_reserve;
    room_look(v);
    gate_keep_wildcard(v->gate, c->keep_wildcard_mail);
}

static const struct role_hooks hooks = {.on_peer = on_peer,
                                        .on_config = on_config,
                                        .on_stop = on_stop,
                                        .on_status = on_status};

/* Started as root, the store belongs to the vault's own uid, so that no other role can open it for writing. Only plain
 * files directly in the directory are touched, and no link is followed. */
static int store_own(const char *path, uid_t uid, gid_t gid)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return ERR_IO;
    int err = fchown(dir, uid, gid) == 0 ? OK : ERR_IO;
    DIR *d = fdopendir(dir);
    if (d == NULL) {
        close(dir);
        return ERR_MEMORY;
    }
    for (struct dirent *e; err == OK && (e = readdir(d)) != NULL;) {
        struct stat st;
        if (fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
            continue;
        if (fchownat(dir, e->d_name, uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
            err = ERR_IO;
    }
    closedir(d);
    return err;
}

static int first_commit(const struct role_start *s, struct engine *engine, const struct record_keys *keys)
{
    return s->make ? store_init(engine, keys, (uint64_t)time(NULL)) : store_check(engine, keys, s->upgrade);
}

/* On a disk that is full to the last octet the first commit needs what is kept for that. */
static int store_prepare(const struct role_start *s, struct engine *engine, const struct record_keys *keys)
{
    uint64_t held;
    int err = first_commit(s, engine, keys);
    if (err != ERR_FULL || engine_reserve(engine, 0, &held) != OK || held == 0)
        return err;
    log_event(store_reserve_given_up, held);
    return first_commit(s, engine, keys);
}

static enum event_STORE why_of(int err)
{
    return err == ERR_VERSION   ? EVENT_STORE_NEWER
           : err == ERR_CRYPTO  ? EVENT_STORE_WRONG_KEY
           : err == ERR_OLD     ? EVENT_STORE_OLD
           : err == ERR_UPGRADE ? EVENT_STORE_UPGRADE
                                : EVENT_STORE_OPEN;
}

/* Opens the store at path, and makes what is missing if the start says so. */
static int store_open(const struct role_start *s, const char *path, struct engine **ret_engine,
                      struct record_keys **ret_keys, enum event_STORE *ret_why)
{
    *ret_why = EVENT_STORE_NO_KEY;
    if (s->keys == NULL || s->keys->queue_public_len == 0)
        return ERR_CONFLICT;
    *ret_why = EVENT_STORE_MEMORY;
    struct record_keys *keys = record_keys_create(s->keys);
    if (keys == NULL)
        return ERR_MEMORY;
    struct engine *engine;
    *ret_why = EVENT_STORE_OPEN;
    int err = (s->make ? engine_lmdb_create : engine_lmdb_writer)(path, s->config.map_size, s->config.reader_turn_ms,
                                                                  &engine);
    if (err == OK) {
        err = store_prepare(s, engine, keys);
        *ret_why = why_of(err);
        if (err == OK && geteuid() == 0 && s->uid != 0) {
            err = store_own(path, (uid_t)s->uid, (gid_t)s->gid);
            *ret_why = EVENT_STORE_OWNER;
        }
        if (err != OK)
            engine_close(engine);
    }
    if (err != OK) {
        record_keys_destroy(keys);
        return err;
    }
    *ret_engine = engine;
    *ret_keys = keys;
    return OK;
}

/* What starting again will not mend, master says at once. */
static int exit_status(int err)
{
    return err == ERR_CRYPTO                           ? ROLE_EXIT_KEY
           : err == ERR_VERSION                        ? ROLE_EXIT_VERSION
           : err == ERR_OLD                            ? ROLE_EXIT_OLD
           : err == ERR_UPGRADE                        ? ROLE_EXIT_UPGRADE
           : err == ERR_FORMAT || err == ERR_NOT_FOUND ? ROLE_EXIT_STORE
                                                       : 1;
}

static int enter_sandbox(const struct role_start *s, const char *path)
{
    struct sandbox_params p = {.uid = (uid_t)s->uid,
                               .gid = (gid_t)s->gid,
                               .write_dir = path,
                               .memory = role_memory(ROLE_VAULT, &s->config),
                               .allow_no_landlock = s->config.allow_no_landlock};
    return sandbox_enter_role(ROLE_VAULT, &p);
}

static int serve(struct role_start *s, struct vault_role *role)
{
    for (int i = 0; i < ROLES; i++)
        if (s->peers[i] >= 0) {
            int err = client_add(role->vault, (enum role)i, s->peer_admin[i], s->peers[i]);
            s->peers[i] = -1;
            if (err != OK)
                return err;
        }
    int err = role_attach(role->loop, &hooks, role);
    return err == OK ? loop_run(role->loop) : err;
}

int vault_main(void)
{
    static struct role_start start;
    struct vault_role role = {0};
    struct engine *engine = NULL;
    struct record_keys *keys = NULL;
    enum event_STORE why = EVENT_STORE_OPEN;
    char path[sizeof(start.dir) + 8];

    role_receive(&start);
    snprintf(path, sizeof(path), "%s/store", start.dir);
    int err = store_open(&start, path, &engine, &keys, &why);
    if (err != OK) {
        log_event(vault_no_store, why, err, err == ERR_IO ? errno : 0);
        role_start_wipe(&start);
        _exit(exit_status(err)); /* a word to master, which nothing at exit may change */
    }
    if (outer_seal_init() != OK || enter_sandbox(&start, path) != OK)
        return 1;
    role.loop = loop_create();
    err = role.loop == NULL ? ERR_MEMORY
                            : vault_create(role.loop, engine, keys, start.config.message_max,
                                           start.config.reader_turn_ms, &role.vault);
    if (err == OK)
        on_config(&role, &start.config);
    role_start_wipe(&start);
    if (err == OK)
        err = vault_take_up(role.vault);
    if (err == OK)
        err = queue_count(role.vault);
    if (err == OK)
        err = serve(&start, &role);
    if (err != OK)
        log_event(role_ends, err);
    vault_destroy(role.vault);
    engine_close(engine);
    record_keys_destroy(keys);
    loop_destroy(role.loop);
    return err == OK ? 0 : 1;
}
