#include "crypto/pgp_published.h"

#include <openssl/evp.h>
#include <string.h>

#include "crypto/pgp_packet.h"
#include "crypto/pgp_signature.h"
#include "server/core/error.h"
#include "server/core/wire.h"

int pgp_fingerprint(const uint8_t *body, size_t len, uint8_t *fpr, uint8_t *ret_len, uint8_t key_id[8])
{
    const bool v6 = len > 0 && body[0] == 6;
    uint8_t head[5], digest[EVP_MAX_MD_SIZE];
    struct pack p;
    if (len == 0 || len > (v6 ? UINT32_MAX : UINT16_MAX))
        return ERR_FORMAT;
    pack_init(&p, head, sizeof(head));
    pack_u8(&p, v6 ? 0x9b : 0x99);
    if (v6)
        pack_u32(&p, (uint32_t)len);
    else
        pack_u16(&p, (uint16_t)len);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx)
        return ERR_MEMORY;
    const bool done = EVP_DigestInit_ex(ctx, v6 ? EVP_sha256() : EVP_sha1(), NULL) &&
                      EVP_DigestUpdate(ctx, head, p.len) && EVP_DigestUpdate(ctx, body, len) &&
                      EVP_DigestFinal_ex(ctx, digest, NULL);
    EVP_MD_CTX_free(ctx);
    if (!done)
        return ERR_MEMORY;
    *ret_len = v6 ? 32 : 20;
    memset(fpr, 0, PGP_FPR_MAX);
    memcpy(fpr, digest, *ret_len);
    memcpy(key_id, v6 ? digest : digest + 12, 8);
    return OK;
}

/* ---- its form ---- */

enum place { AT_START, AT_PRIMARY, AT_USER_ID, AT_SUBKEY };

/* What may stand behind a component, in this order, each at most once. */
static const struct behind {
    uint8_t place, first, last; /* types of signatures */
    bool must;
} behinds[] = {
    {AT_PRIMARY, PGP_SIG_REVOKE_KEY, PGP_SIG_REVOKE_KEY, false},
    {AT_PRIMARY, PGP_SIG_DIRECT, PGP_SIG_DIRECT, false},
    {AT_USER_ID, PGP_SIG_CERT_FIRST, PGP_SIG_CERT_LAST, true},
    {AT_SUBKEY, PGP_SIG_BINDING, PGP_SIG_BINDING, true},
    {AT_SUBKEY, PGP_SIG_REVOKE_SUBKEY, PGP_SIG_REVOKE_SUBKEY, false},
};
enum { BEHINDS = sizeof(behinds) / sizeof(behinds[0]) };

struct walk {
    struct pgp_published *p;
    enum place place;
    size_t next; /* in behinds: what may still come */
};

/* That the component before has all that it must have. */
static bool is_whole(const struct walk *w)
{
    for (size_t i = w->next; i < BEHINDS; i++)
        if (behinds[i].place == w->place && behinds[i].must)
            return false;
    return true;
}

static int add_signature(struct walk *w, const struct pgp_packet *packet)
{
    const struct pgp_published_key *primary = &w->p->key[0];
    struct pgp_key key = {.version = primary->version, .fpr_len = primary->fpr_len};
    struct pgp_signature s;
    if (w->place == AT_START || pgp_signature_read(packet->body, packet->body_len, &s) != OK)
        return ERR_FORMAT;
    memcpy(key.fpr, primary->fpr, sizeof(key.fpr));
    memcpy(key.key_id, primary->key_id, sizeof(key.key_id));
    if (s.version != key.version || pgp_signature_is_foreign(&s, &key))
        return ERR_FORMAT;
    for (size_t i = w->next; i < BEHINDS; i++) {
        if (behinds[i].place != w->place)
            continue;
        if (s.type >= behinds[i].first && s.type <= behinds[i].last) {
            w->p->revoked = w->p->revoked || s.type == PGP_SIG_REVOKE_KEY;
            w->next = i + 1;
            return OK;
        }
        if (behinds[i].must)
            break;
    }
    return ERR_FORMAT;
}

static int add_key(struct walk *w, const struct pgp_packet *packet)
{
    struct pgp_published *p = w->p;
    const uint8_t *b = packet->body;
    struct pgp_published_key k = {0};
    if (packet->body_len < 6 || (b[0] != 4 && b[0] != 6) || (p->nkeys && b[0] != p->key[0].version))
        return ERR_FORMAT;
    if (p->nkeys == PGP_PUBLISHED_KEYS_MAX)
        return ERR_LIMIT;
    k.version = b[0];
    k.created = (uint32_t)b[1] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 8 | b[4];
    k.algo = b[5];
    int err = pgp_fingerprint(b, packet->body_len, k.fpr, &k.fpr_len, k.key_id);
    for (size_t i = 0; !err && i < p->nkeys; i++)
        if (!memcmp(p->key[i].fpr, k.fpr, sizeof(k.fpr)))
            return ERR_FORMAT;
    if (!err)
        p->key[p->nkeys++] = k;
    return err;
}

