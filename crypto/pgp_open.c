/* A message is taken apart as pgp_seal puts it together: a session-key packet, the container's head, chunks, the last
 * tag. Each has one form and one place, so whatever is not exactly so is refused. */
#include "crypto/pgp_open.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/pgp_internal.h"
#include "server/core/error.h"
#include "server/core/secmem.h"

enum {
    TAG = 16,
    BLOCK = 16,
    WRAPPED = 32 + 8,
    PKESK_BODY = 4 + 32 + 32 + 1 + WRAPPED,
    PKESK = 2 + PKESK_BODY,
    SEIPD_HEAD = 4 + 32,
    LITERAL_FIELDS = 6, /* section 5.9: format, no name, no date */
    LITERAL_HEAD_MAX = 6 + LITERAL_FIELDS,
    FIELDS_MAX = PKESK
};
_Static_assert(PKESK_BODY < 192 && FIELDS_MAX >= SEIPD_HEAD, "lengths");

struct pgp_opener {
    uint8_t *secret; /* of QUEUE_SECRET_SIZE, in secret memory */
    uint8_t point[32], fpr[32];
    EVP_CIPHER *ocb;
    EVP_CIPHER_CTX *ecb;
    struct pgp_open *spare;    /* wiped; mapping and faulting in as much for each message costs as much as opening it */
    EVP_CIPHER_CTX *spare_ocb; /* of it: here, on the heap, a sanitizer sees that it is not lost */
};

enum stage { IN_PKESK, IN_LENGTH, IN_HEAD, IN_CHUNK, IN_TAG, IN_LAST, IN_NOTHING };

struct pgp_open {
    struct pgp_opener *opener;
    pgp_sink *sink;
    void *arg;
    EVP_CIPHER_CTX *ocb;
    int failed;
    enum stage stage;
    size_t want, have; /* octets of the stage */
    uint64_t index;    /* of the chunk */
    uint64_t left;     /* octets of the literal packet in chunks to come */
    uint64_t literal_len;
    bool literal_begun;
    uint8_t session_key[32], nonce[15], ad[5 + 8];
    uint8_t fields[FIELDS_MAX];
    size_t plain_len;
    uint8_t plain[PGP_CHUNK + BLOCK];
};

int queue_key_recipient(struct slice public_key, struct pgp_recipient **ret)
{
    struct pgp_key_ref ref;
    int err = queue_key_ref(public_key, &ref);
    if (err != OK)
        return err;
    struct pgp_verdict v = {.enc_fpr_len = ref.fpr_len, .enc_algo = ref.algo, .native = true, .prefs = {true, true}};
    memcpy(v.enc_fpr, ref.fpr, ref.fpr_len);
    return pgp_recipient_create(public_key.data, public_key.len, &v, ret);
}

/* ---- the opener ---- */

struct pgp_opener *pgp_opener_create(const uint8_t secret[QUEUE_SECRET_SIZE], struct slice public_key)
{
    struct pgp_key_ref ref;
    if (sodium_init() < 0 || queue_key_ref(public_key, &ref) != OK)
        return NULL;
    struct pgp_opener *o = calloc(1, sizeof(*o));
    if (o == NULL)
        return NULL;
    o->secret = secmem_key_alloc(QUEUE_SECRET_SIZE);
    if (o->secret != NULL)
        memcpy(o->secret, secret, QUEUE_SECRET_SIZE);
    memcpy(o->fpr, ref.fpr, sizeof(o->fpr));
    o->ocb = EVP_CIPHER_fetch(NULL, "AES-256-OCB", NULL);
    o->ecb = pgp_unwrap_ctx();
    if (o->secret == NULL || o->ocb == NULL || o->ecb == NULL || pgp_engine() == NULL ||
        crypto_scalarmult_base(o->point, o->secret) != 0 ||
        memcmp(o->point, public_key.data + public_key.len - 32, 32) != 0) {
        pgp_opener_destroy(o);
        return NULL;
    }
    return o;
}

static void unmap(struct pgp_open *p)
{
    EVP_CIPHER_CTX_free(p->ocb);
    secmem_unmap(p, sizeof(*p));
}

void pgp_opener_destroy(struct pgp_opener *o)
{
    if (o == NULL)
        return;
    EVP_CIPHER_free(o->ocb);
    EVP_CIPHER_CTX_free(o->ecb);
    EVP_CIPHER_CTX_free(o->spare_ocb);
    secmem_key_free(o->secret, QUEUE_SECRET_SIZE);
    if (o->spare != NULL)
        unmap(o->spare);
    free(o);
}

int pgp_open_begin(struct pgp_opener *o, pgp_sink *sink, void *arg, struct pgp_open **ret)
{
    struct pgp_open *p = o->spare;
    o->spare = NULL;
    if (p == NULL && (p = secmem_map(sizeof(*p))) == NULL)
        return ERR_MEMORY;
    p->ocb = o->spare_ocb;
    o->spare_ocb = NULL;
    if (p->ocb == NULL && (p->ocb = EVP_CIPHER_CTX_new()) == NULL) {
        unmap(p);
        return ERR_MEMORY;
    }
    p->opener = o;
    p->sink = sink;
    p->arg = arg;
    p->stage = IN_PKESK;
    p->want = PKESK;
    *ret = p;
    return OK;
}

