/* A certificate's packets put in order before anything is verified: keys, user ids, and of the signatures those that
 * could count, each with whom it speaks of. What stands twice is taken together, so that a copy cannot lack the other's
 * revocation. */
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_internal.h"
#include "crypto/pgp_judge_internal.h"
#include "server/core/error.h"

enum { KEY_MATERIAL_MAX = 8192 };

int pgp_fault_set(struct pgp_judged *j, enum pgp_fault fault, unsigned detail)
{
    static const int errors[] = {
        [PGP_FAULT_NONE] = OK,
        [PGP_FAULT_FORMAT] = ERR_FORMAT,
        [PGP_FAULT_SECRET] = ERR_REFUSED,
        [PGP_FAULT_SEVERAL] = ERR_REFUSED,
        [PGP_FAULT_LIMIT] = ERR_LIMIT,
        [PGP_FAULT_VERSION] = ERR_UNSUPPORTED,
        [PGP_FAULT_ALGORITHM] = ERR_UNSUPPORTED,
        [PGP_FAULT_SELF_SIGNED] = ERR_REFUSED,
        [PGP_FAULT_WEAK] = ERR_REFUSED,
        [PGP_FAULT_REVOKED] = ERR_NO_KEY,
        [PGP_FAULT_ENC_REVOKED] = ERR_NO_KEY,
        [PGP_FAULT_SIGNING_ONLY] = ERR_REFUSED,
        [PGP_FAULT_USER_IDS] = ERR_REFUSED,
        [PGP_FAULT_NUMBERS] = ERR_FORMAT,
        [PGP_FAULT_CLOCK] = ERR_REFUSED,
    };
    j->fault = fault;
    j->detail = detail;
    return errors[fault];
}

static int add_key(struct judge *w, const struct pgp_packet *p, unsigned *ret_owner)
{
    struct pgp_judged *j = w->j;
    struct pgp_key k;
    int err = pgp_key_read(p, &k);
    if (err == ERR_UNSUPPORTED)
        return pgp_fault_set(j, PGP_FAULT_VERSION, p->body[0]);
    if (err == ERR_FORMAT || (!err && j->nkeys && k.version != j->keys[0].version)) /* section 10.1.1 */
        return pgp_fault_set(j, PGP_FAULT_FORMAT, 0);
    if (err)
        return err;
    if (k.material_len > KEY_MATERIAL_MAX)
        return pgp_fault_set(j, PGP_FAULT_LIMIT, 0);
    for (size_t i = 0; i < j->nkeys; i++) {
        if (memcmp(j->keys[i].fpr, k.fpr, k.fpr_len) == 0) {
            /* The primary key as its own subkey binds nothing. */
            *ret_owner = i ? (unsigned)i : OWNER_NONE;
            return OK;
        }
    }
    if (j->nkeys == PGP_KEYS_MAX)
        return pgp_fault_set(j, PGP_FAULT_LIMIT, 0);
    *ret_owner = (unsigned)j->nkeys;
    j->validity[j->nkeys] = PGP_UNBOUND;
    j->keys[j->nkeys++] = k;
    return OK;
}

static int add_user_id(struct judge *w, const struct pgp_packet *p, unsigned *ret_owner)
{
    struct pgp_judged *j = w->j;
    size_t i = 0;
    if (w->keep && (p->body_len > PGP_USER_ID_LEN_MAX || !w->keep(w->keep_arg, p->body, p->body_len))) {
        *ret_owner = OWNER_NONE;
        return OK;
    }
    if (p->body_len > PGP_USER_ID_LEN_MAX)
        return pgp_fault_set(j, PGP_FAULT_LIMIT, 0);
    while (i < j->nuser_ids &&
           (j->user_ids[i].len != p->body_len || memcmp(j->user_ids[i].text, p->body, p->body_len) != 0))
        i++;
    if (i == PGP_USER_IDS_MAX)
        return pgp_fault_set(j, PGP_FAULT_LIMIT, 0);
    *ret_owner = OWNER_USER_ID + (unsigned)i;
    if (i == j->nuser_ids) {
        j->user_ids[i].text = p->body;
        j->user_ids[i].len = p->body_len;
        j->user_ids[i].validity = PGP_UNBOUND;
        j->nuser_ids++;
    }
    return OK;
}

/* Which signatures go where (section 10.1). A revocation of the whole key counts wherever it stands: people append
 * theirs. */
static bool find_place(uint8_t type, unsigned *owner, enum kind *ret)
{
    if (type == PGP_SIG_REVOKE_KEY) {
        *owner = 0;
        *ret = KIND_REVOCATION;
        return true;
    }
    if (*owner == OWNER_NONE)
        return false;
    if (*owner == 0) {
        *ret = type == PGP_SIG_DIRECT ? KIND_SELF : KIND_CANCEL;
        return type == PGP_SIG_DIRECT || type == PGP_SIG_REVOKE_CERT;
    }
    if (*owner < OWNER_USER_ID) {
        *ret = type == PGP_SIG_BINDING ? KIND_SELF : KIND_REVOCATION;
        return type == PGP_SIG_BINDING || type == PGP_SIG_REVOKE_SUBKEY;
    }
    *ret = pgp_sig_is_certification(type) ? KIND_SELF : KIND_REVOCATION;
    return pgp_sig_is_certification(type) || type == PGP_SIG_REVOKE_CERT;
}

