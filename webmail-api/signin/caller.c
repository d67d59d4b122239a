/* Whose session a request is of. An app password is none: what this folder does is not for programs that have one. */
#include <string.h>
#include <time.h>

#include "server/core/base64url.h"
#include "server/core/error.h"
#include "server/core/secmem.h"
#include "webmail-api/signin/impl.h"

static bool read_token(const struct credentials *c, uint8_t ret[SESSION_TOKEN_SIZE])
{
    _Static_assert((int)COOKIE_TOKEN_SIZE == (int)SESSION_TOKEN_SIZE, "a cookie has a session's token");
    switch (c->kind) {
    case CREDENTIALS_COOKIE: memcpy(ret, c->token, SESSION_TOKEN_SIZE); return true;
    case CREDENTIALS_BEARER: return base64url_read(slice_str(c->bearer), ret, SESSION_TOKEN_SIZE) == SESSION_TOKEN_SIZE;
    default: return false;
    }
}

struct look {
    struct api_caller *c;
    uint64_t now, idle;
};

static int look(void *arg, struct view *v)
{
    struct look *l = arg;
    struct api_caller *c = l->c;
    int err = view_session(v, c->token, l->now, &c->account, c->hash, &c->session);

    if (err == OK)
        err = view_signin(v, c->account, &c->signin);
    if (err != OK)
        return err;
    const struct session *s = &c->session;
    const uint64_t quiet = l->now > s->used ? l->now - s->used : 0;
    return quiet <= l->idle ? OK : ERR_NOT_FOUND;
}

static void noted(void *arg, int status, struct unpack *body)
{
}

/* It is told now and then, not each time, and nobody waits for it. */
static void note_use(struct api *a, const struct api_caller *c, uint64_t now)
{
    struct vault_request q = {.type = VAULT_SESSION_USED, .account = c->account};

    memcpy(q.session.hash, c->hash, sizeof(q.session.hash));
    if (now < c->session.used + SESSION_USED_EVERY)
        return;
    (void)vault_client_request(a->p.vault, &q, -1, noted, NULL, NULL);
}

static bool find(struct api *a, const struct http_request *r, struct api_caller *c)
{
    struct look l = {c, (uint64_t)time(NULL), a->p.config->session_idle};
    struct credentials said = {0};
    bool known = false;

    if (credentials_read(r, &said) == OK && read_token(&said, c->token))
        known = view_run(a->p.view, look, &l) == OK;
    c->by = said.kind;
    secmem_wipe(&said, sizeof(said));
    if (known)
        note_use(a, c, l.now);
    return known;
}

/* What is wrong; -1: nothing is. */
static int read_caller(struct api *a, const struct http_request *r, struct api_caller *ret)
{
    return !find(a, r, ret) ? API_SESSION : !csrf_fits(r, ret->by) ? API_ORIGIN : -1;
}

bool api_caller_read(struct api *a, struct http_exchange *x, const struct http_request *r, struct api_caller *ret)
{
    int wrong;

    if (!api_open(a, x))
        return false;
    wrong = read_caller(a, r, ret);
    if (wrong >= 0)
        api_answer_problem(x, (enum api_problem)wrong);
    return wrong < 0;
}

bool api_wait_caller(struct api_wait *w, struct api_caller *ret)
{
    const int wrong = read_caller(w->api, w->r, ret);

    if (wrong >= 0)
        api_wait_problem(w, (enum api_problem)wrong);
    return wrong < 0;
}
