/* Another second factor: an authenticator app, or codes on paper. What they are made of is told once. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "webmail-api/session/totp.h"
#include "webmail-api/signin/impl.h"

/* What its owner is told once the vault has it. */
struct adding {
    size_t ncodes;
    char codes[FACTOR_CODES][RECOVERY_CODE_MAX];
};

static enum api_problem problem_of(int err)
{
    switch (err) {
    case ERR_DENIED: return API_SESSION; /* it has ended meanwhile */
    case ERR_EXISTS: return API_CHANGED;
    case ERR_LIMIT: return API_FULL;
    default: return api_problem_of(err);
    }
}

static void added(struct api_wait *w, int status, const struct vault_reply *reply)
{
    const struct adding *n = w->state;
    struct json_out o;

    if (status != OK) {
        api_wait_problem(w, problem_of(status));
        return;
    }
    json_out_init(&o);
    json_out_number(&o, "id", reply->number);
    if (n->ncodes > 0) {
        json_out_list(&o, "codes");
        for (size_t i = 0; i < n->ncodes; i++)
            json_out_text(&o, NULL, slice_str(n->codes[i]));
        json_out_end(&o);
    }
    api_answer(api_wait_end(w), 200, &o, NULL);
}

static void add(struct api_wait *w, const struct api_caller *c, const struct factor *f)
{
    uint8_t packed[FACTOR_PACKED_MAX];
    struct vault_request q = {.type = VAULT_FACTOR_PUT, .account = c->account};
    size_t len;

    memcpy(q.session.hash, c->hash, sizeof(q.session.hash));
    if (factor_pack(f, packed, &len) == OK) {
        q.factor.record = slice_of(packed, len);
        api_wait_vault(w, &q, -1, added);
    } else {
        api_wait_problem(w, API_UNFIT);
    }
    secmem_wipe(packed, sizeof(packed));
}

/* ---- an authenticator app: the secret waits, sealed, for its first code ---- */

struct naming {
    uint64_t account;
    char name[ADDRESS_MAX];
};

static int look_name(void *arg, struct view *v)
{
    struct naming *n = arg;

    return view_account_name(v, n->account, n->name);
}

static void answer_secret(struct api *a, struct http_exchange *x, const struct api_exchange *e)
{
    struct naming n = {.account = e->account};
    uint8_t id[API_ID_SIZE];
    char uri[TOTP_URI_MAX];
    struct json_out o;

    if (view_run(a->p.view, look_name, &n) != OK || totp_uri(e->secret, a->p.config->domain, n.name, uri) != OK) {
        api_answer_problem(x, API_BUSY);
        return;
    }
    api_exchange_seal(a, e, id);
    json_out_init(&o);
    json_out_octets(&o, "id", slice_of(id, sizeof(id)));
    json_out_text(&o, "uri", slice_str(uri));
    api_answer(x, 200, &o, NULL);
    secmem_wipe(uri, sizeof(uri));
}

void api_totp_start(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api *a = service;
    struct api_caller c = {0};
    struct api_exchange e = {.kind = API_ADDS_TOTP, .since = (uint64_t)time(NULL)};

    if (api_caller_read(a, x, r, &c)) {
        e.account = c.account;
        e.version = c.signin.version;
        totp_secret_make(e.secret);
        answer_secret(a, x, &e);
    }
    secmem_wipe(&c, sizeof(c));
    secmem_wipe(&e, sizeof(e));
}

struct totp_finish {
    uint8_t id[API_ID_SIZE];
    char totp[API_TOTP_MAX], label[LABEL_MAX];
    bool has_label;
};

static const struct json_in_member totp_members[] = {
    {.name = "id", .kind = JSON_IN_OCTETS, JSON_IN_AT(struct totp_finish, id)},
    {.name = "totp", .kind = JSON_IN_TEXT, JSON_IN_AT(struct totp_finish, totp)},
    {.name = "label",
     .kind = JSON_IN_TEXT,
     JSON_IN_AT(struct totp_finish, label),
     .there = JSON_IN_FLAG(struct totp_finish, has_label)},
};
static const struct json_in_table totp_table = JSON_IN_TABLE(struct totp_finish, totp_members);

static void finish_totp(struct api_wait *w, const struct api_caller *c)
{
    const struct totp_finish *t = (const struct totp_finish *)w->body;
    struct factor f = {.kind = FACTOR_TOTP};
    struct api_exchange e = {0};

    if (api_exchange_open(w->api, API_ADDS_TOTP, t->id, &e) != OK || e.account != c->account ||
        e.version != c->signin.version) {
        api_wait_problem(w, API_OVER);
    } else if (totp_verify(e.secret, (uint64_t)time(NULL), 0, slice_str(t->totp), &f.totp.last) != OK) {
        api_wait_problem(w, API_UNFIT);
    } else {
        memcpy(f.totp.secret, e.secret, sizeof(f.totp.secret));
        memcpy(f.label, t->label, sizeof(t->label));
        add(w, c, &f);
    }
    secmem_wipe(&f, sizeof(f));
    secmem_wipe(&e, sizeof(e));
}

void api_totp_finish(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api_wait *w = api_wait_open(service, x, r, sizeof(struct totp_finish), &totp_table);
    struct api_caller c = {0};

    if (w && api_wait_caller(w, &c) && api_wait_state(w, sizeof(struct adding)))
        finish_totp(w, &c);
    secmem_wipe(&c, sizeof(c));
}

/* ---- codes for paper, instead of those that there are ---- */

static int look(void *arg, struct view *v)
{
    return api_factors_look(v, arg);
}

/* The number of those; 0: there are none. */
static int codes_number(struct api *a, uint64_t account, uint32_t *ret)
{
    struct api_factor_set k = {.account = account};
    int err = view_run(a->p.view, look, &k);

    for (size_t i = 0; err == OK && i < k.n; i++)
        if (k.err[i] == OK && k.v[i].kind == FACTOR_RECOVERY)
            *ret = k.v[i].number;
    secmem_wipe(&k, sizeof(k));
    return err;
}

static void add_codes(struct api_wait *w, const struct api_caller *c)
{
    struct adding *n = api_wait_state(w, sizeof(*n));
    struct factor f = {.kind = FACTOR_RECOVERY, .codes.n = FACTOR_CODES};

    if (!n)
        return;
    if (codes_number(w->api, c->account, &f.number) != OK) {
        api_wait_problem(w, API_BUSY);
        return;
    }
    for (; n->ncodes < FACTOR_CODES; n->ncodes++) {
        char *code = n->codes[n->ncodes];
        recovery_code_make(code);
        factor_code_hash(view_keys(w->api->p.view), c->account, slice_str(code), f.codes.hash[n->ncodes]);
    }
    add(w, c, &f);
}

void api_codes(void *service, struct http_exchange *x, const struct http_request *r)
{
    struct api_caller c = {0};
    struct api_wait *w;

    if (api_caller_read(service, x, r, &c) && (w = api_wait_begin(service, x, r, 0)))
        add_codes(w, &c);
    secmem_wipe(&c, sizeof(c));
}
