/* The decision "this is one OpenPGP message encrypted for these keys and nothing else", on packets alone. Everything
 * odd is refused with a reason: what is refused is sealed like any other mail, so nothing is lost by being strict. */
#include "crypto/pgp_check.h"

#include <string.h>

#include "server/core/error.h"

enum {
    PKESKS_MAX = 64,
    WILDCARDS_MAX = 16, /* a reader's client tries each of its keys on each */
    PKESK_BODY_MAX = 8192,
    POINT_MAX = 1 + 2 * 66, /* P-521, uncompressed */
    MPI_SHORTER = 2         /* octets: a random integer below a modulus is shorter still once in 2^16 times */
};

struct check {
    const struct pgp_key_ref *keys;
    size_t nkeys, ncurrent;
    enum pgp_check_mode mode;
    struct pgp_check_result r;
    size_t wildcards;
    bool current; /* a current key of the account is named */
    bool fits;    /* a wildcard may be for one of them */
    const char *why;
};

static int refuse(struct check *c, const char *why)
{
    c->why = why;
    return ERR_REFUSED;
}

static bool fields_mpis(const uint8_t *f, size_t len, unsigned count)
{
    size_t pos = 0;
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *mpi;
        size_t n;
        if (pgp_mpi_next(f, len, &pos, &mpi, &n) != OK || n == 0)
            return false;
    }
    return pos == len;
}

/* Section 5.1.5: the ephemeral point, then one octet of length and the wrapped key. Section 11.2: a point begins with 4
 * (uncompressed) or 0x40 (native octets), and no curve's is longer than P-521's. */
static bool fields_ecdh(const uint8_t *f, size_t len)
{
    size_t pos = 0, n;
    const uint8_t *mpi;
    if (pgp_mpi_next(f, len, &pos, &mpi, &n) != OK || n == 0 || pos == len || n > POINT_MAX ||
        (mpi[0] != 4 && mpi[0] != 0x40))
        return false;
    size_t wrapped = f[pos++];
    return wrapped >= 24 && wrapped % 8 == 0 && len - pos == wrapped;
}

/* Sections 5.1.6, 5.1.7: the ephemeral octets, a length, in v3 the cipher in the clear, the wrapped key. */
static bool fields_x(const uint8_t *f, size_t len, size_t point, uint8_t version)
{
    if (len < point + 1)
        return false;
    size_t rest = f[point], cipher = version == 3 ? 1 : 0;
    return len - point - 1 == rest && rest >= cipher + 24 && (rest - cipher) % 8 == 0;
}

/* Nothing may hide behind the algorithm's own fields. */
static bool pkesk_fields_fit(const struct pgp_pkesk *k, const uint8_t *f, size_t len)
{
    switch (k->algo) {
    case PGP_RSA:
    case PGP_RSA_ENCRYPT: return fields_mpis(f, len, 1);
    case PGP_ELGAMAL: return fields_mpis(f, len, 2);
    case PGP_ECDH: return fields_ecdh(f, len);
    case PGP_X25519: return fields_x(f, len, 32, k->version);
    case PGP_X448: return fields_x(f, len, 56, k->version);
    default: return false;
    }
}

/* Section 5.1: a key id of zeros, or no fingerprint, hides the recipient. */
static bool is_wildcard(const struct pgp_pkesk *k)
{
    static const uint8_t zeros[8];
    return k->version == 6 ? k->fpr_len == 0 : memcmp(k->key_id, zeros, 8) == 0;
}

/* Key ids collide, by chance or on purpose: a session key of another algorithm than the key's does not open with it. */
static bool may_open(const struct pgp_pkesk *k, const struct pgp_key_ref *key)
{
    return (key->fpr_len == 20 || key->fpr_len == 32) && (key->algo == 0 || key->algo == k->algo);
}

