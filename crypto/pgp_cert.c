/* Certificates taken apart: the list of keys with fingerprints, and what the self-signatures advertise. No signature is
 * verified here: a certificate is judged before it is stored. */
#include "crypto/pgp_cert.h"

#include <string.h>

#include "crypto/pgp_internal.h"
#include "server/base/error.h"

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static unsigned key_bits(uint8_t algo, const uint8_t *m, size_t len)
{
    const struct pgp_curve *c;
    switch (algo) {
    case PGP_RSA:
    case PGP_RSA_ENCRYPT:
    case PGP_RSA_SIGN:
    case PGP_ELGAMAL:
    case PGP_DSA:
        return len >= 2 ? (unsigned)m[0] << 8 | m[1] : 0;
    case PGP_ECDH:
    case PGP_ECDSA:
        c = len >= 1 && len - 1 >= m[0] ? pgp_curve_find(m + 1, m[0]) : NULL;
        return c ? c->bits : 0;
    case PGP_EDDSA_LEGACY:
    case PGP_X25519:
    case PGP_ED25519:
        return 255;
    case PGP_X448:
    case PGP_ED448:
        return 448;
    default:
        return 0;
    }
}

/* Sections 5.5.4.2 and 5.5.4.3. */
static int fingerprint(struct pgp_engine *e, struct pgp_key *k, const uint8_t *body, size_t len)
{
    uint8_t head[5] = {0x99, (uint8_t)(len >> 8), (uint8_t)len};
    struct pgp_part parts[] = {{head, 3}, {body, len}};
    const EVP_MD *md = e->sha1;
    k->fpr_len = 20;
    if (k->version == 6) {
        head[0] = 0x9b;
        for (int i = 0; i < 4; i++)
            head[1 + i] = (uint8_t)(len >> (24 - 8 * i));
        parts[0].len = 5;
        md = e->sha256;
        k->fpr_len = 32;
    } else if (len > 0xffff) {
        return ERR_FORMAT;
    }
    int err = pgp_hash_parts(e, md, parts, 2, k->fpr);
    if (!err)
        memcpy(k->key_id, k->version == 6 ? k->fpr : k->fpr + 12, 8);
    return err;
}

static int read_key(struct pgp_engine *e, const struct pgp_packet *p, struct pgp_key *ret)
{
    const uint8_t *b = p->body;
    size_t len = p->body_len;
    struct pgp_key k = {.subkey = p->tag == PGP_TAG_PUBLIC_SUBKEY};
    if (len < 6)
        return ERR_FORMAT;
    k.version = b[0];
    k.created = be32(b + 1);
    k.algo = b[5];
    if (k.version == 4) { /* section 5.5.2.2 */
        k.material = b + 6;
        k.material_len = len - 6;
    } else if (k.version == 6) { /* section 5.5.2.3: the length of the material is stated */
        if (len < 10 || be32(b + 6) != len - 10)
            return ERR_FORMAT;
        k.material = b + 10;
        k.material_len = len - 10;
    } else {
        return ERR_UNSUPPORTED;
    }
    k.bits = key_bits(k.algo, k.material, k.material_len);
    int err = fingerprint(e, &k, b, len);
    if (!err)
        *ret = k;
    return err;
}

/* What may stand in a certificate besides keys. Unknown packets of the non-critical range are passed over (section 4.3). */
static bool may_be_in_cert(enum pgp_tag tag)
{
    return tag == PGP_TAG_SIGNATURE || tag == PGP_TAG_USER_ID || tag == PGP_TAG_USER_ATTRIBUTE || tag == PGP_TAG_TRUST ||
           tag == PGP_TAG_MARKER || tag == PGP_TAG_PADDING || (int)tag >= 40;
}

