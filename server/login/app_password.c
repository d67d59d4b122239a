#include "server/login/app_password.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <string.h>

#include "server/core/error.h"

_Static_assert(SCOPE_IMAP == 1 && SCOPE_POP3 == 2 && SCOPE_SMTP == 4 && SCOPE_HTTP == 8, "as the words below");
const char *const app_password_scopes[] = {"imap", "pop3", "smtp", "jmap", NULL};

/* 128 random bits in letters that no one misreads: 26 characters of base32. In this one form the keys below are made
 * of it; a login may write it with dashes, blanks and capitals. */
static void make_text(char out[APP_PASSWORD_SIZE])
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t raw[17] = {0};

    randombytes_buf(raw, 16);
    for (size_t k = 0; k < APP_PASSWORD_SIZE - 1; k++) {
        const size_t bit = k * 5;
        const unsigned v = ((unsigned)raw[bit / 8] << 8 | raw[bit / 8 + 1]) >> (11 - bit % 8) & 31;
        out[k] = alphabet[v];
    }
    out[APP_PASSWORD_SIZE - 1] = 0;
    sodium_memzero(raw, sizeof(raw));
}

/* SCRAM-SHA-256's two keys (RFC 5802 section 3), so that SASL mechanisms that need them can be offered without asking
 * for a new password. */
static void scram_keys(const struct schema_account *a, const char *password, uint8_t stored[32], uint8_t server[32])
{
    uint8_t salted[32], client[32];

    PKCS5_PBKDF2_HMAC(password, (int)strlen(password), a->auth_salt, sizeof(a->auth_salt), (int)a->auth_iterations,
                      EVP_sha256(), 32, salted);
    HMAC(EVP_sha256(), salted, 32, (const unsigned char *)"Client Key", 10, client, NULL);
    EVP_Digest(client, 32, stored, NULL, EVP_sha256(), NULL);
    HMAC(EVP_sha256(), salted, 32, (const unsigned char *)"Server Key", 10, server, NULL);
    sodium_memzero(salted, sizeof(salted));
    sodium_memzero(client, sizeof(client));
}

int app_password_make(const struct record_keys *k, const struct schema_account *a, char ret_text[APP_PASSWORD_SIZE],
                      struct vault_app_password *ret)
{
    char text[APP_PASSWORD_SIZE];
    int err;

    make_text(text);
    err = app_password_hash(k, a->id, text, strlen(text), ret->hash);
    if (err == OK) {
        scram_keys(a, text, ret->stored_key, ret->server_key);
        memcpy(ret_text, text, sizeof(text));
    }
    sodium_memzero(text, sizeof(text));
    return err;
}
