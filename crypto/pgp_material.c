/* Public keys' algorithm-specific fields (RFC 9580 section 5.5.5) taken apart and turned into OpenSSL's keys: what
 * sealing and verifying have in common. */
#include <string.h>

#include "crypto/pgp_internal.h"
#include "server/core/error.h"

/* RFC 9580 section 9.2. */
static const struct pgp_curve curves[] = {
    {NULL, 10, {0x2b, 0x06, 0x01, 0x04, 0x01, 0x97, 0x55, 0x01, 0x05, 0x01}, 255},
    {"P-256", 8, {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}, 256},
    {"P-384", 5, {0x2b, 0x81, 0x04, 0x00, 0x22}, 384},
    {"P-521", 5, {0x2b, 0x81, 0x04, 0x00, 0x23}, 521},
    {"brainpoolP256r1", 9, {0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07}, 256},
    {"brainpoolP384r1", 9, {0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x0b}, 384},
    {"brainpoolP512r1", 9, {0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x0d}, 512},
};

const struct pgp_curve *pgp_curve_find(const uint8_t *oid, size_t len)
{
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
        if (curves[i].oid_len == len && memcmp(curves[i].oid, oid, len) == 0)
            return &curves[i];
    }
    return NULL;
}

int pgp_mpis_read(const uint8_t *m, size_t len, struct pgp_part *ret, size_t n)
{
    size_t pos = 0;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p;
        size_t l;
        if (pgp_mpi_next(m, len, &pos, &p, &l) != OK)
            return ERR_FORMAT;
        ret[i] = (struct pgp_part){p, l};
    }
    return pos == len ? OK : ERR_FORMAT;
}

size_t pgp_mpi_bits(const struct pgp_part *m)
{
    const uint8_t *p = m->data;
    size_t bits = m->len * 8;
    for (uint8_t top = m->len ? p[0] : 0xff; !(top & 0x80); top = (uint8_t)(top << 1))
        bits--;
    return bits;
}

int pgp_pkey_from(const char *type, OSSL_PARAM *params, EVP_PKEY **ret)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;
    int err = ERR_MEMORY;
    if (ctx && params)
        err = EVP_PKEY_fromdata_init(ctx) > 0 && EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) > 0
                  ? OK
                  : ERR_FORMAT;
    EVP_PKEY_CTX_free(ctx);
    if (!err)
        *ret = pkey;
    return err;
}

int pgp_pkey_from_mpis(const char *type, const char *const *names, const struct pgp_part *mpis, size_t n,
                       EVP_PKEY **ret)
{
    BIGNUM *bn[4] = {NULL};
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    bool ok = bld && n <= 4;
    for (size_t i = 0; ok && i < n; i++) {
        bn[i] = BN_bin2bn(mpis[i].data, (int)mpis[i].len, NULL);
        ok = bn[i] && OSSL_PARAM_BLD_push_BN(bld, names[i], bn[i]);
    }
    if (ok)
        params = OSSL_PARAM_BLD_to_param(bld);
    int err = pgp_pkey_from(type, params, ret);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    for (size_t i = 0; i < 4; i++)
        BN_free(bn[i]);
    return err;
}

int pgp_ecdh_read(const uint8_t *m, size_t len, struct pgp_ecdh_fields *ret)
{
    struct pgp_ecdh_fields f = {.oid = m};
    const uint8_t *point;
    if (len < 1 || m[0] == 0 || m[0] == 0xff || len - 1 < m[0])
        return ERR_FORMAT;
    f.oid_len = (size_t)m[0] + 1;
    f.curve = pgp_curve_find(m + 1, m[0]);
    size_t pos = f.oid_len, point_len;
    if (pgp_mpi_next(m, len, &pos, &point, &point_len) != OK)
        return ERR_FORMAT;
    if (len - pos != 4 || m[pos] != 3 || m[pos + 1] != 1)
        return ERR_FORMAT;
    f.point = (struct pgp_part){point, point_len};
    f.hash = m[pos + 2];
    f.cipher = m[pos + 3];
    *ret = f;
    return OK;
}

bool pgp_ecdh_kdf_known(const struct pgp_ecdh_fields *f)
{
    return f->hash >= PGP_SHA256 && f->hash <= PGP_SHA512 && f->cipher >= PGP_AES128 && f->cipher <= PGP_AES256;
}

/* An even modulus or exponent is no RSA key, and under exponent 1 the session key stands readable. */
enum pgp_flaw pgp_rsa_flaw(const struct pgp_part part[2])
{
    const uint8_t *n = part[0].data, *e = part[1].data;
    size_t n_len = part[0].len, e_len = part[1].len;
    if (!n_len || !(n[n_len - 1] & 1))
        return PGP_FLAW_MODULUS;
    if (!e_len || !(e[e_len - 1] & 1) || (e_len == 1 && e[0] == 1) || e_len > n_len ||
        (e_len == n_len && memcmp(e, n, n_len) >= 0))
        return PGP_FLAW_EXPONENT;
    return PGP_FLAW_NONE;
}

/* OpenSSL takes long exponents only up to a certain modulus. */
int pgp_rsa_read(const uint8_t *m, size_t len, struct pgp_part ret[2])
{
    enum { BITS_LONG_EXPONENT = 3072, EXPONENT_MAX = 8 };
    struct pgp_part part[2];
    int err = pgp_mpis_read(m, len, part, 2);
    if (err)
        return err;
    size_t bits = pgp_mpi_bits(&part[0]);
    if (pgp_rsa_flaw(part))
        return ERR_FORMAT;
    if (bits < PGP_RSA_BITS_MIN || bits > PGP_RSA_BITS_MAX || (bits > BITS_LONG_EXPONENT && part[1].len > EXPONENT_MAX))
        return ERR_UNSUPPORTED;
    ret[0] = part[0];
    ret[1] = part[1];
    return OK;
}

int pgp_rsa_pkey(const struct pgp_part part[2], EVP_PKEY **ret)
{
    static const char *const names[] = {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E};
    return pgp_pkey_from_mpis("RSA", names, part, 2, ret);
}

/* Uncompressed points only (section 11.2.1); fromdata refuses one that is not on the curve. */
int pgp_ec_pkey(const struct pgp_curve *curve, struct pgp_part point, EVP_PKEY **ret)
{
    const uint8_t *p = point.data;
    size_t octets = (size_t)(curve->bits + 7) / 8;
    if (!curve->name || point.len != 1 + 2 * octets || p[0] != 4)
        return ERR_FORMAT;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)curve->name, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)p, point.len),
        OSSL_PARAM_construct_end(),
    };
    return pgp_pkey_from("EC", params, ret);
}
