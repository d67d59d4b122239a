/* The second lock: what the store keeps is sealed under keys derived from the store key's root, and of the outgoing
 * queue what names somebody under keys of the queue's root (store/storekey.h), by XChaCha20-Poly1305 with a fresh
 * nonce. A record's place is its associated data, so records cannot be swapped. Look-ups and blinded
 * identifiers are keyed BLAKE2b; records that stand clear have a tag. Each use has a key of its own, and a process is
 * given the keys of those uses alone that it needs (roles_table in server/base/roles.h). */
#ifndef CRYPTO_RECORD_H
#define CRYPTO_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/wire.h"

enum {
    RECORD_KEY_SIZE = 32,
    RECORD_OVERHEAD = 1 + 24 + 16 /* version, nonce, tag */,
    RECORD_HASH_SIZE = 16,
    RECORD_TAG_SIZE = 8,
    RECORD_BLOCK_SIZE = 16,
    RECORD_UNIT_BLOCKS = 64,
    RECORD_TAGGED_MAX = 800 /* octets under a tag */
};

/* A use's number is part of its key: new ones come last. */
enum record_use {
    /* What is sealed, by who must open it. */
    RECORD_DIRECTORY, /* addresses, domains, accounts, usage, certificates */
    RECORD_LOGIN,     /* app passwords */
    RECORD_MAILBOX,   /* names, keywords, subscriptions, mailboxes' numbers */
    RECORD_MESSAGE,   /* messages' records, capsules, session-key packets, deliveries */
    RECORD_CONTENT,   /* keys of messages' bodies are derived from it */
    RECORD_QUEUE,     /* the queue's root: envelopes and recipients of what goes out */
    RECORD_TAG,       /* tags of records that stand clear */
    /* Keyed hashes. */
    RECORD_ADDRESS,
    RECORD_DOMAIN,
    RECORD_NAME, /* a mailbox's */
    RECORD_APP_PASSWORD,
    RECORD_DELIVERY,
    RECORD_THREAD,
    RECORD_MESSAGE_ID,
    RECORD_LOGIN_SALT,
    RECORD_LOG, /* server/format/log_name.h; for the account stands which side of a mail it is */
    RECORD_FINGERPRINT,
    /* Of the outgoing queue. */
    RECORD_QUEUE_CONTENT, /* of what goes out: messages' records, session-key packets, keys of bodies */
    RECORD_DKIM,          /* the queue's root: keys that sign what goes out */
    RECORD_ENTRY,         /* of the store's root: what an entry says of its message, by record_block_hide */
    RECORD_COMPLAINT,     /* of the store's root: by which a message that went out is known again */
    RECORD_PUBLISHED,     /* of the store's root: the directory of published certificates, and hashes that lead to it */
    RECORD_WKS,           /* of the store's root: key pairs of submission addresses are derived from it */
    RECORD_FEATURE,       /* of the store's root: keyed hashes of what mail shows of its sender */
    RECORD_SIGNIN,        /* of the store's root: what is kept for signing in, and hashes that lead to it */
    RECORD_OPAQUE,        /* of the store's root: the server's secrets of OPAQUE are derived from it */
    RECORD_REPORT,        /* of the store's root: what others report of our domains, and hashes that lead to it */
    RECORD_USES
};
#define RECORD_BIT(use) (UINT32_C(1) << (use))
#define RECORD_ALL (RECORD_BIT(RECORD_USES) - 1)

enum { QUEUE_PUBLIC_MAX = 128, QUEUE_SECRET_SIZE = 32 }; /* the queue's key pair (crypto/queue_key.h) */

/* The keys of some uses, on their way to a process; in secret memory. */
struct record_bundle {
    uint32_t uses;                             /* RECORD_BIT of those that are there; the others' keys are zeros */
    uint8_t key[RECORD_USES][RECORD_KEY_SIZE]; /* by enum record_use */
    uint8_t approver[32];                      /* public: whose approvals count (crypto/approver.h) */
    size_t queue_public_len;                   /* 0: it is not there */
    uint8_t queue_public[QUEUE_PUBLIC_MAX];
    bool queue_opens; /* the secret half is there; else it is zeros */
    uint8_t queue_secret[QUEUE_SECRET_SIZE];
};
/* Every key. The caller may wipe the roots. */
void record_bundle_make(const uint8_t store_root[RECORD_KEY_SIZE], const uint8_t queue_root[RECORD_KEY_SIZE],
                        struct record_bundle *ret);
