/* Pseudonyms of message ids for the hidden policy: deterministic, so that replies thread, and reversible with the
 * account's key. Keyed BLAKE2b over the padded id is both the tag and the nonce of XChaCha20 (a synthetic nonce: equal
 * ids give equal pseudonyms and nothing else shows). */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "server/core/base64url.h"
#include "server/core/error.h"
#include "server/format/protection.h"

#define PREFIX "p1."

enum { TAG = 16, PAD = 32 /* lengths give senders away */, ID_MAX = 576, BLOB_MAX = TAG + ID_MAX };

struct keys {
    uint8_t tag[32], stream[32];
};

static void derive(const uint8_t key[32], struct keys *k)
{
    crypto_generichash(k->tag, 32, (const uint8_t *)"pseudonym tag", 13, key, 32);
    crypto_generichash(k->stream, 32, (const uint8_t *)"pseudonym stream", 16, key, 32);
}

static void stream(const struct keys *k, const uint8_t tag[TAG], uint8_t *data, size_t len)
{
    uint8_t nonce[crypto_stream_xchacha20_NONCEBYTES] = {0};
    memcpy(nonce, tag, TAG);
    crypto_stream_xchacha20_xor(data, data, len, nonce, k->stream);
}

int pseudonym_make(const uint8_t key[32], const char *domain, const char *id, char *out, size_t cap)
{
    uint8_t blob[BLOB_MAX] = {0};
    char text[BASE64URL_LEN(BLOB_MAX) + 1];
    struct keys k;
    size_t len = strlen(id), padded = (len + PAD - 1) / PAD * PAD;
    if (!len || padded > ID_MAX)
        return ERR_LIMIT;
    memcpy(blob + TAG, id, len);
    derive(key, &k);
    crypto_generichash(blob, TAG, blob + TAG, padded, k.tag, sizeof(k.tag));
    stream(&k, blob, blob + TAG, padded);
    sodium_memzero(&k, sizeof(k));
    base64url_write(slice_of(blob, TAG + padded), text);
    if (strlen(PREFIX) + strlen(text) + 1 + strlen(domain) + 1 > cap)
        return ERR_LIMIT;
    snprintf(out, cap, PREFIX "%s@%s", text, domain);
    return OK;
}

int pseudonym_open(const uint8_t key[32], const char *domain, const char *pseudonym, char *out, size_t cap)
{
    uint8_t blob[BLOB_MAX + 3], tag[TAG];
    struct keys k;
    const char *at = strchr(pseudonym, '@');
    if (!at || strncmp(pseudonym, PREFIX, strlen(PREFIX)) || strcasecmp(at + 1, domain))
        return ERR_NOT_FOUND;
    const char *text = pseudonym + strlen(PREFIX);
    const long octets = base64url_read(slice_of(text, (size_t)(at - text)), blob, sizeof(blob));
    const size_t len = (size_t)octets;
    if (octets < TAG + PAD || (len - TAG) % PAD || len > BLOB_MAX)
        return ERR_NOT_FOUND;
    derive(key, &k);
    stream(&k, blob, blob + TAG, len - TAG);
    crypto_generichash(tag, TAG, blob + TAG, len - TAG, k.tag, sizeof(k.tag));
    sodium_memzero(&k, sizeof(k));
    if (sodium_memcmp(tag, blob, TAG) != 0)
        return ERR_NOT_FOUND;
    size_t id = strnlen((const char *)blob + TAG, len - TAG);
    if (id >= cap)
        return ERR_LIMIT;
    memcpy(out, blob + TAG, id);
    out[id] = '\0';
    return OK;
}
