/* Certificates by their packets, before and after they are judged: what arrives as a file becomes bytes of exactly one
 * certificate, and what a judge answers is held against them. No signature is looked at here. */
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_armor.h"
#include "crypto/pgp_packet.h"
#include "server/core/error.h"
#include "server/gpg/gpg_internal.h"

#define BEGIN_PUBLIC "-----BEGIN PGP PUBLIC KEY BLOCK-----"
#define BEGIN_SECRET "-----BEGIN PGP PRIVATE KEY BLOCK-----"

static bool is_key(enum pgp_tag tag)
{
    return tag == PGP_TAG_PUBLIC_KEY || tag == PGP_TAG_PUBLIC_SUBKEY;
}

/* To GnuPG or to the native judge; whether it may be a primary key's they say. */
static bool known(unsigned algo)
{
    return (algo >= PGP_RSA && algo <= PGP_RSA_SIGN) || (algo >= PGP_ELGAMAL && algo <= PGP_ECDSA) ||
           algo == PGP_EDDSA_LEGACY || (algo >= PGP_X25519 && algo <= PGP_ED448);
}

/* *ret_start: where the primary key stands. */
static enum pgp_fault look_at(const uint8_t *data, size_t len, size_t *ret_start, unsigned *ret_detail)
{
    struct pgp_packet p;
    size_t pos = 0, keys = 0;
    int err;
    for (size_t start = 0; (err = pgp_packet_next(data, len, &pos, &p)) == OK; start = pos) {
        if (p.tag == PGP_TAG_SECRET_KEY || p.tag == PGP_TAG_SECRET_SUBKEY)
            return PGP_FAULT_SECRET;
        if (!is_key(p.tag)) {
            if (!keys && p.tag != PGP_TAG_MARKER && p.tag != PGP_TAG_PADDING) /* RFC 9580 sections 5.8, 5.14 */
                return PGP_FAULT_FORMAT;
            continue;
        }
        if (!keys)
            *ret_start = start;
        if ((p.tag == PGP_TAG_PUBLIC_KEY) != !keys)
            return keys ? PGP_FAULT_SEVERAL : PGP_FAULT_FORMAT;
        if (p.body_len < 6)
            return PGP_FAULT_FORMAT;
        if (p.body[0] != 4 && p.body[0] != 6) { /* RFC 9580 section 5.5.2 */
            *ret_detail = p.body[0];
            return PGP_FAULT_VERSION;
        }
        if (!keys && !known(p.body[5])) {
            *ret_detail = p.body[5];
            return PGP_FAULT_ALGORITHM;
        }
        if (keys++ == PGP_KEYS_MAX)
            return PGP_FAULT_LIMIT;
    }
    return err == ERR_NOT_FOUND && keys ? PGP_FAULT_NONE : PGP_FAULT_FORMAT;
}

/* Every block of the text, one after the other. */
static enum pgp_fault take_armour_off(const uint8_t *text, size_t len, uint8_t *out, size_t *ret_len)
{
    size_t pos = 0, total = 0;
    if (memmem(text, len, BEGIN_SECRET, sizeof(BEGIN_SECRET) - 1))
        return PGP_FAULT_SECRET;
    do {
        size_t begin, end, n;
        if (pgp_armor_decode(text + pos, len - pos, "PUBLIC KEY BLOCK", out + total, len + 1 - total, &n, &begin,
                             &end) != OK)
            return PGP_FAULT_FORMAT;
        pos += end;
        total += n;
    } while (memmem(text + pos, len - pos, BEGIN_PUBLIC, sizeof(BEGIN_PUBLIC) - 1));
    *ret_len = total;
    return PGP_FAULT_NONE;
}

/* A file that holds one certificate several times, octet by octet the same, holds one. */
static size_t without_copies(const uint8_t *data, size_t len)
{
    struct pgp_packet p;
    size_t pos = 0, one = 0;
    for (size_t start = 0; !one && pgp_packet_next(data, len, &pos, &p) == OK; start = pos)
        if (start && p.tag == PGP_TAG_PUBLIC_KEY)
            one = start;
    for (size_t at = one; one && at < len; at += one)
        if (len - at < one || memcmp(data, data + at, one))
            return len;
    return one ? one : len;
}

