/* What a browser gives back of a passkey: a kind, then client data and an attestation object, or client data,
 * authenticator data and a signature, each behind two octets of its length. The credential and the challenges are those
 * of the standard's vectors, so that seeds are taken; nothing else is signed by it. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/base64url.h"
#include "server/core/error.h"
#include "webmail-api/session/cbor_in.h"
#include "webmail-api/session/webauthn.h"

#include "../unit/session/webauthn_vectors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PIECE_MAX = 8192, CREDENTIALS = 4 };

static struct webauthn_credential have[CREDENTIALS];

static void must(bool holds)
{
    if (!holds)
        abort();
}

struct text {
    char s[BASE64URL_LEN(PIECE_MAX) + 1];
};

static void coded(struct slice in, struct text *ret)
{
    base64url_write(in, ret->s);
}

static size_t unhex(const char *hex, uint8_t *out, size_t cap)
{
    size_t len = 0;

    must(sodium_hex2bin(out, cap, hex, strlen(hex), NULL, &len, NULL) == 0);
    return len;
}

static struct webauthn_asked asked(const char *challenge)
{
    struct webauthn_asked a = {.rp_id = "example.org", .origin = "https://example.org"};

    must(unhex(challenge, a.challenge, sizeof(a.challenge)) == sizeof(a.challenge));
    return a;
}

/* At the end of the object, behind 37 octets and 16 */
static struct slice id_of(struct slice object)
{
    struct cbor_in map, data;

    if (cbor_in_read(object, &map) != OK || cbor_in_text_key(&map, "authData", &data) != OK || data.body.len < 55)
        return slice_of("x", 1);
    const size_t n = (size_t)data.body.data[53] << 8 | data.body.data[54];
    return slice_of(data.body.data + 55, n < data.body.len - 55 ? n : data.body.len - 55);
}

static int make(const struct webauthn_asked *a, struct slice client, struct slice object,
                struct webauthn_credential *ret)
{
    static char json[4 * sizeof(struct text)];
    static struct text c, o, id;

    coded(client, &c);
    coded(object, &o);
    coded(id_of(object), &id);
    snprintf(json, sizeof(json),
             "{\"id\":\"%s\",\"rawId\":\"%s\",\"type\":\"public-key\",\"response\":"
             "{\"clientDataJSON\":\"%s\",\"attestationObject\":\"%s\"}}",
             id.s, id.s, c.s, o.s);
    return webauthn_register(slice_str(json), a, ret);
}

static int use(const struct webauthn_asked *a, size_t which, struct slice client, struct slice data, struct slice sig)
{
    static char json[5 * sizeof(struct text)];
    static struct text c, d, s, id;
    uint32_t n;

    coded(client, &c);
    coded(data, &d);
    coded(sig, &s);
    coded(slice_of(have[which].id, have[which].id_len), &id);
    snprintf(json, sizeof(json),
             "{\"id\":\"%s\",\"rawId\":\"%s\",\"type\":\"public-key\",\"response\":"
             "{\"clientDataJSON\":\"%s\",\"authenticatorData\":\"%s\",\"signature\":\"%s\"}}",
             id.s, id.s, c.s, d.s, s.s);
    return webauthn_verify(slice_str(json), a, have, CREDENTIALS, &which, &n);
}

static bool is(struct slice s, const char *hex)
{
    uint8_t octets[PIECE_MAX];

    return unhex(hex, octets, sizeof(octets)) == s.len && memcmp(octets, s.data, s.len) == 0;
}

static struct slice take(const uint8_t **data, size_t *size)
{
    const size_t said = *size < 2 ? 0 : (size_t)(*data)[0] << 8 | (*data)[1], room = *size < 2 ? 0 : *size - 2;
    const size_t n = said < room ? said : room;
    const struct slice s = slice_of(*data + (*size < 2 ? 0 : 2), n < PIECE_MAX ? n : PIECE_MAX);

    *data = s.data + s.len;
    *size = room - s.len;
    return s;
}

static void prepare(void)
{
    uint8_t client[PIECE_MAX], object[PIECE_MAX];

    must(sodium_init() >= 0 && webauthn_prepare() == OK);
    for (size_t i = 0; i < CREDENTIALS; i++) {
        const struct webauthn_asked a = asked(webauthn_vectors[i].made_challenge);
        const size_t n = unhex(webauthn_vectors[i].made_client, client, sizeof(client));
        must(make(&a, slice_of(client, n), slice_of(object, unhex(webauthn_vectors[i].object, object, sizeof(object))),
                  &have[i]) == OK);
    }
}

static void try_made(const struct webauthn_vector *v, struct slice client, struct slice object)
{
    const struct webauthn_asked a = asked(v->made_challenge);
    struct webauthn_credential c;

    if (make(&a, client, object, &c) != OK)
        return;
    must(c.id_len > 0 && c.id_len <= WEBAUTHN_ID_MAX);
    must(c.key_len > 32 && c.key_len <= WEBAUTHN_KEY_MAX && !(c.flags & 128));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cbor_in c;

    if (have[0].id_len == 0)
        prepare();
    if (size < 1)
        return 0;
    const size_t which = data[0] % CREDENTIALS;
    const bool made = data[0] & 0x80;
    const struct webauthn_vector *v = &webauthn_vectors[which];
    data++;
    size--;
    if (cbor_in_read(slice_of(data, size), &c) == OK)
        must(c.whole.len <= size && c.body.len < c.whole.len);
    const struct slice client = take(&data, &size), second = take(&data, &size), third = take(&data, &size);
    if (made) {
        try_made(v, client, second);
    } else {
        const struct webauthn_asked a = asked(v->used_challenge);
        if (use(&a, which, client, second, third) == OK)
            must(is(client, v->used_client) && is(second, v->data));
    }
    return 0;
}
