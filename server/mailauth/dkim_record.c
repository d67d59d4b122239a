/* See dkim_record.h. */
#include "server/mailauth/dkim_record.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "server/mail/encoding.h"
#include "server/mailauth/tags.h"

enum { BITS_MIN = 1024, BITS_MAX = 4096, /* RFC 8301 section 3.2 */ EXPONENT_MAX = 8 /* octets: what it costs us */ };
enum { RECORDS_KEPT = 64 };

/* ---- an RSA key in DER ---- */

enum { DER_INTEGER = 2, DER_BITS = 3, DER_SEQUENCE = 0x30 };

/* The contents of the next element, cut off s. Lengths as DER writes them. */
static bool der_take(struct slice *s, uint8_t tag, struct slice *ret)
{
    size_t n, head = 2;

    if (s->len < 2 || s->data[0] != tag)
        return false;
    n = s->data[1];
    if (n > 0x82 || n == 0x80)
        return false;
    if (n > 0x80) {
        size_t octets = n & 0x7f;
        head += octets;
        if (s->len < head)
            return false;
        n = octets == 1 ? s->data[2] : (size_t)(s->data[2] << 8 | s->data[3]);
        if (n < (octets == 1 ? 0x80U : 0x100U))
            return false;
    }
    if (n > s->len - head)
        return false;
    *ret = slice_of(s->data + head, n);
    *s = slice_of(s->data + head + n, s->len - head - n);
    return true;
}

/* A positive number without its leading zero. */
static bool der_number(struct slice *s, struct slice *ret)
{
    struct slice n;

    if (!der_take(s, DER_INTEGER, &n) || n.len == 0 || n.data[0] & 0x80)
        return false;
    if (n.len > 1 && n.data[0] == 0) {
        n = slice_of(n.data + 1, n.len - 1);
        if (!(n.data[0] & 0x80))
            return false;
    }
    *ret = n;
    return true;
}

/* SubjectPublicKeyInfo, as everybody publishes it, or RSAPublicKey, as section 3.6.1 says (erratum 3017). */
static bool der_rsa(struct slice der, struct slice *ret_n, struct slice *ret_e)
{
    static const uint8_t rsa[] = {6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0};
    struct slice whole, kind, bits;

    if (!der_take(&der, DER_SEQUENCE, &whole) || der.len)
        return false;
    if (whole.len && whole.data[0] == DER_SEQUENCE) {
        if (!der_take(&whole, DER_SEQUENCE, &kind) || kind.len != sizeof(rsa) ||
            memcmp(kind.data, rsa, sizeof(rsa)) != 0 || !der_take(&whole, DER_BITS, &bits) || whole.len ||
            bits.len == 0 || bits.data[0] != 0)
            return false;
        der = slice_of(bits.data + 1, bits.len - 1);
        if (!der_take(&der, DER_SEQUENCE, &whole) || der.len)
            return false;
    }
    return der_number(&whole, ret_n) && der_number(&whole, ret_e) && !whole.len;
}

static unsigned bits_of(struct slice n)
{
    unsigned bits = (unsigned)n.len * 8;

    for (uint8_t top = n.data[0]; bits && !(top & 0x80); top = (uint8_t)(top << 1))
        bits--;
    return bits;
}

/* As OpenSSL's parameters have it: the machine's order of octets, which is little-endian wherever this runs. */
static OSSL_PARAM number_param(const char *name, struct slice n, uint8_t *room)
{
    for (size_t i = 0; i < n.len; i++)
        room[i] = n.data[n.len - 1 - i];
    return OSSL_PARAM_construct_BN(name, room, n.len);
}