static bool names_key(const struct pgp_pkesk *k, const struct pgp_key_ref *key)
{
    if (!may_open(k, key) || is_wildcard(k))
        return false;
    if (k->version == 6)
        return k->fpr_len == key->fpr_len && memcmp(k->fpr, key->fpr, key->fpr_len) == 0;
    /* Section 5.5.4.2, 5.5.4.3: a v4 key id is the fingerprint's end, a v6 key id its beginning. */
    return memcmp(k->key_id, key->fpr_len == 20 ? key->fpr + 12 : key->fpr, 8) == 0;
}

static bool mpis_fit(const uint8_t *f, size_t len, size_t octets)
{
    const uint8_t *mpi;
    size_t n;
    for (size_t pos = 0; pgp_mpi_next(f, len, &pos, &mpi, &n) == OK;)
        if (n > octets || n + MPI_SHORTER < octets)
            return false;
    return true;
}

/* Section 5.1.5: what is wrapped is a session key with its algorithm and checksum, padded to 24, 32 or 40 octets.
 * Section 11.2: Curve25519's and Curve448's points begin with 0x40, and no other curve's are as short. */
static bool ecdh_fits(const uint8_t *f, size_t len, size_t octets)
{
    const uint8_t *point;
    size_t pos = 0, n;
    if (pgp_mpi_next(f, len, &pos, &point, &n) != OK || n != octets || point[0] != (octets < 65 ? 0x40 : 4))
        return false;
    return f[pos] == 32 || f[pos] == 40 || f[pos] == 48;
}

/* Sections 5.1.6, 5.1.7: what is wrapped is a session key of 16, 24 or 32 octets. */
static bool x_fits(const uint8_t *f, size_t point, uint8_t version)
{
    size_t wrapped = f[point] - (version == 3 ? 1u : 0u);
    return wrapped == 24 || wrapped == 32 || wrapped == 40;
}

/* Whether that key could open what names nobody. The fields are those of the algorithm already. */
static bool wildcard_fits(const struct pgp_pkesk *k, const uint8_t *f, size_t len, const struct pgp_key_ref *key)
{
    if (!key->current || !may_open(k, key))
        return false;
    if (key->algo == 0 || key->octets == 0)
        return key->algo == 0;
    switch (k->algo) {
    case PGP_ECDH: return ecdh_fits(f, len, key->octets);
    case PGP_X25519: return x_fits(f, 32, k->version);
    case PGP_X448: return x_fits(f, 56, k->version);
    default: return mpis_fit(f, len, key->octets);
    }
}

/* Whose it is, among the account's keys. */
static int find_owner(struct check *c, const struct pgp_pkesk *k, const uint8_t *f, size_t len)
{
    bool current = false, ours = false, wildcard = is_wildcard(k);
    for (size_t i = 0; i < c->nkeys; i++) {
        c->fits |= wildcard && wildcard_fits(k, f, len, &c->keys[i]);
        if (!names_key(k, &c->keys[i]))
            continue;
        ours = true;
        current |= c->keys[i].current;
        if (i < 32)
            c->r.keys_used |= (uint32_t)1 << i;
    }
    if (!current && c->mode == PGP_CHECK_SERVER_SEAL)
        return refuse(c, "a session-key packet is not for a current key of the account");
    if (c->mode == PGP_CHECK_SERVER_SEAL && c->r.pkesks > c->ncurrent)
        return refuse(c, "more session-key packets than the account has current keys");
    c->r.ours += ours;
    c->wildcards += wildcard;
    c->current |= current;
    return OK;
}

static int check_pkesk(struct check *c, const struct pgp_packet *p)
{
    struct pgp_pkesk k;
    if (c->r.pkesks == PKESKS_MAX)
        return refuse(c, "too many session-key packets");
    if (p->body_len > PKESK_BODY_MAX)
        return refuse(c, "a session-key packet is too large");
    if (pgp_pkesk_read(p->body, p->body_len, &k) != OK)
        return refuse(c, "a session-key packet is malformed or of an unknown version");
    if (c->r.pkesks && k.version != c->r.pkesk_version)
        return refuse(c, "session-key packets of different versions");
    size_t head = k.version == 3 ? 10 : (size_t)3 + p->body[1];
    if (!pkesk_fields_fit(&k, p->body + head, p->body_len - head))
        return refuse(c, "a session-key packet's fields do not fit its algorithm");
    c->r.pkesk_version = k.version;
    c->r.pkesks++;
    return find_owner(c, &k, p->body + head, p->body_len - head);
}