static int add_user_id(struct walk *w, const struct pgp_packet *packet)
{
    struct pgp_published *p = w->p;
    if (w->place == AT_SUBKEY)
        return ERR_FORMAT;
    if (p->nuser_ids == PGP_PUBLISHED_USER_IDS_MAX)
        return ERR_LIMIT;
    p->user_id[p->nuser_ids].text = packet->body;
    p->user_id[p->nuser_ids++].len = packet->body_len;
    return OK;
}

static int add(struct walk *w, const struct pgp_packet *packet)
{
    static const struct {
        uint8_t tag, place;
        int (*add)(struct walk *w, const struct pgp_packet *packet);
    } kinds[] = {
        {PGP_TAG_PUBLIC_KEY, AT_PRIMARY, add_key},
        {PGP_TAG_USER_ID, AT_USER_ID, add_user_id},
        {PGP_TAG_PUBLIC_SUBKEY, AT_SUBKEY, add_key},
    };
    if (packet->tag == PGP_TAG_SIGNATURE)
        return add_signature(w, packet);
    if ((w->place == AT_START) != (packet->tag == PGP_TAG_PUBLIC_KEY) || !is_whole(w))
        return ERR_FORMAT;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].tag != packet->tag)
            continue;
        int err = kinds[i].add(w, packet);
        w->place = (enum place)kinds[i].place;
        w->next = 0;
        return err;
    }
    return ERR_FORMAT;
}

int pgp_published_read(const uint8_t *cert, size_t len, struct pgp_published *ret)
{
    struct pgp_published p = {.nkeys = 0};
    struct walk w = {.p = &p, .place = AT_START};
    struct pgp_packet packet;
    size_t pos = 0;
    int err;
    if (len > PGP_PUBLISHED_MAX)
        return ERR_LIMIT;
    while ((err = pgp_packet_next(cert, len, &pos, &packet)) == OK) {
        err = add(&w, &packet);
        if (err)
            return err;
    }
    if (err != ERR_NOT_FOUND || !p.nkeys || !is_whole(&w))
        return ERR_FORMAT;
    *ret = p;
    return OK;
}

/* ---- two copies of one ---- */

static bool has_user_id(const struct pgp_published *p, const uint8_t *text, size_t len)
{
    for (size_t i = 0; i < p->nuser_ids; i++)
        if (p->user_id[i].len == len && !memcmp(p->user_id[i].text, text, len))
            return true;
    return false;
}

static int append(uint8_t *out, size_t cap, size_t *at, const uint8_t *p, size_t len)
{
    if (cap - *at < len)
        return ERR_LIMIT;
    memcpy(out + *at, p, len);
    *at += len;
    return OK;
}

/* Where the subkeys begin. */
static size_t subkeys_at(const uint8_t *cert, size_t len)
{
    struct pgp_packet packet;
    size_t pos = 0, at = 0;
    for (; pgp_packet_next(cert, len, &pos, &packet) == OK; at = pos)
        if (packet.tag == PGP_TAG_PUBLIC_SUBKEY)
            return at;
    return len;
}

int pgp_published_join(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len, uint8_t *out, size_t cap,
                       size_t *ret_len)
{
    struct pgp_published pa, pb;
    struct pgp_packet packet;
    int err = pgp_published_read(a, a_len, &pa);
    if (!err)
        err = pgp_published_read(b, b_len, &pb);
    if (err)
        return err;
    if (memcmp(pa.key[0].fpr, pb.key[0].fpr, sizeof(pa.key[0].fpr)) != 0)
        return ERR_CONFLICT;
    size_t n = 0, head = subkeys_at(a, a_len), user_ids = pa.nuser_ids;
    bool wanted = false;
    err = append(out, cap, &n, a, head);
    for (size_t pos = 0, at = 0; !err && pgp_packet_next(b, b_len, &pos, &packet) == OK; at = pos) {
        if (packet.tag != PGP_TAG_SIGNATURE) {
            wanted = packet.tag == PGP_TAG_USER_ID && !has_user_id(&pa, packet.body, packet.body_len);
            user_ids += wanted;
        }
        if (user_ids > PGP_PUBLISHED_USER_IDS_MAX)
            err = ERR_LIMIT;
        else if (wanted)
            err = append(out, cap, &n, b + at, pos - at);
    }
    if (!err)
        err = append(out, cap, &n, a + head, a_len - head);
    if (!err)
        *ret_len = n;
    return err;
}
