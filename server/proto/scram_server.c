/* SCRAM-SHA-256 and -PLUS as a server: see scram.h. Names are RFC 5802 sections 3 and 7's. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "server/core/error.h"
#include "server/proto/sasl.h"
#include "server/proto/scram_impl.h"

static bool slice_is(struct slice s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}

/* saslname: "=2C" and "=3D" stand for "," and "=", and "=" stands nowhere else. */
static int read_name(struct slice in, char out[SCRAM_USER_MAX + 1], size_t *ret_len)
{
    size_t n = 0;

    for (size_t i = 0; i < in.len; i++) {
        char c = (char)in.data[i];

        if (c == '\0' || n == SCRAM_USER_MAX)
            return ERR_FORMAT;
        if (c == '=') {
            if (in.len - i < 3 || (memcmp(in.data + i, "=2C", 3) != 0 && memcmp(in.data + i, "=3D", 3) != 0))
                return ERR_FORMAT;
            c = in.data[i + 2] == 'C' ? ',' : '=';
            i += 2;
        }
        out[n++] = c;
    }
    out[n] = '\0';
    *ret_len = n;
    return n ? OK : ERR_FORMAT;
}

/* gs2-cbind-flag */
static int read_flag(struct scram_server *s, struct slice flag, bool plus, bool plus_offered)
{
    static const struct {
        const char *text;
        enum scram_binding binding;
    } known[] = {
        {"p=tls-exporter", SCRAM_TLS_EXPORTER},
        {"p=tls-server-end-point", SCRAM_TLS_SERVER_END_POINT},
    };

    s->binding = SCRAM_NOT_BOUND;
    if (slice_is(flag, "n") || slice_is(flag, "y"))
        return plus || (flag.data[0] == 'y' && plus_offered) ? ERR_DENIED : OK;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (slice_is(flag, known[i].text))
            s->binding = known[i].binding;
    if (flag.len < 3 || memcmp(flag.data, "p=", 2) != 0)
        return ERR_FORMAT;
    return plus && s->binding != SCRAM_NOT_BOUND ? OK : ERR_DENIED;
}

/* Up to the next comma, which must be there. */
static int next_part(struct slice *left, struct slice *ret)
{
    const uint8_t *end = left->len ? memchr(left->data, ',', left->len) : NULL;

    if (!end)
        return ERR_FORMAT;
    *ret = slice_of(left->data, (size_t)(end - left->data));
    *left = slice_of(end + 1, left->len - ret->len - 1);
    return OK;
}

int scram_server_first(struct scram_server *s, bool plus, bool plus_offered, struct slice client_first)
{
    struct slice left = client_first, flag, other, bare, name, nonce;
    char other_name[SCRAM_USER_MAX + 1];
    size_t other_len = 0, gs2;
    int err;

    if (client_first.len >= SCRAM_MESSAGE_MAX ||
        (client_first.len && memchr(client_first.data, '\0', client_first.len)) || next_part(&left, &flag) != OK ||
        next_part(&left, &other) != OK)
        return ERR_FORMAT;
    bare = left;
    gs2 = client_first.len - bare.len;
    if (gs2 >= sizeof(s->gs2) || scram_take(&left, 'n', &name) != OK || scram_take(&left, 'r', &nonce) != OK ||
        nonce.len >= sizeof(s->nonce) - 32 || !scram_printable(nonce) || read_name(name, s->user, &s->user_len) != OK)
        return ERR_FORMAT;
    if (other.len && (scram_take(&other, 'a', &name) != OK || read_name(name, other_name, &other_len) != OK))
        return ERR_FORMAT;
    err = read_flag(s, flag, plus, plus_offered);
    if (err != OK)
        return err;
    if (other_len && (other_len != s->user_len || memcmp(other_name, s->user, other_len) != 0))
        return ERR_DENIED; /* there are no proxies */
    memcpy(s->gs2, client_first.data, gs2);
    s->gs2[gs2] = '\0';
    snprintf(s->first_bare, sizeof(s->first_bare), "%.*s", (int)bare.len, (const char *)bare.data);
    snprintf(s->nonce, sizeof(s->nonce), "%.*s", (int)nonce.len, (const char *)nonce.data);
    return OK;
}

