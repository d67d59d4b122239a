/* role_reader DIR ROLE: what somebody could read who had taken over a role. This program is started in the role's place
 * by master's own code, with the descriptors and the keys that the role gets, opens the store as the role does, enters
 * the role's sandbox, and then tries every key that it has on every record. ROLE "root": what there is, by all keys.
 *
 * Lines on stdout: "LETTER HOME RECORDS OPENED", and "key NAME VALUE" for the rest. Run by test_role_keys.py. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/approver.h"
#include "server/base/role.h"
#include "server/format/parcel.h"
#include "server/core/error.h"
#include "server/master/spawn.h"
#include "store/engine.h"
#include "store/schema.h"
#include "store/schema_table.h"
#include "store/storekey.h"
#include "store/view.h"

enum { SAY = 1000, PARTS = 64, MESSAGES = 64, LINE = 256, TURN_MS = 600000 /* nobody writes meanwhile */ };

static int channel = -1; /* where lines go; -1: stdout */

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    char line[LINE];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    if (channel < 0)
        printf("%s\n", line);
    else if (ipc_send_blocking(channel, SAY, 0, line, (size_t)n, NULL, 0) != OK)
        _exit(2);
}

struct tally {
    const struct record_keys *keys;
    uint64_t part;
    unsigned records[4][128], opened[4][128]; /* by home: the instance, accounts, the queue, the keyserver */
    uint64_t parts[PARTS], messages[MESSAGES][2];
    unsigned nmessages;
    unsigned nparts;
};

static bool opens(const struct record_keys *k, const uint8_t *place, size_t place_len, struct slice value)
{
    static uint8_t plain[ENGINE_VALUE_MAX];
    size_t len;
    for (unsigned use = 0; use < RECORD_USES; use++)
        if (record_keys_have(k, use) && record_open(k, use, place, place_len, value.data, value.len, plain, &len) == OK)
            return true;
    return false;
}

/* Whole, or from any octet on: nothing that is sealed inside of something else goes unseen. */
static int one_record(void *arg, struct slice key, struct slice value)
{
    struct tally *t = arg;
    uint8_t place[8 + ENGINE_KEY_MAX];
    struct pack p;
    const unsigned letter = key.data[0] & 127, home = t->part == PART_QUEUE       ? 2
                                                      : t->part == PART_KEYSERVER ? 3
                                                                                  : t->part != PART_INSTANCE;
    pack_init(&p, place, sizeof(place));
    pack_u64(&p, t->part);
    pack_raw(&p, key.data, key.len);
    t->records[home][letter]++;
    if (letter == 'm' && t->nmessages < MESSAGES) {
        struct unpack u;
        unpack_init(&u, key.data + 1, key.len - 1);
        t->messages[t->nmessages][0] = t->part;
        t->messages[t->nmessages++][1] = unpack_u64(&u);
    }
    for (size_t from = 0; from + RECORD_OVERHEAD <= value.len; from++)
        if (opens(t->keys, place, p.len, slice_of(value.data + from, value.len - from))) {
            t->opened[home][letter]++;
            break;
        }
    return 0;
}

static int one_part(void *arg, uint64_t part)
{
    struct tally *t = arg;
    t->parts[t->nparts++] = part;
    return t->nparts == PARTS;
}

static int read_all(struct engine *e, struct tally *t)
{
    struct engine_txn *txn;
    int err = engine_read_begin(e, &txn);
    if (err != OK)
        return err;
    err = engine_partitions(txn, one_part, t);
    for (unsigned i = 0; err == OK && i < t->nparts; i++) {
        t->part = t->parts[i];
        err = engine_scan(txn, t->part, slice_of("", 0), slice_of("", 0), 0, one_record, t);
    }
    (void)engine_read_end(txn);
    return err;
}

static void say_tally(const struct tally *t)
{
    static const char *const homes[] = {"instance", "account", "queue", "keyserver"};
    for (unsigned home = 0; home < 4; home++)
        for (unsigned letter = 0; letter < 128; letter++)
            if (t->records[home][letter])
                say("%c %s %u %u", (char)letter, homes[home], t->records[home][letter], t->opened[home][letter]);
}

/* ---- whole messages, by the read side of the store ---- */

struct messages {
    const struct tally *t;
    uint64_t account, id;
    unsigned opened;
};

static int one_message(void *arg, struct view *v)
{
    static uint8_t out[64 * 1024], outer[SCHEMA_OUTER_MAX];
    const struct messages *s = arg;
    struct schema_message m;
    int err = view_message(v, s->account, s->id, &m, outer);
    for (uint64_t at = 0; err == OK && at < m.packets_len; at += sizeof(out))
        err = view_packets(v, s->account, &m, at, out,
                           m.packets_len - at < sizeof(out) ? (size_t)(m.packets_len - at) : sizeof(out));
    return err == OK ? view_capsule(v, s->account, &m, 0, out, m.capsule_len) : err;
}

static unsigned messages_opened(struct engine *e, const struct tally *t, const struct record_bundle *b)
{
    struct messages s = {.t = t};
    struct view *v;
    struct record_keys *keys = record_keys_create(b);
    if (!keys || view_over(e, keys, &v) != OK)
        _exit(3);
    for (unsigned i = 0; i < t->nmessages; i++) {
        s.account = t->messages[i][0];
        s.id = t->messages[i][1];
        s.opened += view_run(v, one_message, &s) == OK;
    }
    view_close(v);
    record_keys_destroy(keys);
    return s.opened;
}