int gpg_certificate_read(const uint8_t *data, size_t len, uint8_t **ret, size_t *ret_len, enum pgp_fault *ret_fault,
                         unsigned *ret_detail)
{
    uint8_t *out = malloc(len + 1), *plain = malloc(len + 1);
    size_t n = 0, start = 0;
    enum pgp_fault fault = PGP_FAULT_NONE;
    if (!out || !plain) {
        free(out);
        free(plain);
        return ERR_MEMORY;
    }
    pgp_armor_plain(data, len, plain, &n);
    if (n && plain[0] & 0x80) /* the top bit of every packet's first octet: section 4.2 */
        memcpy(out, plain, n);
    else
        fault = take_armour_off(plain, n, out, &n);
    free(plain);
    if (!fault)
        n = without_copies(out, n);
    if (!fault)
        fault = look_at(out, n, &start, ret_detail);
    if (fault) {
        *ret_fault = fault;
        free(out);
        return ERR_FORMAT;
    }
    memmove(out, out + start, n - start); /* gpg stumbles over padding */
    *ret = out;
    *ret_len = n - start;
    return OK;
}

bool gpg_certificate_is_new(const uint8_t *cert, size_t len)
{
    struct pgp_packet p;
    for (size_t pos = 0; pgp_packet_next(cert, len, &pos, &p) == OK;) {
        if (!is_key(p.tag))
            continue;
        unsigned algo = p.body[5];
        bool encrypts = algo == PGP_X25519 || algo == PGP_X448, signs = algo == PGP_ED25519 || algo == PGP_ED448;
        if (p.body[0] == 6 || encrypts || (signs && p.tag == PGP_TAG_PUBLIC_KEY))
            return true;
    }
    return false;
}

/* Whether cert has a packet of this tag and body; first_only: as the first one of its tag. */
static bool holds(const uint8_t *cert, size_t len, const struct pgp_packet *want, bool first_only)
{
    struct pgp_packet p;
    for (size_t pos = 0; pgp_packet_next(cert, len, &pos, &p) == OK;) {
        if (p.tag != want->tag)
            continue;
        if (p.body_len == want->body_len && !memcmp(p.body, want->body, p.body_len))
            return true;
        if (first_only)
            return false;
    }
    return false;
}

static bool same_fpr(const struct pgp_key *k, const uint8_t *fpr, size_t len)
{
    return k->fpr_len == len && !memcmp(k->fpr, fpr, len);
}

bool gpg_certificate_matches(const uint8_t *given, size_t len, const struct pgp_verdict *v, const uint8_t *kept,
                             size_t kept_len)
{
    struct pgp_key keys[PGP_KEYS_MAX];
    size_t n = PGP_KEYS_MAX, pos = 0;
    struct pgp_packet p;
    if (kept_len > GPG_STORED_MAX || pgp_cert_keys(kept, kept_len, keys, &n) != OK)
        return false;
    while (pgp_packet_next(kept, kept_len, &pos, &p) == OK)
        if (p.tag != PGP_TAG_SIGNATURE &&
            !((is_key(p.tag) || p.tag == PGP_TAG_USER_ID) && holds(given, len, &p, p.tag == PGP_TAG_PUBLIC_KEY)))
            return false;
    if (!same_fpr(&keys[0], v->primary_fpr, v->primary_fpr_len) || keys[0].algo != v->primary_algo ||
        keys[0].created != v->created)
        return false;
    for (size_t i = 0; i < n; i++)
        if (same_fpr(&keys[i], v->enc_fpr, v->enc_fpr_len))
            return keys[i].algo == v->enc_algo &&
                   v->native == pgp_algo_is_native(keys[i].algo, keys[i].material, keys[i].material_len);
    return false;
}

bool gpg_certificate_is_of(const uint8_t *given, size_t len, const uint8_t *fpr, size_t fpr_len)
{
    struct pgp_key primary;
    struct pgp_packet p;
    size_t n = 1, pos = 0;
    return pgp_packet_next(given, len, &pos, &p) == OK && pgp_cert_keys(given, pos, &primary, &n) == OK &&
           same_fpr(&primary, fpr, fpr_len);
}

int gpg_certificate_for_key(const uint8_t *cert, size_t len, const uint8_t *fpr, size_t fpr_len, uint8_t *out,
                            size_t *ret_len)
{
    struct pgp_key keys[PGP_KEYS_MAX];
    struct pgp_packet p;
    size_t n = PGP_KEYS_MAX, k = 0, put = 0;
    bool found = false, keeping = true;
    int err = pgp_cert_keys(cert, len, keys, &n);
    for (size_t start = 0, pos = 0; err == OK && pgp_packet_next(cert, len, &pos, &p) == OK; start = pos) {
        if (is_key(p.tag)) {
            bool wanted = same_fpr(&keys[k], fpr, fpr_len);
            found |= wanted;
            keeping = wanted || !keys[k].subkey;
            k++;
        }
        if (keeping) {
            memcpy(out + put, cert + start, pos - start);
            put += pos - start;
        }
    }
    if (err != OK || !found)
        return err != OK ? err : ERR_NO_KEY;
    *ret_len = put;
    return OK;
}
