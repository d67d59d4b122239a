/* What the owner needs to have her key: the envelopes, and what a signature about them is of. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "webmail-api/signin/impl.h"

enum { ENVELOPES_MAX = 2 + WRAPPED_PASSKEYS_MAX };

struct found {
    uint64_t account;
    uint8_t uuid[SIGNIN_UUID_SIZE];
    struct signin signin;
    size_t n;
    struct wrapped heads[ENVELOPES_MAX];
    uint8_t (*envelopes)[WRAPPED_MAX];
};

static int keep(void *arg, const struct wrapped *h)
{
    struct found *f = arg;

    if (f->n < ENVELOPES_MAX)
        f->heads[f->n++] = *h;
    return OK;
}

static int look(void *arg, struct view *v)
{
    struct found *f = arg;
    int err = view_uuid(v, f->uuid);

    f->n = 0;
    if (err == OK)
        err = view_signin(v, f->account, &f->signin);
    if (err == OK)
        err = view_wrapped_each(v, f->account, keep, f);
    for (size_t i = 0; err == OK && i < f->n; i++)
        err = view_wrapped(v, f->account, f->heads[i].kind, f->heads[i].id, &f->heads[i], f->envelopes[i]);
    return err;
}

static void put(struct json_out *o, const struct wrapped *h, const uint8_t *envelope)
{
    static const char *const kinds[] = {
        [WRAPPED_PASSWORD] = "password", [WRAPPED_PHRASE] = "phrase", [WRAPPED_PASSKEY] = "passkey"};

    json_out_object(o, NULL);
    json_out_text(o, "kind", slice_str(kinds[h->kind]));
    if (h->kind == WRAPPED_PASSKEY)
        json_out_octets(o, "id", slice_of(h->id, sizeof(h->id)));
    json_out_number(o, "since", (int64_t)h->since);
    json_out_octets(o, "envelope", slice_of(envelope, h->len));
    json_out_end(o);
}

static void put_keys(struct json_out *o, const struct signin *s)
{
    json_out_object(o, "keys");
    json_out_octets(o, "password", slice_of(s->password_key, sizeof(s->password_key)));
    if (!sodium_is_zero(s->phrase_key, sizeof(s->phrase_key)))
        json_out_octets(o, "phrase", slice_of(s->phrase_key, sizeof(s->phrase_key)));
    json_out_end(o);
}

static void answer(struct http_exchange *x, const struct found *f)
{
    struct json_out o;
    char account[24];

    snprintf(account, sizeof(account), "%llu", (unsigned long long)f->account);
    json_out_init(&o);
    json_out_text(&o, "accountId", slice_str(account));
    json_out_octets(&o, "store", slice_of(f->uuid, sizeof(f->uuid)));
    json_out_number(&o, "serial", f->signin.serial);
    json_out_number(&o, "profile", f->signin.profile);
    put_keys(&o, &f->signin);
    json_out_list(&o, "wrapped");
    for (size_t i = 0; i < f->n; i++)
        put(&o, &f->heads[i], f->envelopes[i]);
    json_out_end(&o);
    api_answer(x, 200, &o, NULL);
}

void api_wrapped(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api *a = service;
    struct api_caller c = {0};
    struct found f = {0};

    const bool known = api_caller_read(a, x, r, &c);
    f.account = c.account;
    secmem_wipe(&c, sizeof(c));
    if (!known)
        return;
    f.envelopes = malloc(ENVELOPES_MAX * sizeof(*f.envelopes));
    if (f.envelopes && view_run(a->p.view, look, &f) == OK)
        answer(x, &f);
    else
        api_answer_problem(x, API_BUSY);
    free(f.envelopes);
    secmem_wipe(&f, sizeof(f));
}
