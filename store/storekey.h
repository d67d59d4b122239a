/* The store key and its slots, like a disk's. Two roots of 32 random bytes, the store's and the queue's, are wrapped by
 * each slot's own key, in two files: DIR/store.key and DIR/queue.key, which lie outside the environment and outside
 * backups. What opens the one opens the other. Slots: passphrase (Argon2id; at most 4096 bytes), key file (32 random
 * bytes or more, kept elsewhere, not readable by others), systemd credential
 * ($CREDENTIALS_DIRECTORY/letterlock-store-key). */
#ifndef STORE_STOREKEY_H
#define STORE_STOREKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum storekey_slot { SLOT_PASSPHRASE = 1, SLOT_KEY_FILE = 2, SLOT_CREDENTIAL = 3 };

struct storekey_roots {
    uint8_t store[32], queue[32];
};

/* Makes fresh roots and the slot files with one slot each. secret: the passphrase, or the 32+ bytes of the key file or
 * credential. ERR_EXISTS: store.key is there; ERR_DENIED: queue.key is, and the secret does not open it. */
int storekey_create(const char *dir, enum storekey_slot slot, const void *secret, size_t len,
                    struct storekey_roots *ret);
int storekey_add(const char *dir, const struct storekey_roots *roots, enum storekey_slot slot, const void *secret,
                 size_t len);
/* Opens with a secret; tries every slot of that kind. ERR_DENIED: none opens; ERR_NOT_FOUND: a slot file is not there;
 * ERR_FORMAT. */
int storekey_open(const char *dir, enum storekey_slot slot, const void *secret, size_t len, struct storekey_roots *ret);
/* The last slot that opens both is refused: ERR_CONFLICT. Its bytes are overwritten, as far as file system and medium
 * write in place. */
int storekey_remove(const char *dir, unsigned number);
struct storekey_info {
    unsigned number;
    enum storekey_slot slot;
    uint64_t created;
    bool both; /* false: a crash has left it in one of the two files, and it opens nothing */
};
int storekey_list(const char *dir, struct storekey_info *out, size_t cap, size_t *ret_n);

/* The order that serve and the command line use: systemd credential, then key file (path, or ""), then passphrase
 * from ask (NULL: not possible), which is asked once. why gets a sentence on failure. */
int storekey_unlock(const char *dir, const char *key_file, int (*ask)(char *out, size_t cap),
                    struct storekey_roots *ret, char *why, size_t why_cap);
/* Likewise, where queue.key is gone: a fresh one is made, whose slot is the one that opened the store key. What was
 * sealed under the former one is lost. ERR_EXISTS. */
int storekey_new_queue(const char *dir, const char *key_file, int (*ask)(char *out, size_t cap),
                       struct storekey_roots *ret, char *why, size_t why_cap);

#endif
