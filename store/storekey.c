/* The slot file DIR/store.key: the store key wrapped once by each slot's own key (XChaCha20-Poly1305, the slot's
 * head as associated data, so that no cost or number can be changed unnoticed). It is replaced as a whole: written
 * beside, synced, renamed, and the directory synced.
 *
 * "LLSK", u8 version, u8 slots, then per slot: u32 number, u8 kind, u64 created, u64 passes, u64 memory, raw16
 * salt, raw24 nonce, raw48 wrapped. */
#include "store/storekey.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/wire.h"

enum {
    KEY_SIZE = 32,
    SALT_SIZE = 16,
    NONCE_SIZE = 24,
    WRAPPED_SIZE = KEY_SIZE + 16,
    HEAD_SIZE = 4 + 1 + 8 + 8 + 8 + SALT_SIZE,
    SLOT_SIZE = HEAD_SIZE + NONCE_SIZE + WRAPPED_SIZE,
    SLOTS_MAX = 16,
    FILE_MAX = 6 + SLOTS_MAX * SLOT_SIZE,
    FILE_VERSION = 1,
    SECRET_MIN = 32, /* of key files and credentials: they are keys, not words */
    SECRET_MAX = 4096,
};
/* RFC 9106 section 4's second choice has 3 passes over 64 MiB in 4 lanes; libsodium has one lane, so a pass more. */
#define PASSES 4ULL
#define PASSES_MAX 16ULL
#define MEMORY (64ULL << 20)
#define MEMORY_MAX (1ULL << 30) /* a file that was tampered with shall not exhaust the machine */

