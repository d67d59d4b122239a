/* Judging a certificate: the newest self-signature that verifies decides for each key and user id, revocations take
 * away, and what remains says which key encrypts. Signatures are verified only as far as needed, newest first, and
 * never more than a fixed number, so that a heap of forged ones costs a bounded time. */
#include "crypto/pgp_judge.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_internal.h"
#include "crypto/pgp_judge_internal.h"
#include "server/core/error.h"

enum { BITS_MIN = 2048, EMBEDDED_MAX = 4 };

int pgp_signature_at(const uint8_t *cert, size_t len, uint32_t at, struct pgp_signature *ret)
{
    struct pgp_packet p;
    size_t pos = at;
    int err = pgp_packet_next(cert, len, &pos, &p);
    return err ? err : pgp_signature_read(p.body, p.body_len, ret);
}

static int count(size_t *verified)
{
    return (*verified)++ < PGP_SIGNATURES_MAX ? OK : ERR_LIMIT;
}

int pgp_back_signature(const struct pgp_judged *j, const struct pgp_signature *binding, const struct pgp_signed *over,
                       size_t *verified, struct pgp_subpacket *ret)
{
    const uint64_t now = j->now;
    const struct pgp_area areas[] = {binding->hashed, binding->unhashed};
    for (int i = 0; i < 2; i++) {
        struct pgp_subpacket p;
        size_t pos = 0, tried = 0;
        while (tried < EMBEDDED_MAX && pgp_subpacket_next(areas[i], &pos, &p) == OK) {
            struct pgp_signature s;
            if (p.type != PGP_SUB_EMBEDDED)
                continue;
            tried++;
            if (pgp_signature_read(p.value.data, p.value.len, &s) != OK || s.unusable || s.type != PGP_SIG_BACK ||
                !pgp_judged_hash_counts(j, &s) || s.created > now ||
                (s.expires && (uint64_t)s.created + s.expires <= now))
                continue;
            int err = count(verified);
            if (!err)
                err = pgp_signature_verify(&s, over->subkey, over);
            if (!err)
                *ret = p;
            if (err != ERR_REFUSED && err != ERR_UNSUPPORTED)
                return err;
        }
    }
    return ERR_NOT_FOUND;
}

/* A binding of a key that makes signatures needs the subkey's word too, lest somebody bind another's key
 * (section 5.2.1.8). */
static int check_binding(struct judge *w, const struct pgp_signature *s, const struct pgp_signed *over)
{
    struct pgp_subpacket back;
    if (!s->has_flags || !(s->flags & (PGP_FLAG_CERTIFY | PGP_FLAG_SIGN)))
        return OK;
    int err = pgp_back_signature(w->j, s, over, &w->verified, &back);
    return err == ERR_NOT_FOUND ? ERR_REFUSED : err;
}

static int verify(struct judge *w, const struct candidate *c, struct pgp_signature *ret)
{
    struct pgp_signed over = {.primary = &w->j->keys[0]};
    struct pgp_signature s;
    int err = pgp_signature_at(w->cert, w->len, c->at, &s);
    if (err)
        return ERR_REFUSED;
    if (c->owner >= OWNER_USER_ID) {
        /* An empty user id is hashed too: the pointer says that there is one. */
        size_t i = c->owner - OWNER_USER_ID;
        over.user_id = (struct pgp_area){w->j->user_ids[i].text, w->j->user_ids[i].len};
    } else if (c->owner) {
        over.subkey = &w->j->keys[c->owner];
    }
    err = count(&w->verified);
    if (!err)
        err = pgp_signature_verify(&s, over.primary, &over);
    if (!err && over.subkey && c->kind == KIND_SELF)
        err = check_binding(w, &s, &over);
    if (!err)
        *ret = s;
    return err;
}

/* The first candidate that verifies. ERR_NOT_FOUND, ERR_LIMIT, ERR_MEMORY. */
static int find(struct judge *w, unsigned owner, enum kind kind, const struct candidate **ret,
                struct pgp_signature *ret_sig)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct candidate *c = &w->c[i];
        if (c->owner != owner || c->kind != kind)
            continue;
        int err = verify(w, c, ret_sig);
        if (!err)
            *ret = c;
        if (err != ERR_REFUSED && err != ERR_UNSUPPORTED)
            return err == ERR_LIMIT ? pgp_fault_set(w->j, PGP_FAULT_LIMIT, 0) : err;
    }
    return ERR_NOT_FOUND;
}

