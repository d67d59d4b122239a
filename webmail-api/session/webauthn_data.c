/* What a browser and an authenticator say of where, for whom and how something was signed. See webauthn_impl.h. */
#include <sodium.h>
#include <string.h>

#include "server/core/error.h"
#include "webmail-api/json/json_in.h"
#include "webmail-api/session/cbor_in.h"
#include "webmail-api/session/webauthn_impl.h"

/* ---- authenticator data (section 6.1) ---- */

enum { RP_HASH = 32, MAKER = 16, FIXED = RP_HASH + 1 + 4 };

/* n octets of what is left; false: there are not so many. */
static bool take(struct slice *rest, size_t n, struct slice *ret)
{
    if (n > rest->len)
        return false;
    *ret = slice_of(rest->data, n);
    *rest = slice_of(rest->data + n, rest->len - n);
    return true;
}

static bool take_map(struct slice *rest, struct slice *ret)
{
    struct cbor_in map;

    return cbor_in_read(*rest, &map) == OK && map.type == CBOR_IN_MAP && take(rest, map.whole.len, ret);
}

/* Section 6.5.1. */
static bool take_credential(struct slice *rest, struct webauthn_data *d)
{
    struct slice len;

    if (!take(rest, MAKER, &d->maker) || !take(rest, 2, &len))
        return false;
    const size_t n = (size_t)len.data[0] << 8 | len.data[1];
    return n > 0 && take(rest, n, &d->id) && take_map(rest, &d->key);
}

int webauthn_data_read(struct slice in, struct webauthn_data *ret)
{
    struct webauthn_data d = {.whole = in};
    struct slice rest = in, fixed, extensions;

    if (!take(&rest, FIXED, &fixed))
        return ERR_FORMAT;
    d.rp_hash = fixed.data;
    d.flags = fixed.data[RP_HASH];
    for (size_t i = RP_HASH + 1; i < FIXED; i++)
        d.count = d.count << 8 | fixed.data[i];
    if ((d.flags & FLAG_AT && !take_credential(&rest, &d)) || (d.flags & FLAG_ED && !take_map(&rest, &extensions)))
        return ERR_FORMAT;
    if (rest.len > 0 || (d.flags & FLAG_BS && !(d.flags & FLAG_BE))) /* section 6.1.3 */
        return ERR_FORMAT;
    *ret = d;
    return OK;
}

int webauthn_data_check(const struct webauthn_data *d, const struct webauthn_asked *a)
{
    const uint8_t want = FLAG_UP | (a->verify ? FLAG_UV : 0);
    uint8_t hash[RP_HASH];

    crypto_hash_sha256(hash, (const uint8_t *)a->rp_id, strlen(a->rp_id));
    return memcmp(hash, d->rp_hash, sizeof(hash)) == 0 && (d->flags & want) == want ? OK : ERR_DENIED;
}

/* ---- client data (section 5.8.1) ---- */

struct client_data {
    char type[32], origin[300], top_origin[300];
    uint8_t challenge[WEBAUTHN_CHALLENGE_SIZE];
    bool cross_origin, has_cross_origin, has_top_origin;
};

static const struct json_in_member rows[] = {
    {"type", JSON_IN_TEXT, JSON_IN_AT(struct client_data, type)},
    {"challenge", JSON_IN_OCTETS, JSON_IN_AT(struct client_data, challenge)},
    {"origin", JSON_IN_TEXT, JSON_IN_AT(struct client_data, origin)},
    {"crossOrigin", JSON_IN_BOOL, JSON_IN_AT(struct client_data, cross_origin),
     JSON_IN_FLAG(struct client_data, has_cross_origin)},
    {"topOrigin", JSON_IN_TEXT, JSON_IN_AT(struct client_data, top_origin),
     JSON_IN_FLAG(struct client_data, has_top_origin)},
};
static const struct json_in_table table = {.members = rows,
                                           .n = sizeof(rows) / sizeof(*rows),
                                           .size = sizeof(struct client_data),
                                           .others = true};

/* Sections 7.1 and 7.2, steps 7 to 11: nothing of ours is shown within a page of others. */
int webauthn_client_check(struct slice json, const char *type, const struct webauthn_asked *a)
{
    struct client_data c;
    int err = json_in_read(json, &table, &c, NULL);

    if (err != OK)
        return err;
    if (strcmp(c.type, type) != 0 || sodium_memcmp(c.challenge, a->challenge, sizeof(c.challenge)) != 0 ||
        strcmp(c.origin, a->origin) != 0 || c.cross_origin || c.has_top_origin)
        return ERR_DENIED;
    return OK;
}