/* With its keys as they are; and with each of them in the place of those that it lacks. */
static unsigned most_messages(struct engine *e, const struct tally *t, const struct record_bundle *b)
{
    static struct record_bundle other;
    unsigned most = messages_opened(e, t, b);
    for (unsigned held = 0; held < RECORD_USES; held++) {
        if (!(b->uses & RECORD_BIT(held)))
            continue;
        other = *b;
        other.uses = RECORD_ALL;
        for (unsigned use = 0; use < RECORD_USES; use++)
            if (!(b->uses & RECORD_BIT(use)))
                memcpy(other.key[use], b->key[held], RECORD_KEY_SIZE);
        unsigned n = messages_opened(e, t, &other);
        most = n > most ? n : most;
    }
    return most;
}

/* Of all that was sent, from any octet on: is anything the root, that is, does it make the approver's key, or another
 * key? */
static unsigned roots_in(const struct record_bundle *b)
{
    uint8_t sent[RECORD_BUNDLE_MAX], approver[APPROVER_PUBLIC_SIZE];
    size_t len = record_bundle_pack(b, RECORD_ALL, sent);
    unsigned n = 0;
    for (size_t at = 0; at + RECORD_KEY_SIZE <= len; at++) {
        approver_public(sent + at, approver);
        n += memcmp(approver, b->approver, sizeof(approver)) == 0;
    }
    return n;
}

static void say_door(const char *what, const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    say("key %s %d", what, fd < 0 ? errno : 0);
    if (fd >= 0)
        close(fd);
}

static int act(enum role role)
{
    static struct role_start start;
    static struct tally t;
    char store[600], slots[600];
    struct engine *e;
    role_receive(&start);
    channel = ROLE_CHANNEL_FD;
    if (!start.keys) {
        say("key uses 0");
        return 0;
    }
    snprintf(store, sizeof(store), "%s/store", start.dir);
    snprintf(slots, sizeof(slots), "%s/store.key", start.dir);
    struct record_keys *keys = record_keys_create(start.keys);
    const struct sandbox_params p = {.uid = (uid_t)start.uid,
                                     .gid = (gid_t)start.gid,
                                     .write_dir = role == ROLE_VAULT ? store : NULL,
                                     .allow_no_landlock = start.config.allow_no_landlock};
    if (!keys || engine_lmdb_reader(store, TURN_MS, &e) != OK || sandbox_enter_role(role, &p) != OK)
        return 1;
    say("key uses %u", start.keys->uses);
    say("key roots %u", roots_in(start.keys));
    t.keys = keys;
    int err = read_all(e, &t);
    say_tally(&t);
    say("key messages %u", most_messages(e, &t, start.keys));
    say_door("slots", slots, O_RDONLY);
    say_door("key-file", start.config.store_key_file, O_RDONLY);
    say("key error %d", -err);
    return 0;
}

/* ---- the parent ---- */

static char text[64 * 1024];
static struct config config;
static struct record_bundle bundle;

static int prepare(const char *dir)
{
    char path[600], why[2400] = "";
    struct storekey_roots roots;
    snprintf(path, sizeof(path), "%s/letterlock.conf", dir);
    FILE *f = fopen(path, "r");
    size_t len = f ? fread(text, 1, sizeof(text), f) : 0;
    if (f)
        fclose(f);
    if (!len || config_parse(text, len, &config, why, sizeof(why)) != OK ||
        storekey_unlock(dir, config.store_key_file, NULL, &roots, why, sizeof(why)) != OK) {
        fprintf(stderr, "role_reader: %s\n", why);
        return 1;
    }
    record_bundle_make(roots.store, roots.queue, &bundle);
    return 0;
}

static int by_root(const char *dir)
{
    static struct tally t;
    char store[600];
    struct engine *e;
    snprintf(store, sizeof(store), "%s/store", dir);
    struct record_keys *keys = record_keys_create(&bundle);
    if (!keys || engine_lmdb_reader(store, TURN_MS, &e) != OK)
        return 1;
    t.keys = keys;
    int err = read_all(e, &t);
    say_tally(&t);
    engine_close(e);
    record_keys_destroy(keys);
    return err == OK ? 0 : 1;
}

static int by_role(const char *dir, enum role role)
{
    static uint8_t buf[IPC_MAX];
    struct spawn_params p = {.role = role,
                             .dir = dir,
                             .config = &config,
                             .config_text = text,
                             .config_len = strlen(text),
                             .keys = roles_table[role].uses ? &bundle : NULL};
    struct ipc_msg m;
    pid_t pid;
    int log, fd, status;
    for (int i = 0; i < LISTENERS; i++)
        p.listeners[i] = -1;
    for (int i = 0; i < ROLES; i++)
        p.peers[i] = -1;
    if (spawn_role(&p, &pid, &fd, &log) != OK)
        return 1;
    while (ipc_recv_blocking(fd, buf, &m, 60000) == OK && m.type == SAY)
        printf("%.*s\n", (int)m.payload.len, (const char *)m.payload.data);
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static enum role role_of(const char *name)
{
    for (int i = 0; i < ROLES; i++)
        if (strcmp(name, role_name((enum role)i)) == 0)
            return (enum role)i;
    return ROLE_MASTER;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strncmp(argv[1], "role:", 5) == 0)
        return act(role_of(argv[1] + 5));
    if (argc != 3 || sodium_init() < 0)
        return 2;
    if (prepare(argv[1]))
        return 1;
    return strcmp(argv[2], "root") == 0 ? by_root(argv[1]) : by_role(argv[1], role_of(argv[2]));
}
