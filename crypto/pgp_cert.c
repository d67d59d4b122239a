/* Certificates taken apart: the list of keys with fingerprints, and what the self-signatures advertise. No signature is
 * verified here: a certificate is judged before it is stored. */
#include "crypto/pgp_cert.h"

#include <string.h>

#include "crypto/pgp_internal.h"
#include "crypto/pgp_published.h"
#include "crypto/pgp_signature.h"
#include "server/core/error.h"

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
    case PGP_DSA: return len >= 2 ? (unsigned)m[0] << 8 | m[1] : 0;
    case PGP_ECDH:
    case PGP_ECDSA: c = len >= 1 && len - 1 >= m[0] ? pgp_curve_find(m + 1, m[0]) : NULL; return c ? c->bits : 0;
    case PGP_EDDSA_LEGACY:
    case PGP_X25519:
    case PGP_ED25519: return 255;
    case PGP_X448:
    case PGP_ED448: return 448;
    default: return 0;
    }
}

int pgp_key_read(const struct pgp_packet *p, struct pgp_key *ret)
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
    int err = pgp_fingerprint(b, len, k.fpr, &k.fpr_len, k.key_id);
    if (!err)
        *ret = k;
    return err;
}

uint16_t pgp_key_octets(const struct pgp_key *k)
{
    const uint8_t *first;
    size_t n, pos = 0;
    switch (k->algo) {
    case PGP_X25519: return 32;
    case PGP_X448: return 56;
    case PGP_ECDH: pos = k->material_len ? 1u + k->material[0] : 0; break; /* behind the curve's name */
    case PGP_RSA:
    case PGP_RSA_ENCRYPT:
    case PGP_ELGAMAL: break;
    default: return 0;
    }
    return pgp_mpi_next(k->material, k->material_len, &pos, &first, &n) == OK ? (uint16_t)n : 0;
}

/* What may stand in a certificate besides keys. Unknown packets of the non-critical range are passed over
 * (section 4.3). */
bool pgp_may_be_in_cert(enum pgp_tag tag)
{
    return tag == PGP_TAG_SIGNATURE || tag == PGP_TAG_USER_ID || tag == PGP_TAG_USER_ATTRIBUTE ||
           tag == PGP_TAG_TRUST || tag == PGP_TAG_MARKER || tag == PGP_TAG_PADDING || (int)tag >= 40;
}

