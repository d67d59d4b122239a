#include "tests/support/published_cert.h"

#include <string.h>

#include "tests/support/pgp_forge.h"

size_t published_cert(uint8_t seed, const char *const *user_ids, uint8_t out[PUBLISHED_CERT_MAX],
                      struct pgp_verdict *ret)
{
    static struct forge f;
    struct forge_key primary, enc;
    enum { MADE = 1700000000, CERTIFIES = 3, ENCRYPTS = 0x0c };
    forge_key_make(&primary, 4, PGP_ED25519, MADE, seed);
    forge_key_make(&enc, 4, PGP_X25519, MADE, (uint8_t)(seed + 1));
    f.len = 0;
    forge_put_key(&f, PGP_TAG_PUBLIC_KEY, &primary);
    for (; *user_ids; user_ids++) {
        forge_put_uid(&f, *user_ids);
        forge_put_sig(&f, (struct forge_sig){.type = 0x13, .created = MADE, .flags = CERTIFIES}, &primary, &primary,
                      NULL, *user_ids);
    }
    forge_put_key(&f, PGP_TAG_PUBLIC_SUBKEY, &enc);
    forge_put_sig(&f, (struct forge_sig){.type = 0x18, .created = MADE, .flags = ENCRYPTS}, &primary, &primary, &enc,
                  NULL);
    if (f.len > PUBLISHED_CERT_MAX)
        return 0;
    memcpy(out, f.data, f.len);
    *ret = (struct pgp_verdict){.primary_fpr_len = 20,
                                .primary_algo = PGP_ED25519,
                                .created = MADE,
                                .enc_fpr_len = 20,
                                .enc_algo = PGP_X25519,
                                .enc_octets = 32,
                                .native = true};
    memcpy(ret->primary_fpr, primary.fpr, sizeof(ret->primary_fpr));
    memcpy(ret->enc_fpr, enc.fpr, sizeof(ret->enc_fpr));
    return f.len;
}
