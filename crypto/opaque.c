/* See opaque.h. Names are RFC 9807's and RFC 9497's. */
#include "crypto/opaque.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "server/core/error.h"

enum { NPK = 32, NN = 32, NM = 64, NH = 64, ENVELOPE = NN + NM, MASKED = NPK + ENVELOPE, PARTS_MAX = 8 };

/* Where each part stands. */
enum { RECORD_PUBLIC = 0, RECORD_MASKING = NPK, RECORD_ENVELOPE = NPK + NH };
enum { KE1_BLINDED = 0, KE1_SHARE = 32 + NN };
enum { KE2_EVALUATED = 0, KE2_NONCE = 32, KE2_MASKED = 64, KE2_SERVER_NONCE = KE2_MASKED + MASKED };
enum { KE2_SHARE = KE2_SERVER_NONCE + NN, KE2_MAC = KE2_SHARE + NPK };
_Static_assert(KE2_MAC + NM == OPAQUE_KE2_SIZE && RECORD_ENVELOPE + ENVELOPE == OPAQUE_RECORD_SIZE, "RFC 9807");

/* ---- hashes of several parts ---- */

struct parts {
    struct slice v[PARTS_MAX];
    size_t n;
};

#define PARTS(...) \
    (&(const struct parts){.v = {__VA_ARGS__}, .n = sizeof((struct slice[]){__VA_ARGS__}) / sizeof(struct slice)})

static struct slice text(const char *s)
{
    return slice_str(s);
}

static struct slice octets(const void *p, size_t n)
{
    return slice_of(p, n);
}

static void hash(const struct parts *p, uint8_t out[NH])
{
    crypto_hash_sha512_state st;

    crypto_hash_sha512_init(&st);
    for (size_t i = 0; i < p->n; i++)
        crypto_hash_sha512_update(&st, p->v[i].data, p->v[i].len);
    crypto_hash_sha512_final(&st, out);
    sodium_memzero(&st, sizeof(st));
}

static void mac(struct slice key, const struct parts *p, uint8_t out[NM])
{
    crypto_auth_hmacsha512_state st;

    crypto_auth_hmacsha512_init(&st, key.data, key.len);
    for (size_t i = 0; i < p->n; i++)
        crypto_auth_hmacsha512_update(&st, p->v[i].data, p->v[i].len);
    crypto_auth_hmacsha512_final(&st, out);
    sodium_memzero(&st, sizeof(st));
}

/* HKDF's second half (RFC 5869 section 2.3), of two blocks at most. info: six parts at most. */
static void expand(const uint8_t prk[NH], const struct parts *info, uint8_t *out, size_t len)
{
    uint8_t block[NH];
    struct parts p = {.n = 0};

    for (uint8_t i = 1; len > 0; i++) {
        const size_t take = len < NH ? len : NH;
        p.n = 0;
        if (i > 1)
            p.v[p.n++] = octets(block, NH);
        for (size_t k = 0; k < info->n; k++)
            p.v[p.n++] = info->v[k];
        p.v[p.n++] = octets(&i, 1);
        mac(octets(prk, NH), &p, block);
        memcpy(out, block, take);
        out += take;
        len -= take;
    }
    sodium_memzero(block, sizeof(block));
}

/* ---- the group ---- */

#define SUITE "OPRFV1-\0-ristretto255-SHA512"

/* RFC 9380 section 5.3.1, 64 octets, as a scalar (RFC 9497 section 4.1). */
static void derive_scalar(struct slice seed, struct slice info, uint8_t counter, uint8_t out[32])
{
    static const uint8_t zeros[128] = {0};
    static const char name[] = "DeriveKeyPair" SUITE;
    const uint8_t info_len[2] = {(uint8_t)(info.len >> 8), (uint8_t)info.len};
    const uint8_t tail[4] = {counter, 0, 64, 0}, one = 1, name_len = sizeof(name) - 1;
    const struct slice dst = octets(name, name_len), dst_len = octets(&name_len, 1);
    uint8_t first[NH], uniform[NH];

    hash(PARTS(octets(zeros, 128), seed, octets(info_len, 2), info, octets(tail, 4), dst, dst_len), first);
    hash(PARTS(octets(first, NH), octets(&one, 1), dst, dst_len), uniform);
    crypto_core_ristretto255_scalar_reduce(out, uniform);
    sodium_memzero(first, sizeof(first));
    sodium_memzero(uniform, sizeof(uniform));
}

/* DeriveKeyPair (RFC 9497 section 3.2.1), the secret half. */
static void derive_key(struct slice seed, const char *info, uint8_t out[32])
{
    uint8_t counter = 0;

    do
        derive_scalar(seed, text(info), counter++, out);
    while (sodium_is_zero(out, 32) && counter);
}

