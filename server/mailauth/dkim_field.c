/* A row for each tag: which fields have it, and how it is read. See dkim_field.h. */
#include "server/mailauth/dkim_field.h"

#include <string.h>

#include "server/core/error.h"
#include "server/mail/encoding.h"
#include "server/mail/token.h"
#include "server/mailauth/tags.h"

enum { TIME_DIGITS = 12, LENGTH_DIGITS = 76, ENCODED_MAX = 4096 };
enum {
    SIGNATURE = DKIM_KIND_SIGNATURE,
    MESSAGE = DKIM_KIND_MESSAGE,
    SEAL = DKIM_KIND_SEAL,
    BOTH = SIGNATURE | MESSAGE,
    ALL = BOTH | SEAL
};

typedef enum dkim_reason read_fn(struct slice value, struct dkim_field *f);

/* ---- numbers ---- */

static bool is_digits(struct slice s, size_t max)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
    return s.len > 0 && s.len <= max;
}

/* Up to the largest that there is. */
static uint64_t number(struct slice digits)
{
    uint64_t n = 0;

    for (size_t i = 0; i < digits.len; i++) {
        unsigned d = (unsigned)digits.data[i] - '0';
        if (n > (UINT64_MAX - d) / 10)
            return UINT64_MAX;
        n = n * 10 + d;
    }
    return n;
}

static enum dkim_reason read_time(struct slice value, uint64_t *ret)
{
    if (!is_digits(value, TIME_DIGITS))
        return DKIM_SYNTAX;
    *ret = number(value);
    return DKIM_VERIFIED;
}

static enum dkim_reason read_signed_at(struct slice value, struct dkim_field *f)
{
    return read_time(value, &f->signed_at);
}

/* Section 3.5: x= is greater than t=. */
static enum dkim_reason read_expires(struct slice value, struct dkim_field *f)
{
    enum dkim_reason r = read_time(value, &f->expires);

    return r == DKIM_VERIFIED && f->expires <= f->signed_at ? DKIM_SYNTAX : r;
}

static enum dkim_reason read_length(struct slice value, struct dkim_field *f)
{
    if (!is_digits(value, LENGTH_DIGITS))
        return DKIM_SYNTAX;
    f->length = number(value);
    if (f->length == UINT64_MAX) /* that means all of the body */
        f->length--;
    f->partial = true;
    return DKIM_VERIFIED;
}

/* RFC 8617 section 4.2.1. */
static enum dkim_reason read_instance(struct slice value, struct dkim_field *f)
{
    uint64_t n = is_digits(value, 2) ? number(value) : 0;

    if (n < 1 || n > ARC_INSTANCE_MAX || value.data[0] == '0')
        return DKIM_SYNTAX;
    f->instance = (unsigned)n;
    return DKIM_VERIFIED;
}

/* ---- words ---- */

static enum dkim_reason read_version(struct slice value, struct dkim_field *f)
{
    (void)f;
    return tags_is(value, "1") ? DKIM_VERIFIED : DKIM_UNSUPPORTED;
}

/* RFC 8301 section 3.1: rsa-sha1 is historic. */
static enum dkim_reason read_algorithm(struct slice value, struct dkim_field *f)
{
    if (tags_is(value, "rsa-sha256"))
        f->algorithm = DKIM_RSA_SHA256;
    else if (tags_is(value, "ed25519-sha256"))
        f->algorithm = DKIM_ED25519_SHA256;
    else
        return value.len ? DKIM_UNSUPPORTED : DKIM_SYNTAX;
    return DKIM_VERIFIED;
}

static bool read_form(struct slice word, enum canon *ret)
{
    *ret = tags_is(word, "relaxed") ? CANON_RELAXED : CANON_SIMPLE;
    return *ret == CANON_RELAXED || tags_is(word, "simple");
}

static enum dkim_reason read_forms(struct slice value, struct dkim_field *f)
{
    const uint8_t *slash = memchr(value.data, '/', value.len);
    const size_t n = slash ? (size_t)(slash - value.data) : value.len;
    bool ok = read_form(slice_of(value.data, n), &f->header);

    if (slash)
        ok &= read_form(slice_of(slash + 1, value.len - n - 1), &f->body);
    return ok ? DKIM_VERIFIED : DKIM_SYNTAX;
}

