#include "crypto/queue_key.h"

#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"

/* RFC 9580 section 5.5.2.3: version 6, the time it was made (0: it has none), algorithm, length of the material. */
static const uint8_t head[] = {6, 0, 0, 0, 0, PGP_X25519, 0, 0, 0, 32};
enum { BODY = sizeof(head) + 32 };

void queue_key_secret(const uint8_t root[32], uint8_t out[QUEUE_SECRET_SIZE])
{
    static const uint8_t personal[crypto_generichash_blake2b_PERSONALBYTES] = "letterlock-que2";
    (void)crypto_generichash_blake2b_salt_personal(out, QUEUE_SECRET_SIZE, NULL, 0, root, 32, NULL, personal);
}

void queue_key_public(const uint8_t root[32], uint8_t out[QUEUE_PUBLIC_MAX], size_t *ret_len)
{
    uint8_t secret[QUEUE_SECRET_SIZE];
    size_t n = pgp_packet_header(out, PGP_TAG_PUBLIC_KEY, BODY);
    memcpy(out + n, head, sizeof(head));
    queue_key_secret(root, secret);
    (void)crypto_scalarmult_base(out + n + sizeof(head), secret);
    secmem_wipe(secret, sizeof(secret));
    *ret_len = n + BODY;
}

int queue_key_ref(struct slice public_key, struct pgp_key_ref *ret)
{
    struct pgp_packet p;
    size_t at = 0;
    if (pgp_packet_next(public_key.data, public_key.len, &at, &p) != OK || at != public_key.len ||
        p.tag != PGP_TAG_PUBLIC_KEY || p.body_len != BODY || memcmp(p.body, head, sizeof(head)) != 0)
        return ERR_FORMAT;
    struct pgp_key_ref r = {.fpr_len = 32, .algo = PGP_X25519, .octets = 32, .current = true};
    /* Section 5.5.4.3. */
    const uint8_t prefix[] = {0x9b, 0, 0, 0, BODY};
    crypto_hash_sha256_state st;
    (void)crypto_hash_sha256_init(&st);
    (void)crypto_hash_sha256_update(&st, prefix, sizeof(prefix));
    (void)crypto_hash_sha256_update(&st, p.body, BODY);
    (void)crypto_hash_sha256_final(&st, r.fpr);
    *ret = r;
    return OK;
}