static void derive_share(const uint8_t seed[32], uint8_t secret[32])
{
    derive_key(octets(seed, 32), "OPAQUE-DeriveDiffieHellmanKeyPair", secret);
}

/* ---- registration ---- */

void opaque_server_derive(const uint8_t root[32], struct opaque_server *ret)
{
    uint8_t seed[32];

    crypto_generichash(ret->oprf_seed, sizeof(ret->oprf_seed), (const uint8_t *)"OPAQUE: seed of the OPRF", 24, root,
                       32);
    crypto_generichash(seed, sizeof(seed), (const uint8_t *)"OPAQUE: the server's key", 24, root, 32);
    derive_share(seed, ret->private_key);
    (void)crypto_scalarmult_ristretto255_base(ret->public_key, ret->private_key);
    sodium_memzero(seed, sizeof(seed));
}

/* Sections 5.2.2 and 6.3.2.2: each credential has an OPRF key of its own. */
static int evaluate(const struct opaque_server *s, struct slice credential, const uint8_t blinded[32], uint8_t out[32])
{
    uint8_t seed[32], key[32];
    int err;

    expand(s->oprf_seed, PARTS(credential, text("OprfKey")), seed, sizeof(seed));
    derive_key(octets(seed, sizeof(seed)), "OPAQUE-DeriveKeyPair", key);
    /* not with what is no element, nor with the neutral one */
    err = crypto_scalarmult_ristretto255(out, key, blinded) == 0 ? OK : ERR_FORMAT;
    sodium_memzero(seed, sizeof(seed));
    sodium_memzero(key, sizeof(key));
    return err;
}

int opaque_register(const struct opaque_server *s, struct slice credential, const uint8_t request[OPAQUE_REQUEST_SIZE],
                    uint8_t ret[OPAQUE_RESPONSE_SIZE])
{
    uint8_t evaluated[32];
    int err = evaluate(s, credential, request, evaluated);

    if (err != OK)
        return err;
    memcpy(ret, evaluated, 32);
    memcpy(ret + 32, s->public_key, NPK);
    return OK;
}

static bool is_public_key(const uint8_t p[NPK])
{
    return crypto_core_ristretto255_is_valid_point(p) && !sodium_is_zero(p, NPK);
}

int opaque_record_check(const uint8_t record[OPAQUE_RECORD_SIZE])
{
    return is_public_key(record + RECORD_PUBLIC) ? OK : ERR_FORMAT;
}

void opaque_record_fake(const uint8_t random[96], uint8_t ret[OPAQUE_RECORD_SIZE])
{
    uint8_t wide[NH];

    memset(ret, 0, OPAQUE_RECORD_SIZE);
    hash(PARTS(octets(random, 32)), wide);
    crypto_core_ristretto255_from_hash(ret + RECORD_PUBLIC, wide);
    memcpy(ret + RECORD_MASKING, random + 32, NH);
    sodium_memzero(wide, sizeof(wide));
}

/* ---- signing in ---- */

static void mask(const struct opaque_server *s, const uint8_t *record, const uint8_t nonce[NN], uint8_t out[MASKED])
{
    expand(record + RECORD_MASKING, PARTS(octets(nonce, NN), text("CredentialResponsePad")), out, MASKED);
    for (size_t i = 0; i < NPK; i++)
        out[i] ^= s->public_key[i];
    for (size_t i = 0; i < ENVELOPE; i++)
        out[NPK + i] ^= record[RECORD_ENVELOPE + i];
}

static void add(crypto_hash_sha512_state *st, struct slice s)
{
    if (s.len)
        crypto_hash_sha512_update(st, s.data, s.len);
}

static void add_counted(crypto_hash_sha512_state *st, struct slice s)
{
    const uint8_t len[2] = {(uint8_t)(s.len >> 8), (uint8_t)s.len};

    add(st, octets(len, 2));
    add(st, s);
}

/* The preamble (section 6.4.2.1): of KE1, and of KE2 but for its MAC. */
static void transcript_begin(crypto_hash_sha512_state *st, const struct opaque_server *s,
                             const struct opaque_names *names, const uint8_t *record, const uint8_t *ke1,
                             const uint8_t *ke2)
{
    const struct opaque_names none = {text(""), text(""), text("")};
    const struct opaque_names *n = names ? names : &none;

    crypto_hash_sha512_init(st);
    add(st, text("OPAQUEv1-"));
    add_counted(st, n->context);
    add_counted(st, n->client.len ? n->client : octets(record + RECORD_PUBLIC, NPK));
    add(st, octets(ke1, OPAQUE_KE1_SIZE));
    add_counted(st, n->server.len ? n->server : octets(s->public_key, NPK));
    add(st, octets(ke2, KE2_MAC));
}

