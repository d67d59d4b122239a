/* Revocation certificates: `gpg --gen-revoke`, GnuPG's openpgp-revocs.d and others give the signature without the
 * certificate; RFC 9580 section 10.1.3 puts it behind the primary key. */
#include "crypto/pgp_revocation.h"

#include <string.h>

#include "crypto/pgp_packet.h"
#include "crypto/pgp_signature.h"
#include "server/core/error.h"

static bool is_revocation(const struct pgp_packet *p)
{
    struct pgp_signature s;
    return p->tag == PGP_TAG_SIGNATURE && pgp_signature_read(p->body, p->body_len, &s) == OK &&
           s.type == PGP_SIG_REVOKE_KEY;
}

int pgp_revocations_read(const uint8_t *data, size_t len, struct pgp_revocations *ret)
{
    struct pgp_revocations r = {.bare = true};
    struct pgp_packet p;
    size_t pos = 0, begin = 0;
    int err;
    for (; (err = pgp_packet_next(data, len, &pos, &p)) == OK; begin = pos) {
        if (!begin && p.tag == PGP_TAG_PUBLIC_KEY) {
            r.bare = false;
            continue;
        }
        if (!is_revocation(&p)) {
            if (r.bare)
                return ERR_NOT_FOUND;
            if (p.tag == PGP_TAG_SIGNATURE)
                continue; /* direct key signatures stand among them */
            break;        /* in a certificate, user ids and subkeys follow */
        }
        if (r.n == PGP_REVOCATIONS_MAX || pos - begin > PGP_REVOCATION_LEN_MAX)
            return ERR_LIMIT;
        r.sig[r.n].packet = data + begin;
        r.sig[r.n++].len = pos - begin;
    }
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    if (!r.n)
        return ERR_NOT_FOUND;
    *ret = r;
    return OK;
}

static bool may_be_of(const uint8_t *packet, size_t len, const struct pgp_key *primary)
{
    struct pgp_signature s;
    struct pgp_packet p;
    size_t pos = 0;
    return pgp_packet_next(packet, len, &pos, &p) == OK && pgp_signature_read(p.body, p.body_len, &s) == OK &&
           !pgp_signature_is_foreign(&s, primary);
}

bool pgp_revocations_name(const struct pgp_revocations *r, const struct pgp_key *primary)
{
    for (size_t i = 0; i < r->n; i++)
        if (may_be_of(r->sig[i].packet, r->sig[i].len, primary))
            return true;
    return false;
}

int pgp_revocations_insert(const struct pgp_revocations *r, const uint8_t *cert, size_t len, uint8_t *out, size_t cap,
                           size_t *ret_len)
{
    struct pgp_key keys[PGP_KEYS_MAX];
    struct pgp_packet p;
    size_t n = PGP_KEYS_MAX, head = 0, at;
    int err = pgp_cert_keys(cert, len, keys, &n);
    if (!err)
        err = n ? pgp_packet_next(cert, len, &head, &p) : ERR_FORMAT;
    if (err)
        return err;
    if (len > cap)
        return ERR_LIMIT;
    memcpy(out, cert, head);
    at = head;
    for (size_t i = 0; i < r->n; i++) {
        if (!may_be_of(r->sig[i].packet, r->sig[i].len, &keys[0]))
            continue;
        if (r->sig[i].len > cap - at - (len - head))
            return ERR_LIMIT;
        memcpy(out + at, r->sig[i].packet, r->sig[i].len);
        at += r->sig[i].len;
    }
    memcpy(out + at, cert + head, len - head);
    *ret_len = at + len - head;
    return OK;
}
