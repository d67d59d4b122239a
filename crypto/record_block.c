#include "crypto/record_block.h"

#include <endian.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/bug.h"
#include "server/core/secmem.h"

struct record_block {
    EVP_CIPHER_CTX *hide, *show, *tweak;
    /* The unit that came last, and its tweak. */
    bool has_unit;
    uint8_t unit[RECORD_BLOCK_SIZE], of_unit[RECORD_BLOCK_SIZE];
};

/* NULL: out of memory. */
static EVP_CIPHER_CTX *keyed(const EVP_CIPHER *c, const uint8_t key[RECORD_KEY_SIZE], int encrypts)
{
    EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
    if (x && EVP_CipherInit_ex2(x, c, key, NULL, encrypts, NULL) && EVP_CIPHER_CTX_set_padding(x, 0))
        return x;
    EVP_CIPHER_CTX_free(x);
    return NULL;
}

struct record_block *record_block_create(const uint8_t data[RECORD_KEY_SIZE], const uint8_t tweak[RECORD_KEY_SIZE])
{
    struct record_block *b = calloc(1, sizeof(*b));
    EVP_CIPHER *c = EVP_CIPHER_fetch(NULL, "AES-256-ECB", NULL);
    if (b && c) {
        b->hide = keyed(c, data, 1);
        b->show = keyed(c, data, 0);
        b->tweak = keyed(c, tweak, 1);
    }
    EVP_CIPHER_free(c); /* the contexts keep their own references */
    if (b && b->hide && b->show && b->tweak)
        return b;
    record_block_destroy(b);
    return NULL;
}

void record_block_destroy(struct record_block *b)
{
    if (!b)
        return;
    EVP_CIPHER_CTX_free(b->hide);
    EVP_CIPHER_CTX_free(b->show);
    EVP_CIPHER_CTX_free(b->tweak);
    secmem_wipe(b, sizeof(*b));
    free(b);
}

static void one(EVP_CIPHER_CTX *x, const uint8_t in[RECORD_BLOCK_SIZE], uint8_t out[RECORD_BLOCK_SIZE])
{
    int got = 0;
    bug_if(!EVP_CipherUpdate(x, out, &got, in, RECORD_BLOCK_SIZE) || got != RECORD_BLOCK_SIZE);
}

static void mix(uint8_t out[RECORD_BLOCK_SIZE], const uint8_t a[RECORD_BLOCK_SIZE], const uint8_t b[RECORD_BLOCK_SIZE])
{
    for (int i = 0; i < RECORD_BLOCK_SIZE; i++)
        out[i] = a[i] ^ b[i];
}

/* Times x to the power n < 64 in GF(2^128), as XTS writes it: little-endian, x^128 being x^7 + x^2 + x + 1. */
static void times_x(const uint8_t in[RECORD_BLOCK_SIZE], unsigned n, uint8_t out[RECORD_BLOCK_SIZE])
{
    uint64_t low, high;
    memcpy(&low, in, 8);
    memcpy(&high, in + 8, 8);
    low = le64toh(low);
    high = le64toh(high);
    if (n > 0) {
        uint64_t over = high >> (64 - n);
        high = high << n | low >> (64 - n);
        low = low << n ^ over ^ over << 1 ^ over << 2 ^ over << 7;
        high ^= over >> 63 ^ over >> 62 ^ over >> 57;
    }
    low = htole64(low);
    high = htole64(high);
    memcpy(out, &low, 8);
    memcpy(out + 8, &high, 8);
}

static void tweak_of(struct record_block *b, const struct record_place *place, uint8_t out[RECORD_BLOCK_SIZE])
{
    bug_if(place->block >= RECORD_UNIT_BLOCKS);
    if (!b->has_unit || memcmp(b->unit, place->unit, sizeof(b->unit)) != 0) {
        one(b->tweak, place->unit, b->of_unit);
        memcpy(b->unit, place->unit, sizeof(b->unit));
        b->has_unit = true;
    }
    times_x(b->of_unit, place->block, out);
}

void record_block_crypt(struct record_block *b, bool hide, const struct record_place *place,
                        const uint8_t in[RECORD_BLOCK_SIZE], uint8_t out[RECORD_BLOCK_SIZE])
{
    uint8_t tweak[RECORD_BLOCK_SIZE], mixed[RECORD_BLOCK_SIZE], made[RECORD_BLOCK_SIZE];
    tweak_of(b, place, tweak);
    mix(mixed, in, tweak);
    one(hide ? b->hide : b->show, mixed, made);
    mix(out, made, tweak);
}
