/* A credential made, and one used. See webauthn.h. */
#include <fido.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "webmail-api/json/json_in.h"
#include "webmail-api/session/cbor_in.h"
#include "webmail-api/session/webauthn_impl.h"

/* ---- what both have (section 5.1) ---- */

struct prf {
    bool enabled, has_enabled;
};

struct extensions {
    struct prf prf;
    bool has_prf;
};

/* Its "results" are the secret: they are not in the table. */
static const struct json_in_member prf_rows[] = {
    {"enabled", JSON_IN_BOOL, JSON_IN_AT(struct prf, enabled), JSON_IN_FLAG(struct prf, has_enabled)},
};
static const struct json_in_table prf_table = JSON_IN_TABLE(struct prf, prf_rows);
static const struct json_in_member extension_rows[] = {
    {"prf", JSON_IN_OBJECT, JSON_IN_AT(struct extensions, prf), JSON_IN_FLAG(struct extensions, has_prf),
     .table = &prf_table},
};
static const struct json_in_table extension_table = {.members = extension_rows,
                                                     .n = 1,
                                                     .size = sizeof(struct extensions),
                                                     .others = true};

enum { ID_MAX = 1023 }; /* section 5.1.3 */

struct head {
    JSON_SPAN(ID_MAX) id, raw_id;
    char type[16], attachment[32];
    bool has_attachment, has_extensions;
    struct extensions extensions;
};

#define HEAD_ROWS(s)                                                                                             \
    {"id", JSON_IN_SPAN, JSON_IN_SPAN_AT(s, head.id)}, {"rawId", JSON_IN_SPAN, JSON_IN_SPAN_AT(s, head.raw_id)}, \
        {"type", JSON_IN_TEXT, JSON_IN_AT(s, head.type)},                                                        \
        {"authenticatorAttachment", JSON_IN_TEXT, JSON_IN_AT(s, head.attachment),                                \
         JSON_IN_FLAG(s, head.has_attachment)},                                                                  \
    {                                                                                                            \
        "clientExtensionResults", JSON_IN_OBJECT, JSON_IN_AT(s, head.extensions),                                \
            JSON_IN_FLAG(s, head.has_extensions), .table = &extension_table                                      \
    }