void pgp_open_free(struct pgp_open *p)
{
    if (p == NULL)
        return;
    EVP_CIPHER_CTX *ocb = p->ocb;
    struct pgp_opener *o = p->opener;
    if (o->spare != NULL || !EVP_CIPHER_CTX_reset(ocb)) {
        unmap(p);
        return;
    }
    /* What is behind plain_len is wiped, but for the last block of a chunk whose tag is wrong. */
    secmem_wipe(p, offsetof(struct pgp_open, plain) + p->plain_len + BLOCK);
    o->spare_ocb = ocb;
    o->spare = p;
}

/* ---- the session key ---- */

/* RFC 9580 sections 5.1.2 and 5.1.6. */
static int take_pkesk(struct pgp_open *p)
{
    const struct pgp_opener *o = p->opener;
    static const uint8_t head[] = {0xc0 | PGP_TAG_PKESK, PKESK_BODY, 6, 33, 6};
    const uint8_t *fpr = p->fields + sizeof(head), *algo = fpr + 32, *point = algo + 1, *wrapped = point + 32 + 1;
    struct pgp_engine *e = pgp_engine();
    uint8_t shared[32], kek[16];
    if (memcmp(p->fields, head, sizeof(head)) != 0 || *algo != PGP_X25519 || point[32] != WRAPPED)
        return ERR_UNSUPPORTED;
    if (e == NULL)
        return ERR_MEMORY;
    if (memcmp(fpr, o->fpr, 32) != 0 || crypto_scalarmult(shared, o->secret, point) != 0)
        return ERR_CRYPTO;
    const struct pgp_part ikm[] = {{point, 32}, {o->point, 32}, {shared, 32}};
    int err = pgp_hkdf(e, e->sha256, (struct pgp_part){NULL, 0}, ikm, 3, (struct pgp_part){"OpenPGP X25519", 14}, kek,
                       sizeof(kek));
    if (err == OK)
        err = pgp_key_unwrap(o->ecb, kek, wrapped, 32, p->session_key);
    secmem_wipe(shared, sizeof(shared));
    secmem_wipe(kek, sizeof(kek));
    p->stage = IN_LENGTH;
    p->want = 2;
    return err;
}

/* ---- the container ---- */

/* Section 4.2.1. The first two octets say how many there are; the shortest form alone is pgp_seal's. */
static int take_length(struct pgp_open *p)
{
    const uint8_t *f = p->fields;
    uint8_t again[6];
    uint64_t body;
    if (f[0] != (0xc0 | PGP_TAG_SEIPD))
        return ERR_FORMAT;
    size_t n = f[1] < 192 ? 2 : f[1] < 224 ? 3 : f[1] == 255 ? 6 : 0;
    if (p->have < n) {
        p->want = n;
        return OK;
    }
    body = n == 2   ? f[1]
           : n == 3 ? ((uint64_t)f[1] - 192) * 256 + f[2] + 192
                    : (uint64_t)f[2] << 24 | (uint64_t)f[3] << 16 | (uint64_t)f[4] << 8 | f[5];
    if (n == 0 || pgp_packet_header(again, PGP_TAG_SEIPD, (size_t)body) != n || body <= SEIPD_HEAD + TAG)
        return ERR_FORMAT;
    uint64_t chunked = body - SEIPD_HEAD - TAG, chunks = (chunked + PGP_CHUNK + TAG - 1) / (PGP_CHUNK + TAG);
    if (chunked <= chunks * TAG || (chunked % (PGP_CHUNK + TAG) > 0 && chunked % (PGP_CHUNK + TAG) <= TAG))
        return ERR_FORMAT;
    p->literal_len = p->left = chunked - chunks * TAG;
    p->stage = IN_HEAD;
    p->want = SEIPD_HEAD;
    p->have = 0;
    return OK;
}

static void put_be64(uint8_t *to, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        to[i] = (uint8_t)(v >> (56 - 8 * i));
}

/* A chunk, or with the length behind the associated data the end. */
static int aead_begin(struct pgp_open *p, int ad_len)
{
    int n;
    put_be64(p->nonce + 7, p->index);
    return EVP_DecryptInit_ex2(p->ocb, NULL, NULL, p->nonce, NULL) && EVP_DecryptUpdate(p->ocb, NULL, &n, p->ad, ad_len)
               ? OK
               : ERR_CRYPTO;
}

static int next_chunk(struct pgp_open *p)
{
    p->have = p->plain_len = 0;
    p->stage = p->left > 0 ? IN_CHUNK : IN_LAST;
    p->want = p->left == 0 ? TAG : p->left < PGP_CHUNK ? (size_t)p->left : PGP_CHUNK;
    if (p->left > 0)
        return aead_begin(p, 5);
    put_be64(p->ad + 5, p->literal_len);
    return aead_begin(p, sizeof(p->ad));
}

