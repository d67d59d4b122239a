/* The store key and its slots, like a disk's: the 32 random bytes are wrapped by each slot's own key. The slot
 * file (DIR/store.key) lies outside the environment and outside backups. Slots: passphrase (Argon2id; at most 4096
 * bytes), key file (32 random bytes or more, kept elsewhere, not readable by others), systemd credential
 * ($CREDENTIALS_DIRECTORY/letterlock-store-key). */
#ifndef STORE_STOREKEY_H
#define STORE_STOREKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum storekey_slot { SLOT_PASSPHRASE = 1, SLOT_KEY_FILE = 2, SLOT_CREDENTIAL = 3 };

/* Makes a fresh key and the slot file with one slot. secret: the passphrase, or the 32+ bytes of the key file or
 * credential. ERR_EXISTS. */
int storekey_create(const char *dir, enum storekey_slot slot, const void *secret, size_t len, uint8_t ret_key[32]);
int storekey_add(const char *dir, const uint8_t key[32], enum storekey_slot slot, const void *secret, size_t len);
/* Opens with a secret; tries every slot of that kind. ERR_DENIED: none opens; ERR_NOT_FOUND: no slot file;
 * ERR_FORMAT. */
int storekey_open(const char *dir, enum storekey_slot slot, const void *secret, size_t len, uint8_t ret_key[32]);
/* The last slot is refused: ERR_CONFLICT. Its bytes are overwritten, as far as file system and medium write in
 * place. */
int storekey_remove(const char *dir, unsigned number);
struct storekey_info {
    unsigned number;
    enum storekey_slot slot;
    uint64_t created;
};
int storekey_list(const char *dir, struct storekey_info *out, size_t cap, size_t *ret_n);

/* The order that serve and the command line use: systemd credential, then key file (path, or ""), then passphrase
 * from ask (NULL: not possible). why gets a sentence on failure. */
int storekey_unlock(const char *dir, const char *key_file, int (*ask)(char *out, size_t cap), uint8_t ret_key[32],
                    char *why, size_t why_cap);

#endif
