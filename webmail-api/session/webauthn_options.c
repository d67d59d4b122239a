/* What a browser is asked: PublicKeyCredential.parseCreationOptionsFromJSON() and parseRequestOptionsFromJSON() take it
 * as it is. See webauthn.h. */
#include "server/core/bug.h"
#include "webmail-api/session/webauthn_impl.h"

static const char *const transports[] = {"usb", "nfc", "ble", "smart-card", "hybrid", "internal"};
static const enum webauthn_alg algs[] = {WEBAUTHN_EDDSA, WEBAUTHN_ES256, WEBAUTHN_RS256}; /* what we like best first */

static void put_descriptor(struct json_out *o, const struct webauthn_credential *c)
{
    json_out_object(o, NULL);
    json_out_text(o, "type", slice_str("public-key"));
    json_out_octets(o, "id", slice_of(c->id, c->id_len));
    json_out_list(o, "transports");
    for (unsigned i = 0; i < sizeof(transports) / sizeof(*transports); i++)
        if (c->flags >> i & 1)
            json_out_text(o, NULL, slice_str(transports[i]));
    json_out_end(o);
    json_out_end(o);
}

static void put_descriptors(struct json_out *o, const char *name, const struct webauthn_credential *have, size_t n)
{
    bug_if(n > WEBAUTHN_CREDENTIALS_MAX);
    json_out_list(o, name);
    for (size_t i = 0; i < n; i++)
        put_descriptor(o, &have[i]);
    json_out_end(o);
}

/* Section 10.1.4. */
static void put_extensions(struct json_out *o)
{
    json_out_object(o, "extensions");
    json_out_object(o, "prf");
    json_out_object(o, "eval");
    json_out_octets(o, "first", slice_str(WEBAUTHN_PRF_INPUT));
    json_out_end(o);
    json_out_end(o);
    json_out_end(o);
}

static const char *verification(const struct webauthn_asked *a)
{
    return a->verify ? "required" : "preferred";
}

static void put_people(struct json_out *o, const struct webauthn_asked *a, const char *service, const char *address)
{
    json_out_object(o, "rp");
    json_out_text(o, "id", slice_str(a->rp_id));
    json_out_text(o, "name", slice_str(service));
    json_out_end(o);
    json_out_object(o, "user");
    json_out_octets(o, "id", a->user);
    json_out_text(o, "name", slice_str(address));
    json_out_text(o, "displayName", slice_str(address));
    json_out_end(o);
}

void webauthn_put_creation(struct json_out *o, const struct webauthn_asked *a, const char *service, const char *address,
                           const struct webauthn_credential *have, size_t n)
{
    put_people(o, a, service, address);
    json_out_octets(o, "challenge", slice_of(a->challenge, sizeof(a->challenge)));
    json_out_list(o, "pubKeyCredParams");
    for (unsigned i = 0; i < sizeof(algs) / sizeof(*algs); i++) {
        json_out_object(o, NULL);
        json_out_text(o, "type", slice_str("public-key"));
        json_out_number(o, "alg", algs[i]);
        json_out_end(o);
    }
    json_out_end(o);
    json_out_number(o, "timeout", WEBAUTHN_TIMEOUT * 1000);
    put_descriptors(o, "excludeCredentials", have, n);
    json_out_object(o, "authenticatorSelection");
    json_out_text(o, "residentKey", slice_str("preferred"));
    json_out_bool(o, "requireResidentKey", false);
    json_out_text(o, "userVerification", slice_str(verification(a)));
    json_out_end(o);
    json_out_text(o, "attestation", slice_str("none"));
    put_extensions(o);
}

void webauthn_put_request(struct json_out *o, const struct webauthn_asked *a, const struct webauthn_credential *have,
                          size_t n)
{
    json_out_octets(o, "challenge", slice_of(a->challenge, sizeof(a->challenge)));
    json_out_number(o, "timeout", WEBAUTHN_TIMEOUT * 1000);
    json_out_text(o, "rpId", slice_str(a->rp_id));
    put_descriptors(o, "allowCredentials", have, n);
    json_out_text(o, "userVerification", slice_str(verification(a)));
    put_extensions(o);
}