/* ---- times: 0 is never ---- */

static uint32_t after(uint32_t from, uint32_t seconds)
{
    uint64_t t = (uint64_t)from + seconds;
    return seconds && t <= UINT32_MAX ? (uint32_t)t : 0;
}

static uint32_t earlier(uint32_t a, uint32_t b)
{
    return !a || (b && b < a) ? b : a;
}

static enum pgp_validity validity_of(enum rank rank, uint32_t expires, uint64_t now)
{
    if (rank == RANK_FUTURE)
        return PGP_NOT_YET;
    return rank == RANK_EXPIRED || (expires && expires <= now) ? PGP_EXPIRED : PGP_VALID;
}

/* ---- user ids ---- */

static int judge_user_id(struct judge *w, size_t i, struct pgp_signature *ret_self)
{
    const struct candidate *self = NULL, *rev = NULL;
    struct pgp_signature s = {0}, r;
    unsigned owner = OWNER_USER_ID + (unsigned)i;
    int err = find(w, owner, KIND_SELF, &self, &s);
    if (err && err != ERR_NOT_FOUND)
        return err;
    err = find(w, owner, KIND_REVOCATION, &rev, &r);
    if (err && err != ERR_NOT_FOUND)
        return err;
    if (self) {
        w->j->user_ids[i].validity = validity_of((enum rank)self->rank, 0, w->j->now);
        w->j->user_ids[i].self = self->at;
    }
    /* A self-signature made after it takes the user id up again. */
    if (rev && rev->rank == RANK_CURRENT && (!self || rev->created >= self->created))
        w->j->user_ids[i].validity = PGP_REVOKED;
    *ret_self = s;
    return OK;
}

struct primary {
    bool has_uid, has_direct, uid_revoked;
    struct pgp_signature uid, direct;
    enum pgp_validity uid_validity;
    enum rank direct_rank;
    uint32_t begins; /* when the first of those that are of the future counts; 0: none is */
    bool lasting;    /* a user id whose signature does not expire */
    uint32_t lasts;  /* else the end of the last one */
};

static int judge_user_ids(struct judge *w, struct primary *p)
{
    struct pgp_judged *j = w->j;
    size_t best = 0;
    for (size_t i = 0; i < j->nuser_ids; i++) {
        struct pgp_signature s;
        int err = judge_user_id(w, i, &s);
        if (err)
            return err;
        enum pgp_validity v = j->user_ids[i].validity;
        p->uid_revoked |= v == PGP_REVOKED;
        if (v == PGP_NOT_YET)
            p->begins = earlier(p->begins, s.created);
        if (v != PGP_VALID && v != PGP_EXPIRED)
            continue;
        uint32_t end = after(s.created, s.expires);
        p->lasting = p->lasting || !end;
        p->lasts = end > p->lasts ? end : p->lasts;
        if (!p->has_uid || (v == p->uid_validity ? pgp_primary_uid_before(&s, &p->uid) : v == PGP_VALID)) {
            p->has_uid = true;
            p->uid = s;
            p->uid_validity = v;
            best = i;
        }
    }
    if (p->has_uid)
        j->user_ids[best].primary = true;
    return OK;
}

/* ---- the primary key ---- */

static int judge_direct(struct judge *w, struct primary *p)
{
    const struct candidate *self = NULL, *cancel = NULL;
    struct pgp_signature c;
    int err = find(w, 0, KIND_SELF, &self, &p->direct);
    if (!err)
        err = find(w, 0, KIND_CANCEL, &cancel, &c);
    if (err && err != ERR_NOT_FOUND)
        return err;
    bool cancelled = cancel && cancel->rank == RANK_CURRENT && cancel->created >= self->created;
    if (self && self->rank == RANK_FUTURE)
        p->begins = self->created;
    /* In version 6 an expired one still says what the key was; in version 4 the user ids do. */
    if (!self || self->rank == RANK_FUTURE || (self->rank == RANK_EXPIRED && w->j->keys[0].version == 4) || cancelled)
        return OK;
    p->has_direct = true;
    p->direct_rank = (enum rank)self->rank;
    w->j->key_self[0] = self->at;
    return OK;
}

