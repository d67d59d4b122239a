/* Of the two files the queue's goes first, so that a store.key is never without the other. A slot that a crash has left
 * in one of them alone opens nothing, and goes by its number. */
#include "store/storekey.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/core/error.h"
#include "server/core/read_to_end.h"
#include "store/storekey_impl.h"

static uint8_t *root_of(struct storekey_roots *r, int file)
{
    return (uint8_t *)r + slot_files[file].root;
}

static int file_create(const char *dir, int file, enum storekey_slot kind, const void *secret, size_t len,
                       uint8_t ret_key[KEY_SIZE])
{
    struct slots s = {.n = 1};
    uint8_t key[KEY_SIZE];
    int err;

    randombytes_buf(key, sizeof(key));
    err = slot_make(key, 1, kind, secret, len, &s.slot[0]);
    if (err == OK)
        err = slots_store(dir, file, &s, true);
    if (err == OK)
        memcpy(ret_key, key, KEY_SIZE);
    sodium_memzero(key, sizeof(key));
    return err;
}

static int file_open(const char *dir, int file, enum storekey_slot kind, const void *secret, size_t len,
                     uint8_t ret_key[KEY_SIZE])
{
    struct slots s;
    int err = slots_load(dir, file, &s), found = ERR_DENIED;

    if (err != OK)
        return err;
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

/* One that an init that was cut short has left is taken, if the secret opens it. */
static int queue_create(const char *dir, enum storekey_slot kind, const void *secret, size_t len,
                        uint8_t ret_key[KEY_SIZE])
{
    int err = file_create(dir, QUEUE, kind, secret, len, ret_key);

    return err == ERR_EXISTS ? file_open(dir, QUEUE, kind, secret, len, ret_key) : err;
}

int storekey_create(const char *dir, enum storekey_slot kind, const void *secret, size_t len,
                    struct storekey_roots *ret)
{
    struct storekey_roots r;
    struct slots s;
    int err;

    if (!slot_secret_fits(kind, len))
        return ERR_LIMIT;
    if (sodium_init() < 0)
        return ERR_CRYPTO;
    if (slots_load(dir, STORE, &s) != ERR_NOT_FOUND)
        return ERR_EXISTS;
    err = queue_create(dir, kind, secret, len, r.queue);
    if (err == OK)
        err = file_create(dir, STORE, kind, secret, len, r.store);
    if (err == OK)
        *ret = r;
    sodium_memzero(&r, sizeof(r));
    return err;
}

static int both_load(const char *dir, struct slots s[FILES])
{
    int err = OK;

    for (int f = 0; f < FILES && err == OK; f++)
        err = slots_load(dir, f, &s[f]);
    return err;
}

static size_t find_slot(const struct slots *s, uint32_t number)
{
    size_t i = 0;

    while (i < s->n && s->slot[i].number != number)
        i++;
    return i;
}

int storekey_add(const char *dir, const struct storekey_roots *roots, enum storekey_slot kind, const void *secret,
                 size_t len)
{
    struct storekey_roots r = *roots;
    struct slots s[FILES];
    uint32_t number = 0;
    int err;

    if (!slot_secret_fits(kind, len))
        return ERR_LIMIT;
    if (sodium_init() < 0)
        return ERR_CRYPTO;
    err = both_load(dir, s);
    for (int f = 0; f < FILES && err == OK; f++) {
        for (size_t i = 0; i < s[f].n; i++)
            number = s[f].slot[i].number > number ? s[f].slot[i].number : number;
        err = s[f].n == SLOTS_MAX || number == UINT32_MAX ? ERR_FULL : OK;
    }
    for (int f = 0; f < FILES && err == OK; f++) {
        err = slot_make(root_of(&r, f), number + 1, kind, secret, len, &s[f].slot[s[f].n]);
        s[f].n++;
        if (err == OK)
            err = slots_store(dir, f, &s[f], false);
    }
    sodium_memzero(&r, sizeof(r));
    return err;
}

int storekey_open(const char *dir, enum storekey_slot kind, const void *secret, size_t len, struct storekey_roots *ret)
{
    struct storekey_roots r;
    int err = sodium_init() < 0 ? ERR_CRYPTO : OK;

    if (err == OK && len > SECRET_MAX)
        err = ERR_DENIED;
    for (int f = FILES; f-- > 0 && err == OK;)
        err = file_open(dir, f, kind, secret, len, root_of(&r, f));
    if (err == OK)
        *ret = r;
    sodium_memzero(&r, sizeof(r));
    return err;
}

int storekey_remove(const char *dir, unsigned number)
{
    struct slots s[FILES];
    size_t left = 0, found = 0;
    int err = both_load(dir, s);

    for (int f = 0; f < FILES && err == OK; f++)
        found += find_slot(&s[f], number) < s[f].n;
    if (err != OK || !found)
        return err != OK ? err : ERR_NOT_FOUND;
    for (size_t i = 0; i < s[STORE].n; i++)
        left += s[STORE].slot[i].number != number && find_slot(&s[QUEUE], s[STORE].slot[i].number) < s[QUEUE].n;
    if (!left)
        return ERR_CONFLICT;
    for (int f = 0; f < FILES && err == OK; f++) {
        size_t i = find_slot(&s[f], number);
        if (i == s[f].n)
            continue;
        memmove(&s[f].slot[i], &s[f].slot[i + 1], (s[f].n - i - 1) * sizeof(s[f].slot[0]));
        s[f].n--;
        err = slots_store(dir, f, &s[f], false);
    }
    return err;
}

int storekey_list(const char *dir, struct storekey_info *out, size_t cap, size_t *ret_n)
{
    struct slots s[FILES];
    size_t n = 0;
    int err = both_load(dir, s);

    for (int f = FILES; f-- > 0 && err == OK;)
        for (size_t i = 0; i < s[f].n; i++) {
            const struct slot *t = &s[f].slot[i];
            bool twice = find_slot(&s[!f], t->number) < s[!f].n;
            if (f == QUEUE && twice)
                continue;
            if (n == cap)
                return ERR_LIMIT;
            out[n++] = (struct storekey_info){t->number, (enum storekey_slot)t->kind, t->created, twice};
        }
    if (err == OK)
        *ret_n = n;
    return err;
}

static bool has_slot(const struct slots *s, enum storekey_slot kind)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->slot[i].kind == kind)
            return true;
    return false;
}

