#include "tests/support/published_cert.h"

#include <string.h>

enum { MADE = 1700000000, CERTIFIES = 3, ENCRYPTS = 0x0c };

size_t published_cert_of(const struct forge_key *primary, const struct forge_key *subkey, const char *const *user_ids,
                         uint8_t *out, size_t cap)
{
    static struct forge f;
    f.len = 0;
    forge_put_key(&f, PGP_TAG_PUBLIC_KEY, primary);
    for (; *user_ids; user_ids++) {
        forge_put_uid(&f, *user_ids);
        forge_put_sig(&f, (struct forge_sig){.type = 0x13, .created = MADE, .flags = CERTIFIES}, primary, primary, NULL,
                      *user_ids);
    }
    forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, subkey);
    forge_put_sig(&f, (struct forge_sig){.type = 0x18, .created = MADE, .flags = ENCRYPTS}, primary, primary, subkey,
                  NULL);
    if (f.len > cap)
        return 0;
    memcpy(out, f.data, f.len);
    return f.len;
}

size_t published_cert(uint8_t seed, const char *const *user_ids, uint8_t out[PUBLISHED_CERT_MAX],
                      struct pgp_verdict *ret)
{
    struct forge_key primary, enc;
    forge_key_make(&primary, 4, PGP_ED25519, MADE, seed);
    forge_key_make(&enc, 4, PGP_X25519, MADE, (uint8_t)(seed + 1));
    const size_t len = published_cert_of(&primary, &enc, user_ids, out, PUBLISHED_CERT_MAX);
    if (!len)
        return 0;
    *ret = (struct pgp_verdict){.primary_fpr_len = 20,
                                .primary_algo = PGP_ED25519,
                                .created = MADE,
                                .enc_fpr_len = 20,
                                .enc_algo = PGP_X25519,
                                .enc_octets = 32,
                                .native = true};
    memcpy(ret->primary_fpr, primary.fpr, sizeof(ret->primary_fpr));
    memcpy(ret->enc_fpr, enc.fpr, sizeof(ret->enc_fpr));
    return len;
}

struct made made_of(uint8_t seed, const char *user_id, const char *second)
{
    const char *const ids[] = {user_id, second, NULL};
    struct made m = {.len = 0};
    m.len = published_cert(seed, ids, m.cert, &m.verdict);
    return m;
}