static int judge_revocation(struct judge *w)
{
    const struct candidate *rev = NULL;
    struct pgp_signature s;
    int err = find(w, 0, KIND_REVOCATION, &rev, &s);
    if (err)
        return err == ERR_NOT_FOUND ? OK : err;
    w->j->key_revocation[0] = rev->at;
    if (rev->rank == RANK_SOFT_LATER)
        return OK;
    w->j->validity[0] = PGP_REVOKED;
    return pgp_fault_set(w->j, PGP_FAULT_REVOKED, 0);
}

static bool is_weak(const struct pgp_key *k)
{
    bool by_bits = k->algo == PGP_RSA || k->algo == PGP_RSA_ENCRYPT || k->algo == PGP_RSA_SIGN ||
                   k->algo == PGP_ELGAMAL || k->algo == PGP_DSA;
    return by_bits && k->bits < BITS_MIN;
}

/* Of the two signatures that speak for the whole, newer first; in version 6 only the direct one may (section 5.2.3.10).
 */
static size_t speakers(const struct primary *p, uint8_t version, const struct pgp_signature *out[2])
{
    size_t n = 0;
    bool uid = p->has_uid && version == 4, direct_first = p->has_direct && (!uid || p->direct.created > p->uid.created);
    if (direct_first)
        out[n++] = &p->direct;
    if (uid)
        out[n++] = &p->uid;
    if (p->has_direct && !direct_first)
        out[n++] = &p->direct;
    return n;
}

/* Whose it is, and that its signatures can be verified. */
static int name_primary(struct pgp_judged *j)
{
    const struct pgp_key *k = &j->keys[0];
    j->verdict.primary_fpr_len = k->fpr_len;
    memcpy(j->verdict.primary_fpr, k->fpr, sizeof(k->fpr));
    j->verdict.primary_algo = k->algo;
    j->verdict.created = k->created;
    return pgp_key_can_sign(k) ? OK : pgp_fault_set(j, PGP_FAULT_ALGORITHM, k->algo);
}

static int judge_primary(struct judge *w)
{
    struct pgp_judged *j = w->j;
    const struct pgp_key *k = &j->keys[0];
    enum pgp_flaw flaw = PGP_FLAW_NONE;
    int err = name_primary(j);
    if (!err)
        err = pgp_key_flaw(k, &flaw);
    if (!err)
        err = judge_revocation(w);
    if (!err && is_weak(k))
        err = pgp_fault_set(j, PGP_FAULT_WEAK, k->bits);
    return !err && flaw ? pgp_fault_set(j, PGP_FAULT_NUMBERS, flaw) : err;
}

/* What is said of the primary key by those who speak for the whole. */
static int judge_whole(struct judge *w, struct primary *p)
{
    struct pgp_judged *j = w->j;
    const struct pgp_key *k = &j->keys[0];
    int err = judge_direct(w, p);
    if (!err)
        err = judge_user_ids(w, p);
    if (err)
        return err;
    if (k->version == 6 ? !p->has_direct : !p->has_uid) /* sections 5.2.3.10 and 10.1.1 */
        return pgp_fault_set(j,
                             p->begins        ? PGP_FAULT_CLOCK
                             : p->uid_revoked ? PGP_FAULT_USER_IDS
                                              : PGP_FAULT_SELF_SIGNED,
                             p->begins);
    const struct pgp_signature *by[2];
    size_t n = speakers(p, k->version, by);
    uint32_t expires = 0;
    for (size_t i = n; i-- > 0;)
        expires = by[i]->has_key_expires ? after(k->created, by[i]->key_expires) : expires;
    enum rank rank = RANK_CURRENT;
    if (k->version == 6) {
        expires = earlier(expires, after(p->direct.created, p->direct.expires));
        rank = p->direct_rank;
    } else {
        expires = earlier(expires, p->lasting ? 0 : p->lasts);
    }
    j->expires[0] = j->verdict.expires = expires;
    j->validity[0] = validity_of(rank, expires, j->now);
    j->verdict.prefs =
        pgp_prefs_merge(p->has_uid && k->version == 4 ? &p->uid : NULL, p->has_direct ? &p->direct : NULL);
    return OK;
}

/* ---- which key encrypts ---- */

