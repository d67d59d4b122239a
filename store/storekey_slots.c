/* The slot files DIR/store.key and DIR/queue.key: a root wrapped once by each slot's own key (XChaCha20-Poly1305, the
 * slot's head as associated data, so that no cost or number can be changed unnoticed). A file is replaced as a whole:
 * written beside, synced, renamed, and the directory synced.
 *
 * "LLSK" or "LLQK", u8 version, u8 slots, then per slot: u32 number, u8 kind, u64 created, u64 passes, u64 memory,
 * raw16 salt, raw24 nonce, raw48 wrapped. */
#include "store/storekey_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/read_to_end.h"
#include "server/core/wire.h"

enum {
    HEAD_SIZE = 4 + 1 + 8 + 8 + 8 + SALT_SIZE,
    SLOT_SIZE = HEAD_SIZE + NONCE_SIZE + WRAPPED_SIZE,
    FILE_MAX = 6 + SLOTS_MAX * SLOT_SIZE,
    FILE_VERSION = 1,
};
/* RFC 9106 section 4's second choice has 3 passes over 64 MiB in 4 lanes; libsodium has one lane, so a pass more. */
#define PASSES 4ULL
#define PASSES_MAX 16ULL
#define MEMORY (64ULL << 20)
#define MEMORY_MAX (1ULL << 30) /* a file that was tampered with shall not exhaust the machine */

const struct slot_file slot_files[FILES] = {
    [QUEUE] = {"queue.key", "queue.key.new", "LLQK", offsetof(struct storekey_roots, queue)},
    [STORE] = {"store.key", "store.key.new", "LLSK", offsetof(struct storekey_roots, store)},
};

static void pack_head(struct pack *p, const struct slot *s)
{
    pack_u32(p, s->number);
    pack_u8(p, s->kind);
    pack_u64(p, s->created);
    pack_u64(p, s->passes);
    pack_u64(p, s->memory);
    pack_raw(p, s->salt, SALT_SIZE);
}

static int slots_decode(const char *its_magic, const uint8_t *data, size_t len, struct slots *ret)
{
    struct slots s = {.n = 0};
    struct unpack u;
    struct slice magic;
    uint8_t version, n;

    unpack_init(&u, data, len);
    magic = unpack_raw(&u, 4);
    if (u.failed || memcmp(magic.data, its_magic, 4) != 0)
        return ERR_FORMAT;
    version = unpack_u8(&u);
    if (!u.failed && version != FILE_VERSION)
        return ERR_VERSION;
    n = unpack_u8(&u);
    if (n > SLOTS_MAX)
        return ERR_FORMAT;
    for (; s.n < n; s.n++) {
        struct slot *t = &s.slot[s.n];
        struct slice raw;

        t->number = unpack_u32(&u);
        t->kind = unpack_u8(&u);
        t->created = unpack_u64(&u);
        t->passes = unpack_u64(&u);
        t->memory = unpack_u64(&u);
        raw = unpack_raw(&u, SALT_SIZE + NONCE_SIZE + WRAPPED_SIZE);
        if (u.failed || t->passes > PASSES_MAX || t->memory > MEMORY_MAX)
            return ERR_FORMAT;
        memcpy(t->salt, raw.data, SALT_SIZE);
        memcpy(t->nonce, raw.data + SALT_SIZE, NONCE_SIZE);
        memcpy(t->wrapped, raw.data + SALT_SIZE + NONCE_SIZE, WRAPPED_SIZE);
    }
    if (!unpack_done(&u))
        return ERR_FORMAT;
    *ret = s;
    return OK;
}

int slot_path_in(const char *dir, const char *name, char out[1024])
{
    int n = snprintf(out, 1024, "%s/%s", dir, name);
    return n < 0 || n >= 1024 ? ERR_LIMIT : OK;
}

/* A FIFO or a device in its place must not have the server wait for ever. */
int slot_open_file(const char *path, int flags, struct stat *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);

    if (fd >= 0 && fstat(fd, ret) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int slots_load(const char *dir, int file, struct slots *ret)
{
    uint8_t data[FILE_MAX + 1];
    char path[1024];
    struct stat st;
    size_t len;
    int fd, r;

    if (slot_path_in(dir, slot_files[file].name, path) != OK)
        return ERR_LIMIT;
    fd = slot_open_file(path, O_NOFOLLOW, &st);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    r = S_ISREG(st.st_mode) ? read_to_end(fd, READ_ALL, data, sizeof(data), &len) : ERR_FORMAT;
    close(fd);
    return r == OK ? slots_decode(slot_files[file].magic, data, len, ret) : r;
}

static int write_whole(int fd, const uint8_t *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO;
        data += n;
        len -= (size_t)n;
    }
    return OK;
}

static int sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = fd >= 0 && fsync(fd) == 0 ? OK : ERR_IO;

    if (fd >= 0)
        close(fd);
    return err;
}

/* Puts the new file in place. fresh: there must be none yet. The former one's bytes are overwritten, so that a
 * slot that was removed does not lie about in a freed block (as far as the file system and the medium write in
 * place). */