/* OpenSSL's own reader of such keys takes four times as long as verifying with them. */
static EVP_PKEY *rsa_make(struct slice n, struct slice e)
{
    uint8_t rooms[2][BITS_MAX / 8];
    OSSL_PARAM params[] = {number_param(OSSL_PKEY_PARAM_RSA_N, n, rooms[0]),
                           number_param(OSSL_PKEY_PARAM_RSA_E, e, rooms[1]), OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *pkey = NULL;

    if (ctx && EVP_PKEY_fromdata_init(ctx) > 0)
        (void)EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params);
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

/* Ready for any number of signatures. NULL: it is no key, or no memory. */
static EVP_PKEY_CTX *rsa_verifier(struct slice n, struct slice e)
{
    EVP_PKEY *key = rsa_make(n, e);
    EVP_PKEY_CTX *ctx = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    const bool ok = ctx && EVP_PKEY_verify_init(ctx) == 1 &&
                    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
                    EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1;

    EVP_PKEY_free(key); /* the context has its own reference */
    if (ok)
        return ctx;
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

/* An even modulus or exponent is no key; under exponent 1 everybody can sign. */
static enum dkim_reason take_rsa(struct slice der, struct dkim_record *r)
{
    struct slice n, e;

    if (!der_rsa(der, &n, &e) || !(n.data[n.len - 1] & 1) || !(e.data[e.len - 1] & 1) ||
        (e.len == 1 && e.data[0] == 1) || e.len > EXPONENT_MAX)
        return DKIM_KEY_SYNTAX;
    r->bits = bits_of(n);
    if (r->bits < BITS_MIN)
        return DKIM_KEY_WEAK;
    if (r->bits > BITS_MAX)
        return DKIM_KEY_LARGE;
    r->rsa = rsa_verifier(n, e);
    return r->rsa ? DKIM_VERIFIED : DKIM_KEY_SYNTAX;
}

static enum dkim_reason take_ed25519(struct slice octets, struct dkim_record *r)
{
    if (octets.len != DKIM_ED25519_OCTETS)
        return DKIM_KEY_SYNTAX;
    memcpy(r->ed25519, octets.data, DKIM_ED25519_OCTETS);
    return DKIM_VERIFIED;
}

/* ---- a record ---- */

static const struct kind {
    const char *word;
    enum dkim_algorithm algorithm;
    enum dkim_reason (*take)(struct slice octets, struct dkim_record *r);
} kinds[] = {{"rsa", DKIM_RSA_SHA256, take_rsa}, {"ed25519", DKIM_ED25519_SHA256, take_ed25519}};

static bool allows(const struct tags *t, const char *name, const char *word, const char *any)
{
    const struct tag *list = tags_find(t, name);

    return !list || tags_has_word(list->value, word) || (any && tags_has_word(list->value, any));
}

static enum dkim_reason take_key(const struct tags *t, const struct kind *kind, struct dkim_record *r)
{
    const struct tag *p = tags_find(t, "p"), *k = tags_find(t, "k"), *flags = tags_find(t, "t");
    uint8_t octets[DKIM_RECORD_MAX];
    size_t n;

    if (!p)
        return DKIM_KEY_SYNTAX;
    if (p->value.len == 0)
        return DKIM_KEY_REVOKED;
    if (!(k ? tags_is(k->value, kind->word) : kind->algorithm == DKIM_RSA_SHA256) || !allows(t, "h", "sha256", NULL) ||
        !allows(t, "s", "email", "*"))
        return DKIM_KEY_OTHER;
    if (encoding_decode_base64(p->value, octets, &n) != OK)
        return DKIM_KEY_SYNTAX;
    r->testing = flags && tags_has_word(flags->value, "y");
    r->strict = flags && tags_has_word(flags->value, "s");
    return kind->take(slice_of(octets, n), r);
}

/* Other kinds of records stand at such a name where a domain answers for every name below it: section 3.6.1, v= is
 * first and DKIM1, where it is there. */
static bool is_other(struct slice txt)
{
    struct tags t;

    if (txt.len <= DKIM_RECORD_MAX && tags_read(txt, &t) == OK && t.n > 0 && !tags_find(&t, "v"))
        return false;
    return !tags_begin(txt, "DKIM1");
}

/* ---- records that were read last ---- */

/* Reading one, with OpenSSL's key made of it, takes longer than verifying with it. They are public, and known by the
 * hash of their text: whoever publishes records can push others out and no more. */
static struct kept {
    bool good;
    uint8_t text[32];
    struct dkim_record record;
} kept[RECORDS_KEPT];

static enum dkim_reason read_record(struct slice text, enum dkim_algorithm a, const struct dkim_record **ret)
{
    const struct kind *kind = &kinds[a == DKIM_ED25519_SHA256];
    uint8_t id[sizeof(kept->text)];
    enum dkim_reason reason = DKIM_VERIFIED;
    struct tags tags;
    struct kept *k;

    crypto_generichash(id, sizeof(id), text.data, text.len, NULL, 0);
    k = &kept[(id[0] + a) % RECORDS_KEPT];
    if (!k->good || k->record.algorithm != a || memcmp(k->text, id, sizeof(id)) != 0) {
        EVP_PKEY_CTX_free(k->record.rsa);
        k->record = (struct dkim_record){.algorithm = a};
        reason = !is_other(text) && tags_read(text, &tags) == OK ? take_key(&tags, kind, &k->record) : DKIM_KEY_SYNTAX;
        k->good = reason == DKIM_VERIFIED;
        memcpy(k->text, id, sizeof(id));
    }
    *ret = &k->record;
    return reason;
}

/* ---- the one at a name ---- */

static bool same(const struct slice *a, const struct slice *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

enum dkim_reason dkim_record_find(const struct records_value *v, size_t n, enum dkim_algorithm a,
                                  const struct dkim_record **ret)
{
    const struct slice *found = NULL;

    for (size_t i = 0; i < n; i++) {
        if (n > 1 && is_other(v[i].data))
            continue;
        if (found && !same(found, &v[i].data))
            return DKIM_KEY_SEVERAL;
        found = &v[i].data;
    }
    if (!found)
        return n ? DKIM_KEY_SYNTAX : DKIM_KEY_NONE;
    return found->len <= DKIM_RECORD_MAX ? read_record(*found, a, ret) : DKIM_KEY_SYNTAX;
}

/* RFC 8463 section 3: of Ed25519, the hash is what is signed. */
enum dkim_reason dkim_record_verify(const struct dkim_record *r, const uint8_t digest[DKIM_HASH], struct slice b)
{
    bool ok = r->algorithm == DKIM_RSA_SHA256
                  ? EVP_PKEY_verify(r->rsa, b.data, b.len, digest, DKIM_HASH) == 1
                  : b.len == crypto_sign_BYTES &&
                        crypto_sign_ed25519_verify_detached(b.data, digest, DKIM_HASH, r->ed25519) == 0;

    return ok ? DKIM_VERIFIED : DKIM_SIGNATURE_WRONG;
}
