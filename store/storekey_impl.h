/* The slot files, between storekey_slots.c, which reads and writes them, and storekey.c, which knows that they are two.
 */
#ifndef STORE_STOREKEY_IMPL_H
#define STORE_STOREKEY_IMPL_H

#include <sys/stat.h>

#include "store/storekey.h"

enum {
    KEY_SIZE = 32,
    SALT_SIZE = 16,
    NONCE_SIZE = 24,
    WRAPPED_SIZE = KEY_SIZE + 16,
    SLOTS_MAX = 16,
    SECRET_MIN = 32, /* of key files and credentials: they are keys, not words */
    SECRET_MAX = 4096,
};

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

enum { QUEUE, STORE, FILES }; /* in the order in which they are written */
struct slot_file {
    const char *name, *new_name, *magic;
    size_t root; /* its place in struct storekey_roots */
};
extern const struct slot_file slot_files[FILES];

/* ERR_NOT_FOUND, ERR_FORMAT, ERR_VERSION, ERR_IO (errno), ERR_LIMIT. */
int slots_load(const char *dir, int file, struct slots *ret);
/* fresh: there must be none yet. ERR_EXISTS, ERR_FULL, ERR_IO (errno), ERR_LIMIT. */
int slots_store(const char *dir, int file, const struct slots *s, bool fresh);
bool slot_secret_fits(enum storekey_slot kind, size_t len);
int slot_make(const uint8_t key[KEY_SIZE], uint32_t number, enum storekey_slot kind, const void *secret, size_t len,
              struct slot *ret);
int slot_open(const struct slot *s, const void *secret, size_t len, uint8_t ret_key[KEY_SIZE]); /* ERR_DENIED */

/* Files of any kind. open: -1, errno; a FIFO or a device in its place does not block. */
int slot_open_file(const char *path, int flags, struct stat *ret);
int slot_path_in(const char *dir, const char *name, char out[1024]);

#endif
