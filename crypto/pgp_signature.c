/* Signature packets taken apart (RFC 9580 section 5.2): versions 4 and 6, their subpackets by a table, and what follows
 * from two of them together. Nothing is verified here. */
#include "crypto/pgp_signature.h"

#include <string.h>

#include "crypto/pgp_internal.h"
#include "server/core/error.h"

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

int pgp_subpacket_next(struct pgp_area area, size_t *pos, struct pgp_subpacket *ret)
{
    if (*pos >= area.len)
        return ERR_NOT_FOUND;
    const uint8_t *p = area.data + *pos;
    size_t left = area.len - *pos, n = p[0], head = 1;
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
    *ret = (struct pgp_subpacket){.type = p[head] & 0x7f,
                                  .critical = p[head] & 0x80,
                                  .value = {p + head + 1, n - 1},
                                  .whole = {p, head + n}};
    *pos += head + n;
    return OK;
}

/* ---- what the hashed area states ---- */

static void take_created(struct pgp_signature *s, const uint8_t *v, size_t len)
{
    s->created = be32(v);
    s->unusable = false;
}

static void take_expires(struct pgp_signature *s, const uint8_t *v, size_t len)
{
    s->expires = be32(v);
}

static void take_key_expires(struct pgp_signature *s, const uint8_t *v, size_t len)
{
    s->has_key_expires = true;
    s->key_expires = be32(v);
}

static void take_ciphers(struct pgp_signature *s, const uint8_t *v, size_t len)
{
    s->has_ciphers = true;
    s->aes256 = len && memchr(v, PGP_AES256, len);
}

static void take_primary_uid(struct pgp_signature *s, const uint8_t *v, size_t len)
{
    s->primary_uid = v[0];
}

static void take_flags(struct pgp_signature *s, const uint8_t *v, size_t len)
{
    s->has_flags = true;
    s->flags = len ? v[0] : 0;
}

static void take_reason(struct pgp_signature *s, const uint8_t *v, size_t len)
{
    s->has_reason = true;
    s->reason = v[0];
}

/* GnuPG's own AEAD is 0x02 and its v5 keys 0x04, neither is meant here. */
static void take_features(struct pgp_signature *s, const uint8_t *v, size_t len)
{
    s->has_features = true;
    s->seipd_v2 = len && (v[0] & PGP_FEATURE_SEIPD_V2);
}

/* Pairs of cipher and AEAD. */
static void take_suites(struct pgp_signature *s, const uint8_t *v, size_t len)
{
    s->has_suites = true;
    s->aes256_ocb = false;
    for (size_t i = 0; i + 1 < len; i += 2)
        s->aes256_ocb |= v[i] == PGP_AES256 && v[i + 1] == PGP_AEAD_OCB;
}

enum { SUB_CREATED = 2, SUB_NOTATION = 20, ANY = 0xffff };

/* Those of section 5.2.3.7 and the reserved ones that are in use. What has no function says nothing about a key of
 * one's own that matters for encrypting to it. */
static const struct {
    bool known;
    uint16_t min, max;
    void (*take)(struct pgp_signature *s, const uint8_t *v, size_t len);
} subpackets[] = {
    [SUB_CREATED] = {true, 4, 4, take_created},  /* section 5.2.3.11 */
    [3] = {true, 4, 4, take_expires},            /* 5.2.3.18 */
    [4] = {true, 1, 1, NULL},                    /* 5.2.3.19 exportable */
    [5] = {true, 2, 2, NULL},                    /* 5.2.3.21 trust */
    [6] = {true, 0, ANY, NULL},                  /* 5.2.3.22 regular expression */
    [7] = {true, 1, 1, NULL},                    /* 5.2.3.20 revocable */
    [9] = {true, 4, 4, take_key_expires},        /* 5.2.3.13 */
    [10] = {true, 0, ANY, NULL},                 /* placeholder */
    [11] = {true, 0, ANY, take_ciphers},         /* 5.2.3.14 */
    [12] = {true, 0, ANY, NULL},                 /* 5.2.3.23 revocation key, deprecated */
    [PGP_SUB_ISSUER] = {true, 8, 8, NULL},       /* 5.2.3.12 */
    [SUB_NOTATION] = {true, 8, ANY, NULL},       /* 5.2.3.24 */
    [21] = {true, 0, ANY, NULL},                 /* 5.2.3.16 hashes */
    [22] = {true, 0, ANY, NULL},                 /* 5.2.3.17 compression */
    [23] = {true, 0, ANY, NULL},                 /* 5.2.3.25 key server preferences */
    [24] = {true, 0, ANY, NULL},                 /* 5.2.3.26 key server */
    [25] = {true, 1, 1, take_primary_uid},       /* 5.2.3.27 */
    [26] = {true, 0, ANY, NULL},                 /* 5.2.3.28 policy */
    [27] = {true, 0, ANY, take_flags},           /* 5.2.3.29 */
    [28] = {true, 0, ANY, NULL},                 /* 5.2.3.30 signer's user id */
    [29] = {true, 1, ANY, take_reason},          /* 5.2.3.31 */
    [30] = {true, 0, ANY, take_features},        /* 5.2.3.32 */
    [31] = {true, 2, ANY, NULL},                 /* 5.2.3.33 target */
    [PGP_SUB_EMBEDDED] = {true, 0, ANY, NULL},   /* 5.2.3.34 */
    [PGP_SUB_ISSUER_FPR] = {true, 1, ANY, NULL}, /* 5.2.3.35 */
    [34] = {true, 0, ANY, NULL},                 /* GnuPG's AEAD preferences */
    [35] = {true, 1, ANY, NULL},                 /* 5.2.3.36 intended recipient */
    [39] = {true, 0, ANY, take_suites},          /* 5.2.3.15 */
};

