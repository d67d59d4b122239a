/* The canonical, minimal copy of a judged certificate: what decided, and nothing that anybody else put in. The same
 * bytes come out when it is made of itself. */
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_internal.h"
#include "crypto/pgp_judge_internal.h"
#include "server/core/error.h"

static int put(struct pgp_copy *o, enum pgp_tag tag, const uint8_t *body, size_t len)
{
    uint8_t head[6];
    size_t n = pgp_packet_header(head, tag, len);
    if (o->cap - o->len < n || o->cap - o->len - n < len)
        return ERR_LIMIT;
    memcpy(o->p + o->len, head, n);
    memcpy(o->p + o->len + n, body, len);
    o->len += n + len;
    return OK;
}

/* Section 5.2.3.7: the shortest length there is, so that a copy is never longer. */
static size_t subpacket_head(uint8_t *out, uint8_t type, size_t len)
{
    size_t n = len + 1, at = 0;
    if (n < 192) {
        out[at++] = (uint8_t)n;
    } else if (n < 16320) {
        out[at++] = (uint8_t)(((n - 192) >> 8) + 192);
        out[at++] = (uint8_t)(n - 192);
    } else {
        out[at++] = 255;
        for (int shift = 24; shift >= 0; shift -= 8)
            out[at++] = (uint8_t)(n >> shift);
    }
    out[at++] = type;
    return at;
}

static uint8_t *append(uint8_t *p, const void *data, size_t len)
{
    memcpy(p, data, len);
    return p + len;
}

/* The first unhashed statement of each kind that names the issuer. */
static uint8_t *put_issuers(uint8_t *p, const struct pgp_signature *s, const struct pgp_key *by)
{
    static const uint8_t types[] = {PGP_SUB_ISSUER, PGP_SUB_ISSUER_FPR};
    for (int i = s->version == 6 ? 1 : 0; i < 2; i++) { /* section 5.2.3.12: no key id in version 6 */
        struct pgp_subpacket sub;
        size_t pos = 0;
        while (pgp_subpacket_next(s->unhashed, &pos, &sub) == OK) {
            if (sub.type != types[i] || !pgp_names_issuer(&sub, by))
                continue;
            p += subpacket_head(p, sub.type, sub.value.len);
            p = append(p, sub.value.data, sub.value.len);
            break;
        }
    }
    return p;
}

/* A signature's body with its unhashed area reduced. back: an embedded one to keep there, or empty. out has room for
 * the original. */
static size_t reduce(const struct pgp_signature *s, const uint8_t *end, const struct pgp_key *by, struct pgp_area back,
                     uint8_t *out)
{
    size_t octets = s->version == 6 ? 4 : 2;
    uint8_t *p = append(out, s->head.data, s->head.len), *area = p + octets;
    p = put_issuers(area, s, by);
    if (back.len) {
        p += subpacket_head(p, PGP_SUB_EMBEDDED, back.len);
        p = append(p, back.data, back.len);
    }
    for (size_t i = 0; i < octets; i++)
        area[-1 - (ptrdiff_t)i] = (uint8_t)((size_t)(p - area) >> 8 * i);
    return (size_t)(append(p, s->left, (size_t)(end - s->left)) - out);
}

static bool lies_in(const struct pgp_subpacket *sub, struct pgp_area area)
{
    return sub->whole.data >= area.data && sub->whole.data < area.data + area.len;
}

/* The back-signature that counted, reduced, if it stands unhashed; else *ret_len is 0. */
static int reduce_back(const struct pgp_judged *j, const struct pgp_signature *binding, const struct pgp_signed *over,
                       uint8_t *out, size_t *ret_len)
{
    struct pgp_subpacket sub;
    struct pgp_signature s;
    size_t verified = 0;
    *ret_len = 0;
    if (!binding->has_flags || !(binding->flags & (PGP_FLAG_CERTIFY | PGP_FLAG_SIGN)))
        return OK;
    int err = pgp_back_signature(j, binding, over, &verified, &sub);
    if (err || !lies_in(&sub, binding->unhashed))
        return err;
    err = pgp_signature_read(sub.value.data, sub.value.len, &s);
    if (!err)
        *ret_len = reduce(&s, sub.value.data + sub.value.len, over->subkey, (struct pgp_area){0}, out);
    return err;
}

/* The signature that stands at this place, 0: none, with its unhashed area reduced. subkey: of which it is the binding,
 * or NULL. */
static int put_signature(struct pgp_copy *o, const uint8_t *cert, size_t len, const struct pgp_judged *j, uint32_t at,
                         const struct pgp_key *subkey)
{
    struct pgp_packet p;
    struct pgp_signature s;
    size_t pos = at, back_len = 0;
    if (!at)
        return OK;
    int err = pgp_packet_next(cert, len, &pos, &p);
    if (!err)
        err = pgp_signature_read(p.body, p.body_len, &s);
    if (err)
        return err;
    uint8_t *room = malloc(2 * p.body_len), *back = room ? room + p.body_len : NULL;
    if (!room)
        return ERR_MEMORY;
    if (subkey)
        err = reduce_back(j, &s, &(struct pgp_signed){.primary = &j->keys[0], .subkey = subkey}, back, &back_len);
    if (!err) {
        size_t n = reduce(&s, p.body + p.body_len, &j->keys[0], (struct pgp_area){back, back_len}, room);
        err = put(o, PGP_TAG_SIGNATURE, room, n);
    }
    free(room);
    return err;
}

