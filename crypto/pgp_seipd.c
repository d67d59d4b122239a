/* The encrypted containers: SEIPD v1 (CFB with a modification detection code, RFC 9580 section 5.13.1) and SEIPD v2
 * (chunked AEAD, section 5.13.2). Both read the plaintext through a small stage and write ciphertext straight into the
 * output block. */
#include <string.h>

#include "crypto/pgp_seipd.h"
#include "server/core/secmem.h"
#include "server/core/error.h"

static const uint8_t zeros[32];

enum { PREFIX = 18, MDC = 22, V2_HEAD = 4 + 32, TAG = 16, BLOCK = 16 };
_Static_assert(PGP_STAGE % BLOCK == 0 && PGP_CHUNK % PGP_STAGE == 0, "stages divide chunks");
_Static_assert(PGP_OUT >= 2 * (PGP_STAGE + 2 * BLOCK), "a stage fits the output block");

uint64_t pgp_seipd1_size(uint64_t literal_len)
{
    return 1 + PREFIX + literal_len + MDC;
}

uint64_t pgp_seipd2_size(uint64_t literal_len)
{
    return V2_HEAD + literal_len + TAG * ((literal_len + PGP_CHUNK - 1) / PGP_CHUNK) + TAG;
}

static int out_room(struct pgp_output *o, size_t len)
{
    return o->e->work->out_len + len > PGP_OUT ? pgp_output_flush(o) : OK;
}

static void xor_into(uint8_t *out, const uint8_t *in, size_t len)
{
    for (; len >= 8; len -= 8, out += 8, in += 8) {
        uint64_t a, b;
        memcpy(&a, out, 8);
        memcpy(&b, in, 8);
        a ^= b;
        memcpy(out, &a, 8);
    }
    while (len--)
        *out++ ^= *in++;
}

/* CFB made of CBC, which has the faster loop: with Y(1) = E(IV) and Y(i+1) = E(P(i) ^ Y(i)), which is what CBC computes
 * over the plaintext, C(i) = P(i) ^ Y(i). The key stream block at hand always stands where the next ciphertext block
 * will. */
struct cfb {
    EVP_CIPHER_CTX *cbc;
    uint8_t carry[BLOCK];
};

static int cfb_start(struct cfb *c, struct pgp_engine *e, const struct pgp_suite *s)
{
    int n;
    c->cbc = e->cbc[s->key_len / 8 - 2];
    if (!EVP_EncryptInit_ex2(c->cbc, NULL, e->work->random.session_key, zeros, NULL) ||
        !EVP_EncryptUpdate(c->cbc, c->carry, &n, zeros, BLOCK) || n != BLOCK)
        return ERR_CRYPTO;
    return OK;
}

/* in: whole blocks, or the last piece. */
static int cfb_put(struct cfb *c, struct pgp_output *o, const uint8_t *in, size_t len)
{
    struct pgp_work *w = o->e->work;
    size_t full = len - len % BLOCK;
    int n = 0, err = out_room(o, len + BLOCK);
    if (err)
        return err;
    uint8_t *out = w->out + w->out_len;
    memcpy(out, c->carry, BLOCK);
    if (full && (!EVP_EncryptUpdate(c->cbc, out + BLOCK, &n, in, (int)full) || (size_t)n != full))
        return ERR_CRYPTO;
    memcpy(c->carry, out + full, BLOCK);
    xor_into(out, in, len);
    w->out_len += len;
    return OK;
}

static void seipd1_prefix(struct pgp_work *w)
{
    memcpy(w->stage, w->random.salt, 16);
    w->stage[16] = w->stage[14];
    w->stage[17] = w->stage[15];
}

/* The first stage begins with the prefix, so whole stages are whole blocks; the last one ends with the MDC packet,
 * which is hashed up to its digest and has room behind the stage. */
static int seipd1_stream(struct pgp_output *o, struct cfb *c, struct pgp_feed *f)
{
    uint8_t *stage = o->e->work->stage;
    EVP_MD_CTX *sha1 = o->e->mdc;
    const uint8_t *in = stage;
    size_t have = PREFIX;
    seipd1_prefix(o->e->work);
    have += pgp_feed_read(f, stage + have, PGP_STAGE - have);
    while (have == PGP_STAGE) {
        int err = EVP_DigestUpdate(sha1, in, have) ? cfb_put(c, o, in, have) : ERR_CRYPTO;
        if (err)
            return err;
        have = pgp_feed_take(f, stage, PGP_STAGE, &in);
    }
    uint8_t *mdc = stage + have;
    mdc[0] = 0xc0 | PGP_TAG_MDC;
    mdc[1] = 20;
    if (!EVP_DigestUpdate(sha1, stage, have + 2) || !EVP_DigestFinal_ex(sha1, mdc + 2, NULL))
        return ERR_CRYPTO;
    return cfb_put(c, o, stage, have + MDC);
}