static bool same(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

#define SLICE(span) slice_of((span).data, (span).len)

static int check_head(const struct head *h)
{
    return h->id.len > 0 && same(SLICE(h->id), SLICE(h->raw_id)) && strcmp(h->type, "public-key") == 0 ? OK
                                                                                                       : ERR_FORMAT;
}

/* ---- made (section 7.1) ---- */

struct made_response {
    JSON_SPAN(WEBAUTHN_CLIENT_DATA_MAX) client_data;
    JSON_SPAN(WEBAUTHN_OBJECT_MAX) object;
    uint32_t transports;
    bool has_transports;
};

struct made {
    struct head head;
    struct made_response response;
};

/* In the order of enum webauthn_flag. */
static const char *const transports[] = {"usb", "nfc", "ble", "smart-card", "hybrid", "internal", NULL};

static const struct json_in_member made_response_rows[] = {
    {"clientDataJSON", JSON_IN_SPAN, JSON_IN_SPAN_AT(struct made_response, client_data)},
    {"attestationObject", JSON_IN_SPAN, JSON_IN_SPAN_AT(struct made_response, object)},
    {"transports", JSON_IN_WORDS, JSON_IN_AT(struct made_response, transports),
     JSON_IN_FLAG(struct made_response, has_transports), .words = transports, .others = true},
};
/* There are authenticatorData, publicKey and publicKeyAlgorithm besides, which the object has too, and it counts. */
static const struct json_in_table made_response_table = {.members = made_response_rows,
                                                         .n = 3,
                                                         .size = sizeof(struct made_response),
                                                         .others = true};
static const struct json_in_member made_rows[] = {
    HEAD_ROWS(struct made),
    {"response", JSON_IN_OBJECT, JSON_IN_AT(struct made, response), .table = &made_response_table},
};
static const struct json_in_table made_table = JSON_IN_TABLE(struct made, made_rows);

struct attestation {
    struct cbor_in format, statement;
    struct webauthn_data data;
};

/* Section 6.5.4. */
static int read_object(struct slice in, struct attestation *ret)
{
    struct cbor_in map, data;

    if (cbor_in_read(in, &map) != OK || map.whole.len != in.len || map.value != 3 ||
        cbor_in_text_key(&map, "fmt", &ret->format) != OK || ret->format.type != CBOR_IN_TEXT ||
        cbor_in_text_key(&map, "attStmt", &ret->statement) != OK || ret->statement.type != CBOR_IN_MAP ||
        cbor_in_text_key(&map, "authData", &data) != OK || data.type != CBOR_IN_OCTETS)
        return ERR_FORMAT;
    int err = webauthn_data_read(data.body, &ret->data);
    return err == OK && ret->data.id.len == 0 ? ERR_FORMAT : err;
}

static bool is_format(const struct attestation *t, const char *name)
{
    return same(t->format.body, slice_str(name));
}

/* Sections 8.2 and 8.7. */
static int check_attestation(const struct attestation *t, const struct webauthn_asked *a, enum webauthn_alg alg,
                             const uint8_t client_hash[32])
{
    struct cbor_in found;
    int64_t n = 0;

    if (is_format(t, "none"))
        return t->statement.value == 0 ? OK : ERR_FORMAT;
    if (!is_format(t, "packed") || cbor_in_text_key(&t->statement, "x5c", &found) != ERR_NOT_FOUND)
        return OK; /* of its maker: counts for nothing here */
    if (cbor_in_text_key(&t->statement, "alg", &found) != OK || cbor_in_number(&found, &n) != OK)
        return ERR_FORMAT;
    return n == alg ? webauthn_self_verify(&t->data, a, alg, t->statement.whole, client_hash) : ERR_DENIED;
}

/* What is to be kept, of what was found to be right. */
static int keep(const struct made *m, const struct webauthn_data *d, struct webauthn_credential *ret)
{
    if (d->id.len > sizeof(ret->id) || d->key.len > sizeof(ret->key))
        return ERR_UNSUPPORTED;
    *ret = (struct webauthn_credential){
        .flags = (uint8_t)(m->response.transports | (d->flags & FLAG_BE ? WEBAUTHN_MAY_BE_BACKED_UP : 0)),
        .count = d->count,
        .id_len = d->id.len,
        .key_len = d->key.len,
    };
    memcpy(ret->id, d->id.data, d->id.len);
    memcpy(ret->key, d->key.data, d->key.len);
    return OK;
}

static int register_made(const struct made *m, const struct webauthn_asked *a, struct webauthn_credential *ret)
{
    const struct slice client_data = SLICE(m->response.client_data);
    struct attestation t;
    enum webauthn_alg alg = 0;
    uint8_t client_hash[32];
    int err = check_head(&m->head);

    if (err == OK)
        err = webauthn_client_check(client_data, "webauthn.create", a);
    if (err == OK)
        err = read_object(SLICE(m->response.object), &t);
    if (err == OK)
        err = webauthn_data_check(&t.data, a);
    if (err == OK && !same(t.data.id, SLICE(m->head.id)))
        err = ERR_DENIED;
    if (err == OK)
        err = webauthn_key_check(t.data.key, &alg);
    if (err != OK)
        return err;
    crypto_hash_sha256(client_hash, client_data.data, client_data.len);
    err = check_attestation(&t, a, alg, client_hash);
    return err == OK ? keep(m, &t.data, ret) : err;
}

int webauthn_register(struct slice json, const struct webauthn_asked *a, struct webauthn_credential *ret)
{
    struct made *m = malloc(sizeof(*m));
    int err = m ? json_in_read(json, &made_table, m, NULL) : ERR_MEMORY;

    if (err == OK)
        err = register_made(m, a, ret);
    free(m);
    return err;
}

/* ---- used (section 7.2) ---- */

struct used_response {
    JSON_SPAN(WEBAUTHN_CLIENT_DATA_MAX) client_data;
    JSON_SPAN(WEBAUTHN_CLIENT_DATA_MAX) data;
    JSON_SPAN(WEBAUTHN_SIGNATURE_MAX) signature;
    JSON_SPAN(WEBAUTHN_USER_MAX) user;
    bool has_user;
};

struct used {
    struct head head;
    struct used_response response;
};

static const struct json_in_member used_response_rows[] = {
    {"clientDataJSON", JSON_IN_SPAN, JSON_IN_SPAN_AT(struct used_response, client_data)},
    {"authenticatorData", JSON_IN_SPAN, JSON_IN_SPAN_AT(struct used_response, data)},
    {"signature", JSON_IN_SPAN, JSON_IN_SPAN_AT(struct used_response, signature)},
    {"userHandle", JSON_IN_SPAN, JSON_IN_SPAN_AT(struct used_response, user),
     JSON_IN_FLAG(struct used_response, has_user)},
};
static const struct json_in_table used_response_table = {.members = used_response_rows,
                                                         .n = 4,
                                                         .size = sizeof(struct used_response),
                                                         .others = true};
static const struct json_in_member used_rows[] = {
    HEAD_ROWS(struct used),
    {"response", JSON_IN_OBJECT, JSON_IN_AT(struct used, response), .table = &used_response_table},
};
static const struct json_in_table used_table = JSON_IN_TABLE(struct used, used_rows);

/* Section 6.1.1. */
static bool count_went_on(uint32_t before, uint32_t now)
{
    return (before == 0 && now == 0) || now > before;
}

static int verify_used(const struct used *u, const struct webauthn_asked *a, const struct webauthn_credential *c,
                       uint32_t *ret_count)
{
    const struct slice client_data = SLICE(u->response.client_data);
    struct webauthn_data d;
    uint8_t client_hash[32];
    int err = webauthn_client_check(client_data, "webauthn.get", a);

    if (err == OK)
        err = webauthn_data_read(SLICE(u->response.data), &d);
    if (err == OK && d.id.len > 0)
        err = ERR_FORMAT; /* section 6.1: of no credential here */
    if (err == OK)
        err = webauthn_data_check(&d, a);
    if (err == OK && ((c->flags & WEBAUTHN_MAY_BE_BACKED_UP) != 0) != ((d.flags & FLAG_BE) != 0))
        err = ERR_DENIED; /* it never changes (section 6.1.3) */
    if (err != OK)
        return err;
    crypto_hash_sha256(client_hash, client_data.data, client_data.len);
    err = webauthn_signature_verify(&d, a, slice_of(c->key, c->key_len), SLICE(u->response.signature), client_hash);
    if (err == OK && !count_went_on(c->count, d.count))
        err = ERR_CONFLICT;
    if (err == OK)
        *ret_count = d.count;
    return err;
}

/* The place of the one that has this id, or n. */
static size_t find(const struct webauthn_credential *have, size_t n, struct slice id)
{
    size_t i = 0;

    while (i < n && !same(slice_of(have[i].id, have[i].id_len), id))
        i++;
    return i;
}

int webauthn_verify(struct slice json, const struct webauthn_asked *a, const struct webauthn_credential *have, size_t n,
                    size_t *ret_which, uint32_t *ret_count)
{
    struct used *u = malloc(sizeof(*u));
    int err = u ? json_in_read(json, &used_table, u, NULL) : ERR_MEMORY;
    size_t which = n;

    if (err == OK)
        err = check_head(&u->head);
    if (err == OK)
        which = find(have, n, SLICE(u->head.id));
    if (err == OK && (which == n || (u->response.has_user && !same(SLICE(u->response.user), a->user))))
        err = ERR_DENIED;
    if (err == OK)
        err = verify_used(u, a, &have[which], ret_count);
    if (err == OK)
        *ret_which = which;
    free(u);
    return err;
}

/* ---- before the sandbox ---- */

/* Public keys that somebody might have: P-256's generator, the one of RFC 8032 section 7.1, test 1, and a modulus of
 * ones with 65,537. */
static const uint8_t point[] = "\xa5\1\2\3\x26\x20\1\x21\x58\x20"
                               "\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2"
                               "\x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96"
                               "\x22\x58\x20"
                               "\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16"
                               "\x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5";
static const uint8_t edwards[] = "\xa4\1\1\3\x27\x20\6\x21\x58\x20"
                                 "\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b\xfe\xd3\xc9\x64\x07\x3a"
                                 "\x0e\xe1\x72\xf3\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07\x51\x1a";
static const uint8_t rsa_head[] = "\xa4\1\3\3\x39\1\0\x20\x59\1\0", rsa_tail[] = "\x21\x43\1\0\1";

/* Verifies a signature that is none. */
static int try_key(struct slice key, size_t signature_len)
{
    static const uint8_t signature[256] = {0x30, 6, 2, 1, 1, 2, 1, 1}, hash[32] = {0};
    const struct webauthn_asked a = {.rp_id = "localhost"};
    struct webauthn_data d;
    uint8_t data[37] = {[32] = FLAG_UP};

    crypto_hash_sha256(data, (const uint8_t *)a.rp_id, strlen(a.rp_id));
    if (webauthn_data_read(slice_of(data, sizeof(data)), &d) != OK)
        return ERR_CRYPTO;
    return webauthn_signature_verify(&d, &a, key, slice_of(signature, signature_len), hash) == ERR_DENIED ? OK
                                                                                                          : ERR_CRYPTO;
}

int webauthn_prepare(void)
{
    enum { HEAD = sizeof(rsa_head) - 1, MODULUS = 256, TAIL = sizeof(rsa_tail) - 1 };
    uint8_t rsa[HEAD + MODULUS + TAIL];
    int err;

    memcpy(rsa, rsa_head, HEAD);
    memset(rsa + HEAD, 0xff, MODULUS);
    memcpy(rsa + HEAD + MODULUS, rsa_tail, TAIL);
    fido_init(0);
    json_in_prepare();
    err = try_key(slice_of(point, sizeof(point) - 1), 8);
    if (err == OK)
        err = try_key(slice_of(edwards, sizeof(edwards) - 1), 64);
    if (err == OK)
        err = try_key(slice_of(rsa, sizeof(rsa)), 256);
    return err;
}