struct slot {
    uint32_t number;
    uint8_t kind;
    uint64_t created, passes, memory;
    uint8_t salt[SALT_SIZE], nonce[NONCE_SIZE], wrapped[WRAPPED_SIZE];
};
struct slots {
    struct slot slot[SLOTS_MAX];
    size_t n;
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

static int slots_decode(const uint8_t *data, size_t len, struct slots *ret)
{
    struct slots s = {.n = 0};
    struct unpack u;
    struct slice magic;
    uint8_t version, n;

    unpack_init(&u, data, len);
    magic = unpack_raw(&u, 4);
    if (u.failed || memcmp(magic.data, "LLSK", 4) != 0)
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

static int read_whole(int fd, uint8_t *out, size_t cap, size_t *ret_len)
{
    size_t len = 0;

    while (len < cap) {
        ssize_t n = read(fd, out + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_IO;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *ret_len = len;
    return OK;
}

static int path_in(const char *dir, const char *name, char out[1024])
{
    int n = snprintf(out, 1024, "%s/%s", dir, name);
    return n < 0 || n >= 1024 ? ERR_LIMIT : OK;
}

/* A FIFO or a device in its place must not have the server wait for ever. */
static int open_file(const char *path, int flags, struct stat *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);

    if (fd >= 0 && fstat(fd, ret) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int slots_load(const char *dir, struct slots *ret)
{
    uint8_t data[FILE_MAX + 1];
    char path[1024];
    struct stat st;
    size_t len;
    int fd, r;

    if (path_in(dir, "store.key", path) != OK)
        return ERR_LIMIT;
    fd = open_file(path, O_NOFOLLOW, &st);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    r = S_ISREG(st.st_mode) ? read_whole(fd, data, sizeof(data), &len) : ERR_FORMAT;
    close(fd);
    return r == OK ? slots_decode(data, len, ret) : r;
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

static int slots_store(const char *dir, const struct slots *s, bool fresh)
{
    uint8_t data[FILE_MAX];
    struct pack p;
    char path[1024], new_path[1024];
    int fd, r;

    if (path_in(dir, "store.key", path) != OK || path_in(dir, "store.key.new", new_path) != OK)
        return ERR_LIMIT;
    pack_init(&p, data, sizeof(data));
    pack_raw(&p, "LLSK", 4);
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

static bool secret_fits(enum storekey_slot kind, size_t len)
{
    if (kind == SLOT_PASSPHRASE)
        return len >= 1 && len <= SECRET_MAX;
    return (kind == SLOT_KEY_FILE || kind == SLOT_CREDENTIAL) && len >= SECRET_MIN && len <= SECRET_MAX;
}

static int slot_make(const uint8_t key[KEY_SIZE], uint32_t number, enum storekey_slot kind, const void *secret,
                     size_t len, struct slot *ret)
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

static int slot_open(const struct slot *s, const void *secret, size_t len, uint8_t ret_key[KEY_SIZE])
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

int storekey_create(const char *dir, enum storekey_slot kind, const void *secret, size_t len, uint8_t ret_key[32])
{
    struct slots s = {.n = 1};
    uint8_t key[KEY_SIZE];
    int err;

    if (!secret_fits(kind, len))
        return ERR_LIMIT;
    if (sodium_init() < 0)
        return ERR_CRYPTO;
    randombytes_buf(key, sizeof(key));
    err = slot_make(key, 1, kind, secret, len, &s.slot[0]);
    if (err == OK)
        err = slots_store(dir, &s, true);
    if (err == OK)
        memcpy(ret_key, key, KEY_SIZE);
    sodium_memzero(key, sizeof(key));
    return err;
}

int storekey_add(const char *dir, const uint8_t key[32], enum storekey_slot kind, const void *secret, size_t len)
{
    struct slots s;
    uint32_t number = 0;
    int err;

    if (!secret_fits(kind, len))
        return ERR_LIMIT;
    if (sodium_init() < 0)
        return ERR_CRYPTO;
    err = slots_load(dir, &s);
    if (err != OK)
        return err;
    if (s.n == SLOTS_MAX)
        return ERR_FULL;
    for (size_t i = 0; i < s.n; i++)
        number = s.slot[i].number > number ? s.slot[i].number : number;
    if (number == UINT32_MAX)
        return ERR_FULL;
    err = slot_make(key, number + 1, kind, secret, len, &s.slot[s.n]);
    if (err != OK)
        return err;
    s.n++;
    return slots_store(dir, &s, false);
}

int storekey_open(const char *dir, enum storekey_slot kind, const void *secret, size_t len, uint8_t ret_key[32])
{
    struct slots s;
    int err = sodium_init() < 0 ? ERR_CRYPTO : slots_load(dir, &s), found = ERR_DENIED;

    if (err != OK)
        return err;
    if (len > SECRET_MAX)
        return ERR_DENIED;
    for (size_t i = 0; i < s.n; i++) {
        if (s.slot[i].kind != kind)
            continue;
        err = slot_open(&s.slot[i], secret, len, ret_key);
        if (err == OK)
            return OK;
        if (err != ERR_DENIED)
            found = err; /* too little memory for Argon2 is not a wrong passphrase */
    }
    return found;
}

int storekey_remove(const char *dir, unsigned number)
{
    struct slots s;
    int err = slots_load(dir, &s);

    if (err != OK)
        return err;
    for (size_t i = 0; i < s.n; i++) {
        if (s.slot[i].number != number)
            continue;
        if (s.n == 1)
            return ERR_CONFLICT;
        memmove(&s.slot[i], &s.slot[i + 1], (s.n - i - 1) * sizeof(s.slot[0]));
        s.n--;
        return slots_store(dir, &s, false);
    }
    return ERR_NOT_FOUND;
}

int storekey_list(const char *dir, struct storekey_info *out, size_t cap, size_t *ret_n)
{
    struct slots s;
    int err = slots_load(dir, &s);

    if (err != OK)
        return err;
    if (s.n > cap)
        return ERR_LIMIT;
    for (size_t i = 0; i < s.n; i++)
        out[i] = (struct storekey_info){s.slot[i].number, (enum storekey_slot)s.slot[i].kind, s.slot[i].created};
    *ret_n = s.n;
    return OK;
}

static bool has_slot(const struct slots *s, enum storekey_slot kind)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->slot[i].kind == kind)
            return true;
    return false;
}

/* A key file or a credential. */
static int open_with_file(const char *dir, enum storekey_slot kind, const char *path, uint8_t ret_key[KEY_SIZE],
                          char *why, size_t why_cap)
{
    uint8_t secret[SECRET_MAX + 1];
    struct stat st;
    size_t len = 0;
    int fd = open_file(path, 0, &st), r = ERR_IO, err;

    if (fd < 0) {
        err = errno;
        snprintf(why, why_cap, "the store key's %s %s: %s%s", kind == SLOT_CREDENTIAL ? "credential" : "key file", path,
                 strerror(err), err == ENOENT ? "; mount what holds it, or set store_key_file" : "");
        return err == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    }
    if (!S_ISREG(st.st_mode)) {
        snprintf(why, why_cap, "%s is not a file", path);
        r = ERR_FORMAT;
    } else if (st.st_mode & S_IROTH) {
        snprintf(why, why_cap, "%s: others may read it; chmod o-r, and think whether they did", path);
        r = ERR_DENIED;
    } else if (read_whole(fd, secret, sizeof(secret), &len) != OK) {
        snprintf(why, why_cap, "%s: %s", path, strerror(errno));
    } else {
        r = storekey_open(dir, kind, secret, len, ret_key);
        if (r == ERR_DENIED)
            snprintf(why, why_cap,
                     "%s: it opens no slot of %s/store.key; put back whichever of them is another store's", path, dir);
        else if (r != OK)
            snprintf(why, why_cap, "%s could not be tried: %s", path, err_str(r));
    }
    close(fd);
    sodium_memzero(secret, sizeof(secret));
    return r;
}

static int open_with_words(const char *dir, int (*ask)(char *out, size_t cap), uint8_t ret_key[KEY_SIZE], char *why,
                           size_t why_cap)
{
    char words[1024] = "";
    const char *file;
    int err = ask(words, sizeof(words));

    if (err == OK) {
        err = storekey_open(dir, SLOT_PASSPHRASE, words, strlen(words), ret_key);
        if (err == ERR_DENIED)
            snprintf(why, why_cap, "the passphrase is wrong");
        else if (err != OK)
            snprintf(why, why_cap, "the passphrase could not be tried: %s", err_str(err));
    } else if ((file = getenv("LETTERLOCK_PASSPHRASE_FILE"))) {
        snprintf(why, why_cap, "no passphrase in %s, which LETTERLOCK_PASSPHRASE_FILE names: %s", file,
                 err == ERR_UNSUPPORTED || err == ERR_IO ? strerror(errno) : "its first line is empty");
    } else {
        snprintf(why, why_cap,
                 "no passphrase could be asked for: there is no terminal, and "
                 "LETTERLOCK_PASSPHRASE_FILE names no file");
    }
    sodium_memzero(words, sizeof(words));
    return err;
}

static const char *what_helps(int error)
{
    return error == EACCES ? "; run this as root, or as the owner of the instance" : "";
}

static void say_slots(const char *dir, int err, char *why, size_t why_cap)
{
    static const char back[] = "put back the one that belongs to this store: no other opens it";

    if (err == ERR_IO)
        snprintf(why, why_cap, "the store key's slots %s/store.key: %s%s", dir, strerror(errno), what_helps(errno));
    else
        snprintf(why, why_cap, "the store key's slots %s/store.key: %s; %s", dir, err_str(err), back);
}

int storekey_unlock(const char *dir, const char *key_file, int (*ask)(char *out, size_t cap), uint8_t ret_key[32],
                    char *why, size_t why_cap)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    char path[1024];
    struct slots s;
    int err = slots_load(dir, &s);

    if (err != OK) {
        say_slots(dir, err, why, why_cap);
        return err;
    }
    snprintf(why, why_cap,
             "no slot of the store key can be tried here: no credential, key file or passphrase "
             "fits one");
    err = ERR_DENIED;
    if (credentials && has_slot(&s, SLOT_CREDENTIAL) && path_in(credentials, "letterlock-store-key", path) == OK &&
        (err = open_with_file(dir, SLOT_CREDENTIAL, path, ret_key, why, why_cap)) == OK)
        return OK;
    if (key_file && key_file[0] && has_slot(&s, SLOT_KEY_FILE)) {
        if (key_file[0] == '/' ? snprintf(path, sizeof(path), "%s", key_file) >= (int)sizeof(path)
                               : path_in(dir, key_file, path) != OK)
            return ERR_LIMIT;
        if ((err = open_with_file(dir, SLOT_KEY_FILE, path, ret_key, why, why_cap)) == OK)
            return OK;
    }
    if (ask && has_slot(&s, SLOT_PASSPHRASE))
        err = open_with_words(dir, ask, ret_key, why, why_cap);
    return err;
}