static void transcript_so_far(const crypto_hash_sha512_state *st, uint8_t out[NH])
{
    crypto_hash_sha512_state copy = *st;

    crypto_hash_sha512_final(&copy, out);
    sodium_memzero(&copy, sizeof(copy));
}

/* Derive-Secret (section 6.4.2.1), 64 octets. */
static void derive_secret(const uint8_t secret[NH], const char *label, struct slice transcript, uint8_t out[NH])
{
    const uint8_t head[3] = {0, NH, (uint8_t)(strlen("OPAQUE-") + strlen(label))}, len = (uint8_t)transcript.len;

    expand(secret, PARTS(octets(head, 3), text("OPAQUE-"), text(label), octets(&len, 1), transcript), out, NH);
}

/* Wiped as one. */
struct secrets {
    uint8_t share[32], ikm[3 * 32], prk[NH], handshake[NH], key[NH], said[NH];
};

/* Section 6.4.4: the three products. */
static int multiply(struct secrets *k, const struct opaque_server *s, const uint8_t *record, const uint8_t *ke1)
{
    return crypto_scalarmult_ristretto255(k->ikm, k->share, ke1 + KE1_SHARE) == 0 &&
                   crypto_scalarmult_ristretto255(k->ikm + 32, s->private_key, ke1 + KE1_SHARE) == 0 &&
                   crypto_scalarmult_ristretto255(k->ikm + 64, k->share, record + RECORD_PUBLIC) == 0
               ? OK
               : ERR_FORMAT;
}

/* Sections 6.4.2.2 and 6.4.4: keys, and both MACs. */
static void finish(struct secrets *k, crypto_hash_sha512_state *st, uint8_t server_mac[NM], struct opaque_login *ret)
{
    const struct slice said = octets(k->said, NH), nothing = text("");

    transcript_so_far(st, k->said);
    mac(nothing, PARTS(octets(k->ikm, sizeof(k->ikm))), k->prk);
    derive_secret(k->prk, "HandshakeSecret", said, k->handshake);
    derive_secret(k->prk, "SessionKey", said, ret->session_key);
    derive_secret(k->handshake, "ServerMAC", nothing, k->key);
    mac(octets(k->key, NH), PARTS(said), server_mac);
    add(st, octets(server_mac, NM));
    transcript_so_far(st, k->said);
    derive_secret(k->handshake, "ClientMAC", nothing, k->key);
    mac(octets(k->key, NH), PARTS(said), ret->client_mac);
}

int opaque_login_start(const struct opaque_server *s, const struct opaque_names *names, struct slice credential,
                       const uint8_t record[OPAQUE_RECORD_SIZE], const uint8_t ke1[OPAQUE_KE1_SIZE],
                       const uint8_t random[OPAQUE_RANDOM_SIZE], uint8_t ret_ke2[OPAQUE_KE2_SIZE],
                       struct opaque_login *ret)
{
    uint8_t ke2[OPAQUE_KE2_SIZE];
    crypto_hash_sha512_state st;
    struct opaque_login login;
    struct secrets k;
    int err = evaluate(s, credential, ke1 + KE1_BLINDED, ke2 + KE2_EVALUATED);

    memcpy(ke2 + KE2_NONCE, random, NN);
    mask(s, record, random, ke2 + KE2_MASKED);
    memcpy(ke2 + KE2_SERVER_NONCE, random + NN, NN);
    derive_share(random + 2 * NN, k.share);
    if (err == OK)
        err = crypto_scalarmult_ristretto255_base(ke2 + KE2_SHARE, k.share) == 0 ? multiply(&k, s, record, ke1)
                                                                                 : ERR_FORMAT;
    if (err == OK) {
        transcript_begin(&st, s, names, record, ke1, ke2);
        finish(&k, &st, ke2 + KE2_MAC, &login);
        memcpy(ret_ke2, ke2, sizeof(ke2));
        *ret = login;
    }
    sodium_memzero(&st, sizeof(st));
    sodium_memzero(&k, sizeof(k));
    sodium_memzero(&login, sizeof(login));
    return err;
}

int opaque_login_finish(const struct opaque_login *l, const uint8_t ke3[OPAQUE_KE3_SIZE])
{
    return sodium_memcmp(l->client_mac, ke3, OPAQUE_KE3_SIZE) == 0 ? OK : ERR_DENIED;
}