int pgp_seipd1(struct pgp_output *o, const struct pgp_suite *s, struct pgp_feed *f)
{
    struct cfb c;
    static const uint8_t version = 1;
    int err = pgp_output_put(o, &version, 1);
    if (!err)
        err = cfb_start(&c, o->e, s);
    if (!err && !EVP_DigestInit_ex2(o->e->mdc, o->e->sha1, NULL))
        err = ERR_CRYPTO;
    if (!err) {
        err = seipd1_stream(o, &c, f);
        if (!EVP_EncryptInit_ex2(c.cbc, NULL, zeros, zeros, NULL) && !err) /* forget the key */
            err = ERR_CRYPTO;
    }
    secmem_wipe(&c, sizeof(c));
    return err;
}

/* Section 5.13.2: HKDF gives the message key and all of the nonce but its last 8 octets, which count chunks. */
struct aead {
    EVP_CIPHER_CTX *ocb;
    uint8_t ad[5 + 8];
    uint8_t nonce[15];
};

static void put_be64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (56 - 8 * i));
}

static int aead_setup(struct aead *a, struct pgp_engine *e, const struct pgp_suite *s)
{
    struct pgp_work *w = e->work;
    uint8_t okm[32 + 7];
    const struct pgp_part ikm = {w->random.session_key, s->key_len};
    *a = (struct aead){.ocb = e->ocb[s->key_len / 8 - 2],
                       .ad = {0xc0 | PGP_TAG_SEIPD, 2, s->cipher, PGP_AEAD_OCB, PGP_CHUNK_OCTET}};
    int err = pgp_hkdf(e, e->sha256, (struct pgp_part){w->random.salt, 32}, &ikm, 1, (struct pgp_part){a->ad, 5}, okm,
                       s->key_len + 7);
    if (!err) {
        memcpy(a->nonce, okm + s->key_len, 7);
        err = EVP_EncryptInit_ex2(a->ocb, NULL, okm, a->nonce, NULL) ? OK : ERR_CRYPTO;
    }
    secmem_wipe(okm, sizeof(okm));
    return err;
}

static int aead_begin(struct aead *a, uint64_t index, size_t ad_len)
{
    int n;
    put_be64(a->nonce + 7, index);
    return EVP_EncryptInit_ex2(a->ocb, NULL, NULL, a->nonce, NULL) &&
                   EVP_EncryptUpdate(a->ocb, NULL, &n, a->ad, (int)ad_len)
               ? OK
               : ERR_CRYPTO;
}

static int aead_put(struct aead *a, struct pgp_output *o, const uint8_t *in, size_t len)
{
    struct pgp_work *w = o->e->work;
    int n, err = out_room(o, len + BLOCK);
    if (err)
        return err;
    if (!EVP_EncryptUpdate(a->ocb, w->out + w->out_len, &n, in, (int)len))
        return ERR_CRYPTO;
    w->out_len += (size_t)n;
    return OK;
}

static int aead_end(struct aead *a, struct pgp_output *o)
{
    struct pgp_work *w = o->e->work;
    int n, err = out_room(o, BLOCK + TAG);
    if (err)
        return err;
    if (!EVP_EncryptFinal_ex(a->ocb, w->out + w->out_len, &n))
        return ERR_CRYPTO;
    w->out_len += (size_t)n;
    if (!EVP_CIPHER_CTX_ctrl(a->ocb, EVP_CTRL_AEAD_GET_TAG, TAG, w->out + w->out_len))
        return ERR_CRYPTO;
    w->out_len += TAG;
    return OK;
}

static int seipd2_stream(struct pgp_output *o, struct aead *a, struct pgp_feed *f, uint64_t literal_len)
{
    uint8_t *stage = o->e->work->stage;
    uint64_t index = 0;
    for (uint64_t left = literal_len; left; index++) {
        size_t chunk = left < PGP_CHUNK ? (size_t)left : PGP_CHUNK;
        int err = aead_begin(a, index, 5);
        left -= chunk;
        while (!err && chunk) {
            size_t want = chunk < PGP_STAGE ? chunk : PGP_STAGE;
            const uint8_t *in;
            if (pgp_feed_take(f, stage, want, &in) != want)
                return ERR_CRYPTO;
            err = aead_put(a, o, in, want);
            chunk -= want;
        }
        if (!err)
            err = aead_end(a, o);
        if (err)
            return err;
    }
    /* The final tag covers the number of plaintext octets. */
    put_be64(a->ad + 5, literal_len);
    int err = aead_begin(a, index, 13);
    return err ? err : aead_end(a, o);
}

int pgp_seipd2(struct pgp_output *o, const struct pgp_suite *s, struct pgp_feed *f, uint64_t literal_len)
{
    struct aead a;
    const uint8_t head[4] = {2, s->cipher, PGP_AEAD_OCB, PGP_CHUNK_OCTET};
    int err = pgp_output_put(o, head, 4);
    if (!err)
        err = pgp_output_put(o, o->e->work->random.salt, 32);
    if (!err)
        err = aead_setup(&a, o->e, s);
    if (!err) {
        err = seipd2_stream(o, &a, f, literal_len);
        if (!EVP_EncryptInit_ex2(a.ocb, NULL, zeros, zeros, NULL) && !err) /* forget the key */
            err = ERR_CRYPTO;
    }
    return err;
}