static void take(struct pgp_signature *s, const struct pgp_subpacket *p, bool *unusable)
{
    bool known = p->type < sizeof(subpackets) / sizeof(subpackets[0]) && subpackets[p->type].known;
    /* Section 5.2.3.7: an unknown critical one puts the signature in error; 5.2.3.24: so does a notation, and none is
     * known. */
    if (p->critical && (!known || p->type == SUB_NOTATION))
        *unusable = true;
    if (!known)
        return;
    if (p->value.len < subpackets[p->type].min || p->value.len > (size_t)subpackets[p->type].max)
        *unusable = true;
    else if (subpackets[p->type].take)
        subpackets[p->type].take(s, p->value.data, p->value.len);
}

static int read_area(const uint8_t *body, size_t len, size_t octets, size_t *pos, struct pgp_area *ret)
{
    if (len - *pos < octets)
        return ERR_FORMAT;
    size_t n = octets == 4 ? be32(body + *pos) : (size_t)body[*pos] << 8 | body[*pos + 1];
    *pos += octets;
    if (len - *pos < n)
        return ERR_FORMAT;
    *ret = (struct pgp_area){body + *pos, n};
    *pos += n;
    struct pgp_subpacket p;
    size_t at = 0;
    int err;
    while ((err = pgp_subpacket_next(*ret, &at, &p)) == OK)
        ;
    return err == ERR_NOT_FOUND ? OK : err;
}

/* Section 5.2.3: version, type, algorithms, hashed area, unhashed area, two octets of the hash, in version 6 the salt;
 * the areas' lengths have 2 octets in version 4, 4 in version 6. */
int pgp_signature_read(const uint8_t *body, size_t len, struct pgp_signature *ret)
{
    size_t pos = 4, at = 0;
    if (len < 4 || (body[0] != 4 && body[0] != 6))
        return ERR_UNSUPPORTED;
    struct pgp_signature s = {.version = body[0], .type = body[1], .algo = body[2], .hash = body[3], .unusable = true};
    size_t octets = s.version == 6 ? 4 : 2;
    int err = read_area(body, len, octets, &pos, &s.hashed);
    s.head = (struct pgp_area){body, pos};
    if (!err)
        err = read_area(body, len, octets, &pos, &s.unhashed);
    if (err)
        return err;
    if (len - pos < 2)
        return ERR_FORMAT;
    s.left = body + pos;
    pos += 2;
    if (s.version == 6) {
        if (len - pos < 1 || len - pos - 1 < body[pos])
            return ERR_FORMAT;
        s.salt = (struct pgp_area){body + pos + 1, body[pos]};
        pos += 1 + s.salt.len;
    }
    s.fields = (struct pgp_area){body + pos, len - pos};
    bool bad = false;
    struct pgp_subpacket p;
    while (pgp_subpacket_next(s.hashed, &at, &p) == OK)
        take(&s, &p, &bad);
    s.unusable = s.unusable || bad;
    *ret = s;
    return OK;
}

/* ---- who, and what follows ---- */

bool pgp_names_issuer(const struct pgp_subpacket *p, const struct pgp_key *key)
{
    const uint8_t *v = p->value.data;
    if (p->type == PGP_SUB_ISSUER)
        return p->value.len == 8 && memcmp(v, key->key_id, 8) == 0;
    return p->type == PGP_SUB_ISSUER_FPR && p->value.len == 1u + key->fpr_len && v[0] == key->version &&
           memcmp(v + 1, key->fpr, key->fpr_len) == 0;
}

static void count_issuers(struct pgp_area area, const struct pgp_key *key, size_t *ours, size_t *others)
{
    struct pgp_subpacket p;
    size_t pos = 0;
    while (pgp_subpacket_next(area, &pos, &p) == OK) {
        if (p.type == PGP_SUB_ISSUER || p.type == PGP_SUB_ISSUER_FPR)
            ++*(pgp_names_issuer(&p, key) ? ours : others);
    }
}

bool pgp_signature_is_foreign(const struct pgp_signature *s, const struct pgp_key *key)
{
    size_t ours = 0, others = 0;
    count_issuers(s->hashed, key, &ours, &others);
    if (ours || others)
        return others > 0;
    count_issuers(s->unhashed, key, &ours, &others);
    return others && !ours; /* what anybody can write there does not make it less ours */
}

bool pgp_revocation_is_hard(const struct pgp_signature *s)
{
    enum { SUPERSEDED = 1, RETIRED = 3 };
    return !s->has_reason || (s->reason != SUPERSEDED && s->reason != RETIRED);
}

bool pgp_primary_uid_before(const struct pgp_signature *a, const struct pgp_signature *b)
{
    return a->primary_uid != b->primary_uid ? a->primary_uid : a->created > b->created;
}

struct pgp_prefs pgp_prefs_merge(const struct pgp_signature *uid, const struct pgp_signature *direct)
{
    static const struct pgp_signature silent;
    const struct pgp_signature *newer = uid ? uid : &silent, *older = direct ? direct : &silent;
    if (!uid || (direct && direct->created > uid->created)) {
        const struct pgp_signature *t = newer;
        newer = older;
        older = t;
    }
    const struct pgp_signature *f = newer->has_features ? newer : older, *c = newer->has_ciphers ? newer : older,
                               *s = newer->has_suites ? newer : older;
    struct pgp_prefs p = {.seipd_v2 = f->seipd_v2, .aes256 = c->aes256};
    /* A certificate for SEIPD v2 states its pairs apart; AES-256 is taken only where both lists have it. */
    if (p.seipd_v2 && !s->aes256_ocb)
        p.aes256 = false;
    return p;
}
