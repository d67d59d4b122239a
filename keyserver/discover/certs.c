/* Certificates that strangers' servers gave: taken apart, each minimised to the address and judged. Of all that can be
 * used there may be one. */
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_armor.h"
#include "crypto/pgp_judge.h"
#include "crypto/pgp_minimise.h"
#include "crypto/pgp_packet.h"
#include "keyserver/discover/impl.h"
#include "server/core/error.h"

enum { COPY_SLACK = 1024 /* packet headers of the copy may be longer */ };

/* ---- one certificate ---- */

static bool is_of_address(void *arg, const uint8_t *user_id, size_t len)
{
    char named[ADDRESS_MAX];
    size_t at, plus;
    return address_of_user_id((const char *)user_id, len, named, &at, &plus) == OK && !strcmp(named, arg);
}

static enum discover_outcome of_minimising(int err)
{
    return err == ERR_NOT_FOUND     ? DISCOVER_ANOTHERS
           : err == ERR_LIMIT       ? DISCOVER_TOO_LARGE
           : err == ERR_UNSUPPORTED ? DISCOVER_UNSUPPORTED
                                    : DISCOVER_MALFORMED;
}

static enum discover_outcome of_fault(enum pgp_fault fault)
{
    static const enum discover_outcome rows[] = {
        [PGP_FAULT_NONE] = DISCOVER_MALFORMED,
        [PGP_FAULT_FORMAT] = DISCOVER_MALFORMED,
        [PGP_FAULT_SECRET] = DISCOVER_MALFORMED,
        [PGP_FAULT_SEVERAL] = DISCOVER_MALFORMED,
        [PGP_FAULT_LIMIT] = DISCOVER_TOO_LARGE,
        [PGP_FAULT_VERSION] = DISCOVER_UNSUPPORTED,
        [PGP_FAULT_ALGORITHM] = DISCOVER_UNSUPPORTED,
        [PGP_FAULT_SELF_SIGNED] = DISCOVER_MALFORMED,
        [PGP_FAULT_WEAK] = DISCOVER_WEAK,
        [PGP_FAULT_REVOKED] = DISCOVER_REVOKED,
        [PGP_FAULT_ENC_REVOKED] = DISCOVER_REVOKED,
        [PGP_FAULT_SIGNING_ONLY] = DISCOVER_SIGNS_ONLY,
        [PGP_FAULT_USER_IDS] = DISCOVER_ANOTHERS,
        [PGP_FAULT_NUMBERS] = DISCOVER_WEAK,
        [PGP_FAULT_CLOCK] = DISCOVER_MALFORMED,
    };
    return rows[fault];
}

static bool is_over(uint32_t expires, uint64_t now)
{
    return expires && expires <= now;
}

/* Of what has been judged. What the native engine does not seal to (ElGamal) would be GnuPG's to read: no stranger's
 * octets get there. *ret is DISCOVER_FOUND, or why not. */
static int judge(const uint8_t *cert, size_t len, uint64_t now, struct pgp_judged *j, enum discover_outcome *ret)
{
    enum pgp_flaw flaw;
    int err = pgp_judge(cert, len, now, j);
    if (err == ERR_MEMORY)
        return err;
    if (err) {
        *ret = of_fault(j->fault);
        return OK;
    }
    err = pgp_cert_flaw(cert, len, &j->verdict, &flaw);
    if (err == ERR_MEMORY)
        return err;
    *ret = err || flaw != PGP_FLAW_NONE                                               ? DISCOVER_WEAK
           : !j->verdict.native                                                       ? DISCOVER_UNSUPPORTED
           : is_over(j->verdict.expires, now) || is_over(j->verdict.enc_expires, now) ? DISCOVER_EXPIRED
                                                                                      : DISCOVER_FOUND;
    return OK;
}

/* The copy has lost the keys that are over, so which is why it does not encrypt is asked of the original. */
static int judge_copy(const struct discover_certs *c, struct slice cert, struct slice copy, struct pgp_judged *j,
                      enum discover_outcome *ret)
{
    enum discover_outcome first;
    int err = judge(copy.data, copy.len, c->now, j, &first);
    if (err || first != DISCOVER_SIGNS_ONLY) {
        *ret = first;
        return err;
    }
    err = judge(cert.data, cert.len, c->now, j, &first);
    if (!err)
        *ret = first == DISCOVER_EXPIRED || first == DISCOVER_REVOKED ? first : DISCOVER_SIGNS_ONLY;
    return err;
}

/* ---- among others ---- */

/* Of what could not be judged nothing is known, so it is nobody's copy. */
bool discover_same_key(const struct pgp_verdict *a, const struct pgp_verdict *b)
{
    return a->primary_fpr_len && a->primary_fpr_len == b->primary_fpr_len &&
           !memcmp(a->primary_fpr, b->primary_fpr, a->primary_fpr_len);
}

static void replace(struct discover_certs *c, uint8_t *cert, size_t len, const struct pgp_verdict *v)
{
    free(c->cert);
    c->cert = cert;
    c->len = len;
    c->verdict = *v;
}

/* Whether it takes the place of what is there. Of two copies of one certificate the newer does, and one that is
 * revoked, which no other copy takes back. */