typedef int opener(const char *dir, enum storekey_slot kind, const void *secret, size_t len,
                   struct storekey_roots *ret);

/* A key file or a credential. */
static int open_with_file(const char *dir, enum storekey_slot kind, const char *path, opener *open,
                          struct storekey_roots *ret, char *why, size_t why_cap)
{
    uint8_t secret[SECRET_MAX + 1];
    struct stat st;
    size_t len = 0;
    int fd = slot_open_file(path, 0, &st), r = ERR_IO, err;

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
    } else if (read_to_end(fd, READ_ALL, secret, sizeof(secret), &len) != OK) {
        snprintf(why, why_cap, "%s: %s", path, strerror(errno));
    } else {
        r = open(dir, kind, secret, len, ret);
        if (r == ERR_DENIED)
            snprintf(
                why, why_cap,
                "%s: it opens no slot of %s/store.key, or none of queue.key beside it; put back whichever of them is "
                "another store's",
                path, dir);
        else if (r != OK)
            snprintf(why, why_cap, "%s could not be tried: %s", path, err_str(r));
    }
    close(fd);
    sodium_memzero(secret, sizeof(secret));
    return r;
}

static int open_with_words(const char *dir, int (*ask)(char *out, size_t cap), opener *open, struct storekey_roots *ret,
                           char *why, size_t why_cap)
{
    char words[1024] = "";
    const char *file;
    int err = ask(words, sizeof(words));

    if (err == OK) {
        err = open(dir, SLOT_PASSPHRASE, words, strlen(words), ret);
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

static void say_slots(const char *dir, int file, int err, char *why, size_t why_cap)
{
    static const char *const back[] = {
        [STORE] = "put back the one that belongs to this store: no other opens it",
        [QUEUE] = "put back your copy of it, or move away what is left of it and run letterlock store-key new-queue, "
                  "which gives up the mail that waits to be sent",
    };

    if (err == ERR_IO)
        snprintf(why, why_cap, "the store key's slots %s/%s: %s%s", dir, slot_files[file].name, strerror(errno),
                 what_helps(errno));
    else
        snprintf(why, why_cap, "the store key's slots %s/%s: %s; %s", dir, slot_files[file].name, err_str(err),
                 back[file]);
}

/* least: of the two files the first that must be there. */
static int unlock(const char *dir, const char *key_file, int (*ask)(char *out, size_t cap), int least, opener *open,
                  struct storekey_roots *ret, char *why, size_t why_cap)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    char path[1024];
    struct slots s;
    int err;

    for (int f = FILES; f-- > least;)
        if ((err = slots_load(dir, f, &s)) != OK) {
            say_slots(dir, f, err, why, why_cap);
            return err;
        }
    (void)slots_load(dir, STORE, &s);
    snprintf(why, why_cap,
             "no slot of the store key can be tried here: no credential, key file or passphrase "
             "fits one");
    err = ERR_DENIED;
    if (credentials && has_slot(&s, SLOT_CREDENTIAL) && slot_path_in(credentials, "letterlock-store-key", path) == OK &&
        (err = open_with_file(dir, SLOT_CREDENTIAL, path, open, ret, why, why_cap)) == OK)
        return OK;
    if (key_file && key_file[0] && has_slot(&s, SLOT_KEY_FILE)) {
        if (key_file[0] == '/' ? snprintf(path, sizeof(path), "%s", key_file) >= (int)sizeof(path)
                               : slot_path_in(dir, key_file, path) != OK)
            return ERR_LIMIT;
        if ((err = open_with_file(dir, SLOT_KEY_FILE, path, open, ret, why, why_cap)) == OK)
            return OK;
    }
    if (ask && has_slot(&s, SLOT_PASSPHRASE))
        err = open_with_words(dir, ask, open, ret, why, why_cap);
    return err;
}

int storekey_unlock(const char *dir, const char *key_file, int (*ask)(char *out, size_t cap),
                    struct storekey_roots *ret, char *why, size_t why_cap)
{
    return unlock(dir, key_file, ask, QUEUE, storekey_open, ret, why, why_cap);
}

/* What opens the store key opens the new file too. */
static int open_and_make(const char *dir, enum storekey_slot kind, const void *secret, size_t len,
                         struct storekey_roots *ret)
{
    struct storekey_roots r;
    int err = sodium_init() < 0 ? ERR_CRYPTO : len > SECRET_MAX ? ERR_DENIED : OK;

    if (err == OK)
        err = file_open(dir, STORE, kind, secret, len, r.store);
    if (err == OK)
        err = file_create(dir, QUEUE, kind, secret, len, r.queue);
    if (err == OK)
        *ret = r;
    sodium_memzero(&r, sizeof(r));
    return err;
}

int storekey_new_queue(const char *dir, const char *key_file, int (*ask)(char *out, size_t cap),
                       struct storekey_roots *ret, char *why, size_t why_cap)
{
    struct slots s;
    int err = slots_load(dir, QUEUE, &s);

    if (err != ERR_NOT_FOUND) {
        snprintf(why, why_cap, "%s/queue.key is there: it opens the mail that waits to be sent", dir);
        return ERR_EXISTS;
    }
    return unlock(dir, key_file, ask, STORE, open_and_make, ret, why, why_cap);
}
