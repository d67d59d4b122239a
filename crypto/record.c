/* Sealing of records, their blinded look-up hashes and their tags, under keys derived from the two roots. A
 * sealed record is: version octet, 24-octet nonce, ciphertext, 16-octet tag. */
#include "crypto/record.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/approver.h"
#include "crypto/queue_key.h"
#include "crypto/record_block.h"
#include "server/core/bug.h"
#include "server/core/error.h"
#include "server/core/secmem.h"

enum { RECORD_VERSION = 2, NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES };
_Static_assert(NONCE == 24 && crypto_aead_xchacha20poly1305_ietf_ABYTES == 16, "RECORD_OVERHEAD");
_Static_assert((int)RECORD_TAG_SIZE == crypto_shorthash_BYTES && crypto_shorthash_KEYBYTES <= RECORD_KEY_SIZE,
               "SipHash");
_Static_assert(RECORD_USES <= 32, "record_bundle.uses");

struct record_keys {
    struct record_bundle *b;    /* in secmem */
    struct record_block *block; /* NULL: RECORD_ENTRY is not there */
};

/* The personal string carries the format's version, so keys of a later one are unrelated to these. */
static void derive(const uint8_t root[RECORD_KEY_SIZE], uint8_t use, uint8_t out[RECORD_KEY_SIZE])
{
    static const uint8_t personal[crypto_generichash_blake2b_PERSONALBYTES] = "letterlock-rec2";
    uint8_t salt[crypto_generichash_blake2b_SALTBYTES] = {use};
    (void)crypto_generichash_blake2b_salt_personal(out, RECORD_KEY_SIZE, NULL, 0, root, RECORD_KEY_SIZE, salt,
                                                   personal);
}

void record_bundle_make(const uint8_t store_root[RECORD_KEY_SIZE], const uint8_t queue_root[RECORD_KEY_SIZE],
                        struct record_bundle *ret)
{
    ret->uses = RECORD_ALL;
    for (uint8_t use = 0; use < RECORD_USES; use++)
        derive(use == RECORD_QUEUE || use == RECORD_DKIM ? queue_root : store_root, use, ret->key[use]);
    approver_public(store_root, ret->approver);
    queue_key_public(queue_root, ret->queue_public, &ret->queue_public_len);
    queue_key_secret(queue_root, ret->queue_secret);
    ret->queue_opens = true;
}

void record_bundle_keep(struct record_bundle *b, uint32_t uses)
{
    b->uses &= uses;
    for (unsigned use = 0; use < RECORD_USES; use++)
        if (!(b->uses & RECORD_BIT(use)))
            secmem_wipe(b->key[use], RECORD_KEY_SIZE);
    b->queue_opens = false;
    secmem_wipe(b->queue_secret, sizeof(b->queue_secret));
}

size_t record_bundle_pack(const struct record_bundle *b, uint32_t uses, uint8_t *out)
{
    struct pack p;
    pack_init(&p, out, RECORD_BUNDLE_MAX);
    uses &= b->uses;
    pack_u32(&p, uses);
    for (unsigned use = 0; use < RECORD_USES; use++)
        if (uses & RECORD_BIT(use))
            pack_raw(&p, b->key[use], RECORD_KEY_SIZE);
    pack_raw(&p, b->approver, sizeof(b->approver));
    return p.len;
}

int record_bundle_unpack(struct slice packed, struct record_bundle *ret)
{
    struct unpack u;
    unpack_init(&u, packed.data, packed.len);
    uint32_t uses = unpack_u32(&u);
    size_t keys = (size_t)__builtin_popcount(uses);
    if (u.failed || uses & ~RECORD_ALL || packed.len != 4 + keys * RECORD_KEY_SIZE + sizeof(ret->approver))
        return ERR_FORMAT;
    for (unsigned use = 0; use < RECORD_USES; use++) {
        secmem_wipe(ret->key[use], RECORD_KEY_SIZE);
        if (uses & RECORD_BIT(use))
            memcpy(ret->key[use], unpack_raw(&u, RECORD_KEY_SIZE).data, RECORD_KEY_SIZE);
    }
    memcpy(ret->approver, unpack_raw(&u, sizeof(ret->approver)).data, sizeof(ret->approver));
    ret->uses = uses;
    return OK;
}

