/* From the proof of who somebody is to a session: second factors, the word of the vault, and the token. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/core/error.h"
#include "server/core/secmem.h"
#include "webmail-api/signin/impl.h"

struct entering {
    struct api_exchange e;
    struct api_second second;
    uint8_t how;
    uint64_t until;
    uint8_t token[SESSION_TOKEN_SIZE];
    unsigned paid; /* times, which is given back in the end */
    struct api_factor_set factors;
};

static struct entering *of(struct api_wait *w)
{
    return w->state;
}

/* ---- the session ---- */

static void answer_in(struct api_wait *w)
{
    struct entering *n = of(w);
    char cookie[COOKIE_SET_MAX], account[24];
    const bool as_cookie = n->second.cookie;
    struct json_out o;

    snprintf(account, sizeof(account), "%llu", (unsigned long long)n->e.account);
    json_out_init(&o);
    if (as_cookie)
        cookie_set(n->token, w->api->p.config->session_life, cookie);
    else
        json_out_octets(&o, "token", slice_of(n->token, sizeof(n->token)));
    json_out_number(&o, "expires", (int64_t)n->until);
    json_out_text(&o, "accountId", slice_str(account));
    api_answer(api_wait_end(w), 200, &o, as_cookie ? cookie : NULL);
    secmem_wipe(cookie, sizeof(cookie));
}

static void forgive(const struct api_wait *w, const struct entering *n)
{
    uint8_t exchange[LOGIN_EXCHANGE_SIZE];

    memcpy(exchange, n->e.seed, sizeof(exchange));
    for (unsigned i = 0; i < n->paid; i++, exchange[0]++)
        login_forgive(w->api->p.login, w->r->peer, exchange);
    secmem_wipe(exchange, sizeof(exchange));
}

static void added(struct api_wait *w, int status, const struct vault_reply *reply)
{
    struct entering *n = of(w);

    if (status == ERR_CONFLICT || status == ERR_NOT_FOUND) { /* the password is another by now, or nobody has it */
        api_wait_problem(w, API_OVER);
        return;
    }
    if (status != OK) {
        api_wait_problem(w, api_problem_of(status));
        return;
    }
    forgive(w, n);
    w->api->p.counts[API_SIGNED_IN]++;
    answer_in(w);
}

static void add_session(struct api_wait *w)
{
    struct entering *n = of(w);
    struct vault_request q = {.type = VAULT_SESSION_ADD};
    struct pack p;

    pack_init(&p, n->token, sizeof(n->token));
    pack_u64(&p, n->e.account);
    pack_raw(&p, n->e.seed, sizeof(n->e.seed));
    n->until = (uint64_t)time(NULL) + w->api->p.config->session_life;
    session_hash(view_keys(w->api->p.view), n->token, &q.account, q.session.hash);
    q.session.version = n->e.version;
    q.session.how = n->how;
    q.session.until = n->until;
    q.session.label = slice_str(n->second.label);
    api_wait_vault(w, &q, -1, added);
}

/* ---- second factors ---- */

static int look(void *arg, struct view *v)
{
    struct entering *n = arg;
    char name[ADDRESS_MAX];
    int err = view_account_name(v, n->e.account, name);

    n->factors.account = n->e.account;
    if (err == OK)
        err = api_factors_look(v, &n->factors);
    for (size_t i = 0; err == OK && i < n->factors.n; i++)
        err = n->factors.err[i]; /* one that cannot be read is not done without */
    return err;
}

/* Codes on paper are for whoever has lost a factor, and none by themselves. */
static bool is_wanted(const struct api_factor_set *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->v[i].kind != FACTOR_RECOVERY)
            return true;
    return false;
}

static void used(struct api_wait *w, int status, const struct vault_reply *reply)
{
    if (status == OK)
        add_session(w);
    else if (status == ERR_DENIED || status == ERR_NOT_FOUND) /* used before, or removed since */
        api_wait_refused(w);
    else
        api_wait_problem(w, api_problem_of(status));
}

static void try_factor(struct api_wait *w)
{
    struct entering *n = of(w);
    struct vault_request q = {.type = VAULT_FACTOR_USED, .account = n->e.account};
    size_t i = 0;

    n->paid++;
    while (i < n->factors.n && !api_factor_fits(w->api, q.account, &n->factors.v[i], &n->second, &q.factor))
        i++;
    if (i < n->factors.n) {
        n->how |= api_factor_how(q.factor.kind);
        api_wait_vault(w, &q, -1, used);
    } else {
        api_wait_refused(w);
    }
}

void api_enter(struct api_wait *w, const struct api_exchange *e, uint8_t how, const struct api_second *s)
{
    struct entering *n = api_wait_state(w, sizeof(*n));
    int err;

    if (!n)
        return;
    n->e = *e;
    n->how = how;
    n->second = *s;
    n->paid = 1;
    err = view_run(w->api->p.view, look, n);
    if (err == ERR_NOT_FOUND || err == ERR_UNAPPROVED)
        api_wait_refused(w);
    else if (err != OK)
        api_wait_problem(w, API_BUSY);
    else if (!is_wanted(&n->factors))
        add_session(w);
    else if (!n->second.has_totp && !n->second.has_code)
        api_wait_problem(w, API_FACTOR);
    else
        api_wait_price(w, try_factor);
}

bool api_second_fits(struct api_wait *w, const struct api_second *s)
{
    const bool fits = csrf_fits(w->r, s->cookie ? CREDENTIALS_COOKIE : CREDENTIALS_BEARER);

    if (!fits)
        api_wait_problem(w, API_ORIGIN);
    return fits;
}

void api_enter_again(struct api_wait *w, uint32_t version)
{
    struct api_caller c = *(const struct api_caller *)w->state;
    struct entering *n = api_wait_state(w, sizeof(*n));

    if (n) {
        n->e.account = c.account;
        n->e.version = version;
        randombytes_buf(n->e.seed, sizeof(n->e.seed));
        n->how = c.session.how;
        n->second.cookie = c.by == CREDENTIALS_COOKIE;
        memcpy(n->second.label, c.session.label, sizeof(n->second.label));
        add_session(w);
    }
    secmem_wipe(&c, sizeof(c));
}