/* As section 10.1 has them: the primary's revocation in front. */
int pgp_copy_key(struct pgp_copy *o, const uint8_t *cert, size_t len, const struct pgp_judged *j, size_t i)
{
    const struct pgp_key *k = &j->keys[i];
    const struct pgp_area body = pgp_key_body(k);
    int err = put(o, k->subkey ? PGP_TAG_PUBLIC_SUBKEY : PGP_TAG_PUBLIC_KEY, body.data, body.len);
    if (!err && i == 0)
        err = put_signature(o, cert, len, j, j->key_revocation[i], NULL);
    if (!err)
        err = put_signature(o, cert, len, j, j->key_self[i], i ? k : NULL);
    if (!err && i > 0)
        err = put_signature(o, cert, len, j, j->key_revocation[i], NULL);
    return err;
}

int pgp_copy_user_id(struct pgp_copy *o, const uint8_t *cert, size_t len, const struct pgp_judged *j, size_t i)
{
    int err = put(o, PGP_TAG_USER_ID, j->user_ids[i].text, j->user_ids[i].len);
    return err ? err : put_signature(o, cert, len, j, j->user_ids[i].self, NULL);
}

bool pgp_copy_has_user_id(const struct pgp_judged *j, size_t i)
{
    for (size_t u = 0; u < j->nuser_ids; u++) {
        if (j->user_ids[u].validity == PGP_VALID)
            return j->user_ids[i].validity == PGP_VALID;
    }
    return j->user_ids[i].validity == PGP_EXPIRED;
}

static int put_user_ids(struct pgp_copy *o, const uint8_t *cert, size_t len, const struct pgp_judged *j,
                        pgp_keep_fn *keep, void *arg)
{
    bool wanted[PGP_USER_IDS_MAX] = {false}, any = false;
    for (size_t i = 0; i < j->nuser_ids; i++) {
        wanted[i] = pgp_copy_has_user_id(j, i) && (!keep || keep(arg, j->user_ids[i].text, j->user_ids[i].len));
        any = any || wanted[i];
    }
    for (size_t i = 0; i < j->nuser_ids; i++) {
        if (!(wanted[i] || (!any && j->user_ids[i].primary)))
            continue;
        int err = pgp_copy_user_id(o, cert, len, j, i);
        if (err)
            return err;
    }
    return OK;
}

int pgp_cert_minimal(const uint8_t *cert, size_t len, const struct pgp_judged *j,
                     bool (*keep)(void *arg, const uint8_t *user_id, size_t len), void *arg, uint8_t *out, size_t cap,
                     size_t *ret_len)
{
    struct pgp_copy o = {out, cap, 0};
    if (j->fault != PGP_FAULT_NONE || !j->nkeys)
        return ERR_REFUSED;
    int err = pgp_copy_key(&o, cert, len, j, 0);
    if (!err)
        err = put_user_ids(&o, cert, len, j, keep, arg);
    for (size_t i = 1; !err && i < j->nkeys; i++)
        if (j->key_self[i])
            err = pgp_copy_key(&o, cert, len, j, i);
    if (!err)
        *ret_len = o.len;
    return err;
}

/* Whether the packets from here to the next user id, attribute or key stay. */
static bool strip_keeps(const struct pgp_packet *p, size_t at, bool any, size_t primary_at, pgp_keep_fn *keep,
                        void *arg)
{
    if (p->tag == PGP_TAG_USER_ID)
        return any ? !keep || keep(arg, p->body, p->body_len) : at == primary_at;
    return p->tag == PGP_TAG_PUBLIC_KEY || p->tag == PGP_TAG_PUBLIC_SUBKEY;
}

int pgp_cert_strip(const uint8_t *cert, size_t len, bool (*keep)(void *arg, const uint8_t *user_id, size_t len),
                   void *arg, uint8_t *out, size_t cap, size_t *ret_len)
{
    struct pgp_copy o = {out, cap, 0};
    struct pgp_self self;
    struct pgp_packet p;
    bool any = !keep, keeping = false;
    int err = pgp_cert_self(cert, len, &self); /* and that it is a certificate */
    for (size_t pos = 0; !err && !any && pgp_packet_next(cert, len, &pos, &p) == OK;)
        any = p.tag == PGP_TAG_USER_ID && keep(arg, p.body, p.body_len);
    for (size_t pos = 0, at = 0; !err && pgp_packet_next(cert, len, &pos, &p) == OK; at = pos) {
        if (p.tag != PGP_TAG_SIGNATURE && (int)p.tag < 40 && p.tag != PGP_TAG_TRUST && p.tag != PGP_TAG_MARKER &&
            p.tag != PGP_TAG_PADDING)
            keeping = strip_keeps(&p, at, any, self.has_uid ? self.uid_at : 0, keep, arg);
        else if (p.tag != PGP_TAG_SIGNATURE)
            continue;
        if (keeping)
            err = put(&o, p.tag, p.body, p.body_len);
    }
    if (!err)
        *ret_len = o.len;
    return err;
}