static enum dkim_reason read_query(struct slice value, struct dkim_field *f)
{
    (void)f;
    return tags_has_word(value, "dns/txt") ? DKIM_VERIFIED : DKIM_UNSUPPORTED;
}

static enum dkim_reason read_chain(struct slice value, struct dkim_field *f)
{
    static const char *const words[] = {
        [ARC_CHAIN_NONE] = "none", [ARC_CHAIN_PASS] = "pass", [ARC_CHAIN_FAIL] = "fail"};

    for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (tags_is(value, words[i])) {
            f->chain = (enum arc_chain)i;
            return DKIM_VERIFIED;
        }
    return DKIM_SYNTAX;
}

/* ---- names ---- */

static enum dkim_reason read_domain(struct slice value, struct dkim_field *f)
{
    return address_domain_normalize((const char *)value.data, value.len, f->domain) == OK ? DKIM_VERIFIED : DKIM_SYNTAX;
}

/* Labels as domains have them, but for "_", which some have beside ASCII. RFC 8616 section 5: U-labels are asked for as
 * A-labels. */
static enum dkim_reason read_selector(struct slice value, struct dkim_field *f)
{
    char plain[DOMAIN_CAP] = "";
    bool ascii = true, low = false;

    if (value.len >= sizeof(plain))
        return DKIM_SYNTAX;
    for (size_t i = 0; i < value.len; i++) {
        ascii &= value.data[i] < 0x80;
        low |= value.data[i] == '_';
        plain[i] = (char)(value.data[i] == '_' ? 'a' : value.data[i]);
    }
    if ((low && !ascii) || address_domain_normalize(plain, value.len, f->selector) != OK)
        return DKIM_SYNTAX;
    for (size_t i = 0; i < value.len && low; i++)
        if (value.data[i] == '_')
            f->selector[i] = '_';
    return DKIM_VERIFIED;
}

/* Its local part is the signer's own affair (section 2.6); it may be encoded, and an "@" in it is then none. */
static enum dkim_reason read_identity(struct slice value, struct dkim_field *f)
{
    const uint8_t *at = memrchr(value.data, '@', value.len);
    size_t own = strlen(f->domain), n;

    if (!at ||
        address_domain_normalize((const char *)at + 1, (size_t)(value.data + value.len - at - 1), f->identity) != OK)
        return DKIM_SYNTAX;
    n = strlen(f->identity);
    if (n < own || strcmp(f->identity + n - own, f->domain) != 0 || (n > own && f->identity[n - own - 1] != '.'))
        return DKIM_IDENTITY;
    return DKIM_VERIFIED;
}

/* ---- h= ---- */

static bool is_field_name(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] <= ' ' || s.data[i] >= 0x7f || s.data[i] == ':')
            return false;
    return s.len > 0;
}

int dkim_field_name(struct slice *names, struct slice *ret)
{
    const uint8_t *colon;
    struct slice name;

    if (!names->data)
        return ERR_NOT_FOUND;
    colon = memchr(names->data, ':', names->len);
    name = token_trim(slice_of(names->data, colon ? (size_t)(colon - names->data) : names->len));
    if (colon)
        *names = slice_of(colon + 1, names->len - (size_t)(colon + 1 - names->data));
    else
        *names = (struct slice){NULL, 0};
    if (!is_field_name(name))
        return ERR_FORMAT;
    *ret = name;
    return OK;
}

/* Section 5.4: From is covered. RFC 8617 section 4.1.2: of a message signature, no seal is. */
static enum dkim_reason read_names(struct slice value, struct dkim_field *f)
{
    struct slice rest = value, name;
    bool from = false;
    int err;

    while ((err = dkim_field_name(&rest, &name)) == OK) {
        from |= tags_is(name, "From");
        if (f->kind == DKIM_KIND_MESSAGE && tags_is(name, "ARC-Seal"))
            return DKIM_SYNTAX;
    }
    if (err == ERR_FORMAT)
        return DKIM_SYNTAX;
    f->names = value;
    return from ? DKIM_VERIFIED : DKIM_FROM_UNSIGNED;
}

/* RFC 8617 section 4.1.3: a seal with h= fails. */
static enum dkim_reason refuse(struct slice value, struct dkim_field *f)
{
    (void)value;
    (void)f;
    return DKIM_SYNTAX;
}

