/* SCRAM-SHA-256 as a client: see scram.h. Names are RFC 5802 section 3's. */
#include "server/proto/scram_impl.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/proto/sasl.h"

/* saslname (section 5.1). */
static int write_name(const char *user, char *out, size_t cap)
{
    size_t n = 0;

    for (; *user; user++) {
        const char *escape = *user == ',' ? "=2C" : *user == '=' ? "=3D" : NULL;
        size_t len = escape ? 3 : 1;

        if (n + len >= cap)
            return ERR_LIMIT;
        memcpy(out + n, escape ? escape : user, len);
        n += len;
    }
    out[n] = '\0';
    return OK;
}

int scram_client_first(struct scram_client *s, const char *user, const uint8_t nonce[SCRAM_NONCE_SIZE],
                       char out[SCRAM_MESSAGE_MAX])
{
    char name[SCRAM_MESSAGE_MAX / 2];
    int err = write_name(user, name, sizeof(name));

    if (err != OK)
        return err;
    sasl_base64_encode(slice_of(nonce, SCRAM_NONCE_SIZE), s->nonce);
    snprintf(s->first_bare, sizeof(s->first_bare), "n=%s,r=%s", name, s->nonce);
    snprintf(out, SCRAM_MESSAGE_MAX, "n,,%.*s", SCRAM_MESSAGE_MAX - 4, s->first_bare);
    return OK;
}

struct server_first {
    struct slice nonce;
    uint8_t salt[256];
    size_t salt_len;
    uint32_t iterations;
};

/* Section 7: server-first-message. What stands in front of "r=" ("m=") is an extension that must be known, and none is;
 * what stands behind is passed over. */
static int read_server_first(struct slice text, struct server_first *ret)
{
    struct slice salt, count;
    long n;

    if (scram_take(&text, 'r', &ret->nonce) != OK || scram_take(&text, 's', &salt) != OK ||
        scram_take(&text, 'i', &count) != OK)
        return ERR_FORMAT;
    n = sasl_base64_decode(salt, ret->salt, sizeof(ret->salt));
    if (!scram_printable(ret->nonce) || n <= 0 || count.len > 9)
        return ERR_FORMAT;
    ret->salt_len = (size_t)n;
    ret->iterations = 0;
    for (size_t i = 0; i < count.len; i++) {
        unsigned d = count.data[i] - '0';

        if (d > 9)
            return ERR_FORMAT;
        ret->iterations = ret->iterations * 10 + d;
    }
    return ret->iterations < SCRAM_ITERATIONS_MIN || ret->iterations > SCRAM_ITERATIONS_MAX ? ERR_LIMIT : OK;
}

/* ClientProof and ServerSignature. */
static int prove(struct scram_client *s, const char *password, const struct server_first *f, const char *auth_message,
                 uint8_t proof[SCRAM_KEY_SIZE])
{
    uint8_t salted[SCRAM_KEY_SIZE], client[SCRAM_KEY_SIZE], stored[SCRAM_KEY_SIZE], server[SCRAM_KEY_SIZE];
    int err = ERR_CRYPTO;

    if (PKCS5_PBKDF2_HMAC(password, (int)strlen(password), f->salt, (int)f->salt_len, (int)f->iterations, EVP_sha256(),
                          SCRAM_KEY_SIZE, salted) == 1 &&
        scram_hmac(salted, "Client Key", client) == OK &&
        EVP_Digest(client, SCRAM_KEY_SIZE, stored, NULL, EVP_sha256(), NULL) == 1 &&
        scram_hmac(stored, auth_message, proof) == OK && scram_hmac(salted, "Server Key", server) == OK &&
        scram_hmac(server, auth_message, s->server_signature) == OK)
        err = OK;
    for (size_t i = 0; i < SCRAM_KEY_SIZE; i++)
        proof[i] ^= client[i];
    OPENSSL_cleanse(salted, sizeof(salted));
    OPENSSL_cleanse(client, sizeof(client));
    OPENSSL_cleanse(stored, sizeof(stored));
    OPENSSL_cleanse(server, sizeof(server));
    return err;
}

int scram_client_final(struct scram_client *s, const char *password, struct slice server_first,
                       char out[SCRAM_MESSAGE_MAX])
{
    char bare[SCRAM_MESSAGE_MAX], auth_message[3 * SCRAM_MESSAGE_MAX], text[SASL_BASE64_LEN(SCRAM_KEY_SIZE) + 1];
    uint8_t proof[SCRAM_KEY_SIZE] = {0};
    size_t ours = strlen(s->nonce);
    struct server_first f;
    int err;

    if (server_first.len >= SCRAM_MESSAGE_MAX - 128)
        return ERR_FORMAT;
    err = read_server_first(server_first, &f);
    if (err != OK)
        return err;
    /* Section 5.1: the nonce begins with ours, and the server has added something. */
    if (f.nonce.len <= ours || memcmp(f.nonce.data, s->nonce, ours) != 0)
        return ERR_FORMAT;
    snprintf(bare, sizeof(bare), "c=biws,r=%.*s", (int)f.nonce.len, (const char *)f.nonce.data);
    snprintf(auth_message, sizeof(auth_message), "%s,%.*s,%s", s->first_bare, (int)server_first.len,
             (const char *)server_first.data, bare);
    err = prove(s, password, &f, auth_message, proof);
    if (err != OK)
        return err;
    sasl_base64_encode(slice_of(proof, sizeof(proof)), text);
    snprintf(out, SCRAM_MESSAGE_MAX, "%.*s,p=%s", SCRAM_MESSAGE_MAX - 64, bare, text);
    return OK;
}

int scram_client_verify(const struct scram_client *s, struct slice server_final)
{
    uint8_t signature[SCRAM_KEY_SIZE + 4];
    struct slice value;

    if (scram_take(&server_final, 'v', &value) != OK ||
        sasl_base64_decode(value, signature, sizeof(signature)) != SCRAM_KEY_SIZE ||
        CRYPTO_memcmp(signature, s->server_signature, SCRAM_KEY_SIZE) != 0)
        return ERR_DENIED;
    return OK;
}