void record_bundle_keep(struct record_bundle *b, uint32_t uses); /* wipes the others', and the queue's secret half */
/* As ROLE_MSG_RECORD_KEYS has it (docs/ipc.md): of b those keys alone that uses names. out has RECORD_BUNDLE_MAX
 * octets; returns how many were written. */
enum { RECORD_BUNDLE_MAX = 4 + (RECORD_USES + 1) * RECORD_KEY_SIZE };
size_t record_bundle_pack(const struct record_bundle *b, uint32_t uses, uint8_t *out);
int record_bundle_unpack(struct slice packed, struct record_bundle *ret); /* ERR_FORMAT */
/* As ROLE_MSG_QUEUE_KEY has it: the queue's public key, and its secret half if opens. Unpacking leaves the rest of ret
 * alone. */
enum { QUEUE_KEY_PACKED_MAX = 4 + QUEUE_PUBLIC_MAX + 1 + QUEUE_SECRET_SIZE };
size_t record_bundle_pack_queue(const struct record_bundle *b, bool opens, uint8_t *out);
int record_bundle_unpack_queue(struct slice packed, struct record_bundle *ret); /* ERR_FORMAT */

struct record_keys; /* in secmem; one thread's at a time */

/* Copies what it needs; the caller may wipe the bundle. NULL: out of memory. */
struct record_keys *record_keys_create(const struct record_bundle *b);
struct record_keys *record_keys_of_root(const uint8_t root[RECORD_KEY_SIZE]); /* of every use, from one root */
void record_keys_destroy(struct record_keys *k);
bool record_keys_have(const struct record_keys *k, enum record_use use);
const uint8_t *record_keys_approver(const struct record_keys *k);   /* 32 octets */
struct slice record_keys_queue_public(const struct record_keys *k); /* empty: it is not there */

/* out has len + RECORD_OVERHEAD bytes. place: bytes that say where the record stands (partition and key). A use whose
 * key is not there is a bug here and in all that follows, but for record_open. */
void record_seal(const struct record_keys *k, enum record_use use, const void *place, size_t place_len,
                 const void *plain, size_t len, uint8_t *out);
/* out has sealed_len - RECORD_OVERHEAD bytes. ERR_CRYPTO: not ours, moved or damaged; ERR_VERSION; ERR_DENIED: the key
 * of its use is not there. */
int record_open(const struct record_keys *k, enum record_use use, const void *place, size_t place_len,
                const uint8_t *sealed, size_t sealed_len, uint8_t *out, size_t *ret_len);

/* Keyed hash of (account, parts...). Parts are length-prefixed, so no two lists collide by concatenation. */
struct record_part {
    const void *data;
    size_t len;
};
void record_hash(const struct record_keys *k, enum record_use use, uint64_t account, const struct record_part *parts,
                 size_t nparts, uint8_t out[RECORD_HASH_SIZE]);
/* A key of its own, derived in the same way. */
void record_subkey(const struct record_keys *k, enum record_use use, uint64_t account, const struct record_part *parts,
                   size_t nparts, uint8_t out[RECORD_KEY_SIZE]);
/* SipHash-2-4 of a record that stands clear (at most RECORD_TAGGED_MAX octets) and of its place. */
void record_tag(const struct record_keys *k, const void *place, size_t place_len, const void *data, size_t len,
                uint8_t out[RECORD_TAG_SIZE]);
/* One block where there is no room for a seal, under RECORD_ENTRY: AES-256 in XTS (NIST SP 800-38E), bound to its
 * place. Without the key a block says whether one that stood at the same place was the same, and nothing else. Nothing
 * vouches for it: it belongs under a tag. in may be out. */
struct record_place {
    uint8_t unit[RECORD_BLOCK_SIZE]; /* the data unit's number, as any 16 octets */
    unsigned block;                  /* of the unit, < RECORD_UNIT_BLOCKS */
};
void record_block_hide(const struct record_keys *k, const struct record_place *place,
                       const uint8_t in[RECORD_BLOCK_SIZE], uint8_t out[RECORD_BLOCK_SIZE]);
void record_block_show(const struct record_keys *k, const struct record_place *place,
                       const uint8_t in[RECORD_BLOCK_SIZE], uint8_t out[RECORD_BLOCK_SIZE]);

#endif