int pgp_cert_keys(const uint8_t *data, size_t len, struct pgp_key *keys, size_t *n)
{
    struct pgp_engine *e = pgp_engine();
    struct pgp_packet p;
    size_t pos = 0, count = 0;
    int err;
    if (!e)
        return ERR_MEMORY;
    if (len > PGP_CERT_MAX)
        return ERR_LIMIT;
    while ((err = pgp_packet_next(data, len, &pos, &p)) == OK) {
        bool first = count == 0;
        if (first != (p.tag == PGP_TAG_PUBLIC_KEY))
            return ERR_FORMAT; /* something before the primary key, or a second one */
        if (p.tag != PGP_TAG_PUBLIC_KEY && p.tag != PGP_TAG_PUBLIC_SUBKEY) {
            if (!may_be_in_cert(p.tag))
                return ERR_FORMAT;
            continue;
        }
        if (count == *n)
            return ERR_LIMIT;
        err = read_key(e, &p, &keys[count]);
        if (err)
            return err;
        if (keys[count].version != keys[0].version)
            return ERR_FORMAT; /* section 10.1.1: subkeys are of the primary's version */
        count++;
    }
    if (err != ERR_NOT_FOUND || count == 0)
        return err == ERR_NOT_FOUND ? ERR_FORMAT : err;
    *n = count;
    return OK;
}

/* One self-signature's advertisements. */
struct advert {
    bool seen;
    uint32_t created;
    bool primary_uid;
    bool has_features, has_ciphers, has_suites;
    bool seipd_v2, aes256, aes256_ocb;
    bool foreign; /* names an issuer that is not the primary key */
};

struct subpackets {
    const uint8_t *data;
    size_t len;
};

static void read_subpacket(uint8_t type, const uint8_t *v, size_t len, bool hashed, const struct pgp_key *primary,
                           struct advert *a)
{
    enum { CREATED = 2, CIPHERS = 11, ISSUER = 16, PRIMARY_UID = 25, FEATURES = 30, ISSUER_FPR = 33, SUITES = 39 };
    /* The issuer may stand in the unhashed area; everything else counts only when it is signed. */
    if (type == ISSUER && len == 8 && memcmp(v, primary->key_id, 8) != 0)
        a->foreign = true;
    if (type == ISSUER_FPR && (len != 1u + primary->fpr_len || memcmp(v + 1, primary->fpr, primary->fpr_len) != 0))
        a->foreign = true;
    if (!hashed)
        return;
    if (type == CREATED && len == 4)
        a->created = be32(v);
    if (type == PRIMARY_UID && len == 1)
        a->primary_uid = v[0];
    if (type == FEATURES) { /* section 5.2.3.32; GnuPG's own AEAD is 0x02 and its v5 keys 0x04, neither is meant here */
        a->has_features = true;
        a->seipd_v2 = len >= 1 && (v[0] & PGP_FEATURE_SEIPD_V2);
    }
    if (type == CIPHERS) { /* section 5.2.3.14 */
        a->has_ciphers = true;
        a->aes256 = len && memchr(v, PGP_AES256, len);
    }
    if (type == SUITES) { /* section 5.2.3.15: pairs of cipher and AEAD */
        a->has_suites = true;
        for (size_t i = 0; i + 1 < len; i += 2)
            a->aes256_ocb |= v[i] == PGP_AES256 && v[i + 1] == PGP_AEAD_OCB;
    }
}

/* Section 5.2.3.7. */
static int read_subpackets(struct subpackets s, bool hashed, const struct pgp_key *primary, struct advert *a)
{
    size_t pos = 0;
    while (pos < s.len) {
        const uint8_t *p = s.data + pos;
        size_t left = s.len - pos, n = p[0], head = 1;
        if (n >= 192 && n < 255) {
            if (left < 2)
                return ERR_FORMAT;
            n = ((n - 192) << 8) + p[1] + 192;
            head = 2;
        } else if (n == 255) {
            if (left < 5)
                return ERR_FORMAT;
            n = be32(p + 1);
            head = 5;
        }
        if (n == 0 || n > left - head)
            return ERR_FORMAT;
        read_subpacket(p[head] & 0x7f, p + head + 1, n - 1, hashed, primary, a);
        pos += head + n;
    }
    return OK;
}