static int replace(const char *dir, const char *new_path, const char *path, bool fresh)
{
    static const uint8_t zeros[FILE_MAX];
    struct stat st;
    int old = -1, r = OK;

    if (fresh) {
        if (link(new_path, path) != 0)
            r = errno == EEXIST ? ERR_EXISTS : ERR_IO;
        unlink(new_path);
        return r == OK ? sync_dir(dir) : r;
    }
    old = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (rename(new_path, path) != 0)
        r = ERR_IO;
    if (r == OK)
        r = sync_dir(dir);
    if (r == OK && old >= 0 && fstat(old, &st) == 0 && st.st_nlink == 0 && st.st_size <= FILE_MAX &&
        pwrite(old, zeros, (size_t)st.st_size, 0) == st.st_size)
        (void)fsync(old);
    if (old >= 0)
        close(old);
    return r;
}

int slots_store(const char *dir, int file, const struct slots *s, bool fresh)
{
    uint8_t data[FILE_MAX];
    struct pack p;
    char path[1024], new_path[1024];
    int fd, r;

    if (slot_path_in(dir, slot_files[file].name, path) != OK ||
        slot_path_in(dir, slot_files[file].new_name, new_path) != OK)
        return ERR_LIMIT;
    pack_init(&p, data, sizeof(data));
    pack_raw(&p, slot_files[file].magic, 4);
    pack_u8(&p, FILE_VERSION);
    pack_u8(&p, (uint8_t)s->n);
    for (size_t i = 0; i < s->n; i++) {
        pack_head(&p, &s->slot[i]);
        pack_raw(&p, s->slot[i].nonce, NONCE_SIZE);
        pack_raw(&p, s->slot[i].wrapped, WRAPPED_SIZE);
    }
    unlink(new_path); /* left over from a crash */
    fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno == ENOSPC ? ERR_FULL : ERR_IO;
    r = write_whole(fd, data, p.len);
    if (r == OK && fsync(fd) != 0)
        r = ERR_IO;
    close(fd);
    if (r == OK)
        r = replace(dir, new_path, path, fresh);
    if (r != OK) {
        int why = errno;
        unlink(new_path);
        errno = why;
    }
    return r;
}

/* The slot's own key from its secret. */
static int slot_key(const struct slot *s, const void *secret, size_t len, uint8_t out[KEY_SIZE])
{
    static const char purpose[] = "letterlock store key slot";
    crypto_generichash_state h;

    if (s->kind == SLOT_PASSPHRASE)
        return crypto_pwhash(out, KEY_SIZE, secret, len, s->salt, s->passes, (size_t)s->memory,
                             crypto_pwhash_ALG_ARGON2ID13) == 0
                   ? OK
                   : ERR_MEMORY;
    crypto_generichash_init(&h, s->salt, SALT_SIZE, KEY_SIZE);
    crypto_generichash_update(&h, (const uint8_t *)purpose, sizeof(purpose));
    crypto_generichash_update(&h, &s->kind, 1);
    crypto_generichash_update(&h, secret, len);
    crypto_generichash_final(&h, out, KEY_SIZE);
    sodium_memzero(&h, sizeof(h));
    return OK;
}

bool slot_secret_fits(enum storekey_slot kind, size_t len)
{
    if (kind == SLOT_PASSPHRASE)
        return len >= 1 && len <= SECRET_MAX;
    return (kind == SLOT_KEY_FILE || kind == SLOT_CREDENTIAL) && len >= SECRET_MIN && len <= SECRET_MAX;
}

int slot_make(const uint8_t key[KEY_SIZE], uint32_t number, enum storekey_slot kind, const void *secret, size_t len,
              struct slot *ret)
{
    struct slot s = {.number = number, .kind = (uint8_t)kind, .created = (uint64_t)time(NULL)};
    uint8_t own[KEY_SIZE], head[HEAD_SIZE];
    struct pack p;
    int err;

    if (kind == SLOT_PASSPHRASE) {
        s.passes = PASSES;
        s.memory = MEMORY;
    }
    randombytes_buf(s.salt, sizeof(s.salt));
    randombytes_buf(s.nonce, sizeof(s.nonce));
    err = slot_key(&s, secret, len, own);
    if (err != OK)
        return err;
    pack_init(&p, head, sizeof(head));
    pack_head(&p, &s);
    crypto_aead_xchacha20poly1305_ietf_encrypt(s.wrapped, NULL, key, KEY_SIZE, head, sizeof(head), NULL, s.nonce, own);
    sodium_memzero(own, sizeof(own));
    *ret = s;
    return OK;
}

int slot_open(const struct slot *s, const void *secret, size_t len, uint8_t ret_key[KEY_SIZE])
{
    uint8_t own[KEY_SIZE], head[HEAD_SIZE], key[KEY_SIZE];
    struct pack p;
    int err = slot_key(s, secret, len, own);

    if (err != OK)
        return err;
    pack_init(&p, head, sizeof(head));
    pack_head(&p, s);
    err = crypto_aead_xchacha20poly1305_ietf_decrypt(key, NULL, NULL, s->wrapped, WRAPPED_SIZE, head, sizeof(head),
                                                     s->nonce, own) == 0
              ? OK
              : ERR_DENIED;
    sodium_memzero(own, sizeof(own));
    if (err == OK)
        memcpy(ret_key, key, KEY_SIZE);
    sodium_memzero(key, sizeof(key));
    return err;
}
