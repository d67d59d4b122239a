/* Second factors: which an account has, and whether one that came is right. The vault has the last word: a right one is
 * good once, over all processes (VAULT_FACTOR_USED). */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "webmail-api/session/totp.h"
#include "webmail-api/signin/impl.h"

_Static_assert((int)TOTP_KEY_SIZE == (int)TOTP_SECRET_SIZE && (int)TOTP_SECONDS == (int)TOTP_STEP, "RFC 6238");

static bool totp_fits(const struct factor *f, const struct api_second *s, struct vault_factor *ret)
{
    return s->has_totp &&
           totp_verify(f->totp.secret, (uint64_t)time(NULL), f->totp.last, slice_str(s->totp), &ret->value) == OK;
}

static bool code_fits(const struct api *a, uint64_t account, const struct factor *f, const struct api_second *s,
                      struct vault_factor *ret)
{
    char code[RECOVERY_CODE_MAX];
    bool fits = false;

    if (!s->has_code || recovery_code_read(slice_str(s->code), code) != OK)
        return false;
    factor_code_hash(view_keys(a->p.view), account, slice_str(code), ret->code);
    secmem_wipe(code, sizeof(code));
    for (size_t i = 0; i < f->codes.n; i++)
        if (sodium_memcmp(f->codes.hash[i], ret->code, RECORD_HASH_SIZE) == 0)
            fits = true;
    return fits;
}

bool api_factor_fits(const struct api *a, uint64_t account, const struct factor *f, const struct api_second *s,
                     struct vault_factor *ret)
{
    *ret = (struct vault_factor){.number = f->number, .kind = f->kind};
    switch (f->kind) {
    case FACTOR_TOTP: return totp_fits(f, s, ret);
    case FACTOR_RECOVERY: return code_fits(a, account, f, s, ret);
    default: return false;
    }
}

uint8_t api_factor_how(uint8_t kind)
{
    return kind == FACTOR_TOTP ? SESSION_TOTP : SESSION_CODE;
}

/* ---- which there are ---- */

static int keep(void *arg, int err, const struct factor *f)
{
    struct api_factor_set *k = arg;

    if (k->n == FACTORS_MAX)
        return ERR_LIMIT;
    k->err[k->n] = err;
    k->v[k->n++] = *f;
    return OK;
}

int api_factors_look(struct view *v, struct api_factor_set *ret)
{
    ret->n = 0;
    return view_factors_each(v, ret->account, keep, ret);
}

static int look(void *arg, struct view *v)
{
    return api_factors_look(v, arg);
}

static void put(struct json_out *o, int err, const struct factor *f)
{
    static const char *const kinds[] = {
        [FACTOR_TOTP] = "totp", [FACTOR_PASSKEY] = "passkey", [FACTOR_RECOVERY] = "codes"};

    json_out_object(o, NULL);
    json_out_number(o, "id", f->number);
    json_out_text(o, "kind", slice_str(err == OK ? kinds[f->kind] : "damaged"));
    json_out_text(o, "label", slice_str(f->label));
    json_out_number(o, "since", (int64_t)f->since);
    if (err == OK && f->kind == FACTOR_RECOVERY)
        json_out_number(o, "left", f->codes.n);
    json_out_end(o);
}

void api_factors(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api *a = service;
    struct api_caller c = {0};
    struct api_factor_set k = {0};
    struct json_out o;

    if (!api_caller_read(a, x, r, &c))
        return;
    k.account = c.account;
    secmem_wipe(&c, sizeof(c));
    if (view_run(a->p.view, look, &k) == OK) {
        json_out_init(&o);
        json_out_list(&o, "factors");
        for (size_t i = 0; i < k.n; i++)
            put(&o, k.err[i], &k.v[i]);
        json_out_end(&o);
        api_answer(x, 200, &o, NULL);
    } else {
        api_answer_problem(x, API_BUSY);
    }
    secmem_wipe(&k, sizeof(k));
}

/* ---- their end ---- */

static void ended(struct api_wait *w, int status, const struct vault_reply *reply)
{
    if (status == OK)
        api_answer_empty(api_wait_end(w), NULL);
    else
        api_wait_problem(w, status == ERR_DENIED ? API_SESSION : api_problem_of(status));
}

void api_factor_end(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api_caller c = {0};
    struct vault_request q = {.type = VAULT_FACTOR_DEL};
    struct api_wait *w;

    if (api_caller_read(service, x, r, &c)) {
        q.account = c.account;
        memcpy(q.session.hash, c.hash, sizeof(q.session.hash));
        if (!api_read_number(r->params[0], &q.factor.number))
            api_answer_problem(x, API_MISSING);
        else if ((w = api_wait_begin(service, x, r, 0)))
            api_wait_vault(w, &q, -1, ended);
    }
    secmem_wipe(&c, sizeof(c));
}