/* Sections 5.2.3.1 and 5.2.3.2: version, type, algorithms, hashed area, unhashed area; lengths have 2 octets in v4, 4 in v6. */
static int read_signature(const struct pgp_packet *p, const struct pgp_key *primary, uint8_t *ret_type, struct advert *ret)
{
    const uint8_t *b = p->body;
    size_t len = p->body_len, pos = 4;
    struct advert a = {.seen = true};
    if (len < 4 || (b[0] != 4 && b[0] != 6))
        return ERR_UNSUPPORTED;
    size_t octets = b[0] == 6 ? 4 : 2;
    for (int hashed = 1; hashed >= 0; hashed--) {
        if (len - pos < octets)
            return ERR_FORMAT;
        size_t n = octets == 4 ? be32(b + pos) : (size_t)b[pos] << 8 | b[pos + 1];
        pos += octets;
        if (len - pos < n)
            return ERR_FORMAT;
        int err = read_subpackets((struct subpackets){b + pos, n}, hashed, primary, &a);
        if (err)
            return err;
        pos += n;
    }
    *ret_type = b[1];
    *ret = a;
    return OK;
}

static void keep_newest(struct advert *best, const struct advert *a)
{
    if (!best->seen || a->created >= best->created)
        *best = *a;
}

/* Of two user ids' newest signatures: a marked one before an unmarked one, then the newer. */
static void keep_primary_uid(struct advert *best, const struct advert *uid)
{
    if (!uid->seen)
        return;
    if (!best->seen || uid->primary_uid > best->primary_uid ||
        (uid->primary_uid == best->primary_uid && uid->created > best->created))
        *best = *uid;
}

/* Each item from the newer of the two signatures that states it. */
static struct pgp_prefs merge(const struct advert *uid, const struct advert *direct)
{
    const struct advert *newer = uid, *older = direct;
    if (!uid->seen || (direct->seen && direct->created > uid->created)) {
        newer = direct;
        older = uid;
    }
    const struct advert *f = newer->has_features ? newer : older, *c = newer->has_ciphers ? newer : older,
                        *s = newer->has_suites ? newer : older;
    struct pgp_prefs p = {.seipd_v2 = f->seipd_v2, .aes256 = c->aes256};
    /* A certificate for SEIPD v2 states its pairs apart; AES-256 is taken only where both lists have it. */
    if (p.seipd_v2 && !s->aes256_ocb)
        p.aes256 = false;
    return p;
}

int pgp_cert_prefs(const uint8_t *data, size_t len, struct pgp_prefs *ret)
{
    struct pgp_key keys[PGP_KEYS_MAX];
    size_t n = PGP_KEYS_MAX, pos = 0;
    int err = pgp_cert_keys(data, len, keys, &n);
    if (err)
        return err;
    enum { AT_PRIMARY, AT_USER_ID, AT_OTHER } at = AT_PRIMARY;
    struct advert direct = {0}, uid = {0}, best_uid = {0};
    struct pgp_packet p;
    while (pgp_packet_next(data, len, &pos, &p) == OK) {
        struct advert a;
        uint8_t type;
        if (p.tag == PGP_TAG_USER_ID || p.tag == PGP_TAG_USER_ATTRIBUTE || p.tag == PGP_TAG_PUBLIC_SUBKEY) {
            keep_primary_uid(&best_uid, &uid);
            uid = (struct advert){0};
            at = p.tag == PGP_TAG_USER_ID ? AT_USER_ID : AT_OTHER;
        }
        if (p.tag != PGP_TAG_SIGNATURE)
            continue;
        err = read_signature(&p, &keys[0], &type, &a);
        if (err == ERR_UNSUPPORTED) /* v3 signatures carry no subpackets */
            continue;
        if (err)
            return err;
        if (a.foreign)
            continue;
        if (at == AT_PRIMARY && type == 0x1f)
            keep_newest(&direct, &a);
        if (at == AT_USER_ID && type >= 0x10 && type <= 0x13)
            keep_newest(&uid, &a);
    }
    keep_primary_uid(&best_uid, &uid);
    *ret = merge(&best_uid, &direct);
    return OK;
}