void scram_server_challenge(struct scram_server *s, const uint8_t nonce[SCRAM_NONCE_SIZE],
                            const uint8_t salt[SCRAM_SALT_SIZE], uint32_t iterations, char out[SCRAM_MESSAGE_MAX])
{
    char text[SASL_BASE64_LEN(SCRAM_SALT_SIZE) + 1];
    size_t n = strlen(s->nonce);

    sasl_base64_encode(slice_of(nonce, SCRAM_NONCE_SIZE), s->nonce + n); /* room: scram_server_first saw to it */
    sasl_base64_encode(slice_of(salt, SCRAM_SALT_SIZE), text);
    snprintf(s->server_first, sizeof(s->server_first), "r=%s,s=%s,i=%u", s->nonce, text, (unsigned)iterations);
    memcpy(out, s->server_first, sizeof(s->server_first));
}

/* channel-binding: the header again, and behind it what the login is bound to. */
static bool binding_fits(const struct scram_server *s, struct slice base64, struct slice bound_to)
{
    uint8_t said[SCRAM_MESSAGE_MAX];
    size_t gs2 = strlen(s->gs2);
    long n = sasl_base64_decode(base64, said, sizeof(said));

    return n >= 0 && (size_t)n == gs2 + bound_to.len && memcmp(said, s->gs2, gs2) == 0 &&
           (bound_to.len == 0 || CRYPTO_memcmp(said + gs2, bound_to.data, bound_to.len) == 0);
}

int scram_server_final(struct scram_server *s, struct slice client_final, struct slice bound_to)
{
    struct slice left = client_final, binding, nonce, proof, extension;
    uint8_t octets[SCRAM_KEY_SIZE + 4];
    size_t without;

    if (client_final.len >= SCRAM_MESSAGE_MAX ||
        (client_final.len && memchr(client_final.data, '\0', client_final.len)) ||
        scram_take(&left, 'c', &binding) != OK || scram_take(&left, 'r', &nonce) != OK)
        return ERR_FORMAT;
    while (left.len && left.data[0] != 'p') /* extensions, of which none changes anything */
        if (next_part(&left, &extension) != OK)
            return ERR_FORMAT;
    if (left.len == 0)
        return ERR_FORMAT;
    without = (size_t)(left.data - client_final.data) - 1;
    if (scram_take(&left, 'p', &proof) != OK || left.len ||
        sasl_base64_decode(proof, octets, sizeof(octets)) != SCRAM_KEY_SIZE)
        return ERR_FORMAT;
    memcpy(s->proof, octets, SCRAM_KEY_SIZE);
    if (!slice_is(nonce, s->nonce) || (s->binding != SCRAM_NOT_BOUND && bound_to.len == 0) ||
        !binding_fits(s, binding, bound_to))
        return ERR_DENIED;
    snprintf(s->auth_message, sizeof(s->auth_message), "%s,%s,%.*s", s->first_bare, s->server_first, (int)without,
             (const char *)client_final.data);
    return OK;
}

bool scram_server_fits(struct scram_server *s, const uint8_t stored[SCRAM_KEY_SIZE],
                       const uint8_t server[SCRAM_KEY_SIZE])
{
    uint8_t key[SCRAM_KEY_SIZE], hash[SCRAM_KEY_SIZE], signature[SCRAM_KEY_SIZE];
    bool fits = scram_hmac(stored, s->auth_message, key) == OK && scram_hmac(server, s->auth_message, signature) == OK;

    for (size_t i = 0; i < SCRAM_KEY_SIZE; i++)
        key[i] ^= s->proof[i];
    fits = EVP_Digest(key, sizeof(key), hash, NULL, EVP_sha256(), NULL) == 1 && fits &&
           CRYPTO_memcmp(hash, stored, SCRAM_KEY_SIZE) == 0;
    if (fits)
        memcpy(s->signature, signature, sizeof(signature));
    OPENSSL_cleanse(key, sizeof(key));
    OPENSSL_cleanse(signature, sizeof(signature));
    return fits;
}

void scram_server_last(const struct scram_server *s, char out[SCRAM_FINAL_MAX])
{
    char text[SASL_BASE64_LEN(SCRAM_KEY_SIZE) + 1];

    sasl_base64_encode(slice_of(s->signature, SCRAM_KEY_SIZE), text);
    snprintf(out, SCRAM_FINAL_MAX, "v=%s", text);
}