static bool counts(const struct discover_certs *c, enum discover_outcome o, const struct pgp_verdict *v)
{
    if (c->outcome == DISCOVER_AMBIGUOUS)
        return false;
    if (discover_same_key(v, &c->verdict))
        return c->outcome != DISCOVER_REVOKED && (o == DISCOVER_REVOKED || v->signed_at > c->verdict.signed_at);
    return o == DISCOVER_FOUND || c->outcome == DISCOVER_NONE || c->outcome == DISCOVER_ANOTHERS;
}

/* Takes copy. Of two certificates that could be used neither is: whose would it be? */
static void take(struct discover_certs *c, enum discover_outcome o, uint8_t *copy, size_t len,
                 const struct pgp_verdict *v)
{
    if (!counts(c, o, v)) {
        free(copy);
    } else if (c->outcome == DISCOVER_FOUND && !discover_same_key(v, &c->verdict)) {
        c->outcome = DISCOVER_AMBIGUOUS;
        free(copy);
        replace(c, NULL, 0, v);
    } else {
        c->outcome = o;
        replace(c, copy, len, v);
    }
}

/* What cannot be taken apart is for others to refuse. */
static bool is_too_much(struct discover_certs *c, const uint8_t *cert, size_t len)
{
    size_t n = 0;
    if (pgp_cert_own_signatures(cert, len, &n) == OK)
        c->signatures += n;
    return c->signatures > DISCOVER_SIGNATURES_MAX;
}

static int read_one(struct discover_certs *c, const uint8_t *cert, size_t len)
{
    struct pgp_judged *j = malloc(sizeof(*j));
    uint8_t *copy = malloc(len + COPY_SLACK);
    struct pgp_minimised m;
    enum discover_outcome o = DISCOVER_MALFORMED;
    size_t n = 0;
    int err = ERR_MEMORY;
    if (j && copy) {
        memset(&j->verdict, 0, sizeof(j->verdict));
        err = pgp_minimise(cert, len, c->now, is_of_address, (void *)(uintptr_t)c->address, copy, len + COPY_SLACK, &n,
                           &m);
        if (err && err != ERR_MEMORY) {
            o = of_minimising(err);
            err = OK;
        } else if (!err) {
            err = judge_copy(c, slice_of(cert, len), slice_of(copy, n), j, &o);
            if (!err)
                (void)pgp_cert_signed_at(copy, n, &j->verdict.signed_at); /* there each signature was verified */
        }
    }
    if (err)
        free(copy);
    else
        take(c, o, copy, n, &j->verdict);
    free(j);
    return err;
}

/* ---- several ---- */

static void spoil(struct discover_certs *c, enum discover_outcome o)
{
    if (c->outcome == DISCOVER_NONE)
        c->outcome = o;
}

/* The next certificate's end: where another primary key begins. */
static int find_end(const uint8_t *data, size_t len, size_t *ret_end)
{
    struct pgp_packet p;
    size_t pos = 0, before = 0;
    int err;
    while ((err = pgp_packet_next(data, len, &pos, &p)) == OK) {
        if (before && (p.tag == PGP_TAG_PUBLIC_KEY || p.tag == PGP_TAG_SECRET_KEY))
            break;
        before = pos;
    }
    if (err && err != ERR_NOT_FOUND)
        return ERR_FORMAT;
    *ret_end = before;
    return OK;
}

/* "A server may return revoked keys in addition to a new key": one after another (section 3.1). */
static int read_binary(struct discover_certs *c, const uint8_t *data, size_t len)
{
    size_t end;
    int err = OK;
    if (!len)
        spoil(c, DISCOVER_MALFORMED);
    for (size_t at = 0; !err && at < len; at += end) {
        if (find_end(data + at, len - at, &end)) {
            spoil(c, DISCOVER_MALFORMED);
            return OK;
        }
        if (++c->n > DISCOVER_CERTS_MAX ||
            is_too_much(c, data + at, end)) { /* one more might be the second that could be used */
            c->outcome = DISCOVER_TOO_LARGE;
            return OK;
        }
        err = read_one(c, data + at, end);
    }
    return err;
}

/* Directories of files have armour now and then, though WKD's are to be binary. */
int discover_certs_read(struct discover_certs *c, const uint8_t *text, size_t len)
{
    size_t n, begin, end;
    if (len && text[0] & 0x80)
        return read_binary(c, text, len);
    uint8_t *binary = malloc(len + 1);
    if (!binary)
        return ERR_MEMORY;
    int err = pgp_armor_decode(text, len, "PUBLIC KEY BLOCK", binary, len + 1, &n, &begin, &end);
    if (!err) {
        err = read_binary(c, binary, n);
    } else {
        spoil(c, DISCOVER_MALFORMED);
        err = OK;
    }
    free(binary);
    return err;
}

int discover_judge(const char *address, uint64_t now, size_t signatures_max, struct slice cert, uint8_t **ret,
                   size_t *ret_len, struct pgp_verdict *ret_verdict)
{
    struct discover_certs c = {.address = address, .now = now};
    size_t n;
    if (pgp_cert_own_signatures(cert.data, cert.len, &n) != OK || n > signatures_max)
        return ERR_NO_KEY;
    int err = read_binary(&c, cert.data, cert.len);
    if (err || c.outcome != DISCOVER_FOUND) {
        free(c.cert);
        return err ? err : ERR_NO_KEY;
    }
    *ret = c.cert;
    *ret_len = c.len;
    *ret_verdict = c.verdict;
    return OK;
}
