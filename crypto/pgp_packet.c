/* OpenPGP packet framing (RFC 9580 section 4) and the heads of session-key packets (section 5.1). Pure arithmetic on
 * bytes in memory; shared by the vault's gate, the certificate reader and the seal. */
#include "crypto/pgp_packet.h"

#include <string.h>

#include "server/core/error.h"

enum { PARTIAL_FIRST_MIN = 512 };

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Section 4.2.1: one new-format length at data[*pos]. */
static int new_length(const uint8_t *data, size_t len, size_t *pos, size_t *ret_n, bool *ret_partial)
{
    size_t left = len - *pos;
    if (left < 1)
        return ERR_FORMAT;
    const uint8_t *p = data + *pos;
    *ret_partial = false;
    if (p[0] < 192) { /* 4.2.1.1 */
        *ret_n = p[0];
        *pos += 1;
    } else if (p[0] < 224) { /* 4.2.1.2 */
        if (left < 2)
            return ERR_FORMAT;
        *ret_n = (((size_t)p[0] - 192) << 8) + p[1] + 192;
        *pos += 2;
    } else if (p[0] == 255) { /* 4.2.1.3 */
        if (left < 5)
            return ERR_FORMAT;
        *ret_n = be32(p + 1);
        *pos += 5;
    } else { /* 4.2.1.4 */
        *ret_n = (size_t)1 << (p[0] & 0x1f);
        *ret_partial = true;
        *pos += 1;
    }
    return *ret_n > len - *pos ? ERR_FORMAT : OK;
}

/* Section 4.2.2: the old format's length types 0 to 2; 3 is indeterminate. */
static int old_length(const uint8_t *data, size_t len, unsigned type, size_t *pos, size_t *ret_n)
{
    if (type == 3)
        return ERR_UNSUPPORTED;
    size_t octets = (size_t)1 << type;
    if (len - *pos < octets)
        return ERR_FORMAT;
    size_t n = 0;
    for (size_t i = 0; i < octets; i++)
        n = n << 8 | data[(*pos)++];
    *ret_n = n;
    return n > len - *pos ? ERR_FORMAT : OK;
}

static bool may_be_partial(enum pgp_tag tag)
{
    return tag == PGP_TAG_COMPRESSED || tag == PGP_TAG_SED || tag == PGP_TAG_LITERAL || tag == PGP_TAG_SEIPD ||
           tag == PGP_TAG_AEAD;
}

/* The chunks after the first; the last one is the one with a definite length. */
static int partial_rest(const uint8_t *data, size_t len, size_t *pos, size_t *content)
{
    for (bool partial = true; partial;) {
        size_t n;
        int err = new_length(data, len, pos, &n, &partial);
        if (err)
            return err;
        *pos += n;
        *content += n;
    }
    return OK;
}

int pgp_packet_next(const uint8_t *data, size_t len, size_t *pos, struct pgp_packet *ret)
{
    size_t at = *pos;
    if (at >= len)
        return ERR_NOT_FOUND;
    uint8_t head = data[at++];
    if (!(head & 0x80))
        return ERR_FORMAT;
    struct pgp_packet p = {.new_format = head & 0x40};
    p.tag = (enum pgp_tag)(p.new_format ? head & 0x3f : (head >> 2) & 0x0f);
    if (p.tag == 0) /* section 5: reserved, must not be used */
        return ERR_FORMAT;
    int err = p.new_format ? new_length(data, len, &at, &p.body_len, &p.partial)
                           : old_length(data, len, head & 3, &at, &p.body_len);
    if (err)
        return err;
    p.body = data + at;
    p.content_len = p.body_len;
    at += p.body_len;
    if (p.partial) {
        if (!may_be_partial(p.tag) || p.body_len < PARTIAL_FIRST_MIN)
            return ERR_FORMAT;
        err = partial_rest(data, len, &at, &p.content_len);
        if (err)
            return err;
    }
    p.total_len = at - *pos;
    *pos = at;
    *ret = p;
    return OK;
}

void pgp_packet_join(const struct pgp_packet *p, uint8_t *out)
{
    size_t pos = 0, n = p->body_len;
    for (bool partial = p->partial;;) {
        memcpy(out, p->body + pos, n);
        out += n;
        pos += n;
        if (!partial || new_length(p->body, p->total_len, &pos, &n, &partial) != OK)
            return;
    }
}

size_t pgp_packet_header(uint8_t *out, enum pgp_tag tag, size_t body_len)
{
    out[0] = (uint8_t)(0xc0 | tag);
    if (body_len < 192) {
        out[1] = (uint8_t)body_len;
        return 2;
    }
    if (body_len < 8384) {
        out[1] = (uint8_t)(((body_len - 192) >> 8) + 192);
        out[2] = (uint8_t)(body_len - 192);
        return 3;
    }
    out[1] = 255;
    out[2] = (uint8_t)(body_len >> 24);
    out[3] = (uint8_t)(body_len >> 16);
    out[4] = (uint8_t)(body_len >> 8);
    out[5] = (uint8_t)body_len;
    return 6;
}

int pgp_mpi_next(const uint8_t *body, size_t len, size_t *pos, const uint8_t **ret, size_t *ret_len)
{
    if (*pos > len || len - *pos < 2)
        return ERR_FORMAT;
    size_t bits = (size_t)body[*pos] << 8 | body[*pos + 1];
    size_t n = (bits + 7) / 8;
    if (len - *pos - 2 < n)
        return ERR_FORMAT;
    const uint8_t *p = body + *pos + 2;
    /* Section 3.2: the length counts from the most significant non-zero bit. */
    if (n && p[0] >> ((bits - 1) & 7) != 1)
        return ERR_FORMAT;
    *pos += 2 + n;
    *ret = p;
    *ret_len = n;
    return OK;
}

int pgp_pkesk_read(const uint8_t *body, size_t len, struct pgp_pkesk *ret)
{
    if (len < 1)
        return ERR_FORMAT;
    struct pgp_pkesk k = {.version = body[0]};
    if (k.version == 3) { /* section 5.1.1 */
        if (len < 10)
            return ERR_FORMAT;
        memcpy(k.key_id, body + 1, 8);
        k.algo = body[9];
    } else if (k.version == 6) { /* section 5.1.2: length of key version and fingerprint; 0 is a wildcard */
        size_t n = len > 1 ? body[1] : 0;
        if (len < 3 || len - 2 < n + 1)
            return ERR_FORMAT;
        if (n) {
            if (!(n == 21 && body[2] == 4) && !(n == 33 && body[2] == 6))
                return ERR_FORMAT;
            k.fpr_len = (uint8_t)(n - 1);
            memcpy(k.fpr, body + 3, n - 1);
        }
        k.algo = body[2 + n];
    } else {
        return ERR_UNSUPPORTED;
    }
    *ret = k;
    return OK;
}