struct encrypting { /* why keys that are meant to encrypt do not */
    bool old;       /* every key is of a kind that GnuPG 2.2 could seal to */
    bool revoked;
    enum pgp_flaw flaw;
    unsigned weak, unknown;
};

static bool is_old(const struct pgp_key *k)
{
    return k->version == 4 && (k->algo <= PGP_RSA_SIGN || (k->algo >= PGP_ELGAMAL && k->algo <= PGP_EDDSA_LEGACY));
}

static bool only_signs(uint8_t algo)
{
    return algo == PGP_RSA_SIGN || algo == PGP_DSA || algo == PGP_ECDSA || algo == PGP_EDDSA_LEGACY ||
           algo == PGP_ED25519 || algo == PGP_ED448;
}

static int may_encrypt(struct judge *w, size_t i, const struct pgp_signature *const *by, size_t n, struct encrypting *e)
{
    const struct pgp_key *k = &w->j->keys[i];
    size_t said = 0;
    while (said < n && !by[said]->has_flags)
        said++;
    /* Version 4 without flags: by the algorithm alone, as they were before there were flags. */
    if ((said == n ? k->version != 4 : !(by[said]->flags & PGP_FLAG_ENCRYPT)) || only_signs(k->algo))
        return OK;
    enum pgp_flaw flaw = PGP_FLAW_NONE;
    int err = pgp_key_flaw(k, &flaw);
    if (err)
        return err;
    err = pgp_key_seals(k);
    if (err == ERR_MEMORY)
        return err;
    bool foreign = err == ERR_UNSUPPORTED && e->old &&
                   (k->algo <= PGP_RSA_ENCRYPT || k->algo == PGP_ELGAMAL || k->algo == PGP_ECDH);
    if (flaw && (!err || foreign)) {
        err = ERR_FORMAT;
        foreign = false;
    }
    if (w->j->validity[i] == PGP_REVOKED) {
        e->revoked = true;
        w->j->encrypts[i] = !err || foreign;
    } else if (is_weak(k)) {
        e->weak = k->bits;
    } else if (!err || foreign) {
        w->j->encrypts[i] = true;
    } else if (err == ERR_FORMAT) {
        e->flaw = flaw ? flaw : PGP_FLAW_FIELDS;
    } else if (said < n) {
        e->unknown = k->algo;
    }
    return OK;
}

static int judge_subkey(struct judge *w, size_t i)
{
    struct pgp_judged *j = w->j;
    const struct candidate *self = NULL, *rev = NULL;
    struct pgp_signature s, r;
    int err = find(w, (unsigned)i, KIND_SELF, &self, &s);
    if (err)
        return err == ERR_NOT_FOUND ? OK : err;
    err = find(w, (unsigned)i, KIND_REVOCATION, &rev, &r);
    if (err && err != ERR_NOT_FOUND)
        return err;
    uint32_t own =
        earlier(s.has_key_expires ? after(j->keys[i].created, s.key_expires) : 0, after(s.created, s.expires));
    j->expires[i] = earlier(own, j->expires[0]);
    j->key_self[i] = self->at;
    j->begins[i] = s.created > j->keys[i].created ? s.created : j->keys[i].created;
    j->key_revocation[i] = rev ? rev->at : 0;
    j->validity[i] = validity_of((enum rank)self->rank, j->expires[i], j->now);
    if (j->validity[0] == PGP_EXPIRED && j->validity[i] == PGP_VALID)
        j->validity[i] = PGP_EXPIRED;
    if (j->validity[i] == PGP_VALID && j->keys[i].created > j->now) /* its own date, which no binding changes */
        j->validity[i] = PGP_NOT_YET;
    if (rev && rev->rank != RANK_SOFT_LATER)
        j->validity[i] = PGP_REVOKED;
    return OK;
}

static int judge_encryption(struct judge *w, const struct primary *p, struct encrypting *e)
{
    struct pgp_judged *j = w->j;
    for (size_t i = 0; i < j->nkeys; i++)
        e->old = e->old && (j->validity[i] == PGP_UNBOUND || is_old(&j->keys[i]));
    for (size_t i = 0; i < j->nkeys; i++) {
        const struct pgp_signature *by[2];
        struct pgp_signature binding;
        size_t n = i ? 1 : speakers(p, j->keys[0].version, by);
        if (j->validity[i] == PGP_UNBOUND)
            continue;
        if (i) {
            int err = pgp_signature_at(w->cert, w->len, j->key_self[i], &binding);
            if (err)
                return err;
            by[0] = &binding;
        }
        int err = may_encrypt(w, i, by, n, e);
        if (err)
            return err;
    }
    return OK;
}