/* ---- base64 ---- */

static enum dkim_reason read_octets(struct slice value, uint8_t *out, size_t cap, size_t *ret_len)
{
    uint8_t octets[ENCODED_MAX];
    size_t n;

    if (value.len > sizeof(octets) || encoding_decode_base64(value, octets, &n) != OK || n == 0 || n > cap)
        return DKIM_SYNTAX;
    memcpy(out, octets, n);
    *ret_len = n;
    return DKIM_VERIFIED;
}

static enum dkim_reason read_signature(struct slice value, struct dkim_field *f)
{
    return read_octets(value, f->b, sizeof(f->b), &f->b_len);
}

static enum dkim_reason read_body_hash(struct slice value, struct dkim_field *f)
{
    size_t n = 0;
    enum dkim_reason r = read_octets(value, f->body_hash, sizeof(f->body_hash), &n);

    return r == DKIM_VERIFIED && n != DKIM_HASH ? DKIM_SYNTAX : r;
}

/* ---- all of them ---- */

/* Who it is from comes first, so that a verdict can say it; t= before x=, d= before i=. */
static const struct row {
    const char *tag;
    int required, allowed; /* in which fields; elsewhere it is not known, and passed over */
    read_fn *read;
} rows[] = {
    {"d", ALL, ALL, read_domain},
    {"s", ALL, ALL, read_selector},
    {"i", 0, SIGNATURE, read_identity},
    {"i", MESSAGE | SEAL, MESSAGE | SEAL, read_instance},
    {"v", SIGNATURE, SIGNATURE, read_version},
    {"a", ALL, ALL, read_algorithm},
    {"b", ALL, ALL, read_signature},
    {"bh", BOTH, BOTH, read_body_hash},
    {"c", 0, BOTH, read_forms},
    {"h", BOTH, BOTH, read_names},
    {"h", 0, SEAL, refuse},
    {"l", 0, BOTH, read_length},
    {"q", 0, BOTH, read_query},
    {"t", 0, ALL, read_signed_at},
    {"x", 0, BOTH, read_expires},
    {"cv", SEAL, SEAL, read_chain},
};

enum dkim_reason dkim_field_read(enum dkim_kind kind, struct slice value, struct dkim_field *ret)
{
    enum dkim_reason first = DKIM_VERIFIED;
    struct tags tags;

    *ret = (struct dkim_field){.kind = kind, .length = UINT64_MAX};
    if (kind == DKIM_KIND_SEAL)
        ret->header = CANON_RELAXED; /* RFC 8617 section 5.1.1 */
    if (tags_read(value, &tags) != OK)
        return DKIM_SYNTAX;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct row *row = &rows[i];
        const struct tag *t = row->allowed & (int)kind ? tags_find(&tags, row->tag) : NULL;
        enum dkim_reason r = DKIM_VERIFIED;

        if (t)
            r = row->read(t->value, ret);
        else if (row->required & (int)kind)
            r = DKIM_SYNTAX;
        if (first == DKIM_VERIFIED)
            first = r;
        if (t && row->read == read_signature)
            ret->cut = t->whole;
    }
    if (first != DKIM_VERIFIED)
        return first;
    if (!*ret->identity)
        memcpy(ret->identity, ret->domain, sizeof(ret->identity));
    return DKIM_VERIFIED;
}

unsigned arc_field_instance(struct slice value)
{
    struct dkim_field f = {.instance = 0};
    const struct tag *i;
    struct tags t;

    if (tags_read(value, &t) != OK || !(i = tags_find(&t, "i")) || read_instance(i->value, &f) != DKIM_VERIFIED)
        return 0;
    return f.instance;
}

unsigned arc_results_instance(struct slice value)
{
    const uint8_t *end = value.len ? memchr(value.data, ';', value.len) : NULL;
    struct dkim_field f = {.instance = 0};
    struct tags t;

    if (!end || tags_read(slice_of(value.data, (size_t)(end - value.data)), &t) != OK || t.n != 1 ||
        !tags_is(t.v[0].name, "i") || read_instance(t.v[0].value, &f) != DKIM_VERIFIED)
        return 0;
    return f.instance;
}