size_t record_bundle_pack_queue(const struct record_bundle *b, bool opens, uint8_t *out)
{
    struct pack p;
    pack_init(&p, out, QUEUE_KEY_PACKED_MAX);
    pack_bytes(&p, b->queue_public, b->queue_public_len);
    pack_u8(&p, opens);
    if (opens)
        pack_raw(&p, b->queue_secret, QUEUE_SECRET_SIZE);
    return p.len;
}

int record_bundle_unpack_queue(struct slice packed, struct record_bundle *ret)
{
    struct unpack u;
    struct pgp_key_ref ref;
    unpack_init(&u, packed.data, packed.len);
    struct slice public = unpack_bytes(&u, QUEUE_PUBLIC_MAX);
    uint8_t opens = unpack_u8(&u);
    struct slice secret = opens ? unpack_raw(&u, QUEUE_SECRET_SIZE) : slice_of("", 0);
    if (!unpack_done(&u) || opens > 1 || queue_key_ref(public, &ref) != OK)
        return ERR_FORMAT;
    memcpy(ret->queue_public, public.data, public.len);
    ret->queue_public_len = public.len;
    ret->queue_opens = opens;
    if (opens)
        memcpy(ret->queue_secret, secret.data, secret.len);
    return OK;
}

/* The two halves of XTS's key. */
static int block_keys(struct record_keys *k)
{
    static const struct record_part data = {"data", 4}, tweak = {"tweak", 5};
    uint8_t halves[2][RECORD_KEY_SIZE];
    if (!record_keys_have(k, RECORD_ENTRY))
        return OK;
    record_subkey(k, RECORD_ENTRY, 0, &data, 1, halves[0]);
    record_subkey(k, RECORD_ENTRY, 0, &tweak, 1, halves[1]);
    k->block = record_block_create(halves[0], halves[1]);
    secmem_wipe(halves, sizeof(halves));
    return k->block ? OK : ERR_MEMORY;
}

static struct record_keys *with_block(struct record_keys *k)
{
    if (k && block_keys(k) == OK)
        return k;
    record_keys_destroy(k);
    return NULL;
}

/* What OpenSSL gives stands on the heap, where a sanitizer sees that it is not lost. */
static struct record_keys *keys_alloc(void)
{
    struct record_keys *k = sodium_init() < 0 ? NULL : calloc(1, sizeof(*k));
    if (k == NULL)
        return NULL;
    k->b = secmem_key_alloc(sizeof(*k->b));
    if (k->b != NULL)
        return k;
    free(k);
    return NULL;
}

struct record_keys *record_keys_create(const struct record_bundle *b)
{
    struct record_keys *k = keys_alloc();
    if (k) {
        *k->b = *b;
        record_bundle_keep(k->b, b->uses);
    }
    return with_block(k);
}

struct record_keys *record_keys_of_root(const uint8_t root[RECORD_KEY_SIZE])
{
    struct record_keys *k = keys_alloc();
    if (k)
        record_bundle_make(root, root, k->b);
    return with_block(k);
}

void record_keys_destroy(struct record_keys *k)
{
    if (!k)
        return;
    record_block_destroy(k->block);
    secmem_key_free(k->b, sizeof(*k->b));
    free(k);
}

bool record_keys_have(const struct record_keys *k, enum record_use use)
{
    return k->b->uses & RECORD_BIT(use);
}

const uint8_t *record_keys_approver(const struct record_keys *k)
{
    return k->b->approver;
}

struct slice record_keys_queue_public(const struct record_keys *k)
{
    return slice_of(k->b->queue_public, k->b->queue_public_len);
}

static const uint8_t *key_of(const struct record_keys *k, enum record_use use)
{
    bug_if(!record_keys_have(k, use));
    return k->b->key[use];
}