static uint8_t rank_of(const struct pgp_signature *s, unsigned owner, enum kind kind, uint64_t now)
{
    bool future = s->created > now;
    if (kind == KIND_REVOCATION && owner < OWNER_USER_ID)
        return pgp_revocation_is_hard(s) ? RANK_HARD : future ? RANK_SOFT_LATER : RANK_SOFT;
    if (future)
        return RANK_FUTURE;
    /* A revocation does not wear off. */
    return kind == KIND_SELF && s->expires && (uint64_t)s->created + s->expires <= now ? RANK_EXPIRED : RANK_CURRENT;
}

bool pgp_judged_hash_counts(const struct pgp_judged *j, const struct pgp_signature *s)
{
    return pgp_signature_hash_counts(s) || (j->any_hash && s->version == 4);
}

static int add_signature(struct judge *w, const struct pgp_packet *p, size_t at, unsigned owner)
{
    struct pgp_signature s;
    enum kind kind;
    if (w->signature_max && p->body_len > w->signature_max)
        return OK;
    if (pgp_signature_read(p->body, p->body_len, &s) != OK || s.unusable || s.version != w->j->keys[0].version ||
        !find_place(s.type, &owner, &kind) || !pgp_judged_hash_counts(w->j, &s) ||
        pgp_signature_is_foreign(&s, &w->j->keys[0]))
        return OK;
    if (w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 64; /* the certificate's own length bounds it */
        struct candidate *c = realloc(w->c, cap * sizeof(*c));
        if (!c)
            return ERR_MEMORY;
        w->c = c;
        w->cap = cap;
    }
    w->c[w->n++] = (struct candidate){.at = (uint32_t)at,
                                      .created = s.created,
                                      .owner = (uint16_t)owner,
                                      .kind = (uint8_t)kind,
                                      .rank = rank_of(&s, owner, kind, w->j->now)};
    return OK;
}

static int by_order(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->owner != y->owner)
        return x->owner < y->owner ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    if (x->created != y->created)
        return x->created > y->created ? -1 : 1;
    return x->at > y->at ? -1 : x->at < y->at;
}

static int add_packet(struct judge *w, const struct pgp_packet *p, size_t at, unsigned *owner)
{
    if (p->tag == PGP_TAG_SECRET_KEY || p->tag == PGP_TAG_SECRET_SUBKEY)
        return pgp_fault_set(w->j, PGP_FAULT_SECRET, 0);
    if (p->tag == PGP_TAG_MARKER || p->tag == PGP_TAG_PADDING) /* sections 5.8 and 5.14: ignored wherever they stand */
        return OK;
    if ((w->j->nkeys == 0) != (p->tag == PGP_TAG_PUBLIC_KEY))
        return pgp_fault_set(w->j, w->j->nkeys ? PGP_FAULT_SEVERAL : PGP_FAULT_FORMAT, 0);
    switch (p->tag) {
    case PGP_TAG_PUBLIC_KEY:
    case PGP_TAG_PUBLIC_SUBKEY: return add_key(w, p, owner);
    case PGP_TAG_USER_ID: return add_user_id(w, p, owner);
    case PGP_TAG_SIGNATURE: return add_signature(w, p, at, *owner);
    case PGP_TAG_USER_ATTRIBUTE: *owner = OWNER_NONE; return OK;
    default: /* unknown packets of the non-critical range are passed over (section 4.3), and what is signed behind them
              */
        if (!pgp_may_be_in_cert(p->tag))
            return pgp_fault_set(w->j, PGP_FAULT_FORMAT, 0);
        if ((int)p->tag >= 40)
            *owner = OWNER_NONE;
        return OK;
    }
}

int pgp_judge_collect(struct judge *w)
{
    struct pgp_packet p;
    size_t pos = 0, at = 0;
    unsigned owner = OWNER_NONE;
    int err;
    if (w->len > PGP_CERT_MAX)
        return pgp_fault_set(w->j, PGP_FAULT_LIMIT, 0);
    while ((err = pgp_packet_next(w->cert, w->len, &pos, &p)) == OK) {
        err = add_packet(w, &p, at, &owner);
        if (err)
            return err;
        at = pos;
    }
    if (err != ERR_NOT_FOUND || !w->j->nkeys)
        return pgp_fault_set(w->j, PGP_FAULT_FORMAT, 0);
    if (w->n)
        qsort(w->c, w->n, sizeof(*w->c), by_order);
    return OK;
}