static int check_seipd_v1(struct check *c, const struct pgp_packet *p)
{
    /* Section 5.13.1: a prefix of one block (8 octets at least) and 2, then the MDC packet of 22. */
    if (p->content_len < 1 + 10 + 22)
        return refuse(c, "the encrypted container is too short");
    return OK;
}

static int check_seipd_v2(struct check *c, const struct pgp_packet *p)
{
    /* Section 5.13.2: version, cipher, AEAD, chunk size, salt; then at least one chunk's and the final tag. */
    if (p->content_len < 4 + 32 + 1 + 2 * 16)
        return refuse(c, "the encrypted container is too short");
    if (p->body[1] < 7 || p->body[1] > 13 || p->body[2] < 1 || p->body[2] > 3 || p->body[3] > 16)
        return refuse(c, "the encrypted container names an unknown cipher");
    return OK;
}

static int check_seipd(struct check *c, const uint8_t *data, const struct pgp_packet *p, size_t offset)
{
    if (c->r.pkesks == 0)
        return refuse(c, "no session-key packet before the encrypted container");
    if (p->body_len < 1)
        return refuse(c, "the encrypted container is empty");
    c->r.seipd_version = p->body[0];
    c->r.seipd_offset = offset;
    /* Sections 5.13.1 and 5.13.2: the version; in v2 also cipher, AEAD, chunk size and salt. */
    c->r.head_len = (size_t)(p->body - data) + (c->r.seipd_version == 1 ? 1 : 4 + 32);
    /* Section 10.3.2.1: v3 goes with v1, v6 with v2; anything else is a downgrade or a mistake. */
    if (c->r.pkesk_version == 3 && c->r.seipd_version == 1)
        return check_seipd_v1(c, p);
    if (c->r.pkesk_version == 6 && c->r.seipd_version == 2)
        return check_seipd_v2(c, p);
    return refuse(c, "session-key packets and encrypted container are of versions that do not go together");
}

static int check_packets(struct check *c, const uint8_t *data, size_t len)
{
    size_t pos = 0;
    for (;;) {
        struct pgp_packet p;
        size_t offset = pos;
        int err = pgp_packet_next(data, len, &pos, &p);
        if (err == ERR_NOT_FOUND)
            return refuse(c, c->r.pkesks ? "no encrypted container" : "no packet");
        if (err)
            return refuse(c, "malformed packet framing");
        if (p.tag == PGP_TAG_PKESK)
            err = check_pkesk(c, &p);
        else if (p.tag == PGP_TAG_SEIPD)
            err = check_seipd(c, data, &p, offset);
        else
            err = refuse(c, "a packet other than session keys and one encrypted container");
        if (err)
            return err;
        if (p.tag == PGP_TAG_SEIPD)
            break;
    }
    if (pos != len)
        return refuse(c, "bytes behind the encrypted container");
    c->r.wildcard = c->wildcards == c->r.pkesks;
    bool hidden = c->r.wildcard && c->wildcards <= WILDCARDS_MAX && c->fits;
    if (!c->current && !(hidden && c->mode == PGP_CHECK_FOREIGN_WILDCARD))
        return refuse(c, c->r.ours ? "encrypted for a retired key only" : "not encrypted for the account");
    return OK;
}

int pgp_check_message(const uint8_t *data, size_t len, const struct pgp_key_ref *keys, size_t nkeys,
                      enum pgp_check_mode mode, struct pgp_check_result *ret, const char **ret_why)
{
    struct check c = {.keys = keys, .nkeys = nkeys, .mode = mode};
    for (size_t i = 0; i < nkeys; i++)
        c.ncurrent += keys[i].current;
    int err = check_packets(&c, data, len);
    if (err) {
        if (ret_why)
            *ret_why = c.why;
        return err;
    }
    *ret = c.r;
    return OK;
}