void record_seal(const struct record_keys *k, enum record_use use, const void *place, size_t place_len,
                 const void *plain, size_t len, uint8_t *out)
{
    out[0] = RECORD_VERSION;
    randombytes_buf(out + 1, NONCE);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(out + 1 + NONCE, NULL, plain, len, place, place_len, NULL, out + 1,
                                                     key_of(k, use));
}

int record_open(const struct record_keys *k, enum record_use use, const void *place, size_t place_len,
                const uint8_t *sealed, size_t sealed_len, uint8_t *out, size_t *ret_len)
{
    if (!record_keys_have(k, use))
        return ERR_DENIED;
    if (sealed_len < 1)
        return ERR_CRYPTO;
    if (sealed[0] > RECORD_VERSION)
        return ERR_VERSION;
    if (sealed[0] != RECORD_VERSION || sealed_len < RECORD_OVERHEAD)
        return ERR_CRYPTO;
    unsigned long long n = 0;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, &n, NULL, sealed + 1 + NONCE, sealed_len - 1 - NONCE, place,
                                                   place_len, sealed + 1, key_of(k, use)) != 0)
        return ERR_CRYPTO;
    *ret_len = (size_t)n;
    return OK;
}

static void hash_u64(crypto_generichash_blake2b_state *st, uint64_t v)
{
    uint8_t b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (uint8_t)(v >> (56 - 8 * i));
    (void)crypto_generichash_blake2b_update(st, b, sizeof(b));
}

static void hash_parts(const struct record_keys *k, enum record_use use, uint64_t account,
                       const struct record_part *parts, size_t nparts, uint8_t *out, size_t out_len)
{
    crypto_generichash_blake2b_state st;
    (void)crypto_generichash_blake2b_init(&st, key_of(k, use), RECORD_KEY_SIZE, out_len);
    hash_u64(&st, account);
    hash_u64(&st, nparts);
    for (size_t i = 0; i < nparts; i++) {
        hash_u64(&st, parts[i].len);
        (void)crypto_generichash_blake2b_update(&st, parts[i].data, parts[i].len);
    }
    (void)crypto_generichash_blake2b_final(&st, out, out_len);
    secmem_wipe(&st, sizeof(st));
}

void record_hash(const struct record_keys *k, enum record_use use, uint64_t account, const struct record_part *parts,
                 size_t nparts, uint8_t out[RECORD_HASH_SIZE])
{
    hash_parts(k, use, account, parts, nparts, out, RECORD_HASH_SIZE);
}

void record_subkey(const struct record_keys *k, enum record_use use, uint64_t account, const struct record_part *parts,
                   size_t nparts, uint8_t out[RECORD_KEY_SIZE])
{
    hash_parts(k, use, account, parts, nparts, out, RECORD_KEY_SIZE);
}

/* The place and the data are told apart by the place's length, which goes before. */
void record_tag(const struct record_keys *k, const void *place, size_t place_len, const void *data, size_t len,
                uint8_t out[RECORD_TAG_SIZE])
{
    enum { TAG_PLACE_MAX = 255 };
    uint8_t text[1 + TAG_PLACE_MAX + RECORD_TAGGED_MAX];
    bug_if(place_len > TAG_PLACE_MAX || len > RECORD_TAGGED_MAX);
    text[0] = (uint8_t)place_len;
    memcpy(text + 1, place, place_len);
    if (len > 0)
        memcpy(text + 1 + place_len, data, len);
    (void)crypto_shorthash(out, text, 1 + place_len + len, key_of(k, RECORD_TAG));
}

void record_block_hide(const struct record_keys *k, const struct record_place *place,
                       const uint8_t in[RECORD_BLOCK_SIZE], uint8_t out[RECORD_BLOCK_SIZE])
{
    bug_if(!k->block);
    record_block_crypt(k->block, true, place, in, out);
}

void record_block_show(const struct record_keys *k, const struct record_place *place,
                       const uint8_t in[RECORD_BLOCK_SIZE], uint8_t out[RECORD_BLOCK_SIZE])
{
    bug_if(!k->block);
    record_block_crypt(k->block, false, place, in, out);
}
