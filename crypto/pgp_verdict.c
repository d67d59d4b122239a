/* The judge's verdict as bytes: what the store keeps beside each certificate. Fixed size, zero-padded. */
#include "crypto/pgp_cert.h"

#include <string.h>

#include "server/core/error.h"

enum {
    VERDICT_VERSION = 2, /* 1 had zeros for enc_octets */
    VERDICT_USED = 1 + 1 + 32 + 1 + 4 + 4 + 1 + 32 + 1 + 4 + 1 + 4 + 2,
    FLAG_NATIVE = 1,
    FLAG_SEIPD_V2 = 2,
    FLAG_AES256 = 4,
    FLAGS_KNOWN = 7
};
_Static_assert((int)VERDICT_USED <= (int)PGP_VERDICT_SIZE, "verdict layout");

static void put_u32(uint8_t **p, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        *(*p)++ = (uint8_t)(v >> shift);
}

static uint32_t get_u32(const uint8_t **p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 8 | *(*p)++;
    return v;
}

void pgp_verdict_pack(const struct pgp_verdict *v, uint8_t out[PGP_VERDICT_SIZE])
{
    uint8_t *p = out;
    memset(out, 0, PGP_VERDICT_SIZE);
    *p++ = VERDICT_VERSION;
    *p++ = v->primary_fpr_len;
    memcpy(p, v->primary_fpr, PGP_FPR_MAX);
    p += PGP_FPR_MAX;
    *p++ = v->primary_algo;
    put_u32(&p, v->created);
    put_u32(&p, v->expires);
    *p++ = v->enc_fpr_len;
    memcpy(p, v->enc_fpr, PGP_FPR_MAX);
    p += PGP_FPR_MAX;
    *p++ = v->enc_algo;
    put_u32(&p, v->enc_expires);
    *p++ = (uint8_t)((v->native ? FLAG_NATIVE : 0) | (v->prefs.seipd_v2 ? FLAG_SEIPD_V2 : 0) |
                     (v->prefs.aes256 ? FLAG_AES256 : 0));
    put_u32(&p, v->signed_at);
    *p++ = (uint8_t)(v->enc_octets >> 8);
    *p++ = (uint8_t)v->enc_octets;
}

static bool fpr_len_ok(uint8_t n)
{
    return n == 20 || n == 32;
}

int pgp_verdict_unpack(const uint8_t *in, size_t len, struct pgp_verdict *ret)
{
    struct pgp_verdict v = {0};
    const uint8_t *p = in;
    if (len != PGP_VERDICT_SIZE)
        return ERR_FORMAT;
    if (*p == 0 || *p++ > VERDICT_VERSION)
        return in[0] ? ERR_VERSION : ERR_FORMAT;
    v.primary_fpr_len = *p++;
    memcpy(v.primary_fpr, p, PGP_FPR_MAX);
    p += PGP_FPR_MAX;
    v.primary_algo = *p++;
    v.created = get_u32(&p);
    v.expires = get_u32(&p);
    v.enc_fpr_len = *p++;
    memcpy(v.enc_fpr, p, PGP_FPR_MAX);
    p += PGP_FPR_MAX;
    v.enc_algo = *p++;
    v.enc_expires = get_u32(&p);
    uint8_t flags = *p++;
    v.signed_at = get_u32(&p);
    v.enc_octets = (uint16_t)(p[0] << 8 | p[1]);
    p += 2;
    if (!fpr_len_ok(v.primary_fpr_len) || !fpr_len_ok(v.enc_fpr_len) || (flags & ~FLAGS_KNOWN))
        return ERR_FORMAT;
    for (; p < in + len; p++) {
        if (*p)
            return ERR_FORMAT;
    }
    v.native = flags & FLAG_NATIVE;
    v.prefs.seipd_v2 = flags & FLAG_SEIPD_V2;
    v.prefs.aes256 = flags & FLAG_AES256;
    *ret = v;
    return OK;
}

struct pgp_key_ref pgp_verdict_key(const struct pgp_verdict *v, bool current)
{
    struct pgp_key_ref ref = {.fpr_len = v->enc_fpr_len,
                              .algo = v->enc_algo,
                              .octets = v->enc_octets,
                              .current = current};
    memcpy(ref.fpr, v->enc_fpr, sizeof(ref.fpr));
    return ref;
}