int pgp_cert_keys(const uint8_t *data, size_t len, struct pgp_key *keys, size_t *n)
{
    struct pgp_packet p;
    size_t pos = 0, count = 0;
    int err;
    if (len > PGP_CERT_MAX)
        return ERR_LIMIT;
    while ((err = pgp_packet_next(data, len, &pos, &p)) == OK) {
        bool first = count == 0;
        if (first != (p.tag == PGP_TAG_PUBLIC_KEY))
            return ERR_FORMAT; /* something before the primary key, or a second one */
        if (p.tag != PGP_TAG_PUBLIC_KEY && p.tag != PGP_TAG_PUBLIC_SUBKEY) {
            if (!pgp_may_be_in_cert(p.tag))
                return ERR_FORMAT;
            continue;
        }
        if (count == *n)
            return ERR_LIMIT;
        err = pgp_key_read(&p, &keys[count]);
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

/* ---- what the self-signatures advertise, by their own word ---- */

struct advert {
    bool seen;
    struct pgp_signature sig;
};

static void keep_newest(struct advert *best, const struct pgp_signature *s)
{
    if (!best->seen || s->created >= best->sig.created)
        *best = (struct advert){true, *s};
}

/* A user id's newest signature, if it has not been revoked since. */
static void keep_primary_uid(struct pgp_self *best, struct advert *uid, const struct advert *revoked, size_t at)
{
    if (uid->seen && !(revoked->seen && revoked->sig.created >= uid->sig.created) &&
        (!best->has_uid || pgp_primary_uid_before(&uid->sig, &best->uid))) {
        best->has_uid = true;
        best->uid = uid->sig;
        best->uid_at = at;
    }
}

int pgp_cert_self(const uint8_t *data, size_t len, struct pgp_self *ret)
{
    struct pgp_key keys[PGP_KEYS_MAX];
    size_t n = PGP_KEYS_MAX, pos = 0, at = 0;
    int err = pgp_cert_keys(data, len, keys, &n);
    if (err)
        return err;
    enum { AT_PRIMARY, AT_USER_ID, AT_OTHER } where = AT_PRIMARY;
    struct advert direct = {0}, uid = {0}, revoked = {0};
    struct pgp_self self = {0};
    struct pgp_packet p;
    for (size_t here = 0; pgp_packet_next(data, len, &pos, &p) == OK; here = pos) {
        struct pgp_signature s;
        if (p.tag == PGP_TAG_USER_ID || p.tag == PGP_TAG_USER_ATTRIBUTE || p.tag == PGP_TAG_PUBLIC_SUBKEY) {
            keep_primary_uid(&self, &uid, &revoked, at);
            uid = revoked = (struct advert){0};
            where = p.tag == PGP_TAG_USER_ID ? AT_USER_ID : AT_OTHER;
            at = here;
        }
        if (p.tag != PGP_TAG_SIGNATURE)
            continue;
        err = pgp_signature_read(p.body, p.body_len, &s);
        if (err == ERR_UNSUPPORTED) /* v3 signatures carry no subpackets */
            continue;
        if (err)
            return err;
        if (s.unusable || pgp_signature_is_foreign(&s, &keys[0]))
            continue;
        if (where == AT_PRIMARY && s.type == PGP_SIG_DIRECT)
            keep_newest(&direct, &s);
        if (where == AT_USER_ID && pgp_sig_is_certification(s.type))
            keep_newest(&uid, &s);
        if (where == AT_USER_ID && s.type == PGP_SIG_REVOKE_CERT)
            keep_newest(&revoked, &s);
    }
    keep_primary_uid(&self, &uid, &revoked, at);
    self.has_direct = direct.seen;
    self.direct = direct.sig;
    *ret = self;
    return OK;
}

/* Reads the packet, if it is a signature of that key's own. */
static bool is_own_signature(const struct pgp_packet *p, const struct pgp_key *key, struct pgp_signature *ret)
{
    return p->tag == PGP_TAG_SIGNATURE && pgp_signature_read(p->body, p->body_len, ret) == OK &&
           !pgp_signature_is_foreign(ret, key);
}

int pgp_cert_signed_at(const uint8_t *data, size_t len, uint32_t *ret)
{
    struct pgp_key keys[PGP_KEYS_MAX];
    size_t n = PGP_KEYS_MAX, pos = 0;
    uint32_t newest = 0;
    struct pgp_packet p;
    int err = pgp_cert_keys(data, len, keys, &n);
    if (err)
        return err;
    while (pgp_packet_next(data, len, &pos, &p) == OK) {
        struct pgp_signature s;
        if (is_own_signature(&p, &keys[0], &s) && !s.unusable && s.created > newest)
            newest = s.created;
    }
    *ret = newest;
    return OK;
}

int pgp_cert_own_signatures(const uint8_t *data, size_t len, size_t *ret)
{
    struct pgp_key keys[PGP_KEYS_MAX];
    size_t n = PGP_KEYS_MAX, pos = 0, own = 0;
    struct pgp_packet p;
    int err = pgp_cert_keys(data, len, keys, &n);
    if (err)
        return err;
    while (pgp_packet_next(data, len, &pos, &p) == OK) {
        struct pgp_signature s;
        own += is_own_signature(&p, &keys[0], &s);
    }
    *ret = own;
    return OK;
}

int pgp_cert_prefs(const uint8_t *data, size_t len, struct pgp_prefs *ret)
{
    struct pgp_self self;
    int err = pgp_cert_self(data, len, &self);
    if (!err)
        *ret = pgp_prefs_merge(self.has_uid ? &self.uid : NULL, self.has_direct ? &self.direct : NULL);
    return err;
}