/* Section 5.13.2. */
static int take_head(struct pgp_open *p)
{
    static const uint8_t head[4] = {2, PGP_AES256, PGP_AEAD_OCB, PGP_CHUNK_OCTET};
    struct pgp_engine *e = pgp_engine();
    const struct pgp_part ikm = {p->session_key, sizeof(p->session_key)};
    uint8_t okm[32 + 7];
    if (memcmp(p->fields, head, sizeof(head)) != 0)
        return ERR_UNSUPPORTED;
    if (e == NULL)
        return ERR_MEMORY;
    p->ad[0] = 0xc0 | PGP_TAG_SEIPD;
    memcpy(p->ad + 1, head, sizeof(head));
    int err = pgp_hkdf(e, e->sha256, (struct pgp_part){p->fields + 4, 32}, &ikm, 1, (struct pgp_part){p->ad, 5}, okm,
                       sizeof(okm));
    secmem_wipe(p->session_key, sizeof(p->session_key));
    memcpy(p->nonce, okm + 32, 7);
    if (err == OK && (!EVP_DecryptInit_ex2(p->ocb, p->opener->ocb, NULL, NULL, NULL) ||
                      !EVP_CIPHER_CTX_ctrl(p->ocb, EVP_CTRL_AEAD_SET_IVLEN, sizeof(p->nonce), NULL) ||
                      !EVP_DecryptInit_ex2(p->ocb, NULL, okm, p->nonce, NULL)))
        err = ERR_CRYPTO;
    secmem_wipe(okm, sizeof(okm));
    return err == OK ? next_chunk(p) : err;
}

static int tag_check(struct pgp_open *p)
{
    int n;
    if (!EVP_CIPHER_CTX_ctrl(p->ocb, EVP_CTRL_AEAD_SET_TAG, TAG, p->fields) ||
        !EVP_DecryptFinal_ex(p->ocb, p->plain + p->plain_len, &n))
        return ERR_CRYPTO;
    p->plain_len += (size_t)n;
    return OK;
}

/* The literal packet's head stands whole in the first chunk. */
static int literal_head(const struct pgp_open *p, size_t *ret_len)
{
    uint8_t head[LITERAL_HEAD_MAX] = {0};
    size_t n = 2;
    while (pgp_packet_header(head, PGP_TAG_LITERAL, (size_t)p->literal_len - n) != n && n < 6)
        n++;
    memset(head + n, 0, LITERAL_FIELDS);
    head[n] = 'b';
    if (p->literal_len < n + LITERAL_FIELDS || memcmp(p->plain, head, n + LITERAL_FIELDS) != 0)
        return ERR_FORMAT;
    *ret_len = n + LITERAL_FIELDS;
    return OK;
}

static int take_chunk(struct pgp_open *p)
{
    size_t skip = 0;
    int err = tag_check(p);
    if (err == OK && !p->literal_begun)
        err = literal_head(p, &skip);
    p->literal_begun = true;
    if (err == OK && p->plain_len > skip)
        err = p->sink(p->arg, p->plain + skip, p->plain_len - skip);
    secmem_wipe(p->plain, p->plain_len);
    p->left -= p->plain_len;
    p->index++;
    return err == OK ? next_chunk(p) : err;
}

static int take_last(struct pgp_open *p)
{
    p->stage = IN_NOTHING;
    return tag_check(p);
}

/* ---- octets ---- */

static int decrypt(struct pgp_open *p, const uint8_t *in, size_t len)
{
    int n;
    if (!EVP_DecryptUpdate(p->ocb, p->plain + p->plain_len, &n, in, (int)len))
        return ERR_CRYPTO;
    p->plain_len += (size_t)n;
    return OK;
}

static int stage_whole(struct pgp_open *p)
{
    switch (p->stage) {
    case IN_PKESK: p->have = 0; return take_pkesk(p);
    case IN_LENGTH: return take_length(p);
    case IN_HEAD: return take_head(p);
    case IN_CHUNK:
        p->stage = IN_TAG;
        p->want = TAG;
        p->have = 0;
        return OK;
    case IN_TAG: return take_chunk(p);
    case IN_LAST: return take_last(p);
    case IN_NOTHING: break;
    }
    return ERR_FORMAT;
}

int pgp_open_update(struct pgp_open *p, struct slice octets)
{
    while (p->failed == OK && octets.len > 0) {
        size_t n = p->want - p->have < octets.len ? p->want - p->have : octets.len;
        if (p->stage == IN_NOTHING)
            p->failed = ERR_FORMAT;
        else if (p->stage == IN_CHUNK)
            p->failed = decrypt(p, octets.data, n);
        else
            memcpy(p->fields + p->have, octets.data, n);
        p->have += n;
        octets = slice_of(octets.data + n, octets.len - n);
        if (p->failed == OK && p->have == p->want)
            p->failed = stage_whole(p);
    }
    return p->failed;
}

int pgp_open_end(struct pgp_open *p)
{
    if (p->failed == OK && p->stage != IN_NOTHING)
        p->failed = ERR_CRYPTO;
    return p->failed;
}