enum { ROTATION_MAX = 31 * 86400 };

/* Mail at rest outlives the secret of a subkey that is made for days. */
static bool is_rotating(const struct pgp_judged *j, size_t i)
{
    return j->expires[i] && (int64_t)j->expires[i] - j->keys[i].created <= ROTATION_MAX;
}

static bool goes_before(const struct pgp_judged *j, size_t i, size_t best)
{
    if (!best) /* the primary, if it is anything */
        return true;
    if (is_rotating(j, i) != is_rotating(j, best))
        return !is_rotating(j, i);
    return j->keys[i].created > j->keys[best].created;
}

size_t pgp_judged_choose(const struct pgp_judged *j, enum pgp_validity wanted,
                         bool (*takes)(const void *arg, const struct pgp_key *k), const void *arg)
{
    size_t best = j->nkeys;
    for (size_t i = 0; i < j->nkeys; i++)
        if (j->encrypts[i] && j->validity[i] == wanted && (!takes || takes(arg, &j->keys[i])) &&
            (best == j->nkeys || goes_before(j, i, best)))
            best = i;
    return best;
}

static int decide(struct pgp_judged *j, const struct encrypting *e)
{
    size_t i = pgp_judged_choose(j, PGP_VALID, NULL, NULL);
    if (i == j->nkeys)
        i = pgp_judged_choose(j, PGP_EXPIRED, NULL, NULL);
    if (i == j->nkeys) {
        if (e->revoked)
            return pgp_fault_set(j, PGP_FAULT_ENC_REVOKED, 0);
        if (e->weak)
            return pgp_fault_set(j, PGP_FAULT_WEAK, e->weak);
        if (e->unknown)
            return pgp_fault_set(j, PGP_FAULT_ALGORITHM, e->unknown);
        for (size_t k = 0; k < j->nkeys; k++)
            if (j->encrypts[k] && j->validity[k] == PGP_NOT_YET)
                return pgp_fault_set(j, PGP_FAULT_CLOCK, j->begins[k]);
        return pgp_fault_set(j, e->flaw ? PGP_FAULT_NUMBERS : PGP_FAULT_SIGNING_ONLY, e->flaw);
    }
    struct pgp_verdict *v = &j->verdict;
    const struct pgp_key *k = &j->keys[i];
    v->enc_fpr_len = k->fpr_len;
    memcpy(v->enc_fpr, k->fpr, sizeof(k->fpr));
    v->enc_algo = k->algo;
    v->enc_octets = pgp_key_octets(k);
    v->enc_expires = j->expires[i];
    v->native = pgp_algo_is_native(k->algo, k->material, k->material_len);
    return OK;
}

static int judge_all(struct judge *w)
{
    struct primary p = {0};
    struct encrypting e = {.old = true};
    int err = pgp_judge_collect(w);
    if (!err)
        err = judge_primary(w);
    if (!err)
        err = judge_whole(w, &p);
    for (size_t i = 1; !err && i < w->j->nkeys; i++)
        err = judge_subkey(w, i);
    if (!err)
        err = judge_encryption(w, &p, &e);
    return err ? err : decide(w->j, &e);
}

int pgp_judge_state(struct judge *w)
{
    struct primary p = {0};
    struct pgp_judged *j = w->j;
    int err = pgp_judge_collect(w);
    if (!err)
        err = name_primary(j);
    if (!err)
        err = judge_revocation(w);
    const bool revoked = j->fault == PGP_FAULT_REVOKED;
    if (revoked)
        err = pgp_fault_set(j, PGP_FAULT_NONE, 0);
    if (!err)
        err = judge_whole(w, &p);
    for (size_t i = 1; !err && i < j->nkeys; i++)
        err = judge_subkey(w, i);
    if (!err && revoked)
        j->validity[0] = PGP_REVOKED;
    return err;
}

int pgp_judge(const uint8_t *cert, size_t len, uint64_t now, struct pgp_judged *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->now = now;
    struct judge w = {.cert = cert, .len = len, .j = ret};
    int err = judge_all(&w);
    free(w.c);
    return err;
}
